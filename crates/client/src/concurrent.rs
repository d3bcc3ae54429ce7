//! Several futures in one task: the first of two, and many with a limit. No executor, no threads, so that it is the same
//! in a browser.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

/// Which of two came first.
pub(crate) enum First<A, B> {
    A(A),
    B(B),
}

/// The first of two to be ready; the other is dropped. `a` wins a tie.
pub(crate) async fn first<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> First<A, B> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|context| {
        if let Poll::Ready(value) = a.as_mut().poll(context) {
            return Poll::Ready(First::A(value));
        }
        b.as_mut().poll(context).map(First::B)
    })
    .await
}

/// Runs `make(0)` to `make(count - 1)`, at most `limit` (at least one) at a time, started in this order.
///
/// All that run are polled when one is woken: they are few, and mostly wait for a network.
pub(crate) async fn run_all<F: Future<Output = ()>>(count: usize, limit: usize, make: impl Fn(usize) -> F) {
    let mut waiting = 0..count;
    let mut running: Vec<Pin<Box<F>>> = Vec::new();
    poll_fn(|context| {
        loop {
            let room = limit.max(1).saturating_sub(running.len());
            running.extend(waiting.by_ref().take(room).map(|index| Box::pin(make(index))));
            if running.is_empty() {
                return Poll::Ready(());
            }
            let before = running.len();
            running.retain_mut(|future| future.as_mut().poll(context).is_pending());
            if running.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::task::{Context, Waker};

    /// Pending `polls` times, waking itself.
    async fn ready_after(polls: usize) {
        let mut left = polls;
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..10_000 {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
        }
        panic!("it never ends");
    }

    #[test]
    fn the_first_wins() {
        assert!(matches!(run(first(ready_after(2), ready_after(1))), First::B(())));
        assert!(matches!(run(first(ready_after(1), ready_after(1))), First::A(())));
    }

    #[test]
    fn a_limit_holds_and_all_are_run() {
        for (count, limit) in [(0, 3), (1, 0), (7, 1), (20, 3), (2, 8)] {
            let (now, most, done) = (Cell::new(0), Cell::new(0), RefCell::new(Vec::new()));
            let (now_, most_, done_) = (&now, &most, &done);
            run(run_all(count, limit, |index| async move {
                now_.set(now_.get() + 1);
                most_.set(most_.get().max(now_.get()));
                ready_after(1 + index % 4).await;
                now_.set(now_.get() - 1);
                done_.borrow_mut().push(index);
            }));
            assert_eq!(most.get(), limit.max(1).min(count), "{count} {limit}");
            done.borrow_mut().sort_unstable();
            assert_eq!(*done.borrow(), (0..count).collect::<Vec<_>>());
        }
    }
}
