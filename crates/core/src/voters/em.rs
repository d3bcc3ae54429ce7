//! Expectation maximization for the one-coin model with "none".

/// Rounds at most; the pools of docs/decision.md need about fifteen.
const ROUNDS: usize = 60;

/// The reliabilities have settled where none moves by more.
const SETTLED: f64 = 1e-6;

/// Bounds of the chance that two wrong answers are the same.
const COLLISIONS: (f64, f64) = (1e-3, 0.9);

/// One set: for each class of answers its voters. A voter may stand several times.
pub(super) type Said = Vec<Vec<u32>>;

/// What was learned.
#[derive(Debug, Clone)]
pub(super) struct Learned {
    /// One a voter.
    pub reliability: Vec<f64>,
    pub theta: f64,
    /// Logarithm of the likelihood of all that was said.
    pub log_likelihood: f64,
}

/// Learns the reliabilities of `voters` voters, or of all alike.
pub(super) fn learn(sets: &[Said], voters: usize, alike: bool) -> Learned {
    let mut answers = vec![0.0; voters];
    for voter in sets.iter().flatten().flatten() {
        answers[*voter as usize] += 1.0;
    }
    let total: f64 = answers.iter().sum();
    // The start: a class is right as often as the square of its votes says, with one vote for none.
    let mut posterior: Vec<Vec<f64>> = sets.iter().map(start).collect();
    let mut reliability = vec![0.5; voters];
    let mut theta = 1.0;
    let mut log_likelihood = f64::NEG_INFINITY;
    for _ in 0..ROUNDS {
        let mut right = vec![0.0; voters];
        let (mut same, mut pairs) = (0.0, 0.0);
        for (said, posterior) in sets.iter().zip(&posterior) {
            for (class, voters) in said.iter().enumerate() {
                voters.iter().for_each(|voter| right[*voter as usize] += posterior[class]);
            }
            let (s, p) = collisions(said, posterior);
            same += s;
            pairs += p;
        }
        let mean = right.iter().sum::<f64>() / total.max(1.0);
        let before = reliability.clone();
        for (voter, reliability) in reliability.iter_mut().enumerate() {
            *reliability = match alike {
                true => mean,
                false => (right[voter] + super::PRIOR * mean) / (answers[voter] + super::PRIOR),
            };
        }
        let collision = f64::clamp((same + 1.0) / (pairs + 10.0), COLLISIONS.0, COLLISIONS.1);
        theta = (1.0 - collision) / collision;
        log_likelihood = 0.0;
        for (said, posterior) in sets.iter().zip(&mut posterior) {
            let of = |voter: &u32| reliability[*voter as usize];
            let logits = logits(said.iter().map(|voters| voters.iter().map(of)));
            let wrong: f64 = said
                .iter()
                .flatten()
                .map(|voter| libm::log(1.0 - of(voter).clamp(super::BOUNDS.0, super::BOUNDS.1)))
                .sum();
            let (found, evidence) = weighed(&logits, theta);
            *posterior = found;
            log_likelihood += wrong + evidence;
        }
        let moved = reliability.iter().zip(&before).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if moved < SETTLED {
            break;
        }
    }
    Learned { reliability, theta, log_likelihood }
}

fn start(said: &Said) -> Vec<f64> {
    let squares: Vec<f64> = said.iter().map(|voters| (voters.len() * voters.len()) as f64).collect();
    let total = squares.iter().sum::<f64>() + 1.0;
    squares.iter().map(|square| square / total).chain([1.0 / total]).collect()
}

/// Pairs of wrong answers that are the same, and all pairs of wrong answers, as expected.
fn collisions(said: &Said, posterior: &[f64]) -> (f64, f64) {
    let pairs = |n: usize| (n * n.saturating_sub(1)) as f64;
    let all: usize = said.iter().map(Vec::len).sum();
    let same: f64 = said.iter().map(|voters| pairs(voters.len())).sum();
    let none = posterior.last().copied().unwrap_or(0.0);
    let mut found = (none * same, none * pairs(all));
    for (voters, probability) in said.iter().zip(posterior) {
        found.0 += probability * (same - pairs(voters.len()));
        found.1 += probability * pairs(all - voters.len());
    }
    found
}

/// The probability of each class being right, and last of none, by the reliabilities of each class's voters.
pub(super) fn posterior(classes: impl Iterator<Item = impl Iterator<Item = f64>>, theta: f64) -> Vec<f64> {
    weighed(&logits(classes), theta).0
}

/// Of each class the sum of its voters' log odds and their number.
fn logits(classes: impl Iterator<Item = impl Iterator<Item = f64>>) -> Vec<(f64, usize)> {
    let add = |(sum, count), reliability| (sum + super::log_odds(reliability), count + 1);
    classes.map(|voters| voters.fold((0.0, 0), add)).collect()
}

/// As [`posterior`], with the logarithm of the evidence, less what all voters being wrong costs.
fn weighed(classes: &[(f64, usize)], theta: f64) -> (Vec<f64>, f64) {
    // Chinese restaurant: ln P(sizes) = sum (lnGamma(n) + ln theta) - (lnGamma(theta + W) - lnGamma(theta)).
    let seated = |size: usize| libm::lgamma(size as f64) + libm::log(theta);
    let opened = |wrong: usize| libm::lgamma(theta + wrong as f64) - libm::lgamma(theta);
    let all: usize = classes.iter().map(|(_, size)| size).sum();
    let tables: f64 = classes.iter().map(|(_, size)| seated(*size)).sum();
    let mut logits: Vec<f64> =
        classes.iter().map(|(sum, size)| sum + tables - seated(*size) - opened(all - size)).collect();
    logits.push(tables - opened(all));
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| libm::exp(logit - most)).collect();
    let total: f64 = weights.iter().sum();
    (weights.iter().map(|weight| weight / total).collect(), most + libm::log(total))
}
