//! Texts in the dress that tools give them: messages, contents in parts, transcripts of a chat, options below a question.

use serde_json::{Map, Value};

/// Roles of the one who asks and of the one who answers.
const ASKS: &[&str] = &["user", "human"];
const ANSWERS: &[&str] = &["assistant", "gpt", "model", "ai", "bot"];

fn role(message: &Value) -> Option<&str> {
    message.get("role").or_else(|| message.get("from")).and_then(Value::as_str)
}

/// Whether these are messages of a conversation.
pub fn is_messages(list: &[Value]) -> bool {
    !list.is_empty() && list.iter().all(|message| role(message).is_some())
}

/// The text of a message's content, of a list of parts, or of a text.
pub fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()))
                .collect();
            (!texts.is_empty()).then(|| texts.concat())
        }
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Object(object) => {
            ["content", "value", "text"].iter().find_map(|name| object.get(*name).and_then(plain))
        }
        Value::Null => None,
    }
}

/// The text of what was asked: a text, or a conversation's last question before its last answer.
pub fn question(value: &Value) -> Option<String> {
    match value {
        Value::Array(messages) if is_messages(messages) => last_question(messages),
        // FastChat's questions in turns.
        Value::Array(turns) if turns.iter().all(Value::is_string) && !turns.is_empty() => {
            let turns: Vec<&str> = turns.iter().filter_map(Value::as_str).collect();
            Some(turns.join("\n\n"))
        }
        Value::String(text) => Some(bare_question(text)),
        Value::Null => None,
        other => plain(other).or_else(|| Some(other.to_string())),
    }
}

/// The last question of a conversation.
pub fn last_question(messages: &[Value]) -> Option<String> {
    let last = messages.iter().rposition(|message| role(message).is_some_and(|role| ANSWERS.contains(&role)));
    let before = &messages[..last.unwrap_or(messages.len())];
    let asked = before.iter().rfind(|message| role(message).is_some_and(|role| ASKS.contains(&role)));
    asked.and_then(plain).map(|text| bare_question(&text))
}

/// The last answer of a conversation.
pub fn last_answer(messages: &[Value]) -> Option<&Value> {
    messages.iter().rfind(|message| role(message).is_some_and(|role| ANSWERS.contains(&role)))
}

/// A question without the dress of a chat: a transcript that ends before the answer, evalscope's `**User**:`.
fn bare_question(text: &str) -> String {
    if let Some(rest) = text.trim_start().strip_prefix("**User**:") {
        return rest.trim().to_owned();
    }
    // A list of messages that was written down as a text.
    if text.trim_start().starts_with("[{\"role\"")
        && let Ok(Value::Array(messages)) = serde_json::from_str(text)
        && let Some(question) = last_question(&messages)
    {
        return question;
    }
    match Transcript::split(text) {
        Some(Transcript { question, answer }) if answer.trim().is_empty() => question,
        _ => text.to_owned(),
    }
}

/// A chat as one text: `system\n...\nuser\n...\nassistant\n...`, or the same between `<|im_start|>` and `<|im_end|>`.
pub struct Transcript {
    /// What the user asked last.
    pub question: String,
    /// What the assistant answered to it.
    pub answer: String,
}

impl Transcript {
    /// Reads one that has an answer, be it an empty one.
    pub fn read(text: &str) -> Option<Self> {
        Self::split(text)
    }

    fn split(text: &str) -> Option<Self> {
        let (user, assistant, end) = if text.contains("<|im_start|>assistant") {
            ("<|im_start|>user\n", "<|im_start|>assistant", Some("<|im_end|>"))
        } else if text.contains("<|start_header_id|>assistant<|end_header_id|>") {
            (
                "<|start_header_id|>user<|end_header_id|>",
                "<|start_header_id|>assistant<|end_header_id|>",
                Some("<|eot_id|>"),
            )
        } else if text.starts_with("system\n") || text.starts_with("user\n") {
            ("user\n", "assistant\n", None)
        } else {
            return None;
        };
        let starts_line = |at: usize| end.is_some() || at == 0 || text[..at].ends_with('\n');
        let mut questions = text.match_indices(user).map(|(at, _)| at).filter(|&at| starts_line(at));
        // Where turns are marked, the last counts; a bare word may be part of an answer.
        let asked = if end.is_some() { questions.last()? } else { questions.next()? } + user.len();
        // An answer may hold a line `assistant` of its own, so the first one counts.
        let answered =
            text[asked..].match_indices(assistant).map(|(at, _)| asked + at).find(|&at| starts_line(at));
        // A transcript cut at its end has no line break behind the last word.
        let cut =
            || text.strip_suffix("assistant").map(str::len).filter(|&at| at >= asked && starts_line(at));
        let answered = answered.or_else(cut)?;
        let answer = text.get(answered + assistant.len()..).unwrap_or_default();
        let answer = answer.strip_prefix('\n').unwrap_or(answer);
        let until = |text: &str| end.and_then(|end| text.split(end).next()).unwrap_or(text).to_owned();
        Some(Self { question: until(&text[asked..answered]).trim().to_owned(), answer: until(answer) })
    }
}

/// The options of a multiple choice, by their letters: a list, an object by letters, ARC's two lists, columns `A`, `B`, `C`.
pub fn options(object: &mut Map<String, Value>) -> Vec<(String, String)> {
    for name in ["options", "choices"] {
        let found = object.get(name).map(listed).unwrap_or_default();
        if found.len() > 1 {
            object.shift_remove(name);
            return found;
        }
    }
    let letters: Vec<String> =
        ('A'..='J').map(String::from).take_while(|letter| object.contains_key(letter)).collect();
    if letters.len() < 2 {
        return Vec::new();
    }
    let texts = letters
        .iter()
        .filter_map(|letter| object.shift_remove(letter).as_ref().and_then(plain))
        .collect::<Vec<_>>();
    letters.into_iter().zip(texts).collect()
}

fn listed(value: &Value) -> Vec<(String, String)> {
    let by_letter = |texts: &[Value]| {
        let texts = texts.iter().enumerate().filter_map(|(at, text)| {
            let text = text
                .is_string()
                .then(|| plain(text))
                .flatten()
                .or_else(|| text.is_number().then(|| text.to_string()))?;
            Some((letter(at)?, text))
        });
        texts.collect::<Vec<_>>()
    };
    match value {
        Value::Array(texts) if texts.len() <= 26 => {
            let found = by_letter(texts);
            if found.len() == texts.len() { found } else { Vec::new() }
        }
        Value::Object(object) => match (object.get("text"), object.get("label")) {
            (Some(Value::Array(texts)), Some(Value::Array(labels))) => {
                let labels = labels.iter().filter_map(plain);
                labels.zip(texts.iter().filter_map(plain)).collect()
            }
            _ => {
                let is_letter =
                    |key: &String| key.len() == 1 && key.chars().all(|key| key.is_ascii_alphanumeric());
                let is_options = object.keys().all(is_letter);
                let found = object.iter().filter_map(|(key, text)| Some((key.clone(), plain(text)?)));
                if is_options { found.collect() } else { Vec::new() }
            }
        },
        _ => Vec::new(),
    }
}

/// The letter of an option by its place.
pub fn letter(at: usize) -> Option<String> {
    u8::try_from(at).ok().filter(|&at| at < 26).map(|at| char::from(b'A' + at).to_string())
}

/// The problem with its options below, where it does not show them itself.
pub fn with_options(problem: &str, options: &[(String, String)]) -> String {
    let shows = |(letter, text): &(String, String)| {
        problem.lines().any(|line| {
            let line = line.trim_start_matches([' ', '\t', '(', '*']);
            line.strip_prefix(letter.as_str())
                .is_some_and(|rest| rest.starts_with(['.', ')', ':', ' ', '*']) && rest.contains(text.trim()))
        })
    };
    if options.is_empty() || options.iter().all(shows) {
        return problem.to_owned();
    }
    let lines: Vec<String> = options.iter().map(|(letter, text)| format!("{letter}. {text}")).collect();
    format!("{}\n\n{}", problem.trim_end(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn transcripts_come_apart() {
        let read = |text: &str| Transcript::read(text).map(|found| (found.question, found.answer));
        let pair = |question: &str, answer: &str| Some((question.to_owned(), answer.to_owned()));
        assert_eq!(
            read("system\nYou are.\nuser\nWhat is 2+2?\nassistant\nIt is\nassistant\n4"),
            pair("What is 2+2?", "It is\nassistant\n4")
        );
        assert_eq!(read("user\nQ?\nassistant\n"), pair("Q?", ""));
        assert_eq!(
            read("<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\nA<|im_end|>"),
            pair("Q?", "A")
        );
        assert_eq!(read("Tell the user\nassistant\n4"), None);
        assert_eq!(question(&json!("user\nQ?\nassistant\n")).as_deref(), Some("Q?"));
        assert_eq!(question(&json!("user\nQ?")).as_deref(), Some("user\nQ?"));
    }

    #[test]
    fn options_are_lettered_once() {
        let mut object = json!({"options": ["4", "6", "7"], "a": 1}).as_object().cloned().unwrap();
        let found = options(&mut object);
        assert_eq!(with_options("Which is prime?", &found), "Which is prime?\n\nA. 4\nB. 6\nC. 7");
        assert!(!object.contains_key("options"));
        let shown = "Which?\nA) 4\nB) 6\nC) 7";
        assert_eq!(with_options(shown, &found), shown);
        let mut arc =
            json!({"choices": {"text": ["x", "y"], "label": ["1", "2"]}}).as_object().cloned().unwrap();
        assert_eq!(options(&mut arc)[1], ("2".to_owned(), "y".to_owned()));
        let mut columns = json!({"A": "x", "B": "y", "D": "z"}).as_object().cloned().unwrap();
        assert_eq!(options(&mut columns).len(), 2);
    }
}
