//! What has to be computed for a problem, before anybody computes it: products first, then the running total.

use super::chain::{Operator, Step};
use super::problem::{Amount, Term};

/// Where an operand comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A number of the problem.
    Given(i64),
    /// The result of an earlier step.
    Earlier(usize),
}

impl Source {
    /// The operand, where the steps so far gave `results`.
    pub(super) fn value(self, results: &[i64]) -> i64 {
        match self {
            Source::Given(number) => number,
            Source::Earlier(step) => results[step],
        }
    }
}

/// One step that the problem asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedStep {
    /// Left operand.
    pub left: Source,
    /// What is done.
    pub operator: Operator,
    /// Right operand.
    pub right: Source,
}

impl PlannedStep {
    /// Whether `step` has the left side that is asked for where the steps have `results`, at least those before it.
    pub fn asks_for(&self, results: &[i64], step: &Step) -> bool {
        (self.left.value(results), self.operator, self.right.value(results))
            == (step.left, step.operator, step.right)
    }
}

/// The steps that `terms` ask for: the products in the order of the terms, then the sums from left to right.
pub fn plan(terms: &[Term]) -> Vec<PlannedStep> {
    let mut steps = Vec::new();
    let amounts: Vec<Source> = terms
        .iter()
        .map(|term| match term.amount {
            Amount::Number(number) => Source::Given(number),
            Amount::Product(count, each) => {
                let (left, right) = (Source::Given(count), Source::Given(each));
                steps.push(PlannedStep { left, operator: Operator::Times, right });
                Source::Earlier(steps.len() - 1)
            }
        })
        .collect();
    let Some(&first) = amounts.first() else { return steps };
    let mut total = first;
    for (term, &amount) in terms.iter().zip(&amounts).skip(1) {
        let operator = if term.is_minus { Operator::Minus } else { Operator::Plus };
        steps.push(PlannedStep { left: total, operator, right: amount });
        total = Source::Earlier(steps.len() - 1);
    }
    steps
}

/// The right chain of `terms`.
pub fn derive(terms: &[Term]) -> Vec<Step> {
    let mut results = Vec::new();
    plan(terms)
        .into_iter()
        .map(|PlannedStep { left, operator, right }| {
            let (left, right) = (left.value(&results), right.value(&results));
            let result = operator.apply(left, right);
            results.push(result);
            Step { left, operator, right, result }
        })
        .collect()
}

/// Whether a chain does what the problem asks for, step by step, with the problem's numbers and its own earlier results.
/// Nothing is computed: its results may be wrong.
pub fn follows(plan: &[PlannedStep], steps: &[Step]) -> bool {
    let results: Vec<i64> = steps.iter().map(|step| step.result).collect();
    plan.len() == steps.len()
        && plan.iter().zip(steps).all(|(planned, step)| planned.asks_for(&results, step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::chain::{parse_solution, write_solution};

    fn terms() -> Vec<Term> {
        vec![
            Term { is_minus: false, amount: Amount::Product(155, 77) },
            Term { is_minus: false, amount: Amount::Number(95) },
            Term { is_minus: true, amount: Amount::Product(36, 50) },
        ]
    }

    #[test]
    fn products_come_first() {
        let chain = "155*77=11935;36*50=1800;11935+95=12030;12030-1800=10230;#10230";
        assert_eq!(write_solution(&derive(&terms())), chain);
        assert!(plan(&[]).is_empty() && derive(&[]).is_empty());
    }

    #[test]
    fn following_is_about_what_is_computed_and_not_about_results() {
        let plan = plan(&terms());
        for (chain, expected) in [
            ("155*77=11935;36*50=1800;11935+95=12030;12030-1800=10230;#10230", true),
            ("155*77=11945;36*50=1800;11945+95=12040;12040-1800=10240;#10240", true),
            ("155*77=11945;36*50=1800;11935+95=12030;12030-1800=10230;#10230", false),
            ("155*71=11005;36*50=1800;11005+95=11100;11100-1800=9300;#9300", false),
            ("155*77=11935;36*50=1800;11935+95=12030;12030+1800=13830;#13830", false),
            ("155*77=11935;36*50=1800;11935+95=12030;#12030", false),
            ("36*50=1800;155*77=11935;11935+95=12030;12030-1800=10230;#10230", false),
        ] {
            assert_eq!(follows(&plan, &parse_solution(chain).unwrap()), expected, "{chain}");
        }
    }
}
