//! Inverse sine, cosine and tangent.

use super::{polynomial, select};
use std::f64::consts::{FRAC_PI_2, PI};

/// π/2 less [`FRAC_PI_2`].
const HALF_PI_LESS: f64 = 6.123233995736766e-17;

/// `asin(s) - s` divided by `s³`, of `z = s²` up to a quarter.
#[inline(always)]
fn arc(z: f64) -> f64 {
    const C: [f64; 12] = [
        0.1666666666666664631,
        7.50000000002238182e-2,
        4.464285710102022103e-2,
        3.038194751266562812e-2,
        2.23720430413794323e-2,
        1.735534496889477862e-2,
        1.392866801623613392e-2,
        1.188283588576055823e-2,
        7.767755932623350394e-3,
        1.614034450885665564e-2,
        -1.092558561685445274e-2,
        2.82976302377854691e-2,
    ];
    polynomial(z, C)
}

/// The argument of [`arc`]'s series and its square: |x| up to a half, beyond it the sine of half the complement's angle.
#[inline(always)]
fn halved(x: f64) -> (bool, f64, f64) {
    let size = x.abs();
    let beyond = size > 0.5;
    let z = select(beyond, size.mul_add(-0.5, 0.5), size * size);
    (beyond, select(beyond, z.sqrt(), size), z)
}

#[inline(always)]
pub fn asin(x: f64) -> f64 {
    let (beyond, s, z) = halved(x);
    let a = (s * z).mul_add(arc(z), s);
    let far = FRAC_PI_2 - (2.0 * a - HALF_PI_LESS);
    select(beyond, far, a).copysign(x)
}

#[inline(always)]
pub fn acos(x: f64) -> f64 {
    let (beyond, s, z) = halved(x);
    let tail = s * z * arc(z);
    let a = s + tail;
    let signed = a.copysign(x);
    let near = FRAC_PI_2 - (signed - HALF_PI_LESS);
    let far = select(x < 0.0, PI - 2.0 * (a - HALF_PI_LESS), 2.0 * a);
    select(beyond, far, near)
}

/// The angle whose tangent is `t`, between 0 and 1.
#[inline(always)]
fn angle(t: f64) -> f64 {
    const C: [f64; 20] = [
        -0.333333333333333315,
        0.1999999999999797773,
        -0.1428571428542648736,
        0.111111110952681405,
        -9.09090863205065658e-2,
        7.69229956572979046e-2,
        -6.66657048354511172e-2,
        5.881546700868131583e-2,
        -5.258174186202967115e-2,
        4.738509398741525686e-2,
        -4.262546468412677786e-2,
        3.754339004036054417e-2,
        -3.13601177932998701e-2,
        2.380576015370500925e-2,
        -1.564436474545259984e-2,
        8.4507302784109263e-3,
        -3.54022316540893384e-3,
        1.066023469674718532e-3,
        -2.036781331135277388e-4,
        1.844957622872180091e-5,
    ];
    let z = t * t;
    (t * z).mul_add(polynomial(z, C), t)
}

#[inline(always)]
pub fn atan(x: f64) -> f64 {
    let size = x.abs();
    let beyond = size > 1.0;
    let a = angle(select(beyond, 1.0 / size, size));
    select(beyond, FRAC_PI_2 - (a - HALF_PI_LESS), a).copysign(x)
}

#[inline(always)]
pub fn atan2(y: f64, x: f64) -> f64 {
    let (up, along) = (y.abs(), x.abs());
    let steep = up > along;
    let (less, more) = (select(steep, along, up), select(steep, up, along));
    // Both zero: along the axis. Both infinite: half way.
    let ratio = select(more == 0.0, 0.0, select(less == f64::INFINITY, 1.0, less / more));
    let a = angle(ratio);
    let a = select(steep, FRAC_PI_2 - (a - HALF_PI_LESS), a);
    let a = select(x.is_sign_negative(), PI - (a - 2.0 * HALF_PI_LESS), a);
    select(x.is_nan() | y.is_nan(), f64::NAN, a.copysign(y))
}
