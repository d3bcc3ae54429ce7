//! Equivalence classes of many answers without comparing all pairs.
//!
//! Answers that may be equivalent share a *bucket*: a coarse number made from numeric evaluation at one fixed point,
//! the same for every way of writing an answer (names, units and brackets are left out; the items of lists, tuples and
//! matrices are summed, so order does not matter). Each number falls into a cell of two overlapping grids, so that
//! numbers which differ only by rounding share a cell of one of them. The slow comparison runs inside buckets only.

use super::time;
use super::value::{Scalar, Value};
use super::{Answer, Content, compare};
use crate::math::budget::Budget;
use crate::math::node::{Node, Shape};
use crate::math::numeric;
use crate::math::verdict::Verdict;
use crate::order::in_order;

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
    match value {
        Value::Choice(letter, words) => {
            let letter = Scalar::new(Node::Variable(letter.to_string()), budget);
            buckets.extend(of_value(&Value::Scalar(letter), budget));
            buckets.extend(of_value(words, budget));
            return buckets;
        }
        Value::Time(time) => return cells(b't', 1, weight(f64::from(time.face()), 0.0)),
        Value::Ratio(parts) => {
            if let Some(time) = time::of_ratio(parts, true) {
                buckets.extend(cells(b't', 1, weight(f64::from(time.face()), 0.0)));
            }
        }
        _ => {}
    }
    if matches!(value, Value::Equation(_) | Value::Inequality { .. }) {
        return buckets;
    }
    let mut sum = Sum::default();
    sum.add(value, budget);
    buckets.extend(cells(b'v', sum.items, sum.total));
    if sum.has_unit_letters {
        let mut quantities = Sum { quantities: true, ..Sum::default() };
        quantities.add(value, budget);
        buckets.extend(cells(b'v', quantities.items, quantities.total));
    }
    if sum.has_equations {
        let mut loose = Sum { loose: true, ..Sum::default() };
        loose.add(value, budget);
        buckets.extend(cells(b'l', loose.items, loose.total));
    }
    buckets
}

/// The ratio of an equation's difference at two points: the same for all its multiples.
fn of_equation(difference: &Scalar, budget: &mut Budget) -> Vec<Bucket> {
    let first = numeric::evaluate(&difference.node, 0.into(), budget);
    let second = numeric::evaluate(&difference.node, 1.into(), budget);
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
    /// Whether a bare unit letter is among the items.
    has_unit_letters: bool,
    /// Take such items as quantities.
    quantities: bool,
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
            Value::UnitLetter { value, .. } if self.quantities => self.add(value, budget),
            Value::UnitLetter { product, .. } => {
                self.has_unit_letters = true;
                self.scalar(product, budget);
            }
            Value::Scalar(scalar) => self.scalar(scalar, budget),
            Value::Sequence(_, items) | Value::Union(items) => {
                items.iter().for_each(|item| self.add(item, budget));
            }
            // In proportion to the first: `1:2` is `2:4`.
            Value::Ratio(items) => {
                let number = |item: &Value, budget: &mut Budget| match item {
                    Value::Scalar(scalar) => numeric::evaluate(&scalar.node, 0.into(), budget),
                    _ => None,
                };
                let first = items.first().and_then(|item| number(item, budget)?.inverse());
                for item in items {
                    self.items += 1;
                    let part = number(item, budget).and_then(|part| part.multiply(first?));
                    self.total += part.map_or(0.5, |part| weight(part.re.hi, part.im.hi));
                }
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
        let exact = scalar.exact.as_ref().and_then(|exact| exact.as_rational()).map(|value| value.to_f64());
        self.total += match exact {
            Some(value) => weight(value, 0.0),
            // Undefined here is undefined for every form of it that could be shown equal, or else the forms
            // stay apart.
            None => numeric::evaluate(&scalar.node, 0.into(), budget)
                .map_or(0.5, |value| weight(value.re.hi, value.im.hi)),
        };
    }
}

/// The equivalence classes of answers. A class never holds two answers that are known to be different: an answer that is
/// the same as two different ones (`12` beside `12 cm` and `12 ft`) belongs to neither and stands alone. The partition does
/// not depend on the order of the answers; classes are numbered by first appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// The class of each answer.
    pub of: Vec<usize>,
    /// For each class the others that its answers would fit, ascending; empty save for one that stands alone for that.
    pub fits: Vec<Vec<usize>>,
}

/// See [`super::equivalence_classes`].
pub(super) fn classes(answers: &[Answer]) -> Classes {
    counted(answers).0
}

/// The classes, and the slow comparisons made.
fn counted(answers: &[Answer]) -> (Classes, usize) {
    // Distinct texts in sorted order: from here on nothing depends on the order of the answers.
    let order = |a: &Answer, b: &Answer| (&a.key, &a.text).cmp(&(&b.key, &b.text));
    let places = in_order(answers.len(), &|a, b| order(&answers[a], &answers[b]));
    let mut distinct: Vec<&Answer> = places.into_iter().map(|at| &answers[at]).collect();
    distinct.dedup_by(|a, b| order(a, b).is_eq());
    let mut forest = Forest { parents: (0..distinct.len()).collect() };
    for at in 1..distinct.len() {
        if distinct[at].key == distinct[at - 1].key {
            forest.join(at - 1, at);
        }
    }
    let mut comparisons = join_buckets(&distinct, &mut forest);
    let roots: Vec<usize> = (0..distinct.len()).map(|at| forest.root(at)).collect();
    let mut parts = Parts { of: roots, fits: Vec::new() };
    comparisons += separate(&distinct, &mut parts);
    let mut next = 0;
    let mut names = vec![None; distinct.len()];
    let mut place = |answer: &Answer| {
        // Each is there, so it is found.
        let (Ok(at) | Err(at)) = distinct.binary_search_by(|other| order(other, answer));
        *names[parts.of[at]].get_or_insert_with(|| {
            next += 1;
            next - 1
        })
    };
    let of: Vec<usize> = answers.iter().map(&mut place).collect();
    let mut fits = vec![Vec::new(); next];
    for (alone, other) in parts.fits {
        if let (Some(alone), Some(other)) = (names[parts.of[alone]], names[parts.of[other]]) {
            let others: &mut Vec<usize> = &mut fits[alone];
            if let Err(place) = others.binary_search(&other) {
                others.insert(place, other);
            }
        }
    }
    (Classes { of, fits }, comparisons)
}

fn join_buckets(distinct: &[&Answer], forest: &mut Forest) -> usize {
    let mut members: Vec<(Bucket, usize)> = Vec::new();
    for (at, answer) in distinct.iter().enumerate() {
        members.extend(buckets(answer).into_iter().map(|bucket| (bucket, at)));
    }
    let places = in_order(members.len(), &|a, b| members[a].cmp(&members[b]));
    let members: Vec<(Bucket, usize)> = places.into_iter().map(|at| members[at]).collect();
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
                if compare(distinct[*earlier], distinct[*later]).is_same() {
                    forest.join(*earlier, *later);
                }
            }
        }
    }
    made
}

/// The class of each distinct answer, named by one of its members; and which answers that stand alone fit which others.
struct Parts {
    of: Vec<usize>,
    fits: Vec<(usize, usize)>,
}

/// More forms of one answer than this are not compared in pairs, and where one of them may be the same as two different
/// answers, all of them stand alone.
const MOST_FORMS: usize = 64;

/// Takes apart the components in which two answers are known to be different.
fn separate(distinct: &[&Answer], parts: &mut Parts) -> usize {
    // Components that have several keys, and one of them of a kind that may be the same as two different answers.
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); distinct.len()];
    for (at, root) in parts.of.iter().enumerate() {
        // One member for each key: members of equal key stand together.
        if at == 0 || distinct[at].key != distinct[at - 1].key {
            members[*root].push(at);
        }
    }
    let mut made = 0;
    for keys in members.into_iter().filter(|keys| keys.len() > 2) {
        if !keys.iter().any(|at| is_loose(distinct[*at])) {
            continue;
        }
        if keys.len() > MOST_FORMS {
            keys.iter().for_each(|at| rename(distinct, parts, *at));
            continue;
        }
        let mut verdicts = vec![Verdict::Same; keys.len() * keys.len()];
        for a in 0..keys.len() {
            for b in 0..a {
                made += 1;
                let verdict = compare(distinct[keys[a]], distinct[keys[b]]);
                verdicts[a * keys.len() + b] = verdict;
                verdicts[b * keys.len() + a] = verdict;
            }
        }
        let verdict = |a: usize, b: usize| verdicts[a * keys.len() + b];
        let all: Vec<usize> = (0..keys.len()).collect();
        let mut classes = Vec::new();
        split(all, &verdict, &mut classes);
        for class in &classes {
            for member in class {
                rename_as(distinct, parts, keys[*member], keys[class[0]]);
            }
        }
        for (at, class) in classes.iter().enumerate() {
            for (other_at, other) in classes.iter().enumerate().filter(|(other_at, _)| *other_at != at) {
                let fits = class.iter().any(|a| other.iter().any(|b| verdict(*a, *b).is_same()));
                // Of the two it is the one that fits several that stands alone.
                let several = |class: &[usize], own: usize| {
                    let touched = |(at, other): (usize, &Vec<usize>)| {
                        at != own && class.iter().any(|a| other.iter().any(|b| verdict(*a, *b).is_same()))
                    };
                    classes.iter().enumerate().filter(|(at, other)| touched((*at, other))).count() > 1
                };
                if fits && several(class, at) && !(several(other, other_at) && other_at < at) {
                    parts.fits.push((keys[class[0]], keys[other[0]]));
                }
            }
        }
    }
    made
}

/// Splits answers that hang together into classes without two that are known to be different: those that are the same as
/// two different ones are taken out, until nothing is left to take.
fn split(members: Vec<usize>, verdict: &dyn Fn(usize, usize) -> Verdict, classes: &mut Vec<Vec<usize>>) {
    for component in components(&members, verdict) {
        let differ = |a: usize, b: usize| verdict(a, b) == Verdict::Different;
        if !component.iter().any(|a| component.iter().any(|b| differ(*a, *b))) {
            classes.push(component);
            continue;
        }
        let is_bridge = |at: usize| {
            let same: Vec<usize> = component
                .iter()
                .copied()
                .filter(|other| *other != at && verdict(at, *other).is_same())
                .collect();
            same.iter().any(|a| same.iter().any(|b| differ(*a, *b)))
        };
        let (bridges, rest): (Vec<usize>, Vec<usize>) = component.iter().partition(|at| is_bridge(**at));
        if bridges.is_empty() || rest.is_empty() {
            classes.extend(component.into_iter().map(|at| vec![at]));
        } else {
            split(bridges, verdict, classes);
            split(rest, verdict, classes);
        }
    }
}

fn components(members: &[usize], verdict: &dyn Fn(usize, usize) -> Verdict) -> Vec<Vec<usize>> {
    let mut forest = Forest { parents: (0..members.len()).collect() };
    for a in 0..members.len() {
        for b in 0..a {
            if verdict(members[a], members[b]).is_same() {
                forest.join(a, b);
            }
        }
    }
    let mut components: Vec<Vec<usize>> = vec![Vec::new(); members.len()];
    for (at, member) in members.iter().enumerate() {
        components[forest.root(at)].push(*member);
    }
    components.retain(|component| !component.is_empty());
    components
}

/// All answers of the key that `at` is the first of, as a class by themselves.
fn rename(distinct: &[&Answer], parts: &mut Parts, at: usize) {
    rename_as(distinct, parts, at, at);
}

fn rename_as(distinct: &[&Answer], parts: &mut Parts, at: usize, name: usize) {
    let same = distinct[at..].iter().take_while(|answer| answer.key == distinct[at].key).count();
    parts.of[at..at + same].fill(name);
}

/// Whether an answer may be the same as two different ones: a unit, a name or a choice letter may be left out, the items
/// of a bare list may stand in any order, and a long decimal stands for what it rounds to.
fn is_loose(answer: &Answer) -> bool {
    fn is_loose_value(value: &Value) -> bool {
        match value {
            Value::Scalar(scalar) => scalar.long_decimal().is_some(),
            Value::Matrix(rows) => rows.iter().flatten().any(is_loose_value),
            Value::Sequence(Shape::Bare, _) => true,
            Value::Sequence(_, items) => items.iter().any(is_loose_value),
            _ => true,
        }
    }
    match &answer.content {
        Content::Plain(number) => {
            number.denominator > 1 && super::value::long_decimal(&super::of_rational(number)).is_some()
        }
        Content::Text => false,
        Content::Value(value) => is_loose_value(value),
    }
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
    use super::{Answer, counted};

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
        let (classes, comparisons) = counted(&answers);
        // The lengths in cm are the plain numbers; 7/7 and its like are whole, but no other answer.
        assert_eq!(classes.of.iter().max(), Some(&(10_000 - 1_250 - 1)));
        assert!(comparisons < 20_000, "{comparisons}");
    }
}
