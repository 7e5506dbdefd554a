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
