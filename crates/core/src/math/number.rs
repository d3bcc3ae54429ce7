//! Whole numbers of any length, and fractions of them.
//!
//! Written for answers: most are short and fit one machine word, the longest have a few thousand digits. So there is one
//! plain algorithm for each operation, and together they are a small part of what a general library brings into the smallest
//! wasm module.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

/// A whole number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInt(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    /// Whatever fits.
    Short(i64),
    /// Whether it is negative, and its words, the lowest first, the highest not zero.
    Long(bool, Vec<u32>),
}

use Form::{Long, Short};

/// Why a text is no whole number, or a number is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberError;

impl BigInt {
    /// Zero.
    pub const fn zero() -> Self {
        Self(Short(0))
    }

    /// One.
    pub const fn one() -> Self {
        Self(Short(1))
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.0 == Short(0)
    }

    /// Whether it is one.
    pub fn is_one(&self) -> bool {
        self.0 == Short(1)
    }

    /// Whether it is less than zero.
    pub fn is_negative(&self) -> bool {
        match self.0 {
            Short(value) => value < 0,
            Long(is_negative, _) => is_negative,
        }
    }

    /// Its value, where that fits.
    pub fn to_i64(&self) -> Option<i64> {
        match self.0 {
            Short(value) => Some(value),
            Long(..) => None,
        }
    }

    /// Its value, where that fits.
    pub fn to_u64(&self) -> Option<u64> {
        self.to_u128()?.try_into().ok()
    }

    /// Its value, where that fits.
    pub fn to_u128(&self) -> Option<u128> {
        match &self.0 {
            Short(value) => (*value).try_into().ok(),
            Long(false, words) if words.len() <= 4 => {
                Some(words.iter().rev().fold(0, |value, word| value << 32 | u128::from(*word)))
            }
            Long(..) => None,
        }
    }

    /// Whether it is negative, and its words; those of a short number are put into `room`.
    fn parts<'a>(&'a self, room: &'a mut [u32; 2]) -> (bool, &'a [u32]) {
        match &self.0 {
            Short(value) => {
                let size = value.unsigned_abs();
                *room = [size as u32, (size >> 32) as u32];
                (*value < 0, trimmed(room))
            }
            Long(is_negative, words) => (*is_negative, words),
        }
    }

    fn of_parts(is_negative: bool, mut words: Vec<u32>) -> Self {
        words.truncate(trimmed(&words).len());
        if words.len() <= 2 {
            let size = words.iter().rev().fold(0, |size, word| size << 32 | i128::from(*word));
            if let Ok(value) = i64::try_from(if is_negative { -size } else { size }) {
                return Self(Short(value));
            }
        }
        Self(Long(is_negative, words))
    }

    /// Its size.
    pub fn abs(&self) -> Self {
        if self.is_negative() { -self } else { self.clone() }
    }

    /// The number of bits of its size.
    pub fn bits(&self) -> u64 {
        bits(self.parts(&mut [0; 2]).1)
    }

    /// The number of zeros that its size ends with in binary; none for zero.
    pub fn trailing_zeros(&self) -> Option<u64> {
        let mut room = [0; 2];
        let (_, words) = self.parts(&mut room);
        let at = words.iter().position(|word| *word != 0)?;
        Some(at as u64 * 32 + u64::from(words[at].trailing_zeros()))
    }

    /// Times a power of two.
    fn shifted_left(&self, by: u64) -> Self {
        let (is_negative, words) = (self.is_negative(), shifted(self.parts(&mut [0; 2]).1, by));
        Self::of_parts(is_negative, words)
    }

    /// Its size divided by a power of two.
    pub fn shifted_right(&self, by: u64) -> Self {
        let mut room = [0; 2];
        let (_, words) = self.parts(&mut room);
        let Some(rest) = words.get((by / 32) as usize..) else { return Self::zero() };
        let by = by % 32;
        let higher = rest.iter().skip(1).chain([&0]);
        let word = |(low, high): (&u32, &u32)| ((u64::from(*high) << 32 | u64::from(*low)) >> by) as u32;
        Self::of_parts(false, rest.iter().zip(higher).map(word).collect())
    }

    /// The quotient towards zero, and the remainder, which has the sign of this number. `by` must not be zero.
    pub fn div_rem(&self, by: &Self) -> (Self, Self) {
        if let (Short(left), Short(right)) = (&self.0, &by.0)
            && let (Some(quotient), Some(rest)) = (left.checked_div(*right), left.checked_rem(*right))
        {
            return (Self(Short(quotient)), Self(Short(rest)));
        }
        let (mut room, mut other_room) = ([0; 2], [0; 2]);
        let ((is_negative, left), (is_other, right)) = (self.parts(&mut room), by.parts(&mut other_room));
        let (quotient, rest) = divided(left, right);
        (Self::of_parts(is_negative != is_other, quotient), Self::of_parts(is_negative, rest))
    }

    /// The remainder with the sign of the divisor, which must not be zero.
    pub fn mod_floor(&self, by: &Self) -> Self {
        let rest = self % by;
        if !rest.is_zero() && rest.is_negative() != by.is_negative() { &rest + by } else { rest }
    }

    /// To a power.
    pub fn pow(&self, mut exponent: u32) -> Self {
        let (mut power, mut square) = (Self::one(), self.clone());
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = &power * &square;
            }
            exponent >>= 1;
            if exponent > 0 {
                square = &square * &square;
            }
        }
        power
    }

    /// The greatest common divisor, which is not negative.
    pub fn gcd(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.clone(), other.clone());
        while !b.is_zero() {
            if let (Short(a), Short(b)) = (&a.0, &b.0) {
                return gcd(a.unsigned_abs().into(), b.unsigned_abs().into()).into();
            }
            let rest = &a % &b;
            a = std::mem::replace(&mut b, rest);
        }
        a.abs()
    }

    /// The least common multiple, which is not negative.
    pub fn lcm(&self, other: &Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return Self::zero();
        }
        (self / &self.gcd(other) * other).abs()
    }

    /// The root of a number that is not negative, rounded down.
    pub fn nth_root(&self, index: u32) -> Self {
        if self.is_zero() {
            return Self::zero();
        }
        // Newton's method from above.
        let mut root = Self::one().shifted_left(self.bits().div_ceil(index.into()));
        loop {
            let others = Self::from(index - 1);
            let next = (&root * &others + self / &root.pow(index - 1)) / Self::from(index);
            if next >= root {
                return root;
            }
            root = next;
        }
    }
}

/// Without zeros at the end.
fn trimmed(words: &[u32]) -> &[u32] {
    let zeros = words.iter().rev().take_while(|word| **word == 0).count();
    &words[..words.len() - zeros]
}

fn bits(words: &[u32]) -> u64 {
    words.last().map_or(0, |last| words.len() as u64 * 32 - u64::from(last.leading_zeros()))
}

fn order(left: &[u32], right: &[u32]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.iter().rev().cmp(right.iter().rev()))
}

fn shifted(words: &[u32], by: u64) -> Vec<u32> {
    let mut shifted = vec![0; (by / 32) as usize];
    let mut carry = 0;
    for word in words {
        carry |= u64::from(*word) << (by % 32);
        shifted.push(carry as u32);
        carry >>= 32;
    }
    shifted.push(carry as u32);
    shifted
}

fn sum(left: &[u32], right: &[u32]) -> Vec<u32> {
    let (long, short) = if left.len() < right.len() { (right, left) } else { (left, right) };
    let mut sum = Vec::with_capacity(long.len() + 1);
    let mut carry = 0;
    for (at, word) in long.iter().enumerate() {
        carry += u64::from(*word) + short.get(at).map_or(0, |word| u64::from(*word));
        sum.push(carry as u32);
        carry >>= 32;
    }
    sum.push(carry as u32);
    sum
}

/// `left - right`, which must not be larger.
fn difference(left: &[u32], right: &[u32]) -> Vec<u32> {
    let mut difference = left.to_vec();
    let mut borrow = 0;
    for (at, word) in difference.iter_mut().enumerate() {
        borrow += i64::from(*word) - right.get(at).map_or(0, |word| i64::from(*word));
        *word = borrow as u32;
        borrow >>= 32;
    }
    difference
}

fn product(left: &[u32], right: &[u32]) -> Vec<u32> {
    let mut product = vec![0; left.len() + right.len()];
    for (at, a) in left.iter().enumerate() {
        let mut carry = 0;
        for (word, b) in product[at..].iter_mut().zip(right.iter().chain([&0])) {
            carry += u64::from(*word) + u64::from(*a) * u64::from(*b);
            *word = carry as u32;
            carry >>= 32;
        }
    }
    product
}

/// Divides in place by one word, and gives the remainder.
fn divide_by_word(words: &mut [u32], by: u32) -> u32 {
    let mut rest = 0;
    for word in words.iter_mut().rev() {
        rest = rest << 32 | u64::from(*word);
        *word = (rest / u64::from(by)) as u32;
        rest %= u64::from(by);
    }
    rest as u32
}

/// The quotient and the remainder, by the method taught in schools (Knuth, volume 2, algorithm D).
fn divided(left: &[u32], right: &[u32]) -> (Vec<u32>, Vec<u32>) {
    if let [] | [_] = right {
        let mut quotient = left.to_vec();
        let rest = divide_by_word(&mut quotient, right.first().copied().unwrap_or(0));
        return (quotient, vec![rest]);
    }
    if order(left, right).is_lt() {
        return (Vec::new(), left.to_vec());
    }
    // So that the divisor's highest bit is set, which makes the guesses below good.
    let shift = u64::from(right.last().map_or(0, |last| last.leading_zeros()));
    let (mut rest, right) = (shifted(left, shift), shifted(right, shift));
    let right = trimmed(&right);
    let size = right.len();
    let (high, next) = (u64::from(right[size - 1]), u64::from(right[size - 2]));
    let mut quotient = vec![0; rest.len() - size];
    for at in (0..quotient.len()).rev() {
        let window = &mut rest[at..=at + size];
        let top = u64::from(window[size]) << 32 | u64::from(window[size - 1]);
        let (mut guess, mut left_over) = (top / high, top % high);
        while left_over >> 32 == 0
            && (guess >> 32 != 0 || guess * next > (left_over << 32 | u64::from(window[size - 2])))
        {
            guess -= 1;
            left_over += high;
        }
        let (mut carry, mut borrow) = (0, 0);
        for (word, b) in window.iter_mut().zip(right.iter().chain([&0])) {
            carry += guess * u64::from(*b);
            borrow += i64::from(*word) - i64::from(carry as u32);
            *word = borrow as u32;
            carry >>= 32;
            borrow >>= 32;
        }
        if borrow < 0 {
            guess -= 1;
            let mut carry = 0;
            for (word, b) in window.iter_mut().zip(right.iter().chain([&0])) {
                carry += u64::from(*word) + u64::from(*b);
                *word = carry as u32;
                carry >>= 32;
            }
        }
        quotient[at] = guess as u32;
    }
    rest.truncate(size);
    // Back by the shift, which is less than a word.
    let mut high = 0;
    for word in rest.iter_mut().rev() {
        let both = u64::from(high) << 32 | u64::from(*word);
        high = *word;
        *word = (both >> shift) as u32;
    }
    (quotient, rest)
}

/// The greatest common divisor of short numbers (Stein's method).
pub(crate) fn gcd(mut a: u128, mut b: u128) -> u128 {
    if a == 0 || b == 0 {
        return a | b;
    }
    let twos = (a | b).trailing_zeros();
    a >>= a.trailing_zeros();
    while b != 0 {
        b >>= b.trailing_zeros();
        if a == 1 {
            break;
        }
        if a > b {
            std::mem::swap(&mut a, &mut b);
        }
        b -= a;
    }
    a << twos
}

impl From<i128> for BigInt {
    fn from(value: i128) -> Self {
        match value.try_into() {
            Ok(value) => Self(Short(value)),
            Err(_) => {
                let size = value.unsigned_abs();
                Self::of_parts(value < 0, (0..4).map(|at| (size >> (32 * at)) as u32).collect())
            }
        }
    }
}

impl From<u128> for BigInt {
    fn from(value: u128) -> Self {
        Self::of_parts(false, (0..4).map(|at| (value >> (32 * at)) as u32).collect())
    }
}

impl From<u64> for BigInt {
    fn from(value: u64) -> Self {
        i128::from(value).into()
    }
}

impl From<i64> for BigInt {
    fn from(value: i64) -> Self {
        Self(Short(value))
    }
}

impl From<i32> for BigInt {
    fn from(value: i32) -> Self {
        Self(Short(value.into()))
    }
}

impl From<u32> for BigInt {
    fn from(value: u32) -> Self {
        Self(Short(value.into()))
    }
}

impl TryFrom<BigInt> for u32 {
    type Error = NumberError;

    fn try_from(value: BigInt) -> Result<u32, NumberError> {
        value.to_i64().and_then(|value| value.try_into().ok()).ok_or(NumberError)
    }
}

impl std::str::FromStr for BigInt {
    type Err = NumberError;

    /// Reads digits with or without a sign.
    fn from_str(text: &str) -> Result<Self, NumberError> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NumberError);
        }
        let mut words: Vec<u32> = Vec::new();
        for group in digits.as_bytes().chunks(9) {
            let mut carry = group.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
            let scale = 10u64.pow(group.len() as u32);
            for word in &mut words {
                carry += u64::from(*word) * scale;
                *word = carry as u32;
                carry >>= 32;
            }
            words.push(carry as u32);
        }
        Ok(Self::of_parts(text.starts_with('-'), words))
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let (is_negative, words) = match &self.0 {
            Short(value) => return value.fmt(out),
            Long(is_negative, words) => (*is_negative, words),
        };
        let mut words = words.clone();
        let mut digits = Vec::new();
        while !words.is_empty() {
            let mut group = divide_by_word(&mut words, 1_000_000_000);
            words.truncate(trimmed(&words).len());
            for _ in 0..9 {
                digits.push(b'0' + (group % 10) as u8);
                group /= 10;
            }
        }
        let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        digits.truncate(digits.len() - zeros);
        let sign = is_negative.then_some('-');
        let digits = digits.iter().rev().map(|digit| char::from(*digit));
        out.write_str(&sign.into_iter().chain(digits).collect::<String>())
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Ord for BigInt {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Short(left), Short(right)) = (&self.0, &other.0) {
            return left.cmp(right);
        }
        let (mut room, mut other_room) = ([0; 2], [0; 2]);
        match (self.parts(&mut room), other.parts(&mut other_room)) {
            ((false, left), (false, right)) => order(left, right),
            ((true, left), (true, right)) => order(right, left),
            ((is_negative, _), _) => {
                if is_negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        }
    }
}

impl PartialOrd for BigInt {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for BigInt {
    fn default() -> Self {
        Self::zero()
    }
}

impl Neg for &BigInt {
    type Output = BigInt;

    fn neg(self) -> BigInt {
        match &self.0 {
            Short(value) => (-i128::from(*value)).into(),
            Long(is_negative, words) => BigInt::of_parts(!is_negative, words.clone()),
        }
    }
}

/// The sum, or the difference where `negated`.
fn add(left: &BigInt, right: &BigInt, negated: bool) -> BigInt {
    if let (Short(left), Short(right)) = (&left.0, &right.0) {
        let (left, right) = (i128::from(*left), i128::from(*right));
        return if negated { left - right } else { left + right }.into();
    }
    let (mut room, mut other_room) = ([0; 2], [0; 2]);
    let ((is_negative, left), (is_other, right)) = (left.parts(&mut room), right.parts(&mut other_room));
    if is_negative == (is_other != negated) {
        BigInt::of_parts(is_negative, sum(left, right))
    } else if order(left, right).is_lt() {
        BigInt::of_parts(!is_negative, difference(right, left))
    } else {
        BigInt::of_parts(is_negative, difference(left, right))
    }
}

impl Add for &BigInt {
    type Output = BigInt;

    fn add(self, other: Self) -> BigInt {
        add(self, other, false)
    }
}

impl Sub for &BigInt {
    type Output = BigInt;

    fn sub(self, other: Self) -> BigInt {
        add(self, other, true)
    }
}

impl Mul for &BigInt {
    type Output = BigInt;

    fn mul(self, other: Self) -> BigInt {
        if let (Short(left), Short(right)) = (&self.0, &other.0) {
            return (i128::from(*left) * i128::from(*right)).into();
        }
        let (mut room, mut other_room) = ([0; 2], [0; 2]);
        let ((is_negative, left), (is_other, right)) = (self.parts(&mut room), other.parts(&mut other_room));
        BigInt::of_parts(is_negative != is_other, product(left, right))
    }
}

impl Div for &BigInt {
    type Output = BigInt;

    fn div(self, other: Self) -> BigInt {
        self.div_rem(other).0
    }
}

impl Rem for &BigInt {
    type Output = BigInt;

    fn rem(self, other: Self) -> BigInt {
        self.div_rem(other).1
    }
}

/// A fraction in lowest terms, with a denominator above zero.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigRational {
    numer: BigInt,
    denom: BigInt,
}

impl BigRational {
    /// `numer / denom`. Panics where that is zero.
    pub fn new(numer: BigInt, denom: BigInt) -> Self {
        assert!(!denom.is_zero(), "a fraction over zero");
        if denom.is_one() {
            return Self { numer, denom };
        }
        let divisor = numer.gcd(&denom);
        let divisor = if denom.is_negative() { -divisor } else { divisor };
        if divisor.is_one() {
            Self { numer, denom }
        } else {
            Self { numer: numer / &divisor, denom: denom / &divisor }
        }
    }

    /// A whole number.
    pub fn from_integer(numer: BigInt) -> Self {
        Self { numer, denom: BigInt::one() }
    }

    /// Zero.
    pub fn zero() -> Self {
        Self::from_integer(BigInt::zero())
    }

    /// One.
    pub fn one() -> Self {
        Self::from_integer(BigInt::one())
    }

    /// What stands above the line.
    pub fn numer(&self) -> &BigInt {
        &self.numer
    }

    /// What stands below the line.
    pub fn denom(&self) -> &BigInt {
        &self.denom
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.numer.is_zero()
    }

    /// Whether it is one.
    pub fn is_one(&self) -> bool {
        self.numer.is_one() && self.denom.is_one()
    }

    /// Whether it is less than zero.
    pub fn is_negative(&self) -> bool {
        self.numer.is_negative()
    }

    /// Whether it is more than zero.
    pub fn is_positive(&self) -> bool {
        !self.is_negative() && !self.is_zero()
    }

    /// Whether it is whole.
    pub fn is_integer(&self) -> bool {
        self.denom.is_one()
    }

    /// Rounded towards zero.
    pub fn to_integer(&self) -> BigInt {
        &self.numer / &self.denom
    }

    /// The largest whole number that is not above it.
    pub fn floor(&self) -> Self {
        Self::from_integer((&self.numer - &self.numer.mod_floor(&self.denom)) / &self.denom)
    }

    /// The whole number next to it, halves away from zero.
    pub fn round(&self) -> BigInt {
        let two = BigInt::from(2);
        let size = (&self.numer.abs() * &two + &self.denom) / (&self.denom * &two);
        if self.is_negative() { -size } else { size }
    }

    /// Its size.
    pub fn abs(&self) -> Self {
        Self { numer: self.numer.abs(), denom: self.denom.clone() }
    }

    /// `1 / self`. Panics where that is zero.
    pub fn recip(&self) -> Self {
        Self::new(self.denom.clone(), self.numer.clone())
    }

    /// Exactly a double; `None` where that is no number.
    pub fn from_f64(value: f64) -> Option<Self> {
        let bits = value.to_bits();
        let exponent = bits >> 52 & 0x7ff;
        if exponent == 0x7ff {
            return None;
        }
        // The least doubles have no leading bit that is not written.
        let size = BigInt::from(bits & ((1 << 52) - 1) | u64::from(exponent > 0) << 52);
        let exponent = exponent.max(1) as i64 - 1_075;
        let numer = if value < 0.0 { -size } else { size };
        let power = exponent.unsigned_abs();
        Some(match exponent < 0 {
            true => Self::new(numer, BigInt::one().shifted_left(power)),
            false => Self::from_integer(numer.shifted_left(power)),
        })
    }

    /// The double next to it, of two the even one; infinite where it is beyond them all.
    pub fn to_f64(&self) -> f64 {
        const EXACT: u64 = 1 << 53;
        let (top, bottom) = (self.numer.to_i64(), self.denom.to_i64());
        if let (Some(top), Some(bottom)) = (top, bottom)
            && top.unsigned_abs() <= EXACT
            && bottom.unsigned_abs() <= EXACT
        {
            return top as f64 / bottom as f64;
        }
        let sign = if self.is_negative() { -1.0 } else { 1.0 };
        let size = self.numer.bits() as i64 - self.denom.bits() as i64;
        if size > 1_024 {
            return sign * f64::INFINITY;
        }
        if size < -1_075 {
            return sign * 0.0;
        }
        // A quotient of 55 or 56 bits: those of a double, and the others for rounding. The least doubles have fewer.
        let shift = size.max(-1_021) - 55;
        let by = shift.unsigned_abs();
        let (top, bottom) = match shift < 0 {
            true => (self.numer.abs().shifted_left(by), self.denom.clone()),
            false => (self.numer.abs(), self.denom.shifted_left(by)),
        };
        let (quotient, rest) = top.div_rem(&bottom);
        // It fits.
        let quotient = quotient.to_u64().unwrap_or_default();
        let length = 64 - i64::from(quotient.leading_zeros());
        let spare = length.max(-1_021 - shift) - 53;
        let (half, unit) = (1u64 << (spare - 1), 1u64 << spare);
        let below = quotient & (unit - 1);
        let is_up = below > half || below == half && (!rest.is_zero() || quotient & unit != 0);
        let rounded = quotient - below + if is_up { unit } else { 0 };
        // By two powers of two, as one may be no double; both steps are exact.
        let power = |exponent: i64| f64::from_bits(((1_023 + exponent) as u64) << 52);
        sign * rounded as f64 * power(shift / 2) * power(shift - shift / 2)
    }
}

impl Default for BigRational {
    fn default() -> Self {
        Self::zero()
    }
}

impl From<BigInt> for BigRational {
    fn from(value: BigInt) -> Self {
        Self::from_integer(value)
    }
}

impl fmt::Display for BigRational {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(&self.numer, out)?;
        if self.is_integer() { Ok(()) } else { write!(out, "/{}", self.denom) }
    }
}

impl fmt::Debug for BigRational {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Ord for BigRational {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.numer * &other.denom).cmp(&(&other.numer * &self.denom))
    }
}

impl PartialOrd for BigRational {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Neg for &BigRational {
    type Output = BigRational;

    fn neg(self) -> BigRational {
        BigRational { numer: -&self.numer, denom: self.denom.clone() }
    }
}

impl Add for &BigRational {
    type Output = BigRational;

    fn add(self, other: Self) -> BigRational {
        if self.is_integer() && other.is_integer() {
            return BigRational::from_integer(&self.numer + &other.numer);
        }
        // Divisors of the denominators alone, which are found sooner than those of the sum.
        let divisor = self.denom.gcd(&other.denom);
        let (left, right) = (&self.denom / &divisor, &other.denom / &divisor);
        let top = &self.numer * &right + &other.numer * &left;
        let divisor = top.gcd(&divisor);
        BigRational { numer: top / &divisor, denom: left * (&other.denom / &divisor) }
    }
}

impl Sub for &BigRational {
    type Output = BigRational;

    fn sub(self, other: Self) -> BigRational {
        self + &-other
    }
}

impl Mul for &BigRational {
    type Output = BigRational;

    fn mul(self, other: Self) -> BigRational {
        BigRational::new(&self.numer * &other.numer, &self.denom * &other.denom)
    }
}

impl Div for &BigRational {
    type Output = BigRational;

    fn div(self, other: Self) -> BigRational {
        BigRational::new(&self.numer * &other.denom, &self.denom * &other.numer)
    }
}

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

/// A fraction of short numbers, in lowest terms with a denominator above zero: an exponent. What does not fit becomes the
/// largest that does, which is refused as an exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rational64 {
    numer: i64,
    denom: i64,
}

impl Rational64 {
    /// `numer / denom`. Panics where that is zero.
    pub fn new(numer: i64, denom: i64) -> Self {
        Self::of(numer.into(), denom.into())
    }

    fn of(numer: i128, denom: i128) -> Self {
        let divisor = if denom == 1 { 1 } else { gcd(numer.unsigned_abs(), denom.unsigned_abs()) as i128 };
        let divisor = divisor * denom.signum();
        let short = |value: i128| value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Self { numer: short(numer / divisor), denom: short(denom / divisor) }
    }

    /// A whole number.
    pub fn from_integer(numer: i64) -> Self {
        Self { numer, denom: 1 }
    }

    /// Zero.
    pub fn zero() -> Self {
        Self::from_integer(0)
    }

    /// One.
    pub fn one() -> Self {
        Self::from_integer(1)
    }

    /// What stands above the line.
    pub fn numer(&self) -> &i64 {
        &self.numer
    }

    /// What stands below the line.
    pub fn denom(&self) -> &i64 {
        &self.denom
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.numer == 0
    }

    /// Whether it is one.
    pub fn is_one(&self) -> bool {
        *self == Self::one()
    }

    /// Whether it is less than zero.
    pub fn is_negative(&self) -> bool {
        self.numer < 0
    }

    /// Whether it is more than zero.
    pub fn is_positive(&self) -> bool {
        self.numer > 0
    }

    /// Whether it is whole.
    pub fn is_integer(&self) -> bool {
        self.denom == 1
    }

    /// The largest whole number that is not above it.
    pub fn floor(self) -> i64 {
        self.numer.div_euclid(self.denom)
    }
}

impl Ord for Rational64 {
    fn cmp(&self, other: &Self) -> Ordering {
        let across = |a: i64, b: i64| i128::from(a) * i128::from(b);
        across(self.numer, other.denom).cmp(&across(other.numer, self.denom))
    }
}

impl PartialOrd for Rational64 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Neg for Rational64 {
    type Output = Self;

    fn neg(self) -> Self {
        Self { numer: -self.numer, ..self }
    }
}

impl Add for Rational64 {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let [a, b, c, d] = [self.numer, self.denom, other.numer, other.denom].map(i128::from);
        Self::of(a * d + c * b, b * d)
    }
}

impl Sub for Rational64 {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Rational64 {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let [a, b, c, d] = [self.numer, self.denom, other.numer, other.denom].map(i128::from);
        Self::of(a * c, b * d)
    }
}

impl fmt::Display for Rational64 {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        self.numer.fmt(out)?;
        if self.is_integer() { Ok(()) } else { write!(out, "/{}", self.denom) }
    }
}

#[cfg(test)]
mod tests {
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
            (!bottom.is_zero())
                .then(|| (BigRational::new(top.clone(), bottom.clone()), theirs(&top, &bottom)))
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
        for (top, bottom) in
            [(0, 1_074), (0, 1_075), (0, 1_076), (3, 1_076), (1_023, 0), (1_024, 0), (1_100, 0)]
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
}
