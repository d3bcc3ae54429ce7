//! What a majority of more calls is worth, from two labelled calls a problem.
//!
//! A problem is answered right by a call with probability p, which differs between problems. Two labelled calls a problem
//! give the mean of p and of p^2: one call is right, both are right. They bound what any majority is worth (Liu, Two calls,
//! two moments, and the vote-accuracy curve of repeated LLM inference, arXiv 2605.03379): with g(p) the probability that
//! more than half of k calls are right, the least and the largest mean of g(p) over all distributions of p with these two
//! moments are reached by three values of p or fewer. They are looked for on a grid of 1/128 that also has the
//! values that decide at k = 3: for up to 101 calls the interval is short of the exact one by less than .001.
//!
//! Between the bounds a single figure needs a shape: here that of a Beta distribution with the same moments.
//!
//! "Right" is a majority of right calls. A vote over many different answers may be right with less than half of the calls: it
//! is worth at least this much.

/// The first two moments of the probability that a call is right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    mean: f64,
    square: f64,
}

/// What a majority of some number of calls is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VoteForecast {
    /// The least that the moments allow.
    pub low: f64,
    /// For probabilities of the shape of a Beta distribution.
    pub expected: f64,
    /// The most that the moments allow.
    pub high: f64,
}

/// More calls count as this many.
const MOST: u32 = 1_001;

/// Steps of the grid.
const GRID: u32 = 128;

impl Moments {
    /// From problems with (right calls, calls), of which those with two calls or more count: the mean of c / n and of
    /// c (c - 1) / (n (n - 1)). Nothing without such problems.
    pub fn of(problems: impl IntoIterator<Item = (u32, u32)>) -> Option<Self> {
        let (mut count, mut mean, mut square) = (0.0, 0.0, 0.0);
        for (right, calls) in problems.into_iter().filter(|&(right, calls)| calls >= 2 && right <= calls) {
            let (right, calls) = (f64::from(right), f64::from(calls));
            count += 1.0;
            mean += right / calls;
            square += right * (right - 1.0) / (calls * (calls - 1.0));
        }
        (count > 0.0).then(|| {
            let (mean, square) = (mean / count, square / count);
            // By chance both may be right less often than if all problems were alike, which they cannot be.
            Self { mean, square: square.clamp(mean * mean, mean) }
        })
    }

    /// The share of right calls.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// How alike two calls on a problem are: 0, as if all problems were alike; 1, a problem is always right or never.
    pub fn correlation(&self) -> f64 {
        let most = self.mean - self.mean * self.mean;
        if most > 0.0 { ((self.square - self.mean * self.mean) / most).clamp(0.0, 1.0) } else { 1.0 }
    }

    /// What a majority of `calls` is worth (an even split counts half).
    pub fn majority(&self, calls: u32) -> VoteForecast {
        let calls = calls.clamp(1, MOST);
        let (low, high) = self.bounds(calls);
        VoteForecast { low, expected: self.as_beta(calls).clamp(low, high), high }
    }

    fn bounds(&self, calls: u32) -> (f64, f64) {
        // All alike; some never right; some always. What is nearer than a thousandth to one of these is left out, as weights
        // are quotients of differences.
        let deciding = [self.mean, self.square / self.mean, (self.mean - self.square) / (1.0 - self.mean)];
        let grid = (0..=GRID).map(|i| f64::from(i) / f64::from(GRID));
        let mut points: Vec<f64> = Vec::new();
        for point in deciding.into_iter().chain(grid) {
            let is_apart = |other: &f64| (other - point).abs() >= 1e-3;
            if (0.0..=1.0).contains(&point) && points.iter().all(is_apart) {
                points.push(point);
            }
        }
        points.sort_by(f64::total_cmp);
        let worth: Vec<f64> = points.iter().map(|&p| majority_of(calls, p)).collect();
        // The weight of x beside y and z, times (x - y) (x - z).
        let part = |y: f64, z: f64| self.square - (y + z) * self.mean + y * z;
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (i, &x) in points.iter().enumerate() {
            for (j, &y) in points.iter().enumerate().skip(i + 1) {
                let of_last = part(x, y);
                for (k, &z) in points.iter().enumerate().skip(j + 1) {
                    let weights = [
                        part(y, z) / ((x - y) * (x - z)),
                        part(x, z) / ((y - x) * (y - z)),
                        of_last / ((z - x) * (z - y)),
                    ];
                    if weights.iter().all(|&weight| weight >= -1e-9) {
                        let value = weights[0] * worth[i] + weights[1] * worth[j] + weights[2] * worth[k];
                        (low, high) = (low.min(value), high.max(value));
                    }
                }
            }
        }
        (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0))
    }

    /// The Beta-binomial probability that more than half are right.
    fn as_beta(&self, calls: u32) -> f64 {
        let correlation = self.correlation();
        if correlation > 1.0 - 1e-9 {
            return self.mean;
        }
        if correlation < 1e-9 {
            return majority_of(calls, self.mean);
        }
        let size = (1.0 - correlation) / correlation;
        let (a, b) = (self.mean * size, (1.0 - self.mean) * size);
        more_than_half(calls, |i, left| (a + i) / (b + left))
    }
}

/// The probability that more than half of `calls` are right, each with probability `p`.
fn majority_of(calls: u32, p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        return if p >= 1.0 { 1.0 } else { 0.0 };
    }
    more_than_half(calls, |_, _| p / (1.0 - p))
}

/// The share of numbers of right calls above half (half of an even split), where one more right call than i is
/// (calls - i) / (i + 1) * `odds`(i, calls - i - 1) times as probable as i.
fn more_than_half(calls: u32, odds: impl Fn(f64, f64) -> f64) -> f64 {
    let n = f64::from(calls);
    let (mut log, mut most) = (0.0, 0.0f64);
    let mut logs = vec![log];
    for i in 0..calls {
        let i = f64::from(i);
        log += libm::log((n - i) / (i + 1.0) * odds(i, n - i - 1.0));
        most = most.max(log);
        logs.push(log);
    }
    let (mut above, mut all) = (0.0, 0.0);
    for (right, log) in logs.iter().enumerate() {
        let weight = libm::exp(log - most);
        all += weight;
        above += weight
            * match (2 * right as u32).cmp(&calls) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 1.0,
            };
    }
    above / all
}
