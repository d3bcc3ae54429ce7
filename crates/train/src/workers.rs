//! Parts of a step computed side by side.
//!
//! On a CPU most operations between two matrix products use one core, so a batch is cut into as many parts as there are
//! workers, and each goes forward and backward on a thread of its own, whose matrix products stay on that thread. The parts'
//! gradients are added in the order of the parts, so the result depends on the number of workers alone. On a GPU there is
//! one worker, which is the calling thread.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Result, TrainError};
use crate::flush_to_zero::flush_this_thread;

/// Tokens of a part, about: what is computed of them fits a core's cache, which is worth a tenth of the time.
const PART_TOKENS: usize = 1024;

/// Threads that compute.
#[derive(Debug)]
pub struct Workers(Vec<rayon::ThreadPool>);

impl Workers {
    /// So many workers; 0 and 1 are the calling thread with all that the tensor library does by itself.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn new(count: usize) -> Result<Self> {
        let count = if count <= 1 { 0 } else { count };
        let pool = |_| {
            let builder = rayon::ThreadPoolBuilder::new().num_threads(1);
            builder.start_handler(|_| flush_this_thread()).build()
        };
        let pools: Result<Vec<_>, _> = (0..count).map(pool).collect();
        let refused =
            |error| TrainError::Config(format!("cannot start {count} threads (`train.threads`): {error}"));
        pools.map(Self).map_err(refused)
    }

    /// How many parts are computed at once.
    pub fn count(&self) -> usize {
        self.0.len().max(1)
    }

    /// In how many parts a batch of so many tokens is computed: one for the calling thread alone, which may be a GPU's, else
    /// as many for each worker.
    pub fn parts(&self, tokens: usize) -> usize {
        match self.count() {
            1 => 1,
            count => count * tokens.div_ceil(count * PART_TOKENS).max(1),
        }
    }

    /// `work` on every item, and `take` with each result, in the order of the items. No more results are held at once than
    /// there are workers: gradients are as large as the model.
    ///
    /// # Errors
    /// The first of `take`.
    pub fn fold<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> R + Sync,
        mut take: impl FnMut(R) -> Result<()>,
    ) -> Result<()> {
        for round in items.chunks(self.count()) {
            for result in self.map(round, &work) {
                take(result)?;
            }
        }
        Ok(())
    }

    /// `work` on every item; results in the order of the items, whichever worker took which.
    pub fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
        if self.0.is_empty() || items.len() == 1 {
            return items.iter().map(work).collect();
        }
        let (next, work) = (&AtomicUsize::new(0), &work);
        let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
            let workers: Vec<_> = self
                .0
                .iter()
                .map(|pool| {
                    scope.spawn(move || {
                        pool.install(|| {
                            let mut done = Vec::new();
                            loop {
                                let index = next.fetch_add(1, Ordering::Relaxed);
                                let Some(item) = items.get(index) else { return done };
                                done.push((index, work(item)));
                            }
                        })
                    })
                })
                .collect();
            let joined = workers.into_iter().flat_map(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.collect()
        });
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        for count in [0, 1, 2, 5] {
            let workers = Workers::new(count).unwrap();
            assert_eq!(workers.count(), count.max(1));
            let squares = workers.map(&items, |item| {
                std::thread::sleep(std::time::Duration::from_micros(100 - item));
                item * item
            });
            assert_eq!(squares, items.iter().map(|item| item * item).collect::<Vec<_>>());
        }
        assert!(Workers::new(3).unwrap().map(&[] as &[u64], |item| *item).is_empty());
    }

    #[test]
    fn a_batch_has_as_many_parts_for_each_worker() {
        let parts = |count, tokens| Workers::new(count).unwrap().parts(tokens);
        assert_eq!([parts(0, 100_000), parts(1, 100_000)], [1, 1]);
        assert_eq!([parts(2, 10), parts(2, 2048), parts(2, 2049), parts(2, 4096)], [2, 2, 4, 4]);
        assert_eq!(parts(3, 4096), 6);
    }

    #[test]
    fn a_fold_holds_no_more_results_than_there_are_workers() {
        use std::sync::Arc;
        for count in [1, 2, 3] {
            let (workers, result) = (Workers::new(count).unwrap(), Arc::new(()));
            let (mut taken, mut most) = (Vec::new(), 0);
            let items: Vec<usize> = (0..10).collect();
            let work = |item: &usize| (*item, Arc::clone(&result));
            workers
                .fold(&items, work, |(item, held)| {
                    most = most.max(Arc::strong_count(&held) - 1);
                    taken.push(item);
                    Ok(())
                })
                .unwrap();
            assert_eq!((taken, most), (items.clone(), count));
            let stops = |_| Err(TrainError::Data("enough".to_owned()));
            assert!(workers.fold(&items, work, stops).is_err());
        }
    }

    #[test]
    fn matrix_products_of_a_worker_stay_on_its_thread() {
        let threads = Workers::new(2).unwrap().map(&[0, 1, 2], |_| rayon::current_num_threads());
        assert_eq!(threads, [1, 1, 1]);
    }
}
