//! Equivalence classes of many answers without comparing all pairs.
//!
//! Answers that may be equivalent share a *bucket*: a coarse number made from numeric evaluation at one fixed point,
//! the same for every way of writing an answer (names, units and brackets are left out; the items of lists, tuples and
//! matrices are summed, so order does not matter). Each number falls into a cell of two overlapping grids, so that
//! numbers which differ only by rounding share a cell of one of them. The slow comparison runs inside buckets only.

use super::value::{Scalar, Value};
use super::{Answer, Content, is_equivalent};
use crate::math::budget::Budget;
use crate::math::numeric;

/// A cell of a grid of numbers, and what kind of answer it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    kind: u8,
    items: u32,
    cell: u64,
}

/// Slow comparisons allowed per answer. Beyond them answers stay apart (which an honest file never reaches: its buckets
/// hold a handful of answers that are equal anyway).
const COMPARISONS_PER_ANSWER: usize = 16;

/// The buckets of an answer: equivalent answers with different keys have one in common. Empty for text.
pub(super) fn buckets(answer: &Answer) -> Vec<Bucket> {
    let mut budget = Budget::default();
    match &answer.content {
        Content::Plain(number) => {
            let value = number.numerator as f64 / number.denominator as f64;
            cells(b'v', 1, weight(value, 0.0))
        }
        Content::Text => Vec::new(),
        Content::Value(value) => of_value(value, &mut budget),
    }
}

fn of_value(value: &Value, budget: &mut Budget) -> Vec<Bucket> {
    let difference = match value {
        Value::Named { equation, .. } => equation.as_ref(),
        Value::Equation(difference) | Value::Inequality { difference, .. } => Some(difference),
        _ => None,
    };
    let mut buckets = difference.map_or_else(Vec::new, |difference| of_equation(difference, budget));
    if matches!(value, Value::Equation(_) | Value::Inequality { .. }) {
        return buckets;
    }
    let mut sum = Sum::default();
    sum.add(value, budget);
    buckets.extend(cells(b'v', sum.items, sum.total));
    if sum.has_equations {
        let mut loose = Sum { loose: true, ..Sum::default() };
        loose.add(value, budget);
        buckets.extend(cells(b'l', loose.items, loose.total));
    }
    buckets
}

/// The ratio of an equation's difference at two points: the same for all its multiples.
fn of_equation(difference: &Scalar, budget: &mut Budget) -> Vec<Bucket> {
    let first = numeric::evaluate(&difference.node, 0, budget);
    let second = numeric::evaluate(&difference.node, 1, budget);
    let ratio = match (first, second) {
        (Some(first), Some(second)) => second.inverse().and_then(|inverse| first.multiply(inverse)),
        _ => None,
    };
    cells(b'e', 0, ratio.map_or(0.0, |ratio| weight(ratio.re.hi, ratio.im.hi)))
}

/// Both grids: cells of 2^24 neighbouring `f64`, about 8 significant digits.
fn cells(kind: u8, items: u32, total: f64) -> Vec<Bucket> {
    const SHIFT: u32 = 24;
    let bits = total.abs().to_bits();
    let shifted = bits.wrapping_add(1 << (SHIFT - 1));
    vec![
        Bucket { kind, items, cell: bits >> SHIFT },
        Bucket { kind: kind.to_ascii_uppercase(), items, cell: shifted >> SHIFT },
    ]
}

/// A positive number that depends continuously on a value and tells values apart, signs too. Sums of it do not cancel,
/// and by the logarithm a huge item (infinity is one) does not drown the others.
fn weight(re: f64, im: f64) -> f64 {
    let part = |x: f64, plus: f64, minus: f64| if x >= 0.0 { plus * x } else { -minus * x };
    // Values of rounding size are zero: `\sqrt{2}\sqrt{3}-\sqrt{6}` is.
    let settle = |x: f64, other: f64| if x.abs() < 1e-20 * other.abs().max(1e-3) { 0.0 } else { x };
    let (re, im) = (settle(re, im), settle(im, re));
    1e-30 + (part(re, 1.0, 1.618_033_988_7) + part(im, 2.236_067_977_5, 3.605_551_275_5)).ln_1p()
}

#[derive(Default)]
struct Sum {
    total: f64,
    items: u32,
    /// Whether an equation is among the items, which may also be written as a name and its value.
    has_equations: bool,
    /// Count such items and names without their values.
    loose: bool,
}

impl Sum {
    fn add(&mut self, value: &Value, budget: &mut Budget) {
        let is_equation = matches!(value, Value::Named { equation: Some(_), .. } | Value::Equation(_));
        self.has_equations |= is_equation;
        match value {
            _ if is_equation && self.loose => {
                self.items += 1;
                self.total += 1.0;
            }
            Value::Named { value, .. } | Value::Quantity(value, _) => self.add(value, budget),
            Value::Scalar(scalar) => self.scalar(scalar, budget),
            Value::Sequence(_, items) | Value::Union(items) | Value::Ratio(items) => {
                items.iter().for_each(|item| self.add(item, budget));
            }
            Value::Matrix(rows) => rows.iter().flatten().for_each(|item| self.add(item, budget)),
            // No number in it that every equivalent answer shares.
            _ => {
                self.items += 1;
                self.total += 1.0;
            }
        }
    }

    fn scalar(&mut self, scalar: &Scalar, budget: &mut Budget) {
        self.items += 1;
        let exact = scalar.exact.as_ref().and_then(|exact| exact.as_rational()).and_then(|value| {
            use num_traits::ToPrimitive;
            value.to_f64()
        });
        self.total += match exact {
            Some(value) => weight(value, 0.0),
            // Undefined here is undefined for every form of it that could be shown equal, or else the forms
            // stay apart.
            None => numeric::evaluate(&scalar.node, 0, budget)
                .map_or(0.5, |value| weight(value.re.hi, value.im.hi)),
        };
    }
}

/// See [`super::equivalence_classes`]; and the slow comparisons made.
pub(super) fn classes(answers: &[Answer]) -> (Vec<usize>, usize) {
    // Distinct texts in sorted order: from here on nothing depends on the order of the answers.
    let mut distinct: Vec<&Answer> = answers.iter().collect();
    let order = |a: &Answer, b: &Answer| (&a.key, &a.text).cmp(&(&b.key, &b.text));
    distinct.sort_unstable_by(|a, b| order(a, b));
    distinct.dedup_by(|a, b| order(a, b).is_eq());
    let mut forest = Forest { parents: (0..distinct.len()).collect() };
    for at in 1..distinct.len() {
        if distinct[at].key == distinct[at - 1].key {
            forest.join(at - 1, at);
        }
    }
    let comparisons = join_buckets(&distinct, &mut forest);
    let mut next = 0;
    let mut names = vec![None; distinct.len()];
    let name = |answer: &Answer| {
        // Each is there, so it is found.
        let (Ok(at) | Err(at)) = distinct.binary_search_by(|other| order(other, answer));
        *names[forest.root(at)].get_or_insert_with(|| {
            next += 1;
            next - 1
        })
    };
    (answers.iter().map(name).collect(), comparisons)
}

fn join_buckets(distinct: &[&Answer], forest: &mut Forest) -> usize {
    let mut members: Vec<(Bucket, usize)> = Vec::new();
    for (at, answer) in distinct.iter().enumerate() {
        members.extend(buckets(answer).into_iter().map(|bucket| (bucket, at)));
    }
    members.sort_unstable();
    let allowed = distinct.len() * COMPARISONS_PER_ANSWER;
    let mut made = 0;
    for bucket in members.chunk_by(|a, b| a.0 == b.0) {
        for (at, (_, later)) in bucket.iter().enumerate() {
            for (_, earlier) in &bucket[..at] {
                if forest.root(*earlier) == forest.root(*later) {
                    continue;
                }
                if made == allowed {
                    return made;
                }
                made += 1;
                if is_equivalent(distinct[*earlier], distinct[*later]) {
                    forest.join(*earlier, *later);
                }
            }
        }
    }
    made
}

/// Union-find with path halving.
struct Forest {
    parents: Vec<usize>,
}

impl Forest {
    fn root(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, classes};

    #[test]
    fn ten_thousand_distinct_answers_need_few_comparisons() {
        let text = |n: usize| match n % 8 {
            0 => format!("{n}"),
            1 => format!("\\frac{{{n}}}{{7}}"),
            2 => format!("({n}, {})", n + 1),
            3 => format!("\\sin({n})+\\sqrt{{3}}"),
            4 => format!("{}\\text{{ cm}}", n - 4),
            5 => format!("2x+{n}y=3"),
            6 => format!("[{n}, \\infty)"),
            _ => format!("answer number {n} of many"),
        };
        let answers: Vec<Answer> = (0..10_000).map(|n| Answer::parse(&text(n))).collect();
        let (classes, comparisons) = classes(&answers);
        // The lengths in cm are the plain numbers; 7/7 and its like are whole, but no other answer.
        assert_eq!(classes.iter().max(), Some(&(10_000 - 1_250 - 1)));
        assert!(comparisons < 20_000, "{comparisons}");
    }
}
