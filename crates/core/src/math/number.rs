//! Whole numbers of any length, and fractions of them.
//!
//! Written for answers: most are short and fit one machine word, the longest have a few thousand digits. So there is one
//! plain algorithm for each operation, and together they are a small part of what a general library brings into the smallest
//! wasm module.

mod fraction;
mod short;
#[cfg(test)]
mod tests;
mod whole;

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

pub use fraction::BigRational;
pub use short::Rational64;
pub(crate) use whole::gcd;
pub use whole::{BigInt, NumberError};

/// The operators on values too.
macro_rules! by_value {
    ($type:ty: $($operator:ident $function:ident),*) => {
        $(
            impl $operator for $type {
                type Output = $type;

                fn $function(self, other: $type) -> $type {
                    $operator::$function(&self, &other)
                }
            }

            impl $operator<&$type> for $type {
                type Output = $type;

                fn $function(self, other: &$type) -> $type {
                    $operator::$function(&self, other)
                }
            }
        )*

        impl Neg for $type {
            type Output = $type;

            fn neg(self) -> $type {
                -&self
            }
        }
    };
}

by_value!(BigInt: Add add, Sub sub, Mul mul, Div div, Rem rem);
by_value!(BigRational: Add add, Sub sub, Mul mul, Div div);
