//! Figures by hand and by brute force, and what thresholds promise on rows that they have not seen.

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

fn rows(rows: &[(f64, bool)]) -> Vec<Row> {
    rows.iter().map(|&(confidence, is_right)| Row { confidence, is_right }).collect()
}

#[test]
fn figures_by_hand() {
    let rows = rows(&[(0.95, true), (0.95, false), (1.0, true), (0.1, false), (0.3, true)]);
    let bins = reliability(&rows);
    let counts: Vec<usize> = bins.iter().map(|bin| bin.rows).collect();
    assert_eq!(counts, [0, 1, 0, 1, 0, 0, 0, 0, 0, 3]);
    assert_eq!((bins[0].confidence, bins[0].accuracy, bins[9].from), (None, None, 0.9));
    assert!((bins[9].confidence.unwrap() - 2.9 / 3.0).abs() < 1e-12);
    assert!((bins[9].accuracy.unwrap() - 2.0 / 3.0).abs() < 1e-12);
    // |2 - 2.9| + |0 - .1| + |1 - .3|, over five rows.
    assert!((expected_calibration_error(&rows).unwrap() - 1.7 / 5.0).abs() < 1e-12);
    let squares = 0.05f64.powi(2) + 0.95f64.powi(2) + 0.0 + 0.1f64.powi(2) + 0.7f64.powi(2);
    assert!((brier(&rows).unwrap() - squares / 5.0).abs() < 1e-12);
    // Right 1, .95, .3 against wrong .95, .1: 2 + 1.5 + 1 of 6.
    assert_eq!(auroc(&rows), Some(4.5 / 6.0));
    let points: Vec<(f64, f64, f64)> = accuracy_against_yield(&rows)
        .iter()
        .map(|point| (point.at_least, point.kept, point.accuracy))
        .collect();
    assert_eq!(points, [(1.0, 0.2, 1.0), (0.95, 0.6, 2.0 / 3.0), (0.3, 0.8, 0.75), (0.1, 1.0, 0.6)]);
}

#[test]
fn tenths_are_in_the_bin_that_they_begin() {
    for tenth in 0..10 {
        let bins = reliability(&rows(&[(f64::from(tenth) / 10.0, true)]));
        assert_eq!(bins.iter().position(|bin| bin.rows == 1), Some(tenth as usize));
    }
}

#[test]
fn nothing_to_go_by_is_null() {
    assert_eq!((expected_calibration_error(&[]), brier(&[]), auroc(&[])), (None, None, None));
    assert_eq!(accuracy_against_yield(&[]), []);
    assert_eq!(reliability(&[]).len(), BINS);
    let right = rows(&[(0.5, true), (0.7, true)]);
    assert_eq!((auroc(&right), auroc_figure(&right, &[0, 1], 1)), (None, None));
    // What a file must not say does no harm.
    let odd = rows(&[(f64::NAN, true), (f64::INFINITY, false), (-1.0, true), (7.0, false)]);
    assert_eq!(reliability(&odd).iter().map(|bin| bin.rows).sum::<usize>(), 4);
    assert_eq!(accuracy_against_yield(&odd).len(), 4);
    assert_eq!(auroc_figure(&odd, &[], 1).unwrap().low, auroc(&odd).unwrap());
    assert_eq!(risk_threshold(&odd, 0.1).at_least, None);
}

#[test]
fn the_interval_of_an_area_is_near_its_formula() {
    // Hanley and McNeil: the error of the area A of n right and n wrong rows, Q1 = A / (2 - A), Q2 = 2A^2 / (1 + A).
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let rows: Vec<Row> = (0..600).map(|_| drawn(&mut rng, |confidence| confidence)).collect();
    let problem_of: Vec<usize> = (0..rows.len()).collect();
    let Figure { value, low, high } = auroc_figure(&rows, &problem_of, 3).unwrap();
    let right = rows.iter().filter(|row| row.is_right).count() as f64;
    let wrong = rows.len() as f64 - right;
    let (q1, q2) = (value / (2.0 - value), 2.0 * value * value / (1.0 + value));
    let variance =
        (value * (1.0 - value) + (right - 1.0) * (q1 - value * value) + (wrong - 1.0) * (q2 - value * value))
            / (right * wrong);
    let half = 1.96 * variance.sqrt();
    assert!(
        (low - (value - half)).abs() < 0.01 && (high - (value + half)).abs() < 0.01,
        "{low} {value} {high} {half}"
    );
    // Ten rows of each problem that say the same are no more evidence than one.
    let repeated: Vec<Row> = rows.iter().take(60).flat_map(|row| [*row; 10]).collect();
    let together: Vec<usize> = (0..600).map(|at| at / 10).collect();
    let sixty: Vec<usize> = (0..60).collect();
    assert_eq!(auroc_figure(&repeated, &together, 3), auroc_figure(&rows[..60], &sixty, 3));
}

#[test]
fn many_thresholds_are_thinned_to_percents() {
    let many: Vec<Row> =
        (0..5000).map(|at| Row { confidence: f64::from(at) / 5000.0, is_right: at % 3 > 0 }).collect();
    let points = accuracy_against_yield(&many);
    assert_eq!(points.len(), 101);
    assert_eq!((points[0].kept, points[1].kept, points[100].kept), (0.0002, 0.01, 1.0));
    // A large first group, then many: still no more.
    let mut with_ties = many.clone();
    with_ties.iter_mut().skip(2000).for_each(|row| row.confidence = 1.0);
    let points = accuracy_against_yield(&with_ties);
    assert_eq!((points.len(), points[0].at_least, points[0].kept), (41, 1.0, 0.6));
    assert_eq!(points[40].kept, 1.0);
    let few = accuracy_against_yield(&many[..101]);
    assert_eq!((few.len(), few[0].kept), (101, 1.0 / 101.0));
}

/// A row of a confidence between 0 and 1, right with the probability that `right` gives it.
fn drawn(rng: &mut ChaCha8Rng, right: impl Fn(f64) -> f64) -> Row {
    let mut uniform = || f64::from(rng.next_u32()) / 4_294_967_296.0;
    let (confidence, luck) = (uniform(), uniform());
    Row { confidence, is_right: luck < right(confidence) }
}

/// How many of 200 labelled files give a threshold whose true risk is above alpha, how many promise nothing, how many exceed alpha by
/// more than two points, and the mean share of fresh rows that is answered.
fn promises(
    alpha: f64,
    labelled: usize,
    confidence: impl Fn(f64) -> f64,
    right: impl Fn(f64) -> f64,
) -> (usize, usize, usize, f64) {
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    let mut draw = |number: usize| -> Vec<Row> {
        let row = |_| {
            let row = drawn(&mut rng, &right);
            Row { confidence: confidence(row.confidence), ..row }
        };
        (0..number).map(row).collect()
    };
    let fresh = draw(20_000);
    let (mut broken, mut silent, mut beyond, mut answered) = (0, 0, 0, 0.0);
    for _ in 0..200 {
        let Some(at_least) = risk_threshold(&draw(labelled), alpha).at_least else {
            silent += 1;
            continue;
        };
        let kept: Vec<&Row> = fresh.iter().filter(|row| row.confidence >= at_least).collect();
        let risk = kept.iter().filter(|row| !row.is_right).count() as f64 / kept.len() as f64;
        broken += usize::from(risk > alpha);
        beyond += usize::from(risk > alpha + 0.02);
        answered += kept.len() as f64 / fresh.len() as f64 / 200.0;
    }
    (broken, silent, beyond, answered)
}

#[test]
fn what_is_promised_holds_on_fresh_rows() {
    // Confidence that is mostly high and right so often; that boasts; in steps, as the share of five candidates has them.
    let high = |u: f64| 1.0 - 0.6 * u * u;
    let right = |u: f64| 1.0 - 0.6 * u * u;
    let boasting = |u: f64| 1.0 - 0.1 * u;
    let steps = |u: f64| 1.0 - 0.2 * (5.0 * u * u).floor();
    for alpha in [0.05, 0.1, 0.2] {
        for (name, (broken, silent, beyond, answered)) in [
            ("calibrated", promises(alpha, 600, high, right)),
            ("boasting", promises(alpha, 600, boasting, right)),
            ("steps", promises(alpha, 600, steps, right)),
        ] {
            let found = format!(
                "{name} at {alpha}: {broken} broken, {silent} silent, {beyond} beyond, {answered:.2}"
            );
            // One in twenty may be broken; three standard errors of 200 files are 9.
            assert!(broken <= 19 && beyond <= 2, "{found}");
            // At .05 the surest step is wrong for .04: 600 rows seldom show that.
            assert!(alpha < 0.1 || (silent <= 20 && answered > 0.3), "{found}");
        }
    }
}

#[test]
fn where_nothing_can_be_promised_nothing_is() {
    // Half of all answers are wrong whatever their confidence.
    let (broken, silent, _, _) = promises(0.1, 600, |u| u, |_| 0.5);
    assert_eq!((broken, silent), (0, 200));
    // All right, and too few to know.
    assert_eq!(fewest_rows(0.05), Some(118));
    let few = vec![Row { confidence: 1.0, is_right: true }; 117];
    assert_eq!(risk_threshold(&few, 0.05), RiskThreshold { at_least: None, kept: 0, wrong: 0 });
    let enough = vec![Row { confidence: 1.0, is_right: true }; 118];
    assert_eq!(risk_threshold(&enough, 0.05), RiskThreshold { at_least: Some(0.0), kept: 118, wrong: 0 });
    for alpha in [0.0, 1.0, -0.1, 1.1, f64::NAN] {
        assert_eq!((risk_threshold(&enough, alpha).at_least, fewest_rows(alpha)), (None, None));
    }
}

#[test]
fn thresholds_are_round_numbers() {
    let mut rows: Vec<Row> = vec![Row { confidence: 0.87, is_right: true }; 200];
    rows.extend(vec![Row { confidence: 0.869, is_right: false }; 200]);
    assert_eq!(risk_threshold(&rows, 0.1), RiskThreshold { at_least: Some(0.87), kept: 200, wrong: 0 });
}

proptest! {
    #[test]
    fn the_area_is_the_share_of_pairs(drawn in proptest::collection::vec((0u8..8, any::<bool>()), 0..30)) {
        let rows: Vec<Row> =
            drawn.iter().map(|&(level, is_right)| Row { confidence: f64::from(level) / 7.0, is_right }).collect();
        let (mut pairs, mut won) = (0.0, 0.0);
        for right in rows.iter().filter(|row| row.is_right) {
            for wrong in rows.iter().filter(|row| !row.is_right) {
                pairs += 1.0;
                won += if right.confidence > wrong.confidence { 1.0 } else if right.confidence == wrong.confidence { 0.5 } else { 0.0 };
            }
        }
        prop_assert_eq!(auroc(&rows), (pairs > 0.0).then(|| won / pairs));
    }
}
