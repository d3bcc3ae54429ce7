//! Whether two meanings are the same. Each rule is one line of docs/equivalence.md.

use super::value::{Scalar, Value};
use crate::math::budget::Budget;
use crate::math::node::{Relation, Shape};
use crate::math::numeric;
use crate::math::polynomial::Polynomial;

/// Unordered lists longer than this are compared by keys alone.
const MAX_MATCHING: usize = 48;

/// Whether two values are the same answer.
pub(super) fn same(a: &Value, b: &Value, budget: &mut Budget) -> bool {
    if budget.enter().is_none() {
        return false;
    }
    let same = same_inner(a, b, budget);
    budget.leave();
    same
}

fn same_inner(a: &Value, b: &Value, budget: &mut Budget) -> bool {
    use Value::{Based, Chain, Equation, Inequality, Matrix, Named, Quantity, Ratio};
    use Value::{Scalar, Sequence, SetOperation, Text, Union};
    match (a, b) {
        (Named { name: x, value: v, equation: p }, Named { name: y, value: w, equation: q }) => {
            x == y && same(v, w, budget)
                || matches!((p, q), (Some(p), Some(q)) if proportional(p, q, budget).is_some())
        }
        (Named { equation, .. }, Equation(other)) | (Equation(other), Named { equation, .. }) => {
            equation.as_ref().is_some_and(|equation| proportional(equation, other, budget).is_some())
        }
        (Named { value, .. }, other) | (other, Named { value, .. }) => same(value, other, budget),
        (Quantity(v, unit), Quantity(w, other)) => unit == other && same(v, w, budget),
        (Quantity(value, _), other) | (other, Quantity(value, _)) => same(value, other, budget),
        (Scalar(a), Scalar(b)) => same_scalar(a, b, budget),
        (Equation(a), Equation(b)) => proportional(a, b, budget).is_some(),
        (Inequality { difference: a, strict: x }, Inequality { difference: b, strict: y }) => {
            x == y && proportional(a, b, budget) == Some(true)
        }
        (Sequence(Shape::Square, rows), Matrix(cells)) | (Matrix(cells), Sequence(Shape::Square, rows)) => {
            rows.len() == cells.len()
                && rows.iter().zip(cells).all(|(row, cells)| match row {
                    Sequence(Shape::Square, row) => in_order(row, cells, budget),
                    _ => false,
                })
        }
        (Sequence(x, v), Sequence(y, w)) => same_sequence(*x, v, *y, w, budget),
        (Sequence(Shape::Set, items), other) | (other, Sequence(Shape::Set, items)) => {
            matches!(items.as_slice(), [item] if same(item, other, budget))
        }
        (Union(v), Union(w)) => in_any_order(v, w, budget),
        (SetOperation(x, v), SetOperation(y, w)) => x == y && in_order(v, w, budget),
        (Matrix(v), Matrix(w)) => {
            v.len() == w.len() && v.iter().zip(w).all(|(row, other)| in_order(row, other, budget))
        }
        (Chain(v, x), Chain(w, y)) => x == y && in_order(v, w, budget) || reversed(v, x, w, y, budget),
        (Ratio(v), Ratio(w)) => in_order(v, w, budget),
        (Based(v, x), Based(w, y)) => v == w && x == y,
        (Text(v), Text(w)) => v == w,
        _ => false,
    }
}

/// `a != b` is `b != a`.
fn reversed(v: &[Value], x: &[Relation], w: &[Value], y: &[Relation], budget: &mut Budget) -> bool {
    x == [Relation::NotEqual]
        && y == [Relation::NotEqual]
        && matches!((v, w), ([a, b], [c, d]) if same(a, d, budget) && same(b, c, budget))
}

/// Exact forms decide where they can; else numeric evaluation.
fn same_scalar(a: &Scalar, b: &Scalar, budget: &mut Budget) -> bool {
    if a.key == b.key {
        return true;
    }
    if let (Some(x), Some(y)) = (&a.exact, &b.exact) {
        if x.is_independent() && y.is_independent() {
            return false;
        }
        // Equal but for a known constant: `\sin 1 + 10^{-40}` against `\sin 1`.
        if let Some(gap) = x.add(&y.negative(), budget)
            && gap.is_independent()
        {
            return false;
        }
    }
    numeric::same_value(&a.node, &b.node, budget)
}

/// Whether one is a multiple of the other; `Some(true)` if by a positive factor.
fn proportional(a: &Scalar, b: &Scalar, budget: &mut Budget) -> Option<bool> {
    if let (Some(x), Some(y)) = (&a.exact, &b.exact) {
        if let (Some((p, m)), Some((q, n))) = (x.monic(), y.monic())
            && p == q
        {
            return Some((m > num_traits::Zero::zero()) == (n > num_traits::Zero::zero()));
        }
        let rational = |value: &Polynomial| value.is_independent() && value.has_rational_coefficients();
        if rational(x) && rational(y) {
            return None;
        }
    }
    numeric::proportional(&a.node, &b.node, budget)
}

fn same_sequence(x: Shape, v: &[Value], y: Shape, w: &[Value], budget: &mut Budget) -> bool {
    let unordered = |shape| matches!(shape, Shape::Bare | Shape::Set);
    if unordered(x) && unordered(y) {
        // `x = 1, y = 2` against `1, 2`: with two names, order says which is which.
        let ordered = has_two_names(v) != has_two_names(w);
        return if ordered { in_order(v, w, budget) } else { in_any_order(v, w, budget) };
    }
    // `(1, 2)` and `[1, 2]` may be written without brackets, but then in that order.
    let bare = |bare, other| bare == Shape::Bare && matches!(other, Shape::Round | Shape::Square);
    (x == y || bare(x, y) || bare(y, x)) && in_order(v, w, budget)
}

fn has_two_names(items: &[Value]) -> bool {
    let mut names = items.iter().filter_map(|item| match item {
        Value::Named { name, .. } => Some(name),
        _ => None,
    });
    let first = names.next();
    names.any(|name| Some(name) != first)
}

fn in_order(v: &[Value], w: &[Value], budget: &mut Budget) -> bool {
    v.len() == w.len() && v.iter().zip(w).all(|(a, b)| same(a, b, budget))
}

fn in_any_order(v: &[Value], w: &[Value], budget: &mut Budget) -> bool {
    if v.len() != w.len() || v.len() > MAX_MATCHING {
        return false;
    }
    let mut free: Vec<&Value> = w.iter().collect();
    v.iter().all(|a| match free.iter().position(|b| same(a, b, budget)) {
        Some(at) => {
            free.swap_remove(at);
            true
        }
        None => false,
    })
}
