//! The blocks of `eval` on confidences: of each kind in a file, how far it can be believed.

use conclave_core::calibration::Bin;
use conclave_core::report::Report;
use conclave_core::report::confidence::CalibrationReport;

use super::figure;
use crate::messages::{count, say, visible};
use crate::table::{Align, Table};
use crate::unsure::name;

/// Rows of a kind from which on there is something to see.
pub const FEWEST_ROWS: usize = 2;

/// The confidences of a file of which there are enough to say something.
pub fn shown(report: &Report) -> impl Iterator<Item = (&str, &CalibrationReport)> {
    let results = match report {
        Report::Results(results) => Some(results),
        Report::Sets(_) => None,
    };
    results.into_iter().flat_map(|results| {
        let enough = results.calibration.iter().filter(|report| report.rows >= FEWEST_ROWS);
        enough.map(|report| (results.sets.file.as_str(), report))
    })
}

/// The lines of each kind.
pub fn blocks(report: &Report) -> impl Iterator<Item = Vec<String>> {
    shown(report).map(|(file, report)| {
        let mut lines = vec![summary(file, report)];
        lines.extend(table(report).lines());
        lines
    })
}

/// Says which confidences cannot be.
pub fn say_out_of_range(report: &Report) {
    let Report::Results(results) = report else { return };
    for kind in results.calibration.iter().filter(|kind| kind.out_of_range > 0) {
        say(&format!(
            "{}: {} with a confidence ({}) that is not between 0 and 1, left out of the figures on confidence",
            visible(&results.sets.file),
            count(kind.out_of_range as u64, "row"),
            name(kind.kind)
        ));
    }
}

fn summary(file: &str, report: &CalibrationReport) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    format!(
        "{}: {} of {}; ECE {}, AUROC {}, Brier {}",
        visible(file),
        name(report.kind),
        count(report.rows as u64, "answer"),
        number(report.ece),
        figure(report.auroc),
        number(report.brier)
    )
}

/// The bins that have rows, and what is left where everything below them has no answer.
fn table(report: &CalibrationReport) -> Table {
    let mut table = Table::new(&[
        ("confidence", Align::Left),
        ("answers", Align::Right),
        ("mean", Align::Right),
        ("accuracy", Align::Right),
        ("yield from here on", Align::Right),
        ("accuracy", Align::Right),
    ]);
    let (mut kept, mut right) = (0.0, 0.0);
    let mut to = 1.0;
    for &Bin { from, rows, confidence, accuracy } in report.bins.iter().rev() {
        if let (Some(confidence), Some(accuracy)) = (confidence, accuracy) {
            kept += rows as f64;
            right += rows as f64 * accuracy;
            table.push(vec![
                format!("{from:.1} to {to:.1}"),
                rows.to_string(),
                format!("{confidence:.3}"),
                format!("{accuracy:.3}"),
                format!("{:.3}", kept / report.rows as f64),
                format!("{:.3}", right / kept),
            ]);
        }
        to = from;
    }
    table
}
