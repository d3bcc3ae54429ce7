//! Word problems: drawing one, telling it in words, and reading the words back.

use rand_chacha::rand_core::Rng;

use super::chain::{parse_whole, write_solution};
use super::draw::{pick, within};
use super::plan::derive;

const STEPS: [i64; 2] = [3, 5];
const TERMS: [i64; 2] = [2, 4];

/// How large the numbers of a problem are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Numbers {
    /// Those of the rules: products that are out of a tiny model's reach.
    #[default]
    Standard,
    /// Products of 2..19 x 2..9, numbers of 2..49, totals of 1..199: what a tiny model can learn to solve about half of, so
    /// that it has something to generate. Everything else is as in the rules.
    Small,
}

/// Bounds, both included.
struct Ranges {
    number: [i64; 2],
    count: [i64; 2],
    each: [i64; 2],
    /// Of the running total behind each term.
    total: [i64; 2],
}

impl Numbers {
    fn ranges(self) -> Ranges {
        match self {
            Self::Standard => {
                Ranges { number: [12, 499], count: [12, 199], each: [12, 89], total: [20, 89_999] }
            }
            Self::Small => Ranges { number: [2, 49], count: [2, 19], each: [2, 9], total: [1, 199] },
        }
    }
}

const NAMES: [(&str, &str); 6] =
    [("Ben", "He"), ("Tom", "He"), ("Sam", "He"), ("Ann", "She"), ("Eva", "She"), ("Mia", "She")];
const OBJECTS: [&str; 6] = ["books", "cards", "coins", "eggs", "nuts", "pens"];
const CONTAINERS: [&str; 4] = ["bags", "boxes", "crates", "packs"];
const GAINS: [&str; 3] = ["buys", "finds", "gets"];
const LOSSES: [&str; 3] = ["drops", "loses", "sells"];
const QUESTION: &str = "How many now?";

/// How much a term is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Amount {
    /// So many things.
    Number(i64),
    /// So many containers of so many things each.
    Product(i64, i64),
}

impl Amount {
    /// In things.
    pub fn value(self) -> i64 {
        match self {
            Amount::Number(number) => number,
            Amount::Product(count, each) => count * each,
        }
    }
}

/// What a person has at first, gains or loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Term {
    /// Whether it is lost; never so for the first.
    pub is_minus: bool,
    /// How much.
    pub amount: Amount,
}

/// A word problem and how it is solved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is told, in its order.
    pub terms: Vec<Term>,
    /// The problem in words.
    pub text: String,
    /// The right answer.
    pub answer: i64,
    /// The right chain, as a solver without a mistake writes it.
    pub derivation: String,
}

/// Draws a problem.
pub fn generate_problem<R: Rng + ?Sized>(rng: &mut R, numbers: Numbers) -> Problem {
    let ranges = numbers.ranges();
    let steps = within(rng, STEPS[0], STEPS[1]);
    let terms = loop {
        let terms = draw_terms(rng, steps, &ranges);
        if has_totals_in(&terms, ranges.total) {
            break terms;
        }
    };
    let chain = derive(&terms);
    let answer = chain.last().map_or(0, |step| step.result);
    Problem { text: tell(rng, &terms), answer, derivation: write_solution(&chain), terms }
}

/// Terms that take `steps` steps: one for each product and one for each term behind the first.
fn draw_terms<R: Rng + ?Sized>(rng: &mut R, steps: i64, ranges: &Ranges) -> Vec<Term> {
    let draw = |rng: &mut R, range: [i64; 2]| within(rng, range[0], range[1]);
    let (count, products) = loop {
        let count = within(rng, TERMS[0], TERMS[1]);
        let products = steps - (count - 1);
        if (1..=count).contains(&products) {
            break (count, products);
        }
    };
    let mut products_left = products;
    (0..count)
        .map(|place| {
            // Each choice of places for the products is as likely as any other.
            let is_product = within(rng, 1, count - place) <= products_left;
            products_left -= i64::from(is_product);
            let is_minus = place > 0 && within(rng, 1, 3) == 3;
            let amount = if is_product {
                Amount::Product(draw(rng, ranges.count), draw(rng, ranges.each))
            } else {
                Amount::Number(draw(rng, ranges.number))
            };
            Term { is_minus, amount }
        })
        .collect()
}

fn has_totals_in(terms: &[Term], bounds: [i64; 2]) -> bool {
    let mut total = 0;
    terms.iter().all(|term| {
        total += if term.is_minus { -term.amount.value() } else { term.amount.value() };
        (bounds[0]..=bounds[1]).contains(&total)
    })
}

/// "Ben has 155 packs of 77 books. He buys 95 books. He loses 36 boxes of 50 books. How many now?"
fn tell<R: Rng + ?Sized>(rng: &mut R, terms: &[Term]) -> String {
    let (name, pronoun) = pick(rng, &NAMES);
    let object = pick(rng, &OBJECTS);
    let mut text = String::new();
    for (place, term) in terms.iter().enumerate() {
        let (who, verb) = match (place, term.is_minus) {
            (0, _) => (name, &"has"),
            (_, false) => (pronoun, pick(rng, &GAINS)),
            (_, true) => (pronoun, pick(rng, &LOSSES)),
        };
        let amount = match term.amount {
            Amount::Number(number) => number.to_string(),
            Amount::Product(count, each) => format!("{count} {} of {each}", pick(rng, &CONTAINERS)),
        };
        text.push_str(&format!("{who} {verb} {amount} {object}. "));
    }
    text + QUESTION
}

/// The terms of a problem in words; none for a text that [`generate_problem`] could not have written (the ranges of the
/// numbers aside). Blanks around the text do no harm.
pub fn parse_problem(text: &str) -> Option<Vec<Term>> {
    let told = text.trim().strip_suffix(QUESTION)?.strip_suffix(". ")?;
    let mut sentences = told.split(". ");
    let (name, first, object) = parse_sentence(sentences.next()?, &["has"], &[])?;
    let (_, pronoun) = NAMES.iter().find(|known| known.0 == name)?;
    let mut terms = vec![first];
    for sentence in sentences {
        let (who, term, what) = parse_sentence(sentence, &GAINS, &LOSSES)?;
        if who != *pronoun || what != object || terms.len() as i64 == TERMS[1] {
            return None;
        }
        terms.push(term);
    }
    (terms.len() as i64 >= TERMS[0] && OBJECTS.contains(&object)).then_some(terms)
}

/// Who, the term and the object of "He loses 36 boxes of 50 books".
fn parse_sentence<'a>(sentence: &'a str, plus: &[&str], minus: &[&str]) -> Option<(&'a str, Term, &'a str)> {
    let words: Vec<&str> = sentence.split(' ').take(8).collect();
    let (amount, object) = match words[..] {
        [_, _, number, object] => (Amount::Number(parse_whole(number)?), object),
        [_, _, count, container, "of", each, object] if CONTAINERS.contains(&container) => {
            (Amount::Product(parse_whole(count)?, parse_whole(each)?), object)
        }
        _ => return None,
    };
    let (who, verb) = (words[0], words[1]);
    let is_minus = minus.contains(&verb);
    (is_minus || plus.contains(&verb)).then_some((who, Term { is_minus, amount }, object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::draw::stream;

    #[test]
    fn the_example_is_read() {
        let text =
            "Ben has 155 packs of 77 books. He buys 95 books. He loses 36 boxes of 50 books. How many now?";
        let amounts = [Amount::Product(155, 77), Amount::Number(95), Amount::Product(36, 50)];
        let terms = parse_problem(text).unwrap();
        assert_eq!(terms.iter().map(|term| term.amount).collect::<Vec<_>>(), amounts);
        assert_eq!(terms.iter().map(|term| term.is_minus).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn other_texts_are_not_read() {
        for text in [
            "",
            "How many now?",
            "Ben has 5 books. How many now?",
            "Ben has 50 books. She buys 95 books. How many now?",
            "Ben has 50 books. He buys 95 pens. How many now?",
            "Ben has 50 books. He has 95 books. How many now?",
            "Ben buys 50 books. He buys 95 books. How many now?",
            "Bob has 50 books. He buys 95 books. How many now?",
            "Ben has 50 bikes. He buys 95 bikes. How many now?",
            "Ben has 50 books. He buys 9 tins of 95 books. How many now?",
            "Ben has 50 books. He buys -95 books. How many now?",
            "Ben has 50 books.  He buys 95 books. How many now?",
            "Ben has 50 books. He buys 95 books. He buys 95 books. How many then?",
        ] {
            assert_eq!(parse_problem(text), None, "{text}");
        }
    }

    #[test]
    fn problems_are_in_bounds_and_read_back() {
        let (mut shapes, mut minus, mut signs) = (std::collections::BTreeMap::new(), 0, 0);
        for index in 0..6_000 {
            let problem = generate_problem(&mut stream(3, index), Numbers::Standard);
            let terms = &problem.terms;
            assert_eq!(parse_problem(&problem.text).as_ref(), Some(terms), "{}", problem.text);
            let is_in = |range: [i64; 2], value: i64| (range[0]..=range[1]).contains(&value);
            for term in terms {
                assert!(match term.amount {
                    Amount::Number(number) => is_in([12, 499], number),
                    Amount::Product(count, each) => is_in([12, 199], count) && is_in([12, 89], each),
                });
            }
            assert!(!terms[0].is_minus);
            let mut total = 0;
            for term in terms {
                total += term.amount.value() * if term.is_minus { -1 } else { 1 };
                assert!(is_in([20, 89_999], total), "{}", problem.text);
            }
            assert_eq!(problem.answer, total);
            let steps = derive(terms);
            assert!(steps.iter().all(|step| step.is_right()));
            assert_eq!(problem.derivation, write_solution(&steps));
            assert!(is_in([3, 5], steps.len() as i64) && is_in([2, 4], terms.len() as i64));
            *shapes.entry((steps.len(), terms.len())).or_insert(0) += 1;
            minus += terms.iter().filter(|term| term.is_minus).count();
            signs += terms.len() - 1;
        }
        // Each number of steps as often, and every shape that gives it; minus below a third, because of the totals.
        assert_eq!(
            shapes.keys().copied().collect::<Vec<_>>(),
            [(3, 2), (3, 3), (4, 3), (4, 4), (5, 3), (5, 4)]
        );
        for steps in 3..=5 {
            let count: i32 =
                shapes.iter().filter(|(shape, _)| shape.0 == steps).map(|(_, count)| count).sum();
            assert!((count - 2_000).abs() < 150, "{shapes:?}"); // four standard deviations
        }
        let share = minus as f64 / signs as f64;
        assert!((0.2..0.3).contains(&share), "{share}");
    }

    #[test]
    fn small_problems_have_small_numbers_and_the_same_words() {
        let mut most = 0;
        for index in 0..2_000 {
            let problem = generate_problem(&mut stream(4, index), Numbers::Small);
            assert_eq!(parse_problem(&problem.text).as_ref(), Some(&problem.terms));
            let mut total = 0;
            for term in &problem.terms {
                assert!(match term.amount {
                    Amount::Number(number) => (2..=49).contains(&number),
                    Amount::Product(count, each) => (2..=19).contains(&count) && (2..=9).contains(&each),
                });
                total += term.amount.value() * if term.is_minus { -1 } else { 1 };
                assert!((1..=199).contains(&total), "{}", problem.text);
            }
            let steps = derive(&problem.terms);
            assert!((3..=5).contains(&steps.len()));
            most = most.max(problem.answer);
        }
        assert!(most > 150);
    }
}
