//! What a completion is worth.
//!
//! Answers are compared as everywhere else in Conclave: found in the text and judged by the equivalence of
//! `conclave-core`. What is not here: what follows from a reward (`advantage`).

use conclave_core::Reference;
use conclave_core::equivalence::Answer;
use conclave_core::prompt::parse_completion;
use conclave_core::reader::read;

use crate::advantage::Reward;

/// For a well-formed answer that is wrong: enough to learn the form before the first success, too little to aim for.
const WELL_FORMED_REWARD: f64 = 0.05;

/// A graded completion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Graded {
    /// 1 correct, 0.05 well-formed but wrong, 0 otherwise.
    pub reward: Reward,
    /// Whether it gives the reference's answer.
    pub correct: bool,
    /// Whether it has exactly one closed `<answer>` with an answer in it.
    pub well_formed: bool,
}

/// Grades what an aggregator wrote behind `prefill`. The prompt is not looked at, so no tag in it can be taken for an
/// answer. Only what is well-formed is correct: of anything else the aggregator would return the vote.
pub fn aggregator_reward(prefill: &str, completion: &str, reference: &Reference) -> Graded {
    let parsed = parse_completion(prefill, completion);
    let answer = parsed.answer.as_deref().filter(|_| parsed.well_formed);
    let correct = answer.is_some_and(|answer| reference.accepts(&Answer::announced(answer)));
    let reward = match (correct, parsed.well_formed) {
        (true, _) => 1.0,
        (false, true) => WELL_FORMED_REWARD,
        (false, false) => 0.0,
    };
    Graded { reward: Reward(reward), correct, well_formed: parsed.well_formed }
}

/// Whether a generator's solution gives the reference's answer, which is read out of it as out of any candidate.
/// `truncated`: it was cut off at the length limit, so that its last number is no answer.
pub fn generator_correct(text: &str, truncated: bool, reference: &Reference) -> bool {
    read(text, truncated).to_answer().is_some_and(|answer| reference.accepts(&answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregators() {
        let cases: [(&str, &str, &str, f64); 12] = [
            ("<answer>", "42</answer>", "42", 1.0),
            ("<answer>", " 0.5 </answer>", "\\frac{1}{2}", 1.0),
            ("<think>", "12*3=36</think><answer>36</answer>", "36", 1.0),
            // What an XML parser would choke on.
            ("<answer>", "x < 3 & y</answer>", "x < 3 & y", 1.0),
            ("<answer>", "41</answer>", "42", 0.05),
            ("<think>", "42</think><answer>41</answer>", "42", 0.05),
            ("<answer>", "42", "42", 0.0),
            ("<answer>", "</answer>", "42", 0.0),
            ("<think>", "the answer is 42", "42", 0.0),
            // One guess only.
            ("<answer>", "41</answer><answer>42</answer>", "42", 0.0),
            ("<answer>", "<answer>42</answer>", "42", 0.0),
            ("<answer>", "", "42", 0.0),
        ];
        for (prefill, completion, reference, reward) in cases {
            let graded = aggregator_reward(prefill, completion, &reference.into());
            assert_eq!(graded.reward, Reward(reward), "of {prefill}{completion}");
            assert_eq!((graded.correct, graded.well_formed), (reward == 1.0, reward > 0.0));
        }
    }

    #[test]
    fn references_may_be_solutions() {
        assert!(
            aggregator_reward("<answer>", "18</answer>", &"She has 9 * 2 = 18 left.\n#### 18".into()).correct
        );
    }

    #[test]
    fn generators() {
        assert!(generator_correct("155*77=11935;11935+95=12030;#12030", false, &"12030".into()));
        assert!(!generator_correct("155*77=11935;11935+95=12030;#12031", false, &"12030".into()));
        assert!(generator_correct("so it is \\boxed{\\frac12}.", false, &"0.5".into()));
        assert!(!generator_correct("", false, &"0".into()));
        // The last number is an answer only where the text was not cut off behind it.
        assert!(generator_correct("3 + 4 = 7", false, &"7".into()));
        assert!(!generator_correct("3 + 4 = 7", true, &"7".into()));
    }
}
