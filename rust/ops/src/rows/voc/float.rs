//! What f32 and f64 share: exact operations and choices, and the library's functions.

/// The vocabulary of one float type, but for the functions that are approximated.
macro_rules! float_vocabulary {
    ($T:ident) => {
        pub use std::$T::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LN_10, LN_2, PI};

        #[inline(always)]
        pub fn select(c: bool, a: $T, b: $T) -> $T {
            if c {
                a
            } else {
                b
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
        #[inline(always)]
        pub fn not(a: bool) -> bool {
            !a
        }
        #[inline(always)]
        pub fn eq(a: $T, b: $T) -> bool {
            a == b
        }
        #[inline(always)]
        pub fn ne(a: $T, b: $T) -> bool {
            a != b
        }
        #[inline(always)]
        pub fn lt(a: $T, b: $T) -> bool {
            a < b
        }
        #[inline(always)]
        pub fn le(a: $T, b: $T) -> bool {
            a <= b
        }
        #[inline(always)]
        pub fn gt(a: $T, b: $T) -> bool {
            a > b
        }
        #[inline(always)]
        pub fn ge(a: $T, b: $T) -> bool {
            a >= b
        }
        #[inline(always)]
        pub fn isnan(x: $T) -> bool {
            x != x
        }
        #[inline(always)]
        pub fn isinf(x: $T) -> bool {
            x.abs() == $T::INFINITY
        }
        #[inline(always)]
        pub fn isfinite(x: $T) -> bool {
            x.abs() < $T::INFINITY
        }
        #[inline(always)]
        pub fn isposinf(x: $T) -> bool {
            x == $T::INFINITY
        }
        #[inline(always)]
        pub fn isneginf(x: $T) -> bool {
            x == $T::NEG_INFINITY
        }
        #[inline(always)]
        pub fn signbit(x: $T) -> bool {
            x.is_sign_negative()
        }

        #[inline(always)]
        pub fn abs(x: $T) -> $T {
            x.abs()
        }
        #[inline(always)]
        pub fn sign(x: $T) -> $T {
            select(x > 0.0, 1.0, select(x < 0.0, -1.0, 0.0))
        }
        /// Both tests pick `a` where it is NaN, and `b` where only that is.
        #[inline(always)]
        pub fn maximum(a: $T, b: $T) -> $T {
            // Of two zeros the first, so that relu keeps the sign of -0.
            let greater = if b > a { b } else { a };
            if isnan(b) {
                b
            } else {
                greater
            }
        }
        #[inline(always)]
        pub fn minimum(a: $T, b: $T) -> $T {
            let lesser = if b < a { b } else { a };
            if isnan(b) {
                b
            } else {
                lesser
            }
        }
        #[inline(always)]
        pub fn fmax(a: $T, b: $T) -> $T {
            let greater = if b > a { b } else { a };
            if isnan(a) {
                b
            } else {
                greater
            }
        }
        #[inline(always)]
        pub fn fmin(a: $T, b: $T) -> $T {
            let lesser = if b < a { b } else { a };
            if isnan(a) {
                b
            } else {
                lesser
            }
        }
        #[inline(always)]
        pub fn floor(x: $T) -> $T {
            x.floor()
        }
        #[inline(always)]
        pub fn ceil(x: $T) -> $T {
            x.ceil()
        }
        #[inline(always)]
        pub fn trunc(x: $T) -> $T {
            x.trunc()
        }
        #[inline(always)]
        pub fn round(x: $T) -> $T {
            x.round_ties_even()
        }
        #[inline(always)]
        pub fn fmod(a: $T, b: $T) -> $T {
            a % b
        }
        #[inline(always)]
        pub fn remainder(a: $T, b: $T) -> $T {
            let r = a % b;
            select((r != 0.0) & ((r < 0.0) != (b < 0.0)), r + b, r)
        }
        /// Consistent with `remainder`, as Python's `//` is; a plain `floor(a / b)` is not.
        #[inline(always)]
        pub fn floor_divide(a: $T, b: $T) -> $T {
            let r = a % b;
            let exact = (a - r) / b;
            let below = select((r != 0.0) & ((r < 0.0) != (b < 0.0)), exact - 1.0, exact);
            let down = below.floor();
            let whole = select(below - down > 0.5, down + 1.0, down);
            let signed = select(below == 0.0, (0.0 as $T).copysign(a / b), whole);
            select(b == 0.0, a / b, signed)
        }
        #[inline(always)]
        pub fn trunc_divide(a: $T, b: $T) -> $T {
            (a / b).trunc()
        }
        #[inline(always)]
        pub fn copysign(a: $T, b: $T) -> $T {
            a.copysign(b)
        }
        /// Whether [`small_pow`] is for this exponent, or for one less.
        #[inline(always)]
        pub fn is_small_power(b: $T) -> bool {
            (b == 2.0) | (b == 3.0)
        }
        /// `pow` for the exponents 1, 2 and 3, as products.
        #[inline(always)]
        pub fn small_pow(a: $T, b: $T) -> $T {
            let square = a * a;
            select(b == 1.0, a, select(b == 2.0, square, square * a))
        }
        #[inline(always)]
        pub fn sqrt(x: $T) -> $T {
            x.sqrt()
        }
        #[inline(always)]
        pub fn rsqrt(x: $T) -> $T {
            1.0 / x.sqrt()
        }
        #[inline(always)]
        pub fn polygamma(n: $T, x: $T) -> $T {
            $crate::rows::special::polygamma(n as f64, x as f64) as $T
        }
    };
}
pub(super) use float_vocabulary;

/// The functions of the standard library, and of ours that have branches: for processors without fused multiply-add.
macro_rules! library_functions {
    ($T:ident) => {
        #[inline(always)]
        pub fn pow(a: $T, b: $T) -> $T {
            a.powf(b)
        }
        #[inline(always)]
        pub fn hypot(a: $T, b: $T) -> $T {
            a.hypot(b)
        }
        #[inline(always)]
        pub fn atan2(a: $T, b: $T) -> $T {
            a.atan2(b)
        }
        #[inline(always)]
        pub fn asin(x: $T) -> $T {
            x.asin()
        }
        #[inline(always)]
        pub fn acos(x: $T) -> $T {
            x.acos()
        }
        #[inline(always)]
        pub fn atan(x: $T) -> $T {
            x.atan()
        }
        #[inline(always)]
        pub fn sinh(x: $T) -> $T {
            x.sinh()
        }
        #[inline(always)]
        pub fn cosh(x: $T) -> $T {
            x.cosh()
        }
        // The standard library's overflow, and lose what is near 1.
        #[inline(always)]
        pub fn asinh(x: $T) -> $T {
            libm::asinh(x as f64) as $T
        }
        #[inline(always)]
        pub fn acosh(x: $T) -> $T {
            select(x < 1.0, $T::NAN, libm::acosh(x as f64) as $T)
        }
        #[inline(always)]
        pub fn atanh(x: $T) -> $T {
            libm::atanh(x as f64) as $T
        }
        #[inline(always)]
        pub fn erfc(x: $T) -> $T {
            libm::erfc(x as f64) as $T
        }
        #[inline(always)]
        pub fn erfinv(x: $T) -> $T {
            $crate::rows::special::erfinv(x as f64) as $T
        }
        #[inline(always)]
        pub fn lgamma(x: $T) -> $T {
            $crate::rows::special::lgamma(x as f64) as $T
        }
        #[inline(always)]
        pub fn digamma(x: $T) -> $T {
            $crate::rows::special::digamma(x as f64) as $T
        }
    };
}
pub(super) use library_functions;
