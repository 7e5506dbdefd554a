//! The vocabulary in f32 without fused multiply-add, where `mul_add` would be a slow library call.

use super::float::{float_vocabulary, library_functions};
use super::poly::f32_polynomials;

#[inline(always)]
fn fma(a: f32, b: f32, c: f32) -> f32 {
    a * b + c
}

float_vocabulary! { f32 }
library_functions! { f32 }
f32_polynomials! {}

// Without an instruction that rounds, the library's own are faster than ours.
#[inline(always)]
pub fn sin(x: f32) -> f32 {
    x.sin()
}
#[inline(always)]
pub fn cos(x: f32) -> f32 {
    x.cos()
}
#[inline(always)]
pub fn tan(x: f32) -> f32 {
    x.tan()
}

/// There are no faster forms for small arguments.
pub mod near {
    pub const LIMIT: Option<f32> = None;
    pub const EXP_LIMIT: Option<f32> = None;
    pub use super::{cos, exp, sin, tan};
}
