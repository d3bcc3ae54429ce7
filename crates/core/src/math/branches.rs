//! Where expressions that are put together of pieces change from one piece to the next, and the points at which two
//! expressions are compared because of it.
//!
//! `|x-3|` is `3-x` on one side of 3 and `x-3` on the other, so agreement on one side says nothing about the other. The
//! places where pieces end are the zeros of the arguments of absolute values, roots, logarithms and signs, of the
//! differences inside a maximum, and the whole values inside a floor. Where such an argument is a polynomial its real
//! zeros are found, and every region between them gets a point that has to count; besides, all variables take sizes
//! from 1e-2 to 1e6 of both signs.

use super::budget::Budget;
use super::exact::exact;
use super::node::{Function, Node, Operation};
use super::numeric::{POINTS, Point, hash};
use super::polynomial::{Atom, Polynomial};

/// One point of comparison.
pub(super) struct Sample {
    /// Which of the fixed points gives the variables that are not set.
    pub seed: usize,
    /// The variables that are set.
    pub set: Vec<(String, f64)>,
    /// Whether nothing is known of its region unless both sides have a value here.
    pub is_needed: bool,
    /// Whether a floor or a ceiling takes a step exactly here, so that only exact arithmetic tells on which side it is.
    pub is_step: bool,
}

/// The points of comparison of two expressions.
pub(super) struct Samples {
    pub points: Vec<Sample>,
    /// Whether every region got its point; else agreement at the points shows nothing.
    pub is_complete: bool,
}

/// Sizes that a variable takes beside the fixed points, where pieces may end anywhere.
const SIZES: [f64; 12] =
    [0.011, 0.13, 0.71, 1.9, 3.7, 17.3, 71.9, 331.7, 967.3, 6_131.0, 70_951.0, 913_877.0];
/// Variables and zeros beyond these numbers are too many to try each.
const MOST_VARIABLES: usize = 4;
const MOST_BRANCHES: usize = 24;
const MOST_POINTS: usize = 1_500;
/// Polynomials of a higher degree than this are not solved.
const MOST_DEGREE: usize = 40;

/// The points at which two expressions with variables are compared.
pub(super) fn samples(a: &Node, b: &Node, budget: &mut Budget) -> Samples {
    let fixed = |seed| Sample { seed, set: Vec::new(), is_needed: false, is_step: false };
    let mut samples = Samples { points: (0..POINTS).map(fixed).collect(), is_complete: true };
    let mut whole = Vec::new();
    whole_variables(a, &mut whole);
    whole_variables(b, &mut whole);
    if !whole.is_empty() {
        // `n!` has a meaning for whole n alone.
        for (at, sample) in samples.points.iter_mut().enumerate() {
            sample.set = whole.iter().map(|name| (name.clone(), whole_value(name, at))).collect();
        }
    }
    let mut branches = Vec::new();
    collect(a, &mut branches, budget);
    collect(b, &mut branches, budget);
    if branches.is_empty() {
        return samples;
    }
    let mut names = Vec::new();
    variables(a, &mut names);
    variables(b, &mut names);
    // Pieces that end at whole values alone are not looked for.
    let has_steps = branches.iter().any(|branch| branch.ends == Ends::Steps);
    if !whole.is_empty()
        || names.len() > MOST_VARIABLES
        || branches.len() > MOST_BRANCHES
        || has_steps && names.len() > 1
    {
        samples.is_complete = false;
        return samples;
    }
    let (polynomials, has_others) = polynomials(&branches, &mut samples.is_complete, budget);
    // With one variable there is one line to look at; with more, several in the direction of each.
    let seeds: &[usize] = if names.len() == 1 { &[0] } else { &[0, 3, 5, 6] };
    for name in &names {
        for &seed in seeds {
            let fixed = samples.points[seed].set.clone();
            let point = Point { seed, set: &fixed };
            let mut points = Vec::new();
            let push_with: &mut dyn FnMut(f64, bool, bool) = &mut |value, is_needed, is_step| {
                let mut set = fixed.clone();
                set.push((name.clone(), value));
                points.push(Sample { seed, set, is_needed, is_step });
            };
            let mut push = |value: f64, is_needed: bool| push_with(value, is_needed, false);
            for size in SIZES {
                // Not the same numbers for all variables: `|x-y|` is nothing special at x = y.
                let size = size * (1.0 + (hash(name) % 97) as f64 / 1_000.0);
                push(size, false);
                push(-size, false);
            }
            let mut marks = Vec::new();
            for branch in &polynomials {
                // A root of the variable is no polynomial: it is left to the sizes above.
                let Some(mut shifted) = in_one_variable(&branch.value, name, point) else { continue };
                if shifted.len() > MOST_DEGREE + 1
                    || budget.take((shifted.len() * shifted.len()) as u64).is_none()
                {
                    samples.is_complete = false;
                    continue;
                }
                if branch.ends == Ends::Steps {
                    // Only steps at numbers that are written exactly in binary are looked at, and those of a line.
                    let is_exact = |value: f64| (value * 1_024.0).fract() == 0.0;
                    match shifted.as_slice() {
                        [_] => continue,
                        [offset, slope] if is_exact(*offset) && is_exact(*slope) && is_exact(1.0 / slope) => {
                        }
                        _ => {
                            samples.is_complete = false;
                            continue;
                        }
                    }
                }
                let shifts: &[f64] = match branch.ends {
                    Ends::Zeros => &[0.0],
                    Ends::Steps => &[-2.0, -1.0, 0.0, 1.0, 2.0, 3.0],
                    // Inside the domain of an inverse sine.
                    Ends::Somewhere => {
                        for inside in [-0.83, -0.47, -0.21, 0.13, 0.39, 0.71] {
                            shifted[0] -= inside;
                            zeros(&shifted).into_iter().for_each(|zero| push(zero, false));
                            shifted[0] += inside;
                        }
                        &[]
                    }
                };
                for shift in shifts {
                    shifted[0] -= shift;
                    marks_of(&shifted, &mut marks);
                    shifted[0] += shift;
                }
            }
            in_order(&mut marks);
            marks.dedup_by(|a, b| (*a - *b).abs() <= 1e-9 * b.abs().max(1e-9));
            let (Some(&first), Some(&last)) = (marks.first(), marks.last()) else {
                samples.points.append(&mut points);
                continue;
            };
            // Not by a half, which would be a whole number beside a step.
            push(first - 0.37 * (1.0 + first.abs()), true);
            push(last + 0.37 * (1.0 + last.abs()), true);
            for pair in marks.windows(2) {
                // A zero of a high order is found as several close to each other; nothing is certain between those.
                let is_wide = pair[1] - pair[0] > 1e-3 * pair[0].abs().max(1.0);
                push((pair[0] + pair[1]) / 2.0, is_wide);
            }
            // Pieces whose ends were not found end close to the others' more often than elsewhere.
            if has_others {
                for mark in &marks {
                    for size in [0.0071, 0.23, 0.83, 2.9, 31.7] {
                        push(mark - size, false);
                        push(mark + size, false);
                    }
                }
            }
            if has_steps {
                // Floors and ceilings differ at the steps alone.
                for mark in &marks {
                    let exact = (mark * 1_048_576.0).round() / 1_048_576.0;
                    if (exact - mark).abs() < 1e-9 {
                        push_with(exact, false, true);
                    }
                }
            }
            samples.points.append(&mut points);
        }
    }
    if samples.points.len() > MOST_POINTS {
        samples.is_complete = false;
        samples.points.truncate(MOST_POINTS);
    }
    samples
}

/// Where a piece ends.
struct Branch {
    argument: Node,
    ends: Ends,
}

#[derive(Clone, Copy, PartialEq)]
enum Ends {
    /// At the zeros of the argument.
    Zeros,
    /// Wherever the argument is a whole number.
    Steps,
    /// Somewhere: the argument has a domain, or takes its values again and again.
    Somewhere,
}

fn collect(node: &Node, branches: &mut Vec<Branch>, budget: &mut Budget) {
    if budget.take(1).is_none() || branches.len() > MOST_BRANCHES {
        return;
    }
    let mut push = |argument: &Node, ends: Ends| {
        if argument.has_variables() {
            branches.push(Branch { argument: argument.clone(), ends });
        }
    };
    match node {
        Node::Call(Function::Abs | Function::Sign | Function::Ln, argument) => push(argument, Ends::Zeros),
        Node::Call(Function::Floor | Function::Ceil, argument) => push(argument, Ends::Steps),
        // They undo a function that takes a value again and again.
        Node::Call(Function::Arcsin | Function::Arccos | Function::Arctan, argument) => {
            push(argument, Ends::Somewhere);
        }
        Node::Log(_, argument) | Node::Root(_, argument) => push(argument, Ends::Zeros),
        Node::Power(base, exponent) if !exponent.is_integer() && !is_whole(exponent) => {
            push(base, Ends::Zeros)
        }
        Node::Many(Operation::Max | Operation::Min, items) => {
            for (at, item) in items.iter().enumerate().take(MOST_BRANCHES) {
                for other in &items[..at] {
                    let difference = Node::Sum(vec![item.clone(), Node::Negative(Box::new(other.clone()))]);
                    push(&difference, Ends::Zeros);
                }
            }
        }
        Node::Many(Operation::Mod, items) => items.iter().for_each(|item| push(item, Ends::Steps)),
        _ => {}
    }
    node.each_child(&mut |child| collect(child, branches, budget));
}

fn is_whole(node: &Node) -> bool {
    match node {
        Node::Negative(inner) => is_whole(inner),
        node => node.is_integer(),
    }
}

/// A branch whose argument is a polynomial.
struct Solvable {
    value: Polynomial,
    ends: Ends,
}

/// The polynomials whose zeros are ends of pieces. An argument that has pieces of its own stands for each of them. What is
/// no polynomial (`|\sin x|`) is left to the fixed sizes; whether there was any.
fn polynomials(branches: &[Branch], is_complete: &mut bool, budget: &mut Budget) -> (Vec<Solvable>, bool) {
    let mut polynomials: Vec<Solvable> = Vec::new();
    let mut has_others = false;
    for branch in branches {
        let ends = branch.ends;
        let mut pieces = vec![branch.argument.clone()];
        for _ in 0..3 {
            let mut next = Vec::new();
            for piece in pieces {
                match piece_of(&piece, &mut 0) {
                    Some((left, right)) => next.extend([left, right]),
                    None => next.push(piece),
                }
            }
            pieces = next;
        }
        for piece in pieces {
            if budget.take(piece.size()).is_none() || polynomials.len() > MOST_POINTS / 16 {
                *is_complete = false;
                return (polynomials, has_others);
            }
            // A logarithm is zero where its argument is one.
            let piece = match piece {
                Node::Call(Function::Ln, inner) | Node::Log(_, inner) if ends == Ends::Zeros => {
                    Node::Sum(vec![*inner, Node::integer(-1)])
                }
                piece => piece,
            };
            let Some(value) = exact(&piece, budget) else {
                has_others = true;
                continue;
            };
            let has_roots = value
                .terms()
                .any(|(monomial, _)| monomial.iter().any(|(_, exponent)| !exponent.is_integer()));
            if value.has_atom(|atom| matches!(atom, Atom::Opaque(_) | Atom::I)) {
                has_others = true;
                continue;
            }
            has_others |= has_roots;
            if value.has_atom(|atom| matches!(atom, Atom::Variable(_)))
                && !polynomials.iter().any(|known| known.ends == ends && known.value == value)
            {
                polynomials.push(Solvable { value, ends });
            }
        }
    }
    (polynomials, has_others)
}

/// The two pieces of the first absolute value or maximum of an expression.
fn piece_of(node: &Node, visited: &mut u32) -> Option<(Node, Node)> {
    *visited += 1;
    if *visited > 2_000 {
        return None;
    }
    match node {
        Node::Call(Function::Abs, inner) => {
            return Some(((**inner).clone(), Node::Negative(inner.clone())));
        }
        Node::Many(Operation::Max | Operation::Min, items) => {
            if let [left, right] = items.as_slice() {
                return Some((left.clone(), right.clone()));
            }
        }
        _ => {}
    }
    let children = node.children();
    let (at, (left, right)) =
        children.iter().enumerate().find_map(|(at, child)| Some((at, piece_of(child, visited)?)))?;
    let with = |piece: Node| {
        let (mut next, mut piece) = (0, Some(piece));
        node.clone().map_children(&mut |child| {
            next += 1;
            if next == at + 1 { piece.take().unwrap_or(child) } else { child }
        })
    };
    Some((with(left), with(right)))
}

/// The coefficients, the constant first, of a polynomial in one variable, with the other variables at their values.
/// `None`: it has a root of the variable, or a value that is no number. A polynomial without the variable has only its
/// constant.
fn in_one_variable(polynomial: &Polynomial, name: &str, point: Point) -> Option<Vec<f64>> {
    let mut coefficients = vec![0.0];
    // Times a power of the variable where it stands below a line: the zeros are the same.
    let own = |(atom, exponent): &(Atom, super::number::Rational64)| match atom {
        Atom::Variable(own) if **own == *name => Some(*exponent.numer()),
        _ => None,
    };
    let lowest = polynomial
        .terms()
        .filter_map(|(monomial, _)| monomial.iter().find_map(own))
        .min()
        .unwrap_or(0)
        .min(0);
    for (monomial, coefficient) in polynomial.terms() {
        let mut value = coefficient.to_f64();
        let mut degree = usize::try_from(lowest.unsigned_abs()).ok()?;
        for (atom, exponent) in monomial {
            let power = *exponent.numer() as f64 / *exponent.denom() as f64;
            let base = match atom {
                Atom::Variable(own) if **own == *name => {
                    if !exponent.is_integer() || exponent.numer().unsigned_abs() > 1_000 {
                        return None;
                    }
                    degree = usize::try_from(exponent.numer() - lowest).ok()?;
                    continue;
                }
                Atom::Variable(other) => point.value(other),
                Atom::Prime(prime) => *prime as f64,
                Atom::Pi => std::f64::consts::PI,
                Atom::E => std::f64::consts::E,
                Atom::I | Atom::Opaque(_) => return None,
            };
            value *= if exponent.is_integer() {
                base.powi(i32::try_from(*exponent.numer()).ok()?)
            } else {
                base.powf(power)
            };
        }
        if coefficients.len() <= degree {
            coefficients.resize(degree + 1, 0.0);
        }
        coefficients[degree] += value;
    }
    coefficients.iter().all(|value| value.is_finite()).then_some(coefficients)
}

/// Sorts the few marks that there are. The library's sorts would be a tenth of the smallest wasm module.
fn in_order(marks: &mut [f64]) {
    for at in 1..marks.len() {
        let mut to = at;
        while to > 0 && marks[to] < marks[to - 1] {
            marks.swap(to, to - 1);
            to -= 1;
        }
    }
}

/// The real zeros of a polynomial and of its derivative: between two neighbouring zeros lies one of the derivative, so
/// even those that lie close together are told apart.
fn marks_of(coefficients: &[f64], marks: &mut Vec<f64>) {
    let mut coefficients = coefficients;
    while let [rest @ .., 0.0] = coefficients {
        coefficients = rest;
    }
    if coefficients.len() < 2 {
        return;
    }
    let derivative: Vec<f64> =
        coefficients.iter().enumerate().skip(1).map(|(at, value)| value * at as f64).collect();
    let turns = zeros(&derivative);
    marks.extend(zeros_between(coefficients, &turns));
    marks.extend(turns);
}

/// The real zeros at which a polynomial changes its sign, ascending, by those of its derivative.
fn zeros(coefficients: &[f64]) -> Vec<f64> {
    if coefficients.len() < 2 {
        return Vec::new();
    }
    let derivative: Vec<f64> =
        coefficients.iter().enumerate().skip(1).map(|(at, value)| value * at as f64).collect();
    zeros_between(coefficients, &zeros(&derivative))
}

fn zeros_between(coefficients: &[f64], turns: &[f64]) -> Vec<f64> {
    let Some(leading) = coefficients.last().filter(|value| **value != 0.0) else { return Vec::new() };
    if let [offset, slope] = coefficients {
        return vec![-offset / slope];
    }
    // Cauchy's bound.
    let bound = 1.0 + coefficients.iter().map(|value| (value / leading).abs()).fold(0.0, f64::max);
    let at = |x: f64| coefficients.iter().rev().fold(0.0, |value, coefficient| value * x + coefficient);
    let mut ends = vec![-bound];
    ends.extend(turns.iter().filter(|turn| turn.abs() < bound));
    ends.push(bound);
    let mut found = Vec::new();
    for pair in ends.windows(2) {
        let (mut low, mut high) = (pair[0], pair[1]);
        let sign = at(low).signum();
        if at(low) == 0.0 {
            found.push(low);
            continue;
        }
        if at(high).signum() == sign || at(high) == 0.0 {
            continue;
        }
        for _ in 0..80 {
            let middle = (low + high) / 2.0;
            if at(middle).signum() == sign { low = middle } else { high = middle }
        }
        found.push(low);
    }
    found
}

/// The names of the variables that occur, without the indices of sums.
fn variables(node: &Node, names: &mut Vec<String>) {
    match node {
        Node::Variable(name) if name != "∞" && !names.contains(name) => names.push(name.clone()),
        Node::Repeated { index: bound, from, to, body, .. }
        | Node::Integral { variable: bound, from, to, body } => {
            variables(from, names);
            variables(to, names);
            let mut inside = Vec::new();
            variables(body, &mut inside);
            inside.retain(|name| name != bound && !names.contains(name));
            names.extend(inside);
        }
        _ => node.each_child(&mut |child| variables(child, names)),
    }
}

/// The variables that stand for whole numbers: in factorials, binomials and the limits of sums.
fn whole_variables(node: &Node, names: &mut Vec<String>) {
    match node {
        Node::Factorial(inner) => variables(inner, names),
        Node::Binomial(n, k) => {
            variables(n, names);
            variables(k, names);
        }
        Node::Repeated { from, to, .. } => {
            variables(from, names);
            variables(to, names);
        }
        _ => {}
    }
    node.each_child(&mut |child| whole_variables(child, names));
}

/// Whole values from 3 on, of several sizes and parities, other ones for each name.
fn whole_value(name: &str, at: usize) -> f64 {
    3.0 + ((hash(name) % 5) as usize + at * (at + 3) / 2) as f64
}

#[cfg(test)]
mod tests {
    use super::{marks_of, zeros};

    #[test]
    fn zeros_are_found_and_those_close_together_are_told_apart() {
        let close = |found: Vec<f64>, expected: &[f64]| {
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{found:?}");
            }
        };
        close(zeros(&[-3.0, 1.0]), &[3.0]);
        close(zeros(&[6.0, -5.0, 1.0]), &[2.0, 3.0]);
        close(zeros(&[1.0, 0.0, 1.0]), &[]);
        close(zeros(&[0.0, -4.0, 0.0, 1.0]), &[-2.0, 0.0, 2.0]);
        close(zeros(&[300.0 * 299.99, -599.99, 1.0]), &[299.99, 300.0]);
        close(zeros(&[5.0]), &[]);
        // A double zero is no change of sign, but its place is a mark.
        let mut marks = Vec::new();
        marks_of(&[9.0, -6.0, 1.0], &mut marks);
        assert!(marks.iter().any(|mark| (mark - 3.0).abs() < 1e-12), "{marks:?}");
    }
}
