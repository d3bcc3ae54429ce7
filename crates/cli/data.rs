//! `conclave data`: sample sets that are made and not sampled. What they are made of is decided in core.

use anyhow::Result;
use conclave_core::arithmetic::{Options, Solver, sample_set};

use crate::Outcome;
use crate::arguments::{ArithmeticArguments, DataCommand, Solvers};
use crate::messages::{count, say};
use crate::output::Output;

/// Runs the command.
pub fn run(command: &DataCommand) -> Result<Outcome> {
    match command {
        DataCommand::Arithmetic(arguments) => arithmetic(arguments),
    }
}

fn arithmetic(arguments: &ArithmeticArguments) -> Result<Outcome> {
    let solvers = match arguments.solvers {
        Solvers::Standard => vec![Solver::STANDARD],
        Solvers::Mixed => Solver::MIXED.to_vec(),
    };
    let options = Options { num_candidates: arguments.num_candidates as usize, solvers };
    let mut output = Output::open(arguments.out.as_deref())?;
    for index in 0..arguments.problems {
        output.json_line(&sample_set(arguments.seed, index, &options))?;
    }
    output.finish()?;
    let candidates = arguments.problems.saturating_mul(arguments.num_candidates);
    say(&format!("{}, {}", count(arguments.problems, "problem"), count(candidates, "candidate")));
    Ok(Outcome::Done)
}
