//! What an answer means: the parser's tree brought into a form that can be compared.
//!
//! Here names meet values (`x = 5`), inequalities become intervals, `±` becomes two answers, sums and products of
//! matrices are worked out. Comparison itself is in `compare`.

use super::chain;
use super::time::{Date, Duration, Time};
use crate::letters::lowercase;
use crate::math::budget::Budget;
use crate::math::exact::exact;
use crate::math::infinity;
use crate::math::node::{Node, Relation, Shape};
use crate::math::number::{BigInt, BigRational};
use crate::math::polynomial::{Atom, Polynomial};
use crate::math::units;

/// An expression with its exact value where there is one.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) node: Node,
    pub(super) exact: Option<Polynomial>,
    pub(super) key: String,
}

impl Scalar {
    pub(super) fn new(node: Node, budget: &mut Budget) -> Self {
        if infinity::has_infinity(&node) {
            // What is not one of the two infinities (`∞ - ∞`) has no value, and is the same as its own text alone.
            return match infinity::infinity_of(&node, budget) {
                Some(node) => {
                    let exact = exact(&node, budget);
                    let key = exact.as_ref().map_or_else(|| format!("~{}", node.key()), Polynomial::key);
                    Self { node, exact, key }
                }
                None => Self { key: format!("~{}", node.key()), exact: None, node },
            };
        }
        let exact = exact(&node, budget);
        let key = match &exact {
            Some(value) => value.key(),
            None => format!("~{}", node.key()),
        };
        Self { node, exact, key }
    }

    /// The value and the places of a decimal that was written out to ten digits or more.
    pub(super) fn long_decimal(&self) -> Option<(&BigRational, u32, usize)> {
        let value = match &self.node {
            Node::Number(value) => value,
            Node::Negative(inner) if matches!(**inner, Node::Number(_)) => {
                self.exact.as_ref().and_then(Polynomial::rational)?
            }
            _ => return None,
        };
        long_decimal(value).map(|(places, digits)| (value, places, digits))
    }

    /// Whether its variables occur to the first power at most.
    pub(super) fn is_linear(&self) -> bool {
        self.exact.as_ref().is_some_and(|value| {
            value.terms().all(|(monomial, _)| {
                let mut variables =
                    monomial.iter().filter(|(atom, _)| !matches!(atom, Atom::Prime(_) | Atom::Pi | Atom::E));
                match (variables.next(), variables.next()) {
                    (None, _) => true,
                    (Some((Atom::Variable(_), exponent)), None) => exponent.is_one(),
                    _ => false,
                }
            })
        })
    }
}

/// The number of decimal places of a decimal with ten significant digits or more, and of those digits. Fewer say only about
/// what it is.
pub(super) fn long_decimal(value: &BigRational) -> Option<(u32, usize)> {
    const DIGITS: usize = 10;
    const MOST_PLACES: u32 = 30;
    // Most denominators have few digits, and then there are not ten of them.
    let mut rest = value.denom().to_u128()?;
    let (mut twos, mut fives) = (0u32, 0u32);
    for (prime, count) in [(2, &mut twos), (5, &mut fives)] {
        while *count <= MOST_PLACES && rest % prime == 0 {
            rest /= prime;
            *count += 1;
        }
    }
    let places = twos.max(fives);
    if rest != 1 || places == 0 || places > MOST_PLACES {
        return None;
    }
    let digits = value.numer().abs() * BigInt::from(10).pow(places) / value.denom();
    if digits.bits() < 30 {
        return None;
    }
    let digits = digits.to_string().len();
    (digits >= DIGITS).then_some((places, digits))
}

/// A decimal of so many digits may be a double as a program prints it.
pub(super) const DOUBLE_DIGITS: std::ops::RangeInclusive<usize> = 16..=17;

/// The meaning of an answer.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    /// A value and its unit in canonical spelling.
    Quantity(Box<Value>, String),
    /// `12 m`: twelve times a variable, or twelve metres beside somebody who writes them out.
    UnitLetter {
        product: Scalar,
        value: Box<Value>,
        unit: String,
    },
    /// A choice letter with what stands beside it.
    Choice(char, Box<Value>),
    /// A time of day.
    Time(Time),
    /// A date.
    Date(Date),
    /// A length of time in several units: `2 h 30 min`.
    Duration(Duration),
    /// `name = value`; with variables in the value it is an equation too: the difference of its sides.
    Named {
        name: String,
        value: Box<Value>,
        equation: Option<Scalar>,
    },
    /// An equation, as the difference of its sides.
    Equation(Scalar),
    /// `difference > 0`, or `>= 0` when not strict.
    Inequality {
        difference: Scalar,
        strict: bool,
    },
    Sequence(Shape, Vec<Value>),
    Union(Vec<Value>),
    SetOperation(char, Vec<Value>),
    Matrix(Vec<Vec<Value>>),
    Chain(Vec<Value>, Vec<Relation>),
    Ratio(Vec<Value>),
    Based(String, u32),
    Text(String),
}

impl Value {
    /// The meaning of a tree; `None` when it has none (a sum of a number and a set) or the budget is spent.
    pub(super) fn of(node: Node, budget: &mut Budget) -> Option<Value> {
        budget.enter()?;
        let value = Self::build(node, budget);
        budget.leave();
        value
    }

    fn build(node: Node, budget: &mut Budget) -> Option<Value> {
        match node {
            Node::Sequence(shape @ (Shape::Bare | Shape::Set), items) => list(shape, items, budget),
            Node::Chain(sides, relations) => chain::chain(sides, relations, budget),
            node if node.any(&|node| matches!(node, Node::PlusMinus(..))) => both_signs(node, budget),
            Node::Sequence(shape, items) => Some(Value::Sequence(shape, all(items, budget)?)),
            Node::Union(items) => Some(union(all(items, budget)?)),
            Node::SetOperation('∩', items) if items.iter().all(|item| matches!(item, Node::Chain(..))) => {
                let items = all(items, budget)?;
                Some(chain::both(&items).unwrap_or(Value::Sequence(Shape::Bare, items)))
            }
            Node::SetOperation(operator, items) => Some(Value::SetOperation(operator, all(items, budget)?)),
            Node::Ratio(items) => Some(Value::Ratio(all(items, budget)?)),
            Node::Based(digits, base) => Some(Value::Based(digits.trim_start_matches('0').to_owned(), base)),
            Node::Negative(inner) if matches!(*inner, Node::Based(..)) => match *inner {
                Node::Based(digits, base) => {
                    Some(Value::Based(format!("-{}", digits.trim_start_matches('0')), base))
                }
                _ => None,
            },
            Node::Text(words) => Some(Value::Text(lowercase(&words))),
            Node::Quantity(inner, unit) => quantity(*inner, &unit, budget),
            Node::UnitLetter { product, inner, unit } => Some(Value::UnitLetter {
                product: Scalar::new(*product, budget),
                value: Box::new(Value::of(*inner, budget)?),
                unit: units::canonical(&unit),
            }),
            Node::Reals => {
                let infinity = Node::Variable("∞".to_owned());
                let ends = vec![Node::Negative(Box::new(infinity.clone())), infinity];
                Some(Value::Sequence(Shape::Round, all(ends, budget)?))
            }
            node if node.any(&is_unit_vector) => vector(&node, budget),
            node if node.any(&|node| matches!(node, Node::Matrix(_))) => {
                let mut rows = matrix(node, budget)?;
                // One cell alone is an array for its frame's sake.
                if let [row] = rows.as_mut_slice()
                    && row.len() == 1
                {
                    return Value::of(row.swap_remove(0), budget);
                }
                let rows = rows.into_iter().map(|row| all(row, budget));
                Some(Value::Matrix(rows.collect::<Option<_>>()?))
            }
            node if node.any(&is_structure) => None,
            node => Some(Value::Scalar(Scalar::new(node, budget))),
        }
    }

    /// The canonical key: equal keys mean equal values.
    pub(super) fn key(&self) -> String {
        match self {
            Value::Scalar(scalar) => scalar.key.clone(),
            Value::Quantity(value, unit) => format!("{}|{unit}", value.key()),
            Value::UnitLetter { product, .. } => format!("u:{}", product.key),
            Value::Choice(letter, words) => format!("{letter}) {}", words.key()),
            Value::Time(time) => time.key(),
            Value::Date(date) => date.key(),
            Value::Duration(duration) => duration.key(),
            Value::Named { name, value, .. } => format!("{name}:={}", value.key()),
            Value::Equation(difference) => match difference.exact.as_ref().and_then(Polynomial::monic) {
                Some((monic, _)) => format!("0={}", monic.key()),
                None => format!("0={}", difference.key),
            },
            Value::Inequality { difference, strict } => {
                format!("0{}{}", if *strict { "<" } else { "≤" }, difference.key)
            }
            Value::Sequence(shape @ (Shape::Bare | Shape::Set), items) => {
                format!("{shape:?}{}", sorted_keys(items))
            }
            Value::Sequence(shape, items) => format!("{shape:?}{}", keys(items)),
            Value::Union(items) => format!("∪{}", sorted_keys(items)),
            Value::SetOperation(operator, items) => format!("{operator}{}", keys(items)),
            Value::Matrix(rows) => {
                let rows: Vec<_> = rows.iter().map(|row| keys(row)).collect();
                format!("matrix({})", rows.join(";"))
            }
            Value::Chain(items, relations) => {
                let relations: String = relations.iter().map(|relation| format!("{relation:?},")).collect();
                format!("[{relations}]{}", keys(items))
            }
            Value::Ratio(items) => format!("ratio{}", keys(items)),
            Value::Based(digits, base) => format!("{digits}_{base}"),
            Value::Text(words) => format!("t:{words}"),
        }
    }
}

/// Keys in brackets, each with its length, so that no item can imitate a boundary.
fn keys(items: &[Value]) -> String {
    items.iter().map(|item| item.key()).map(|key| format!("({}:{key})", key.len())).collect()
}

fn sorted_keys(items: &[Value]) -> String {
    let mut keys: Vec<_> =
        items.iter().map(|item| item.key()).map(|key| format!("({}:{key})", key.len())).collect();
    crate::order::sort_texts(&mut keys);
    keys.concat()
}

pub(super) fn all(nodes: Vec<Node>, budget: &mut Budget) -> Option<Vec<Value>> {
    nodes.into_iter().map(|node| Value::of(node, budget)).collect()
}

/// A list or a set: `±` gives two items, and a set has no item twice.
fn list(shape: Shape, items: Vec<Node>, budget: &mut Budget) -> Option<Value> {
    let mut values: Vec<Value> = Vec::new();
    for item in items {
        let has_both = item.any(&|node| matches!(node, Node::PlusMinus(..)));
        match Value::of(item, budget)? {
            Value::Sequence(Shape::Bare, inner) if has_both => values.extend(inner),
            value => values.push(value),
        }
    }
    // A list of points is a set of solutions; a list of numbers may have a double root.
    if shape == Shape::Set || values.iter().all(|value| matches!(value, Value::Sequence(..))) {
        let keys: Vec<String> = values.iter().map(Value::key).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut first = crate::order::are_first(&keys).into_iter();
        values.retain(|_| first.next() == Some(true));
    }
    Some(Value::Sequence(shape, values))
}

/// The values of an expression with `±`: `∓` takes the opposite sign; several `±` without a `∓` are independent.
fn both_signs(node: Node, budget: &mut Budget) -> Option<Value> {
    let mut signs = 0;
    let mut tied = false;
    count_signs(&node, &mut signs, &mut tied);
    if signs > 4 {
        return None;
    }
    let choices = if tied { 2 } else { 1u32 << signs };
    let mut values: Vec<Value> = Vec::new();
    for choice in 0..choices {
        let pattern = if tied && choice == 1 { u32::MAX } else { choice };
        let value = Value::of(choose_signs(node.clone(), pattern, &mut 0), budget)?;
        if !values.iter().any(|other| other.key() == value.key()) {
            values.push(value);
        }
    }
    if values.len() == 1 { values.pop() } else { Some(Value::Sequence(Shape::Bare, values)) }
}

fn count_signs(node: &Node, signs: &mut u32, tied: &mut bool) {
    if let Node::PlusMinus(_, opposite) = node {
        *signs += 1;
        *tied |= opposite;
    }
    node.each_child(&mut |child| count_signs(child, signs, tied));
}

fn choose_signs(node: Node, pattern: u32, at: &mut u32) -> Node {
    if let Node::PlusMinus(inner, opposite) = node {
        let minus = (pattern >> (*at).min(31)) & 1 == 1;
        *at += 1;
        let inner = choose_signs(*inner, pattern, at);
        return if minus != opposite { Node::Negative(Box::new(inner)) } else { inner };
    }
    node.map_children(&mut |child| choose_signs(child, pattern, at))
}

fn quantity(inner: Node, unit: &str, budget: &mut Budget) -> Option<Value> {
    let (factor, unit) = units::split_multiplier(unit);
    let inner = match factor {
        Some(factor) => Node::Product(vec![inner, Node::Number(factor)]),
        None => inner,
    };
    let unit = units::canonical(unit);
    match Value::of(inner, budget)? {
        value if unit.is_empty() => Some(value),
        // `±5 cm` is two lengths.
        Value::Sequence(Shape::Bare, items) => {
            let items = items.into_iter().map(|item| Value::Quantity(Box::new(item), unit.clone())).collect();
            Some(Value::Sequence(Shape::Bare, items))
        }
        value => Some(Value::Quantity(Box::new(value), unit)),
    }
}

/// A union of sets, with the name that all of them have: `x < 3 or x > 5`.
fn union(items: Vec<Value>) -> Value {
    let name = |item: &Value| match item {
        Value::Named { name, .. } => Some(name.clone()),
        _ => None,
    };
    let first = items.first().and_then(name);
    let Some(first) = first.filter(|first| items.iter().all(|item| name(item).as_ref() == Some(first)))
    else {
        return Value::Union(items);
    };
    let value = |item: Value| match item {
        Value::Named { value, .. } => *value,
        item => item,
    };
    let union = Value::Union(items.into_iter().map(value).collect());
    Value::Named { name: first, value: Box::new(union), equation: None }
}

fn is_unit_vector(node: &Node) -> bool {
    matches!(node, Node::Variable(name) if name.starts_with("unit_"))
}

/// `\mathbf{i} + 2\mathbf{j}`: the components along the unit vectors.
fn vector(node: &Node, budget: &mut Budget) -> Option<Value> {
    const UNITS: [&str; 3] = ["unit_i", "unit_j", "unit_k"];
    let along = |unit: &str| {
        UNITS.iter().fold(node.clone(), |node, other| {
            node.substituted(other, &Node::integer(i64::from(*other == unit)))
        })
    };
    budget.take(node.size() * 9)?;
    // Nothing may be left without a unit vector, and no product of two.
    let none = UNITS.iter().fold(node.clone(), |node, unit| node.substituted(unit, &Node::integer(0)));
    if !exact(&none, budget)?.is_zero() {
        return None;
    }
    let doubled = UNITS.iter().fold(node.clone(), |node, unit| node.substituted(unit, &Node::integer(2)));
    let once = UNITS.iter().fold(node.clone(), |node, unit| node.substituted(unit, &Node::integer(1)));
    let twice = exact(&once, budget)?.scale(&BigRational::from_integer(2.into()))?;
    if exact(&doubled, budget)? != twice {
        return None;
    }
    let count =
        if node.any(&|node| matches!(node, Node::Variable(name) if name == "unit_k")) { 3 } else { 2 };
    let components =
        UNITS[..count].iter().map(|unit| Value::Scalar(Scalar::new(along(unit), budget))).collect();
    Some(Value::Sequence(Shape::Round, components))
}

fn is_structure(node: &Node) -> bool {
    matches!(
        node,
        Node::Sequence(..)
            | Node::Union(_)
            | Node::SetOperation(..)
            | Node::Chain(..)
            | Node::Based(..)
            | Node::Ratio(_)
            | Node::Quantity(..)
            | Node::UnitLetter { .. }
            | Node::Text(_)
            | Node::Reals
            | Node::Matrix(_)
    )
}

/// The cells of a matrix expression: sums, products and multiples of matrices.
fn matrix(node: Node, budget: &mut Budget) -> Option<Vec<Vec<Node>>> {
    budget.take(1)?;
    match node {
        Node::Matrix(rows) => Some(rows),
        Node::Negative(inner) => scaled(matrix(*inner, budget)?, &Node::integer(-1), budget),
        Node::Sum(terms) => {
            let mut terms = terms.into_iter();
            let mut sum = matrix(terms.next()?, budget)?;
            for term in terms {
                let term = matrix(term, budget)?;
                if term.len() != sum.len() || term[0].len() != sum[0].len() {
                    return None;
                }
                for (row, other) in sum.iter_mut().zip(term) {
                    for (cell, other) in row.iter_mut().zip(other) {
                        budget.take(1)?;
                        *cell = Node::Sum(vec![std::mem::replace(cell, Node::integer(0)), other]);
                    }
                }
            }
            Some(sum)
        }
        Node::Product(factors) => {
            let mut product: Option<Vec<Vec<Node>>> = None;
            let mut factor = Vec::new();
            for part in factors {
                if !part.any(&|node| matches!(node, Node::Matrix(_))) {
                    factor.push(part);
                    continue;
                }
                let part = matrix(part, budget)?;
                product = Some(match product {
                    Some(left) => matrix_product(&left, &part, budget)?,
                    None => part,
                });
            }
            let product = product?;
            if factor.is_empty() { Some(product) } else { scaled(product, &Node::Product(factor), budget) }
        }
        _ => None,
    }
}

fn scaled(rows: Vec<Vec<Node>>, factor: &Node, budget: &mut Budget) -> Option<Vec<Vec<Node>>> {
    budget.take(factor.size() * (rows.len() * rows[0].len()) as u64)?;
    let scale = |cell: Node| Node::Product(vec![factor.clone(), cell]);
    Some(rows.into_iter().map(|row| row.into_iter().map(scale).collect()).collect())
}

fn matrix_product(left: &[Vec<Node>], right: &[Vec<Node>], budget: &mut Budget) -> Option<Vec<Vec<Node>>> {
    let inner = right.len();
    let width = right[0].len();
    if left[0].len() != inner {
        return None;
    }
    // Every cell is copied once for each cell of the other side's row or column.
    let size = |rows: &[Vec<Node>]| rows.iter().flatten().map(Node::size).sum::<u64>();
    budget.take(size(left) * width as u64 + size(right) * left.len() as u64)?;
    let cell = |row: &Vec<Node>, column: usize| {
        let term = |k: usize| Node::Product(vec![row[k].clone(), right[k][column].clone()]);
        Node::Sum((0..inner).map(term).collect())
    };
    Some(left.iter().map(|row| (0..width).map(|column| cell(row, column)).collect()).collect())
}

/// Whether an exact value is the number zero.
pub(super) fn is_zero(value: &Polynomial) -> bool {
    value.as_rational().is_some_and(|value| value.is_zero())
}
