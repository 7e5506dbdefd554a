//! Sine, cosine and tangent of f32 up to [`LIMIT`], for processors with fused multiply-add: what [`circle`](super::circle) does for
//! all, in a third of the time; and the exponential up to [`EXP_LIMIT`]. Loops use them for blocks whose arguments are all
//! so small.

use super::circle::{short_cos, short_sin};
pub use super::f32_fma::exp_normal as exp;

/// Of a row's arguments: rows multiply them by π at most.
pub const LIMIT: Option<f32> = Some(8192.0);

/// Of the exponential's argument.
pub const EXP_LIMIT: Option<f32> = Some(86.0);

/// π/2 in three parts, each the rounded rest of those before (Cody and Waite, "Software Manual for the Elementary
/// Functions", 1980). Fused, their multiples are exact until they are subtracted.
const HALF_PI: [f32; 3] = [1.5707964, -4.371139e-8, -1.7151245e-15];

/// The quadrant (its two low bits), and the rest of the angle: at most π/4.
#[inline(always)]
fn split(x: f32) -> (u32, f32) {
    // Adding 1.5 · 2²³ rounds to an integer in the low bits.
    const ROUND: f32 = 12582912.0;
    let shifted = x.mul_add(std::f32::consts::FRAC_2_PI, ROUND);
    let quarters = shifted - ROUND;
    let rest = HALF_PI.into_iter().fold(x, |rest, part| quarters.mul_add(-part, rest));
    (shifted.to_bits(), rest)
}

/// Odd and even polynomials of least relative error up to π/4.
#[inline(always)]
fn short(a: f32) -> (f32, f32) {
    let s = a * a;
    let odd = s.mul_add(s.mul_add(s.mul_add(2.7173667e-6, -0.00019839233), 0.008333329), -0.16666667);
    let even = s.mul_add(s.mul_add(2.442568e-5, -0.0013887251), 0.041666646);
    ((a * s).mul_add(odd, a), (s * s).mul_add(even, s.mul_add(-0.5, 1.0)))
}

/// The value with its sign turned where that bit of the quadrant is set.
#[inline(always)]
fn turned(value: f32, quadrant: u32) -> f32 {
    f32::from_bits(value.to_bits() ^ (quadrant & 2) << 30)
}

#[inline(always)]
pub fn sin(x: f32) -> f32 {
    let (quadrant, a) = split(x);
    let (s, c) = short(a);
    // A sum does not keep the sign of a zero.
    if x == 0.0 {
        x
    } else {
        turned(if quadrant & 1 == 0 { s } else { c }, quadrant)
    }
}

#[inline(always)]
pub fn cos(x: f32) -> f32 {
    let (quadrant, a) = split(x);
    let (s, c) = short(a);
    turned(if quadrant & 1 == 0 { c } else { s }, quadrant.wrapping_add(1))
}

/// In f64: a quotient of two rounded values would be off by more than either.
#[inline(always)]
pub fn tan(x: f32) -> f32 {
    // Adding 1.5 · 2⁵² rounds to an integer in the low bits.
    const ROUND: f64 = 6755399441055744.0;
    let wide = f64::from(x);
    let shifted = wide.mul_add(std::f64::consts::FRAC_2_PI, ROUND);
    let quarters = shifted - ROUND;
    let rest = quarters.mul_add(-6.123233995736766e-17, quarters.mul_add(-std::f64::consts::FRAC_PI_2, wide));
    let (s, c) = (short_sin(rest), short_cos(rest));
    let even = shifted.to_bits() & 1 == 0;
    let value = if even { s } else { -c } / if even { c } else { s };
    if x == 0.0 {
        x
    } else {
        value as f32
    }
}
