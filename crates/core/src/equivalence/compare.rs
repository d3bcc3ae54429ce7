//! Whether two meanings are the same. Each rule is one line of docs/equivalence.md.

use super::value::{DOUBLE_DIGITS, Scalar, Value};
use crate::math::budget::Budget;
use crate::math::node::{Relation, Shape};
use crate::math::numeric::{self, Proportion};
use crate::math::polynomial::Polynomial;
use crate::math::verdict::Verdict;

/// Unordered lists longer than this are compared by keys alone.
const MAX_MATCHING: usize = 48;

/// Whether two values are the same answer.
pub(super) fn same(a: &Value, b: &Value, budget: &mut Budget) -> Verdict {
    if budget.enter().is_none() {
        return Verdict::Unknown;
    }
    let same = same_inner(a, b, budget);
    budget.leave();
    if budget.is_spent() { Verdict::Unknown } else { same }
}

fn same_inner(a: &Value, b: &Value, budget: &mut Budget) -> Verdict {
    use Value::{Based, Chain, Choice, Date, Duration, Equation, Inequality, Matrix, Named, Quantity, Ratio};
    use Value::{Scalar, Sequence, SetOperation, Text, Time, Union, UnitLetter};
    match (a, b) {
        (Choice(x, _), Choice(y, _)) => Verdict::known(x == y),
        (Choice(letter, words), other) | (other, Choice(letter, words)) => match letter_of(other) {
            Some(other) => Verdict::known(*letter == other),
            None => same(words, other, budget),
        },
        (Named { name: x, value: v, equation: p }, Named { name: y, value: w, equation: q }) => {
            let values = if x == y { same(v, w, budget) } else { Verdict::Different };
            match (p, q) {
                (Some(p), Some(q)) if !values.is_same() => match same_equation(p, q, budget) {
                    // Two functions of one name that differ are different, whatever else is not known.
                    Verdict::Unknown if x == y => values,
                    verdict => verdict,
                },
                _ => values,
            }
        }
        (Named { equation, .. }, Equation(other)) | (Equation(other), Named { equation, .. }) => {
            equation.as_ref().map_or(Verdict::Unknown, |equation| same_equation(equation, other, budget))
        }
        (Named { value, .. }, other) | (other, Named { value, .. }) => same(value, other, budget),
        (UnitLetter { product: x, value: v, unit }, UnitLetter { product: y, value: w, unit: other }) => {
            let quantities = if unit == other { same(v, w, budget) } else { Verdict::Different };
            quantities.or(|| same_scalar(x, y, budget))
        }
        // The same number with that unit written out; a bare number is no such thing.
        (UnitLetter { value: v, unit, .. }, Quantity(w, other))
        | (Quantity(w, other), UnitLetter { value: v, unit, .. }) => {
            if unit == other {
                same(v, w, budget)
            } else {
                Verdict::Different
            }
        }
        (UnitLetter { product, .. }, other) | (other, UnitLetter { product, .. }) => {
            same(&Scalar(product.clone()), other, budget)
        }
        (Quantity(v, unit), Quantity(w, other)) => {
            if unit == other {
                same(v, w, budget)
            } else {
                Verdict::Different
            }
        }
        // `2.5 hours` may be `2 hours 30 minutes`: nothing is converted.
        (Duration(_), Quantity(..) | Scalar(_)) | (Quantity(..) | Scalar(_), Duration(_)) => Verdict::Unknown,
        (Quantity(value, _), other) | (other, Quantity(value, _)) => same(value, other, budget),
        (Scalar(x), Scalar(y)) => {
            let verdict = same_scalar(x, y, budget);
            // A letter may be the name of an option that is a number.
            let (x, y) = (letter_of(a), letter_of(b));
            if verdict == Verdict::Different && x.is_some() != y.is_some() {
                Verdict::Unknown
            } else {
                verdict
            }
        }
        (Equation(a), Equation(b)) => same_equation(a, b, budget),
        (Inequality { difference: a, strict: x }, Inequality { difference: b, strict: y }) => {
            match proportional(a, b, budget) {
                Proportion::Positive => Verdict::known(x == y),
                // Others may have the same solutions all the same, unless they are of first degree.
                Proportion::None if a.is_linear() && b.is_linear() => Verdict::Different,
                _ => Verdict::Unknown,
            }
        }
        (Sequence(Shape::Square, rows), Matrix(cells)) | (Matrix(cells), Sequence(Shape::Square, rows)) => {
            if rows.len() != cells.len() {
                return Verdict::Different;
            }
            rows.iter().zip(cells).fold(Verdict::Same, |verdict, (row, cells)| {
                verdict.and(|| match row {
                    Sequence(Shape::Square, row) => in_order(row, cells, budget),
                    _ => Verdict::Different,
                })
            })
        }
        (Sequence(x, v), Sequence(y, w)) => same_sequence(*x, v, *y, w, budget),
        (Sequence(Shape::Set, items), other) | (other, Sequence(Shape::Set, items)) if items.len() == 1 => {
            same(&items[0], other, budget)
        }
        (Union(v), Union(w)) => in_any_order(v, w, budget),
        (SetOperation(x, v), SetOperation(y, w)) => {
            if x == y && in_order(v, w, budget) == Verdict::Same {
                Verdict::Same
            } else {
                Verdict::Unknown
            }
        }
        (Matrix(v), Matrix(w)) => {
            if v.len() != w.len() {
                return Verdict::Different;
            }
            v.iter()
                .zip(w)
                .fold(Verdict::Same, |verdict, (row, other)| verdict.and(|| in_order(row, other, budget)))
        }
        (Chain(v, x), Chain(w, y)) => {
            let forth = if x == y { in_order(v, w, budget) } else { Verdict::Different };
            // Chains that say the same in other words are not known to us.
            if forth.is_same() || reversed(v, x, w, y, budget) { Verdict::Same } else { Verdict::Unknown }
        }
        (Ratio(v), Ratio(w)) => same_ratio(v, w, budget),
        // `3:2` is not known to be another answer than `3/2`, nor to be it.
        (Ratio(_), Scalar(_)) | (Scalar(_), Ratio(_)) => Verdict::Unknown,
        (Based(v, x), Based(w, y)) => Verdict::known(v == w && x == y),
        (Text(v), Text(w)) => Verdict::known(v == w),
        (Date(v), Date(w)) => v.same(w),
        (Duration(v), Duration(w)) => v.same(w),
        (Time(v), Time(w)) => v.same(w),
        // `2:15` is a time only beside another one.
        (Time(time), Ratio(parts)) | (Ratio(parts), Time(time)) => match super::time::of_ratio(parts, true) {
            Some(other) => time.same(&other),
            None => Verdict::Different,
        },
        // What has to be solved or worked out first may have the other one for its solution; and a word may be a name for
        // what is written as mathematics.
        (Equation(_) | Inequality { .. } | Chain(..) | SetOperation(..) | Union(_) | Text(_), _)
        | (_, Equation(_) | Inequality { .. } | Chain(..) | SetOperation(..) | Union(_) | Text(_)) => {
            Verdict::Unknown
        }
        _ => Verdict::Different,
    }
}

/// The choice letter that a value may be: one capital.
fn letter_of(value: &Value) -> Option<char> {
    let Value::Scalar(Scalar { node: crate::math::node::Node::Variable(name), .. }) = value else {
        return None;
    };
    let mut letters = name.chars();
    letters.next().filter(|letter| letter.is_ascii_uppercase() && letters.next().is_none())
}

/// `a != b` is `b != a`.
fn reversed(v: &[Value], x: &[Relation], w: &[Value], y: &[Relation], budget: &mut Budget) -> bool {
    x == [Relation::NotEqual]
        && y == [Relation::NotEqual]
        && matches!((v, w), ([a, b], [c, d]) if same(a, d, budget).is_same() && same(b, c, budget).is_same())
}

/// Exact forms decide where they can; else numeric evaluation.
fn same_scalar(a: &Scalar, b: &Scalar, budget: &mut Budget) -> Verdict {
    if a.key == b.key {
        return Verdict::Same;
    }
    if is_rounding(a, b, budget) || is_rounding(b, a, budget) {
        return Verdict::Same;
    }
    if let (Some(x), Some(y)) = (&a.exact, &b.exact) {
        if x.is_independent() && y.is_independent()
            || x.is_irrational_root() && y.as_rational().is_some()
            || y.is_irrational_root() && x.as_rational().is_some()
        {
            return Verdict::Different;
        }
        // Equal but for a known constant: `\sin 1 + 10^{-40}` against `\sin 1`.
        if let Some(gap) = x.add(&y.negative(), budget)
            && gap.is_independent()
        {
            return Verdict::Different;
        }
    }
    numeric::same_value(&a.node, &b.node, budget)
}

/// Whether `a` is a decimal of ten or more digits that the constant `b` rounds to, or what a program prints of it as a double.
fn is_rounding(a: &Scalar, b: &Scalar, budget: &mut Budget) -> bool {
    let Some((value, places, digits)) = a.long_decimal() else { return false };
    if b.node.has_variables() {
        return false;
    }
    numeric::is_rounding(value, places, &b.node, budget)
        || DOUBLE_DIGITS.contains(&digits) && numeric::is_double(value, &b.node, budget)
}

/// Two equations are the same when one is a multiple of the other. Others may have the same solutions all the same,
/// unless they are of first degree.
fn same_equation(a: &Scalar, b: &Scalar, budget: &mut Budget) -> Verdict {
    match proportional(a, b, budget) {
        Proportion::Positive | Proportion::Other => Verdict::Same,
        Proportion::None if a.is_linear() && b.is_linear() => Verdict::Different,
        _ => Verdict::Unknown,
    }
}

/// Whether one is a multiple of the other.
fn proportional(a: &Scalar, b: &Scalar, budget: &mut Budget) -> Proportion {
    if let (Some(x), Some(y)) = (&a.exact, &b.exact) {
        if let (Some((p, m)), Some((q, n))) = (x.monic(), y.monic())
            && p == q
        {
            return if m.is_positive() == n.is_positive() { Proportion::Positive } else { Proportion::Other };
        }
        let rational = |value: &Polynomial| value.is_independent() && value.has_rational_coefficients();
        if rational(x) && rational(y) {
            return Proportion::None;
        }
    }
    numeric::proportional(&a.node, &b.node, budget)
}

/// Ratios are the same when their parts are in proportion: `1:2` is `2:4`.
fn same_ratio(v: &[Value], w: &[Value], budget: &mut Budget) -> Verdict {
    if v.len() != w.len() {
        return Verdict::Different;
    }
    // Both of them times of day, `12:00` and `1:00`: then they are no ratios.
    let times = super::time::of_ratio(v, false).zip(super::time::of_ratio(w, false)).map(|(a, b)| a.same(&b));
    if let Some(verdict) = times {
        // `4:10` and `6:15` may still be meant as ratios.
        let in_proportion = verdict == Verdict::Different && proportion(v, w, budget).is_same();
        return if in_proportion { Verdict::Unknown } else { verdict };
    }
    let verdict = in_order(v, w, budget);
    if verdict.is_same() { verdict } else { proportion(v, w, budget) }
}

/// Whether the parts of two ratios are in proportion; nothing is where a part is none.
fn proportion(v: &[Value], w: &[Value], budget: &mut Budget) -> Verdict {
    let scalars = |items: &[Value]| -> Option<Vec<Polynomial>> {
        let of = |item: &Value| match item {
            Value::Scalar(scalar) => scalar.exact.clone(),
            _ => None,
        };
        items.iter().map(of).collect()
    };
    let (Some(v), Some(w)) = (scalars(v), scalars(w)) else { return Verdict::Unknown };
    let (Some(v0), Some(w0)) = (v.first(), w.first()) else { return Verdict::Unknown };
    if v.iter().chain(&w).any(Polynomial::is_zero) {
        return Verdict::known(v == w);
    }
    for (a, b) in v.iter().zip(&w).skip(1) {
        match (a.multiply(w0, budget), b.multiply(v0, budget)) {
            (Some(across), Some(back)) if across == back => {}
            (Some(across), Some(back)) if across.is_independent() && back.is_independent() => {
                return Verdict::Different;
            }
            _ => return Verdict::Unknown,
        }
    }
    Verdict::Same
}

fn same_sequence(x: Shape, v: &[Value], y: Shape, w: &[Value], budget: &mut Budget) -> Verdict {
    let unordered = |shape| matches!(shape, Shape::Bare | Shape::Set);
    if unordered(x) && unordered(y) {
        // `x = 1, y = 2` against `1, 2`: with two names, order says which is which.
        let ordered = has_two_names(v) != has_two_names(w);
        return if ordered { in_order(v, w, budget) } else { in_any_order(v, w, budget) };
    }
    // A set of one is its element, `\{(1, 2)\}`.
    match (x, v, y, w) {
        (Shape::Set, [item], _, _) if y != Shape::Set => {
            return same(item, &Value::Sequence(y, w.to_vec()), budget);
        }
        (_, _, Shape::Set, [item]) if x != Shape::Set => {
            return same(item, &Value::Sequence(x, v.to_vec()), budget);
        }
        _ => {}
    }
    // Of three items or more no bracket makes an interval.
    if v.len() > 2 && matches!((x, y), (Shape::Round, Shape::Square) | (Shape::Square, Shape::Round)) {
        return in_order(v, w, budget);
    }
    // `(1, 2)` and `[1, 2]` may be written without brackets, but then in that order.
    let bare = |bare, other| bare == Shape::Bare && matches!(other, Shape::Round | Shape::Square);
    if x == y || bare(x, y) || bare(y, x) { in_order(v, w, budget) } else { Verdict::Different }
}

fn has_two_names(items: &[Value]) -> bool {
    let mut names = items.iter().filter_map(|item| match item {
        Value::Named { name, .. } => Some(name),
        _ => None,
    });
    let first = names.next();
    names.any(|name| Some(name) != first)
}

fn in_order(v: &[Value], w: &[Value], budget: &mut Budget) -> Verdict {
    if v.len() != w.len() {
        return Verdict::Different;
    }
    v.iter().zip(w).fold(Verdict::Same, |verdict, (a, b)| verdict.and(|| same(a, b, budget)))
}

/// Whether the items can be paired so that each pair is the same. A greedy choice would not do: `12, 12 cm` and
/// `12 cm, 12 m` can be paired, but not if 12 takes 12 cm. `Different` where they could not even be paired if all that
/// is unknown were the same.
fn in_any_order(v: &[Value], w: &[Value], budget: &mut Budget) -> Verdict {
    if v.len() != w.len() {
        return Verdict::Different;
    }
    if v.len() > MAX_MATCHING {
        return Verdict::Unknown;
    }
    let mut pairs = Pairs { v, w, verdicts: vec![None; v.len() * w.len()] };
    if pairs.can_be_matched(&mut |verdict| verdict == Verdict::Same, budget) {
        return Verdict::Same;
    }
    let possible = pairs.can_be_matched(&mut |verdict| verdict != Verdict::Different, budget);
    if possible || budget.is_spent() { Verdict::Unknown } else { Verdict::Different }
}

/// The verdicts on all pairs of two lists, each found when it is asked for.
struct Pairs<'a> {
    v: &'a [Value],
    w: &'a [Value],
    verdicts: Vec<Option<Verdict>>,
}

impl Pairs<'_> {
    fn verdict(&mut self, a: usize, b: usize, budget: &mut Budget) -> Verdict {
        let at = a * self.w.len() + b;
        match self.verdicts[at] {
            Some(verdict) => verdict,
            None => {
                let verdict = same(&self.v[a], &self.w[b], budget);
                self.verdicts[at] = Some(verdict);
                verdict
            }
        }
    }

    /// Augmenting paths (Kuhn 1955): whether each item of one list gets one of the other that it may be paired with.
    fn can_be_matched(&mut self, may: &mut dyn FnMut(Verdict) -> bool, budget: &mut Budget) -> bool {
        let mut partner = vec![None; self.w.len()];
        (0..self.v.len()).all(|a| {
            let mut tried = vec![false; self.w.len()];
            self.augment(a, &mut partner, &mut tried, may, budget)
        })
    }

    fn augment(
        &mut self,
        a: usize,
        partner: &mut [Option<usize>],
        tried: &mut [bool],
        may: &mut dyn FnMut(Verdict) -> bool,
        budget: &mut Budget,
    ) -> bool {
        // First one that is free, so that lists which are alike need no path.
        for free_only in [true, false] {
            for b in 0..self.w.len() {
                if tried[b] || free_only != partner[b].is_none() || !may(self.verdict(a, b, budget)) {
                    continue;
                }
                tried[b] = true;
                let is_free = match partner[b] {
                    None => true,
                    Some(other) => self.augment(other, partner, tried, may, budget),
                };
                if is_free {
                    partner[b] = Some(a);
                    return true;
                }
            }
        }
        false
    }
}
