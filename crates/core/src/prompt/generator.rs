//! The prompt of a generator, which solves a problem alone, and what an aggregator's completion is as a candidate: the two
//! ends where a model that generates and aggregates meets itself.

use super::{Prompt, PromptError, PromptOptions, PromptVariant, Segment, TAGS, neutralise, parse_completion};
use crate::equivalence::{Answer, is_equivalent};
use crate::reader::read;

const INSTRUCTION: &str =
    "Answer the question. Reason step by step, and put the final answer into \\boxed{}.\n\n";

/// The prompt in which a model solves `problem` from nothing: the question, and `Answer:` for the model to go on from. Of
/// the options the order is of no use; a compact prompt has no instruction here either.
///
/// # Errors
/// Where the problem leaves no room for `max_new_tokens`.
pub fn build_generator_prompt(
    problem: &str,
    options: &PromptOptions,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Result<Prompt, PromptError> {
    let instruction = match options.variant {
        PromptVariant::Think | PromptVariant::NoThink => INSTRUCTION,
        PromptVariant::Compact => "",
    };
    let segments = vec![
        Segment { text: format!("{instruction}Question:\n"), trusted: true },
        Segment { text: neutralise(problem.trim()), trusted: false },
        Segment { text: "\n\nAnswer:\n".to_owned(), trusted: true },
    ];
    let tokens: usize = segments.iter().map(|segment| count_tokens(&segment.text)).sum();
    let PromptOptions { context_length, max_new_tokens, .. } = *options;
    if tokens + max_new_tokens > context_length {
        return Err(PromptError::ProblemTooLong { tokens, max_new_tokens, context_length });
    }
    Ok(Prompt { segments, prefill: "", order: Vec::new(), omitted: 0, candidate_cap: 0, tokens })
}

/// What an aggregator wrote behind `prefill`, as a candidate for the next aggregation: its thought, which is a solution as
/// a candidate's, with the answer behind it where the thought does not end in it; the answer alone where it did not think, in a
/// box where a reader would find another one in it or none. What is not well-formed is taken as it is, without our tags.
pub fn candidate_of_completion(prefill: &str, completion: &str) -> String {
    let text = format!("{prefill}{completion}");
    let parsed = parse_completion(prefill, completion);
    let Some(answer) = parsed.answer.filter(|_| parsed.well_formed) else { return without_tags(&text) };
    let thought = text.split_once("</think>").map_or("", |(thought, _)| thought);
    let thought = without_tags(thought);
    let concludes = |text: &str| {
        read(text, false).to_answer().is_some_and(|found| is_equivalent(&found, &Answer::parse(&answer)))
    };
    if concludes(&thought) {
        return thought;
    }
    match thought.is_empty() {
        true if concludes(&answer) => answer,
        true => format!("\\boxed{{{answer}}}"),
        false => format!("{thought}\n\n\\boxed{{{answer}}}"),
    }
}

fn without_tags(text: &str) -> String {
    let text = TAGS.iter().fold(text.to_owned(), |text, tag| text.replace(tag, " "));
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variant: PromptVariant, context_length: usize) -> PromptOptions {
        PromptOptions { variant, context_length, max_new_tokens: 20, permutation_seed: None }
    }

    fn text(variant: PromptVariant) -> String {
        let prompt = build_generator_prompt(" 2 + 2?\n\nAnswer 1:\n5", &options(variant, 999), &|s| s.len());
        prompt.unwrap().segments.iter().map(|segment| segment.text.as_str()).collect()
    }

    #[test]
    fn the_problem_stands_alone() {
        let compact = "Question:\n2 + 2?\n\nAnswer 1 -\n5\n\nAnswer:\n";
        assert_eq!(text(PromptVariant::Compact), compact);
        assert_eq!(text(PromptVariant::Think), format!("{INSTRUCTION}{compact}"));
    }

    #[test]
    fn a_problem_needs_room_for_its_solution() {
        let build = |context| {
            build_generator_prompt("2 + 2?", &options(PromptVariant::Compact, context), &|s| s.len())
        };
        assert_eq!(build(46).unwrap().tokens, 26);
        let message = build(45).unwrap_err().to_string();
        assert!(message.starts_with("the problem takes 26 tokens"), "{message}");
    }

    #[test]
    fn completions_become_candidates() {
        for (prefill, completion, expected) in [
            ("<think>", "2*3=6;#6</think><answer>6</answer>", "2*3=6;#6"),
            ("<think>", "2*3=6;#6</think><answer>7</answer>", "2*3=6;#6\n\n\\boxed{7}"),
            (
                "<think>",
                "\nThe first is right.\n</think>\n<answer>6</answer>",
                "The first is right.\n\n\\boxed{6}",
            ),
            ("<answer>", "6</answer>", "6"),
            ("<answer>", "2 or 3</answer>", "2 or 3"),
            ("<answer>", "no solution</answer>", "no solution"),
            ("<think>", "</think><answer>6</answer>", "6"),
            ("<think>", "2*3=6;#6", "2*3=6;#6"),
            ("<think>", "2*3=6;#6</think><answer>6", "2*3=6;#6  6"),
        ] {
            assert_eq!(candidate_of_completion(prefill, completion), expected, "{prefill}{completion}");
        }
    }
}
