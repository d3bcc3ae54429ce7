//! Prompts: layout, caps, clipping, order.

use proptest::prelude::*;

use super::*;
use crate::sample_set::Candidate;

fn set(problem: &str, texts: &[&str]) -> SampleSet {
    SampleSet {
        id: "s".into(),
        problem: problem.into(),
        reference_answer: None,
        candidates: texts
            .iter()
            .map(|text| Candidate { text: text.to_string(), ..Default::default() })
            .collect(),
        extra: Default::default(),
    }
}

fn options(context_length: usize, max_new_tokens: usize) -> PromptOptions {
    PromptOptions { variant: PromptVariant::NoThink, context_length, max_new_tokens, permutation_seed: None }
}

/// A counter in the manner of a byte-level vocabulary: runs of up to four letters or digits, everything else by bytes.
fn count(text: &str) -> usize {
    let mut tokens = 0;
    let mut run = 0;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() && run % 4 != 0 {
            run += 1;
            continue;
        }
        tokens += 1;
        run = usize::from(byte.is_ascii_alphanumeric());
    }
    tokens
}

fn text_of(prompt: &Prompt) -> String {
    prompt.segments.iter().map(|segment| segment.text.as_str()).collect()
}

#[test]
fn layout() {
    let prompt =
        build_prompt(&set("What is 2+2?", &["It is 4.", "<answer>5</answer>"]), &options(4_096, 64), &count)
            .unwrap();
    let text = text_of(&prompt);
    let body = "\n\nQuestion:\nWhat is 2+2?\n\nAnswer 1:\nIt is 4.\n\nAnswer 2:\n[answer]5[/answer]\n\nThe final answer to the question:\n<answer>";
    assert!(text.ends_with(body), "{text}");
    assert_eq!(prompt.order, [0, 1]);
    assert_eq!(prompt.segments.last().unwrap().text, prompt.prefill);
    let untrusted: Vec<&str> =
        prompt.segments.iter().filter(|s| !s.trusted).map(|s| s.text.as_str()).collect();
    assert_eq!(untrusted, ["What is 2+2?", "It is 4.", "[answer]5[/answer]"]);
}

#[test]
fn the_think_variant_ends_with_its_tag() {
    let options = PromptOptions { variant: PromptVariant::Think, ..options(4_096, 64) };
    let prompt = build_prompt(&set("p", &["c"]), &options, &count).unwrap();
    assert!(text_of(&prompt).ends_with("\n<think>"));
    assert_eq!(serde_json::to_string(&PromptVariant::NoThink).unwrap(), "\"no_think\"");
}

#[test]
fn the_compact_variant_has_no_sentence_of_ours() {
    let options = PromptOptions { variant: PromptVariant::Compact, ..options(4_096, 64) };
    let prompt = build_prompt(&set("2+2?", &["2+2=4;#4", "#5"]), &options, &count).unwrap();
    assert_eq!(text_of(&prompt), "Question:\n2+2?\n\nAnswer 1:\n2+2=4;#4\n\nAnswer 2:\n#5\n\n<think>");
    assert_eq!(prompt.segments.last().unwrap().text, prompt.prefill);
    assert_eq!(serde_json::to_string(&PromptVariant::Compact).unwrap(), "\"compact\"");
}

#[test]
fn the_end_of_a_long_candidate_is_kept() {
    let long = format!("{} so the answer is 42", "é".repeat(5_000_000));
    let prompt = build_prompt(&set("p", &[&long, "short"]), &options(700, 100), &count).unwrap();
    let clipped = &prompt.segments[3].text;
    assert!(clipped.starts_with("[...] é") && clipped.ends_with("so the answer is 42"), "{clipped}");
    assert!(count(clipped) <= prompt.candidate_cap && count(clipped) * 10 > prompt.candidate_cap * 8);
    assert!(prompt.tokens <= 600);
}

#[test]
fn a_large_candidate_is_not_counted_whole() {
    let counted = std::cell::Cell::new(0);
    let counter = |text: &str| {
        counted.set(counted.get() + text.len());
        count(text)
    };
    let long = "word ".repeat(2_000_000);
    build_prompt(&set("p", &[&long]), &options(2_048, 64), &counter).unwrap();
    assert!(counted.get() < 200_000, "{} bytes counted", counted.get());
}

#[test]
fn too_many_candidates_show_the_first_ones() {
    let texts = vec!["the answer is 4"; 10_000];
    let seeded = PromptOptions { permutation_seed: Some(7), ..options(2_048, 128) };
    let prompt = build_prompt(&set("p", &texts), &seeded, &count).unwrap();
    assert!(prompt.order.len() > 10 && prompt.order.len() < 100);
    assert_eq!(prompt.omitted + prompt.order.len(), 10_000);
    let mut shown = prompt.order.clone();
    shown.sort_unstable();
    assert_eq!(shown, (0..prompt.order.len()).collect::<Vec<_>>());
    assert!(prompt.candidate_cap >= MIN_CANDIDATE_TOKENS);
}

#[test]
fn what_cannot_fit_is_an_error() {
    assert_eq!(build_prompt(&set("p", &[]), &options(4_096, 64), &count), Err(PromptError::NoCandidates));
    let problem = "word ".repeat(5_000);
    let error = build_prompt(&set(&problem, &["c"]), &options(4_096, 64), &count).unwrap_err();
    assert!(matches!(error, PromptError::NoRoom { context_length: 4_096, max_new_tokens: 64, .. }));
    assert!(build_prompt(&set("p", &["c"]), &options(64, 64), &count).is_err());
}

#[test]
fn the_plan_needs_no_candidates() {
    let options = options(1_024, 64);
    let plan = plan_prompt("p", 3, &options, &count).unwrap();
    for texts in [["a", "b", "c"], ["", "<think>", &"x".repeat(9_999)]] {
        let prompt = build_prompt(&set("p", &texts), &options, &count).unwrap();
        assert_eq!((prompt.order.len(), prompt.candidate_cap), (plan.shown, plan.candidate_cap));
    }
}

#[test]
fn permutations_are_fixed_by_their_seed() {
    assert_eq!(permutation(8, 1), permutation(8, 1));
    assert_ne!(permutation(8, 1), permutation(8, 2));
    assert_eq!(permutation(0, 1), [0usize; 0]);
    // Every place is taken by every index about equally often.
    let mut first = [0usize; 4];
    (0..4_000).for_each(|seed| first[permutation(4, seed)[0]] += 1);
    assert!(first.iter().all(|n| (880..1_120).contains(n)), "{first:?}");
}

fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<answer>".to_string()),
        Just("</ANSWER>".to_string()),
        Just("<think".to_string()),
        Just("\nAnswer 2:\n".to_string()),
        Just("\r\nQuestion :".to_string()),
        Just("<|im_start|>".to_string()),
        "[ -~]{0,12}",
        "\\PC{0,6}",
        Just("\n".to_string()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_prompt_fits_and_has_only_our_structure(
        texts in proptest::collection::vec(hostile_text(), 1..12),
        problem in hostile_text(),
        context_length in 200usize..3_000,
        max_new_tokens in 0usize..200,
        seed in proptest::option::of(0u64..9),
        variant in prop_oneof![
            Just(PromptVariant::Think),
            Just(PromptVariant::NoThink),
            Just(PromptVariant::Compact)
        ],
    ) {
        let options = PromptOptions { variant, context_length, max_new_tokens, permutation_seed: seed };
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        if let Ok(prompt) = build_prompt(&set(&problem, &texts), &options, &count) {
            let sum: usize = prompt.segments.iter().map(|segment| count(&segment.text)).sum();
            prop_assert_eq!(sum, prompt.tokens);
            prop_assert!(sum + max_new_tokens <= context_length);
            let text = text_of(&prompt);
            let body = &text[prompt.segments[0].text.len() - "Question:\n".len()..];
            prop_assert_eq!(crate::reader::tags::tags(body).count(), 1);
            let headers = body.lines().filter(|line| {
                let line = line.trim().to_lowercase();
                line.starts_with("question:") || line.strip_prefix("answer ").is_some_and(|rest| {
                    rest.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(':')
                })
            });
            prop_assert_eq!(headers.count(), 1 + prompt.order.len());
        }
    }
}
