//! What can be had from the candidates of an arithmetic set without a model and without arithmetic.
//!
//! Both read the problem for what has to be computed, and neither computes anything: a baseline with a calculator would
//! solve every problem.

use super::chain::{Step, parse_solution, parse_steps};
use super::plan::{PlannedStep, follows, plan};
use super::problem::parse_problem;
use crate::sample_set::SampleSet;
use crate::vote::majority_vote;

/// The vote among the candidates whose operands and operators are those of the problem, and whose further operands are
/// their own earlier results; ties to the earliest. Where there is none, or the problem is not one of this domain, the
/// majority vote of all.
pub fn operand_checked_vote(set: &SampleSet) -> Option<String> {
    plan_of(set).and_then(|plan| checked_answer(set, &plan)).or_else(|| voted_answer(set))
}

/// A chain put together from steps of all candidates: for each step that the problem asks for, given the results so far,
/// the result that most candidates have behind the same left side; ties to the earliest. Where no candidate has that left
/// side, the [`operand_checked_vote`].
pub fn recombine_steps(set: &SampleSet) -> Option<String> {
    let Some(plan) = plan_of(set) else { return voted_answer(set) };
    recombined_answer(set, &plan).or_else(|| checked_answer(set, &plan)).or_else(|| voted_answer(set))
}

fn plan_of(set: &SampleSet) -> Option<Vec<PlannedStep>> {
    Some(plan(&parse_problem(&set.problem)?))
}

fn voted_answer(set: &SampleSet) -> Option<String> {
    majority_vote(set).answer().map(str::to_string)
}

fn checked_answer(set: &SampleSet, plan: &[PlannedStep]) -> Option<String> {
    let answers = set.candidates.iter().filter_map(|candidate| {
        let steps = parse_solution(&candidate.text).filter(|steps| follows(plan, steps))?;
        Some(steps.last()?.result)
    });
    most_frequent(answers).map(|answer| answer.to_string())
}

fn recombined_answer(set: &SampleSet, plan: &[PlannedStep]) -> Option<String> {
    let chains: Vec<Vec<Step>> =
        set.candidates.iter().map(|candidate| parse_steps(&candidate.text)).collect();
    let mut results: Vec<i64> = Vec::new();
    for planned in plan {
        let found = chains.iter().filter_map(|chain| {
            chain.iter().find(|step| planned.asks_for(&results, step)).map(|step| step.result)
        });
        results.push(most_frequent(found)?);
    }
    results.last().map(|answer| answer.to_string())
}

/// The most frequent value, ties to the earliest.
fn most_frequent(values: impl Iterator<Item = i64>) -> Option<i64> {
    let mut counts: Vec<(i64, usize)> = Vec::new();
    for value in values {
        match counts.iter_mut().find(|(known, _)| *known == value) {
            Some((_, count)) => *count += 1,
            None => counts.push((value, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max()?;
    counts.iter().find(|(_, count)| *count == most).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_set::Candidate;

    const PROBLEM: &str = "Ben has 20 packs of 30 books. He buys 12 boxes of 50 books. How many now?";
    const RIGHT: &str = "20*30=600;12*50=600;600+600=1200;#1200";
    const MISREAD: &str = "20*30=600;12*80=960;600+960=1560;#1560";
    const FIRST_SLIP: &str = "20*30=650;12*50=600;650+600=1250;#1250";
    const LAST_SLIP: &str = "20*30=600;12*50=600;600+600=1100;#1100";

    fn set(problem: &str, texts: &[&str]) -> SampleSet {
        let candidates =
            texts.iter().map(|text| Candidate { text: text.to_string(), ..Default::default() }).collect();
        SampleSet {
            id: "s".into(),
            problem: problem.into(),
            reference_answer: None,
            candidates,
            extra: Default::default(),
        }
    }

    fn check(problem: &str, texts: &[&str], checked: &str, recombined: &str) {
        let set = set(problem, texts);
        let shown = |answer: Option<String>| answer.unwrap_or_else(|| "none".into());
        assert_eq!(shown(operand_checked_vote(&set)), checked, "{texts:?}");
        assert_eq!(shown(recombine_steps(&set)), recombined, "{texts:?}");
    }

    #[test]
    fn the_check_leaves_out_what_the_problem_does_not_say() {
        check(PROBLEM, &[MISREAD, MISREAD, RIGHT], "1200", "1200");
        check(PROBLEM, &[FIRST_SLIP, LAST_SLIP], "1250", "1250");
        check(PROBLEM, &[LAST_SLIP, FIRST_SLIP], "1100", "1100");
        check(PROBLEM, &[MISREAD, MISREAD, FIRST_SLIP, LAST_SLIP, LAST_SLIP], "1100", "1100");
    }

    #[test]
    fn recombination_takes_each_step_from_where_it_is_right() {
        // Neither the check nor the vote has more than one chain for the right answer.
        check(PROBLEM, &[FIRST_SLIP, FIRST_SLIP, MISREAD, MISREAD, MISREAD, RIGHT], "1250", "1200");
        // A chain cut off in its last step still has its first two.
        check(PROBLEM, &[FIRST_SLIP, RIGHT, "20*30=600;12*50=600;600+60"], "1250", "1200");
    }

    #[test]
    fn without_a_step_the_vote_decides() {
        check(PROBLEM, &[FIRST_SLIP, MISREAD], "1250", "1250");
        check(PROBLEM, &[MISREAD, MISREAD, "so it is 7"], "1560", "1560");
        check(PROBLEM, &[], "none", "none");
        check("What is 2 + 2?", &["4", "5", "5"], "5", "5");
    }
}
