//! Sorting: one merge sort for whatever is sorted. The library's sorts are made anew for every type, each of them a larger
//! part of the smallest wasm module than all of this.

use std::cmp::Ordering;

/// The places of `count` things in their order; equal ones stay in theirs.
pub(crate) fn in_order(count: usize, order: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    let mut width = 1;
    while width < count {
        let mut merged = Vec::with_capacity(count);
        for run in places.chunks(2 * width) {
            let (mut left, mut right) = run.split_at(width.min(run.len()));
            while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
                if order(*second, *first).is_lt() {
                    merged.push(*second);
                    right = right_rest;
                } else {
                    merged.push(*first);
                    left = left_rest;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        places = merged;
        width *= 2;
    }
    places
}

/// Things in the order of their places.
pub(crate) fn taken<T: Default>(things: &mut [T], places: &[usize]) -> Vec<T> {
    places.iter().map(|at| std::mem::take(&mut things[*at])).collect()
}

/// Texts in their order.
pub(crate) fn sorted(mut texts: Vec<String>) -> Vec<String> {
    let places = in_order(texts.len(), &|a, b| texts[a].cmp(&texts[b]));
    taken(&mut texts, &places)
}

/// Sorts texts.
pub(crate) fn sort_texts(texts: &mut Vec<String>) {
    *texts = sorted(std::mem::take(texts));
}

/// For each text whether it is the first of those like it.
pub(crate) fn are_first(texts: &[&str]) -> Vec<bool> {
    let mut first = vec![true; texts.len()];
    let places = in_order(texts.len(), &|a, b| texts[a].cmp(texts[b]));
    for pair in places.windows(2) {
        first[pair[1]] = texts[pair[0]] != texts[pair[1]];
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn things_are_sorted_and_equal_ones_stay_in_order(numbers in proptest::collection::vec(0u8..20, 0..80)) {
            let mut expected: Vec<usize> = (0..numbers.len()).collect();
            expected.sort_by_key(|at| numbers[*at]);
            prop_assert_eq!(in_order(numbers.len(), &|a, b| numbers[a].cmp(&numbers[b])), expected);
        }

        #[test]
        fn texts_are_sorted_and_found_first(mut texts in proptest::collection::vec("[ab]{0,2}", 0..20)) {
            let views: Vec<&str> = texts.iter().map(String::as_str).collect();
            let expected: Vec<bool> = (0..views.len()).map(|at| !views[..at].contains(&views[at])).collect();
            prop_assert_eq!(are_first(&views), expected);
            let mut sorted = texts.clone();
            sorted.sort();
            sort_texts(&mut texts);
            prop_assert_eq!(texts, sorted);
        }
    }
}
