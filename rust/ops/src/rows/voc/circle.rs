//! Sine, cosine and tangent of f32 for every argument up to the largest, without branches, in f64 arithmetic.
//!
//! The angle is counted in quarter turns: `x · 2/π`, with 2/π in pieces of so few bits that every product is exact, and
//! whole turns dropped from each. (The idea is Payne and Hanek's, "Radian Reduction for Trigonometric Functions", 1983.)
//! Rounding must be an instruction: for processors that have it.

use std::f64::consts::FRAC_PI_2;

/// 2/π by 29 bits each: with an f32's 24 they make 53. Of the largest f32 the seventh still tells the angle.
const PIECES: [f64; 7] = [
    0.636619770899415,
    1.4681663246252086e-9,
    2.2760100671971816e-18,
    5.8812147387730434e-27,
    1.0346868700836215e-35,
    3.783256351091319e-45,
    3.720474878517739e-53,
];

/// The quadrant (its two low bits), and the rest of the angle: at most π/4.
#[inline(always)]
fn split(x: f32) -> (u64, f64) {
    let x = f64::from(x);
    let (mut rest, mut quarters) = (0.0, 0.0);
    for piece in PIECES {
        let part = x * piece;
        // Of what is huge nothing is left, of infinity NaN.
        rest += part - 4.0 * (0.25 * part).round_ties_even();
        let whole = rest.round_ties_even();
        rest -= whole;
        quarters += whole;
    }
    // Adding 1.5 · 2⁵² puts an integer into the low bits.
    ((quarters + 6755399441055744.0).to_bits(), rest * FRAC_PI_2)
}

/// Taylor's polynomials: to 2⁻²⁹ of the value where the angle is at most π/4.
#[inline(always)]
pub(super) fn short_sin(a: f64) -> f64 {
    let s = a * a;
    let tail = s.mul_add(s.mul_add(s.mul_add(1.0 / 362880.0, -1.0 / 5040.0), 1.0 / 120.0), -1.0 / 6.0);
    (a * s).mul_add(tail, a)
}

#[inline(always)]
pub(super) fn short_cos(a: f64) -> f64 {
    let s = a * a;
    let tail = s.mul_add(s.mul_add(s.mul_add(-1.0 / 3628800.0, 1.0 / 40320.0), -1.0 / 720.0), 1.0 / 24.0);
    s.mul_add(s.mul_add(tail, -0.5), 1.0)
}

/// The value with its sign turned where that bit of the quadrant is set.
#[inline(always)]
fn turned(value: f64, quadrant: u64) -> f64 {
    f64::from_bits(value.to_bits() ^ (quadrant & 2) << 62)
}

#[inline(always)]
pub fn sin(x: f32) -> f32 {
    let (quadrant, a) = split(x);
    let value = if quadrant & 1 == 0 { short_sin(a) } else { short_cos(a) };
    // A sum does not keep the sign of a zero.
    if x == 0.0 {
        x
    } else {
        turned(value, quadrant) as f32
    }
}

#[inline(always)]
pub fn cos(x: f32) -> f32 {
    let (quadrant, a) = split(x);
    let value = if quadrant & 1 == 0 { short_cos(a) } else { short_sin(a) };
    turned(value, quadrant.wrapping_add(1)) as f32
}

#[inline(always)]
pub fn tan(x: f32) -> f32 {
    let (quadrant, a) = split(x);
    let (s, c) = (short_sin(a), short_cos(a));
    let value = if quadrant & 1 == 0 { s / c } else { -c / s };
    if x == 0.0 {
        x
    } else {
        value as f32
    }
}
