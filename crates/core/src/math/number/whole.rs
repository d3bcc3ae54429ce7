//! Whole numbers of any length.

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

    pub(super) fn of_parts(is_negative: bool, mut words: Vec<u32>) -> Self {
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
    pub(super) fn shifted_left(&self, by: u64) -> Self {
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
