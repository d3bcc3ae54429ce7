//! An allocator that remembers the largest request of a closure and the most it held at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

struct Watched;

fn note(size: usize, change: isize) {
    // While a thread ends its locals may be gone already.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
    let held = HELD.try_with(|held| {
        held.set(held.get() + change);
        held.get()
    });
    let _ = MOST.try_with(|most| most.set(most.get().max(held.unwrap_or(0))));
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), layout.size() as isize);
        // SAFETY: the caller keeps this function's own contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, -(layout.size() as isize));
        // SAFETY: the caller keeps this function's own contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(new_size, new_size as isize - layout.size() as isize);
        // SAFETY: the caller keeps this function's own contract.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static WATCHED: Watched = Watched;

/// What a closure asked for, on its thread.
pub struct Asked {
    /// Bytes of the largest request.
    pub largest: usize,
    /// Bytes held at once, at most.
    pub held: usize,
}

/// What `run` returns and what it asked for.
pub fn watch<T>(run: impl FnOnce() -> T) -> (T, Asked) {
    LARGEST.set(0);
    HELD.set(0);
    MOST.set(0);
    let value = run();
    (value, Asked { largest: LARGEST.get(), held: MOST.get().max(0) as usize })
}
