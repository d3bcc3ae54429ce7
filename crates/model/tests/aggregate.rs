//! The aggregator's logic on a scripted decoder, and generation on a real one.

use std::ops::ControlFlow;

use burn::tensor::Device;
use conclave_core::prompt::{PromptVariant, TAGS};
use conclave_core::result::{AggregateResult, ConfidenceKind, Method};
use conclave_core::router::Policy;
use conclave_core::sample_set::{Candidate, SampleSet};
use conclave_model::aggregate::{AggregateOptions, Aggregator, Event};
use conclave_model::config::Qwen2Config;
use conclave_model::decoder::Decoder;
use conclave_model::error::{Error, ErrorKind};
use conclave_model::generate::{Completion, FinishReason, SamplingParams, Stops, Token, generate};
use conclave_model::init::RandomWeights;
use conclave_model::load::{LoadOptions, load};
use conclave_model::manifest::{Manifest, Mode};
use conclave_model::qwen2_decoder::Qwen2Decoder;
use conclave_model::tokenizer::Tokenizer;
use pollster::block_on;
use scripted::Scripted;
use serde_json::json;

#[path = "suite/bytes.rs"]
mod bytes;
#[path = "suite/scripted.rs"]
mod scripted;

fn set(answers: &[&str], reference: Option<&str>) -> SampleSet {
    let candidate =
        |answer: &&str| Candidate { text: format!("So it is \\boxed{{{answer}}}."), ..Candidate::default() };
    SampleSet {
        id: "s".to_owned(),
        problem: "What is it?".to_owned(),
        reference_answer: reference.map(Into::into),
        candidates: answers.iter().map(candidate).collect(),
        extra: Default::default(),
    }
}

/// Each byte of `text` as a token of probability `p`.
fn script(text: &str, p: f64) -> Vec<(u32, f64)> {
    text.bytes().map(|byte| (u32::from(byte), p)).collect()
}

fn aggregator(decoder: Scripted) -> Aggregator<Scripted> {
    aggregator_of(Manifest::default(), decoder)
}

fn aggregator_of(manifest: Manifest, decoder: Scripted) -> Aggregator<Scripted> {
    Aggregator::new(decoder, bytes::tokenizer(), manifest, vec![bytes::END])
}

fn run(
    decoder: Scripted,
    set: &SampleSet,
    options: &AggregateOptions,
) -> (Result<AggregateResult, Error>, String, Scripted) {
    run_as(Manifest::default(), decoder, set, options)
}

fn run_as(
    manifest: Manifest,
    decoder: Scripted,
    set: &SampleSet,
    options: &AggregateOptions,
) -> (Result<AggregateResult, Error>, String, Scripted) {
    let mut aggregator = aggregator_of(manifest, Scripted { context_length: 4096, ..decoder });
    let mut streamed = String::new();
    let result = block_on(aggregator.aggregate(set, options, &mut |event| {
        if let Event::Text(text) = event {
            streamed.push_str(text);
        }
        ControlFlow::Continue(())
    }));
    (result, streamed, std::mem::take(aggregator.decoder_mut()))
}

fn always() -> AggregateOptions {
    AggregateOptions { policy: Policy::Always, ..AggregateOptions::default() }
}

fn text(tokens: &[u32]) -> String {
    String::from_utf8(tokens.iter().map(|&token| token as u8).collect()).unwrap()
}

#[test]
fn a_vote_of_four_in_five_is_not_put_to_the_model() {
    let set = set(&["7", "7", "7.0", "7", "8"], Some("7"));
    let (result, _, decoder) = run(Scripted::default(), &set, &AggregateOptions::default());
    let result = result.unwrap();
    assert_eq!(
        (result.method, result.answer.as_deref(), result.correct),
        (Method::Vote, Some("7"), Some(true))
    );
    assert_eq!(result.confidence_kind, ConfidenceKind::Correct);
    assert!((0.9..1.0).contains(&result.confidence), "{}", result.confidence);
    let stability = result.lead_probability.unwrap();
    assert!((stability - 0.890625).abs() < 1e-12, "P(Beta(5, 2) > 1/2) = 57 / 64");
    assert!(decoder.rows.is_empty(), "the decoder was not touched");
    let said: Vec<(&str, Option<&str>)> = said(&result);
    assert_eq!(said, [("vote", Some("7"))]);
}

/// M27: the tags were added as special tokens, which decoding leaves out; the answer is found all the same.
#[test]
fn an_answer_between_special_tokens_is_read() {
    let mut json = bytes::json();
    let special = |(tag, id): (&&str, u32)| json!({"id": id, "content": tag, "special": true});
    json["added_tokens"].as_array_mut().unwrap().extend(TAGS.iter().zip(257..).map(special));
    let tokenizer = Tokenizer::from_json(json.to_string().as_bytes()).unwrap();
    let close = tokenizer.token_id("</answer>").unwrap();
    let script = [script("8", 0.9), vec![(close, 0.9)]].concat();
    let decoder = Scripted { script, context_length: 4096, ..Scripted::default() };
    let mut aggregator = Aggregator::new(decoder, tokenizer, Manifest::default(), vec![bytes::END]);
    let set = set(&["7", "7", "8"], Some("8"));
    let result = block_on(aggregator.aggregate(&set, &always(), &mut |_| ControlFlow::Continue(()))).unwrap();
    assert_eq!((result.answer.as_deref(), result.correct), (Some("8"), Some(true)));
}

#[test]
fn a_contested_vote_is_answered_by_the_model() {
    let set = set(&["7", "7", "8"], Some("8"));
    let decoder = Scripted { script: script("8</answer> and more", 0.9), ..Scripted::default() };
    let (result, streamed, decoder) = run(decoder, &set, &AggregateOptions::default());
    let result = result.unwrap();
    assert_eq!(
        (result.method, result.answer.as_deref(), result.correct),
        (Method::Generate, Some("8"), Some(true))
    );
    assert_eq!(result.confidence_kind, ConfidenceKind::TokenProduct);
    assert!((result.confidence - 0.9).abs() < 1e-12, "one token holds the answer: {}", result.confidence);
    assert_eq!(result.completion.as_deref(), Some("8</answer>"));
    assert_eq!(streamed, "8", "the closing tag is not shown");
    assert_eq!(result.usage.completion_tokens, "8</answer>".len() as u64);
    // The closing tag's last token is not appended: nothing is decoded after it.
    let prompt_tokens = result.usage.prompt_tokens as usize;
    assert_eq!(decoder.rows[0].len(), prompt_tokens + "8</answer>".len() - 1);
    let prompt = text(&decoder.rows[0][..prompt_tokens]);
    assert!(prompt.contains("What is it?") && prompt.contains("\\boxed{8}") && prompt.ends_with("<answer>"));
    assert_eq!((result.clusters[0].votes, result.clusters[1].votes), (2, 1), "the dissent is kept");
    assert_eq!(said(&result), [("vote", Some("7")), ("model", Some("8"))]);
    let model = &result.layers[1];
    assert_eq!((model.usage, model.confidence, model.omitted), (Some(result.usage), result.confidence, None));
    assert_eq!((result.layers[0].usage, result.layers[0].confidence_kind), (None, ConfidenceKind::Correct));
}

/// Who was asked, and the answer of each.
fn said(result: &AggregateResult) -> Vec<(&str, Option<&str>)> {
    result.layers.iter().map(|layer| (layer.layer.as_str(), layer.answer.as_deref())).collect()
}

#[test]
fn an_answer_that_no_candidate_has_is_taken_from_a_model_that_has_earned_it() {
    let decoder = |text| Scripted { script: script(text, 0.9), ..Scripted::default() };
    let earned = || Manifest { novel_answers: true, ..Manifest::default() };
    let set = set(&["0.5", "0.5", "3"], Some("4"));
    let (result, ..) = run(decoder("4</answer>"), &set, &always());
    let result = result.unwrap();
    assert_eq!(
        (result.answer.as_deref(), result.method, result.correct),
        (Some("0.5"), Method::Vote, Some(false))
    );
    assert_eq!(result.confidence_kind, ConfidenceKind::Correct);
    // What it wrote and what that cost is not lost.
    assert_eq!(said(&result), [("vote", Some("0.5")), ("model", Some("4"))]);
    assert_eq!(result.layers[1].confidence_kind, ConfidenceKind::TokenProduct);
    assert_eq!(
        (result.completion.as_deref(), result.layers[1].usage),
        (Some("4</answer>"), Some(result.usage))
    );
    let (result, ..) = run_as(earned(), decoder("4</answer>"), &set, &always());
    let result = result.unwrap();
    assert_eq!(
        (result.answer.as_deref(), result.method, result.correct),
        (Some("4"), Method::Generate, Some(true))
    );
    // Not where it saw only some of the candidates.
    let (result, ..) =
        run_as(Manifest { max_candidates: Some(2), ..earned() }, decoder("4</answer>"), &set, &always());
    assert_eq!(result.unwrap().answer.as_deref(), Some("0.5"));
    // The same answer in another form is a candidate's.
    let (result, ..) = run(decoder("1/2</answer>"), &set, &always());
    assert_eq!(result.unwrap().answer.as_deref(), Some("1/2"));
}

#[test]
fn thinking_is_not_part_of_the_confidence() {
    let set = set(&["7", "42"], None);
    let mut tokens = script("hm</think><answer>", 0.5);
    tokens.extend(script("42", 0.8));
    tokens.extend(script("</answer>", 0.5));
    let options = AggregateOptions { variant: Some(PromptVariant::Think), ..always() };
    let (result, _, decoder) = run(Scripted { script: tokens, ..Scripted::default() }, &set, &options);
    let result = result.unwrap();
    assert_eq!((result.answer.as_deref(), result.method), (Some("42"), Method::Generate));
    assert!((result.confidence - 0.64).abs() < 1e-12, "{}", result.confidence);
    assert!(text(&decoder.rows[0][..result.usage.prompt_tokens as usize]).ends_with("<think>"));
}

#[test]
fn a_completion_that_is_not_well_formed_falls_back_to_the_vote() {
    let set = set(&["7", "7", "8"], Some("7"));
    let mut never_closed = script("8 or so", 0.9);
    never_closed.push((bytes::END, 0.9));
    for (tokens, written) in [(never_closed, "8 or so"), (script("</answer>", 0.9), "</answer>")] {
        let (result, ..) = run(Scripted { script: tokens, ..Scripted::default() }, &set, &always());
        let result = result.unwrap();
        assert_eq!((result.method, result.answer.as_deref()), (Method::Vote, Some("7")));
        assert_eq!(result.confidence_kind, ConfidenceKind::Correct);
        assert_eq!(result.completion.as_deref(), Some(written), "what was written is kept");
        assert_eq!(said(&result), [("vote", Some("7")), ("model", None)]);
        assert_eq!(result.layers[1].usage, Some(result.usage));
    }
}

#[test]
fn select_sums_the_forms_of_a_cluster() {
    let set = set(&["0.5", "1/2", "3", "3"], Some("1/2"));
    let scores = vec![("0.5</answer>", 0.25), ("1/2</answer>", 0.2), ("3</answer>", 0.4)];
    let options = AggregateOptions { mode: Some(Mode::Select), ..always() };
    let (result, _, decoder) = run(Scripted { scores, ..Scripted::default() }, &set, &options);
    let result = result.unwrap();
    assert_eq!((result.method, result.correct), (Method::Select, Some(true)));
    assert_eq!(result.confidence_kind, ConfidenceKind::AnswerMass);
    assert!((result.confidence - 0.45).abs() < 1e-9, "{}", result.confidence);
    let masses: Vec<f64> = result.clusters.iter().map(|cluster| cluster.log_prob.unwrap().exp()).collect();
    assert!((masses.iter().sum::<f64>() - 0.85).abs() < 1e-9, "{masses:?}: the rest is on none of these");
    assert_eq!(
        decoder.rows[0].len(),
        result.usage.prompt_tokens as usize,
        "one prefill, nothing left behind"
    );
    let scored = ["0.5</answer>", "1/2</answer>", "3</answer>"].map(str::len).iter().sum::<usize>();
    assert_eq!(result.usage.completion_tokens, scored as u64);
    assert_eq!(said(&result), [("vote", Some("0.5")), ("model", Some("0.5"))]);
    assert_eq!(result.layers[1].confidence_kind, ConfidenceKind::AnswerMass);
}

#[test]
fn select_with_equal_masses_keeps_to_the_vote() {
    let set = set(&["5", "6", "6"], None);
    let scores = vec![("5</answer>", 0.3), ("6</answer>", 0.3)];
    let options = AggregateOptions { mode: Some(Mode::Select), ..always() };
    let (result, ..) = run(Scripted { scores, ..Scripted::default() }, &set, &options);
    assert_eq!(result.unwrap().answer.as_deref(), Some("6"));
}

#[test]
fn sets_without_candidates_or_answers_have_results() {
    let (result, ..) = run(Scripted::default(), &set(&[], Some("1")), &always());
    let result = result.unwrap();
    assert_eq!((result.answer, result.method, result.correct), (None, Method::Vote, Some(false)));
    let mut nobody = set(&["1"], None);
    nobody.candidates[0].text = "I do not know".to_owned();
    let options = AggregateOptions { mode: Some(Mode::Select), ..always() };
    assert_eq!(run(Scripted::default(), &nobody, &options).0.unwrap().answer, None);
    // The model can still answer where nobody did.
    let decoder = Scripted { script: script("4</answer>", 0.9), ..Scripted::default() };
    assert_eq!(run(decoder, &nobody, &always()).0.unwrap().answer.as_deref(), Some("4"));
}

#[test]
fn ten_thousand_candidates_and_ten_megabytes_fit_the_context() {
    let mut large = set(&["7", "8"], None);
    large.candidates[0].text = "word ".repeat(2 << 20) + "\\boxed{7}";
    let many: Vec<String> = (0..10_000).map(|i| i.to_string()).collect();
    let many = set(&many.iter().map(String::as_str).collect::<Vec<_>>(), None);
    for (set, all_shown) in [(large, true), (many, false)] {
        let decoder = Scripted { script: script("7</answer>", 0.9), ..Scripted::default() };
        let (result, _, decoder) = run(decoder, &set, &always());
        let result = result.unwrap();
        assert_eq!(result.answer.as_deref(), Some("7"));
        let omitted = result.extra.get("omitted_candidates").map(|omitted| omitted.as_u64().unwrap());
        assert_eq!(omitted.is_none(), all_shown);
        assert!(omitted.is_none_or(|omitted| (9_000..10_000).contains(&omitted)), "{omitted:?}");
        assert_eq!(result.layers[1].omitted.map(|omitted| omitted as u64), omitted);
        assert!(decoder.rows[0].len() <= 4096, "{}", decoder.rows[0].len());
    }
    let mut endless = set(&["7"], None);
    endless.problem = "why ".repeat(5000);
    let error = run(Scripted::default(), &endless, &always()).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input, "{error}");
}

#[test]
fn labels_and_records_are_left_to_the_vote() {
    let with = |texts: &[&str]| {
        let candidate = |text: &&str| Candidate { text: text.to_string(), ..Candidate::default() };
        SampleSet { candidates: texts.iter().map(candidate).collect(), ..set(&[], None) }
    };
    let labels = with(&["positive", "negative", "{\"label\": \"positive\"}"]);
    let decoder = || Scripted { script: script("7</answer>", 0.9), ..Scripted::default() };
    let (result, streamed, _) = run(decoder(), &labels, &always());
    let result = result.unwrap();
    assert_eq!((result.answer.as_deref(), result.method), (Some("positive"), Method::Vote));
    assert_eq!((result.answer_kind.as_deref(), streamed.as_str()), (Some("labels"), ""));
    let code = with(&["def f():\n    return 7\n", "def f():\n    return 8\n"]);
    let result = run(decoder(), &code, &always()).0.unwrap();
    assert_eq!((result.answer, result.undecided.is_some(), result.correct), (None, true, None));
    // Who says what they are is believed.
    let options = AggregateOptions { kind: Some(conclave_core::AnswerKind::Math), ..always() };
    let decoder = Scripted { script: script("negative</answer>", 0.9), ..Scripted::default() };
    let result = run(decoder, &labels, &options).0.unwrap();
    assert_eq!((result.answer.as_deref(), result.method), (Some("negative"), Method::Generate));
}

#[test]
fn cancelling_stops_at_the_next_event() {
    let set = set(&["7", "8"], None);
    for mode in [Mode::Generate, Mode::Select] {
        for stop_at_once in [true, false] {
            let decoder =
                Scripted { script: script("7</answer>", 0.9), context_length: 4096, ..Scripted::default() };
            let options = AggregateOptions { mode: Some(mode), ..always() };
            let mut aggregator = aggregator(decoder);
            let mut on_event = |event: Event<'_>| match event {
                Event::Prompt { .. } if !stop_at_once => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            };
            let result = block_on(aggregator.aggregate(&set, &options, &mut on_event));
            assert!(result.unwrap_err().is_cancelled());
        }
    }
}

/// A random model on the CPU, with three prompts of different lengths read.
fn random_decoder() -> Qwen2Decoder {
    let config = Qwen2Config::tiny(257);
    let weights = RandomWeights::new(&config, 3);
    let mut on = |_| ControlFlow::Continue(());
    let model = block_on(load(&config, &weights, &Device::flex(), &LoadOptions::default(), &mut on)).unwrap();
    let mut decoder = Qwen2Decoder::new(model, config, 257);
    decoder.reset(3, 256).unwrap();
    let prompts: [&[u32]; 3] = [&[1, 2, 3], &[9; 40], &[200]];
    block_on(decoder.append(&prompts, &mut |_| ControlFlow::Continue(()))).unwrap();
    decoder
}

fn continue_rows(params: &SamplingParams, stops: &Stops) -> (Vec<Completion>, Vec<String>) {
    let mut shown = vec![String::new(); 3];
    let mut on_text = |row: usize, text: &str| {
        shown[row].push_str(text);
        ControlFlow::Continue(())
    };
    let tokenizer = bytes::tokenizer();
    let completions =
        block_on(generate(&mut random_decoder(), &tokenizer, params, stops, &mut on_text)).unwrap();
    (completions, shown)
}

#[test]
fn the_same_seed_gives_the_same_rows_and_another_seed_others() {
    let params = SamplingParams { temperature: 1.0, seed: 5, ..SamplingParams::greedy(30) };
    let (first, shown) = continue_rows(&params, &Stops::default());
    assert_eq!(first, continue_rows(&params, &Stops::default()).0);
    assert_ne!(first, continue_rows(&SamplingParams { seed: 6, ..params.clone() }, &Stops::default()).0);
    for (completion, shown) in first.iter().zip(&shown) {
        assert_eq!((completion.tokens.len(), completion.finish_reason), (30, FinishReason::Length));
        assert_eq!(&completion.text, shown);
        let ids: Vec<u32> = completion.tokens.iter().map(|token| token.id).collect();
        assert_eq!(completion.text, bytes::tokenizer().decode(&ids));
    }
    assert_ne!(first[0].tokens, first[2].tokens, "each row has draws of its own");
}

#[test]
fn a_row_that_stops_leaves_the_others_as_they_were() {
    let params = SamplingParams { temperature: 1.0, seed: 5, ..SamplingParams::greedy(30) };
    let (free, _) = continue_rows(&params, &Stops::default());
    let stop = free[1].tokens[4].id;
    let (stopped, _) = continue_rows(&params, &Stops { ids: vec![stop], strings: Vec::new() });
    for (free, stopped) in free.iter().zip(&stopped) {
        let expected = free.tokens.iter().position(|token| token.id == stop);
        assert_eq!(stopped.tokens.len(), expected.unwrap_or(30));
        let same = |(a, b): (&Token, &Token)| a.id == b.id && (a.log_prob - b.log_prob).abs() < 1e-4;
        assert!(free.tokens.iter().zip(&stopped.tokens).all(same));
        let reason = if expected.is_some() { FinishReason::Stop } else { FinishReason::Length };
        assert_eq!(stopped.finish_reason, reason);
    }
    assert!(stopped[1].tokens.len() <= 4);
}

#[test]
fn a_model_for_few_candidates_is_shown_those_of_all_classes() {
    let shown = |most: usize, answers: &[&str], options: &AggregateOptions| {
        let manifest = Manifest { max_candidates: Some(most), ..Manifest::default() };
        let decoder = Scripted { script: script("7</answer>", 0.9), ..Scripted::default() };
        let (result, _, decoder) = run_as(manifest, decoder, &set(answers, None), options);
        let result = result.unwrap();
        let read = text(&decoder.rows[0][..result.usage.prompt_tokens as usize]);
        let texts: Vec<String> = read.split("\\boxed{").skip(1).map(|rest| rest[..1].to_owned()).collect();
        assert_eq!(result.readings.len(), answers.len(), "the vote counts all");
        let omitted = answers.len() - texts.len();
        assert_eq!(result.layers[1].omitted, Some(omitted).filter(|omitted| *omitted > 0));
        assert_eq!(result.extra.get("omitted_candidates"), (omitted > 0).then(|| omitted.into()).as_ref());
        texts.concat()
    };
    let answers = ["7", "7", "7", "7", "8", "9"];
    assert_eq!(shown(4, &answers, &always()), "7789");
    assert_eq!(shown(5, &answers, &always()), "77789");
    assert_eq!(shown(0, &answers, &always()), "7", "one at least");
    assert_eq!(shown(6, &answers, &always()), "777789");
    // In another order they are the same.
    let permuted = AggregateOptions { permutation_seed: Some(3), ..always() };
    let mut texts: Vec<char> = shown(4, &answers, &permuted).chars().collect();
    texts.sort_unstable();
    assert_eq!(texts, ['7', '7', '8', '9']);
}

#[test]
fn a_context_without_room_for_all_is_given_those_of_all_classes() {
    let answers: Vec<&str> = std::iter::repeat_n("7", 300).chain(["8", "9"]).collect();
    let decoder = Scripted { script: script("8</answer>", 0.9), ..Scripted::default() };
    let (result, _, decoder) = run(decoder, &set(&answers, None), &always());
    let result = result.unwrap();
    assert!(result.layers[1].omitted > Some(100), "{:?}", result.layers);
    let read = text(&decoder.rows[0]);
    assert!(
        read.contains("\\boxed{7}") && read.contains("\\boxed{8}") && read.contains("\\boxed{9}"),
        "{read}"
    );
}
