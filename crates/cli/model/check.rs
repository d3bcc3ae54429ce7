//! `conclave model check`: the known-answer test.

use std::path::Path;

use anyhow::{Context, Result, bail};
use conclave_disk::Folder;
use conclave_model::files::ModelFiles;
use conclave_model::self_test::{Case, CaseReport, FILE_NAME, read_cases, run_case};
use serde_json::json;

use super::arguments::CheckArguments;
use super::{Opened, open};
use crate::Outcome;
use crate::device::{DeviceName, Precision};
use crate::messages::visible;
use crate::output::Output;
use crate::table::{Align, Table};

/// Runs the command.
pub fn run(arguments: &CheckArguments) -> Result<Outcome> {
    let opened = open(&arguments.model)?;
    let cases = read_reference(arguments, &opened)?;
    // The reference is of the whole vocabulary, rows without a token included.
    let mut decoder = opened.decoder(opened.directory.config.vocab_size)?;
    // What was recorded was computed with activations that are not rounded.
    decoder.set_exact(true);
    let dtype = arguments.model.dtype;
    // In 16 bits: what the fixtures of tests/data/parity show (logits of standard deviation 1 differ by 0.01 and by
    // 0.07), and room for larger models. Wrong weights make differences of several standard deviations.
    let tolerance = arguments.tolerance.unwrap_or(match (dtype, arguments.model.device) {
        (Precision::F16, _) => 0.05,
        (Precision::Bf16, _) => 0.4,
        (Precision::F32, DeviceName::Cpu) => 1e-4,
        (Precision::F32, DeviceName::Wgpu | DeviceName::Cuda) => 1e-3,
    });
    let reports: Vec<CaseReport> = cases
        .iter()
        .map(|case| pollster::block_on(run_case(&mut decoder, case)))
        .collect::<Result<_, _>>()
        .context("cannot run the reference (is it the one of this model?)")?;
    // In 16 bits two nearly equal logits may change places; there only the logits decide.
    let passes = |report: &CaseReport| match dtype {
        Precision::F32 => report.passes(tolerance),
        Precision::F16 | Precision::Bf16 => report.max_difference <= tolerance,
    };
    let passed = reports.iter().all(passes);
    let mut output = Output::standard_output();
    if arguments.json {
        let device = arguments.model.device.name();
        output.json_line(&json!({"device": device, "dtype": dtype.name(), "tolerance": tolerance,
            "passed": passed, "cases": reports}))?;
    } else {
        let mut table = Table::new(&[
            ("case", Align::Left),
            ("prompt tokens", Align::Right),
            ("max |difference|", Align::Right),
            ("greedy tokens", Align::Right),
            ("result", Align::Left),
        ]);
        for report in &reports {
            table.push(vec![
                visible(&report.name),
                report.prompt_tokens.to_string(),
                format!("{:.1e}", report.max_difference),
                format!("{}/{}", report.greedy_agreeing, report.greedy_tokens),
                if passes(report) { "ok".to_owned() } else { "FAILED".to_owned() },
            ]);
        }
        for line in table.lines() {
            output.line(&line)?;
        }
        output.line(&format!("tolerance {tolerance:.0e}: {}", if passed { "passed" } else { "FAILED" }))?;
    }
    output.finish()?;
    if !passed {
        bail!(
            "the model computes other values on `{}` than were recorded: the weights are damaged (see `conclave model \
             inspect --verify`), the reference is another model's, or the device computes wrongly (try another --device)",
            arguments.model.device.name()
        );
    }
    Ok(Outcome::Done)
}

/// The recorded cases: of the file that is named, else of the model's own.
fn read_reference(arguments: &CheckArguments, opened: &Opened) -> Result<Vec<Case>> {
    let Some(path) = &arguments.reference else {
        if pollster::block_on(opened.files.len(FILE_NAME))?.is_none() {
            bail!("{} has no {FILE_NAME}: name a reference with --reference", opened.files.name());
        }
        return Ok(pollster::block_on(read_cases(opened.files.clone(), FILE_NAME))?);
    };
    let unreadable = || format!("cannot read the reference `{}`", path.display());
    if std::fs::metadata(path).with_context(unreadable)?.is_dir() {
        bail!("cannot read the reference `{}`: it is a directory; name a safetensors file", path.display());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = Folder::new(parent.unwrap_or(Path::new(".")));
    let name = path.file_name().and_then(|name| name.to_str()).context("its name is not UTF-8");
    Ok(pollster::block_on(read_cases(directory, name.with_context(unreadable)?))?)
}
