//! Which candidates are shown where not all can be.

use crate::cluster::Cluster;

/// Candidates of a class that are shown before others of a smaller class are.
const OF_A_CLASS: usize = 2;

/// The candidates to show of `num_candidates`, at most `most`, in their order: up to two of each class, the largest classes first; then
/// more of the classes, the largest first; then those that are in no class, because they have no answer. So a model sees what speaks
/// against the first class, however many candidates say the same.
pub fn choose_by_class(clusters: &[Cluster], num_candidates: usize, most: usize) -> Vec<usize> {
    let mut is_in_class = vec![false; num_candidates];
    let mut is_chosen = vec![false; num_candidates];
    let first = clusters.iter().flat_map(|cluster| cluster.candidates.iter().take(OF_A_CLASS));
    let more = clusters.iter().flat_map(|cluster| cluster.candidates.iter().skip(OF_A_CLASS));
    for (place, &candidate) in first.chain(more).filter(|&&candidate| candidate < num_candidates).enumerate()
    {
        is_in_class[candidate] = true;
        is_chosen[candidate] = place < most;
    }
    let chosen = is_chosen.iter().filter(|&&is_chosen| is_chosen).count();
    let silent = (0..num_candidates).filter(|&candidate| !is_in_class[candidate]);
    silent.take(most - chosen).for_each(|candidate| is_chosen[candidate] = true);
    (0..num_candidates).filter(|&candidate| is_chosen[candidate]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::cluster_readings;
    use crate::reader::{NoAnswer, Reading, Tier};

    /// The classes of candidates with these answers; 0 is none.
    fn classes(answers: &[u8]) -> Vec<Cluster> {
        let reading = |answer: &u8| match answer {
            0 => Reading::none(NoAnswer::NotFound),
            _ => Reading::found(answer.to_string(), Tier::Boxed),
        };
        cluster_readings(&answers.iter().map(reading).collect::<Vec<_>>())
    }

    #[test]
    fn two_of_each_class_then_the_largest_then_the_silent() {
        let cases: [(&[u8], usize, &[usize]); 7] = [
            (&[7, 7, 7, 7, 8, 8, 9, 0], 5, &[0, 1, 4, 5, 6]),
            (&[7, 7, 7, 7, 8, 8, 9, 0], 6, &[0, 1, 2, 4, 5, 6]),
            (&[0, 7, 7, 7, 7, 8], 5, &[1, 2, 3, 4, 5]),
            (&[0, 0, 7, 0, 8], 4, &[0, 1, 2, 4]),
            // Of two classes of one size the earlier.
            (&[9, 8, 7, 7], 3, &[0, 2, 3]),
            (&[7, 8], 5, &[0, 1]),
            (&[7, 7, 8], 0, &[]),
        ];
        for (answers, most, expected) in cases {
            assert_eq!(
                choose_by_class(&classes(answers), answers.len(), most),
                expected,
                "{answers:?}, {most}"
            );
        }
        // Classes of another set do no harm.
        assert_eq!(choose_by_class(&classes(&[7, 7, 8]), 1, 2), [0]);
    }

    proptest! {
        #[test]
        fn a_choice_is_full_ordered_and_fair(answers in proptest::collection::vec(0u8..6, 0..40), most in 0usize..50) {
            let clusters = classes(&answers);
            let chosen = choose_by_class(&clusters, answers.len(), most);
            prop_assert_eq!(chosen.len(), most.min(answers.len()));
            prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");
            prop_assert!(chosen.iter().all(|&candidate| candidate < answers.len()));
            let shown = |cluster: &Cluster| cluster.candidates.iter().filter(|one| chosen.contains(one)).count();
            for (cluster, smaller) in clusters.iter().zip(clusters.iter().skip(1)) {
                // The larger class has its two before the smaller has any, and the smaller its two before the larger has three.
                let (larger, smaller_shown) = (shown(cluster), shown(smaller));
                prop_assert!(smaller_shown == 0 || larger >= cluster.candidates.len().min(OF_A_CLASS));
                prop_assert!(larger <= OF_A_CLASS || smaller_shown >= smaller.candidates.len().min(OF_A_CLASS));
            }
            let silent = chosen.iter().filter(|&&candidate| answers[candidate] == 0).count();
            let answered = answers.iter().filter(|&&answer| answer != 0).count();
            prop_assert_eq!(silent, most.min(answers.len()).saturating_sub(answered), "the silent come last");
        }
    }
}
