//! Which elements of several lists are the same element.
//!
//! Equal elements are, in their order. What is left is assigned by the Hungarian method, so that the pairs
//! are as alike as they can be together, and only pairs that are alike enough. The lists are taken one after
//! the other, so the caller puts them in an order that does not depend on that of the candidates.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;
use serde_json::Value;

use super::similar::{normal_text, similarity};
use crate::order::in_order;

/// Less alike elements are two.
const LEAST_LIKENESS: f64 = 0.6;
/// Elements of a list, and slots, that are assigned by likeness; more are matched where they are equal only.
const MOST_ASSIGNED: usize = 48;

/// One element, as the lists have it.
pub(super) struct Slot<'a> {
    /// The list and the place in it; at most one for each list.
    pub members: Vec<(usize, usize)>,
    /// The normal forms of the members, each once.
    forms: Vec<String>,
    first: &'a Value,
}

/// The elements of all lists.
pub(super) fn slots<'a>(lists: &[&'a [Value]]) -> Vec<Slot<'a>> {
    let mut slots: Vec<Slot<'a>> = Vec::new();
    for (list, items) in lists.iter().enumerate() {
        let forms: Vec<String> = items.iter().map(normal_text).collect();
        let mut of_item: Vec<Option<usize>> = vec![None; items.len()];
        let mut is_taken = vec![false; slots.len()];
        match_equal(&forms, &slots, &mut of_item, &mut is_taken);
        let items_left: Vec<usize> = (0..items.len()).filter(|item| of_item[*item].is_none()).collect();
        let slots_left: Vec<usize> = (0..slots.len()).filter(|slot| !is_taken[*slot]).collect();
        for (item, slot) in assigned(items, &items_left, &slots, &slots_left) {
            of_item[item] = Some(slot);
        }
        for (item, form) in forms.into_iter().enumerate() {
            match of_item[item] {
                Some(slot) => {
                    let slot = &mut slots[slot];
                    slot.members.push((list, item));
                    if !slot.forms.contains(&form) {
                        slot.forms.push(form);
                    }
                }
                None => {
                    slots.push(Slot { members: vec![(list, item)], forms: vec![form], first: &items[item] });
                }
            }
        }
    }
    slots
}

/// Gives each item the first free slot that has its form.
fn match_equal(forms: &[String], slots: &[Slot], of_item: &mut [Option<usize>], is_taken: &mut [bool]) {
    let known: Vec<(&str, usize)> = slots
        .iter()
        .enumerate()
        .flat_map(|(at, slot)| slot.forms.iter().map(move |form| (form.as_str(), at)))
        .collect();
    let of_known = in_order(known.len(), &|a, b| known[a].cmp(&known[b]));
    let of_forms = in_order(forms.len(), &|a, b| forms[a].cmp(&forms[b]));
    // Both are sorted by form and then by place, so one pass does.
    let mut next = 0;
    for item in of_forms {
        let form = forms[item].as_str();
        let at = |next: usize| of_known.get(next).map(|at| known[*at]);
        while at(next).is_some_and(|(of, slot)| of < form || of == form && is_taken[slot]) {
            next += 1;
        }
        if let Some((of, slot)) = at(next)
            && of == form
        {
            is_taken[slot] = true;
            of_item[item] = Some(slot);
        }
    }
}

/// The pairs of items and slots that are most alike together.
fn assigned(items: &[Value], left: &[usize], slots: &[Slot], free: &[usize]) -> Vec<(usize, usize)> {
    if left.is_empty() || free.is_empty() || left.len() > MOST_ASSIGNED || free.len() > MOST_ASSIGNED {
        return Vec::new();
    }
    // The method wants at least as many columns as rows: missing columns are like nothing.
    let columns = free.len().max(left.len());
    let mut weights = Matrix::new(left.len(), columns, 0i32);
    for (row, item) in left.iter().enumerate() {
        for (column, slot) in free.iter().enumerate() {
            let likeness = similarity(&items[*item], slots[*slot].first);
            if likeness >= LEAST_LIKENESS {
                weights[(row, column)] = (likeness * 1_000_000.0) as i32;
            }
        }
    }
    let (_, columns) = kuhn_munkres(&weights);
    let pairs = columns.into_iter().enumerate();
    pairs
        .filter(|(row, column)| weights[(*row, *column)] > 0)
        .map(|(row, column)| (left[row], free[column]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn aligned(lists: &[Value]) -> Vec<Vec<(usize, usize)>> {
        let lists: Vec<&[Value]> =
            lists.iter().filter_map(|list| list.as_array().map(Vec::as_slice)).collect();
        slots(&lists).into_iter().map(|slot| slot.members).collect()
    }

    #[test]
    fn elements_are_found_in_any_order() {
        let slots = aligned(&[json!(["a", "b", "b"]), json!(["B", "c", "A"])]);
        assert_eq!(slots, [vec![(0, 0), (1, 2)], vec![(0, 1), (1, 0)], vec![(0, 2)], vec![(1, 1)]]);
    }

    #[test]
    fn like_elements_are_one_and_others_are_not() {
        let slots = aligned(&[
            json!([{"name": "Apple juice", "price": 2}, {"name": "Bread", "price": 3}]),
            json!([{"name": "Bread", "price": 4}, {"name": "Apple juice 1L", "price": 2}]),
            json!([{"name": "Cheese", "price": 3}]),
        ]);
        assert_eq!(slots, [vec![(0, 0), (1, 1)], vec![(0, 1), (1, 0)], vec![(2, 0)]]);
        assert_eq!(aligned(&[json!(["Item 1"]), json!(["Item 2"])]).len(), 2);
    }

    #[test]
    fn long_lists_are_matched_where_they_are_equal() {
        let numbers = |start: usize| -> Value { (start..start + 20_000).collect() };
        assert_eq!(aligned(&[numbers(0), numbers(10_000)]).len(), 30_000);
    }
}
