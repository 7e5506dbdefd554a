//! The vocabulary in f32 without fused multiply-add, where `mul_add` would be a slow library call.

use super::float::float_vocabulary;
use super::poly::f32_polynomials;

#[inline(always)]
fn fma(a: f32, b: f32, c: f32) -> f32 {
    a * b + c
}

float_vocabulary! { f32 }
f32_polynomials! {}
