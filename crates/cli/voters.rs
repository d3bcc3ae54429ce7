//! Who can be believed, and how sure an answer is: weights of voters, learned or from a file, and rankers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use conclave_core::kinds::{Ballot, BallotError, Rule, VoteOptions};
use conclave_core::rank::{Judge, Ranker};
use conclave_core::sample_set::SampleSet;
use conclave_core::voters::{CoFailure, NotIdentified, Reliabilities, VoterTable, weight};
use conclave_disk::Inputs;
use serde_json::{Value, json};

use crate::UsageError;
use crate::messages::{count, say, visible_clipped};
use crate::output::Output;
use crate::table::{Align, Table};

/// What `--weights` says where they are to be learned.
const LEARNED: &str = "learned";

/// Characters of a voter's name that the table shows.
const SHOWN: usize = 40;

/// The flags that say what votes count.
#[derive(Args, Debug, Clone, Default)]
pub struct WeightsArguments {
    /// Weigh votes by how far each voter can be believed: `learned` from these sets alone, without references (the sets are
    /// held in memory), or a FILE of reliabilities
    #[arg(long, value_name = "learned|FILE")]
    pub weights: Option<String>,

    /// The field of candidates that says who wrote them [default: model]
    #[arg(long, value_name = "FIELD", requires = "weights")]
    pub voter: Option<String>,

    /// Write the reliabilities that were learned to FILE, for --weights FILE
    #[arg(long, value_name = "FILE", requires = "weights")]
    pub save_weights: Option<PathBuf>,

    /// What tells how sure an answer is, written by `conclave train ranker` [default: the built-in one, for mathematics]
    #[arg(long, value_name = "FILE")]
    pub ranker: Option<PathBuf>,
}

impl WeightsArguments {
    /// Whether any of them was given.
    pub fn are_given(&self) -> bool {
        self.weights.is_some() || self.ranker.is_some()
    }

    /// The files that are read.
    pub fn files(&self) -> Vec<PathBuf> {
        let weights = self.weights.as_deref().filter(|weights| *weights != LEARNED).map(PathBuf::from);
        weights.into_iter().chain(self.ranker.clone()).collect()
    }

    /// What decides the rows of a shard.
    pub fn settings(&self) -> Value {
        let ranker = self.ranker.as_ref().map(|path| path.display().to_string());
        json!({"weights": self.weights, "voter": self.voter, "ranker": ranker})
    }

    /// Who can be believed is learned from all sets and not from a shard of them.
    pub fn refuse_learning(&self, is_shard: bool) -> Result<()> {
        if is_shard && self.weights.as_deref() == Some(LEARNED) {
            let message = "--weights learned needs all sets: learn once with --save-weights FILE, then give each shard \
                           --weights FILE";
            return Err(anyhow::Error::new(UsageError(message.to_owned())));
        }
        Ok(())
    }
}

/// Where weights come from.
enum Origin {
    /// All votes count the same.
    None,
    /// They are learned from the sets.
    Learned(VoterTable),
    /// Somebody learned them before.
    File,
}

/// What votes count.
pub struct Weights {
    origin: Origin,
    field: Option<String>,
    save: Option<Output>,
    reliabilities: Option<Reliabilities>,
    ranker: Ranker,
    /// Sets with a reference, and of these those in which no class is right.
    graded: u64,
    all_wrong: u64,
}

impl Weights {
    /// What the flags say.
    pub fn open(arguments: &WeightsArguments, options: &VoteOptions, inputs: &Inputs) -> Result<Self> {
        let usage = |text: &str| Err(anyhow::Error::new(UsageError(text.to_owned())));
        let learns = arguments.weights.as_deref() == Some(LEARNED);
        if arguments.weights.is_some()
            && (options.is_ordinal || options.rule.is_some_and(|rule| rule != Rule::Plurality))
        {
            return usage(
                "--weights decides by the sum of weights: it goes with --rule plurality alone, and not with --ordinal",
            );
        }
        if arguments.save_weights.is_some() && !learns {
            return usage(
                "--save-weights writes what --weights learned finds: there is nothing to write with a file",
            );
        }
        let reliabilities = match arguments.weights.as_deref() {
            None | Some(LEARNED) => None,
            Some(file) => Some(read_reliabilities(Path::new(file))?),
        };
        let origin = match (learns, &reliabilities) {
            (true, _) => Origin::Learned(VoterTable::default()),
            (false, Some(_)) => Origin::File,
            (false, None) => Origin::None,
        };
        let ranker = match &arguments.ranker {
            None => Ranker::builtin().clone(),
            Some(file) => read_ranker(file)?,
        };
        let save =
            arguments.save_weights.as_deref().map(|path| Output::open(Some(path), inputs)).transpose()?;
        Ok(Self {
            origin,
            field: arguments.voter.clone(),
            save,
            reliabilities,
            ranker,
            graded: 0,
            all_wrong: 0,
        })
    }

    /// Whether all sets must be seen before one can be decided.
    pub fn is_learning(&self) -> bool {
        matches!(self.origin, Origin::Learned(_))
    }

    /// Whether votes count by their voters.
    pub fn is_weighing(&self) -> bool {
        self.reliabilities.is_some()
    }

    /// Notes who said what.
    pub fn see(&mut self, set: &SampleSet, voted: &Result<Ballot, BallotError>) {
        if let (Origin::Learned(table), Ok(ballot)) = (&mut self.origin, voted)
            && ballot.record.is_none()
        {
            table.add(set, &ballot.vote.clusters, self.field.as_deref());
        }
    }

    /// Learns from what was seen. Where nothing can be learned that is said, and all votes count the same.
    pub fn learn(&mut self) -> Result<()> {
        let Origin::Learned(table) = &self.origin else { return Ok(()) };
        match table.learn() {
            Ok(learned) => {
                if let Some(mut save) = self.save.take() {
                    save.json_line(&learned)?;
                    save.finish()?;
                }
                self.reliabilities = Some(learned);
            }
            Err(reason) => {
                say(&format!("voters are not weighed: {reason}; every vote counts the same"));
                if self.save.take().is_some() {
                    say("no reliabilities are written");
                }
                if matches!(reason, NotIdentified::NoNames) {
                    self.origin = Origin::None;
                }
            }
        }
        Ok(())
    }

    /// The ballot with weights.
    pub fn weighed(&mut self, set: &SampleSet, ballot: Ballot, options: &VoteOptions) -> Ballot {
        let Some(learned) = &self.reliabilities else { return ballot };
        if let Some(reference) = set.reference_answer.as_ref().filter(|_| ballot.record.is_none()) {
            self.graded += 1;
            let accepts = |cluster: &conclave_core::Cluster| {
                ballot.kind.accepts(reference, &cluster.answer, cluster.found_by, options)
            };
            self.all_wrong += u64::from(!ballot.vote.clusters.iter().any(accepts));
        }
        let weights: Vec<f64> = learned.of_set(set, self.field.as_deref()).into_iter().map(weight).collect();
        ballot.weighed(&weights)
    }

    /// What ranks the classes of a vote.
    pub fn judge(&self) -> Judge<'_> {
        let voters = self.reliabilities.as_ref().map(|learned| (learned, self.field.as_deref()));
        Judge { ranker: &self.ranker, voters }
    }

    /// The table of voters, and what they are worth together; nothing where they were not learned here.
    pub fn report(&self) -> Vec<String> {
        let (Origin::Learned(table), Some(learned)) = (&self.origin, &self.reliabilities) else {
            return Vec::new();
        };
        let mut shown = Table::new(&[
            ("voter", Align::Left),
            ("answers", Align::Right),
            ("reliability", Align::Left),
            ("agreement", Align::Right),
            ("weight", Align::Right),
        ]);
        for row in table.rows(learned) {
            shown.push(vec![
                visible_clipped(&row.name, SHOWN),
                format!("{}/{}", row.answers, row.candidates),
                format!("{:.3} [{:.2}, {:.2}]", row.reliability, row.low, row.high),
                row.agreement.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}")),
                format!("{:.2}", row.weight),
            ]);
        }
        let mut lines = shown.lines();
        lines.push(String::new());
        if let Some(together) = table.together(learned) {
            lines.push(self.together(&together));
        }
        if table.unnamed() > 0 {
            lines.push(format!(
                "{} without a voter's name count as the mean voter",
                count(table.unnamed(), "candidate")
            ));
        }
        lines
    }

    fn together(&self, found: &CoFailure) -> String {
        let mut text = format!(
            "{:.1} votes a set are worth {:.1} independent ones (correlation {:.2}); nobody is right in {:.1} % of {}",
            found.votes,
            found.effective_votes,
            found.correlation,
            100.0 * found.all_wrong,
            count(found.sets as u64, "set")
        );
        if self.graded > 0 {
            let (low, high) = conclave_core::binomial::clopper_pearson(self.all_wrong, self.graded, 0.95);
            text += &format!(
                ", by the references in {} of {} ({:.1} to {:.1} %)",
                self.all_wrong,
                self.graded,
                100.0 * low,
                100.0 * high
            );
        }
        text
    }
}

fn read_reliabilities(path: &Path) -> Result<Reliabilities> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read --weights `{name}`"))?;
    let expected = "expected {\"voters\": [{\"name\": \"...\", \"reliability\": 0.8}, ...]}, as --save-weights writes it";
    let read: Reliabilities =
        serde_json::from_str(&text).with_context(|| format!("--weights `{name}`: {expected}"))?;
    read.check().with_context(|| format!("--weights `{name}`"))
}

/// Reads a ranker.
pub fn read_ranker(path: &Path) -> Result<Ranker> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the ranker `{}`", path.display()))?;
    Ranker::read(&text).with_context(|| format!("the ranker `{}`", path.display()))
}
