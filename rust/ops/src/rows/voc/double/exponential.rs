//! The exponential and what is made of it.

use super::{polynomial, power_of_two, select, within, LN2, ROUND};

/// `x = n ln 2 + r` with |r| ≤ ln 2 / 2: n, and `exp(r) - 1` in two parts, the first r to a place. `more` is what `x` lacks,
/// below its last place.
#[inline(always)]
fn reduce(x: f64, more: f64) -> (f64, f64, f64) {
    const C: [f64; 10] = [
        0.500000000000000111,
        0.1666666666666664354,
        4.16666666666229979e-2,
        8.33333333335633392e-3,
        1.388888891760809308e-3,
        1.98412697847861417e-4,
        2.480152078993184167e-5,
        2.755735493741427038e-6,
        2.762030239008243626e-7,
        2.506851727667697526e-8,
    ];
    let n = x.mul_add(std::f64::consts::LOG2_E, ROUND) - ROUND;
    let high = n.mul_add(-LN2[0], x);
    let low = n.mul_add(-LN2[1], more);
    let r = high + low;
    (n, high, (r * r).mul_add(polynomial(r, C), low))
}

/// `(1 + high + low) 2ⁿ` in two steps, because 2¹⁰²⁴ and the subnormals are out of reach of one.
#[inline(always)]
fn scaled(n: f64, high: f64, low: f64) -> f64 {
    let shifted = n.mul_add(0.5, ROUND);
    let rest = n - (shifted - ROUND) + ROUND;
    let most = 1.0 + high;
    let sum = most + ((1.0 - most) + high + low);
    sum * power_of_two(shifted) * power_of_two(rest)
}

/// `exp(x + more)`.
#[inline(always)]
pub(super) fn exp_of_sum(x: f64, more: f64) -> f64 {
    let (n, high, low) = reduce(within(x, -746.0, 710.0), more);
    scaled(n, high, low)
}

#[inline(always)]
pub fn exp(x: f64) -> f64 {
    exp_of_sum(x, 0.0)
}

#[inline(always)]
pub fn exp2(x: f64) -> f64 {
    let x = within(x, -1076.0, 1024.0);
    let n = (x + ROUND) - ROUND;
    let r = (x - n) * LN2[0];
    let (_, high, low) = reduce(r, (x - n).mul_add(LN2[1], (x - n).mul_add(LN2[0], -r)));
    scaled(n, high, low)
}

/// What is smaller is its own `exp(x) - 1`, of which a quarter may be subnormal.
const TINY: f64 = 1e-300;

/// A quarter of `exp(x) - 1`, which does not overflow where half of it does not.
#[inline(always)]
fn quarter_expm1(x: f64) -> f64 {
    let (n, high, low) = reduce(within(x, -40.0, 710.6), 0.0);
    let quarter = power_of_two(n - 2.0 + ROUND);
    quarter.mul_add(high + low, quarter - 0.25)
}

#[inline(always)]
pub fn expm1(x: f64) -> f64 {
    select(x.abs() < TINY, x, 4.0 * quarter_expm1(x))
}

#[inline(always)]
pub fn sinh(x: f64) -> f64 {
    let h = quarter_expm1(x.abs());
    select(x.abs() < TINY, x, (2.0 * (h + h / h.mul_add(4.0, 1.0))).copysign(x))
}

#[inline(always)]
pub fn cosh(x: f64) -> f64 {
    let (n, high, low) = reduce(within(x.abs(), 0.0, 710.6), 0.0);
    let half = scaled(n - 1.0, high, low);
    half + 0.25 / half
}

#[inline(always)]
pub fn tanh(x: f64) -> f64 {
    let size = x.abs();
    let near = size < 0.5;
    let twice = 2.0 * within(size, 0.0, 20.0);
    let e = 4.0 * quarter_expm1(select(near, -twice, twice));
    // Near 1 what is short of it is small, and so is its error.
    let part = select(near, -e, 2.0) / (e + 2.0);
    select(near, part, 1.0 - part).copysign(x)
}

/// The exponential of the negative side only, so that nothing overflows and small values stay exact.
#[inline(always)]
pub fn sigmoid(x: f64) -> f64 {
    let e = exp(-x.abs());
    let side = select(x < 0.0, e, 1.0);
    // As side / (1 + e), but for the rounding of 1 + e.
    side.mul_add(-(e / (1.0 + e)), side)
}
