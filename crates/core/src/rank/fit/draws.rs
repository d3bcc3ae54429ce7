//! Draws of candidates from labelled sets: the same for the same problem, whatever else is in the file.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Example, cluster};
use crate::cluster::Cluster;

/// Some candidates of a set, with their classes.
pub(super) struct Draw {
    /// Which, in the order drawn.
    pub chosen: Vec<usize>,
    /// Their classes, larger first, ties by the earliest; candidates are places in `chosen`.
    pub clusters: Vec<Cluster>,
    /// For each of these the class of the whole set that it is of.
    pub classes: Vec<usize>,
}

impl Draw {
    /// The draw `number` of `size` candidates; none where the set has fewer, or has so many and was drawn already.
    pub(super) fn of(example: &Example, size: usize, number: usize) -> Option<Self> {
        let all = example.looks.len();
        if size > all || size == all && number > 0 {
            return None;
        }
        let seed = example.problem ^ (size as u64).rotate_left(40) ^ (number as u64).rotate_left(52);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut places: Vec<usize> = (0..all).collect();
        for at in 0..size {
            let other = at + random.random_range(0..(all - at) as u64) as usize;
            places.swap(at, other);
        }
        places.truncate(size);
        // Which answers are equal does not depend on who else is there, so classes are those of the whole set.
        let mut found: Vec<(usize, Vec<usize>)> = Vec::new();
        for (at, candidate) in places.iter().enumerate() {
            let Some(class) = example.classes.iter().position(|class| class.contains(candidate)) else {
                continue;
            };
            match found.iter_mut().find(|(known, _)| *known == class) {
                Some((_, members)) => members.push(at),
                None => found.push((class, vec![at])),
            }
        }
        found.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
        let (classes, members): (Vec<usize>, Vec<Vec<usize>>) = found.into_iter().unzip();
        Some(Self { chosen: places, clusters: members.into_iter().map(cluster).collect(), classes })
    }

    /// The voters of the candidates drawn.
    pub(super) fn voters(&self, example: &Example) -> Vec<Option<String>> {
        self.chosen.iter().map(|candidate| example.voters[*candidate].clone()).collect()
    }
}
