//! Logarithm of the gamma function and its derivative, to f32's precision: the asymptotic series beyond 8, where a product
//! of eight factors brings every argument (Abramowitz and Stegun, "Handbook of Mathematical Functions", 6.1.40 and 6.3.18).

use super::logarithm::log;
use super::{polynomial, select};
use std::f64::consts::PI;

/// The argument at 8 or beyond; the product of what was passed on the way, and its derivative.
#[inline(always)]
fn raised(x: f64) -> (f64, f64, f64) {
    let (mut product, mut slope) = (x, 1.0f64);
    let mut step = 1.0;
    while step < 8.0 {
        let factor = x + step;
        slope = slope.mul_add(factor, product);
        product *= factor;
        step += 1.0;
    }
    let low = x < 8.0;
    (select(low, x + 8.0, x), select(low, product, 1.0), select(low, slope, 0.0))
}

/// Sine and cosine of π times the fraction of `x`, the one without its sign.
#[inline(always)]
fn turn(x: f64) -> (f64, f64) {
    // Taylor's, to 2⁻⁴⁰ of the value up to a quarter turn.
    let rest = x - x.round_ties_even();
    let a = PI * rest.abs();
    // The sine of the complement is the cosine, and its argument is small where that is.
    let b = PI * (0.5 - rest.abs());
    let sine = |a: f64| {
        let z = a * a;
        const C: [f64; 9] = [
            1.0,
            -1.0 / 6.0,
            1.0 / 120.0,
            -1.0 / 5040.0,
            1.0 / 362880.0,
            -1.0 / 39916800.0,
            1.0 / 6227020800.0,
            -1.0 / 1307674368000.0,
            1.0 / 355687428096000.0,
        ];
        a * polynomial(z, C)
    };
    (sine(a), sine(b).copysign(rest))
}

#[inline(always)]
pub fn lgamma(x: f64) -> f64 {
    const C: [f64; 7] =
        [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360360.0, 1.0 / 156.0];
    const HALF_LOG_TAU: f64 = 0.918938533204672742;
    let mirrored = x < 0.5;
    let (w, product, _) = raised(select(mirrored, 1.0 - x, x));
    let inverse = 1.0 / w;
    let series = inverse.mul_add(polynomial(inverse * inverse, C), HALF_LOG_TAU);
    let stirling = (w - 0.5).mul_add(log(w), series - w);
    // Γ(x) Γ(1 - x) = π / sin πx.
    let rest = log(select(mirrored, PI * product, 1.0) / select(mirrored, turn(x).0, product));
    let y = rest + select(mirrored, -stirling, stirling);
    // The roots are exact.
    let y = select((x == 1.0) | (x == 2.0), 0.0, y);
    select(x.abs() == f64::INFINITY, f64::INFINITY, y)
}

#[inline(always)]
pub fn digamma(x: f64) -> f64 {
    const C: [f64; 7] =
        [1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0, 1.0 / 132.0, -691.0 / 32760.0, 1.0 / 12.0];
    let mirrored = x < 0.0;
    let (w, product, slope) = raised(select(mirrored, 1.0 - x, x));
    let inverse = 1.0 / w;
    let square = inverse * inverse;
    let direct = log(w) - 0.5f64.mul_add(inverse, square.mul_add(polynomial(square, C), slope / product));
    let (sine, cosine) = turn(x);
    let y = select(mirrored, direct - PI * cosine / sine, direct);
    let pole = select(x == 0.0, f64::INFINITY.copysign(-x), f64::NAN);
    let y = select((x <= 0.0) & (x == x.trunc()), pole, y);
    select(x == f64::INFINITY, x, y)
}
