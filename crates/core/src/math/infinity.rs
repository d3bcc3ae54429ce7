//! Infinity in expressions: the extended reals, in which `∞ + 1` is `∞` and `∞ - ∞` has no value.

use super::budget::Budget;
use super::node::{Function, Node};
use super::numeric::evaluate;

/// The value of an expression in which infinity occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    /// `∞`
    Plus,
    /// `-∞`
    Minus,
    /// A finite value, by its sign.
    Finite(i8),
}

/// Whether infinity occurs in an expression.
pub fn has_infinity(node: &Node) -> bool {
    node.any(&|node| matches!(node, Node::Variable(name) if name == "∞"))
}

/// The infinity that an expression is; `None` for a finite value, an indeterminate form (`∞ - ∞`, `0 · ∞`, `∞/∞`, `1^∞`)
/// and whatever is not certain.
pub fn infinity_of(node: &Node, budget: &mut Budget) -> Option<Node> {
    let infinity = Node::Variable("∞".to_owned());
    match extended(node, budget)? {
        Extended::Plus => Some(infinity),
        Extended::Minus => Some(Node::Negative(Box::new(infinity))),
        Extended::Finite(_) => None,
    }
}

fn extended(node: &Node, budget: &mut Budget) -> Option<Extended> {
    use Extended::{Finite, Minus, Plus};
    budget.take(1)?;
    if !has_infinity(node) {
        let value = evaluate(node, 0.into(), budget).filter(|_| !node.has_variables())?;
        let is_zero = value.magnitude() <= value.error;
        if !value.is_real() || is_zero && value.error > 0.0 {
            return None;
        }
        return Some(Finite(if is_zero { 0 } else { value.re.hi.signum() as i8 }));
    }
    match node {
        Node::Variable(_) => Some(Plus),
        Node::Negative(inner) => Some(negative(extended(inner, budget)?)),
        Node::Sum(terms) => {
            let mut sum = Finite(0);
            for term in terms {
                sum = match (sum, extended(term, budget)?) {
                    (sum, Finite(_)) => sum,
                    (Finite(_), term) => term,
                    (sum, term) if sum == term => sum,
                    _ => return None,
                };
            }
            Some(sum)
        }
        Node::Product(factors) => {
            let mut product = Finite(1);
            for factor in factors {
                product = match (product, extended(factor, budget)?) {
                    (Finite(a), Finite(b)) => Finite(a * b),
                    (Finite(0), _) | (_, Finite(0)) => return None,
                    (infinite, Finite(sign)) | (Finite(sign), infinite) => {
                        if sign < 0 {
                            negative(infinite)
                        } else {
                            infinite
                        }
                    }
                    (a, b) => {
                        if a == b {
                            Plus
                        } else {
                            Minus
                        }
                    }
                };
            }
            Some(product)
        }
        Node::Root(index, radicand) if !has_infinity(index) => {
            (extended(radicand, budget)? == Plus && extended(index, budget)? == Finite(1)).then_some(Plus)
        }
        Node::Power(base, exponent) if !has_infinity(exponent) => {
            (extended(base, budget)? == Plus && extended(exponent, budget)? == Finite(1)).then_some(Plus)
        }
        Node::Call(Function::Ln | Function::Exp, argument) => {
            (extended(argument, budget)? == Plus).then_some(Plus)
        }
        Node::Call(Function::Abs, argument) => {
            matches!(extended(argument, budget)?, Plus | Minus).then_some(Plus)
        }
        _ => None,
    }
}

fn negative(value: Extended) -> Extended {
    match value {
        Extended::Plus => Extended::Minus,
        Extended::Minus => Extended::Plus,
        Extended::Finite(sign) => Extended::Finite(-sign),
    }
}
