//! What decisions are worth on real pools of candidates: the tables of docs/decision.md.
//!
//! `CONCLAVE_SETS=FOLDER cargo test --release -p conclave-core --test decision -- --ignored --nocapture`, where FOLDER holds
//! the pools `train-*.jsonl.gz` and the small sets `*.jsonl`; it takes minutes.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use conclave_core::calibration::{Row, auroc, expected_calibration_error};
use conclave_core::metrics::{Ratio, paired_bootstrap};
use conclave_core::rank::Ranker;
use conclave_core::rank::fit::{Decided, Example, SIZES, Seen, Validated, draw, fit, kind_ranker, validate};
use conclave_core::voters::{VoterTable, weight};
use conclave_core::{SampleSet, majority_vote, read_sample_sets};
use flate2::read::MultiGzDecoder;

const POOLS: [&str; 3] = ["train-gsm8k-text-pooled", "train-gsm8k-json-pooled", "train-math-l5-json-pooled"];

/// Draws of each problem that are judged.
const DRAWS: usize = 20;

fn folder() -> PathBuf {
    PathBuf::from(std::env::var("CONCLAVE_SETS").expect("CONCLAVE_SETS names the folder of the pools"))
}

fn read(path: &Path) -> Vec<SampleSet> {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader: Box<dyn BufRead> = match path.extension().is_some_and(|end| end == "gz") {
        true => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        false => Box::new(BufReader::new(file)),
    };
    read_sample_sets(reader).map(|set| set.unwrap()).collect()
}

/// The small sets, whose problems are in no training.
fn small() -> Vec<(String, Vec<SampleSet>)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    paths.sort();
    paths.iter().map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), read(path))).collect()
}

/// A pool: its candidates with a verdict of the source, without the problems of the small sets.
fn pool(name: &str, left_out: &HashSet<String>) -> Vec<SampleSet> {
    let mut sets = read(&folder().join(format!("{name}.jsonl.gz")));
    sets.retain(|set| !left_out.contains(set.problem.trim()));
    for set in &mut sets {
        set.candidates.retain(|candidate| {
            ["source_correct", "peer_correct"]
                .iter()
                .any(|field| candidate.extra.get(*field).is_some_and(|v| v.is_boolean()))
        });
    }
    sets
}

fn examples(sets: &[SampleSet]) -> Vec<Example> {
    sets.iter()
        .map(|set| {
            let vote = majority_vote(set);
            let reference = set.reference_answer.as_ref().unwrap().parsed();
            let correct = vote.clusters.iter().map(|class| reference.accepts(&class.to_answer())).collect();
            Example::new(set, &vote, correct, None)
        })
        .collect()
}

/// Accuracy by problem, averaged over draws, of some draws.
fn line(name: &str, seen: &[&Seen], decided: &[Decided]) {
    print!("{name:34}");
    for size in SIZES {
        let mut problems: BTreeMap<u64, [f64; 4]> = BTreeMap::new();
        for (seen, decided) in seen.iter().zip(decided).filter(|(seen, _)| seen.k == size) {
            let sums = problems.entry(seen.problem).or_default();
            let is = |yes: bool| f64::from(u8::from(yes));
            [is(seen.vote_is_right()), is(decided.is_right), is(seen.any_is_right()), 1.0]
                .iter()
                .zip(sums)
                .for_each(|(x, sum)| *sum += x);
        }
        let mean =
            |at: usize| problems.values().map(|sums| sums[at] / sums[3]).sum::<f64>() / problems.len() as f64;
        let gains: Vec<f64> = problems.values().map(|sums| (sums[1] - sums[0]) / sums[3]).collect();
        let gain = paired_bootstrap(&[Ratio::mean(gains)], 1)[0].unwrap();
        print!(
            " | {size:2} {:.3} {:.3} {:.3} {:4.0} % [{:+.1}, {:+.1}]",
            mean(0),
            mean(1),
            mean(2),
            100.0 * gain.value / (mean(2) - mean(0)),
            100.0 * gain.low,
            100.0 * gain.high
        );
    }
    println!();
}

/// Calibration of the first draw of each size.
fn calibration(name: &str, seen: &[&Seen], decided: &[Decided]) {
    print!("{name:34}");
    for size in SIZES {
        let rows: Vec<(&Seen, &Decided)> = seen
            .iter()
            .copied()
            .zip(decided)
            .filter(|(seen, _)| seen.k == size && seen.number == 0)
            .collect();
        let of = |value: &dyn Fn(&Seen, &Decided) -> (f64, bool)| -> Vec<(f64, bool)> {
            rows.iter().map(|(seen, decided)| value(seen, decided)).collect()
        };
        let decision = of(&|_, decided| (decided.confidence, decided.is_right));
        let vote = of(&|seen, decided| (decided.of_vote, seen.vote_is_right()));
        let share = of(&|seen, _| (seen.share(), seen.vote_is_right()));
        print!(
            " | {size:2} decision ECE {:.3} AUROC {:.3}, vote ECE {:.3} AUROC {:.3}, share ECE {:.3} AUROC {:.3}",
            ece(&decision),
            area(&decision),
            ece(&vote),
            area(&vote),
            ece(&share),
            area(&share)
        );
    }
    println!();
}

fn rows(rows: &[(f64, bool)]) -> Vec<Row> {
    rows.iter().map(|(confidence, is_right)| Row { confidence: *confidence, is_right: *is_right }).collect()
}

fn ece(judged: &[(f64, bool)]) -> f64 {
    expected_calibration_error(&rows(judged)).unwrap()
}

fn area(judged: &[(f64, bool)]) -> f64 {
    auroc(&rows(judged)).unwrap()
}

fn of_file<'a>(seen: &'a [Seen], validated: &Validated, file: usize) -> (Vec<&'a Seen>, Vec<Decided>) {
    seen.iter()
        .zip(&validated.decided)
        .filter(|(seen, _)| seen.file == file)
        .map(|(seen, decided)| (seen, *decided))
        .unzip()
}

#[test]
#[ignore = "needs CONCLAVE_SETS; minutes"]
fn rankers_on_pools() {
    let small = small();
    let left_out: HashSet<String> =
        small.iter().flat_map(|(_, sets)| sets.iter().map(|set| set.problem.trim().to_owned())).collect();
    let pools: Vec<Vec<Example>> = POOLS.iter().map(|name| examples(&pool(name, &left_out))).collect();
    eprintln!("read");
    let mut weights = Vec::new();
    for with_voters in [false, true] {
        println!("\n{}", if with_voters { "with voters learned from the file" } else { "without voters" });
        println!("vote, decision, oracle, share of the gap, interval of the gain in points");
        let all: Vec<Seen> = pools
            .iter()
            .enumerate()
            .flat_map(|(file, pool)| draw(pool, file, &SIZES, DRAWS, with_voters))
            .collect();
        eprintln!("drawn {}", all.len());
        for (file, name) in POOLS.iter().enumerate() {
            let mut own: Vec<Seen> = all.iter().filter(|seen| seen.file == file).cloned().collect();
            own.iter_mut().for_each(|seen| seen.file = 0);
            let validated = validate(&own);
            let (seen, decided) = of_file(&own, &validated, 0);
            line(&format!("in {} ({:.0})", &name[6..], validated.sign_penalty), &seen, &decided);
            calibration("", &seen, &decided);
        }
        let (fitted, validated) = fit(&all);
        println!("left out, penalty of the signs {:.0}", validated.sign_penalty);
        for (file, name) in POOLS.iter().enumerate() {
            let (seen, decided) = of_file(&all, &validated, file);
            line(&format!("left out {}", &name[6..]), &seen, &decided);
            calibration("", &seen, &decided);
        }
        weights.push(fitted);
    }
    let problems = pools.iter().map(Vec::len).sum();
    let kind = kind_ranker("math", problems, (2, 14), &weights[0], Some(&weights[1]));
    println!("{}", serde_json::to_string_pretty(&Ranker::of(vec![kind])).unwrap());
}

/// The weighted vote by voters against the plain one.
#[test]
#[ignore = "needs CONCLAVE_SETS; minutes"]
fn voters_on_pools() {
    for name in POOLS {
        let sets = pool(name, &HashSet::new());
        for size in SIZES {
            let mut problems: Vec<[f64; 4]> = vec![[0.0; 4]; sets.len()];
            let mut refused = 0;
            for number in 0..5 {
                let drawn: Vec<SampleSet> =
                    sets.iter().enumerate().map(|(at, set)| sub(set, size, number * 7919 + at)).collect();
                let votes: Vec<_> = drawn.iter().map(majority_vote).collect();
                let mut table = VoterTable::default();
                drawn.iter().zip(&votes).for_each(|(set, vote)| table.add(set, &vote.clusters, None));
                let learned = table.learn();
                refused += usize::from(learned.is_err());
                for ((set, vote), sums) in drawn.iter().zip(&votes).zip(&mut problems) {
                    let reference = set.reference_answer.as_ref().unwrap().parsed();
                    let right: Vec<bool> =
                        vote.clusters.iter().map(|class| reference.accepts(&class.to_answer())).collect();
                    let of = learned.as_ref().ok().map(|learned| learned.of_set(set, None));
                    let sum = |class: usize| -> f64 {
                        vote.clusters[class]
                            .candidates
                            .iter()
                            .map(|at| of.as_ref().map_or(1.0, |of| weight(of[*at])))
                            .sum()
                    };
                    let mut best = 0;
                    (0..right.len()).for_each(|class| {
                        if sum(class) > sum(best) {
                            best = class
                        }
                    });
                    let is = |yes: Option<&bool>| f64::from(u8::from(yes == Some(&true)));
                    [is(right.first()), is(right.get(best)), f64::from(u8::from(right.contains(&true))), 1.0]
                        .iter()
                        .zip(sums)
                        .for_each(|(x, sum)| *sum += x);
                }
            }
            let mean = |at: usize| {
                problems.iter().map(|sums| sums[at] / sums[3]).sum::<f64>() / problems.len() as f64
            };
            let gain =
                paired_bootstrap(&[Ratio::mean(problems.iter().map(|s| (s[1] - s[0]) / s[3]).collect())], 1)
                    [0]
                .unwrap();
            println!(
                "{name:28} {size:2}: vote {:.3}, weighted {:.3}, oracle {:.3}; gain {:+.1} [{:+.1}, {:+.1}] points; refused {refused} of 5",
                mean(0),
                mean(1),
                mean(2),
                100.0 * gain.value,
                100.0 * gain.low,
                100.0 * gain.high
            );
        }
    }
}

/// `size` candidates, another choice for each seed.
fn sub(set: &SampleSet, size: usize, seed: usize) -> SampleSet {
    let mut state = seed as u64;
    let mut candidates = set.candidates.clone();
    for at in 0..size.min(candidates.len()) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = at + ((state >> 33) as usize) % (candidates.len() - at);
        candidates.swap(at, other);
    }
    candidates.truncate(size);
    SampleSet { candidates, ..set.clone() }
}
