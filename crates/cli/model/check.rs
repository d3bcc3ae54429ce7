//! `conclave model check`: the known-answer test.

use anyhow::{Context, Result, bail};
use conclave_model::decoder::Qwen2Decoder;
use conclave_model::files::ModelFiles;
use conclave_model::self_test::{CaseReport, FILE_NAME, read_cases, run_case};
use serde_json::json;

use super::arguments::CheckArguments;
use super::{LoadBar, open};
use crate::device::{DeviceName, Precision};
use crate::directory::Directory;
use crate::output::Output;
use crate::table::{Align, Table};
use crate::{Outcome, messages};

/// Runs the command.
pub fn run(arguments: &CheckArguments) -> Result<Outcome> {
    let opened = open(&arguments.model)?;
    let cases = match &arguments.reference {
        Some(path) => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = Directory::open(parent.unwrap_or_else(|| std::path::Path::new(".")))?;
            let name =
                path.file_name().and_then(|name| name.to_str()).context("--reference names no file")?;
            pollster::block_on(read_cases(directory, name))?
        }
        None => {
            if pollster::block_on(opened.files.len(FILE_NAME))?.is_none() {
                bail!(
                    "`{}` has no {FILE_NAME}: name a reference with --reference",
                    arguments.model.model.display()
                );
            }
            pollster::block_on(read_cases(opened.files.clone(), FILE_NAME))?
        }
    };
    let bar = LoadBar::new(opened.directory.config.num_parameters());
    // The reference is of the whole vocabulary, rows without a token included.
    let num_tokens = opened.directory.config.vocab_size;
    let mut decoder: Qwen2Decoder = pollster::block_on(opened.directory.decoder(
        num_tokens,
        &opened.device,
        &opened.options,
        &mut bar.on_progress(),
    ))?;
    drop(bar);
    let half = arguments.model.dtype != Precision::F32;
    let tolerance = arguments.tolerance.unwrap_or(match arguments.model.device {
        _ if half => 5e-2,
        DeviceName::Cpu => 1e-4,
        DeviceName::Wgpu | DeviceName::Cuda => 1e-3,
    });
    let reports: Vec<CaseReport> = cases
        .iter()
        .map(|case| pollster::block_on(run_case(&mut decoder, case)))
        .collect::<Result<_, _>>()?;
    // In 16 bits two nearly equal logits may change places; there only the logits decide.
    let passes = |report: &CaseReport| match half {
        true => report.max_difference <= tolerance,
        false => report.passes(tolerance),
    };
    let passed = reports.iter().all(passes);
    let mut output = Output::open(None)?;
    if arguments.json {
        let (device, dtype) = (arguments.model.device.name(), format!("{:?}", arguments.model.dtype));
        output.json_line(&json!({"device": device, "dtype": dtype.to_lowercase(), "tolerance": tolerance,
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
                messages::visible(&report.name),
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
            "the model computes other values on `{}` than were recorded: the weights are damaged or the device \
             computes wrongly; try another --device",
            arguments.model.device.name()
        );
    }
    Ok(Outcome::Done)
}
