//! The binomial distribution: its tail, and the interval of Clopper and Pearson for a share that was counted.
//!
//! Both are the regularised incomplete beta function I_x(a, b), here by its continued fraction (modified method of Lentz;
//! Press et al., Numerical Recipes, section 6.4). Logarithms and exponentials are those of `libm`, so that the figures
//! are the same bits on every platform.

/// Steps of the continued fraction. It needs about the square root of the larger parameter.
const MOST_STEPS: u32 = 100_000;

/// Halvings of an interval of probabilities: more than a double has bits.
const HALVINGS: u32 = 64;

/// The smallest and largest share of successes that go with `successes` among `trials` at this confidence (.95 for an interval of
/// 95 %): the exact interval of Clopper and Pearson (Biometrika 26, 1934), never narrower than it promises. It is 0 to 1
/// where nothing was tried or the numbers cannot be.
///
/// An upper bound alone at confidence c is the upper end at 2 c - 1.
pub fn clopper_pearson(successes: u64, trials: u64, confidence: f64) -> (f64, f64) {
    if trials == 0 || successes > trials || !(confidence > 0.0 && confidence < 1.0) {
        return (0.0, 1.0);
    }
    let (k, n, tail) = (successes as f64, trials as f64, (1.0 - confidence) / 2.0);
    let low = if successes == 0 { 0.0 } else { quantile(tail, k, n - k + 1.0) };
    let high = if successes == trials { 1.0 } else { quantile(1.0 - tail, k + 1.0, n - k) };
    (low, high)
}

/// The probability of at most `successes` among `trials` that each succeed with probability `p`.
pub fn at_most(successes: u64, trials: u64, p: f64) -> f64 {
    if successes >= trials {
        return 1.0;
    }
    incomplete_beta(1.0 - p, (trials - successes) as f64, successes as f64 + 1.0)
}

/// Where I_x(a, b) reaches `share`.
fn quantile(share: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if incomplete_beta(middle, a, b) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// I_x(a, b) for positive a and b; 0 below 0 and 1 above 1.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let scale = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b);
    let front = libm::exp(scale + a * libm::log(x) + b * libm::log1p(-x));
    // The fraction converges fast below the mean; above it, it is taken from the other end.
    let share = if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    };
    share.clamp(0.0, 1.0)
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut product = d;
    for step in 1..=MOST_STEPS {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        product *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        product *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sums of the probabilities themselves.
    fn brute_at_most(successes: u64, trials: u64, p: f64) -> f64 {
        let mut term = (1.0 - p).powi(trials as i32);
        let mut sum = term;
        for k in 0..successes {
            term *= (trials - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
            sum += term;
        }
        sum
    }

    #[test]
    fn tails_are_sums() {
        for trials in [1, 2, 7, 40, 200] {
            for successes in 0..trials {
                for p in [0.01, 0.05, 0.2, 0.5, 0.9] {
                    let (found, expected) =
                        (at_most(successes, trials, p), brute_at_most(successes, trials, p));
                    assert!(
                        (found - expected).abs() < 1e-11,
                        "{successes} of {trials} at {p}: {found}, {expected}"
                    );
                }
            }
        }
        assert_eq!((at_most(5, 5, 0.3), at_most(0, 3, 0.0), at_most(0, 3, 1.0)), (1.0, 1.0, 0.0));
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        // R: binom.test(k, n, conf.level = confidence)$conf.int; the rule of three in closed form.
        let known = [
            (0, 10, 0.95, 0.0, 0.308_497_1),
            (1, 10, 0.95, 0.002_528_579, 0.445_016_1),
            (5, 10, 0.95, 0.187_086_0, 0.812_914_0),
            (7, 20, 0.95, 0.153_909_2, 0.592_188_5),
            (10, 10, 0.95, 0.691_502_9, 1.0),
            (1, 1, 0.95, 0.025, 1.0),
            (0, 1, 0.9, 0.0, 0.95),
        ];
        for (k, n, confidence, low, high) in known {
            let found = clopper_pearson(k, n, confidence);
            assert!((found.0 - low).abs() < 1e-6 && (found.1 - high).abs() < 1e-6, "{k} of {n}: {found:?}");
        }
        let (_, high) = clopper_pearson(0, 1_000_000, 0.95);
        assert!((high - (1.0 - 0.025f64.powf(1e-6))).abs() < 1e-12, "{high}");
    }

    #[test]
    fn numbers_that_cannot_be_say_nothing() {
        for (k, n, confidence) in [(0, 0, 0.95), (3, 2, 0.95), (1, 2, 0.0), (1, 2, 1.0), (1, 2, f64::NAN)] {
            assert_eq!(clopper_pearson(k, n, confidence), (0.0, 1.0));
        }
        let (low, high) = clopper_pearson(u64::MAX / 2, u64::MAX, 0.95);
        assert!((0.0..=1.0).contains(&low) && (low..=1.0).contains(&high), "{low} {high}");
    }

    proptest! {
        #[test]
        fn an_interval_has_its_tails(n in 1u64..400, part in 0.0f64..1.0, confidence in 0.5f64..0.999) {
            let k = (part * n as f64) as u64;
            let (low, high) = clopper_pearson(k, n, confidence);
            let tail = (1.0 - confidence) / 2.0;
            let share = k as f64 / n as f64;
            prop_assert!(0.0 <= low && low <= share && share <= high && high <= 1.0);
            if k > 0 {
                prop_assert!((1.0 - at_most(k - 1, n, low) - tail).abs() < 1e-9);
            }
            if k < n {
                prop_assert!((at_most(k, n, high) - tail).abs() < 1e-9);
            }
        }
    }
}
