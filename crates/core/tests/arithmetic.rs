//! The arithmetic domain as a whole: that a seed fixes every byte, that mistakes and traps come at the stated rates, that
//! the figures of candidates, votes and baselines are those that the rules are known to give, and that nothing makes its
//! parsers panic (`CONCLAVE_PROPTEST_CASES` inputs each, 2,000 otherwise).

use std::collections::HashMap;

use conclave_core::arithmetic::{
    Mistake, Options, Simulation, Solver, derive, follows, operand_checked_vote, parse_problem,
    parse_solution, parse_steps, plan, recombine_steps, sample_set, simulate, write_solution,
};
use conclave_core::{SampleSet, Tier, majority_vote, read, read_sample_sets, write_json_line};
use proptest::prelude::*;

fn line(set: &SampleSet) -> String {
    let mut line = Vec::new();
    write_json_line(&mut line, set).unwrap();
    String::from_utf8(line).unwrap()
}

#[test]
fn a_seed_fixes_every_byte() {
    let expected = concat!(
        r#"{"id":"arithmetic-7-1","problem":"Eva has 404 coins. She buys 72 boxes of 83 coins. She sells "#,
        r#"26 boxes of 23 coins. She loses 298 coins. How many now?","#,
        r#""reference_answer":"5484","candidates":[{"text":"72*83=5976;26*23=598;404+5976=6380;6380-598=5282;5282-298=4984;#4984","model":"standard"},"#,
        r#"{"text":"72*83=5976;26*23=598;404+5976=6380;6380-598=5782;5782-298=5484;#5484","model":"standard"}],"#,
        r#""derivation":"72*83=5976;26*23=598;404+5976=6380;6380-598=5782;5782-298=5484;#5484","#,
        r#""error_rate":0.03,"trap":{"step":3,"mistake":"result","rate":0.547}}"#,
        "\n",
    );
    assert_eq!(line(&sample_set(7, 1, &Options::standard(2))), expected);
    assert_ne!(sample_set(8, 1, &Options::standard(2)), sample_set(7, 1, &Options::standard(2)));
}

#[test]
fn fewer_candidates_are_the_first_of_more() {
    for index in 0..200 {
        let (few, many) =
            (sample_set(1, index, &Options::standard(3)), sample_set(1, index, &Options::standard(9)));
        assert_eq!(few.candidates, many.candidates[..3]);
        assert_eq!((&few.problem, &few.extra), (&many.problem, &many.extra));
    }
    assert!(sample_set(1, 0, &Options::standard(0)).candidates.is_empty());
    assert!(sample_set(1, 0, &Options { solvers: vec![], ..Options::standard(3) }).candidates.is_empty());
}

#[test]
fn problems_do_not_depend_on_who_solves_them() {
    let mixed = Options { solvers: Solver::MIXED.to_vec(), ..Options::standard(6) };
    let mut models = HashMap::new();
    for index in 0..500 {
        let (one, other) = (sample_set(2, index, &Options::standard(6)), sample_set(2, index, &mixed));
        assert_eq!((&one.id, &one.problem, &one.extra), (&other.id, &other.problem, &other.extra));
        for candidate in other.candidates {
            *models.entry(candidate.model.unwrap()).or_insert(0) += 1;
        }
    }
    assert_eq!(models.len(), 3);
    assert!(models.values().all(|count| (900..1_100).contains(count)), "{models:?}");
}

#[test]
fn sets_are_whole() {
    for index in 0..500 {
        let set = sample_set(u64::MAX, index, &Options::standard(5));
        assert_eq!(read_sample_sets(line(&set).as_bytes()).next().unwrap().unwrap(), set);
        let terms = parse_problem(&set.problem).unwrap();
        let derivation = set.extra["derivation"].as_str().unwrap();
        assert_eq!(derivation, write_solution(&derive(&terms)));
        assert_eq!(read(derivation, false).answer.as_deref(), set.reference_answer.as_deref());
        for candidate in &set.candidates {
            let steps = parse_solution(&candidate.text).expect(&candidate.text);
            assert_eq!(write_solution(&steps), candidate.text);
            assert_eq!(steps.len(), plan(&terms).len());
            let answer = read(&candidate.text, false);
            assert_eq!(answer.found_by, Some(Tier::Phrase));
            assert_eq!(answer.answer, Some(steps.last().unwrap().result.to_string()));
        }
    }
}

/// A count that should be binomial, within four standard deviations.
fn assert_rate(count: usize, of: usize, rate: f64, what: &str) {
    let (expected, deviation) = (of as f64 * rate, (of as f64 * rate * (1.0 - rate)).sqrt());
    let off = (count as f64 - expected).abs() / deviation;
    assert!(off < 4.0, "{what}: {count} of {of}, expected {expected:.0}, {off:.1} standard deviations off");
}

const SIMULATED: u64 = 4_000;

fn simulations(solver: Solver) -> impl Iterator<Item = Simulation> {
    let options = Options { solvers: vec![solver], ..Options::standard(8) };
    (0..SIMULATED).map(move |index| simulate(11, index, &options))
}

#[test]
fn mistakes_come_at_the_stated_rates() {
    let [careful, _, hasty] = Solver::MIXED;
    for solver in [Solver::STANDARD, careful, hasty] {
        let scale = solver.error_scale;
        // By rate: problems, steps in which a mistake was possible, mistakes.
        let mut by_rate: HashMap<String, [usize; 3]> = HashMap::new();
        let mut kinds: HashMap<Mistake, usize> = HashMap::new();
        for Simulation { difficulty, attempts, .. } in simulations(solver) {
            let counts = by_rate.entry(difficulty.error_rate.to_string()).or_default();
            counts[0] += 1;
            for attempt in attempts {
                counts[1] += attempt.steps.len() - usize::from(attempt.is_trapped);
                counts[2] += attempt.mistakes.iter().flatten().count();
                attempt.mistakes.into_iter().flatten().for_each(|kind| *kinds.entry(kind).or_default() += 1);
            }
        }
        for (rate, weight) in [(0.03, 0.45), (0.12, 0.35), (0.28, 0.20)] {
            let [problems, steps, mistakes] = by_rate[&rate.to_string()];
            assert_rate(problems, SIMULATED as usize, weight, "problems of a rate");
            assert_rate(mistakes, steps, rate * scale, "mistakes");
        }
        let all: usize = kinds.values().sum();
        for (kind, share) in [(Mistake::Result, 0.60), (Mistake::Operand, 0.25), (Mistake::Operator, 0.15)] {
            assert_rate(kinds[&kind], all, share, "mistakes of a kind");
        }
    }
}

#[test]
fn every_step_is_right_but_for_its_mistakes() {
    for Simulation { problem, difficulty, attempts } in simulations(Solver::STANDARD) {
        let plan = plan(&problem.terms);
        for attempt in attempts {
            let is_clean = !attempt.is_trapped && attempt.mistakes.iter().all(Option::is_none);
            if is_clean {
                assert_eq!(attempt.text(), problem.derivation);
            }
            let trap_step = difficulty.trap.filter(|_| attempt.is_trapped).map(|trap| trap.step);
            let results: Vec<i64> = attempt.steps.iter().map(|step| step.result).collect();
            for (place, (step, mistake)) in attempt.steps.iter().zip(&attempt.mistakes).enumerate() {
                if trap_step == Some(place) {
                    assert_eq!(*mistake, None, "a trapped sample makes no other mistake there");
                    continue;
                }
                let is_planned = plan[place].asks_for(&results, step);
                let expected = (
                    !matches!(mistake, Some(Mistake::Operand | Mistake::Operator)),
                    *mistake != Some(Mistake::Result),
                );
                assert_eq!((is_planned, step.is_right()), expected, "{} step {place}", attempt.text());
            }
        }
    }
}

#[test]
fn traps_are_shared() {
    let (mut problems, mut kinds, mut void) = (0, HashMap::new(), 0);
    let (mut fell, mut could, mut rates) = (0.0, 0, 0.0);
    for Simulation { difficulty, attempts, problem } in simulations(Solver::STANDARD) {
        let Some(trap) = difficulty.trap else {
            assert!(attempts.iter().all(|attempt| !attempt.is_trapped));
            continue;
        };
        problems += 1;
        *kinds.entry(trap.mistake).or_default() += 1;
        assert!((0.3..=0.9).contains(&trap.rate));
        if trap.change.is_none() {
            void += 1;
            assert!(attempts.iter().all(|attempt| !attempt.is_trapped));
            continue;
        }
        could += attempts.len();
        rates += trap.rate * attempts.len() as f64;
        let trapped: Vec<_> = attempts.iter().filter(|attempt| attempt.is_trapped).collect();
        fell += trapped.len() as f64;
        // Those that made no other mistake wrote the same, and it is wrong.
        let mut clean = trapped.iter().filter(|attempt| attempt.mistakes.iter().all(Option::is_none));
        if let Some(first) = clean.next() {
            assert!(first.answer() != problem.answer || first.text() != problem.derivation);
            assert!(clean.all(|other| other.steps == first.steps), "{}", problem.text);
        }
    }
    assert_rate(problems, SIMULATED as usize, 0.62, "problems with a trap");
    for (kind, share) in [(Mistake::Result, 0.20), (Mistake::Operand, 0.55), (Mistake::Operator, 0.25)] {
        assert_rate(kinds[&kind], problems, share, "traps of a kind");
    }
    // A quarter of the traps, times the products among the steps (between 1 of 4 and 2 of 3).
    assert!((0.08..0.14).contains(&(void as f64 / problems as f64)), "{void} of {problems}");
    // Binomial with many rates: its deviation is below that of the rate 1/2.
    assert!((fell - rates).abs() < 4.0 * (could as f64).sqrt() / 2.0, "{fell} of {could}, expected {rates}");
}

/// What candidates and baselines are worth, in shares of the problems.
#[derive(Debug, Default)]
struct Figures {
    mean_at_1: f64,
    majority: f64,
    checked: f64,
    recombined: f64,
    any: f64,
}

fn figures(sets: &[SampleSet], num_candidates: usize) -> Figures {
    let mut sum = Figures::default();
    for set in sets {
        let mut set = set.clone();
        set.candidates.truncate(num_candidates);
        let reference = set.reference_answer.as_deref();
        let is_right = |answer: Option<String>| f64::from(u8::from(answer.as_deref() == reference));
        let right: f64 =
            set.candidates.iter().map(|candidate| is_right(read(&candidate.text, false).answer)).sum();
        sum.mean_at_1 += right / num_candidates as f64;
        sum.any += f64::from(u8::from(right > 0.0));
        sum.majority += is_right(majority_vote(&set).answer().map(str::to_string));
        sum.checked += is_right(operand_checked_vote(&set));
        sum.recombined += is_right(recombine_steps(&set));
    }
    let share = |sum: f64| sum / sets.len() as f64;
    Figures {
        mean_at_1: share(sum.mean_at_1),
        majority: share(sum.majority),
        checked: share(sum.checked),
        recombined: share(sum.recombined),
        any: share(sum.any),
    }
}

fn sets(seed: u64, problems: u64, options: &Options) -> Vec<SampleSet> {
    (0..problems).map(|index| sample_set(seed, index, options)).collect()
}

/// The known figures are of samples of 2,000 problems and ours of 10,000: shares with standard errors of up to .011 and
/// .005, so .012 for the difference. The tolerance is one and a half of that and the rounding of the known figures. It
/// tells the rules from others: with `+` for `*` in traps too, five of the nine are off by more.
#[test]
fn the_figures_are_those_of_the_rules() {
    const TOLERANCE: f64 = 0.02;
    let sets = sets(1, 10_000, &Options::standard(8));
    let [three, five, eight] = [3, 5, 8].map(|num_candidates| figures(&sets, num_candidates));
    for (what, found, known) in [
        ("mean@1 of 5", five.mean_at_1, 0.44),
        ("majority of 3", three.majority, 0.50),
        ("majority of 5", five.majority, 0.545),
        ("majority of 8", eight.majority, 0.59),
        ("any of 3", three.any, 0.71),
        ("any of 5", five.any, 0.805),
        ("any of 8", eight.any, 0.90),
        ("operand-checked vote of 5", five.checked, 0.708),
        ("recombined steps of 5", five.recombined, 0.743),
    ] {
        println!("{what}: {found:.3} ({known})");
        assert!((found - known).abs() <= TOLERANCE, "{what}: {found:.4}, known {known}");
    }
}

#[test]
#[ignore = "prints the table in the documentation of `arithmetic`: a minute"]
fn table() {
    for (name, solvers) in [("standard", vec![Solver::STANDARD]), ("mixed", Solver::MIXED.to_vec())] {
        for (seed, problems) in [(1, 2_000), (2, 50_000)] {
            let sets = sets(seed, problems, &Options { solvers: solvers.clone(), ..Options::standard(15) });
            println!("{name}, {problems} problems of seed {seed}");
            for num_candidates in [1, 2, 3, 5, 8, 15] {
                let f = figures(&sets, num_candidates);
                let row = [f.mean_at_1, f.majority, f.checked, f.recombined, f.any];
                println!("| {num_candidates} | {} |", row.map(|figure| format!("{figure:.3}")).join(" | "));
            }
        }
    }
}

fn config() -> ProptestConfig {
    let cases =
        std::env::var("CONCLAVE_PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Texts made of what problems and chains are made of, and some of anything.
fn text() -> impl Strategy<Value = String> {
    let pieces = "Ben|He|Ann|She|has|buys|loses|packs|of|books|pens|. |.|How many now?| |12|155|0|-|+|*|=|;|#|=5|;#5|1+2=3;|é|\
         999999999|1000000000|-0|\n";
    let pieces: Vec<&str> = pieces.split('|').collect();
    let piece = prop_oneof![
        9 => (0..pieces.len()).prop_map(move |piece| pieces[piece].to_string()),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A generated text with one byte's place taken by something else.
fn damaged() -> impl Strategy<Value = String> {
    (any::<u64>(), any::<bool>(), any::<prop::sample::Index>(), text()).prop_map(
        |(index, is_chain, place, with)| {
            let set = sample_set(5, index, &Options::standard(1));
            let mut text = if is_chain { set.candidates[0].text.clone() } else { set.problem };
            let at = place.index(text.len());
            text.replace_range(at..=at, &with);
            text
        },
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn parsers_never_panic(text in prop_oneof![text(), damaged()]) {
        if let Some(steps) = parse_solution(&text) {
            prop_assert_eq!(write_solution(&steps), text.trim());
            prop_assert_eq!(parse_steps(&text), steps);
        }
        if let Some(terms) = parse_problem(&text) {
            let _ = derive(&terms);
        }
        let mut set = sample_set(0, 0, &Options::standard(3));
        set.candidates[0].text = text.clone();
        recombine_steps(&set);
        set.problem = text;
        operand_checked_vote(&set);
        recombine_steps(&set);
    }

    #[test]
    fn what_is_generated_is_read_back(seed in any::<u64>(), index in any::<u64>()) {
        let Simulation { problem, attempts, .. } = simulate(seed, index, &Options::standard(2));
        prop_assert_eq!(parse_problem(&problem.text), Some(problem.terms.clone()));
        prop_assert_eq!(parse_solution(&problem.derivation), Some(derive(&problem.terms)));
        prop_assert!(follows(&plan(&problem.terms), &derive(&problem.terms)));
        for attempt in attempts {
            prop_assert_eq!(parse_solution(&attempt.text()), Some(attempt.steps));
        }
    }
}
