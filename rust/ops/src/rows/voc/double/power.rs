//! Powers, and lengths.

use super::exponential::exp_of_sum;
use super::logarithm::{log, split};
use super::{polynomial, select, LN2};

/// The sum of two numbers, the larger first, and what its rounding lost (Dekker, 1971).
#[inline(always)]
fn sum(large: f64, small: f64) -> (f64, f64) {
    let total = large + small;
    (total, (large - total) + small)
}

/// The product and what its rounding lost.
#[inline(always)]
fn product(a: f64, b: f64) -> (f64, f64) {
    let total = a * b;
    (total, a.mul_add(b, -total))
}

/// The logarithm of a positive number in two parts, together to about 2⁻⁶⁵ of it.
#[inline(always)]
fn long_log(x: f64) -> (f64, f64) {
    // The series of 2 artanh(s) / s beyond its first two terms.
    const C: [f64; 9] = [
        0.400000000000000022,
        0.285714285714249394,
        0.2222222222395474622,
        0.181818178106827183,
        0.1538465757226971098,
        0.1333060933147857119,
        0.1186516037706213111,
        8.54668206711921702e-2,
        0.2602939632984618834,
    ];
    const TWO_THIRDS: (f64, f64) = (0.6666666666666666, 3.700743415417188e-17);
    let (k, f) = split(x);
    // s = f / (2 + f), with the division's remainder.
    let (divisor, divisor_less) = sum(2.0, f);
    let s = f / divisor;
    let s_less = (s.mul_add(-divisor, f) - s * divisor_less) / divisor;
    let (z, z_lost) = product(s, s);
    let z_less = (2.0 * s).mul_add(s_less, z_lost);
    let (c, c_lost) = sum(TWO_THIRDS.0, z * polynomial(z, C));
    let c_less = c_lost + TWO_THIRDS.1;
    let (t, t_lost) = product(z, c);
    let t_less = t_lost + z.mul_add(c_less, z_less * c);
    let (u, u_lost) = product(s, t);
    let u_less = u_lost + s.mul_add(t_less, s_less * t);
    let (near, near_lost) = sum(2.0 * s, u);
    let near_less = near_lost + 2.0f64.mul_add(s_less, u_less);
    let (whole, whole_lost) = product(k, LN2[0]);
    let (high, high_lost) = sum(whole, near);
    // Without a power of two, `near` is the larger.
    let high_lost = select(k == 0.0, 0.0, high_lost);
    sum(high, high_lost + (whole_lost + k.mul_add(LN2[1], near_less)))
}

/// `of(|x|, y)`, the power of a positive number, made one for every x and y as the standard of C says.
#[inline(always)]
fn everywhere(x: f64, y: f64, power: f64) -> f64 {
    let whole = y == y.floor();
    let half = 0.5 * y;
    let odd = whole & (half != half.floor());
    let size = x.abs();
    // The logarithm's infinite edges.
    let grows = (size > 1.0) == (y > 0.0);
    let edge = select(grows, f64::INFINITY, 0.0);
    let extreme = (size == 0.0) | (size == f64::INFINITY) | (y.abs() == f64::INFINITY);
    let value = select(extreme, edge, power);
    let value = select(size == 1.0, 1.0, value);
    let signed = select(odd & x.is_sign_negative(), -value, value);
    let none = ((x < 0.0) & (size != f64::INFINITY) & !whole) | x.is_nan() | y.is_nan();
    let signed = select(none, f64::NAN, signed);
    select((y == 0.0) | (x == 1.0), 1.0, signed)
}

#[inline(always)]
pub fn pow(x: f64, y: f64) -> f64 {
    let (high, low) = long_log(x.abs());
    let (large, lost) = product(y, high);
    let small = y.mul_add(low, lost);
    // Beyond the exponential's range, rests are noise.
    let power = exp_of_sum(large, select(large.abs() < 1000.0, small, 0.0));
    everywhere(x, y, power)
}

/// To f32's precision.
#[inline(always)]
pub fn short_pow(x: f64, y: f64) -> f64 {
    everywhere(x, y, exp_of_sum(y * log(x.abs()), 0.0))
}

#[inline(always)]
pub fn hypot(x: f64, y: f64) -> f64 {
    const FAR: f64 = 1.157920892373162e77;
    let (x, y) = (x.abs(), y.abs());
    let more = select(x > y, x, y);
    // Powers of two that keep the squares in range.
    let scale = select(more > FAR, 1.0 / (FAR * FAR), select(more < 1.0 / FAR, FAR * FAR, 1.0));
    let (a, b) = (x * scale, y * scale);
    let length = a.mul_add(a, b * b).sqrt() / scale;
    select((x == f64::INFINITY) | (y == f64::INFINITY), f64::INFINITY, length)
}
