//! Grading and clustering rates on one core: `cargo bench -p conclave-core --bench grade`.
//!
//! The pairs are those of `tests/data/equivalence`: *simple* ones have nothing but digits and `.,/-` on both sides, *latex*
//! ones a backslash on one side and at most 120 bytes on each, *texts* are longer (whole solutions).
//! `crates/xtask/scripts/bench_grade.py` times Math-Verify on the same pairs, selected by the same rule.

use conclave_core::equivalence::{Answer, equivalence_classes};
use conclave_core::grade::{GradePair, grade};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const FILES: [&str; 3] = ["math_verify.jsonl", "near_misses.jsonl", "matches.jsonl"];

fn pairs() -> Vec<GradePair> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/equivalence/");
    let read =
        |file: &str| std::fs::read_to_string(format!("{folder}{file}")).expect("the file of pairs is there");
    let text: String = FILES.iter().map(|file| read(file)).collect();
    text.lines().map(|line| serde_json::from_str(line).expect("a line is a pair")).collect()
}

fn is_simple(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b".,/-".contains(&b))
}

fn selections() -> [(&'static str, Vec<GradePair>); 3] {
    let select = |test: &dyn Fn(&GradePair) -> bool| pairs().into_iter().filter(|pair| test(pair)).collect();
    let short = |pair: &GradePair| pair.reference.len() <= 120 && pair.prediction.len() <= 120;
    let latex = |pair: &GradePair| pair.reference.contains('\\') || pair.prediction.contains('\\');
    [
        ("simple", select(&|pair| is_simple(&pair.reference) && is_simple(&pair.prediction))),
        ("latex", select(&|pair| short(pair) && latex(pair))),
        ("texts", select(&|pair| !short(pair))),
    ]
}

fn grading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("grade");
    for (name, pairs) in selections() {
        group.throughput(Throughput::Elements(pairs.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                pairs
                    .iter()
                    .filter(|pair| grade(&pair.reference, black_box(&pair.prediction)).equivalent)
                    .count()
            });
        });
    }
    group.finish();
}

/// Distinct answers of many kinds, a tenth of them equal to another in other words.
fn distinct_answers(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| match n % 10 {
            0 => format!("{n}"),
            1 => format!("\\frac{{{n}}}{{7}}"),
            2 => format!("{n}\\sqrt{{2}}+\\pi"),
            3 => format!("({n}, {})", n + 1),
            4 => format!("x^2+{n}x+1"),
            5 => format!("\\sin({n})+\\sqrt{{3}}"),
            6 => format!("{}\\text{{ cm}}", n - 6),
            7 => format!("2x+{n}y=3"),
            8 => format!("[{n}, \\infty)"),
            _ => format!("word number {n}"),
        })
        .collect()
}

fn clustering(criterion: &mut Criterion) {
    const COUNT: usize = 10_000;
    let texts = distinct_answers(COUNT);
    let mut group = criterion.benchmark_group("cluster");
    group.sample_size(10).throughput(Throughput::Elements(COUNT as u64));
    group.bench_function("10000 distinct answers", |bencher| {
        bencher.iter(|| {
            let answers: Vec<Answer> = texts.iter().map(|text| Answer::parse(text)).collect();
            equivalence_classes(black_box(&answers))
        });
    });
    // The worst case for buckets: forms that are all equal and share no key.
    let equal: Vec<String> = (0..COUNT)
        .map(|n| format!("\\sin({n}+1)-\\sin({n}+1)\\cdot\\cos(0)+\\sqrt{{5+2\\sqrt6}}+0\\cdot{n}"))
        .collect();
    group.bench_function("10000 forms of one answer", |bencher| {
        bencher.iter(|| {
            let answers: Vec<Answer> = equal.iter().map(|text| Answer::parse(text)).collect();
            equivalence_classes(black_box(&answers))
        });
    });
    group.finish();
}

criterion_group!(benches, grading, clustering);
criterion_main!(benches);
