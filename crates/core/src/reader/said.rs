//! What a text says in the end, for kinds of answers that are looked for by other rules than those of
//! mathematics.

use super::{NoAnswer, Scan, nothing};

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
