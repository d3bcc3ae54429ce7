//! Freed memory kept, for a training process on the CPU.
//!
//! Every step frees and asks for the same large tensors. The GNU C library gives such memory back to the system and fetches
//! it again, page by page, each of which is filled with zeros: a tenth of the time of a small model's step. What is kept
//! here counts as used by the process and is used again by the next step.

/// Tells the allocator to keep what is freed, from now on. On systems without the GNU C library nothing happens.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Of `malloc.h`: how much is kept at the end of the heap, and from which size on memory is mapped by itself.
        const M_TRIM_THRESHOLD: i32 = -1;
        const M_MMAP_THRESHOLD: i32 = -3;
        unsafe extern "C" {
            fn mallopt(param: i32, value: i32) -> i32;
        }
        // SAFETY: the function of the C library that this process runs on, with the type of its header; it sets two numbers
        // under the allocator's own lock. The largest threshold that it takes is 32 MiB; refused, nothing changes.
        unsafe {
            mallopt(M_TRIM_THRESHOLD, 1 << 30);
            mallopt(M_MMAP_THRESHOLD, 32 << 20);
        }
    }
}
