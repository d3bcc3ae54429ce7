//! Which instructions the loops are compiled for, found out at run time.
//!
//! All levels give the same bits: sums are taken in the same order, multiplications and additions are never fused, and
//! sums of integers are exact.

use crate::lanes::{Lanes, Portable};

/// A set of vector instructions that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(pub(crate) Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_feature = "simd128")]
    Simd128,
}

impl Level {
    /// Plain Rust, as the compiler makes it for every processor of the target.
    pub fn scalar() -> Self {
        Self(Kind::Scalar)
    }

    /// The fastest level of this processor.
    pub fn best() -> Self {
        Self::all().last().copied().unwrap_or(Self::scalar())
    }

    /// The level of this name, where this processor has it: `scalar`, `avx2`, `neon`, `simd128`.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|level| level.name() == name)
    }

    /// All levels of this processor, the fastest last.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self(Kind::Scalar)];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") {
            all.push(Self(Kind::Avx2));
        }
        // Every processor of these two targets has it.
        #[cfg(target_arch = "aarch64")]
        all.push(Self(Kind::Neon));
        #[cfg(target_feature = "simd128")]
        all.push(Self(Kind::Simd128));
        all.sort_by_key(|level| level.0 != Kind::Scalar);
        all
    }

    /// Its name for [`named`](Self::named).
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            #[cfg(target_feature = "simd128")]
            Kind::Simd128 => "simd128",
        }
    }

    /// Runs loops compiled for this level.
    #[inline]
    pub(crate) fn run<L: Loops>(self, loops: L) -> L::Output {
        match self.0 {
            Kind::Scalar => loops.run::<Portable>(),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => {
                // SAFETY: a level is only made by `all`, which asked the processor for AVX2 and F16C.
                unsafe { avx2(loops) }
            }
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => loops.run::<crate::lanes::neon::Neon>(),
            #[cfg(target_feature = "simd128")]
            Kind::Simd128 => loops.run::<crate::lanes::simd128::Simd128>(),
        }
    }
}

/// Loops over vectors of eight, written once for all levels.
pub(crate) trait Loops {
    /// What they find.
    type Output;
    /// Runs them; `#[inline(always)]`, so that they are compiled for the level that asks.
    fn run<V: Lanes>(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c")]
fn avx2<L: Loops>(loops: L) -> L::Output {
    loops.run::<crate::lanes::avx2::Avx2>()
}
