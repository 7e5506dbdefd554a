//! The vocabulary in f32 for processors with fused multiply-add.

use super::float::float_vocabulary;
use super::poly::f32_polynomials;

pub use super::circle::{cos, sin, tan};
pub use super::near;

#[inline(always)]
fn fma(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

float_vocabulary! { f32 }
f32_polynomials! {}

/// The functions of f64, rounded: half as many lanes, and next to no error.
macro_rules! rounded {
    ($($name:ident ($($arg:ident),*) from $($path:ident)::+;)*) => {
        $(#[inline(always)]
        pub fn $name($($arg: f32),*) -> f32 {
            super::double::$($path)::+($($arg as f64),*) as f32
        })*
    };
}
rounded! {
    acos(x) from inverse_circle::acos;
    acosh(x) from logarithm::short::acosh;
    asin(x) from inverse_circle::asin;
    asinh(x) from logarithm::short::asinh;
    atan(x) from inverse_circle::atan;
    atan2(a, b) from inverse_circle::atan2;
    atanh(x) from logarithm::short::atanh;
    cosh(x) from exponential::cosh;
    digamma(x) from gamma::digamma;
    erfc(x) from error_function::erfc;
    erfinv(x) from error_function::erfinv;
    lgamma(x) from gamma::lgamma;
    pow(a, b) from power::short_pow;
    sinh(x) from exponential::sinh;
}

/// f64 has room for the squares.
#[inline(always)]
pub fn hypot(a: f32, b: f32) -> f32 {
    let (x, y) = (a as f64, b as f64);
    let length = x.mul_add(x, y * y).sqrt() as f32;
    select(isinf(a) | isinf(b), f32::INFINITY, length)
}
