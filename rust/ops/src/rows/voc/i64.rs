//! The vocabulary in 64-bit integers: arithmetic wraps, division rounds as its name says, and literals
//! of the table are converted. Narrower integers are computed here and cut to width afterwards.

use std::ops;

/// An integer whose operators wrap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[repr(transparent)]
pub struct I64(pub i64);

impl From<f64> for I64 {
    #[inline(always)]
    fn from(value: f64) -> I64 {
        I64(value as i64)
    }
}

macro_rules! wrapping {
    ($($Trait:ident $method:ident $wrapping:ident;)*) => { $(
        impl ops::$Trait for I64 {
            type Output = I64;
            #[inline(always)]
            fn $method(self, other: I64) -> I64 { I64(self.0.$wrapping(other.0)) }
        }
    )* };
}
wrapping! { Add add wrapping_add; Sub sub wrapping_sub; Mul mul wrapping_mul; }

impl ops::Neg for I64 {
    type Output = I64;
    #[inline(always)]
    fn neg(self) -> I64 {
        I64(self.0.wrapping_neg())
    }
}

#[inline(always)]
pub fn select(c: bool, a: impl Into<I64>, b: impl Into<I64>) -> I64 {
    if c {
        a.into()
    } else {
        b.into()
    }
}
#[inline(always)]
pub fn and(a: bool, b: bool) -> bool {
    a & b
}
#[inline(always)]
pub fn or(a: bool, b: bool) -> bool {
    a | b
}
#[inline(always)]
pub fn xor(a: bool, b: bool) -> bool {
    a ^ b
}
macro_rules! comparisons {
    ($($name:ident $op:tt;)*) => { $(
        #[inline(always)]
        pub fn $name(a: impl Into<I64>, b: impl Into<I64>) -> bool { a.into().0 $op b.into().0 }
    )* };
}
comparisons! { eq ==; ne !=; lt <; le <=; gt >; ge >=; }

macro_rules! never {
    ($($name:ident)*) => { $(
        /// No integer is NaN or infinite.
        #[inline(always)]
        pub fn $name(_: I64) -> bool { false }
    )* };
}
never! { isnan isinf isposinf isneginf }

#[inline(always)]
pub fn isfinite(_: I64) -> bool {
    true
}
#[inline(always)]
pub fn signbit(x: I64) -> bool {
    x.0 < 0
}
#[inline(always)]
pub fn abs(x: I64) -> I64 {
    I64(x.0.wrapping_abs())
}
#[inline(always)]
pub fn sign(x: I64) -> I64 {
    I64(x.0.signum())
}
#[inline(always)]
pub fn maximum(a: impl Into<I64>, b: impl Into<I64>) -> I64 {
    a.into().max(b.into())
}
#[inline(always)]
pub fn minimum(a: impl Into<I64>, b: impl Into<I64>) -> I64 {
    a.into().min(b.into())
}
#[inline(always)]
pub fn fmax(a: I64, b: I64) -> I64 {
    a.max(b)
}
#[inline(always)]
pub fn fmin(a: I64, b: I64) -> I64 {
    a.min(b)
}

macro_rules! whole {
    ($($name:ident)*) => { $(
        /// Integers are rounded already.
        #[inline(always)]
        pub fn $name(x: I64) -> I64 { x }
    )* };
}
whole! { floor ceil trunc round }

/// Zero divisors are refused before the kernels; here they give 0 so that nothing can panic.
#[inline(always)]
pub fn fmod(a: I64, b: I64) -> I64 {
    I64(if b.0 == 0 { 0 } else { a.0.wrapping_rem(b.0) })
}
#[inline(always)]
pub fn remainder(a: I64, b: I64) -> I64 {
    let r = fmod(a, b).0;
    I64(if r != 0 && (r < 0) != (b.0 < 0) { r + b.0 } else { r })
}
#[inline(always)]
pub fn trunc_divide(a: I64, b: I64) -> I64 {
    I64(if b.0 == 0 { 0 } else { a.0.wrapping_div(b.0) })
}
#[inline(always)]
pub fn floor_divide(a: I64, b: I64) -> I64 {
    let (q, r) = (trunc_divide(a, b).0, fmod(a, b).0);
    I64(if r != 0 && (r < 0) != (b.0 < 0) { q - 1 } else { q })
}

/// By repeated squaring; a negative exponent gives what is left of the reciprocal: 0, 1 or -1.
#[inline(always)]
pub fn pow(a: I64, b: I64) -> I64 {
    let odd = b.0 & 1 == 1;
    if b.0 < 0 {
        return I64(match a.0 {
            1 => 1,
            -1 => 1 - 2 * odd as i64,
            _ => 0,
        });
    }
    let (mut base, mut left, mut result) = (a.0, b.0, 1i64);
    while left > 0 {
        if left & 1 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        left >>= 1;
    }
    I64(result)
}

#[inline(always)]
pub fn bitwise_and(a: I64, b: I64) -> I64 {
    I64(a.0 & b.0)
}
#[inline(always)]
pub fn bitwise_or(a: I64, b: I64) -> I64 {
    I64(a.0 | b.0)
}
#[inline(always)]
pub fn bitwise_xor(a: I64, b: I64) -> I64 {
    I64(a.0 ^ b.0)
}
#[inline(always)]
pub fn bitwise_not(x: I64) -> I64 {
    I64(!x.0)
}
/// Beyond the width, or by a negative count, every bit is gone.
#[inline(always)]
pub fn bitwise_left_shift(a: I64, b: I64) -> I64 {
    I64(if (0..64).contains(&b.0) { a.0 << b.0 } else { 0 })
}
/// Beyond the width, or by a negative count, only copies of the sign are left.
#[inline(always)]
pub fn bitwise_right_shift(a: I64, b: I64) -> I64 {
    I64(a.0 >> if (0..64).contains(&b.0) { b.0 } else { 63 })
}
#[inline(always)]
pub fn gcd(a: I64, b: I64) -> I64 {
    let (mut a, mut b) = (a.0.unsigned_abs(), b.0.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    I64(a as i64)
}
#[inline(always)]
pub fn lcm(a: I64, b: I64) -> I64 {
    let g = gcd(a, b).0;
    I64(if g == 0 { 0 } else { (a.0.wrapping_div(g)).wrapping_mul(b.0).wrapping_abs() })
}
