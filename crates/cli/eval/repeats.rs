//! The tables of `eval --repeats`: how stable the answers of a file are.

use conclave_core::report::repeats::RepeatsReport;

use super::figure;
use crate::messages::{count, visible, visible_clipped};
use crate::table::{Align, Table};

/// Items that are named, and characters of an id that are shown.
const MOST_ITEMS: usize = 10;
const SHOWN_ID: usize = 48;

/// All lines for a file.
pub fn lines(file: &str, report: &RepeatsReport) -> Vec<String> {
    let mut lines = vec![summary(file, report)];
    let tables = [rules(report), by_candidates(report), by_share(report), items(report)];
    for table in tables.iter().filter(|table| table.len() > 0) {
        lines.push(String::new());
        lines.extend(table.lines());
    }
    lines
}

fn summary(file: &str, report: &RepeatsReport) -> String {
    let items = count(report.items as u64, "item");
    let candidates = count(report.num_candidates as u64, "candidate");
    let mut text = format!("{}: {items}, up to {candidates}; flips {}", visible(file), figure(report.flips));
    if let Some(alpha) = report.alpha {
        text += &format!("; Krippendorff's alpha {alpha:.3}");
    }
    text
}

fn rules(report: &RepeatsReport) -> Table {
    let mut table = Table::new(&[
        ("rule", Align::Left),
        ("yield", Align::Left),
        ("accuracy", Align::Left),
        ("flips without one", Align::Left),
    ]);
    for rule in &report.rules {
        table.push(vec![rule.rule.clone(), figure(rule.kept), figure(rule.accuracy), figure(rule.flips)]);
    }
    table
}

fn by_candidates(report: &RepeatsReport) -> Table {
    let mut table = Table::new(&[
        ("candidates", Align::Right),
        ("items", Align::Right),
        ("agreement", Align::Right),
        ("vote as of all", Align::Right),
        ("accuracy", Align::Right),
        ("yield", Align::Right),
    ]);
    for step in &report.by_candidates {
        let shares = [step.agreement, step.same, step.accuracy, step.kept].map(share);
        table.push([vec![step.candidates.to_string(), step.items.to_string()], shares.to_vec()].concat());
    }
    table
}

fn by_share(report: &RepeatsReport) -> Table {
    let mut table =
        Table::new(&[("share of votes", Align::Right), ("yield", Align::Right), ("accuracy", Align::Right)]);
    for row in &report.by_share {
        table.push(vec![format!(">= {:.1}", row.at_least), share(row.kept), share(row.accuracy)]);
    }
    table
}

/// The items that flip most.
fn items(report: &RepeatsReport) -> Table {
    let mut table = Table::new(&[
        ("item", Align::Left),
        ("candidates", Align::Right),
        ("answered", Align::Right),
        ("answers", Align::Right),
        ("flips", Align::Right),
    ]);
    let flipping = report.by_item.iter().take_while(|item| item.flips.is_some_and(|flips| flips > 0.0));
    for item in flipping.clone().take(MOST_ITEMS) {
        table.push(vec![
            visible_clipped(&item.id, SHOWN_ID),
            item.candidates.to_string(),
            item.answered.to_string(),
            item.answers.to_string(),
            share(item.flips),
        ]);
    }
    let more = flipping.count().saturating_sub(MOST_ITEMS);
    if more > 0 {
        table.push_note(format!("{} more; --json has all", count(more as u64, "item")));
    }
    table
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}
