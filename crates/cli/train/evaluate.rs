//! `conclave train evaluate`: what a model makes of held-out sets, many at once, beside the vote, the best choice there
//! was, and the rows of another model.

use anyhow::{Context, Result, bail};
use conclave_core::metrics::Figure;
use conclave_core::result::AggregateResult;
use conclave_core::sample_set::{JsonLines, SampleSet};
use conclave_disk::{Inputs, stop};
use conclave_files::Options;
use conclave_model::open::read_tokenizer;
use conclave_train::evaluate::{
    EvaluateOptions, Evaluated, accuracy_difference, distinguish, evaluate_until,
};
use conclave_train::flush_to_zero::flush_denormals_to_zero;
use conclave_train::workers::Workers;
use serde_json::json;

use super::arguments::EvaluateArguments;
use crate::Outcome;
use crate::aggregate::arguments::VariantName;
use crate::input::{Source, Tally};
use crate::messages::{count, say};
use crate::model::open;
use crate::output::Output;
use crate::sets::read_sets;
use crate::table::{Align, Table};

/// Batches after which a wish to stop is looked for. Prompts of like length go together, so more batches are faster ones.
const BATCHES: usize = 16;

/// Runs the command.
pub fn run(arguments: &EvaluateArguments) -> Result<Outcome> {
    flush_denormals_to_zero();
    let mut tally = Tally::default();
    let sets = read(arguments, &mut tally)?;
    let inputs = Inputs::of(&arguments.sets).and(&arguments.against);
    // Better now than after the work.
    if let Some(out) = arguments.out.as_deref().filter(|out| out.as_os_str() != "-") {
        inputs.refuse(out)?;
    }
    let before = arguments.against.as_ref().map(|path| read_rows(path, &mut tally)).transpose()?;
    let opened = open(&arguments.model)?;
    let config = &opened.directory.config;
    let tokenizer = pollster::block_on(read_tokenizer(&opened.files, config))
        .with_context(|| format!("cannot open the model in {}", opened.files.name()))?;
    let workers = Workers::new(arguments.threads as usize)?;
    let decoder = opened.decoder(tokenizer.vocab_size())?;
    let at_once = decoder.at_once(workers.count());
    let mut decoders = (1..at_once).map(|_| decoder.another()).collect::<Result<Vec<_>, _>>()?;
    decoders.push(decoder);
    let options = EvaluateOptions {
        variant: arguments.variant.map_or(opened.directory.manifest.prompt_variant, VariantName::variant),
        num_candidates: arguments.num_candidates,
        max_new_tokens: arguments.max_new_tokens as usize,
        permutations: arguments.permutations as usize,
        rows: arguments.batch_size as usize,
        seed: arguments.seed,
    };
    let stop_ids = &config.eos_token_ids;
    stop::listen()?;
    let at_once = options.rows.saturating_mul(BATCHES);
    let should_stop = &mut stop::is_requested;
    let evaluated =
        evaluate_until(&workers, &mut decoders, &tokenizer, stop_ids, &sets, &options, at_once, should_stop)
            .with_context(|| format!("cannot evaluate the model in {}", opened.files.name()))?;
    if let Some(out) = &arguments.out {
        let mut rows = Output::open(Some(out), &inputs)?;
        evaluated.rows.iter().try_for_each(|row| rows.json_line(row))?;
        if stop::is_requested() {
            rows.keep(None)?;
        } else {
            rows.finish()?;
        }
    }
    let difference = before.map(|before| accuracy_difference(&before, &evaluated.rows));
    if let Some(None) = difference {
        bail!("no row of --against is about a set of this evaluation: were they made of the same files?");
    }
    show(arguments, &evaluated, difference.flatten())?;
    if stop::is_requested() {
        let asked = sets.len() * options.permutations;
        say(&format!(
            "stopped: the figures are of {} of {}",
            evaluated.rows.len(),
            count(asked as u64, "row")
        ));
        return Ok(Outcome::Interrupted);
    }
    Ok(tally.finish())
}

fn read(arguments: &EvaluateArguments, tally: &mut Tally) -> Result<Vec<SampleSet>> {
    let mut sets = Vec::new();
    read_sets(&Source::resolve(&arguments.sets)?, &Options::default(), tally, |set| {
        if arguments.limit.is_none_or(|limit| sets.len() < limit) {
            sets.push(set);
        }
        Ok(())
    })?;
    let graded = sets.iter().filter(|set| set.reference_answer.is_some()).count();
    if graded == 0 {
        bail!("none of the {} sets has a `reference_answer`: there is nothing to measure by", sets.len());
    }
    if graded < sets.len() {
        say(&format!("{} of {} sets left out: no `reference_answer`", sets.len() - graded, sets.len()));
    }
    distinguish(&mut sets);
    Ok(sets)
}

fn read_rows(path: &std::path::Path, tally: &mut Tally) -> Result<Vec<AggregateResult>> {
    let mut rows = Vec::new();
    for source in &Source::resolve(&[path.to_owned()])? {
        source.read(tally, JsonLines::new, |row: AggregateResult| {
            rows.push(row);
            Ok(())
        })?;
    }
    Ok(rows)
}

fn show(arguments: &EvaluateArguments, evaluated: &Evaluated, difference: Option<Figure>) -> Result<()> {
    let report = &evaluated.report;
    let mut output = Output::standard_output();
    if arguments.json {
        let mut value = serde_json::to_value(report)?;
        value["difference"] = json!(difference);
        output.json_line(&value)?;
        return output.finish();
    }
    let results = &report.results;
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    let mut line = |name: &str, value: String| table.push(vec![name.to_owned(), value]);
    line("problems", results.sets.problems.to_string());
    line("candidates", results.sets.num_candidates.to_string());
    line("orders of the candidates", report.permutations.to_string());
    for (name, figure) in [
        ("mean@1", results.sets.mean_at_1),
        ("majority vote", results.sets.majority_first),
        ("any candidate right", results.sets.pass_at_k),
        ("accuracy", results.accuracy),
        ("gain over the vote", report.gain),
        ("gap closed", results.gap_closed),
        ("regressions", report.regression_rate),
        ("recoveries", report.recovery_rate),
        ("flip rate", results.flip_rate),
        ("gain over --against", difference),
    ] {
        if let Some(Figure { value, low, high }) = figure {
            line(name, format!("{value:.4}  ({low:.4} to {high:.4})"));
        }
    }
    line("well-formed", format!("{:.4}", report.well_formed));
    line("tokens of a completion", format!("{:.1}", report.mean_completion_tokens));
    line("generated tokens a second", format!("{:.0}", report.tokens_per_second));
    line("seconds", format!("{:.1}", report.seconds));
    table.lines().iter().try_for_each(|line| output.line(line))?;
    output.finish()
}
