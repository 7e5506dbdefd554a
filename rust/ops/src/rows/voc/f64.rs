//! The vocabulary in f64 by the library's functions: what others are measured against.

use super::float::{float_vocabulary, library_functions};

float_vocabulary! { f64 }
library_functions! { f64 }

#[inline(always)]
pub fn exp(x: f64) -> f64 {
    x.exp()
}
#[inline(always)]
pub fn exp2(x: f64) -> f64 {
    x.exp2()
}
#[inline(always)]
pub fn log2(x: f64) -> f64 {
    x.log2()
}
#[inline(always)]
pub fn log10(x: f64) -> f64 {
    x.log10()
}
#[inline(always)]
pub fn expm1(x: f64) -> f64 {
    x.exp_m1()
}
#[inline(always)]
pub fn log(x: f64) -> f64 {
    x.ln()
}
#[inline(always)]
pub fn log1p(x: f64) -> f64 {
    x.ln_1p()
}
#[inline(always)]
pub fn sin(x: f64) -> f64 {
    x.sin()
}
#[inline(always)]
pub fn cos(x: f64) -> f64 {
    x.cos()
}
#[inline(always)]
pub fn tan(x: f64) -> f64 {
    x.tan()
}
#[inline(always)]
pub fn tanh(x: f64) -> f64 {
    x.tanh()
}
#[inline(always)]
pub fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    select(x < 0.0, e, 1.0) / (1.0 + e)
}
#[inline(always)]
pub fn erf(x: f64) -> f64 {
    libm::erf(x)
}
#[inline(always)]
pub fn nextafter(a: f64, b: f64) -> f64 {
    libm::nextafter(a, b)
}

/// There are no faster forms for small arguments.
pub mod near {
    pub const LIMIT: Option<f64> = None;
    pub const EXP_LIMIT: Option<f64> = None;
    pub use super::{cos, exp, sin, tan};
}
