//! Relations: names with their values, equations, inequalities, membership.
//!
//! - `x = 5 + 6 = 11`: the name is the first side, the value the last exact one (`= 1/3 \approx 0.33` is 1/3).
//! - `128 - 22 = 106`: no name; the value is the last side.
//! - `2x + 4y = 3`: an equation, the same as its multiples.
//! - `-2 \le x \le 7`, `x \in [-2, 7]`: the name `x` and the interval.

use super::value::{Scalar, Value, all, is_zero};
use crate::letters::lowercase;
use crate::math::budget::Budget;
use crate::math::exact::exact;
use crate::math::node::{Function, Node, Relation, Shape};
use crate::math::number::BigRational;
use crate::math::polynomial::{Atom, Polynomial};

/// The meaning of a chain of relations.
pub(super) fn chain(sides: Vec<Node>, relations: Vec<Relation>, budget: &mut Budget) -> Option<Value> {
    use Relation::{Approximate, Equal, Greater, GreaterEqual, In, Less, LessEqual};
    if relations.iter().all(|relation| matches!(relation, Equal | Approximate)) {
        return equalities(sides, &relations, budget);
    }
    if relations.iter().all(|relation| matches!(relation, Less | LessEqual)) {
        return inequality(sides, relations, budget);
    }
    if relations.iter().all(|relation| matches!(relation, Greater | GreaterEqual)) {
        let flipped = relations.iter().rev().map(|r| if *r == Greater { Less } else { LessEqual }).collect();
        return inequality(sides.into_iter().rev().collect(), flipped, budget);
    }
    if let ([left, right], [Relation::NotEqual]) = (sides.as_slice(), relations.as_slice())
        && let Some(value) = all_but(left, right, budget)
    {
        return Some(value);
    }
    if let ([_, _], [In]) = (sides.as_slice(), relations.as_slice()) {
        let mut sides = sides.into_iter();
        let (element, set) = (sides.next()?, sides.next()?);
        return Some(Value::Named {
            name: name_of(&element, budget)?,
            value: Box::new(Value::of(set, budget)?),
            equation: None,
        });
    }
    Some(Value::Chain(all(sides, budget)?, relations))
}

fn equalities(mut sides: Vec<Node>, relations: &[Relation], budget: &mut Budget) -> Option<Value> {
    let first_name = name_of(&sides[0], budget);
    // What stands after `≈` is a rounding, unless nothing else gives the value.
    let exact_sides = 1 + relations.iter().take_while(|relation| **relation == Relation::Equal).count();
    if exact_sides > 1 || first_name.is_none() {
        sides.truncate(exact_sides);
    }
    if sides.len() == 1 {
        return Value::of(sides.pop()?, budget);
    }
    let last = sides.last()?;
    if let Some(name) = first_name
        && !mentions(last, &sides[0])
    {
        return named(name, sides.pop()?, sides.swap_remove(0), budget);
    }
    if sides.len() == 2
        && !sides[0].has_variables()
        && let Some(name) = name_of(&sides[1], budget)
    {
        let value = sides.swap_remove(0);
        return named(name, value, sides.pop()?, budget);
    }
    if !sides.iter().any(Node::has_variables) {
        return Value::of(sides.pop()?, budget);
    }
    if sides.len() > 2 {
        let relations = vec![Relation::Equal; sides.len() - 1];
        return Some(Value::Chain(all(sides, budget)?, relations));
    }
    let right = sides.pop()?;
    equation(sides.pop()?, right, budget).map(Value::Equation)
}

fn named(name: String, value: Node, side: Node, budget: &mut Budget) -> Option<Value> {
    let equation = if value.has_variables() && !has_sequence(&side) && !has_sequence(&value) {
        equation(side, value.clone(), budget)
    } else {
        None
    };
    Some(Value::Named { name, value: Box::new(Value::of(value, budget)?), equation })
}

fn has_sequence(node: &Node) -> bool {
    node.any(&|node| {
        matches!(
            node,
            Node::Sequence(..) | Node::Text(_) | Node::Quantity(..) | Node::PlusMinus(..) | Node::Matrix(_)
        )
    })
}

/// `left - right` as a scalar; `None` when it vanishes: `x = x` says nothing.
fn equation(left: Node, right: Node, budget: &mut Budget) -> Option<Scalar> {
    let difference = Scalar::new(Node::Sum(vec![left, Node::Negative(Box::new(right))]), budget);
    match &difference.exact {
        Some(value) if is_zero(value) => None,
        _ => Some(difference),
    }
}

/// What an equation names that was announced as an answer, though its left side is no single name: `m+n = 293` says 293.
/// The side is a sum, difference, product or quotient of bare names.
pub(super) fn announced(node: &Node, budget: &mut Budget) -> Option<Value> {
    let Node::Chain(sides, relations) = node else { return None };
    let exact = 1 + relations.iter().take_while(|relation| **relation == Relation::Equal).count();
    let last = sides.get(exact - 1).filter(|last| exact > 1 && !last.has_variables())?;
    let first = &sides[0];
    if !relations.iter().all(|relation| matches!(relation, Relation::Equal | Relation::Approximate))
        || !is_of_names(first)
    {
        return None;
    }
    let name = exact_key(first, budget)?;
    named(name, last.clone(), first.clone(), budget).map(|value| match value {
        // Also the equation that it is, so that it is the same as itself.
        Value::Named { name, value, .. } => {
            let equation = equation(first.clone(), last.clone(), budget);
            Value::Named { name, value, equation }
        }
        value => value,
    })
}

fn exact_key(node: &Node, budget: &mut Budget) -> Option<String> {
    exact(node, budget).map(|value| value.key())
}

fn is_of_names(node: &Node) -> bool {
    match node {
        Node::Variable(name) => name != "∞",
        Node::E | Node::I => true,
        Node::Sum(parts) => parts.iter().all(is_of_names),
        // A quotient, not a product: `xy = 1` says nothing of 1.
        Node::Product(parts) => {
            parts.iter().any(|part| matches!(part, Node::Inverse(_))) && parts.iter().all(is_of_names)
        }
        Node::Negative(inner) | Node::Inverse(inner) => is_of_names(inner),
        // `AC^2 = 256`
        Node::Power(base, exponent) => is_point(base) && exponent.is_integer(),
        _ => false,
    }
}

/// Whether a variable of `name` occurs in `value`.
fn mentions(value: &Node, name: &Node) -> bool {
    match name {
        Node::Variable(_) => value.any(&|node| node == name),
        _ => false,
    }
}

/// The text of a side that names something: a variable, a product or ratio of capitals (`AB`, `NO/BO`),
/// a tuple of names, a function of a name. Not a sum, and nothing with a number in it.
pub(super) fn name_of(node: &Node, budget: &mut Budget) -> Option<String> {
    budget.take(1)?;
    match node {
        Node::Variable(name) if name != "∞" => Some(name.clone()),
        Node::E => Some("e".to_owned()),
        Node::I => Some("i".to_owned()),
        Node::Text(words) => Some(lowercase(words)),
        Node::Apply(..) => exact(node, budget).map(|value| value.key()),
        Node::Degrees(inner) => name_of(inner, budget),
        Node::Quantity(inner, unit) => Some(format!("{} {unit}", name_of(inner, budget)?)),
        Node::Call(function, inner) => Some(format!("{function:?} {}", name_of(inner, budget)?)),
        Node::Inverse(inner) if is_point(inner) => Some(format!("1/{}", name_of(inner, budget)?)),
        Node::Product(parts) if parts.iter().all(is_point) => {
            let mut names = names_of(parts, budget)?;
            crate::order::sort_texts(&mut names);
            Some(names.join("*"))
        }
        Node::Ratio(parts) => Some(names_of(parts, budget)?.join(":")),
        Node::Sequence(Shape::Round, parts) => Some(format!("({})", names_of(parts, budget)?.join(","))),
        _ => None,
    }
}

/// Capital letters and their products and ratios: the points, segments and angles of geometry. `xy` is a product.
fn is_point(node: &Node) -> bool {
    match node {
        Node::Variable(name) => name.starts_with(|c: char| c.is_ascii_uppercase()),
        Node::Product(parts) => parts.iter().all(is_point),
        Node::Inverse(inner) => is_point(inner),
        _ => false,
    }
}

fn names_of(parts: &[Node], budget: &mut Budget) -> Option<Vec<String>> {
    parts.iter().map(|part| name_of(part, budget)).collect()
}

/// Ascending sides. A linear expression between constants becomes an interval for its variable.
fn inequality(mut sides: Vec<Node>, relations: Vec<Relation>, budget: &mut Budget) -> Option<Value> {
    let closed = |relation: Relation| relation == Relation::LessEqual;
    if let [low, middle, high] = sides.as_slice()
        && !low.has_variables()
        && !high.has_variables()
    {
        let ends = (Some((low, closed(relations[0]))), Some((high, closed(relations[1]))));
        if let Some(value) = interval(middle, ends.0, ends.1, budget) {
            return Some(value);
        }
    }
    if let [low, high] = sides.as_slice() {
        let closed = closed(relations[0]);
        if let Some(value) = within(low, high, closed, budget) {
            return Some(value);
        }
        let value = match (low.has_variables(), high.has_variables()) {
            (true, false) => interval(low, None, Some((high, closed)), budget),
            (false, true) => interval(high, Some((low, closed)), None, budget),
            (true, true) => {
                let difference = Node::Sum(vec![high.clone(), Node::Negative(Box::new(low.clone()))]);
                interval(&difference, Some((&Node::integer(0), closed)), None, budget)
            }
            (false, false) => None,
        };
        if let Some(value) = value {
            return Some(value);
        }
        let strict = relations[0] == Relation::Less;
        let high = sides.pop()?;
        if let Some(difference) = equation(high, sides.pop()?, budget) {
            return Some(Value::Inequality { difference: positive_monic(difference, budget), strict });
        }
        return None;
    }
    Some(Value::Chain(all(sides, budget)?, relations))
}

/// `x \ne 2`: all reals but one.
fn all_but(left: &Node, right: &Node, budget: &mut Budget) -> Option<Value> {
    let (name, value) = match (left.has_variables(), right.has_variables()) {
        (true, false) => (left, right),
        (false, true) => (right, left),
        _ => return None,
    };
    if !matches!(name, Node::Variable(_)) {
        return None;
    }
    either(
        interval(name, None, Some((value, false)), budget)?,
        interval(name, Some((value, false)), None, budget)?,
    )
}

/// Where two bounds of the same name hold at once: `x > 2 and x < 5` is the interval between them.
pub(super) fn both(items: &[Value]) -> Option<Value> {
    let parts = |value: &Value| match value {
        Value::Named { name, value, .. } => match &**value {
            Value::Sequence(shape, ends) => Some((name.clone(), *shape, ends.clone())),
            _ => None,
        },
        _ => None,
    };
    let [a, b] = items else { return None };
    let ((name, x, v), (other, y, w)) = (parts(a)?, parts(b)?);
    let is_infinite = |value: &Value| matches!(value, Value::Scalar(scalar) if scalar.key.contains('∞'));
    let ([v0, v1], [w0, w1]) = (v.as_slice(), w.as_slice()) else { return None };
    // One bound from below and one from above.
    let (low, low_shape, high, high_shape) =
        match (is_infinite(v0), is_infinite(v1), is_infinite(w0), is_infinite(w1)) {
            (false, true, true, false) => (v0, x, w1, y),
            (true, false, false, true) => (w0, y, v1, x),
            _ => return None,
        };
    let closed_low = matches!(low_shape, Shape::Square | Shape::SquareRound);
    let closed_high = matches!(high_shape, Shape::Square | Shape::RoundSquare);
    let shape = match (closed_low, closed_high) {
        (false, false) => Shape::Round,
        (true, true) => Shape::Square,
        (false, true) => Shape::RoundSquare,
        (true, false) => Shape::SquareRound,
    };
    let value = Box::new(Value::Sequence(shape, vec![low.clone(), high.clone()]));
    (name == other).then_some(Value::Named { name, value, equation: None })
}

/// The union of two named intervals.
fn either(left: Value, right: Value) -> Option<Value> {
    match (left, right) {
        (Value::Named { name, value: left, .. }, Value::Named { name: other, value: right, .. })
            if name == other =>
        {
            Some(Value::Named { name, value: Box::new(Value::Union(vec![*left, *right])), equation: None })
        }
        _ => None,
    }
}

/// `|x - 2| < 3` is an interval, `|x - 2| > 3` two of them; where the bound is positive.
fn within(low: &Node, high: &Node, closed: bool, budget: &mut Budget) -> Option<Value> {
    let is_positive = |node: &Node, budget: &mut Budget| {
        !node.has_variables()
            && crate::math::numeric::evaluate(node, 0.into(), budget)
                .is_some_and(|value| value.is_real() && value.re.hi > value.error)
    };
    let inside = |node: &Node| match node {
        Node::Call(Function::Abs, inner) => Some((**inner).clone()),
        _ => None,
    };
    if let Some(inner) = inside(low)
        && is_positive(high, budget)
    {
        let negative = Node::Negative(Box::new(high.clone()));
        return interval(&inner, Some((&negative, closed)), Some((high, closed)), budget);
    }
    let inner = inside(high).filter(|_| is_positive(low, budget))?;
    let negative = Node::Negative(Box::new(low.clone()));
    let below = interval(&inner, None, Some((&negative, closed)), budget)?;
    either(below, interval(&inner, Some((low, closed)), None, budget)?)
}

/// Scaled by the size of the leading coefficient, so that positive multiples are alike.
fn positive_monic(difference: Scalar, budget: &mut Budget) -> Scalar {
    let Some((monic, leading)) = difference.exact.as_ref().and_then(Polynomial::monic) else {
        return difference;
    };
    let exact = if leading.is_negative() { monic.negative() } else { monic };
    let _ = budget.take(1);
    Scalar { key: exact.key(), exact: Some(exact), node: difference.node }
}

type End<'a> = Option<(&'a Node, bool)>;

/// The name and interval of `low <= middle <= high`, where the middle is a name, or linear in one variable.
fn interval(middle: &Node, low: End, high: End, budget: &mut Budget) -> Option<Value> {
    let may_name = matches!(middle, Node::Variable(_) | Node::Apply(..) | Node::Text(_));
    let (name, slope, offset) = match name_of(middle, budget).filter(|_| may_name) {
        Some(name) => (name, None, None),
        None => {
            let (name, slope, offset) = linear(&exact(middle, budget)?)?;
            (name, Some(slope), Some(offset))
        }
    };
    let solve = |end: &Node, budget: &mut Budget| -> Option<Node> {
        let (Some(slope), Some(offset)) = (&slope, &offset) else { return Some(end.clone()) };
        // The offset keeps its tree by way of the middle at zero; exact ends are enough here.
        let value = exact(end, budget)?.add(&offset.negative(), budget)?.scale(&slope.recip())?;
        value.to_node()
    };
    let mut low = match low {
        Some((end, closed)) => Some((solve(end, budget)?, closed)),
        None => None,
    };
    let mut high = match high {
        Some((end, closed)) => Some((solve(end, budget)?, closed)),
        None => None,
    };
    if slope.as_ref().is_some_and(BigRational::is_negative) {
        std::mem::swap(&mut low, &mut high);
    }
    let infinity = || Node::Variable("∞".to_owned());
    let (low, low_closed) = low.unwrap_or_else(|| (Node::Negative(Box::new(infinity())), false));
    let (high, high_closed) = high.unwrap_or_else(|| (infinity(), false));
    let is_infinite = |node: &Node| node.any(&|node| matches!(node, Node::Variable(name) if name == "∞"));
    let shape = match (low_closed && !is_infinite(&low), high_closed && !is_infinite(&high)) {
        (false, false) => Shape::Round,
        (true, true) => Shape::Square,
        (false, true) => Shape::RoundSquare,
        (true, false) => Shape::SquareRound,
    };
    let value = Box::new(Value::Sequence(shape, all(vec![low, high], budget)?));
    Some(Value::Named { name, value, equation: None })
}

/// `slope * variable + offset` with a rational slope and a constant offset.
fn linear(value: &Polynomial) -> Option<(String, BigRational, Polynomial)> {
    let mut found = None;
    for (monomial, coefficient) in value.terms() {
        let has_variable =
            monomial.iter().any(|(atom, _)| matches!(atom, Atom::Variable(_) | Atom::Opaque(_)));
        match monomial {
            [(Atom::Variable(name), exponent)] if exponent.is_integer() && *exponent.numer() == 1 => {
                if found.is_some() {
                    return None;
                }
                found = Some((name.to_string(), coefficient.clone()));
            }
            _ if has_variable => return None,
            _ => {}
        }
    }
    let (name, slope) = found?;
    let offset = value.without_variables();
    Some((name, slope, offset))
}
