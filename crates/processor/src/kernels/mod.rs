//! Products of eight rows of a matrix by a few vectors, for each level.
//!
//! A vector's result does not depend on how many are computed together, nor on the level: integer sums over a group of 32
//! columns are exact, and groups are added in their order, in f32.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(target_feature = "simd128")]
mod simd128;

use crate::elementwise::{GROUP, Group};
use crate::int4::{Int4Block, ROWS};
use crate::int8::Int8Block;
use crate::lanes::Lanes;
use crate::level::{Kind, Level, Loops};
use crate::matrix::Block;

#[cfg(test)]
mod tests;

/// What vectors are multiplied.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub columns: usize,
    /// `[tokens, columns]`
    pub floats: &'a [f32],
    /// `[tokens, columns / 32]`; empty where nothing is rounded.
    pub groups: &'a [Group],
}

/// The products of eight rows by the `R` vectors from `first` on.
#[inline]
pub(crate) fn tile<const R: usize>(
    level: Level,
    block: Block<'_>,
    inputs: &Inputs<'_>,
    first: usize,
) -> [[f32; ROWS]; R] {
    let groups = inputs.columns / GROUP;
    let rounded = || std::array::from_fn(|r| &inputs.groups[(first + r) * groups..][..groups]);
    match block {
        Block::Int4(blocks, scales) => int4(level, blocks, scales, rounded()),
        Block::Int8(blocks, scales) => int8(level, blocks, scales, rounded()),
        Block::F32(panel) => {
            let columns = inputs.columns;
            let vectors = std::array::from_fn(|r| &inputs.floats[(first + r) * columns..][..columns]);
            level.run(Panel { panel, vectors })
        }
    }
}

fn int4<const R: usize>(
    level: Level,
    blocks: &[Int4Block],
    scales: &[[u16; ROWS]],
    vectors: [&[Group]; R],
) -> [[f32; ROWS]; R] {
    match level.0 {
        Kind::Scalar => scalar::int4(blocks, scales, vectors),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => {
            // SAFETY: the level was asked of the processor when it was made.
            unsafe { avx2::int4(blocks, scales, vectors) }
        }
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => {
            // SAFETY: every processor of this target has NEON.
            unsafe { neon::int4(blocks, scales, vectors) }
        }
        #[cfg(target_feature = "simd128")]
        Kind::Simd128 => simd128::int4(blocks, scales, vectors),
    }
}

fn int8<const R: usize>(
    level: Level,
    blocks: &[Int8Block],
    scales: &[f32; ROWS],
    vectors: [&[Group]; R],
) -> [[f32; ROWS]; R] {
    match level.0 {
        Kind::Scalar => scalar::int8(blocks, scales, vectors),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => {
            // SAFETY: the level was asked of the processor when it was made.
            unsafe { avx2::int8(blocks, scales, vectors) }
        }
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => {
            // SAFETY: every processor of this target has NEON.
            unsafe { neon::int8(blocks, scales, vectors) }
        }
        #[cfg(target_feature = "simd128")]
        Kind::Simd128 => simd128::int8(blocks, scales, vectors),
    }
}

/// f32 by f32: sums of 32 columns, added in their order.
struct Panel<'a, const R: usize> {
    panel: &'a [[f32; ROWS]],
    vectors: [&'a [f32]; R],
}

impl<const R: usize> Loops for Panel<'_, R> {
    type Output = [[f32; ROWS]; R];

    #[inline(always)]
    fn run<V: Lanes>(self) -> Self::Output {
        let mut total = [V::splat(0.0); R];
        let (panels, rest) = self.panel.as_chunks::<GROUP>();
        for (index, panel) in panels.iter().enumerate() {
            // Arrays, so that nothing is checked for each column.
            let vectors: [&[f32; GROUP]; R] =
                std::array::from_fn(|r| &self.vectors[r].as_chunks::<GROUP>().0[index]);
            let mut sum = [V::splat(0.0); R];
            for column in 0..GROUP {
                let weights = V::load(&panel[column]);
                for r in 0..R {
                    sum[r] = sum[r].add(weights.mul(V::splat(vectors[r][column])));
                }
            }
            for r in 0..R {
                total[r] = total[r].add(sum[r]);
            }
        }
        let mut out = [[0.0; ROWS]; R];
        for r in 0..R {
            let mut sum = V::splat(0.0);
            for (weights, x) in rest.iter().zip(&self.vectors[r][panels.len() * GROUP..]) {
                sum = sum.add(V::load(weights).mul(V::splat(*x)));
            }
            total[r].add(sum).store(&mut out[r]);
        }
        out
    }
}

/// f16 to f32 by integer operations that vectorise: exponents are moved by a multiplication. Not for what is infinite
/// or NaN, which no scale is.
#[inline(always)]
pub(crate) fn widen(scales: &[u16; ROWS]) -> [f32; ROWS] {
    scales.map(|bits| {
        let magnitude = f32::from_bits((u32::from(bits) & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
        f32::from_bits(magnitude.to_bits() | (u32::from(bits) & 0x8000) << 16)
    })
}
