//! The types of a tensor's numbers: their names, and how many numbers and bytes a block has.
//!
//! Numbers, names and sizes are those of `ggml_type` and `type_traits` in ggml (`ggml/include/ggml.h`). Of all types
//! the size is known, so that every file can be checked; which are read is said by [`GgmlType::is_read`].

use std::fmt;

use crate::error::{Error, Result};

/// The type of a tensor's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
#[allow(non_camel_case_types, reason = "the format's own names")]
pub enum GgmlType {
    F32,
    F16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ2_XXS,
    IQ2_XS,
    IQ3_XXS,
    IQ1_S,
    IQ4_NL,
    IQ3_S,
    IQ2_S,
    IQ4_XS,
    I8,
    I16,
    I32,
    I64,
    F64,
    IQ1_M,
    BF16,
    TQ1_0,
    TQ2_0,
    MXFP4,
    NVFP4,
    Q1_0,
}

use GgmlType::*;

/// Each type with its number in the file, the numbers in a block, and the bytes of a block.
const TYPES: [(GgmlType, u32, u64, u64); 34] = [
    (F32, 0, 1, 4),
    (F16, 1, 1, 2),
    (Q4_0, 2, 32, 18),
    (Q4_1, 3, 32, 20),
    (Q5_0, 6, 32, 22),
    (Q5_1, 7, 32, 24),
    (Q8_0, 8, 32, 34),
    (Q8_1, 9, 32, 36),
    (Q2_K, 10, 256, 84),
    (Q3_K, 11, 256, 110),
    (Q4_K, 12, 256, 144),
    (Q5_K, 13, 256, 176),
    (Q6_K, 14, 256, 210),
    (Q8_K, 15, 256, 292),
    (IQ2_XXS, 16, 256, 66),
    (IQ2_XS, 17, 256, 74),
    (IQ3_XXS, 18, 256, 98),
    (IQ1_S, 19, 256, 50),
    (IQ4_NL, 20, 32, 18),
    (IQ3_S, 21, 256, 110),
    (IQ2_S, 22, 256, 82),
    (IQ4_XS, 23, 256, 136),
    (I8, 24, 1, 1),
    (I16, 25, 1, 2),
    (I32, 26, 1, 4),
    (I64, 27, 1, 8),
    (F64, 28, 1, 8),
    (IQ1_M, 29, 256, 56),
    (BF16, 30, 1, 2),
    (TQ1_0, 34, 256, 54),
    (TQ2_0, 35, 256, 66),
    (MXFP4, 39, 32, 17),
    (NVFP4, 40, 64, 36),
    (Q1_0, 41, 128, 18),
];

/// Types that files had once and llama.cpp took out again.
const REMOVED: [(u32, &str); 8] = [
    (4, "Q4_2"),
    (5, "Q4_3"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (36, "IQ4_NL_4_4"),
    (37, "IQ4_NL_4_8"),
    (38, "IQ4_NL_8_8"),
];

/// The types whose numbers are read, in the order of their numbers.
pub const READ: [GgmlType; 14] =
    [F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, BF16];

impl GgmlType {
    /// The type of a number in the file.
    ///
    /// # Errors
    /// Numbers that stand for no type, and types that are no more.
    pub fn from_number(number: u32) -> Result<Self> {
        if let Some(&(found, ..)) = TYPES.iter().find(|entry| entry.1 == number) {
            return Ok(found);
        }
        let message = match REMOVED.iter().find(|entry| entry.0 == number) {
            Some((_, name)) => format!("its type is {name}, which llama.cpp has taken out"),
            None => format!("its type has the number {number}, which is not known"),
        };
        Err(Error::unsupported(format!("{message}; {}", Self::remedy())))
    }

    fn entry(self) -> (GgmlType, u32, u64, u64) {
        // Every type stands in the table; a test sees to it.
        TYPES.iter().find(|entry| entry.0 == self).copied().unwrap_or(TYPES[0])
    }

    /// Its number in the file.
    pub fn number(self) -> u32 {
        self.entry().1
    }

    /// Numbers in a block.
    pub fn block_len(self) -> u64 {
        self.entry().2
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> u64 {
        self.entry().3
    }

    /// Bytes of `count` numbers, which fill whole blocks; `None` on overflow.
    pub fn byte_len(self, count: u64) -> Option<u64> {
        let (_, _, block_len, block_bytes) = self.entry();
        (count / block_len).checked_mul(block_bytes)
    }

    /// Whether its numbers can be read.
    pub fn is_read(self) -> bool {
        READ.contains(&self)
    }

    /// Refuses a type whose numbers cannot be read.
    ///
    /// # Errors
    /// Names the type and those that are read.
    pub fn check_read(self) -> Result<()> {
        if self.is_read() {
            return Ok(());
        }
        Err(Error::unsupported(format!("its type is {self}, which is not read; {}", Self::remedy())))
    }

    fn remedy() -> String {
        let names: Vec<String> = READ.iter().map(ToString::to_string).collect();
        format!("take a file of the types {}, such as a Q4_K_M or Q8_0", names.join(", "))
    }

    /// The root-mean-square error of rounding normally distributed numbers to this type, relative to their own
    /// root-mean-square: what [`tying`](crate::tying) takes for granted. For block types a block's largest number of n
    /// sets the step, and an even error within a step has a root-mean-square of step / sqrt(12); rounded up.
    pub(crate) fn rounding(self) -> f64 {
        match self {
            F32 => 1e-7,
            F16 => 4e-4,
            BF16 => 3e-3,
            Q8_0 => 0.006,
            Q6_K => 0.02,
            Q5_0 | Q5_1 | Q5_K => 0.045,
            Q4_0 | Q4_1 | Q4_K | IQ4_NL => 0.09,
            Q3_K => 0.2,
            // Never the type of an embedding that is good for anything; the rest is not read.
            _ => 0.35,
        }
    }
}

impl fmt::Display for GgmlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        for (index, (found, number, block_len, block_bytes)) in TYPES.into_iter().enumerate() {
            // Each once, in the order of the declaration.
            assert_eq!(found as usize, index);
            assert_eq!(GgmlType::from_number(number).expect("it is known"), found);
            assert_eq!(
                (found.number(), found.block_len(), found.block_bytes()),
                (number, block_len, block_bytes)
            );
            assert_eq!(found.check_read().is_ok(), READ.contains(&found));
        }
        assert_eq!(TYPES.len(), Q1_0 as usize + 1);
    }

    #[test]
    fn what_is_not_read_is_refused_by_name() {
        for (name, error) in [
            ("Q4_0_4_4", GgmlType::from_number(31).expect_err("no more")),
            ("number 99", GgmlType::from_number(99).expect_err("not known")),
            ("IQ2_XS", IQ2_XS.check_read().expect_err("not read")),
            ("MXFP4", MXFP4.check_read().expect_err("not read")),
            ("Q8_K", Q8_K.check_read().expect_err("not read")),
        ] {
            let error = error.to_string();
            assert!(error.contains(name) && error.contains("Q4_K, Q5_K, Q6_K, IQ4_NL, BF16"), "{error}");
        }
    }
}
