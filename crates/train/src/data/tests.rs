//! Data: the same position gives the same sequence, epochs and shards cover, targets read as one answer.

use std::collections::HashSet;
use std::io::Read;
use std::sync::LazyLock;

use conclave_core::prompt::{PromptVariant, parse_completion};
use conclave_core::sample_set::{Candidate, SampleSet};
use conclave_model::tokenizer::Tokenizer;
use proptest::prelude::*;
use serde_json::json;

use super::filter::correct_candidates;
use super::*;
use crate::config::{
    ArithmeticSource, DataConfig, FilterConfig, Solvers, StageConfig, TargetKind, TruncationConfig,
};
use crate::scripted::{END, bytes};

static BYTES: LazyLock<Tokenizer> = LazyLock::new(bytes);

static TINY: LazyLock<Tokenizer> = LazyLock::new(|| {
    let json = include_bytes!("../../../model/assets/tiny/tokenizer.json");
    Tokenizer::from_json(json).expect("the built-in model has a tokenizer")
});

static QWEN: LazyLock<Tokenizer> = LazyLock::new(|| {
    let packed = include_bytes!("../../../../tests/data/qwen2-tokenizer/tokenizer.json.gz");
    let mut json = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut json).expect("a gzip file");
    Tokenizer::from_json(&json).expect("a valid tokenizer")
});

const VARIANTS: [PromptVariant; 3] = [PromptVariant::Think, PromptVariant::NoThink, PromptVariant::Compact];

fn preparation(variant: PromptVariant, target: TargetKind) -> Preparation {
    Preparation {
        variant,
        context_length: 4_096,
        max_new_tokens: 256,
        permute: true,
        truncation: TruncationConfig::default(),
        target,
        stop_id: END,
    }
}

fn arithmetic(problems: Option<u64>) -> Sets {
    Sets::arithmetic(&ArithmeticSource { seed: 5, problems, solvers: Solvers::Mixed, ..Default::default() })
        .unwrap()
}

fn set(id: &str, reference: Option<&str>, texts: &[&str]) -> SampleSet {
    let candidates = texts.iter().map(|text| Candidate { text: text.to_string(), ..Default::default() });
    SampleSet {
        id: id.into(),
        problem: "What is 2 + 2?".into(),
        reference_answer: reference.map(Into::into),
        candidates: candidates.collect(),
        extra: Default::default(),
    }
}

fn with_field(set: SampleSet, name: &str, text: &str) -> SampleSet {
    let mut extra = set.extra.clone();
    extra.insert(name.into(), json!(text));
    SampleSet { extra, ..set }
}

fn one(preparation: &Preparation, set: SampleSet) -> Result<Prepared, crate::TrainError> {
    Examples::new(Sets::memory(vec![set]).unwrap(), &BYTES, preparation.clone(), 1).get(0, &[9])
}

/// What the model is to write, without its stop token, which has to be there.
fn written(tokenizer: &Tokenizer, prepared: &Prepared) -> String {
    let (stop, completion) = prepared.sequence.completion().split_last().expect("a target");
    assert_eq!(*stop, END);
    tokenizer.decode_with_special(completion)
}

fn config(num_candidates: &[usize], stages: Vec<StageConfig>) -> DataConfig {
    DataConfig { num_candidates: num_candidates.to_vec(), stages, ..DataConfig::default() }
}

#[test]
fn the_layout_of_targets() {
    let derived = with_field(set("s", Some(" 4 "), &["5", "4"]), "derivation", "2+2=4;#4");
    let field = |name: &str| TargetKind::Field(name.into());
    for (variant, target, expected) in [
        (PromptVariant::Think, TargetKind::Answer, "</think>\n<answer>4</answer>"),
        (PromptVariant::Compact, TargetKind::Answer, "</think><answer>4</answer>"),
        (PromptVariant::NoThink, TargetKind::Answer, "4</answer>"),
        (PromptVariant::Think, TargetKind::Derivation, "\n2+2=4;#4\n</think>\n<answer>4</answer>"),
        (PromptVariant::Compact, TargetKind::Derivation, "2+2=4;#4</think><answer>4</answer>"),
        (PromptVariant::NoThink, TargetKind::Derivation, "4</answer>"),
        (PromptVariant::Think, TargetKind::Verdicts, "\n1-2+;2+2=4;#4\n</think>\n<answer>4</answer>"),
        (PromptVariant::Compact, TargetKind::Verdicts, "1-2+;2+2=4;#4</think><answer>4</answer>"),
        (PromptVariant::NoThink, TargetKind::Verdicts, "4</answer>"),
        (PromptVariant::Think, field("derivation"), "\n2+2=4;#4\n</think>\n<answer>4</answer>"),
        (PromptVariant::Compact, field("derivation"), "2+2=4;#4</think><answer>4</answer>"),
    ] {
        let preparation = Preparation { permute: false, ..preparation(variant, target) };
        let prepared = one(&preparation, derived.clone()).unwrap();
        assert_eq!(written(&BYTES, &prepared), expected, "{variant:?}");
        assert!(BYTES.decode(prepared.prompt()).ends_with(prepared.prefill));
        assert!(prepared.prefill == variant.prefill() && prepared.sequence.prompt_len > 50);
    }
}

#[test]
fn a_field_may_be_the_whole_completion() {
    let kind = TargetKind::Field("response".into());
    let respond = |variant, text: &str| {
        let set = with_field(set("s", Some("4"), &["5"]), "response", text);
        one(&preparation(variant, kind.clone()), set)
            .map(|prepared| (written(&BYTES, &prepared), prepared.origin))
            .map_err(|error| error.to_string())
    };
    let text = "two and two</think> So <answer>$4$</answer>";
    let expected = Ok((text.to_owned(), TargetOrigin::Field));
    assert_eq!(respond(PromptVariant::Think, text), expected);
    assert_eq!(respond(PromptVariant::Compact, &format!("<think>{text}")), expected);
    assert_eq!(respond(PromptVariant::NoThink, "<answer>4</answer>").unwrap().0, "4</answer>");
    let refused = |variant, text: &str, reason: &str| {
        let error = respond(variant, text).unwrap_err();
        assert_eq!(error, format!("set `s` at position 0: {reason}"));
    };
    refused(PromptVariant::Think, "so <answer>5</answer>", "answer of the target not that of the reference");
    refused(PromptVariant::Think, "so <answer>4", "target not well-formed");
    refused(PromptVariant::Think, "<answer>5</answer> no <answer>4</answer>", "target not well-formed");
    refused(PromptVariant::NoThink, "2+2=4", "target not well-formed");
    refused(PromptVariant::Think, " ", "no text in the field of the target");
    refused(PromptVariant::Think, &"x".repeat(300), "target longer than the tokens kept for it");
}

#[test]
fn a_derivation_is_the_shortest_right_candidate() {
    let kind = TargetKind::Derivation;
    let texts = ["The answer is 5", "2 and 2 are four. The answer is 4", "It is <answer>4</answer>", "4 ?"];
    let prepared = one(
        &Preparation { permute: false, ..preparation(PromptVariant::Compact, kind.clone()) },
        set("s", Some("4"), &texts[..3]),
    );
    let prepared = prepared.unwrap();
    assert_eq!(prepared.origin, TargetOrigin::Candidate(2));
    assert_eq!(written(&BYTES, &prepared), "It is [answer]4[/answer]</think><answer>4</answer>");
    // Nobody is right, or nothing right fits: the answer alone.
    let wrong = one(&preparation(PromptVariant::Compact, kind.clone()), set("s", Some("7"), &texts));
    let long = "so ".repeat(99) + "The answer is 4";
    let long = one(&preparation(PromptVariant::Compact, kind), set("s", Some("4"), &[&long]));
    for prepared in [wrong.unwrap(), long.unwrap()] {
        assert_eq!(prepared.origin, TargetOrigin::Answer);
        assert!(written(&BYTES, &prepared).starts_with("</think><answer>"));
    }
}

#[test]
fn every_target_of_every_variant_is_well_formed() {
    for (name, tokenizer) in [("bytes", &*BYTES), ("tiny", &*TINY), ("qwen", &*QWEN)] {
        for variant in VARIANTS {
            for target in [TargetKind::Answer, TargetKind::Derivation, TargetKind::Field("derivation".into())]
            {
                if variant == PromptVariant::NoThink && matches!(target, TargetKind::Field(_)) {
                    continue; // has no place for a derivation, as shown above
                }
                let preparation = preparation(variant, target.clone());
                let examples = Examples::new(arithmetic(None), tokenizer, preparation, 2);
                for prepared in examples.range(0..20, &[1, 5]).unwrap() {
                    let text = written(tokenizer, &prepared);
                    let parsed = parse_completion(prepared.prefill, &text);
                    assert!(parsed.well_formed, "{name} {variant:?} {target:?}: {text}");
                    assert_eq!(parsed.answer.as_deref(), prepared.set.reference_answer.as_deref(), "{name}");
                    let thinks = matches!(target, TargetKind::Derivation | TargetKind::Field(_))
                        && variant != PromptVariant::NoThink;
                    let chain = prepared.set.extra["derivation"].as_str().unwrap();
                    assert_eq!(text.contains(chain), thinks, "{name} {variant:?}: {text}");
                }
            }
        }
    }
    // The built-in vocabulary has a token for each tag, and nothing that it does not know.
    let preparation = preparation(PromptVariant::Compact, TargetKind::Derivation);
    let prepared = Examples::new(arithmetic(None), &TINY, preparation, 2).get(0, &[5]).unwrap();
    for tag in ["</think>", "<answer>", "</answer>"] {
        let id = TINY.token_id(tag).unwrap();
        assert_eq!(prepared.sequence.completion().iter().filter(|&&token| token == id).count(), 1, "{tag}");
    }
    let unknown = TINY.token_id("[UNK]").unwrap();
    assert!(!prepared.sequence.tokens.contains(&unknown));
    assert_eq!(prepared.prompt().last(), TINY.token_id("<think>").as_ref());
}

#[test]
fn without_candidates_a_problem_is_solved() {
    let preparation = preparation(PromptVariant::Compact, TargetKind::Derivation);
    let tokenizer = &*BYTES;
    let solved = |set: SampleSet| {
        let sets = Sets::memory(vec![set]).unwrap();
        Examples::new(sets, tokenizer, preparation.clone(), 1).get(0, &[0]).unwrap()
    };
    let set = set("a", Some("6"), &["2*3=7;#7", "1*2=2;2*3=6;#6", "2*3=6;#6"]);
    let prepared = solved(set.clone());
    let text = tokenizer.decode(prepared.prompt());
    assert!(text.ends_with("Answer:\n") && !text.contains("2*3"), "{text}");
    assert_eq!(tokenizer.decode(prepared.sequence.completion()), "2*3=6;#6");
    assert_eq!(prepared.sequence.tokens.last(), Some(&preparation.stop_id));
    assert_eq!((prepared.origin, prepared.prefill), (TargetOrigin::Candidate(2), ""));
    assert!(prepared.set.candidates.is_empty());
    let derived = solved(with_field(set, "derivation", "2*3=6;6+0=6;#6"));
    assert_eq!(tokenizer.decode(derived.sequence.completion()), "2*3=6;6+0=6;#6");
}

#[test]
fn truncated_candidates_lose_their_end() {
    let truncation = TruncationConfig { probability: 0.5, share: 0.1 };
    let preparation =
        Preparation { truncation, permute: false, ..preparation(PromptVariant::Think, TargetKind::Answer) };
    let text = "é".repeat(99) + "4";
    let sets = Sets::memory(vec![set("s", Some("4"), &[text.as_str(); 8])]).unwrap();
    let examples = Examples::new(sets, &BYTES, preparation, 3);
    let shown: Vec<_> =
        examples.range(0..100, &[8]).unwrap().into_iter().flat_map(|p| p.set.candidates).collect();
    let (cut, whole): (Vec<_>, Vec<_>) = shown.into_iter().partition(Candidate::is_truncated);
    assert!((340..460).contains(&cut.len()), "{}", cut.len());
    assert!(cut.iter().all(|candidate| candidate.text == "é".repeat(90)));
    assert!(whole.iter().all(|candidate| candidate.text == text));
}

#[test]
fn candidates_are_chosen_and_permuted() {
    let texts: Vec<String> = (0..6).map(|i| format!("candidate {i}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let sets = || Sets::memory(vec![set("s", Some("4"), &texts)]).unwrap();
    let preparation = preparation(PromptVariant::NoThink, TargetKind::Answer);
    let ordered = Preparation { permute: false, ..preparation.clone() };
    let mut seen = HashSet::new();
    let mut sizes = [0; 4];
    let examples = Examples::new(sets(), &BYTES, preparation, 1);
    for prepared in examples.range(0..2_000, &[1, 3]).unwrap() {
        let distinct: HashSet<_> = prepared.shown.iter().collect();
        assert_eq!(distinct.len(), prepared.shown.len());
        for (candidate, &index) in prepared.set.candidates.iter().zip(&prepared.shown) {
            assert_eq!(candidate.text, texts[index]);
        }
        sizes[prepared.shown.len()] += 1;
        seen.insert(prepared.shown);
    }
    assert_eq!(seen.len(), 6 + 6 * 5 * 4, "every choice in every order");
    assert!(sizes[1] > 900 && sizes[3] > 900 && sizes[1] + sizes[3] == 2_000, "{sizes:?}");
    for prepared in Examples::new(sets(), &BYTES, ordered, 1).range(0..50, &[4]).unwrap() {
        assert!(prepared.shown.is_sorted() && prepared.shown.len() == 4);
    }
}

#[test]
fn what_the_context_has_no_room_for_is_not_shown() {
    let preparation = Preparation {
        context_length: 340,
        max_new_tokens: 40,
        ..preparation(PromptVariant::Compact, TargetKind::Answer)
    };
    let long = "x".repeat(50) + "4";
    let prepared = one(&preparation, set("s", Some("4"), &[long.as_str(); 9])).unwrap();
    assert!((2..9).contains(&prepared.shown.len()));
    assert_eq!(prepared.shown.len(), prepared.set.candidates.len());
    assert!(prepared.sequence.prompt_len <= 300 && prepared.sequence.tokens.len() <= 340);
    let error = one(&Preparation { context_length: 50, ..preparation }, set("s", Some("4"), &["4"]));
    assert!(error.unwrap_err().to_string().ends_with("no room for a candidate beside the problem"));
}

#[test]
fn no_set_comes_twice_in_an_epoch() {
    let memory = (0..7).map(|i| set(&i.to_string(), Some("4"), &["4"])).collect();
    for sets in [Sets::memory(memory).unwrap(), arithmetic(Some(7))] {
        assert_eq!(sets.epoch_len(), Some(7));
        let id = |position| sets.get(9, position, 2).unwrap().id.clone();
        let epochs: Vec<Vec<String>> =
            (0..50).map(|epoch| (epoch * 7..epoch * 7 + 7).map(id).collect()).collect();
        for epoch in &epochs {
            assert_eq!(epoch.iter().collect::<HashSet<_>>().len(), 7);
        }
        let orders: HashSet<_> = epochs.iter().collect();
        assert!(orders.len() > 45, "{} orders", orders.len());
        // Going back gives the same again, and another seed another order.
        assert_eq!((0..7).map(id).collect::<Vec<_>>(), epochs[0]);
        assert_ne!(
            (0..14).map(|i| sets.get(8, i, 2).unwrap().id.clone()).collect::<Vec<_>>(),
            epochs[..2].concat()
        );
    }
    let endless = arithmetic(None);
    assert_eq!(endless.epoch_len(), None);
    assert_eq!(endless.get(9, 12, 2).unwrap().id, "arithmetic-5-12");
}

#[test]
fn shards_share_nothing_and_miss_nothing() {
    for problems in [None, Some(10)] {
        let whole: Vec<String> =
            (0..30).map(|position| arithmetic(problems).get(3, position, 1).unwrap().id.clone()).collect();
        let shards: Vec<Sets> = (0..3).map(|shard| arithmetic(problems).sharded(shard, 3).unwrap()).collect();
        let together = (0..10).flat_map(|position| {
            shards.iter().map(move |shard| shard.get(3, position, 1).unwrap().id.clone())
        });
        assert_eq!(together.collect::<Vec<_>>(), whole);
    }
    assert!(arithmetic(None).sharded(3, 3).is_err() && arithmetic(None).sharded(0, 0).is_err());
}

#[test]
fn filters_say_what_they_drop() {
    let preparation = preparation(PromptVariant::Think, TargetKind::Answer);
    let long = format!("{} The answer is 4", "x".repeat(1_000));
    let sets = vec![
        set("right", Some("4"), &["4", "4.0"]),
        set("wrong", Some("4"), &["5", "no idea"]),
        set("mixed", Some("4"), &["5", "4"]),
        set("cut", Some("4"), &["4", "4"]),
        set("long", Some("4"), &[&long, "5"]),
        set("empty", Some("4"), &[]),
        set("unlabelled", None, &["4"]),
        set("broken", Some("</answer>"), &["4"]),
        set("huge", Some(&"4".repeat(300)), &["4", "5"]),
    ];
    let mut sets = sets;
    sets[3].candidates[1].finish_reason = Some("length".to_owned());
    assert_eq!(correct_candidates(&sets[3]), Some(vec![true, false]));
    let filters =
        FilterConfig { drop_all_correct: true, drop_all_wrong: true, max_prompt_tokens: Some(1_000) };
    let memory = || Sets::memory(sets.clone()).unwrap();
    let (kept, report) = filter(memory(), &filters, &preparation, &BYTES, 2).unwrap();
    assert_eq!(kept.epoch_len(), Some(2));
    let ids: HashSet<_> = (0..2).map(|position| kept.get(1, position, 2).unwrap().id.clone()).collect();
    assert_eq!(ids, ["mixed".to_owned(), "cut".to_owned()].into());
    assert_eq!(
        report.to_string(),
        "2 of 9 sets; left out: 1 no candidates, 1 no reference answer, 1 all candidates right, 1 all candidates wrong, \
         1 prompt too long, 1 target not well-formed, 1 target longer than the tokens kept for it"
    );
    let (_, report) = filter(memory(), &FilterConfig::default(), &preparation, &BYTES, 2).unwrap();
    assert_eq!((report.sets, report.kept), (9, 5));
    let none = filter(Sets::memory(sets[5..].to_vec()).unwrap(), &filters, &preparation, &BYTES, 2);
    assert!(none.is_err() && Sets::memory(Vec::new()).is_err());
}

#[test]
fn an_endless_stream_replaces_what_is_dropped() {
    let preparation = preparation(PromptVariant::Compact, TargetKind::Derivation);
    let filters = FilterConfig { drop_all_correct: true, drop_all_wrong: true, max_prompt_tokens: None };
    let (sets, report) = filter(arithmetic(None), &filters, &preparation, &TINY, 3).unwrap();
    assert!(report.endless && report.sets == 1_000 && (300..700).contains(&report.kept), "{report}");
    let mut ids = HashSet::new();
    for position in 0..200 {
        let set = sets.get(1, position, 3).unwrap();
        let correct = correct_candidates(&set).unwrap();
        assert!(correct.contains(&true) && correct.contains(&false));
        assert!(ids.insert(set.id.clone()));
    }
    let error = sets.get(1, 0, 1).unwrap_err().to_string();
    assert!(error.contains("ask for more candidates"), "{error}");
    // A number of problems is filtered beforehand.
    let (sets, report) = filter(arithmetic(Some(500)), &filters, &preparation, &TINY, 3).unwrap();
    assert_eq!(sets.epoch_len(), Some(report.kept));
    assert!(!report.endless && report.kept < 500);
}

#[test]
fn steps_follow_the_stages() {
    let stages = vec![
        StageConfig { steps: 2, num_candidates: Some(vec![1]), batch_size: Some(2) },
        StageConfig { steps: 3, num_candidates: None, batch_size: None },
    ];
    let curriculum = Curriculum::new(&config(&[3, 5], stages), 4, 2);
    let data = |step| {
        let StepData { positions, num_candidates, batch_size } = curriculum.at(step);
        (positions, num_candidates.to_vec(), batch_size)
    };
    assert_eq!(data(0), (0..4, vec![1], 2));
    assert_eq!(data(1), (4..8, vec![1], 2));
    assert_eq!(data(2), (8..16, vec![3, 5], 4));
    assert_eq!(data(5), (32..40, vec![3, 5], 4));
    assert_eq!(data(1_000_002), (8_000_008..8_000_016, vec![3, 5], 4));
    assert_eq!(curriculum.most_candidates(), 5);
}

#[test]
fn batches_use_every_position_once_and_need_only_the_step() {
    let stages = vec![StageConfig { steps: 5, num_candidates: Some(vec![1, 2]), batch_size: Some(3) }];
    let preparation = preparation(PromptVariant::Compact, TargetKind::Derivation);
    let batches = |stages: &[StageConfig]| {
        let examples = Examples::new(arithmetic(None), &TINY, preparation.clone(), 7);
        Batches::new(examples, Curriculum::new(&config(&[2, 5], stages.to_vec()), 4, 2))
    };
    let mut straight = batches(&stages);
    let steps: Vec<Vec<crate::batch::Batch>> =
        (0..30).map(|step| straight.step(step).unwrap().to_vec()).collect();
    assert!(steps.iter().all(|step| step.len() == 2));
    assert!(steps[..5].iter().flatten().all(|batch| batch.rows == 3));
    assert!(steps[5..].iter().flatten().all(|batch| batch.rows == 4));
    // A run that goes on at any step, and one that looks back.
    for step in [29, 7, 0, 12, 5, 4] {
        assert_eq!(batches(&stages).step(step).unwrap(), steps[step as usize]);
        assert_eq!(straight.step(step).unwrap(), steps[step as usize]);
    }
    // The stage, and the windows of the 8 steps from 5, 13 and 21 on, hold their positions, each once.
    let rows = |steps: &[Vec<crate::batch::Batch>]| {
        let rows = steps.iter().flatten().flat_map(|batch| {
            (0..batch.rows).map(|row| batch.tokens[row * batch.seq..][..batch.lengths[row]].to_vec())
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort();
        rows
    };
    let examples = Examples::new(arithmetic(None), &TINY, preparation.clone(), 7);
    for (window, positions, numbers) in
        [(0..5, 0..30, [1, 2]), (5..13, 30..94, [2, 5]), (13..21, 94..158, [2, 5])]
    {
        let mut expected: Vec<_> =
            examples.range(positions, &numbers).unwrap().into_iter().map(|p| p.sequence.tokens).collect();
        expected.sort();
        assert_eq!(rows(&steps[window]), expected);
    }
    // Batches of similar lengths, in a drawn order.
    let lengths: Vec<usize> = steps[5..13].iter().flatten().map(|batch| batch.seq).collect();
    assert!(!lengths.is_sorted() && !lengths.is_sorted_by(|a, b| a >= b));
    let (used, padded) = (5..29)
        .flat_map(|step: usize| &steps[step])
        .fold((0, 0), |(used, padded), batch| (used + batch.num_tokens(), padded + batch.tokens.len()));
    assert!(used * 100 > padded * 90, "{used} of {padded}");
    // The 25 steps behind the stage use 200 positions: looking at all of them bounds every batch.
    let largest = straight.largest(200).unwrap();
    assert!(
        largest.rows == 4 && steps.iter().flatten().all(|batch| batch.tokens.len() <= largest.tokens.len())
    );
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let preparation = preparation(PromptVariant::Compact, TargetKind::Derivation);
    let all = |threads| {
        let examples =
            Examples::new(arithmetic(Some(9)), &TINY, preparation.clone(), 7).with_threads(threads);
        examples.range(3..40, &[2, 5]).unwrap()
    };
    let alone = all(1);
    assert_eq!(alone.len(), 37);
    for threads in [0, 2, 5, 64] {
        assert_eq!(all(threads), alone);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_same_seed_and_position_give_the_same_sequence(
        seed in any::<u64>(),
        position in 0u64..1 << 40,
        variant in proptest::sample::select(&VARIANTS[..]),
        probability in 0.0..1.0f64,
        problems in proptest::option::of(1u64..20),
    ) {
        let truncation = TruncationConfig { probability, share: 0.3 };
        let preparation = Preparation { truncation, ..preparation(variant, TargetKind::Derivation) };
        let example = |seed| {
            Examples::new(arithmetic(problems), &BYTES, preparation.clone(), seed).get(position, &[1, 3, 5]).unwrap()
        };
        let prepared = example(seed);
        prop_assert_eq!(&prepared, &example(seed));
        prop_assert!(parse_completion(prepared.prefill, &written(&BYTES, &prepared)).well_formed);
        prop_assert!(prepared.sequence.tokens.len() <= 4_096);
    }
}

/// `cargo test -p conclave-train data::tests::speed -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn speed_and_padding() {
    let lines = include_str!("../../../../tests/data/sets/gsm8k-text-pooled-20.jsonl");
    let sets: Vec<SampleSet> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let preparation = preparation(PromptVariant::Think, TargetKind::Derivation);
    let tiny = Preparation { variant: PromptVariant::Compact, ..preparation.clone() };
    for (name, sets, tokenizer, preparation) in [
        ("tiny vocabulary, arithmetic", arithmetic(None), &*TINY, tiny),
        ("Qwen2.5 vocabulary, gsm8k", Sets::memory(sets).unwrap(), &*QWEN, preparation),
    ] {
        let examples = Examples::new(sets, tokenizer, preparation, 1).with_threads(1);
        examples.range(0..64, &[5]).unwrap();
        let start = std::time::Instant::now();
        let prepared = examples.range(64..320, &[5]).unwrap();
        let elapsed = start.elapsed().as_secs_f64() * 1e3 / 16.0;
        let tokens: usize = prepared.iter().map(|p| p.sequence.tokens.len()).sum();
        println!("{name}: 16 sets of 5 candidates, {} tokens, in {elapsed:.1} ms", tokens / 16);
        let mixed = Curriculum::new(&config(&[2, 3, 5, 5, 8], Vec::new()), 16, 1);
        let mut batches = Batches::new(examples, mixed);
        let (used, padded) = (0..64).fold((0, 0), |(used, padded), step| {
            let batch = &batches.step(step).unwrap()[0];
            (used + batch.num_tokens(), padded + batch.tokens.len())
        });
        println!("{name}: {:.1} % padding", 100.0 * (padded - used) as f64 / padded as f64);
    }
}
