//! What a model is worth on held-out sample sets: greedy answers, graded, beside what the candidates are worth.
//!
//! The figures and their intervals are those of `conclave eval` ([`conclave_core::report`]), computed from the same
//! result rows, so that a training's curve and a report on `conclave aggregate`'s output agree. Two things differ:
//! 1. A completion that is not well-formed has no answer here, so that `accuracy` is the model's own; a deployed
//!    aggregator falls back to the vote then, which is `accuracy_with_vote`.
//! 2. The policy is `always`: stable votes are put before the model as well.
//!
//! With `num_candidates` 0 the model sees the problem with one empty answer: the control that shows whether it
//! aggregates or computes. What is not here: the sets themselves, when evaluations happen.

use std::collections::{HashMap, HashSet};

use conclave_core::layer::{Layer, MODEL};
use conclave_core::metrics::{Figure, Ratio, paired_bootstrap};
use conclave_core::prompt::{PromptOptions, PromptVariant, build_prompt, parse_completion};
use conclave_core::report::{EvalOptions, Evaluation, Report, ResultsReport};
use conclave_core::result::{AggregateResult, ConfidenceKind, Method, Usage};
use conclave_core::sample_set::{Candidate, SampleSet};
use conclave_core::vote::majority_vote;
use conclave_model::decoder::Decoder;
use conclave_model::generate::{FinishReason, Stops};
use conclave_model::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::rollout::{RolloutCost, RolloutOptions, RolloutPrompt, roll_out};
use crate::workers::Workers;

/// Resamples of the figures that the report of the core does not have.
const BOOTSTRAP_SEED: u64 = 20_260_102;

/// How a model is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateOptions {
    /// The prompt.
    pub variant: PromptVariant,
    /// The first so many candidates of each set; 0 is the control.
    pub num_candidates: usize,
    /// Tokens of a completion at most.
    pub max_new_tokens: usize,
    /// Orders in which each set's candidates are shown: the first is their own, the others are drawn. Two or more give
    /// a flip rate; figures are means over all.
    pub permutations: usize,
    /// Prompts that are completed at once.
    pub rows: usize,
    /// Seed of the orders.
    pub seed: u64,
}

/// What a model is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// The figures of `conclave eval`; `recoveries` and `regressions` count rows, of which there are `permutations` a
    /// problem.
    #[serde(flatten)]
    pub results: ResultsReport,
    /// Orders of each set.
    pub permutations: usize,
    /// Share of correct answers where a completion that is not well-formed is answered by the vote.
    pub accuracy_with_vote: Option<Figure>,
    /// Accuracy less the tie-broken vote's.
    pub gain: Option<Figure>,
    /// Share of rows where the vote is right and the answer wrong.
    pub regression_rate: Option<Figure>,
    /// Share of rows where the vote is wrong and the answer right.
    pub recovery_rate: Option<Figure>,
    /// Share of well-formed completions.
    pub well_formed: f64,
    /// Share of completions cut off at the limit.
    pub truncated: f64,
    /// Mean tokens of a completion.
    pub mean_completion_tokens: f64,
    /// Generated tokens a second of decoding.
    pub tokens_per_second: f64,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// An evaluation: its report, and the rows it was made of (one a set and order, sets in their order), for `conclave
/// eval` and for comparing two models.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The figures.
    pub report: EvaluationReport,
    /// The rows. Their ids are the sets' ids.
    pub rows: Vec<AggregateResult>,
}

/// A row in the making.
struct Asked<'a> {
    set: &'a SampleSet,
    prompt: Vec<u32>,
    order: u64,
}

/// Evaluates the model of the decoders, which go side by side, on `sets`; those without a reference answer are left out.
///
/// # Errors
/// A set that does not fit the model's context; the decoder's.
pub fn evaluate<D: Decoder + Send>(
    workers: &Workers,
    decoders: &mut [D],
    tokenizer: &Tokenizer,
    stop_ids: &[u32],
    sets: &[SampleSet],
    options: &EvaluateOptions,
) -> Result<Evaluated> {
    evaluate_until(workers, decoders, tokenizer, stop_ids, sets, options, usize::MAX, &mut || false)
}

/// The same, of `at_once` prompts after the other, until somebody asks to stop: then of those that were done by then, of which there
/// are some.
///
/// # Errors
/// See [`evaluate`].
#[allow(clippy::too_many_arguments)]
pub fn evaluate_until<D: Decoder + Send>(
    workers: &Workers,
    decoders: &mut [D],
    tokenizer: &Tokenizer,
    stop_ids: &[u32],
    sets: &[SampleSet],
    options: &EvaluateOptions,
    at_once: usize,
    should_stop: &mut dyn FnMut() -> bool,
) -> Result<Evaluated> {
    let started = std::time::Instant::now();
    let sets: Vec<SampleSet> = sets
        .iter()
        .filter(|set| set.reference_answer.is_some())
        .map(|set| shown(set, options.num_candidates))
        .collect();
    let context_length = decoders.iter().map(Decoder::context_length).min().unwrap_or(0);
    let asked = ask(context_length, tokenizer, &sets, options)?;
    let prompts: Vec<RolloutPrompt> =
        asked.iter().map(|asked| RolloutPrompt { tokens: &asked.prompt, stream: 0 }).collect();
    let rollout_options = RolloutOptions {
        group_size: 1,
        temperature: 0.0,
        max_new_tokens: options.max_new_tokens,
        rows: options.rows,
        seed: 0,
        purpose: 0,
    };
    let stops = aggregator_stops(stop_ids);
    let (mut groups, mut cost) = (Vec::with_capacity(prompts.len()), RolloutCost::default());
    for prompts in prompts.chunks(at_once.max(1)) {
        if !groups.is_empty() && should_stop() {
            break;
        }
        let (more, taken) = roll_out(workers, decoders, tokenizer, &stops, prompts, &rollout_options)?;
        groups.extend(more);
        cost.add(&taken);
    }

    let mut rows = Vec::with_capacity(asked.len());
    let (mut truncated, mut well_formed) = (0, 0);
    let mut vote = None;
    for (asked, group) in asked.iter().zip(groups) {
        let [rollout] = &group[..] else { continue };
        truncated += usize::from(rollout.finish_reason == FinishReason::Length);
        if asked.order == 0 || vote.is_none() {
            vote = Some(majority_vote(asked.set));
        }
        let Some(vote) = &vote else { continue };
        let mut row = AggregateResult::from_vote(asked.set, vote);
        let parsed = parse_completion(options.variant.prefill(), &rollout.text);
        well_formed += usize::from(parsed.well_formed);
        row.extra.insert("vote_correct".to_owned(), row.correct.into());
        row.extra.insert("order".to_owned(), asked.order.into());
        row.set_answer(parsed.answer.filter(|_| parsed.well_formed));
        row.method = Method::Generate;
        row.confidence = rollout.log_probs.iter().map(|log_prob| f64::from(*log_prob)).sum::<f64>().exp();
        row.confidence_kind = ConfidenceKind::TokenProduct;
        row.completion = Some(rollout.text.clone());
        row.usage = Usage {
            prompt_tokens: asked.prompt.len() as u64,
            completion_tokens: rollout.tokens.len() as u64,
        };
        row.layers.push(Layer::of(MODEL, &row));
        rows.push(row);
    }
    let share = |count: usize| count as f64 / rows.len().max(1) as f64;
    let mut report = report(&rows, options, &cost)?;
    (report.well_formed, report.truncated) = (share(well_formed), share(truncated));
    report.seconds = started.elapsed().as_secs_f64();
    Ok(Evaluated { report, rows })
}

/// What ends an aggregator's completion.
pub fn aggregator_stops(stop_ids: &[u32]) -> Stops {
    Stops { ids: stop_ids.to_vec(), strings: vec!["</answer>".to_owned()] }
}

/// Accuracy of `after` less that of `before`, problem by problem, with its interval; both must be of the same sets.
/// None where there is no problem in both.
pub fn accuracy_difference(before: &[AggregateResult], after: &[AggregateResult]) -> Option<Figure> {
    let after: HashMap<&str, f64> = by_id(after, correct).into_iter().collect();
    let before = by_id(before, correct).into_iter();
    let differences = before.filter_map(|(id, value)| Some(after.get(id)? - value));
    paired_bootstrap(&[Ratio::mean(differences.collect())], BOOTSTRAP_SEED).into_iter().next().flatten()
}

/// Gives sets of the same id different ones, as rows are told apart by it: the second `7` becomes `7 (2)`. Files that are read
/// together may each number from 1.
pub fn distinguish(sets: &mut [SampleSet]) {
    let mut taken: HashSet<String> = sets.iter().map(|set| set.id.clone()).collect();
    let mut seen = HashSet::new();
    for set in sets {
        if seen.insert(set.id.clone()) {
            continue;
        }
        let free = (2..).map(|number| format!("{} ({number})", set.id)).find(|id| taken.insert(id.clone()));
        set.id = free.unwrap_or_default();
    }
}

/// The set as the model is to see it.
fn shown(set: &SampleSet, num_candidates: usize) -> SampleSet {
    let mut set = set.clone();
    set.candidates.truncate(num_candidates);
    if num_candidates == 0 {
        set.candidates.push(Candidate::default());
    }
    set
}

/// Prompts of every set in every order; a set's orders stand together, its own first.
fn ask<'a>(
    context_length: usize,
    tokenizer: &Tokenizer,
    sets: &'a [SampleSet],
    options: &EvaluateOptions,
) -> Result<Vec<Asked<'a>>> {
    let mut asked = Vec::with_capacity(sets.len() * options.permutations);
    for (index, set) in sets.iter().enumerate() {
        for order in 0..options.permutations.max(1) as u64 {
            let orders = (index as u64) << 16;
            let prompt_options = PromptOptions {
                variant: options.variant,
                context_length,
                max_new_tokens: options.max_new_tokens,
                permutation_seed: (order > 0).then(|| options.seed.wrapping_add(orders + order)),
            };
            let prompt = build_prompt(set, &prompt_options, &|text| tokenizer.count(text))
                .map_err(|error| TrainError::Data(format!("set `{}`: {error}", set.id)))?;
            asked.push(Asked { set, prompt: tokenizer.encode_segments(&prompt.segments)?, order });
        }
    }
    Ok(asked)
}

fn report(
    rows: &[AggregateResult],
    options: &EvaluateOptions,
    cost: &RolloutCost,
) -> Result<EvaluationReport> {
    let mut evaluation = Evaluation::new(EvalOptions::default());
    for row in rows {
        evaluation.add_result(row).map_err(|error| TrainError::Data(error.to_string()))?;
    }
    let Report::Results(results) = evaluation.report("evaluation") else {
        let message = "nothing to evaluate on: expected sets with a `reference_answer`";
        return Err(TrainError::Data(message.to_owned()));
    };
    let vote =
        |row: &AggregateResult| flag(row.extra.get("vote_correct").and_then(serde_json::Value::as_bool));
    let parts: [&dyn Fn(&AggregateResult) -> f64; 4] = [
        &|row| if row.answer.is_some() { correct(row) } else { vote(row) },
        &|row| correct(row) - vote(row),
        &|row| vote(row) * (1.0 - correct(row)),
        &|row| (1.0 - vote(row)) * correct(row),
    ];
    let mean = |part: &&dyn Fn(&AggregateResult) -> f64| {
        Ratio::mean(by_id(rows, part).into_iter().map(|(_, value)| value).collect())
    };
    let figures = paired_bootstrap(&parts.iter().map(mean).collect::<Vec<_>>(), BOOTSTRAP_SEED);
    Ok(EvaluationReport {
        results,
        permutations: options.permutations.max(1),
        accuracy_with_vote: figures[0],
        gain: figures[1],
        regression_rate: figures[2],
        recovery_rate: figures[3],
        well_formed: 0.0,
        truncated: 0.0,
        mean_completion_tokens: cost.generated_tokens as f64 / rows.len().max(1) as f64,
        tokens_per_second: cost.tokens_per_second(),
        seconds: 0.0,
    })
}

fn correct(row: &AggregateResult) -> f64 {
    flag(row.correct)
}

fn flag(value: Option<bool>) -> f64 {
    f64::from(u8::from(value == Some(true)))
}

/// The mean of `value` over the rows of each id, ids in order of first appearance.
fn by_id(rows: &[AggregateResult], value: impl Fn(&AggregateResult) -> f64) -> Vec<(&str, f64)> {
    let mut sums: Vec<(&str, f64, f64)> = Vec::new();
    let mut place_of = HashMap::new();
    for row in rows {
        let place = *place_of.entry(row.id.as_str()).or_insert_with(|| {
            sums.push((&row.id, 0.0, 0.0));
            sums.len() - 1
        });
        sums[place].1 += value(row);
        sums[place].2 += 1.0;
    }
    sums.into_iter().map(|(id, sum, count)| (id, sum / count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{END, Rule, bytes};

    fn set(id: &str, reference: &str, candidates: &[&str]) -> SampleSet {
        let candidate = |text: &&str| Candidate { text: text.to_string(), ..Candidate::default() };
        SampleSet {
            id: id.into(),
            problem: "p".into(),
            reference_answer: Some(reference.into()),
            candidates: candidates.iter().map(candidate).collect(),
            extra: Default::default(),
        }
    }

    #[test]
    fn sets_of_one_id_are_told_apart() {
        let mut sets = ["1", "2", "1", "1 (2)", "1"].map(|id| set(id, "7", &["7"]));
        distinguish(&mut sets);
        let ids: Vec<&str> = sets.iter().map(|set| set.id.as_str()).collect();
        assert_eq!(ids, ["1", "2", "1 (3)", "1 (2)", "1 (4)"]);
    }

    fn options(num_candidates: usize, permutations: usize) -> EvaluateOptions {
        let variant = PromptVariant::NoThink;
        EvaluateOptions { variant, num_candidates, max_new_tokens: 20, permutations, rows: 3, seed: 1 }
    }

    /// Answers what the first answer shown says, an `x` without closing it.
    fn first_answer(row: &[u32]) -> u32 {
        let text: String = row.iter().map(|&token| token as u8 as char).collect();
        let (prompt, written) = text.rsplit_once("<answer>").unwrap();
        let first = prompt.split("Answer 1:\n").nth(1).unwrap().lines().next().unwrap();
        let completion = if first == "x" { first.to_owned() } else { format!("{first}</answer>") };
        completion.as_bytes().get(written.len()).map_or(END, |&byte| u32::from(byte))
    }

    fn run(sets: &[SampleSet], options: &EvaluateOptions) -> Evaluated {
        let workers = Workers::new(1).unwrap();
        evaluate(&workers, &mut [Rule::new(first_answer)], &bytes(), &[END], sets, options).unwrap()
    }

    fn value(figure: Option<Figure>) -> f64 {
        (figure.unwrap().value * 1e6).round() / 1e6
    }

    fn sets() -> Vec<SampleSet> {
        let unknown = SampleSet { reference_answer: None, ..set("no reference", "1", &["1"]) };
        vec![
            set("recovered", "7", &["7", "8", "8.0", "7"]),
            set("kept", "5", &["5", "6", "5"]),
            unknown,
            set("regressed", "2", &["1", "2", "2"]),
            set("ill-formed", "3", &["x", "3", "3"]),
        ]
    }

    #[test]
    fn figures_by_hand() {
        let Evaluated { report, rows } = run(&sets(), &options(3, 1));
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["recovered", "kept", "regressed", "ill-formed"]);
        assert_eq!(value(report.results.accuracy), 0.5);
        assert_eq!(value(report.accuracy_with_vote), 0.75);
        assert_eq!(value(report.results.sets.majority_first), 0.75);
        assert_eq!(value(report.results.sets.pass_at_k), 1.0);
        assert_eq!(value(report.results.sets.mean_at_1), 0.583333);
        assert_eq!(value(report.gain), -0.25);
        assert_eq!(value(report.results.gap_closed), -1.0, "(1 + 0 - 1 - 1) / 1");
        assert_eq!((value(report.regression_rate), value(report.recovery_rate)), (0.5, 0.25));
        assert_eq!((report.results.regressions, report.results.recoveries), (2, 1));
        assert_eq!((report.well_formed, report.truncated), (0.75, 0.0));
        // "7</answer>" three times, and "x" with the end token.
        assert_eq!(report.mean_completion_tokens, 8.0);
        assert!(report.results.flip_rate.is_none());
    }

    #[test]
    fn orders_flip_what_looks_at_the_order() {
        let alike = set("alike", "4", &["4", "4.0", "4"]);
        let apart = set("apart", "1", &["1", "2", "3"]);
        let Evaluated { report, rows } = run(&[alike, apart], &options(3, 8));
        assert_eq!(rows.len(), 16);
        assert_eq!(report.permutations, 8);
        let answers: Vec<&str> = rows[8..].iter().filter_map(|row| row.answer.as_deref()).collect();
        assert_eq!(answers[0], "1", "the first order is the candidates' own");
        let pairs = (0..8).flat_map(|a| (0..a).map(move |b| (a, b)));
        let flips = pairs.filter(|&(a, b)| answers[a] != answers[b]).count();
        assert!(flips > 0);
        assert_eq!(value(report.results.flip_rate), (flips as f64 / 28.0 / 2.0 * 1e6).round() / 1e6);
        let right = answers.iter().filter(|answer| **answer == "1").count() as f64;
        assert_eq!(value(report.results.accuracy), (1.0 + right / 8.0) / 2.0);
    }

    #[test]
    fn the_control_shows_no_candidate() {
        let Evaluated { report, .. } = run(&sets(), &options(0, 1));
        assert_eq!(value(report.results.accuracy), 0.0);
        assert_eq!(value(report.results.sets.pass_at_k), 0.0);
        assert_eq!(report.results.gap_closed, None);
    }

    #[test]
    fn two_models_are_compared_by_problem() {
        let before = run(&sets(), &options(3, 1)).rows;
        let mut after = before.clone();
        after[3].correct = Some(true);
        after.rotate_left(1);
        let figure = accuracy_difference(&before, &after).unwrap();
        assert_eq!(figure.value, 0.25);
        assert!(figure.low == 0.0 && figure.high > 0.25);
        assert_eq!(accuracy_difference(&before, &[]), None);
    }
}
