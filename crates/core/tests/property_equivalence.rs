//! Equivalence on generated input: no panic, no budget passed, reflexive, symmetric, classes independent of order.
//! `CONCLAVE_PROPTEST_CASES` sets how many inputs.

use conclave_core::equivalence::{
    Answer, Verdict, compare, compare_within, equivalence_classes, is_equivalent,
};
use conclave_core::grade::grade;
use conclave_core::math::Budget;
use proptest::prelude::*;

fn config() -> ProptestConfig {
    let cases = std::env::var("CONCLAVE_PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(2_000), failure_persistence: None, ..ProptestConfig::default() }
}

/// Pieces of mathematics, well-formed or not, in any order.
fn piece() -> impl Strategy<Value = String> {
    const PIECES: [&str; 72] = [
        "1",
        "2",
        "3",
        "7",
        "10",
        "0.5",
        "1,234",
        "x",
        "y",
        "n",
        "e",
        "i",
        "AB",
        "\\pi",
        "π",
        "∞",
        "\\alpha",
        "+",
        "-",
        "*",
        "/",
        "^",
        "_",
        "!",
        "=",
        "<",
        "\\le",
        ">",
        "\\approx",
        "\\in",
        "\\cup",
        "\\pm",
        "\\mp",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "\\{",
        "\\}",
        "|",
        ",",
        ";",
        ":",
        " ",
        "\\frac",
        "\\frac12",
        "\\sqrt",
        "√",
        "\\sin",
        "\\log_",
        "\\ln",
        "\\binom",
        "\\text{",
        "\\text{ cm}",
        "cm",
        "and",
        "or",
        "\\%",
        "^\\circ",
        "\\$",
        "$",
        "\\left",
        "\\right",
        "\\boxed{",
        "\\begin{pmatrix}",
        "\\end{pmatrix}",
        "&",
        "\\\\",
        "½",
        "²",
    ];
    prop_oneof![
        8 => proptest::sample::select(&PIECES[..]).prop_map(str::to_owned),
        1 => "[a-zA-Z]{1,6}",
        1 => any::<char>().prop_map(String::from),
    ]
}

fn garbage() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::collection::vec(piece(), 0..14).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

/// A well-formed expression.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (0u32..20).prop_map(|n| n.to_string()),
        (0u32..9, 1u32..9).prop_map(|(a, b)| format!("\\frac{{{a}}}{{{b}}}")),
        proptest::sample::select(&["x", "y", "\\pi", "e", "i", "0.25", "\\sqrt{2}"][..])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}+{b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("\\frac{{{a}}}{{{b}}}")),
            (inner.clone(), 0u32..4).prop_map(|(a, n)| format!("({a})^{n}")),
            inner.clone().prop_map(|a| format!("\\sqrt{{{a}}}")),
            inner.clone().prop_map(|a| format!("\\sin({a})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            proptest::collection::vec(inner, 2..4).prop_map(|items| format!("({})", items.join(", "))),
        ]
    })
}

/// A constant expression and its value by plain floating point, which shares no code with ours.
fn constant() -> impl Strategy<Value = (String, f64)> {
    let leaf = prop_oneof![
        (0u32..12).prop_map(|n| (n.to_string(), f64::from(n))),
        (1u32..9, 1u32..9).prop_map(|(a, b)| (format!("\\frac{{{a}}}{{{b}}}"), f64::from(a) / f64::from(b))),
        (2u32..20).prop_map(|n| (format!("\\sqrt{{{n}}}"), f64::from(n).sqrt())),
        (2u32..9).prop_map(|n| (format!("\\ln {n}"), f64::from(n).ln())),
        (1u32..9).prop_map(|n| {
            (format!("\\cos\\frac{{\\pi}}{{{n}}}"), (std::f64::consts::PI / f64::from(n)).cos())
        }),
        Just(("\\pi".to_owned(), std::f64::consts::PI)),
        Just(("e".to_owned(), std::f64::consts::E)),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|((a, x), (b, y))| (format!("({a}+{b})"), x + y)),
            (inner.clone(), inner.clone()).prop_map(|((a, x), (b, y))| (format!("({a}-{b})"), x - y)),
            (inner.clone(), inner.clone()).prop_map(|((a, x), (b, y))| (format!("{a}\\cdot {b}"), x * y)),
            (inner, 2i32..4).prop_map(|((a, x), n)| (format!("({a})^{n}"), x.powi(n))),
        ]
    })
}

/// Reads an answer and checks what it cost.
fn parse(text: &str) -> Answer {
    let mut budget = Budget::default();
    let answer = Answer::parse_within(text, &mut budget);
    assert!(budget.used() <= Budget::STEPS + 1);
    answer
}

fn check_pair(left: &str, right: &str) {
    let (a, b) = (parse(left), parse(right));
    assert!(is_equivalent(&a, &a) && is_equivalent(&a, &parse(left)), "reflexive: {left:?}");
    let mut budget = Budget::default();
    let verdict = compare_within(&a, &b, &mut budget);
    assert!(budget.used() <= Budget::STEPS + 1);
    assert_eq!(verdict, compare(&b, &a), "symmetric: {left:?} | {right:?}");
    let same = verdict.is_same();
    assert!(same || a.canonical_key() != b.canonical_key());
    let classes = equivalence_classes(&[a, b]).of;
    assert_eq!(same, classes[0] == classes[1], "buckets: {left:?} | {right:?}");
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn garbage_is_read_within_the_budget(left in garbage(), right in garbage()) {
        check_pair(&left, &right);
        grade(&left, &right);
    }

    #[test]
    fn expressions_behave(left in expression(), right in expression()) {
        check_pair(&left, &right);
    }

    #[test]
    fn an_expression_equals_itself_in_other_words(text in expression()) {
        let answer = parse(&text);
        if answer.is_text() {
            return Ok(());
        }
        for other in [format!("${text}$"), format!("\\boxed{{{text}}}"), format!(" {text} ."), format!("{{{text}}}")] {
            prop_assert!(is_equivalent(&answer, &parse(&other)), "{} | {}", text, other);
        }
    }

    #[test]
    fn equivalent_constants_have_one_value((left, x) in constant(), (right, y) in constant()) {
        let same = is_equivalent(&parse(&left), &parse(&right));
        let close = (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1e-3);
        prop_assert!(close || !same, "{} = {} | {} = {}", left, x, right, y);
    }

    #[test]
    fn a_shifted_expression_is_another(text in expression()) {
        if text.contains(',') {
            return Ok(()); // a list plus a number is nothing
        }
        let (answer, shifted) = (parse(&text), parse(&format!("{text}+10^{{-18}}")));
        prop_assert!(!is_equivalent(&answer, &shifted), "{}", text);
    }

    #[test]
    fn classes_do_not_depend_on_order(
        texts in proptest::collection::vec(prop_oneof![garbage(), expression(), "[0-9]{1,2}( cm)?"], 1..12),
        seed in any::<u64>(),
    ) {
        let answers: Vec<Answer> = texts.iter().map(|text| parse(text)).collect();
        let classes = equivalence_classes(&answers).of;
        let mut order: Vec<usize> = (0..answers.len()).collect();
        order.sort_by_key(|at| (*at as u64 + 1).wrapping_mul(seed | 1));
        let shuffled: Vec<Answer> = order.iter().map(|at| answers[*at].clone()).collect();
        let others = equivalence_classes(&shuffled).of;
        for (i, at) in order.iter().enumerate() {
            for (j, to) in order.iter().enumerate() {
                prop_assert_eq!(classes[*at] == classes[*to], others[i] == others[j], "{:?}", texts);
                if classes[*at] == classes[*to] {
                    let verdict = compare(&answers[*at], &answers[*to]);
                    prop_assert!(verdict != Verdict::Different, "{:?} | {:?}", texts[*at], texts[*to]);
                }
            }
        }
    }
}
