//! The vote among single values: classes around the value that most others agree with.
//!
//! Whether two values are the same is not transitive where there is a tolerance, a unit that may be left out,
//! or free text. So nothing is chained: a class is one value with those that are the same as *it*. The first
//! class is that of the value which most candidates agree with; the others share what is left. Everything
//! depends on how often each value was given, and nothing on the order of the candidates.

use std::cmp::Ordering;

use serde_json::Value;

use super::scalar::Scalar;
use crate::order::{in_order, taken};

/// Values with a normal form of their own among which sameness beyond equal normal forms is looked for.
const MOST_GROUPS: usize = 256;
/// Equal leaders that are compared by how alike the others are to them.
const MOST_LEADERS: usize = 32;

/// Values that are the same, by one of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Class {
    /// How most wrote it; none: the field is missing.
    pub value: Option<Value>,
    pub votes: usize,
}

/// Values with one normal form.
struct Group<'a> {
    key: String,
    scalar: Option<Scalar>,
    /// The form that most wrote.
    value: Option<&'a Value>,
    of_form: usize,
    count: usize,
}

impl Group<'_> {
    fn similarity(&self, other: &Self) -> f64 {
        match (&self.scalar, &other.scalar) {
            (Some(a), Some(b)) => a.similarity(b),
            _ => 0.0,
        }
    }
}

/// The order of values that have equally many votes: numbers and true or false before texts, these before
/// null, and that before a field that is missing; then the smaller.
pub(super) fn canonical_order(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let rank = |value: Option<&Value>| match value {
        Some(Value::Number(_) | Value::Bool(_)) => 0,
        // A date in the form of ISO before others.
        Some(Value::String(text)) if text.get(4..5) == Some("-") => 1,
        Some(Value::String(_)) => 2,
        Some(Value::Object(_) | Value::Array(_)) => 3,
        Some(Value::Null) => 4,
        None => 5,
    };
    let float = |value: Option<&Value>| value.and_then(Value::as_f64);
    let text = |value: Option<&Value>| value.map(super::similar::exact_text);
    rank(a)
        .cmp(&rank(b))
        .then_with(|| match (float(a), float(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => Ordering::Equal,
        })
        .then_with(|| text(a).cmp(&text(b)))
}

/// The classes of some values, none of them a container: the winner, then the others by their votes.
pub(super) fn classes(values: &[Option<&Value>], tolerance: f64) -> Vec<Class> {
    let groups = groups(values);
    let near = |a: &Group, b: &Group| match (&a.scalar, &b.scalar) {
        _ if a.key == b.key => true,
        (Some(a), Some(b)) if groups.len() <= MOST_GROUPS => a.is_near(b, tolerance),
        _ => false,
    };
    let support: Vec<usize> = groups
        .iter()
        .map(|group| match groups.len() <= MOST_GROUPS {
            true => groups.iter().filter(|other| near(group, other)).map(|other| other.count).sum(),
            false => group.count,
        })
        .collect();
    let by_votes =
        |a: usize, b: usize| support[b].cmp(&support[a]).then_with(|| groups[b].count.cmp(&groups[a].count));
    let mut leaders = in_order(groups.len(), &|a, b| {
        by_votes(a, b).then_with(|| canonical_order(groups[a].value, groups[b].value))
    });
    // Among equals the one that the others are most like: the medoid.
    let equal = leaders.iter().take_while(|at| by_votes(**at, leaders[0]).is_eq()).count();
    if (2..=MOST_LEADERS).contains(&equal) && groups.len() <= MOST_GROUPS {
        let likeness = |at: &usize| -> f64 {
            groups.iter().map(|other| other.count as f64 * groups[*at].similarity(other)).sum()
        };
        let likenesses: Vec<f64> = leaders[..equal].iter().map(likeness).collect();
        let mut best = 0;
        for at in 1..equal {
            // Sums in another order differ by rounding; only what is more than that counts.
            if likenesses[at] > likenesses[best] + 1e-9 {
                best = at;
            }
        }
        leaders[..=best].rotate_right(1);
    }
    let mut taken = vec![false; groups.len()];
    let mut classes = Vec::new();
    for at in leaders {
        if taken[at] {
            continue;
        }
        let mut votes = 0;
        if groups.len() <= MOST_GROUPS {
            for (other, taken) in taken.iter_mut().enumerate() {
                if !*taken && near(&groups[at], &groups[other]) {
                    *taken = true;
                    votes += groups[other].count;
                }
            }
        } else {
            votes = groups[at].count;
        }
        classes.push(Class { value: groups[at].value.cloned(), votes });
    }
    // The winner is first whatever the others are left with.
    let winners = classes.len().min(1);
    let others = by_votes_of(classes.split_off(winners));
    classes.extend(others);
    classes
}

/// Classes by their votes, more first; equal ones stay as they stand.
pub(super) fn by_votes_of(mut classes: Vec<Class>) -> Vec<Class> {
    let order = in_order(classes.len(), &|a, b| classes[b].votes.cmp(&classes[a].votes));
    taken(&mut classes, &order)
}

/// The values by their normal forms.
fn groups<'a>(values: &[Option<&'a Value>]) -> Vec<Group<'a>> {
    let keyed: Vec<(String, String, Option<Scalar>)> = values
        .iter()
        .map(|value| {
            let scalar = value.and_then(Scalar::of);
            let key = scalar.as_ref().map_or_else(String::new, Scalar::key);
            (key, value.map_or_else(String::new, super::similar::exact_text), scalar)
        })
        .collect();
    let texts = |at: usize| (&keyed[at].0, &keyed[at].1);
    let order = in_order(keyed.len(), &|a, b| texts(a).cmp(&texts(b)));
    let mut groups: Vec<Group> = Vec::new();
    for same in order.chunk_by(|a, b| texts(*a) == texts(*b)) {
        let (key, _, scalar) = &keyed[same[0]];
        let value = &values[same[0]];
        if groups.last().is_none_or(|group| group.key != *key) {
            groups.push(Group {
                key: key.clone(),
                scalar: scalar.clone(),
                value: *value,
                of_form: 0,
                count: 0,
            });
        }
        if let Some(group) = groups.last_mut() {
            group.count += same.len();
            let order = group.of_form.cmp(&same.len()).reverse();
            if order.then_with(|| canonical_order(group.value, *value)).is_gt() || group.of_form == 0 {
                group.value = *value;
                group.of_form = same.len();
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vote(values: &[Value], tolerance: f64) -> Vec<(Value, usize)> {
        let values: Vec<Option<&Value>> = values.iter().map(Some).collect();
        classes(&values, tolerance).into_iter().map(|class| (class.value.unwrap(), class.votes)).collect()
    }

    #[test]
    fn the_form_that_most_wrote_is_shown() {
        let values =
            [json!("Approved"), json!("approved"), json!("approved."), json!("approved"), json!("no")];
        assert_eq!(vote(&values, 0.0), [(json!("approved"), 4), (json!("no"), 1)]);
        assert_eq!(vote(&[json!("12"), json!(12), json!("$12")], 0.0), [(json!(12), 3)]);
    }

    #[test]
    fn a_tolerance_chains_nothing() {
        let values = [json!(100), json!(109), json!(118), json!(127)];
        assert_eq!(vote(&values, 0.1), [(json!(109), 3), (json!(127), 1)]);
    }

    #[test]
    fn among_equals_the_medoid_and_then_the_smaller() {
        let values = [json!("Jon Smith"), json!("John Smith"), json!("John Smyth"), json!("Mary")];
        assert_eq!(vote(&values, 0.0)[0], (json!("John Smith"), 1));
        assert_eq!(vote(&[json!(10), json!(9)], 0.0)[0], (json!(9), 1));
        let missing = classes(&[None, Some(&json!(null)), Some(&json!("x"))], 0.0);
        let values: Vec<_> = missing.into_iter().map(|class| class.value).collect();
        assert_eq!(values, [Some(json!("x")), Some(json!(null)), None]);
    }

    #[test]
    fn many_values_are_counted_in_time() {
        let values: Vec<Value> = (0..10_000).map(|n| json!(n / 2 + n / 9_999)).collect();
        let classes = vote(&values, 0.0);
        assert_eq!((classes.len(), classes[0].1), (5_001, 2));
    }
}
