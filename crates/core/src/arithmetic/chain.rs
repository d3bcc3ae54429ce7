//! Chains of steps as solvers write them: `155*77=11935;36*50=1800;11935+1800=13735;#13735`.
//!
//! There is one way to write a chain: no blanks, no leading zeros, right operands without a sign.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a step does with its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// `*`
    Times,
    /// `+`
    Plus,
    /// `-`
    Minus,
}

impl Operator {
    const ALL: [Operator; 3] = [Operator::Times, Operator::Plus, Operator::Minus];

    /// How it is written.
    pub fn symbol(self) -> char {
        match self {
            Operator::Times => '*',
            Operator::Plus => '+',
            Operator::Minus => '-',
        }
    }

    /// The right result.
    pub fn apply(self, left: i64, right: i64) -> i64 {
        match self {
            Operator::Times => left.saturating_mul(right),
            Operator::Plus => left.saturating_add(right),
            Operator::Minus => left.saturating_sub(right),
        }
    }
}

/// One step as it was written; its result need not be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// Left operand.
    pub left: i64,
    /// What is done.
    pub operator: Operator,
    /// Right operand, not negative.
    pub right: i64,
    /// What is said to come out.
    pub result: i64,
}

impl Step {
    /// Whether the result is right.
    pub fn is_right(&self) -> bool {
        self.operator.apply(self.left, self.right) == self.result
    }

    fn parse(text: &str) -> Option<Self> {
        let (left_side, result) = text.split_once('=')?;
        // The first character may be a sign.
        let at =
            left_side.char_indices().skip(1).find(|(_, c)| Operator::ALL.iter().any(|o| o.symbol() == *c));
        let (at, symbol) = at?;
        Some(Self {
            left: parse_integer(&left_side[..at])?,
            operator: Operator::ALL.into_iter().find(|operator| operator.symbol() == symbol)?,
            right: parse_whole(&left_side[at + 1..])?,
            result: parse_integer(result)?,
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}={}", self.left, self.operator.symbol(), self.right, self.result)
    }
}

/// The text of a chain: its steps, and the last result as the answer. Empty for no steps.
pub fn write_solution(steps: &[Step]) -> String {
    let Some(last) = steps.last() else { return String::new() };
    let mut text: String = steps.iter().map(|step| format!("{step};")).collect();
    text.push_str(&format!("#{}", last.result));
    text
}

/// The steps of a complete chain whose answer is the result of its last step; blanks around it do no harm. For every
/// text that this reads, [`write_solution`] gives that text back.
pub fn parse_solution(text: &str) -> Option<Vec<Step>> {
    let (steps, answer) = text.trim().rsplit_once(";#")?;
    let steps: Vec<Step> = steps.split(';').map(Step::parse).collect::<Option<_>>()?;
    (steps.last()?.result == parse_integer(answer)?).then_some(steps)
}

/// The steps at the beginning of a chain that were written to their end, of a text that may be cut off anywhere.
pub fn parse_steps(text: &str) -> Vec<Step> {
    let complete = text.trim_start().rsplit_once(';').map_or("", |(complete, _)| complete);
    complete.split(';').map_while(Step::parse).collect()
}

/// Digits that a number may have: more occur in no chain, and products of two still fit.
const MOST_DIGITS: usize = 9;

/// A number without sign and leading zeros.
pub(super) fn parse_whole(text: &str) -> Option<i64> {
    let is_canonical = text == "0" || !text.starts_with('0');
    let is_number = !text.is_empty() && text.len() <= MOST_DIGITS && text.bytes().all(|b| b.is_ascii_digit());
    if is_canonical && is_number { text.parse().ok() } else { None }
}

fn parse_integer(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        None => parse_whole(text),
        Some("0") => None,
        Some(digits) => parse_whole(digits).map(|number| -number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "155*77=11935;36*50=1800;11935+95=12030;12030-1800=10230;#10230";

    #[test]
    fn the_example_is_read_and_written() {
        let steps = parse_solution(EXAMPLE).unwrap();
        assert_eq!(steps.len(), 4);
        assert_eq!(steps[3], Step { left: 12030, operator: Operator::Minus, right: 1800, result: 10230 });
        assert!(steps.iter().all(Step::is_right));
        assert_eq!(write_solution(&steps), EXAMPLE);
        assert_eq!(parse_solution(&format!(" {EXAMPLE}\n")).unwrap(), steps);
        assert_eq!(write_solution(&[]), "");
    }

    #[test]
    fn negative_totals() {
        let text = "95-1800=-1705;-1705+12=-1693;-1693*2=-3386;#-3386";
        let steps = parse_solution(text).unwrap();
        assert_eq!((steps[1].left, steps[1].operator, steps[1].result), (-1705, Operator::Plus, -1693));
        assert_eq!(write_solution(&steps), text);
    }

    #[test]
    fn anything_else_is_no_chain() {
        for text in [
            "",
            "#5",
            ";#5",
            "2+3=5",
            "2+3=5;",
            "2+3=5;#6",
            "2+3=5#5",
            "2+3=5;;#5",
            "2 + 3 = 5;#5",
            "2+-3=-1;#-1",
            "2+03=5;#5",
            "2+3=+5;#5",
            "5-5=-0;#-0",
            "2/3=5;#5",
            "+2=5;#5",
            "2=5;#5",
            "2+3=5=5;#5",
            "2+3=5;#5;",
            "2+3=5;#5;#5",
            "1234567890+1=1234567891;#1234567891",
            "é+3=5;#5",
            "٣+3=5;#5",
        ] {
            assert_eq!(parse_solution(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_cut_chain_keeps_its_complete_steps() {
        let steps = parse_solution(EXAMPLE).unwrap();
        for end in 0..=EXAMPLE.len() {
            let complete = EXAMPLE[..end].matches(';').count();
            assert_eq!(parse_steps(&EXAMPLE[..end]), steps[..complete], "{}", &EXAMPLE[..end]);
        }
        assert_eq!(parse_steps("2+3=5;so 4+4=8;8+1=9;").len(), 1);
    }
}
