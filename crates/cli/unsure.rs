//! Answers that are withheld because they are not sure enough: below a confidence that is named, or below the one that keeps a
//! promised share of wrong answers on a labelled file. How that one is chosen is core's business.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use conclave_core::calibration::{RISK_CONFIDENCE, RiskThreshold, fewest_rows, risk_threshold};
use conclave_core::kinds::{Abstention, VoteOptions};
use conclave_core::report::{EvalOptions, EvalRow, Evaluation};
use conclave_core::result::{AggregateResult, ConfidenceKind};
use conclave_files::Options;
use serde_json::{Value, json};

use crate::UsageError;
use crate::input::{Source, Tally};
use crate::kinds::share;
use crate::messages::{count, visible_clipped};
use crate::sets::{Item, read_items};

/// Characters of an answer that a note shows.
const SHOWN: usize = 32;

/// The flags that say which answers are withheld.
#[derive(Args, Debug, Clone, Default)]
pub struct UnsureArguments {
    /// Withhold answers of less confidence than P: `abstained` is "unsure" then, and the answer stands in `withheld`
    #[arg(long, value_name = "P", value_parser = share, conflicts_with_all = ["risk", "calibrated_on"])]
    pub abstain_below: Option<f64>,

    /// Withhold answers of less confidence than that from which on at most this share is wrong in the file of --calibrated-on
    #[arg(long, value_name = "ALPHA", value_parser = risk)]
    pub risk: Option<f64>,

    /// With --risk: results with references, as --out of this command writes them, of other sets of the same kind and with
    /// the same settings
    #[arg(long, value_name = "RESULTS")]
    pub calibrated_on: Option<PathBuf>,
}

fn risk(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        _ => Err("must be a number above 0 and below 1, as in 0.05".to_owned()),
    }
}

/// What is withheld, and how much has been.
pub struct Unsure {
    rule: Rule,
    answers: u64,
    withheld: u64,
    graded: u64,
    right: u64,
    /// Kinds of confidence of the answers, in the order in which they were met.
    kinds: Vec<ConfidenceKind>,
}

enum Rule {
    /// Nothing is withheld.
    Nothing,
    /// What is below a number.
    Below(f64),
    /// What is below the threshold of its kind of confidence.
    Risk { alpha: f64, file: String, thresholds: Vec<Calibrated> },
}

/// A threshold, and of how many labelled rows it was chosen.
struct Calibrated {
    kind: ConfidenceKind,
    rows: usize,
    threshold: RiskThreshold,
}

impl Unsure {
    /// What the flags say. The labelled file is read and graded, as `eval` grades it.
    pub fn open(arguments: &UnsureArguments, votes: &VoteOptions) -> Result<Self> {
        let rule = match (arguments.abstain_below, arguments.risk, &arguments.calibrated_on) {
            (Some(at_least), ..) => Rule::Below(at_least),
            (None, Some(alpha), Some(path)) => calibrated(alpha, path, votes)?,
            (None, None, None) => Rule::Nothing,
            (None, Some(_), None) => bail!(UsageError(
                "--risk needs --calibrated-on RESULTS: a file of results with references of other sets of this kind, as --out \
                 of this command writes it"
                    .to_owned()
            )),
            (None, None, Some(_)) => bail!(UsageError(
                "--calibrated-on needs --risk ALPHA: the share of the answers that may be wrong, as in --risk 0.05".to_owned()
            )),
        };
        Ok(Self { rule, answers: 0, withheld: 0, graded: 0, right: 0, kinds: Vec::new() })
    }

    /// Withholds the answer of a row, where it is not sure enough, and counts it.
    pub fn apply(&mut self, row: &mut AggregateResult) {
        match &self.rule {
            Rule::Nothing => return,
            Rule::Below(at_least) => row.abstain_below(Some(*at_least)),
            Rule::Risk { thresholds, .. } => {
                let known = thresholds.iter().find(|known| known.kind == row.confidence_kind);
                row.abstain_below(known.and_then(|known| known.threshold.at_least));
            }
        }
        self.count(row);
    }

    /// The row after [`Self::apply`].
    pub fn applied<'a>(&mut self, row: &'a AggregateResult) -> Cow<'a, AggregateResult> {
        if matches!(self.rule, Rule::Nothing) {
            return Cow::Borrowed(row);
        }
        let mut row = row.clone();
        self.apply(&mut row);
        Cow::Owned(row)
    }

    /// Counts a row that was decided before.
    pub fn count(&mut self, row: &AggregateResult) {
        if row.claimed().is_none() {
            return;
        }
        self.answers += 1;
        if !self.kinds.contains(&row.confidence_kind) {
            self.kinds.push(row.confidence_kind);
        }
        if row.withheld.is_some() {
            self.withheld += 1;
        } else {
            self.graded += u64::from(row.correct.is_some());
            self.right += u64::from(row.correct == Some(true));
        }
    }

    /// Adds what decides the rows of a run that is continued.
    pub fn add_settings(&self, settings: &mut Value) {
        settings["abstain_below"] = match &self.rule {
            Rule::Nothing => return,
            Rule::Below(at_least) => json!(at_least),
            Rule::Risk { thresholds, .. } => {
                thresholds.iter().map(|known| json!([known.kind, known.threshold.at_least])).collect()
            }
        };
    }

    /// What was withheld and why, for the end of a summary; nothing where nothing was asked for.
    pub fn text(&self) -> String {
        let reason = match &self.rule {
            Rule::Nothing => return String::new(),
            Rule::Below(at_least) => format!("confidence below {at_least}"),
            Rule::Risk { alpha, file, thresholds } => self.promise(*alpha, file, thresholds),
        };
        let answers = count(self.answers, "answer");
        let mut text = format!("; {} of {answers} withheld ({reason})", self.withheld);
        if self.graded > 0 {
            text += &format!("; {} of the {} given are right", self.right, self.graded);
        }
        text
    }

    /// What holds for each kind of confidence that was met.
    fn promise(&self, alpha: f64, file: &str, thresholds: &[Calibrated]) -> String {
        let mut parts = Vec::new();
        for &kind in &self.kinds {
            let name = name(kind);
            let known = thresholds.iter().find(|known| known.kind == kind);
            let rows = count(known.map_or(0, |known| known.rows) as u64, "row");
            parts.push(match known.and_then(|known| known.threshold.at_least) {
                Some(at_least) => format!(
                    "of {name} {at_least} and more at most {} % are wrong, with {} % confidence, by {rows} of {file}",
                    percent(alpha),
                    percent(RISK_CONFIDENCE)
                ),
                None => format!(
                    "{name}: no threshold keeps the share of wrong answers at {} % by {rows} of {file}{}",
                    percent(alpha),
                    self.remedy(alpha, known)
                ),
            });
        }
        if parts.is_empty() { "there are none".to_owned() } else { parts.join("; ") }
    }

    /// What helps where nothing can be promised because there are too few rows.
    fn remedy(&self, alpha: f64, known: Option<&Calibrated>) -> String {
        match fewest_rows(alpha) {
            Some(fewest) if known.is_none_or(|known| (known.rows as u64) < fewest) => {
                format!(", which takes at least {fewest}")
            }
            _ => String::new(),
        }
    }
}

/// The answer that a row withholds, for its note in a table.
pub fn note(row: &AggregateResult) -> Option<String> {
    let withheld = row.withheld.as_deref().filter(|_| row.abstained == Some(Abstention::Unsure))?;
    Some(format!("{} is withheld", visible_clipped(withheld, SHOWN)))
}

/// A kind of confidence as results name it.
pub fn name(kind: ConfidenceKind) -> String {
    serde_json::to_value(kind).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A share in percent, in as few digits as it has.
fn percent(share: f64) -> String {
    let digits = format!("{:.6}", 100.0 * share);
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The thresholds of a labelled file, for each kind of confidence in it.
fn calibrated(alpha: f64, path: &Path, votes: &VoteOptions) -> Result<Rule> {
    let wrong = |name: &str, reason: &str| {
        UsageError(format!(
            "--calibrated-on {name}: {reason}; expected results with `reference_answer`, as --out of this command writes them \
             for sets that have one"
        ))
    };
    let sources = Source::resolve(&[path.to_owned()])?;
    let mut tally = Tally::default();
    let mut evaluation = Evaluation::by_kind(EvalOptions::default(), votes.clone());
    let (mut sets, mut rows) = (0u64, 0u64);
    read_items(&sources, &Options::default(), &mut tally, |_, item| {
        let row = match item {
            Item::Set(_) => {
                sets += 1;
                return Ok(Ok(()));
            }
            Item::Result(value) => EvalRow::try_from(value),
        };
        rows += 1;
        Ok(row.and_then(|row| evaluation.add(&row).map_err(|error| error.to_string())))
    })?;
    let name = sources.first().map(Source::name).unwrap_or_default();
    if sets > 0 {
        bail!(wrong(&name, &format!("{} without an answer", count(sets, "sample set"))));
    }
    if tally.unreadable() > 0 {
        bail!(UsageError(format!(
            "--calibrated-on {name}: not all of it can be read; a promise needs all of it"
        )));
    }
    let thresholds = evaluation.claims().into_iter().map(|claims| {
        let rows = claims.first_of_each_problem();
        Calibrated { kind: claims.kind, rows: rows.len(), threshold: risk_threshold(&rows, alpha) }
    });
    let thresholds: Vec<Calibrated> = thresholds.collect();
    if thresholds.is_empty() {
        bail!(wrong(&name, &format!("{}, none of them with an answer and a reference", count(rows, "row"))));
    }
    Ok(Rule::Risk { alpha, file: name, thresholds })
}
