//! Logarithms, and the inverse hyperbolic functions made of them.

use super::{polynomial, select, LN2};
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LOG10_E, LOG2_E};

/// `x = 2ᵏ (1 + f)` with 1 + f between √½ and √2, for a positive x.
#[inline(always)]
pub(super) fn split(x: f64) -> (f64, f64) {
    const LOWEST: u64 = FRAC_1_SQRT_2.to_bits();
    const ONE: u64 = 1.0f64.to_bits();
    let subnormal = x < f64::MIN_POSITIVE;
    let bits = select(subnormal, x * 18014398509481984.0, x).to_bits();
    // The exponent with its bias, so that no shift need know of signs.
    let exponent = bits.wrapping_sub(LOWEST).wrapping_add(ONE) >> 52;
    let f = f64::from_bits(bits.wrapping_sub(exponent << 52).wrapping_add(ONE)) - 1.0;
    // 2⁵² with an integer in its low bits.
    let k = f64::from_bits(exponent | 4503599627370496.0f64.to_bits()) - (4503599627370496.0 + 1023.0);
    (k - select(subnormal, 54.0, 0.0), f)
}

/// `log(1 + f) - f` in two parts, the larger first: by `s = f / (2 + f)` (as in Sun's fdlibm, 1993).
#[inline(always)]
fn less(f: f64) -> (f64, f64) {
    const C: [f64; 7] = [
        0.666666666666666963,
        0.39999999999899688,
        0.285714286260147887,
        0.2222221112086998074,
        0.1818289040136729373,
        0.15331674492091793,
        0.1461706549079375972,
    ];
    let s = f / (2.0 + f);
    let z = s * s;
    let half = 0.5 * f * f;
    (-half, s * z.mul_add(polynomial(z, C), half))
}

/// What all logarithms are at 0, below, and at infinity; `y` elsewhere.
#[inline(always)]
fn edges(x: f64, y: f64) -> f64 {
    let edge = select(x == 0.0, f64::NEG_INFINITY, select(x == f64::INFINITY, x, f64::NAN));
    select((x > 0.0) & (x < f64::INFINITY), y, edge)
}

/// The sum of `k` logarithms of 2 and `log(1 + f) + more`.
#[inline(always)]
fn natural(k: f64, f: f64, more: f64) -> f64 {
    let (large, small) = less(f);
    k.mul_add(LN2[0], f + (large + (small + k.mul_add(LN2[1], more))))
}

#[inline(always)]
pub fn log(x: f64) -> f64 {
    let (k, f) = split(x);
    edges(x, natural(k, f, 0.0))
}

/// To another base: `one` is that base's logarithm of e, `two` that of 2, each with what its rounding left.
#[inline(always)]
fn to_base(x: f64, one: [f64; 2], two: [f64; 2]) -> f64 {
    let (k, f) = split(x);
    let (large, small) = less(f);
    let high = f + large;
    let low = (f - high) + large + small;
    let product = high * one[0];
    let lost = high.mul_add(one[0], -product) + low.mul_add(one[0], high * one[1]);
    // A power of two is exact only if nothing else is added.
    let whole = k * two[0];
    let sum = whole + product;
    edges(x, sum + (k.mul_add(two[1], (whole - sum) + product) + (k.mul_add(two[0], -whole) + lost)))
}

#[inline(always)]
pub fn log2(x: f64) -> f64 {
    to_base(x, [LOG2_E, 2.0355273740931033e-17], [1.0, 0.0])
}

#[inline(always)]
pub fn log10(x: f64) -> f64 {
    to_base(x, [LOG10_E, 1.098319650216765e-17], [std::f64::consts::LOG10_2, -2.8037281277851704e-18])
}

#[inline(always)]
pub fn log1p(x: f64) -> f64 {
    let u = 1.0 + x;
    let lost = select(x > 1.0, 1.0 - (u - x), x - (u - 1.0));
    let (k, f) = split(u);
    // Where no power of two is taken out, x itself is what the sum is short of.
    let y = natural(k, select(k == 0.0, x, f), select(k == 0.0, 0.0, lost / u));
    select(x == 0.0, x, edges(u, y))
}

#[inline(always)]
pub fn asinh(x: f64) -> f64 {
    let size = x.abs();
    let far = size > 1e20;
    let near = size + size * size / (1.0 + size.mul_add(size, 1.0).sqrt());
    (log1p(select(far, size, near)) + select(far, LN_2, 0.0)).copysign(x)
}

#[inline(always)]
pub fn acosh(x: f64) -> f64 {
    let far = x > 1e20;
    let above = x - 1.0;
    let y = log1p(select(far, x, above + above.mul_add(above, 2.0 * above).sqrt())) + select(far, LN_2, 0.0);
    select(above < 0.0, f64::NAN, y)
}

#[inline(always)]
pub fn atanh(x: f64) -> f64 {
    let size = x.abs();
    (0.5 * log1p(2.0 * size / (1.0 - size))).copysign(x)
}

/// To f32's precision, for arguments that are f32.
pub mod short {
    use super::{log, select};

    /// Below it, the first two terms of the series are all: the logarithm of about 1 is not.
    const SMALL: f64 = 1e-4;

    #[inline(always)]
    pub fn asinh(x: f64) -> f64 {
        let size = x.abs();
        let small = size * (size * size).mul_add(-1.0 / 6.0, 1.0);
        let y = log(size + size.mul_add(size, 1.0).sqrt());
        select(size < SMALL, small, y).copysign(x)
    }

    #[inline(always)]
    pub fn acosh(x: f64) -> f64 {
        let y = log(x + x.mul_add(x, -1.0).sqrt());
        select(x < 1.0, f64::NAN, y)
    }

    #[inline(always)]
    pub fn atanh(x: f64) -> f64 {
        let size = x.abs();
        let small = size * (size * size).mul_add(1.0 / 3.0, 1.0);
        let y = 0.5 * log((1.0 + size) / (1.0 - size));
        select(size < SMALL, small, y).copysign(x)
    }
}
