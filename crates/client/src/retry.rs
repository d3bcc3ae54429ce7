//! When a refused request is sent again: after what the server asks for, or after a delay that doubles, within bounds.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// How often and how long to wait for a server that is busy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Requests after the first, at most.
    pub max_retries: u32,
    /// The delay before the first of them, where the server names none; it doubles each time.
    pub first_delay: Duration,
    /// The longest delay. A server that asks for more is not asked again.
    pub max_delay: Duration,
    /// Seed of the jitter, which keeps requests that were refused together from coming back together.
    pub seed: u64,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max_retries: 4,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            seed: 0,
        }
    }
}

/// The delays of one candidate.
pub(crate) struct Backoff<'a> {
    retries: &'a Retries,
    random: ChaCha8Rng,
    tried: u32,
}

impl<'a> Backoff<'a> {
    pub(crate) fn new(retries: &'a Retries, index: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(retries.seed);
        random.set_stream(index as u64);
        Self { retries, random, tried: 0 }
    }

    /// How long to wait before the next request, given what the server asked for; `None` is not to try again.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let Retries { max_retries, first_delay, max_delay, .. } = *self.retries;
        if self.tried >= max_retries || asked.is_some_and(|asked| asked > max_delay) {
            return None;
        }
        let jitter = f64::from(self.random.next_u32()) / f64::from(u32::MAX);
        let doubled = first_delay.saturating_mul(2u32.saturating_pow(self.tried)).min(max_delay);
        self.tried += 1;
        Some(match asked {
            // Never earlier than asked, and spread over the delay that it would have been otherwise.
            Some(asked) => asked.saturating_add(first_delay.min(max_delay).mul_f64(jitter)),
            None => doubled.mul_f64(0.5 + 0.5 * jitter),
        })
    }
}

/// The header `Retry-After` in seconds. Its other form, a date, would take a clock; then the delay is our own.
pub(crate) fn retry_after(value: Option<&str>) -> Option<Duration> {
    let seconds = value?.trim().parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_within_bounds_and_repeat_by_seed() {
        let retries = Retries { max_retries: 8, ..Retries::default() };
        let delays = |index| {
            let mut backoff = Backoff::new(&retries, index);
            std::iter::from_fn(move || backoff.next(None)).collect::<Vec<_>>()
        };
        let first = delays(0);
        assert_eq!(first.len(), 8);
        for (tried, delay) in first.iter().enumerate() {
            let whole = Duration::from_secs(1 << tried).min(retries.max_delay);
            assert!(*delay >= whole / 2 && *delay <= whole, "{tried}: {delay:?}");
        }
        assert_eq!(first, delays(0));
        assert_ne!(first, delays(1));
    }

    #[test]
    fn a_server_is_given_the_time_it_asks_for_or_left_alone() {
        let retries = Retries::default();
        let mut backoff = Backoff::new(&retries, 0);
        let delay = backoff.next(Some(Duration::from_secs(7))).unwrap();
        assert!(delay >= Duration::from_secs(7) && delay <= Duration::from_secs(8), "{delay:?}");
        assert_eq!(backoff.next(Some(Duration::from_secs(61))), None);
        assert_eq!(retry_after(Some(" 2 ")), Some(Duration::from_secs(2)));
        for none in [None, Some("-1"), Some("NaN"), Some("1e300"), Some("Wed, 21 Oct 2026 07:28:00 GMT")] {
            assert_eq!(retry_after(none), None, "{none:?}");
        }
    }
}
