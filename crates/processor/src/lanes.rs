//! Vectors of eight f32, so that a loop is written once and computes the same bits at every level.

/// Eight numbers that are computed with together.
///
/// Operations are those of IEEE 754, each rounded: no level fuses a multiplication with an addition.
pub(crate) trait Lanes: Copy {
    /// Eight times `x`.
    fn splat(x: f32) -> Self;
    /// Reads eight numbers.
    fn load(from: &[f32; 8]) -> Self;
    /// Writes eight numbers.
    fn store(self, to: &mut [f32; 8]);
    /// `self + other`
    fn add(self, other: Self) -> Self;
    /// `self - other`
    fn sub(self, other: Self) -> Self;
    /// `self * other`
    fn mul(self, other: Self) -> Self;
    /// `self / other`
    fn div(self, other: Self) -> Self;
    /// `if self > other { self } else { other }`, so `other` where one of them is NaN.
    fn max(self, other: Self) -> Self;
    /// `2^n` of `1.5 * 2^23 + n`, by moving `n` into the exponent; `n` in `-126..=127`.
    fn power_of_two(self) -> Self;
}

/// What the compiler makes of arrays.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, combine: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| combine(self.0[lane], other.0[lane])))
    }
}

impl Lanes for Portable {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; 8])
    }
    #[inline(always)]
    fn load(from: &[f32; 8]) -> Self {
        Self(*from)
    }
    #[inline(always)]
    fn store(self, to: &mut [f32; 8]) {
        *to = self.0;
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        Self(self.0.map(|x| f32::from_bits((x.to_bits() << 23).wrapping_add(0x3f80_0000))))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2 {
    //! One register of AVX2. The type is private to loops that [`Level`](crate::Level) runs, after it asked the processor.
    use super::Lanes;
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256);

    macro_rules! operations {
        ($($name:ident $intrinsic:ident)*) => {$(
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                // SAFETY: the loops of this type are only run where the processor has AVX2.
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        )*};
    }

    impl Lanes for Avx2 {
        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_set1_ps(x) })
        }
        #[inline(always)]
        fn load(from: &[f32; 8]) -> Self {
            // SAFETY: as above; eight numbers lie at the reference, and alignment is not asked for.
            Self(unsafe { _mm256_loadu_ps(from.as_ptr()) })
        }
        #[inline(always)]
        fn store(self, to: &mut [f32; 8]) {
            // SAFETY: as above; there is room for eight numbers, and alignment is not asked for.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self.0) }
        }
        operations! { add _mm256_add_ps sub _mm256_sub_ps mul _mm256_mul_ps div _mm256_div_ps max _mm256_max_ps }
        #[inline(always)]
        fn power_of_two(self) -> Self {
            // SAFETY: as above.
            Self(unsafe {
                let shifted = _mm256_slli_epi32::<23>(_mm256_castps_si256(self.0));
                _mm256_castsi256_ps(_mm256_add_epi32(shifted, _mm256_set1_epi32(0x3f80_0000)))
            })
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) mod neon {
    //! Two registers of NEON, which every processor of the target has.
    use super::Lanes;
    use std::arch::aarch64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Neon(float32x4_t, float32x4_t);

    macro_rules! operations {
        ($($name:ident $intrinsic:ident)*) => {$(
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                // SAFETY: every processor of this target has NEON.
                unsafe { Self($intrinsic(self.0, other.0), $intrinsic(self.1, other.1)) }
            }
        )*};
    }

    impl Lanes for Neon {
        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: as above.
            unsafe { Self(vdupq_n_f32(x), vdupq_n_f32(x)) }
        }
        #[inline(always)]
        fn load(from: &[f32; 8]) -> Self {
            // SAFETY: as above; eight numbers lie at the reference.
            unsafe { Self(vld1q_f32(from.as_ptr()), vld1q_f32(from.as_ptr().add(4))) }
        }
        #[inline(always)]
        fn store(self, to: &mut [f32; 8]) {
            // SAFETY: as above; there is room for eight numbers.
            unsafe {
                vst1q_f32(to.as_mut_ptr(), self.0);
                vst1q_f32(to.as_mut_ptr().add(4), self.1);
            }
        }
        operations! { add vaddq_f32 sub vsubq_f32 mul vmulq_f32 div vdivq_f32 }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: as above. Not `vmaxq_f32`, which answers NaN where one of the two is.
            unsafe {
                Self(
                    vbslq_f32(vcgtq_f32(self.0, other.0), self.0, other.0),
                    vbslq_f32(vcgtq_f32(self.1, other.1), self.1, other.1),
                )
            }
        }
        #[inline(always)]
        fn power_of_two(self) -> Self {
            // SAFETY: as above.
            unsafe {
                let one = vdupq_n_u32(0x3f80_0000);
                let part =
                    |x| vreinterpretq_f32_u32(vaddq_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(x)), one));
                Self(part(self.0), part(self.1))
            }
        }
    }
}

#[cfg(target_feature = "simd128")]
pub(crate) mod simd128 {
    //! Two registers of WebAssembly, in modules that are compiled for it.
    use super::Lanes;
    use std::arch::wasm32::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Simd128(v128, v128);

    macro_rules! operations {
        ($($name:ident $intrinsic:ident)*) => {$(
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                Self($intrinsic(self.0, other.0), $intrinsic(self.1, other.1))
            }
        )*};
    }

    impl Lanes for Simd128 {
        #[inline(always)]
        fn splat(x: f32) -> Self {
            Self(f32x4_splat(x), f32x4_splat(x))
        }
        #[inline(always)]
        fn load(from: &[f32; 8]) -> Self {
            // SAFETY: eight numbers lie at the reference, and alignment is not asked for.
            unsafe { Self(v128_load(from.as_ptr().cast()), v128_load(from.as_ptr().add(4).cast())) }
        }
        #[inline(always)]
        fn store(self, to: &mut [f32; 8]) {
            // SAFETY: there is room for eight numbers, and alignment is not asked for.
            unsafe {
                v128_store(to.as_mut_ptr().cast(), self.0);
                v128_store(to.as_mut_ptr().add(4).cast(), self.1);
            }
        }
        operations! { add f32x4_add sub f32x4_sub mul f32x4_mul div f32x4_div }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // `pmax(a, b)` is `if a < b { b } else { a }`.
            Self(f32x4_pmax(other.0, self.0), f32x4_pmax(other.1, self.1))
        }
        #[inline(always)]
        fn power_of_two(self) -> Self {
            let part = |x| i32x4_add(i32x4_shl(x, 23), i32x4_splat(0x3f80_0000));
            Self(part(self.0), part(self.1))
        }
    }
}
