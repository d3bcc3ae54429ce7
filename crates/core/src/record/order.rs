//! Sorting by places. One sort for all types: each that the standard library makes is as large in the wasm
//! module as the rest of what sorts.

use std::cmp::Ordering;

/// The places from 0 to `count` in the order of what stands there; what is equal stays as it was.
pub(crate) fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_unstable_by(|a, b| compare(*a, *b).then(a.cmp(b)));
    places
}

/// The items in such an order.
pub(crate) fn in_order<T: Default>(items: &mut [T], order: &[usize]) -> Vec<T> {
    order.iter().map(|at| std::mem::take(&mut items[*at])).collect()
}

/// Texts in their order.
pub(crate) fn sorted(mut texts: Vec<String>) -> Vec<String> {
    let order = order(texts.len(), &|a, b| texts[a].cmp(&texts[b]));
    in_order(&mut texts, &order)
}
