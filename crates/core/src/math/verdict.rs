//! A verdict of three values: what can be shown, what can be refuted, and the rest.

use serde::{Deserialize, Serialize};

/// Whether two answers are the same answer, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Shown to be the same.
    Same,
    /// Shown to be different.
    Different,
    /// Neither could be shown: not understood, undefined, or the step budget is spent.
    Unknown,
}

impl Verdict {
    /// Whether this is [`Verdict::Same`]: `Unknown` never joins two answers.
    pub fn is_same(self) -> bool {
        self == Verdict::Same
    }

    /// Its name in results: `same`.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::Different => "different",
            Verdict::Unknown => "unknown",
        }
    }

    /// `Same` where `same` holds, else `Different`.
    pub fn known(same: bool) -> Self {
        if same { Verdict::Same } else { Verdict::Different }
    }

    /// Both must hold: `Different` as soon as one is, `Same` only where both are.
    pub fn and(self, other: impl FnOnce() -> Verdict) -> Self {
        match self {
            Verdict::Different => Verdict::Different,
            Verdict::Same => other(),
            Verdict::Unknown if other() == Verdict::Different => Verdict::Different,
            Verdict::Unknown => Verdict::Unknown,
        }
    }

    /// One suffices: `Same` as soon as one is, `Different` only where both are.
    pub fn or(self, other: impl FnOnce() -> Verdict) -> Self {
        match self {
            Verdict::Same => Verdict::Same,
            Verdict::Different => other(),
            Verdict::Unknown if other() == Verdict::Same => Verdict::Same,
            Verdict::Unknown => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, Different, Same, Unknown};

    #[test]
    fn verdicts_combine() {
        for (a, b, and, or) in [
            (Same, Same, Same, Same),
            (Same, Different, Different, Same),
            (Same, Unknown, Unknown, Same),
            (Different, Unknown, Different, Unknown),
            (Unknown, Unknown, Unknown, Unknown),
        ] {
            let combined = |a: Verdict, b: Verdict| (a.and(|| b), a.or(|| b));
            assert_eq!(combined(a, b), (and, or), "{a:?} {b:?}");
            assert_eq!(combined(b, a), (and, or), "{b:?} {a:?}");
        }
    }
}
