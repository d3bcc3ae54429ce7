//! Threads that share the parts of a forward pass.
//!
//! A pass of one token takes milliseconds and has some 120 steps, after each of which all threads must have finished: to
//! put them to sleep and wake them each time costs more than some of the steps. So they are woken once a pass, look for
//! parts without sleeping until it ends, and sleep between passes. Parts are taken as threads come for them, so a thread
//! that is slowed down by another program holds up no more than the part that it has. One pass at a time has the
//! threads; another one that runs meanwhile computes alone, with the same result. Where threads cannot be started,
//! as in WebAssembly, there are none, and the caller does it all.

use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread::{self, Thread};
use std::time::Duration;

/// Threads of this process, the caller among them.
pub(crate) fn available() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

static BOARD: Board = Board::new();
static SESSION: Mutex<()> = Mutex::new(());
static HELPERS: OnceLock<Vec<Thread>> = OnceLock::new();

/// The threads, for the time of one pass.
pub(crate) struct Team {
    helpers: usize,
    _session: Option<MutexGuard<'static, ()>>,
}

impl Team {
    /// Wakes `threads - 1` helpers, or as many as there are.
    pub(crate) fn gather(threads: usize) -> Self {
        if threads < 2 {
            return Self { helpers: 0, _session: None };
        }
        let session = match SESSION.try_lock() {
            Ok(session) => session,
            // A pass that panicked leaves nothing behind that the next one looks at.
            Err(TryLockError::Poisoned(session)) => session.into_inner(),
            Err(TryLockError::WouldBlock) => return Self { helpers: 0, _session: None },
        };
        let all = HELPERS.get_or_init(start);
        let helpers = all.len().min(threads - 1);
        BOARD.helpers.store(helpers, Ordering::Release);
        for helper in &all[..helpers] {
            helper.unpark();
        }
        Self { helpers, _session: Some(session) }
    }

    /// How many threads take parts.
    pub(crate) fn threads(&self) -> usize {
        self.helpers + 1
    }

    /// Calls `work` with each of `0..parts`, on any thread and in any order, and returns when all have returned.
    pub(crate) fn each<F: Fn(usize) + Sync>(&self, parts: usize, work: F) {
        if self.helpers == 0 || parts < 2 {
            (0..parts).for_each(work);
        } else {
            BOARD.post(parts, &work);
        }
    }

    /// Calls `work` with ranges that make up `0..count`, each of at least `least`.
    pub(crate) fn ranges<F: Fn(Range<usize>) + Sync>(&self, count: usize, least: usize, work: F) {
        let size = count.div_ceil(self.threads() * 4).max(least).max(1);
        self.each(count.div_ceil(size), |part| work(part * size..((part + 1) * size).min(count)));
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        if self.helpers > 0 {
            BOARD.helpers.store(0, Ordering::Release);
        }
    }
}

fn start() -> Vec<Thread> {
    let spawn = |index: usize| {
        let name = format!("forward-{index}");
        let handle = thread::Builder::new().name(name).spawn(move || help(index)).ok()?;
        Some(handle.thread().clone())
    };
    // The first that cannot be started is the end: indices are without gaps.
    (0..available() - 1).map_while(spawn).collect()
}

/// What a helper does until the process ends.
fn help(index: usize) {
    loop {
        let mut idle = 0;
        while index < BOARD.helpers.load(Ordering::Acquire) {
            if BOARD.take() {
                idle = 0;
            } else {
                pause(&mut idle);
            }
        }
        thread::park();
    }
}

/// Waits a moment: some tens of microseconds without sleeping, then in short sleeps. Not by yielding: a thread that yields
/// in a loop is put off by the scheduler for as long as others want its processor, up to hundreds of milliseconds.
fn pause(idle: &mut u32) {
    *idle += 1;
    if *idle < 2048 {
        std::hint::spin_loop();
    } else {
        thread::park_timeout(Duration::from_micros(50));
    }
}

/// In the low half of the state: no part is to be had, and what is posted may be changed.
const CLOSED: u64 = u32::MAX as u64;

/// Where the caller posts work and all threads take parts of it.
struct Board {
    /// How many helpers may take parts; 0 between passes.
    helpers: AtomicUsize,
    /// A count of what was posted in the high half, the next part in the low half.
    state: AtomicU64,
    parts: AtomicUsize,
    /// A `&F`, and [`call::<F>`](call).
    work: AtomicPtr<()>,
    call: AtomicPtr<()>,
    done: AtomicUsize,
    has_panicked: AtomicBool,
}

type Call = unsafe fn(*const (), usize);

/// # Safety
///
/// `work` is a `&F` that lives.
unsafe fn call<F: Fn(usize) + Sync>(work: *const (), part: usize) {
    // SAFETY: the caller's promise.
    let work = unsafe { &*work.cast::<F>() };
    work(part);
}

impl Board {
    const fn new() -> Self {
        Self {
            helpers: AtomicUsize::new(0),
            state: AtomicU64::new(CLOSED),
            parts: AtomicUsize::new(0),
            work: AtomicPtr::new(std::ptr::null_mut()),
            call: AtomicPtr::new(std::ptr::null_mut()),
            done: AtomicUsize::new(0),
            has_panicked: AtomicBool::new(false),
        }
    }

    /// Posts work, takes parts of it, and returns when all are done. Only who holds the session may post.
    fn post<F: Fn(usize) + Sync>(&self, parts: usize, work: &F) {
        // Closed, so nobody takes a part while the fields change, and a part taken by what was read before fails.
        self.done.store(0, Ordering::Relaxed);
        self.has_panicked.store(false, Ordering::Relaxed);
        self.parts.store(parts, Ordering::Relaxed);
        self.work.store(std::ptr::from_ref(work).cast_mut().cast(), Ordering::Relaxed);
        let function: Call = call::<F>;
        self.call.store(function as *mut (), Ordering::Relaxed);
        let count = (self.state.load(Ordering::Relaxed) >> 32).wrapping_add(1) << 32;
        self.state.store(count, Ordering::Release);
        while self.take() {}
        let mut idle = 0;
        while self.done.load(Ordering::Acquire) < parts {
            pause(&mut idle);
        }
        self.state.store(count | CLOSED, Ordering::Release);
        assert!(!self.has_panicked.load(Ordering::Relaxed), "a part of a forward pass panicked, see above");
    }

    /// Takes a part and does it; false where there is none.
    fn take(&self) -> bool {
        let state = self.state.load(Ordering::Acquire);
        let part = (state & CLOSED) as usize;
        if part >= self.parts.load(Ordering::Relaxed) || state & CLOSED == CLOSED {
            return false;
        }
        let work = self.work.load(Ordering::Relaxed);
        let function = self.call.load(Ordering::Relaxed);
        if self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return true; // somebody else had it; there may be more
        }
        // The state was what it had been, so the three fields belong to it.
        let finished = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: `post` stored a `Call` and the work it is for, and does not return before `done` counts this part.
            unsafe {
                let function = std::mem::transmute::<*mut (), Call>(function);
                function(work, part);
            }
        }));
        if finished.is_err() {
            self.has_panicked.store(true, Ordering::Relaxed);
        }
        self.done.fetch_add(1, Ordering::Release);
        true
    }
}

/// A buffer whose parts are written by several threads.
pub(crate) struct Scatter<'a, T> {
    start: *mut T,
    length: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a mutable slice whose users promise (see `part`) not to share an element.
unsafe impl<T: Send> Sync for Scatter<'_, T> {}

impl<'a, T> Scatter<'a, T> {
    pub(crate) fn new(buffer: &'a mut [T]) -> Self {
        Self { start: buffer.as_mut_ptr(), length: buffer.len(), life: PhantomData }
    }

    /// The elements of a range.
    ///
    /// # Safety
    ///
    /// While the answer lives, nobody else holds a part that has an element in common with it.
    #[allow(clippy::mut_from_ref)] // that is the purpose, and the promise above is its price
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part outside the buffer");
        // SAFETY: it lies within the buffer, which is borrowed mutably for `'a`; the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.end - range.start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_done_once() {
        for threads in [1, 2, 5] {
            let team = Team::gather(threads);
            for parts in [0, 1, 2, 3, 100, 1000] {
                let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
                for _ in 0..50 {
                    team.each(parts, |part| {
                        counts[part].fetch_add(1, Ordering::Relaxed);
                    });
                }
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 50), "{threads} {parts}");
            }
        }
    }

    #[test]
    fn a_second_team_works_alone() {
        let first = Team::gather(2);
        let second = thread::spawn(|| {
            let team = Team::gather(2);
            let sum = AtomicUsize::new(0);
            team.each(10, |part| {
                sum.fetch_add(part, Ordering::Relaxed);
            });
            (team.threads(), sum.into_inner())
        });
        let (threads, sum) = second.join().expect("it does not panic");
        // Another test may have had the threads when the first asked.
        assert!(threads == 1 || first.threads() == 1);
        assert_eq!(sum, 45);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_threads_go_on() {
        let fails = || Team::gather(2).each(8, |part| assert_ne!(part, 3, "as the test wants it"));
        assert!(catch_unwind(fails).is_err());
        let sum = AtomicUsize::new(0);
        Team::gather(2).each(10, |part| {
            sum.fetch_add(part, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
    }
}
