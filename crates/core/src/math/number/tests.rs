//! Numbers against those of `num-bigint` and `num-rational`.

use super::*;
use num_integer::Integer;
use num_traits::{FromPrimitive, Signed, ToPrimitive};
use proptest::prelude::*;

fn theirs(value: &BigInt) -> num_bigint::BigInt {
    value.to_string().parse().unwrap()
}

/// Numbers of all lengths, many with words of zeros and ones, where carries go far.
fn whole() -> impl Strategy<Value = BigInt> {
    let word = prop_oneof![Just(0u32), Just(1), Just(u32::MAX), Just(1 << 31), any::<u32>()];
    (any::<bool>(), proptest::collection::vec(word, 0..12))
        .prop_map(|(is_negative, words)| BigInt::of_parts(is_negative, words))
}

fn fraction() -> impl Strategy<Value = (BigRational, num_rational::BigRational)> {
    (whole(), whole()).prop_filter_map("over zero", |(top, bottom)| {
        let theirs = |top, bottom| num_rational::BigRational::new(theirs(top), theirs(bottom));
        (!bottom.is_zero()).then(|| (BigRational::new(top.clone(), bottom.clone()), theirs(&top, &bottom)))
    })
}

proptest! {
    #[test]
    fn whole_numbers_are_those_of_the_library(a in whole(), b in whole(), by in 0u64..200, index in 1u32..9) {
        let (x, y) = (theirs(&a), theirs(&b));
        prop_assert_eq!(theirs(&(&a + &b)), &x + &y);
        prop_assert_eq!(theirs(&(&a - &b)), &x - &y);
        prop_assert_eq!(theirs(&(&a * &b)), &x * &y);
        prop_assert_eq!(theirs(&-&a), -&x);
        prop_assert_eq!(theirs(&a.abs()), x.abs());
        prop_assert_eq!(theirs(&a.gcd(&b)), x.gcd(&y));
        prop_assert_eq!(theirs(&a.lcm(&b)), x.lcm(&y));
        prop_assert_eq!(a.cmp(&b), x.cmp(&y));
        prop_assert_eq!(a == b, x == y);
        prop_assert_eq!(a.bits(), x.bits());
        prop_assert_eq!(a.trailing_zeros(), x.trailing_zeros());
        prop_assert_eq!(theirs(&a.shifted_left(by)), &x << by);
        prop_assert_eq!(theirs(&a.shifted_right(by)), x.abs() >> by);
        prop_assert_eq!((a.to_i64(), a.to_u64(), a.to_u128()), (x.to_i64(), x.to_u64(), x.to_u128()));
        prop_assert_eq!(theirs(&a.abs().nth_root(index)), x.abs().nth_root(index));
        prop_assert_eq!(theirs(&a.pow(index)), x.pow(index));
        prop_assert_eq!(a.to_string(), x.to_string());
        prop_assert_eq!(a.to_string().parse::<BigInt>(), Ok(a.clone()));
        if !b.is_zero() {
            let (quotient, rest) = a.div_rem(&b);
            prop_assert_eq!((theirs(&quotient), theirs(&rest)), x.div_rem(&y));
            prop_assert_eq!(theirs(&a.mod_floor(&b)), x.mod_floor(&y));
        }
    }

    #[test]
    fn fractions_are_those_of_the_library((a, x) in fraction(), (b, y) in fraction(), bits in any::<u64>()) {
        let same = |ours: &BigRational, theirs: &num_rational::BigRational| {
            assert_eq!(ours.to_string(), theirs.to_string());
        };
        same(&(&a + &b), &(&x + &y));
        same(&(&a - &b), &(&x - &y));
        same(&(&a * &b), &(&x * &y));
        if !b.is_zero() {
            same(&(&a / &b), &(&x / &y));
            same(&b.recip(), &y.recip());
        }
        same(&a.floor(), &x.floor());
        same(&BigRational::from(a.round()), &x.round());
        prop_assert_eq!(theirs(&a.to_integer()), x.to_integer());
        prop_assert_eq!(a.cmp(&b), x.cmp(&y));
        prop_assert_eq!(Some(a.to_f64().to_bits()), x.to_f64().map(f64::to_bits));
        let double = f64::from_bits(bits);
        match BigRational::from_f64(double) {
            Some(exact) => {
                same(&exact, &num_rational::BigRational::from_f64(double).unwrap());
                prop_assert_eq!(exact.to_f64(), double);
            }
            None => prop_assert!(!double.is_finite()),
        }
    }

    #[test]
    fn short_fractions_are_those_of_the_library(a: i32, b in 1i32.., c: i32, d in 1i32..) {
        let ours = |top: i32, bottom: i32| Rational64::new(top.into(), bottom.into());
        let theirs = |top: i32, bottom: i32| num_rational::Ratio::<i128>::new(top.into(), bottom.into());
        let same = |ours: Rational64, theirs: num_rational::Ratio<i128>| {
            if let (Ok(_), Ok(_)) = (i64::try_from(*theirs.numer()), i64::try_from(*theirs.denom())) {
                assert_eq!(ours.to_string(), theirs.to_string());
            }
        };
        let ((left, right), (x, y)) = ((ours(a, b), ours(c, d)), (theirs(a, b), theirs(c, d)));
        same(left + right, x + y);
        same(left - right, x - y);
        same(left * right, x * y);
        same(-left, -x);
        prop_assert_eq!(left.cmp(&right), x.cmp(&y));
        prop_assert_eq!(i128::from(left.floor()), x.floor().to_integer());
    }
}

#[test]
fn doubles_of_fractions_at_the_ends_of_the_range() {
    let power = |bits: u64| BigInt::one().shifted_left(bits);
    for (top, bottom) in [(0, 1_074), (0, 1_075), (0, 1_076), (3, 1_076), (1_023, 0), (1_024, 0), (1_100, 0)]
    {
        for (more, less) in [(0, 0), (1, 0), (0, 1), (1, 1), (-1, 0), (0, -1)] {
            let (top, bottom) = (power(top) + BigInt::from(more), power(bottom) + BigInt::from(less));
            if bottom.is_zero() {
                continue;
            }
            let theirs = num_rational::BigRational::new(theirs(&top), theirs(&bottom)).to_f64();
            assert_eq!(Some(BigRational::new(top, bottom).to_f64()), theirs);
        }
    }
}
