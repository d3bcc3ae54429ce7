//! When something is tried again, how often, and after how long.

use std::time::Duration;

use crate::error::{Again, HubError, Result};
use crate::watch::Watch;

/// How often what failed is tried again.
#[derive(Clone, Copy, Debug)]
pub struct RetryOptions {
    /// Failures in a row (of the connection, or of the server) after which it is given up. A failure after which more has
    /// arrived is the first again.
    pub attempts: u32,
    /// The pause after the first of them; each further one is twice as long.
    pub pause: Duration,
    /// How often a hub may ask to wait (429).
    pub limited: u32,
    /// The longest wait that a hub is granted.
    pub longest_wait: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_millis(500),
            limited: 3,
            longest_wait: Duration::from_secs(300),
        }
    }
}

/// The failures so far of one thing that is tried.
pub(crate) struct Attempts {
    options: RetryOptions,
    failures: u32,
    limited: u32,
}

impl Attempts {
    pub fn new(options: RetryOptions) -> Self {
        Self { options, failures: 0, limited: 0 }
    }

    /// Something has arrived: the next failure is the first.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The pause before the next attempt.
    ///
    /// # Errors
    /// The failure itself, when there is to be no further attempt.
    fn pause(&mut self, error: HubError) -> Result<Duration> {
        let options = &self.options;
        match error.again {
            Again::Never => Err(error),
            Again::Soon => {
                self.failures += 1;
                if self.failures >= options.attempts {
                    return Err(error);
                }
                Ok(options.pause * 2_u32.saturating_pow(self.failures - 1).min(64))
            }
            Again::Limited(wait) => {
                self.limited += 1;
                let wait = wait.unwrap_or(options.pause * 2_u32.saturating_pow(self.limited + 1).min(64));
                if self.limited > options.limited || wait > options.longest_wait {
                    return Err(error);
                }
                Ok(wait)
            }
        }
    }

    /// Waits before the next attempt, and says so where that takes a moment.
    ///
    /// # Errors
    /// The failure itself, when there is to be no further attempt; or the caller's wish to stop.
    pub async fn wait(&mut self, error: HubError, watch: &mut Watch<'_>) -> Result<()> {
        let message = error.to_string();
        let pause = self.pause(error)?;
        if pause >= Duration::from_secs(1) {
            watch.note(&format!("{message}; trying again in {} s", pause.as_secs()))?;
        }
        watch.wait(tokio::time::sleep(pause)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn error(again: Again) -> HubError {
        HubError::new(ErrorKind::Server, "x").again(again)
    }

    #[test]
    fn pauses_grow_and_end() {
        let mut attempts = Attempts::new(RetryOptions::default());
        let millis: Vec<u128> =
            (0..4).map(|_| attempts.pause(error(Again::Soon)).unwrap().as_millis()).collect();
        assert_eq!(millis, [500, 1000, 2000, 4000]);
        assert!(attempts.pause(error(Again::Soon)).is_err());
        attempts.succeeded();
        assert_eq!(attempts.pause(error(Again::Soon)).unwrap().as_millis(), 500);
        assert!(attempts.pause(error(Again::Never)).is_err());
    }

    #[test]
    fn a_hub_that_asks_to_wait_is_waited_for_within_bounds() {
        let mut attempts = Attempts::new(RetryOptions::default());
        let limited = |seconds| error(Again::Limited(Some(Duration::from_secs(seconds))));
        assert_eq!(attempts.pause(limited(7)).unwrap().as_secs(), 7);
        assert!(attempts.pause(limited(3600)).is_err());
        assert_eq!(attempts.pause(error(Again::Limited(None))).unwrap().as_secs(), 8);
        assert!(attempts.pause(limited(1)).is_err(), "the fourth");
    }
}
