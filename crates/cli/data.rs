//! `conclave data`: sample sets that are made and not sampled. What they are made of is decided in core.

use anyhow::Result;
use conclave_core::arithmetic::{self, Options, Solver, sample_set};
use conclave_disk::{Inputs, stop};

use crate::Outcome;
use crate::arguments::{ArithmeticArguments, DataCommand, Numbers, Solvers};
use crate::messages::{count, say};
use crate::output::Output;

/// Runs the command.
pub fn run(command: &DataCommand) -> Result<Outcome> {
    match command {
        DataCommand::Arithmetic(arguments) => write_arithmetic(arguments),
    }
}

fn write_arithmetic(arguments: &ArithmeticArguments) -> Result<Outcome> {
    let solvers = match arguments.solvers {
        Solvers::Standard => vec![Solver::STANDARD],
        Solvers::Mixed => Solver::MIXED.to_vec(),
    };
    let numbers = match arguments.numbers {
        Numbers::Standard => arithmetic::Numbers::Standard,
        Numbers::Small => arithmetic::Numbers::Small,
    };
    let options = Options { num_candidates: arguments.num_candidates as usize, solvers, numbers };
    stop::listen()?;
    let mut output = Output::open(arguments.out.as_deref(), &Inputs::default())?;
    for index in 0..arguments.problems {
        if stop::is_requested() {
            return output.keep(None);
        }
        output.json_line(&sample_set(arguments.seed, index, &options))?;
    }
    output.finish()?;
    let candidates = arguments.problems.saturating_mul(arguments.num_candidates);
    say(&format!("{}, {}", count(arguments.problems, "problem"), count(candidates, "candidate")));
    Ok(Outcome::Done)
}
