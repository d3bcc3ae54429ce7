//! Simulated solvers: how a chain goes wrong.

use std::borrow::Cow;

use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::chain::{Operator, Step, write_solution};
use super::draw::{chance, pick, weighted, within};
use super::plan::{PlannedStep, Source};

/// Error rates of a step and how many problems have each.
const ERROR_RATES: [f64; 3] = [0.03, 0.12, 0.28];
const ERROR_RATE_WEIGHTS: [f64; 3] = [0.45, 0.35, 0.20];
/// How many problems have a trap.
const TRAP_SHARE: f64 = 0.62;
/// Rates at which samples fall into a trap, in thousandths.
const TRAP_RATE: [i64; 2] = [300, 900];

/// What a solver got wrong in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mistake {
    /// A digit of the result.
    Result,
    /// A digit of an operand.
    Operand,
    /// The operator.
    Operator,
}

impl Mistake {
    const ALL: [Mistake; 3] = [Mistake::Result, Mistake::Operand, Mistake::Operator];
    const WEIGHTS: [f64; 3] = [0.60, 0.25, 0.15];
    const TRAP_WEIGHTS: [f64; 3] = [0.20, 0.55, 0.25];
}

/// One digit written for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misprint {
    /// Ones, tens, ... from 0.
    place: u32,
    digit: i64,
}

impl Misprint {
    /// Another digit somewhere in `value`; no zero in front.
    fn draw<R: Rng + ?Sized>(rng: &mut R, value: i64) -> Self {
        let last = value.unsigned_abs().checked_ilog10().unwrap_or(0);
        let place = within(rng, 0, i64::from(last)) as u32;
        let lowest = i64::from(place == last && last > 0);
        let others: Vec<i64> = (lowest..=9).filter(|&digit| digit != digit_at(value, place)).collect();
        Self { place, digit: *pick(rng, &others) }
    }

    /// `value` with the misprint; a number without such a place stays as it is.
    fn on(self, value: i64) -> i64 {
        if value.unsigned_abs().checked_ilog10().unwrap_or(0) < self.place {
            return value;
        }
        let change = (self.digit - digit_at(value, self.place)) * 10i64.pow(self.place);
        if value < 0 { value - change } else { value + change }
    }
}

fn digit_at(value: i64, place: u32) -> i64 {
    (value.unsigned_abs() / 10u64.pow(place) % 10) as i64
}

/// A mistake with its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// In the left operand.
    Left(Misprint),
    /// In the right operand.
    Right(Misprint),
    /// Another operator.
    Operator(Operator),
    /// In the result.
    Result(Misprint),
}

impl Change {
    /// The particulars of `mistake` in a step with these operands.
    fn draw<R: Rng + ?Sized>(
        rng: &mut R,
        mistake: Mistake,
        step: &PlannedStep,
        left: i64,
        right: i64,
    ) -> Self {
        match mistake {
            Mistake::Result => Change::Result(Misprint::draw(rng, step.operator.apply(left, right))),
            Mistake::Operand => match misreadable(step) {
                [false, true] => Change::Right(Misprint::draw(rng, right)),
                [true, false] => Change::Left(Misprint::draw(rng, left)),
                _ if chance(rng, 0.5) => Change::Left(Misprint::draw(rng, left)),
                _ => Change::Right(Misprint::draw(rng, right)),
            },
            Mistake::Operator => Change::Operator(match step.operator {
                Operator::Times | Operator::Minus => Operator::Plus,
                Operator::Plus => Operator::Minus,
            }),
        }
    }
}

/// Which operands of a step are numbers of the problem.
fn misreadable(step: &PlannedStep) -> [bool; 2] {
    [step.left, step.right].map(|source| matches!(source, Source::Given(_)))
}

/// A mistake that a problem invites: every sample that falls into it makes the same one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trap {
    /// In which step.
    pub step: usize,
    /// What kind.
    pub mistake: Mistake,
    /// What exactly. None where the words leave no doubt, as with the operator of a product: nobody falls for it.
    pub change: Option<Change>,
    /// How probable it is that a sample falls into it.
    pub rate: f64,
}

/// How hard a problem is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difficulty {
    /// The probability of a mistake in a step.
    pub error_rate: f64,
    /// What it invites to.
    pub trap: Option<Trap>,
}

impl Difficulty {
    /// Draws the difficulty of a problem whose right results are `results`.
    pub fn draw<R: Rng + ?Sized>(rng: &mut R, plan: &[PlannedStep], results: &[i64]) -> Self {
        let error_rate = ERROR_RATES[weighted(rng, &ERROR_RATE_WEIGHTS)];
        if !chance(rng, TRAP_SHARE) {
            return Self { error_rate, trap: None };
        }
        let rate = within(rng, TRAP_RATE[0], TRAP_RATE[1]) as f64 / 1e3;
        let mistake = Mistake::ALL[weighted(rng, &Mistake::TRAP_WEIGHTS)];
        let step = within(rng, 0, plan.len() as i64 - 1) as usize;
        let (left, right) = (plan[step].left.value(results), plan[step].right.value(results));
        let is_clear = mistake == Mistake::Operator && plan[step].operator == Operator::Times;
        let change = (!is_clear).then(|| Change::draw(rng, mistake, &plan[step], left, right));
        Self { error_rate, trap: Some(Trap { step, mistake, change, rate }) }
    }
}

/// A simulated model.
#[derive(Debug, Clone, PartialEq)]
pub struct Solver {
    /// What candidates say in `model`.
    pub name: Cow<'static, str>,
    /// Its error rate in a step, as a multiple of the problem's.
    pub error_scale: f64,
}

impl Solver {
    /// Makes mistakes at the rates of the problems.
    pub const STANDARD: Solver = Solver::new("standard", 1.0);
    /// Three models whose mean error rates are those of the problems.
    pub const MIXED: [Solver; 3] = [Solver::new("careful", 0.5), Solver::STANDARD, Solver::new("hasty", 1.5)];

    const fn new(name: &'static str, error_scale: f64) -> Self {
        Solver { name: Cow::Borrowed(name), error_scale }
    }

    /// One sample. Mistakes propagate: a step is computed, rightly, from what was written before.
    pub fn attempt<R: Rng + ?Sized>(
        &self,
        rng: &mut R,
        plan: &[PlannedStep],
        difficulty: &Difficulty,
    ) -> Attempt {
        let trap = difficulty.trap.and_then(|trap| {
            // Drawn whether or not it can have an effect.
            let falls = chance(rng, trap.rate);
            Some((trap.step, trap.change.filter(|_| falls)?))
        });
        let error_rate = difficulty.error_rate * self.error_scale;
        let (mut steps, mut results, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
        for (place, planned) in plan.iter().enumerate() {
            let (left, right) = (planned.left.value(&results), planned.right.value(&results));
            let trapped = trap.filter(|trap| trap.0 == place).map(|trap| trap.1);
            let mistake = (trapped.is_none() && chance(rng, error_rate))
                .then(|| Mistake::ALL[weighted(rng, &Mistake::WEIGHTS)]);
            let change = trapped.or_else(|| Some(Change::draw(rng, mistake?, planned, left, right)));
            let step = written(left, planned.operator, right, change);
            results.push(step.result);
            steps.push(step);
            mistakes.push(mistake);
        }
        Attempt { model: self.name.clone(), steps, mistakes, is_trapped: trap.is_some() }
    }
}

/// The step with a change to it.
fn written(left: i64, operator: Operator, right: i64, change: Option<Change>) -> Step {
    let mut step = Step { left, operator, right, result: 0 };
    match change {
        Some(Change::Left(misprint)) => step.left = misprint.on(left),
        Some(Change::Right(misprint)) => step.right = misprint.on(right),
        Some(Change::Operator(other)) => step.operator = other,
        Some(Change::Result(_)) | None => {}
    }
    step.result = step.operator.apply(step.left, step.right);
    if let Some(Change::Result(misprint)) = change {
        step.result = misprint.on(step.result);
    }
    step
}

/// What a solver wrote, and what it got wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The solver's name.
    pub model: Cow<'static, str>,
    /// The chain.
    pub steps: Vec<Step>,
    /// The mistakes of its own, a step each; the trap is none of them.
    pub mistakes: Vec<Option<Mistake>>,
    /// Whether it fell into the problem's trap.
    pub is_trapped: bool,
}

impl Attempt {
    /// The chain as text.
    pub fn text(&self) -> String {
        write_solution(&self.steps)
    }

    /// Its answer; 0 for no steps.
    pub fn answer(&self) -> i64 {
        self.steps.last().map_or(0, |step| step.result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::draw::stream;

    #[test]
    fn a_misprint_is_one_other_digit() {
        let mut rng = stream(1, 0);
        for value in (-1_200..1_200).chain([12_030, 99_999, 100_000]) {
            let misprinted = Misprint::draw(&mut rng, value).on(value);
            let (before, after) = (value.abs().to_string(), misprinted.abs().to_string());
            assert_eq!(before.len(), after.len(), "{value} {misprinted}");
            assert_eq!(before.bytes().zip(after.bytes()).filter(|(a, b)| a != b).count(), 1);
            assert_eq!(value.signum() * misprinted.signum(), i64::from(value != 0 && misprinted != 0));
        }
        let misprint = Misprint { place: 2, digit: 4 };
        assert_eq!([5, -52, 523, -5_239].map(|value| misprint.on(value)), [5, -52, 423, -5_439]);
    }

    #[test]
    fn changes_go_where_they_belong() {
        let misprint = Misprint { place: 0, digit: 9 };
        let step = |change| written(12, Operator::Times, 50, change).to_string();
        assert_eq!(step(None), "12*50=600");
        assert_eq!(step(Some(Change::Left(misprint))), "19*50=950");
        assert_eq!(step(Some(Change::Right(misprint))), "12*59=708");
        assert_eq!(step(Some(Change::Operator(Operator::Plus))), "12+50=62");
        assert_eq!(step(Some(Change::Result(misprint))), "12*50=609");
    }
}
