//! Stopping: properties on any counts, and a table on recorded sets.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use conclave_core::stopping::{History, Moments, StopPrior, StopRule, Tally, fit_stop_prior};
use conclave_core::{SampleSet, majority_vote, read_sample_sets};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

fn priors() -> impl Strategy<Value = StopPrior> {
    (0.0..0.999f64, -6.0..9.0f64).prop_map(|(discount, log)| {
        StopPrior::new(discount, log.exp() - discount, StopPrior::BUILT_IN.levels()).unwrap()
    })
}

fn rules() -> impl Strategy<Value = StopRule> {
    prop_oneof![
        (0.5..1.0f64).prop_map(|level| StopRule::Beta { level }),
        (priors(), 0.0..0.5f64).prop_map(|(prior, level)| StopRule::Learned { prior, level }),
    ]
}

proptest! {
    #[test]
    fn stopping_takes_any_counts(classes in prop::collection::vec(any::<u64>(), 0..5), drawn: u64, budget: u64, rule in rules()) {
        rule.stops(&Tally::new(classes, drawn, budget));
    }

    #[test]
    fn stopping_probabilities_are_some(top in 0..60u64, second in 0..60u64, third in 0..60u64, rest in 0..60u64, more in 0..200u64, prior in priors()) {
        let tally = Tally::new([top, second, third], top + second + third + rest, 0);
        let found = prior.change_probability(&tally, more);
        prop_assert!((0.0..=1.0).contains(&found), "{found}");
        // The more is drawn, the more may change.
        prop_assert!(found <= prior.change_probability(&tally, more + 1) + 1e-9);
    }

    /// A vote more for the leader, from a new draw, from the second or from the rest, never asks for more.
    #[test]
    fn stopping_is_monotone_in_the_lead(counts in prop::array::uniform3(0..40u64), rest in 0..40u64, more in 1..60u64, rule in rules()) {
        let mut counts = counts;
        counts.sort_by(|a, b| b.cmp(a));
        let [top, second, third] = counts;
        let drawn = top + second + third + rest;
        if rule.stops(&Tally::new(counts, drawn, drawn + more)) {
            let next = Tally::new([top + 1, second, third], drawn + 1, drawn + more);
            prop_assert!(rule.stops(&next), "a draw for the leader: {next:?}");
            if rest > 0 {
                let from_rest = Tally::new([top + 1, second, third], drawn, drawn + more);
                prop_assert!(rule.stops(&from_rest), "{from_rest:?}");
            }
            if second > third {
                let from_second = Tally::new([top + 1, second - 1, third], drawn, drawn + more);
                prop_assert!(rule.stops(&from_second), "{from_second:?}");
            }
        }
    }

    /// What some distribution of the probabilities gives lies between the bounds of its moments.
    #[test]
    fn forecasts_hold_what_is_possible(atoms in prop::collection::vec((0.0..=1.0f64, 1..50u32), 1..6), calls in 1..16u32) {
        // Each atom as that many problems of a thousand calls.
        let problems: Vec<(u32, u32)> = atoms
            .iter()
            .flat_map(|&(p, count)| (0..count).map(move |_| ((p * 1_000.0).round() as u32, 1_000)))
            .collect();
        let forecast = Moments::of(problems.iter().copied()).unwrap().majority(calls);
        let of = |&(right, all): &(u32, u32)| majority_of_pool(right, all, calls);
        let exact = problems.iter().map(of).sum::<f64>() / problems.len() as f64;
        prop_assert!(forecast.low - 2e-3 < exact && exact < forecast.high + 2e-3, "{exact} {forecast:?}");
        prop_assert!(forecast.low <= forecast.expected && forecast.expected <= forecast.high);
    }
}

/// The probability that of `calls`, drawn from `all` of which `right` are right, more than half are (an even split: half).
fn majority_of_pool(right: u32, all: u32, calls: u32) -> f64 {
    let mut by_right = vec![0.0; calls as usize + 1];
    by_right[0] = 1.0;
    for drawn in 0..calls {
        for hits in (0..=drawn as usize).rev() {
            let hit = f64::from(right.saturating_sub(hits as u32)) / f64::from(all - drawn);
            by_right[hits + 1] += by_right[hits] * hit;
            by_right[hits] *= 1.0 - hit;
        }
    }
    let worth = |hits: usize| match (2 * hits as u32).cmp(&calls) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 1.0,
    };
    by_right.iter().enumerate().map(|(hits, probability)| probability * worth(hits)).sum()
}

/// A recorded problem, as far as stopping goes.
struct Recorded {
    problem: String,
    history: History,
    /// The class of each candidate.
    classes: Vec<Option<usize>>,
    /// Which classes are right.
    right: Vec<bool>,
}

fn recorded(set: &SampleSet) -> Recorded {
    let vote = majority_vote(set);
    let mut classes = vec![None; set.candidates.len()];
    for (class, cluster) in vote.clusters.iter().enumerate() {
        cluster.candidates.iter().for_each(|&candidate| classes[candidate] = Some(class));
    }
    let reference = set.reference_answer.as_ref().map(|reference| reference.parsed());
    let is_right = |answer| reference.as_ref().is_some_and(|reference| reference.accepts(&answer));
    Recorded {
        problem: set.problem.trim().to_owned(),
        history: History::of(&vote),
        classes,
        right: vote.clusters.iter().map(|cluster| is_right(cluster.to_answer())).collect(),
    }
}

fn files() -> BTreeMap<String, Vec<Recorded>> {
    let mut files = BTreeMap::new();
    for folder in std::env::var("CONCLAVE_SETS").unwrap().split(':') {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let name = name.split(".jsonl").next().unwrap().to_owned();
            files.insert(name, read(&path));
        }
    }
    files
}

fn read(path: &Path) -> Vec<Recorded> {
    let file = File::open(path).unwrap();
    let reader: Box<dyn BufRead> = if path.extension().is_some_and(|extension| extension == "gz") {
        Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    read_sample_sets(reader).map(|set| recorded(&set.unwrap())).collect()
}

/// What a rule did on a file.
#[derive(Default)]
struct Outcome {
    orders: f64,
    calls: f64,
    budget: f64,
    agreed: f64,
    right: f64,
    right_of_all: f64,
}

impl Outcome {
    fn add(&mut self, other: &Self) {
        self.orders += other.orders;
        self.calls += other.calls;
        self.budget += other.budget;
        self.agreed += other.agreed;
        self.right += other.right;
        self.right_of_all += other.right_of_all;
    }
}

const ORDERS: usize = 200;

/// Rules on 200 orders of each problem's candidates: the first on the problems with even numbers, the second on the others.
fn measure(problems: &[Recorded], rules: [StopRule; 2]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut known = BTreeMap::new();
    for (index, problem) in problems.iter().enumerate() {
        let mut classes = problem.classes.clone();
        let half = index % 2;
        let mut rng = ChaCha8Rng::seed_from_u64(1_000 + index as u64);
        for _ in 0..ORDERS {
            for last in (1..classes.len()).rev() {
                classes.swap(last, rng.next_u32() as usize % (last + 1));
            }
            let mut sizes = vec![0u64; problem.right.len()];
            let mut order = Vec::new();
            let mut stopped = None;
            let mut leader = None;
            for (place, class) in classes.iter().enumerate() {
                if let Some(class) = *class {
                    if sizes[class] == 0 {
                        order.push(class);
                    }
                    sizes[class] += 1;
                    leader = order.iter().rev().max_by_key(|&&class| sizes[class]).copied();
                }
                let tally = Tally::new(sizes.iter().copied(), place as u64 + 1, classes.len() as u64);
                if stopped.is_none()
                    && *known.entry((tally, half)).or_insert_with(|| rules[half].stops(&tally))
                {
                    stopped = Some((place + 1, leader));
                }
            }
            let (calls, answer) = stopped.unwrap();
            outcome.orders += 1.0;
            outcome.calls += calls as f64;
            outcome.budget += classes.len() as f64;
            outcome.agreed += f64::from(u8::from(answer == leader));
            let is_right =
                |class: Option<usize>| f64::from(u8::from(class.is_some_and(|c| problem.right[c])));
            outcome.right += is_right(answer);
            outcome.right_of_all += is_right(leader);
        }
    }
    outcome
}

fn histories<'a>(problems: impl IntoIterator<Item = &'a Recorded>) -> Vec<History> {
    problems.into_iter().map(|problem| problem.history.clone()).collect()
}

fn print(file: &str, rule: &str, outcome: &Outcome) {
    println!(
        "| {file} | {rule} | {:.1} % | {:.2} % | {:.4} | {:.4} |",
        100.0 * (1.0 - outcome.calls / outcome.budget),
        100.0 * outcome.agreed / outcome.orders,
        outcome.right / outcome.orders,
        outcome.right_of_all / outcome.orders,
    );
}

/// Every file of sets in the folders of `CONCLAVE_SETS` (parted by `:`). The prior is fitted to the files named `train-*`, less
/// the problems of all others; these files themselves are measured by a prior fitted to the others of them. `own` is
/// fitted to the other half of the same file.
#[test]
#[ignore = "looks at files that are not part of the project"]
fn stopping_on_files() {
    let files = files();
    let is_training = |name: &str| name.starts_with("train-");
    let elsewhere: HashSet<&str> = files
        .iter()
        .filter(|(name, _)| !is_training(name))
        .flat_map(|(_, problems)| problems.iter().map(|problem| problem.problem.as_str()))
        .collect();
    let fit = |without: &str| {
        let training = files.iter().filter(|(name, _)| is_training(name) && *name != without);
        let problems = training.flat_map(|(_, problems)| problems);
        let problems = problems.filter(|problem| !elsewhere.contains(problem.problem.as_str()));
        let histories = histories(problems);
        println!("prior without {without:?}, {} problems: {:?}", histories.len(), fit_stop_prior(&histories));
        fit_stop_prior(&histories).unwrap()
    };
    let (fitted, built_in) = (fit(""), StopPrior::BUILT_IN);
    let is_near = |a: f64, b: f64| (a - b).abs() < 1e-3;
    assert!(
        is_near(fitted.discount(), built_in.discount()) && is_near(fitted.strength(), built_in.strength())
    );
    assert!(fitted.levels().iter().zip(built_in.levels()).all(|(a, b)| is_near(a.level, b.level)));
    println!("| file | rule | saved | agreement | right | right with all |\n|---|---|---|---|---|---|");
    let mut together = BTreeMap::<String, Outcome>::new();
    for (name, problems) in &files {
        let prior = if is_training(name) { fit(name) } else { built_in };
        let halves = [0, 1].map(|half| {
            let others = problems.iter().enumerate().filter(|(index, _)| index % 2 != half);
            fit_stop_prior(&histories(others.map(|(_, problem)| problem))).unwrap()
        });
        let mut rules = vec![
            ("decided".to_owned(), [StopRule::Beta { level: 2.0 }; 2]),
            ("beta .95".to_owned(), [StopRule::BETA; 2]),
            ("beta .90".to_owned(), [StopRule::Beta { level: 0.9 }; 2]),
        ];
        for agreement in [0.99, 0.995, 0.999] {
            rules.push((format!("learned {agreement}"), [StopRule::learned(prior, agreement); 2]));
        }
        rules.push(("own half .995".to_owned(), halves.map(|prior| StopRule::learned(prior, 0.995))));
        for (rule, rules) in rules {
            let outcome = measure(problems, rules);
            print(name, &rule, &outcome);
            // What several models answered is no sample of one.
            if !name.contains("pooled") {
                together.entry(rule).or_default().add(&outcome);
            }
        }
    }
    together.iter().for_each(|(rule, outcome)| print("samples of one model", rule, outcome));
    println!(
        "\n| file | calls | low | expected | high | more than half right | vote right |\n|---|---|---|---|---|---|---|"
    );
    for (name, problems) in files.iter().filter(|(name, _)| name.starts_with("math")) {
        for calls in [3, 5, 7, 9] {
            forecast(name, problems, calls);
        }
    }
}

/// The forecast from all pairs of calls of each problem, beside what the recorded calls say.
fn forecast(name: &str, problems: &[Recorded], calls: u32) {
    let counts = |problem: &Recorded| {
        let right = problem.classes.iter().flatten().filter(|&&class| problem.right[class]).count();
        (right as u32, problem.classes.len() as u32)
    };
    let count = problems.len() as f64;
    let counts: Vec<_> = problems.iter().map(counts).collect();
    if counts.iter().any(|&(_, all)| all < calls) {
        return;
    }
    let majority =
        counts.iter().map(|&(right, all)| majority_of_pool(right, all, calls)).sum::<f64>() / count;
    let mut votes = 0.0;
    for (index, problem) in problems.iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(index as u64);
        let mut classes = problem.classes.clone();
        for _ in 0..ORDERS {
            for last in (1..classes.len()).rev() {
                classes.swap(last, rng.next_u32() as usize % (last + 1));
            }
            let mut sizes = vec![0u32; problem.right.len()];
            let drawn = classes[..calls as usize].iter().flatten();
            drawn.clone().for_each(|&class| sizes[class] += 1);
            let winner = drawn.rev().max_by_key(|&&class| sizes[class]);
            // The last of the largest from behind is the first of them.
            votes += f64::from(u8::from(winner.is_some_and(|&class| problem.right[class]))) / ORDERS as f64;
        }
    }
    let found = Moments::of(counts).unwrap().majority(calls);
    println!(
        "| {name} | {calls} | {:.3} | {:.3} | {:.3} | {majority:.3} | {:.3} |",
        found.low,
        found.expected,
        found.high,
        votes / count
    );
}
