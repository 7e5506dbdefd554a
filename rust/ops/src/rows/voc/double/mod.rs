//! Functions of f64 without branches, for processors with fused multiply-add: loops of them vectorise. The functions of
//! f32 that have no form of their own are these, rounded.
//!
//! Bounds of the error stand in tests/doubles.rs, which checks them. The polynomials are of least relative error, with
//! coefficients that are f64 (Brisebarre and Chevillard, "Efficient polynomial L-infinity approximations", 2007).

pub mod circle;
pub mod error_function;
pub mod exponential;
pub mod gamma;
pub mod inverse_circle;
pub mod logarithm;
pub mod power;

/// Horner's scheme, lowest coefficient first.
#[inline(always)]
fn polynomial<const N: usize>(x: f64, c: [f64; N]) -> f64 {
    let mut sum = c[N - 1];
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = sum.mul_add(x, c[i]);
    }
    sum
}

/// 1.5 · 2⁵²: adding it rounds to an integer in the low bits.
const ROUND: f64 = 6755399441055744.0;

/// 2ⁿ where `shifted` is `n + ROUND` and n an exponent of normal numbers; infinity for 1024.
#[inline(always)]
fn power_of_two(shifted: f64) -> f64 {
    f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()))
}

/// ln 2, and what its rounding left.
const LN2: [f64; 2] = [std::f64::consts::LN_2, 2.3190468138462996e-17];

#[inline(always)]
fn select(c: bool, a: f64, b: f64) -> f64 {
    if c {
        a
    } else {
        b
    }
}

/// Bounds that let NaN through, unlike `clamp` by `min` and `max`.
#[inline(always)]
fn within(x: f64, low: f64, high: f64) -> f64 {
    let x = select(x > high, high, x);
    select(x < low, low, x)
}
