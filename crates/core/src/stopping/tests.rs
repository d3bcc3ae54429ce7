//! The rules of stopping against exhaustive ways to compute the same.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

fn tally(classes: &[u64], drawn: u64, budget: u64) -> Tally {
    Tally::new(classes.iter().copied(), drawn, budget)
}

fn urn(discount: f64, strength: f64) -> StopPrior {
    StopPrior::new(discount, strength, StopPrior::BUILT_IN.levels()).unwrap()
}

#[test]
fn a_tally_holds_the_three_largest() {
    let found = tally(&[1, 4, 2, 4, 3], 16, 20);
    assert_eq!((found.top(), found.second(), found.third(), found.rest()), (4, 4, 3, 5));
    assert_eq!((found.drawn(), found.remaining()), (16, 4));
    assert_eq!(tally(&[], 0, 3), tally(&[0, 0], 0, 3));
    // More in classes than drawn: what was counted was drawn.
    assert_eq!((tally(&[5, 1], 2, 8).drawn(), tally(&[5, 1], 2, 8).rest()), (6, 0));
    let vote = crate::majority_vote(&serde_json::from_str(VOTE).unwrap());
    assert_eq!(Tally::of(&vote, 9), tally(&[2, 1], 4, 9));
}

const VOTE: &str = r#"{"id": "s", "problem": "p", "candidates": [{"text": "7"}, {"text": "I cannot say."}, {"text": "7.0"}, {"text": "8"}]}"#;

#[test]
fn what_cannot_change_is_decided() {
    for (classes, drawn, budget, expected) in [
        (&[][..], 0, 0, true),
        (&[], 0, 1, false),
        (&[5], 5, 8, true),
        (&[4], 4, 8, false), // a tie is left
        (&[5, 1], 6, 9, true),
        (&[5, 1], 6, 10, false),
        (&[1, 1], 2, 2, true),
        (&[u64::MAX, u64::MAX], u64::MAX, u64::MAX, true),
        (&[u64::MAX - 1], u64::MAX - 1, u64::MAX, true),
    ] {
        let tally = tally(classes, drawn, budget);
        assert_eq!(tally.is_decided(), expected, "{tally:?}");
        for rule in [StopRule::Beta { level: 2.0 }, StopRule::learned(StopPrior::BUILT_IN, 1.0)] {
            assert_eq!(rule.stops(&tally), expected, "{rule:?} {tally:?}");
        }
    }
}

#[test]
fn the_beta_rule_is_that_of_the_router() {
    for (classes, expected) in
        [([4, 0], true), ([6, 1], true), ([8, 2], true), ([3, 0], false), ([5, 1], false), ([0, 0], false)]
    {
        let tally = tally(&classes, classes.iter().sum(), 100);
        assert_eq!(StopRule::BETA.stops(&tally), expected, "{classes:?}");
    }
}

/// The learned rule at an agreement of .995: what it takes to stop, as a table that a person can look at.
#[test]
fn leads_at_which_the_learned_rule_stops() {
    let rule = StopRule::learned(StopPrior::BUILT_IN, 0.995);
    let stops = |classes: &[u64], budget| rule.stops(&tally(classes, classes.iter().sum(), budget));
    for budget in [8, 16, 64, 1_000, 1_000_000] {
        assert!(!stops(&[1], budget) && stops(&[4], budget), "{budget}");
        assert!(!stops(&[3, 3], budget) && !stops(&[3, 1, 1], budget), "{budget}");
    }
    assert!(stops(&[3], 8) && !stops(&[2], 16));
    assert!(stops(&[6, 2], 16) && !stops(&[6, 2], 1_000));
}

/// The probability that a class of `votes` ends ahead of the leader (a tie counts half), by all ways to draw.
fn ahead(leader: f64, votes: f64, total: f64, discount: f64, more: u32) -> f64 {
    if more == 0 {
        return if votes > leader { 1.0 } else { f64::from(u8::from(votes == leader)) / 2.0 };
    }
    let (a, b) = ((leader - discount) / total, (votes - discount) / total);
    let rest = |leader, votes| ahead(leader, votes, total + 1.0, discount, more - 1);
    a * rest(leader + 1.0, votes) + b * rest(leader, votes + 1.0) + (1.0 - a - b) * rest(leader, votes)
}

/// The expected number of classes yet unseen that end ahead, by all ways to draw: `new` are the classes that came.
fn unseen(leader: f64, new: &[f64], mass: f64, total: f64, discount: f64, more: u32) -> f64 {
    if more == 0 {
        return new.iter().map(|&votes| ahead(leader, votes, 1.0, 0.0, 0)).sum();
    }
    let next = |leader, new: &[f64], mass| unseen(leader, new, mass, total + 1.0, discount, more - 1);
    let a = (leader - discount) / total;
    let mut sum = a * next(leader + 1.0, new, mass)
        + mass / total * next(leader, &[new, &[1.0]].concat(), mass + discount);
    let mut left = 1.0 - a - mass / total;
    for (place, &votes) in new.iter().enumerate() {
        let mut drawn = new.to_vec();
        drawn[place] += 1.0;
        let probability = (votes - discount) / total;
        left -= probability;
        sum += probability * next(leader, &drawn, mass);
    }
    sum + left * next(leader, new, mass)
}

#[test]
fn changes_are_those_of_the_urn() {
    for (discount, strength) in [(0.694, -0.297), (0.0, 1.5), (0.3, -0.2), (0.9, 4.0)] {
        for (classes, rest) in [
            (&[2, 1][..], 0),
            (&[3, 1], 2),
            (&[4, 2, 1], 3),
            (&[5, 5], 0),
            (&[2], 0),
            (&[3, 2, 2], 5),
            (&[2, 1, 1], 1),
        ] {
            let drawn = classes.iter().sum::<u64>() + rest;
            for more in 1..=6 {
                let found = urn(discount, strength).change_probability(&tally(classes, drawn, 99), more);
                let (total, leader) = (strength + drawn as f64, classes[0] as f64);
                let mut expected = 0.0;
                let last = (0..rest / classes.get(2).unwrap_or(&1)).filter_map(|_| classes.get(2));
                for &rival in classes[1..].iter().chain(last) {
                    expected += ahead(leader, rival as f64, total, discount, more as u32);
                }
                let mass = strength + (classes.len() as f64 + rest as f64) * discount;
                // What is not a class of its own here stands in the rest.
                expected += unseen(leader, &[], mass, total, discount, more as u32);
                assert!(
                    (found - expected.min(1.0)).abs() < 1e-12,
                    "{classes:?} {rest} {more}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn figures_at_the_extremes() {
    let prior = StopPrior::BUILT_IN;
    let change = |classes: &[u64], drawn, more| prior.change_probability(&tally(classes, drawn, 0), more);
    assert_eq!(change(&[], 0, 5), 1.0);
    assert_eq!(change(&[1], 1, 5), 1.0);
    assert_eq!(change(&[1], 1, 0), 0.0);
    assert_eq!(change(&[5, 5], 10, 1_000_000), change(&[5, 5], 10, u64::MAX));
    assert!(change(&[5, 5], 10, 1) >= 0.5);
    assert!(change(&[30_000, 1], 30_001, u64::MAX) < 1e-12);
    assert!(change(&[u64::MAX / 2, 1], u64::MAX, u64::MAX) < 1e-12);
    assert!(change(&[1 << 40, (1 << 40) - 1], u64::MAX, u64::MAX) >= 0.49);
    // Many more draws change no more than the limit of endless ones.
    let (far, farther) = (change(&[6, 2], 8, 10_000), change(&[6, 2], 8, 60_000));
    assert!(far < farther && farther < far + 1e-3, "{far} {farther}");
}

#[test]
fn levels_keep_what_was_asked() {
    let prior = StopPrior::BUILT_IN;
    assert_eq!(prior.level(0.995), prior.levels()[1].level);
    assert_eq!(prior.level(0.992), prior.levels()[1].level);
    assert_eq!(prior.level(0.5), prior.levels()[0].level);
    assert_eq!(prior.level(0.9999), 1.0 - 0.9999);
    assert_eq!((prior.level(2.0), prior.level(f64::NAN)), (0.0, 0.0));
    let text = serde_json::to_string(&prior).unwrap();
    assert_eq!(serde_json::from_str::<StopPrior>(&text).unwrap(), prior);
    for (discount, strength) in [(1.0, 1.0), (-0.1, 1.0), (0.5, -0.5), (f64::NAN, 1.0), (0.5, f64::INFINITY)]
    {
        assert_eq!(StopPrior::new(discount, strength, prior.levels()), Err(urn::BadPrior));
    }
    assert!(serde_json::from_str::<StopPrior>(&text.replace("-0.297", "-7")).is_err());
}

/// A finished set drawn from an urn.
fn drawn(rng: &mut ChaCha8Rng, candidates: u64, discount: f64, strength: f64) -> History {
    let mut classes: Vec<u64> = Vec::new();
    for n in 0..candidates {
        let mut at = rng.next_u32() as f64 / 2f64.powi(32) * (strength + n as f64);
        let found = classes.iter().position(|&votes| {
            at -= votes as f64 - discount;
            at < 0.0
        });
        match found {
            Some(class) => classes[class] += 1,
            None => classes.push(1),
        }
    }
    History { classes, unanswered: 0 }
}

#[test]
fn a_fit_finds_the_urn() {
    for (discount, strength) in [(0.7, -0.3), (0.3, 1.0), (0.5, 20.0)] {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let histories: Vec<_> = (0..1_000).map(|_| drawn(&mut rng, 16, discount, strength)).collect();
        let prior = fit_stop_prior(&histories).unwrap();
        assert!((prior.discount() - discount).abs() < 0.04, "{prior:?}");
        assert!((prior.strength() - strength).abs() < 0.05 + strength.abs() * 0.1, "{prior:?}");
        let levels = prior.levels().map(|level| level.level);
        assert!(levels[0] > levels[1] && levels[1] > levels[2], "{levels:?}");
        assert_eq!(levels[2], 1.0 - 0.999, "a thousand histories do not vouch for this");
    }
}

#[test]
fn a_fit_is_a_pure_function() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let histories: Vec<_> = (0..50).map(|_| drawn(&mut rng, 16, 0.7, -0.3)).collect();
    assert_eq!(fit_stop_prior(&histories), fit_stop_prior(&histories));
}

#[test]
fn a_fit_takes_any_histories() {
    let of = |classes: &[u64], unanswered| History { classes: classes.to_vec(), unanswered };
    assert_eq!(fit_stop_prior(&[]), None);
    let useless = [of(&[], 0), of(&[1], 0), of(&[], 1), of(&[u64::MAX, 5], u64::MAX), of(&[1_025], 0)];
    assert_eq!(fit_stop_prior(&useless), None);
    for history in [of(&[9], 0), of(&[1; 9], 0), of(&[], 9), of(&[0, 2, 0], 0), of(&[5, 4], 2)] {
        for copies in [1, 300] {
            let prior = fit_stop_prior(&vec![history.clone(); copies]).unwrap();
            let levels = prior.levels().map(|level| level.level);
            assert!(levels.iter().all(|level| (0.0..=0.25).contains(level)), "{history:?}: {levels:?}");
            if copies == 1 {
                assert!((levels[1] - 0.005).abs() < 1e-12, "one history vouches for nothing");
            }
        }
    }
}

#[test]
fn three_votes_have_a_closed_form() {
    for (mean, square) in [(0.6, 0.45), (0.3, 0.2), (0.5, 0.26), (0.9, 0.88), (0.25, 0.0625)] {
        // Two calls of a hundred thousand problems with these moments.
        let problems = 100_000;
        let both = (square * f64::from(problems)).round() as u32;
        let one = ((mean - square) * 2.0 * f64::from(problems)).round() as u32;
        let none = problems - both - one;
        let calls = [(2, both), (1, one), (0, none)];
        let moments =
            Moments::of(calls.iter().flat_map(|&(right, count)| (0..count).map(move |_| (right, 2))))
                .unwrap();
        assert!((moments.mean() - mean).abs() < 1e-4);
        let (mean, square) = (moments.mean(), square);
        let third = (square * square / mean, square - (mean - square).powi(2) / (1.0 - mean));
        let found = moments.majority(3);
        let expected = (3.0 * square - 2.0 * third.1, 3.0 * square - 2.0 * third.0);
        assert!((found.low - expected.0).abs() < 1e-4, "{found:?} {expected:?}");
        assert!((found.high - expected.1).abs() < 1e-4, "{found:?} {expected:?}");
        assert!(found.low <= found.expected && found.expected <= found.high);
        let one = moments.majority(1);
        assert!((one.low - mean).abs() < 1e-9 && (one.high - mean).abs() < 1e-9, "{one:?}");
    }
}

#[test]
fn forecasts_at_the_extremes() {
    assert_eq!(Moments::of([]), None);
    assert_eq!(Moments::of([(1, 1), (3, 2), (0, 0)]), None);
    let certain = |right| Moments::of([(right, 2); 3]).unwrap();
    for calls in [0, 1, 2, 9, 1_000_000_000] {
        assert_eq!(certain(2).majority(calls), VoteForecast { low: 1.0, expected: 1.0, high: 1.0 });
        assert_eq!(certain(0).majority(calls), VoteForecast { low: 0.0, expected: 0.0, high: 0.0 });
        // Half of the problems always, half never: nothing to gain.
        let split = Moments::of([(2, 2), (0, 2)]).unwrap().majority(calls);
        assert!((split.low - 0.5).abs() < 1e-9 && (split.high - 0.5).abs() < 1e-9, "{split:?}");
    }
    // All alike at 1/2: a coin.
    let coin = certain(1).majority(9);
    assert!((coin.expected - 0.5).abs() < 1e-12 && coin.low <= 0.5 && coin.high >= 0.5);
}
