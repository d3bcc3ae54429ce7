//! The names that tools give to the fields of a set. An earlier name wins over a later.

/// Of the problem.
pub const PROBLEM: &[&str] = &[
    "problem",
    "question",
    "prompt",
    "query",
    "instruction",
    "input",
    "problem_text",
    "question_text",
    "user_prompt",
    "turns",
    "task",
    "title",
];

/// Of the reference answer. Those that can be nothing else come first: `answer` is in some files what the model said.
pub const REFERENCE: &[&str] = &[
    "reference_answer",
    "gold_answer",
    "gold",
    "expected_answer",
    "correct_answer",
    "correct answer",
    "ground_truth",
    "groundtruth",
    "reward_model.ground_truth",
    "gt_answer",
    "gt",
    "gts",
    "true_answer",
    "answer",
    "target",
    "expected",
    "expected_output",
    "ideal",
    "reference",
    "final_answer",
    "label",
];

/// Of a worked solution, whose box is the answer where there is no other.
pub const SOLUTION: &[&str] = &["solution", "reference_solution", "gt_cot", "rationale"];

/// Of the name of a problem.
pub const ID: &[&str] = &[
    "id",
    "problem_id",
    "question_id",
    "task_id",
    "doc_id",
    "custom_id",
    "unique_id",
    "uuid",
    "idx",
    "index",
    "problem_idx",
    "qid",
    "request_id",
    "sample_id",
    "record_id",
];

/// Of a list of candidates.
pub const LISTS: &[&str] = &[
    "candidates",
    "generations",
    "completions",
    "responses",
    "outputs",
    "samples",
    "model_outputs",
    "predictions",
    "code",
    "generated_solutions",
    "generated_responses",
    "model_responses",
    "solutions",
    "rollouts",
    "trajectories",
    "attempts",
    "answers_raw",
    "resps",
    "messages",
    "conversations",
    "response",
    "output",
    "generation",
    "completion",
    "prediction",
    "annotations",
    "votes",
    "judgments",
    "judgements",
];

/// Of one candidate, where each has a row of its own.
pub const TEXT: &[&str] = &[
    "response",
    "generation",
    "completion",
    "output",
    "prediction",
    "model_output",
    "model_outputs",
    "model_response",
    "model_answer",
    "generated_text",
    "generated_solution",
    "raw_output",
    "full_output",
    "llm_output",
    "llm_response",
    "assistant",
    "candidate",
    "full_response",
    "messages",
    "conversation",
    "conversations",
    "convo",
    "code",
    "pred",
    "text",
    "content",
];

/// Of the number of a candidate among those of its problem, which does not name the problem.
pub const REPEAT: &[&str] =
    &["sample_idx", "sample_index", "seed", "epoch", "repeat", "attempt", "run", "rollout_id", "trial"];

/// Beginnings of the names of columns that hold a candidate each: `response_1`, `candidate2`.
pub const NUMBERED: &[&str] = &[
    "candidate",
    "response",
    "output",
    "answer",
    "generation",
    "completion",
    "prediction",
    "sample",
    "model",
    "run",
    "attempt",
    "solution",
    "rater",
    "annotator",
    "judge",
    "label",
    "vote",
    "text",
    "reply",
    "result",
];

/// Columns of a table that are neither a problem nor a candidate, where every other column is a model.
pub const ABOUT: &[&str] = &[
    "category",
    "subject",
    "topic",
    "level",
    "difficulty",
    "source",
    "split",
    "dataset",
    "type",
    "problem_type",
    "score",
    "tags",
    "notes",
    "comment",
    "date",
    "url",
    "language",
    "domain",
    "metadata",
    "rationale",
    "solution",
    "explanation",
    "weight",
    "points",
];

/// Whether a column is one of several numbered ones.
pub fn is_numbered(name: &str) -> bool {
    let lower = name.trim().to_ascii_lowercase();
    let stem = lower.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let stem_name = stem.trim_end_matches(['_', '-', ' ', '.', '#']);
    stem.len() < lower.len() && NUMBERED.contains(&stem_name)
}
