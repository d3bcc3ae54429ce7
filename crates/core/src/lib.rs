//! Everything decidable without a GPU, a network or a clock.
//!
//! Problems and candidates ([`sample_set`]), answers read in texts ([`reader`]), when two answers are the same
//! ([`equivalence`], on the mathematics of [`math`]), grades ([`grade`]), classes of equal answers ([`cluster`]), votes
//! ([`vote`]), who can be believed ([`voters`]) and which answer is right ([`rank`]), whether a vote is enough ([`router`])
//! and when enough candidates were asked for ([`stopping`]), prompts ([`prompt`]), results ([`result`]) and what they are worth
//! ([`metrics`], [`report`]), how far their confidence can be believed ([`calibration`]). [`arithmetic`] is a domain of
//! generated problems with simulated candidates.
//! What does not live here: files and networks (hosts), tokenizers and language models (`conclave-model`).

pub mod agreement;
pub mod arithmetic;
pub mod binomial;
pub mod calibration;
pub mod cluster;
pub mod equivalence;
mod float;
pub mod grade;
pub mod json_lines;
mod json_text;
pub mod kinds;
pub mod layer;
mod letters;
pub mod math;
pub mod metrics;
mod order;
pub mod prompt;
pub mod rank;
pub mod reader;
pub mod record;
pub mod reference;
pub mod report;
pub mod result;
pub mod router;
pub mod sample_set;
pub mod stopping;
pub mod tool_call;
pub mod vote;
pub mod voters;

pub use cluster::{Cluster, cluster_readings};
pub use equivalence::{Answer, Verdict, is_equivalent};
pub use json_text::json_text;
pub use kinds::{AnswerKind, Ballot, BallotError, VoteOptions, ballot};
pub use layer::Layer;
pub use metrics::{Figure, pass_at_k};
pub use prompt::{
    ParsedCompletion, Prompt, PromptError, PromptOptions, PromptVariant, Segment, build_prompt,
    choose_by_class, parse_completion,
};
pub use reader::{NoAnswer, Reading, Tier, read};
pub use reference::{ParsedReference, Reference};
pub use report::repeats::RepeatsReport;
pub use report::{EvalOptions, EvalRow, Evaluation, Report, ReportError, ResultsReport, SetsReport};
pub use result::{AggregateResult, ClusterResult, ConfidenceKind, Method, Usage};
pub use router::{Policy, Route, route, route_set};
pub use sample_set::{Candidate, JsonLines, LineError, SampleSet, read_sample_sets, write_json_line};
pub use vote::{Vote, lead_probability, majority_vote, weighted_vote};
