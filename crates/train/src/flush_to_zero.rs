//! Denormal numbers off, for a training process on the CPU.
//!
//! Where gradients vanish, numbers below 1.2e-38 appear, and a processor takes about a hundred times longer for an
//! operation on them: a backward pass was seen to take 32 s instead of 0.3 s. They are worth nothing here, so the
//! processor is told to take them for zero. The setting belongs to a thread: the calling thread's is set, and those
//! of rayon's pool, where the matrix products run. Threads started later inherit nothing and have to call it too.

/// Takes denormal numbers for zero on this thread and on those of rayon's pool, from now on. On a processor other than
/// x86-64 and AArch64 nothing happens.
pub fn flush_denormals_to_zero() {
    flush_this_thread();
    rayon::broadcast(|_| flush_this_thread());
}

/// The same for the calling thread alone.
pub fn flush_this_thread() {
    #[cfg(target_arch = "x86_64")]
    {
        let mut control: u32 = 0;
        // SAFETY: reads and writes this thread's MXCSR through a valid pointer; only the two bits that flush denormal
        // results (15) and take denormal operands for zero (6) change, which no code here relies on.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &mut control, options(nostack, preserves_flags));
            control |= 1 << 15 | 1 << 6;
            std::arch::asm!("ldmxcsr [{}]", in(reg) &control, options(nostack, preserves_flags));
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        // SAFETY: reads and writes this thread's FPCR; only the bit that flushes denormals (24) changes.
        unsafe {
            let mut control: u64;
            std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack, preserves_flags));
            control |= 1 << 24;
            std::arch::asm!("msr fpcr, {}", in(reg) control, options(nomem, nostack, preserves_flags));
        }
    }
}

#[cfg(test)]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// The product of two small numbers, denormal unless flushed.
    fn product() -> f32 {
        black_box(1e-30_f32) * black_box(1e-10_f32)
    }

    #[test]
    fn denormals_are_zero_on_this_thread_and_in_the_pool() {
        // In a thread of its own, as the setting stays.
        std::thread::spawn(|| {
            assert!(product() > 0.0, "before: a denormal");
            flush_denormals_to_zero();
            assert_eq!(product(), 0.0);
            assert!(rayon::broadcast(|_| product()).iter().all(|product| *product == 0.0));
        })
        .join()
        .unwrap();
    }
}
