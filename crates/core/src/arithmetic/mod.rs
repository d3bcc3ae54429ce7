//! The arithmetic domain: word problems of three to five steps and simulated solvers that get them wrong, as sample sets.
//!
//! It is there to make an aggregator small enough to be trained on a laptop and embedded in a binary, and to measure it:
//! the products are beyond a tiny model, so it has to find out from the candidates which of them to believe. What does not
//! live here: prompts and targets of a training (they are made from the sets), files.
//!
//! A problem reads "Ben has 155 packs of 77 books. He buys 95 books. He loses 36 boxes of 50 books. How many now?" and is
//! solved by `155*77=11935;36*50=1800;11935+95=12030;12030-1800=10230;#10230`, products first, then the running total.
//!
//! # Rules
//! 2 to 4 terms, each a product (12..199 x 12..89) or a number (12..499), signs + + -, totals 20..89,999, 3 to 5 steps. A
//! step goes wrong with a probability of .03, .12 or .28, the same for a whole problem (weights .45, .35, .20): a slip in
//! the result (.60), a misread operand (.25), a wrong operator (.15). Mistakes propagate. 62 % of the problems have a trap,
//! one mistake that samples share (a misread operand .55, the operator .25, a slip .20); each sample falls into it at the
//! problem's rate, U(.3, .9).
//!
//! # Choices where the rules leave one
//! 1. The first term is what a person has, so it is never lost; each later sign is minus with a probability of 1/3, before
//!    problems are drawn again because of their totals (a quarter is left).
//! 2. The bounds on totals hold for the running total behind every term: nobody loses more than there is. Drawing again
//!    keeps the number of steps.
//! 3. 3, 4 and 5 steps are equally frequent; the number of terms that goes with them is drawn evenly among those that leave
//!    at least one product (without one, a problem could be solved without its candidates), the products' places too.
//! 4. A slip and a misreading replace one digit, any place alike, by another; a number of several digits gets no zero in
//!    front. What is misread is a number of the problem, any of the step's alike; a carried result only in a step without.
//! 5. A wrong operator is + for -, - for +, and + for *. A trap is in the words, and those of a product leave no doubt: a
//!    trap that would be the operator of a product (one in nine) has nobody fall into it. With + for * there too, mean@1
//!    is .420 and the majority at 3, 5 and 8 candidates .460, .512 and .540, below what the rules are known to give.
//! 6. A trap's step is drawn evenly. A sample that falls makes no other mistake in that step, and the same misprint on
//!    whatever number it has there: after an earlier mistake that may be another number.
//! 7. Each candidate is written by a solver drawn evenly among those asked for. [`Solver::STANDARD`] alone keeps to the
//!    rules exactly; with [`Solver::MIXED`] they hold on the average.
//!
//! [`Numbers::Small`] replaces the ranges of the numbers alone.
//!
//! # Measured
//! By [`operand_checked_vote`] and [`recombine_steps`], and by the vote and grading of the rest of the crate; in brackets
//! what the rules gave when they were first used (2,000 problems, standard error .011). 50,000 problems of seed 2, so a
//! standard error of .002; `cargo test -p conclave-core --test arithmetic -- --ignored --nocapture` prints them again.
//!
//! | candidates | mean@1 | majority | operand-checked | recombined | any |
//! |---|---|---|---|---|---|
//! | 3 | .449 | .497 (.50) | .628 | .648 | .713 (.71) |
//! | 5 | .449 (.44) | .554 (.54 to .55) | .717 (.708) | .743 (.743) | .817 (.80 to .81) |
//! | 8 | .449 | .586 (.59) | .783 | .808 | .890 (.90) |
//! | 15 | .448 | .604 | .849 | .865 | .956 |
//! | 5, mixed solvers | .456 | .564 | .728 | .753 | .825 |
//!
//! # Streams
//! Problem i of a seed has a random stream of its own (ChaCha8, key = seed, stream = i), and its candidates are drawn one
//! after the other: neither depends on how many problems or candidates are asked for, nor do the problem and its trap on
//! the solvers.

mod baselines;
mod chain;
mod draw;
mod plan;
mod problem;
mod solver;

use serde_json::{Map, json};

use crate::sample_set::{Candidate, SampleSet};

pub use baselines::{operand_checked_vote, recombine_steps};
pub use chain::{Operator, Step, parse_solution, parse_steps, write_solution};
pub use plan::{PlannedStep, Source, derive, follows, plan};
pub use problem::{Amount, Numbers, Problem, Term, generate_problem, parse_problem};
pub use solver::{Attempt, Change, Difficulty, Misprint, Mistake, Solver, Trap};

/// What a set is made of besides its problem.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Candidates of a set.
    pub num_candidates: usize,
    /// Who writes them; with no solver there are no candidates.
    pub solvers: Vec<Solver>,
    /// How large the problems' numbers are.
    pub numbers: Numbers,
}

impl Options {
    /// So many candidates by [`Solver::STANDARD`].
    pub fn standard(num_candidates: usize) -> Self {
        Self { num_candidates, solvers: vec![Solver::STANDARD], numbers: Numbers::Standard }
    }
}

/// A problem with everything that is known about its candidates.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// The problem.
    pub problem: Problem,
    /// How hard it is.
    pub difficulty: Difficulty,
    /// What the solvers wrote.
    pub attempts: Vec<Attempt>,
}

/// Problem `index` of `seed`, solved by the solvers of `options`.
pub fn simulate(seed: u64, index: u64, options: &Options) -> Simulation {
    let mut rng = draw::stream(seed, index);
    let problem = generate_problem(&mut rng, options.numbers);
    let plan = plan(&problem.terms);
    let results: Vec<i64> = derive(&problem.terms).iter().map(|step| step.result).collect();
    let difficulty = Difficulty::draw(&mut rng, &plan, &results);
    let most = if options.solvers.is_empty() { 0 } else { options.num_candidates };
    let attempts = (0..most)
        .map(|_| draw::pick(&mut rng, &options.solvers).attempt(&mut rng, &plan, &difficulty))
        .collect();
    Simulation { problem, difficulty, attempts }
}

/// Problem `index` of `seed` with its candidates. Besides the known fields it has `derivation`, the right chain;
/// `error_rate`; and `trap` (`step` from 0, `mistake`, `rate`) where there is one.
pub fn sample_set(seed: u64, index: u64, options: &Options) -> SampleSet {
    let Simulation { problem, difficulty, attempts } = simulate(seed, index, options);
    let mut extra = Map::new();
    extra.insert("derivation".into(), problem.derivation.into());
    extra.insert("error_rate".into(), difficulty.error_rate.into());
    if let Some(Trap { step, mistake, rate, .. }) = difficulty.trap {
        extra.insert("trap".into(), json!({"step": step, "mistake": mistake, "rate": rate}));
    }
    let candidates = attempts.iter().map(|attempt| Candidate {
        text: attempt.text(),
        model: Some(attempt.model.to_string()),
        ..Candidate::default()
    });
    SampleSet {
        id: match options.numbers {
            Numbers::Standard => format!("arithmetic-{seed}-{index}"),
            Numbers::Small => format!("arithmetic-small-{seed}-{index}"),
        },
        problem: problem.text,
        reference_answer: Some(problem.answer.to_string().into()),
        candidates: candidates.collect(),
        extra,
    }
}
