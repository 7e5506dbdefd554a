//! Sine, cosine and tangent of arguments up to [`LIMIT`]: for blocks whose arguments are all so small.

use super::{polynomial, select, ROUND};

/// Of a row's arguments: rows multiply them by π at most.
pub const LIMIT: Option<f64> = Some(1048576.0);

/// π/2 in three parts, each the rounded rest of those before (Cody and Waite, "Software Manual for the Elementary
/// Functions", 1980).
const HALF_PI: [f64; 3] = [std::f64::consts::FRAC_PI_2, 6.123233995736766e-17, -1.4973849048591833e-33];

/// The quadrant (its two low bits), and the rest of the angle, at most π/4, in two parts.
#[inline(always)]
fn split(x: f64) -> (u64, f64, f64) {
    let shifted = x.mul_add(std::f64::consts::FRAC_2_PI, ROUND);
    let quarters = shifted - ROUND;
    // Fused, the first product is taken off without an error.
    let first = quarters.mul_add(-HALF_PI[0], x);
    let second = quarters * HALF_PI[1];
    let second_lost = quarters.mul_add(HALF_PI[1], -second);
    // Either may be the larger (Knuth, "The Art of Computer Programming", 4.2.2).
    let high = first - second;
    let taken = high - first;
    let lost = (first - (high - taken)) - (second + taken);
    let low = quarters.mul_add(-HALF_PI[2], lost - second_lost);
    (shifted.to_bits(), high, low)
}

#[inline(always)]
fn short(high: f64, low: f64) -> (f64, f64) {
    const SIN: [f64; 6] = [
        -0.1666666666666666574,
        8.33333333333129492e-3,
        -1.984126983706240499e-4,
        2.755731621210594385e-6,
        -2.505114921480559498e-8,
        1.591913441579475227e-10,
    ];
    const COS: [f64; 6] = [
        4.166666666666666435e-2,
        -1.388888888888705712e-3,
        2.480158729845373028e-5,
        -2.755731715520325875e-7,
        2.087612725485495908e-9,
        -1.138150550199800657e-11,
    ];
    let z = high * high;
    let sine = high + (high * z).mul_add(polynomial(z, SIN), z.mul_add(-0.5 * low, low));
    // 1 - z/2 and what its rounding lost.
    let half = 0.5 * z;
    let most = 1.0 - half;
    let cosine = most + (((1.0 - most) - half) + (z * z).mul_add(polynomial(z, COS), -high * low));
    (sine, cosine)
}

/// The value with its sign turned where that bit of the quadrant is set.
#[inline(always)]
fn turned(value: f64, quadrant: u64) -> f64 {
    f64::from_bits(value.to_bits() ^ (quadrant & 2) << 62)
}

#[inline(always)]
pub fn sin(x: f64) -> f64 {
    let (quadrant, high, low) = split(x);
    let (s, c) = short(high, low);
    // A sum does not keep the sign of a zero.
    select(x == 0.0, x, turned(select(quadrant & 1 == 0, s, c), quadrant))
}

#[inline(always)]
pub fn cos(x: f64) -> f64 {
    let (quadrant, high, low) = split(x);
    let (s, c) = short(high, low);
    turned(select(quadrant & 1 == 0, c, s), quadrant.wrapping_add(1))
}

#[inline(always)]
pub fn tan(x: f64) -> f64 {
    let (quadrant, high, low) = split(x);
    let (s, c) = short(high, low);
    let even = quadrant & 1 == 0;
    let value = select(even, s, -c) / select(even, c, s);
    select(x == 0.0, x, value)
}
