//! What a text says in the end, for kinds of answers that are looked for by other rules than those of
//! mathematics.

use super::{NoAnswer, Scan, nothing, turns};

/// The conclusion of a text, without thoughts, control tokens and later turns; and whether it was cut off.
pub(crate) fn said(text: &str, truncated: bool) -> Result<(&str, bool), NoAnswer> {
    if text.trim().is_empty() {
        return Err(NoAnswer::Empty);
    }
    let mut scan = Scan { truncated, steps: 0, nothing: None };
    let turn = scan.conclusion(text)?;
    Ok((turn.conclusion, truncated && !turn.is_ended))
}

/// Why a text in which nothing was found says nothing: the error of an API, or a refusal.
pub(crate) fn nothing_said(text: &str) -> Option<NoAnswer> {
    nothing::api_error(text).or_else(|| nothing::refusal(text))
}

/// What the author of `text` concluded, up to a next question; and whether it was cut off.
///
/// # Errors
/// Why there is no conclusion: an empty text, a saved error, a thought that never closes.
pub(crate) fn concluded(text: &str, truncated: bool) -> Result<(&str, bool), NoAnswer> {
    let mut scan = Scan { truncated, steps: 0, nothing: None };
    let (conclusion, is_cut) = said(text, truncated)?;
    let conclusion = turns::without_asides(conclusion.trim());
    if let Some(reason) = nothing::api_error(conclusion) {
        return Err(reason);
    }
    let segments = scan.segments(conclusion);
    let Some(first) = segments.iter().position(|segment| !segment.trim().is_empty()) else {
        return Err(NoAnswer::Empty);
    };
    Ok((segments[first].trim(), is_cut && first + 1 == segments.len()))
}

/// Why a text that holds no answer has none, where it says so itself.
pub(crate) fn said_nothing(text: &str) -> Option<NoAnswer> {
    nothing::refusal(text).or_else(|| nothing::placeholder(text))
}
