//! Pools of solutions, and rounds in which each pool is aggregated into the next (ParaGator, arXiv 2603.18886; recursive
//! self-aggregation).
//!
//! Round 0 is a generator's: `num_candidates` solutions of each problem, drawn one by one. In every further round each
//! place of the new pool is an aggregation of `pool_size` candidates of the old one, another choice and order for each place;
//! what the aggregator writes is a candidate of the next round. A pool is a [`SampleSet`], so that votes, reports and files
//! know it. The model may be the same throughout, or one that generates and one that aggregates: who completes prompts is
//! passed in. What is not here: training (`paragator`).

use conclave_core::metrics::{Figure, Ratio, paired_bootstrap, pass_at_k};
use conclave_core::prompt::{
    Prompt, PromptError, PromptOptions, PromptVariant, build_generator_prompt, build_prompt,
    candidate_of_completion, permutation, plan_prompt,
};
use conclave_core::report::{EvalOptions, Evaluation, Report, SetsReport};
use conclave_core::sample_set::{Candidate, SampleSet};
use conclave_model::generate::{FinishReason, Stops};
use conclave_model::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::evaluate::aggregator_stops;
use crate::reward::generator_correct;
use crate::rollout::{Rollout, RolloutCost, RolloutOptions, RolloutPrompt};

/// What a generator's draws are for.
pub(crate) const GENERATION: u64 = 2;

/// What the draws of the first round of aggregation are for; each further round has the next number.
const FIRST_ROUND: u64 = 1_000;

/// Resamples of what the core's reports do not have.
const BOOTSTRAP_SEED: u64 = 20_260_103;

/// Completes prompts: [`roll_out`](crate::rollout::roll_out) on the decoders of whoever calls.
pub type RollOut<'a> =
    dyn FnMut(&[RolloutPrompt<'_>], &Stops, &RolloutOptions) -> Result<(Vec<Vec<Rollout>>, RolloutCost)> + 'a;

/// How pools come about.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolOptions {
    /// The prompts.
    pub variant: PromptVariant,
    /// Tokens of prompt and completion together, at most.
    pub context_length: usize,
    /// Candidates of a pool.
    pub num_candidates: usize,
    /// Candidates that an aggregation reads; all of a pool that has no more.
    pub pool_size: usize,
    /// Tokens of a generated solution, at most.
    pub generator_max_new_tokens: usize,
    /// Tokens of an aggregation, at most.
    pub max_new_tokens: usize,
    /// Of both kinds of draws; 0 makes every aggregation of the same candidates the same.
    pub temperature: f64,
    /// Completions written at once.
    pub rows: usize,
    /// Seed of all draws and choices.
    pub seed: u64,
    /// Number of the first problem: draws and choices go by the problem's number, so that many problems can be worked on
    /// part by part.
    pub first: u64,
}

/// What pools are worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolReport {
    /// The round, from 0, which is the generator's.
    pub round: u64,
    /// The figures of `conclave eval`: a candidate's accuracy (`mean_at_1`), the vote's, any candidate's.
    #[serde(flatten)]
    pub sets: SetsReport,
    /// The k of `pass_at`.
    pub k: usize,
    /// pass@k, by the unbiased estimator.
    pub pass_at: Option<Figure>,
    /// Mean tokens of a candidate.
    pub mean_tokens: f64,
}

impl PoolOptions {
    fn prompt(&self, max_new_tokens: usize) -> PromptOptions {
        let Self { variant, context_length, .. } = *self;
        PromptOptions { variant, context_length, max_new_tokens, permutation_seed: None }
    }

    fn rollouts(&self, group_size: usize, max_new_tokens: usize, purpose: u64) -> RolloutOptions {
        let Self { temperature, rows, seed, .. } = *self;
        RolloutOptions { group_size, temperature, max_new_tokens, rows, seed, purpose }
    }
}

/// The tokens of the prompt that asks a generator to solve `set`.
///
/// # Errors
/// A problem that leaves no room for its solution.
pub fn generator_prompt(set: &SampleSet, tokenizer: &Tokenizer, options: &PoolOptions) -> Result<Vec<u32>> {
    let prompt_options = options.prompt(options.generator_max_new_tokens);
    let prompt = build_generator_prompt(&set.problem, &prompt_options, &|text| tokenizer.count(text));
    encode(set, prompt, tokenizer)
}

/// The tokens of the prompt that asks for one answer to `pool`, its candidates in their order.
///
/// # Errors
/// A problem that leaves no room for a candidate.
pub fn aggregator_prompt(pool: &SampleSet, tokenizer: &Tokenizer, options: &PoolOptions) -> Result<Vec<u32>> {
    let prompt = build_prompt(pool, &options.prompt(options.max_new_tokens), &|text| tokenizer.count(text));
    encode(pool, prompt, tokenizer)
}

/// Sees to it that `set` can be aggregated, whatever its candidates, which are clipped to the room there is.
///
/// # Errors
/// A problem that leaves no room for a candidate.
pub fn check_room(set: &SampleSet, tokenizer: &Tokenizer, options: &PoolOptions) -> Result<()> {
    let prompt_options = options.prompt(options.max_new_tokens);
    let plan = plan_prompt(&set.problem, 1, &prompt_options, &|text| tokenizer.count(text));
    plan.map(|_| ()).map_err(|error| of_set(set, &error))
}

fn encode(set: &SampleSet, prompt: Result<Prompt, PromptError>, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    let prompt = prompt.map_err(|error| of_set(set, &error))?;
    Ok(tokenizer.encode_segments(&prompt.segments)?)
}

fn of_set(set: &SampleSet, error: &PromptError) -> TrainError {
    TrainError::Data(format!("set `{}`: {error}", set.id))
}

/// The same problem with other candidates.
pub fn pool_of(set: &SampleSet, candidates: Vec<Candidate>) -> SampleSet {
    SampleSet {
        id: set.id.clone(),
        problem: set.problem.clone(),
        reference_answer: set.reference_answer.clone(),
        candidates,
        extra: set.extra.clone(),
    }
}

/// A completion as a candidate; `prefill` is the aggregator's, a generator has none.
pub fn candidate_of(rollout: &Rollout, prefill: &str) -> Candidate {
    let is_cut = rollout.finish_reason == FinishReason::Length;
    Candidate {
        text: match prefill {
            "" => rollout.text.trim().to_owned(),
            prefill => candidate_of_completion(prefill, &rollout.text),
        },
        finish_reason: Some(if is_cut { "length" } else { "stop" }.to_owned()),
        usage: Some(serde_json::json!({"completion_tokens": rollout.tokens.len()})),
        ..Candidate::default()
    }
}

/// `count` of a pool's candidates in a random order, which `key` alone decides.
pub fn choose(pool: &SampleSet, count: usize, key: [u64; 4]) -> SampleSet {
    let order = permutation(pool.candidates.len(), mixed(key));
    let chosen = order.into_iter().take(count).map(|index| pool.candidates[index].clone());
    pool_of(pool, chosen.collect())
}

/// One number of several, each of which changes all of it (the finaliser of SplitMix64, word by word).
fn mixed(words: [u64; 4]) -> u64 {
    words.into_iter().fold(0, |state: u64, word| {
        let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// Round 0: solutions of each problem. Candidates that the sets have are not looked at.
///
/// # Errors
/// A problem that leaves no room; those of `roll_out`.
pub fn generate_pools(
    roll_out: &mut RollOut<'_>,
    sets: &[SampleSet],
    tokenizer: &Tokenizer,
    stop_ids: &[u32],
    options: &PoolOptions,
) -> Result<Vec<SampleSet>> {
    let tokens: Vec<Vec<u32>> =
        sets.iter().map(|set| generator_prompt(set, tokenizer, options)).collect::<Result<_>>()?;
    let prompts: Vec<RolloutPrompt> =
        (options.first..).zip(&tokens).map(|(stream, tokens)| RolloutPrompt { tokens, stream }).collect();
    let rollouts = options.rollouts(options.num_candidates, options.generator_max_new_tokens, GENERATION);
    let (groups, _) = roll_out(&prompts, &generator_stops(stop_ids), &rollouts)?;
    let pool = |(set, group): (&SampleSet, &Vec<Rollout>)| {
        pool_of(set, group.iter().map(|rollout| candidate_of(rollout, "")).collect())
    };
    Ok(sets.iter().zip(&groups).map(pool).collect())
}

/// What ends a generator's solution.
pub fn generator_stops(stop_ids: &[u32]) -> Stops {
    Stops { ids: stop_ids.to_vec(), strings: Vec::new() }
}

/// Round `round` (from 1): each place of a new pool is an aggregation of some candidates of the old one.
///
/// # Errors
/// A problem that leaves no room, a pool without candidates; those of `roll_out`.
pub fn aggregate_pools(
    roll_out: &mut RollOut<'_>,
    pools: &[SampleSet],
    round: u64,
    tokenizer: &Tokenizer,
    stop_ids: &[u32],
    options: &PoolOptions,
) -> Result<Vec<SampleSet>> {
    let purpose = FIRST_ROUND + round;
    let places = options.num_candidates as u64;
    let mut tokens = Vec::with_capacity(pools.len() * options.num_candidates);
    for (index, pool) in (options.first..).zip(pools) {
        for place in 0..places {
            let read = choose(pool, options.pool_size, [options.seed, purpose, index, place]);
            tokens.push(aggregator_prompt(&read, tokenizer, options)?);
        }
    }
    let prompts: Vec<RolloutPrompt> = (options.first * places..)
        .zip(&tokens)
        .map(|(stream, tokens)| RolloutPrompt { tokens, stream })
        .collect();
    let rollouts = options.rollouts(1, options.max_new_tokens, purpose);
    let (groups, _) = roll_out(&prompts, &aggregator_stops(stop_ids), &rollouts)?;
    let prefill = options.variant.prefill();
    let mut candidates = groups.iter().flatten().map(|rollout| candidate_of(rollout, prefill));
    Ok(pools
        .iter()
        .map(|pool| pool_of(pool, candidates.by_ref().take(options.num_candidates).collect()))
        .collect())
}

/// What the pools of a round are worth. Sets without a reference answer are left out.
///
/// # Errors
/// None that is known.
pub fn report(pools: &[SampleSet], round: u64, k: usize) -> Result<PoolReport> {
    let mut evaluation = PoolEvaluation::new(round, k);
    pools.iter().for_each(|pool| evaluation.add(pool));
    evaluation.report()
}

/// What the pools of a round are worth, one pool after another: none is kept.
pub struct PoolEvaluation {
    round: u64,
    k: usize,
    evaluation: Evaluation<'static>,
    failure: Option<String>,
    passes: Vec<f64>,
    tokens: u64,
    candidates: u64,
}

impl PoolEvaluation {
    /// Of round `round`, with pass@k.
    pub fn new(round: u64, k: usize) -> Self {
        let evaluation = Evaluation::new(EvalOptions::default());
        Self { round, k, evaluation, failure: None, passes: Vec::new(), tokens: 0, candidates: 0 }
    }

    /// Adds a pool.
    pub fn add(&mut self, pool: &SampleSet) {
        if let Err(error) = self.evaluation.add_set(pool) {
            self.failure.get_or_insert(error.to_string());
        }
        if let Some(correct) = correct(pool) {
            let (n, c) = (correct.len() as u64, correct.iter().filter(|correct| **correct).count() as u64);
            self.passes.extend(pass_at_k(n, c, (self.k as u64).clamp(1, n.max(1))));
        }
        let tokens = |candidate: &Candidate| candidate.usage.as_ref()?.get("completion_tokens")?.as_u64();
        for tokens in pool.candidates.iter().filter_map(tokens) {
            self.tokens += tokens;
            self.candidates += 1;
        }
    }

    /// The figures of all that were added.
    ///
    /// # Errors
    /// None that is known.
    pub fn report(&self) -> Result<PoolReport> {
        if let Some(failure) = &self.failure {
            return Err(TrainError::Data(failure.clone()));
        }
        let Report::Sets(sets) = self.evaluation.report(&format!("round {}", self.round)) else {
            return Err(TrainError::Data("pools are sample sets".to_owned()));
        };
        let ratio = Ratio::mean(self.passes.clone());
        Ok(PoolReport {
            round: self.round,
            sets,
            k: self.k,
            pass_at: paired_bootstrap(&[ratio], BOOTSTRAP_SEED).into_iter().next().flatten(),
            mean_tokens: self.tokens as f64 / self.candidates.max(1) as f64,
        })
    }
}

/// Which candidates of a pool are correct; none where there is no reference.
pub fn correct(pool: &SampleSet) -> Option<Vec<bool>> {
    let reference = pool.reference_answer.as_ref()?;
    let correct =
        |candidate: &Candidate| generator_correct(&candidate.text, candidate.is_truncated(), reference);
    Some(pool.candidates.iter().map(correct).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::roll_out;
    use crate::scripted::{END, Rule, bytes};
    use crate::workers::Workers;

    fn options() -> PoolOptions {
        PoolOptions {
            variant: PromptVariant::NoThink,
            context_length: 4_096,
            num_candidates: 6,
            pool_size: 2,
            generator_max_new_tokens: 4,
            max_new_tokens: 20,
            temperature: 1.0,
            rows: 8,
            seed: 1,
            first: 0,
        }
    }

    fn problem(id: &str, reference: &str, candidates: &[&str]) -> SampleSet {
        let candidate = |text: &&str| Candidate { text: text.to_string(), ..Candidate::default() };
        SampleSet {
            id: id.into(),
            problem: format!("problem {id}"),
            reference_answer: Some(reference.into()),
            candidates: candidates.iter().map(candidate).collect(),
            extra: Default::default(),
        }
    }

    /// Completes by a rule on the text so far.
    fn with<T>(rule: impl Fn(&str) -> Option<u8> + Send, work: impl FnOnce(&mut RollOut<'_>) -> T) -> T {
        let text = |row: &[u32]| row.iter().map(|&token| token as u8 as char).collect::<String>();
        let mut decoders = [Rule::new(move |row: &[u32]| rule(&text(row)).map_or(END, u32::from))];
        let (workers, tokenizer) = (Workers::new(1).unwrap(), bytes());
        work(&mut |prompts, stops, options| {
            roll_out(&workers, &mut decoders, &tokenizer, stops, prompts, options)
        })
    }

    #[test]
    fn a_generator_sees_the_problem_alone() {
        let sets = [problem("a", "7", &["never shown"]), problem("b", "8", &[])];
        // Writes "7" and ends.
        let rule = |text: &str| {
            assert!(!text.contains("never shown"));
            text.ends_with("Answer:\n").then_some(b'7')
        };
        let pools =
            with(rule, |roll_out| generate_pools(roll_out, &sets, &bytes(), &[END], &options())).unwrap();
        for (pool, set) in pools.iter().zip(&sets) {
            assert_eq!((pool.id.as_str(), pool.candidates.len()), (set.id.as_str(), 6));
            assert!(pool.candidates.iter().all(|one| one.text == "7" && !one.is_truncated()));
        }
        let report = report(&pools, 0, 2).unwrap();
        assert_eq!(report.sets.mean_at_1.unwrap().value, 0.5);
        assert_eq!((report.pass_at.unwrap().value, report.mean_tokens), (0.5, 2.0));
    }

    #[test]
    fn a_round_aggregates_choices_of_the_pool() {
        let sets = [problem("a", "12", &["1", "2", "3", "4", "5", "6"])];
        // Answers the two candidates it reads, one behind the other.
        let rule = |text: &str| {
            let (prompt, written) = text.rsplit_once("<answer>")?;
            let read = |place: &str| prompt.split(place).nth(1)?.lines().next();
            let answer = format!("{}{}</answer>", read("Answer 1:\n")?, read("Answer 2:\n")?);
            assert!(!prompt.contains("Answer 3:"));
            answer.as_bytes().get(written.len()).copied()
        };
        let round = |round| {
            with(rule, |roll_out| aggregate_pools(roll_out, &sets, round, &bytes(), &[END], &options()))
                .unwrap()
        };
        let first = round(1);
        let texts: Vec<&str> = first[0].candidates.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts.len(), 6);
        for text in &texts {
            let digits: Vec<u8> = text.bytes().collect();
            assert!(digits.len() == 2 && digits[0] != digits[1], "two different candidates: {texts:?}");
        }
        assert!(texts.iter().any(|text| *text != texts[0]), "each place has its own choice: {texts:?}");
        assert_eq!(round(1), first);
        assert_ne!(round(2), first);
        // The same problem as the second of two.
        let two = [sets[0].clone(), sets[0].clone()];
        let of = |sets: &[SampleSet], first| {
            let options = PoolOptions { first, ..options() };
            with(rule, |roll_out| aggregate_pools(roll_out, sets, 1, &bytes(), &[END], &options)).unwrap()
        };
        assert_eq!(of(&two, 4)[1], of(&sets, 5)[0]);
        assert_ne!(of(&two, 4)[0], of(&two, 4)[1]);
    }

    #[test]
    fn figures_of_pools() {
        let cut = Candidate { finish_reason: Some("length".into()), ..Candidate::default() };
        let mut half = problem("half", "7", &["7", "8", "7", "9"]);
        half.candidates.push(Candidate { text: "it may be 7".into(), ..cut });
        let unknown = SampleSet { reference_answer: None, ..problem("unknown", "", &["1"]) };
        assert_eq!(correct(&half).unwrap(), [true, false, true, false, false]);
        let report = report(&[half, unknown], 3, 2).unwrap();
        assert_eq!((report.round, report.sets.problems, report.sets.mean_at_1.unwrap().value), (3, 1, 0.4));
        // 1 - C(3, 2) / C(5, 2)
        assert!((report.pass_at.unwrap().value - 0.7).abs() < 1e-12);
    }

    #[test]
    fn choices_are_even_and_by_key() {
        let pool = problem("a", "1", &["0", "1", "2", "3"]);
        let mut counts = [0; 4];
        for key in 0..4_000 {
            for candidate in &choose(&pool, 2, [1, 2, 3, key]).candidates {
                counts[candidate.text.parse::<usize>().unwrap()] += 1;
            }
        }
        assert!(counts.iter().all(|count| (1_850..2_150).contains(count)), "{counts:?}");
        assert_eq!(choose(&pool, 9, [1, 2, 3, 4]).candidates.len(), 4);
        assert_ne!(mixed([1, 2, 3, 4]), mixed([1, 2, 4, 3]));
    }
}
