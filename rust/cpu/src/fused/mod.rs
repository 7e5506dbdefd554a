//! Kernels of ops that also have a definition as compositions: softmax, linear, cross-entropy, layer norm
//! and attention, forwards and backwards, for f32 and f64.

mod attention;
mod cross_entropy;
mod layer_norm;
mod linear;
mod softmax;

use crate::buffer::Buffer;
use crate::matmul::Float;
use crate::strided::{dense_mut, Number};
use std::ops::{Add, Div, Mul, Sub};
use wengert_ops::rows::voc::f32_base;
use wengert_ops::{DType, Error, Op, Result, View, ViewMut};

/// See [`wengert_ops::Backend::fused`].
pub fn fused(op: &Op, inputs: &[View<'_, Buffer>], outputs: &[ViewMut<'_, Buffer>]) -> Result<bool> {
    match inputs.first().map(|x| x.dtype) {
        Some(DType::F32) => forward::<f32>(op, inputs, outputs),
        Some(DType::F64) => forward::<f64>(op, inputs, outputs),
        _ => Ok(false),
    }
}

/// See [`wengert_ops::Backend::fused_vjp`]. Inputs and outputs:
/// softmax (g, y) → gx; cross-entropy (g, log-softmax, targets) → glogits; layer norm (g, x, mean, rstd) → gx;
/// attention (g, q, k, v, y, log-sums, mask?) → gq, gk, gv.
pub fn fused_vjp(op: &Op, inputs: &[View<'_, Buffer>], outputs: &[ViewMut<'_, Buffer>]) -> Result<bool> {
    match inputs.first().map(|x| x.dtype) {
        Some(DType::F32) => backward::<f32>(op, inputs, outputs),
        Some(DType::F64) => backward::<f64>(op, inputs, outputs),
        _ => Ok(false),
    }
}

fn forward<T: Real>(op: &Op, inputs: &[View<'_, Buffer>], outputs: &[ViewMut<'_, Buffer>]) -> Result<bool> {
    match (op, inputs, outputs) {
        (&Op::Softmax { dim, log }, [x], [y]) => softmax::forward::<T>(dim as usize, log, *x, y)?,
        (Op::Linear, [x, w], [y]) => return linear::forward::<T>(*x, *w, None, y),
        (Op::Linear, [x, w, b], [y]) => return linear::forward::<T>(*x, *w, Some(*b), y),
        (&Op::CrossEntropy { reduction, ignore_index }, [x, t], [loss, saved]) => {
            cross_entropy::forward::<T>(reduction, ignore_index, *x, *t, loss, saved)?
        }
        (&Op::LayerNorm { dims, eps_bits }, [x], [y, mean, rstd]) => {
            layer_norm::forward::<T>(dims as usize, f64::from_bits(eps_bits), *x, y, mean, rstd)?
        }
        (&Op::Attention { causal, scale_bits }, [q, k, v, mask @ ..], [y, sums]) => {
            attention::forward::<T>(causal, f64::from_bits(scale_bits), [*q, *k, *v], mask.first().copied(), y, sums)?
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn backward<T: Real>(op: &Op, inputs: &[View<'_, Buffer>], outputs: &[ViewMut<'_, Buffer>]) -> Result<bool> {
    match (op, inputs, outputs) {
        (&Op::Softmax { dim, log }, [g, y], [gx]) => softmax::backward::<T>(dim as usize, log, *g, *y, gx)?,
        (&Op::CrossEntropy { reduction, ignore_index }, [g, saved, t], [gx]) => {
            cross_entropy::backward::<T>(reduction, ignore_index, *g, *saved, *t, gx)?
        }
        (&Op::LayerNorm { dims, .. }, [g, x, mean, rstd], [gx]) => {
            layer_norm::backward::<T>(dims as usize, *g, *x, *mean, *rstd, gx)?
        }
        (&Op::Attention { causal, scale_bits }, [g, q, k, v, y, sums, mask @ ..], [gq, gk, gv]) => {
            let inputs = [*g, *q, *k, *v, *y, *sums];
            let mask = mask.first().copied();
            attention::backward::<T>(causal, f64::from_bits(scale_bits), inputs, mask, [gq, gk, gv])?
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A float type with the functions these kernels need.
trait Real: Float + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    /// eˣ for x ≤ 0 (also −∞ and NaN).
    fn exp_falling(self) -> Self;
    fn ln(self) -> Self;
    fn sqrt(self) -> Self;
}

impl Real for f32 {
    /// Branch-free, so that loops over it vectorise. What would be subnormal is 0: denormal arithmetic is slow,
    /// and masked scores (−∞) are common.
    #[inline(always)]
    fn exp_falling(self) -> f32 {
        const SMALLEST: f32 = -87.33;
        let y = f32_base::exp(if self < SMALLEST { SMALLEST } else { self });
        if self < SMALLEST {
            0.0
        } else {
            y
        }
    }
    #[inline(always)]
    fn ln(self) -> f32 {
        f32_base::log(self)
    }
    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn exp_falling(self) -> f64 {
        f64::exp(self)
    }
    #[inline(always)]
    fn ln(self) -> f64 {
        f64::ln(self)
    }
    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
}

/// Partial results a long row is folded into, so that the fold vectorises.
const LANES: usize = 16;

/// Folds a row, elementwise into `LANES` partial results and those into one.
#[inline(always)]
fn fold<T: Number>(x: &[T], start: T, f: impl Fn(T, T) -> T, join: impl Fn(T, T) -> T) -> T {
    let chunks = x.chunks_exact(LANES);
    let mut total = chunks.remainder().iter().fold(start, |s, &v| f(s, v));
    if x.len() >= LANES {
        let mut lanes = [start; LANES];
        for chunk in chunks {
            for l in 0..LANES {
                lanes[l] = f(lanes[l], chunk[l]);
            }
        }
        for v in lanes {
            total = join(total, v);
        }
    }
    total
}

/// Folds two rows of one length, as [`fold`].
#[inline(always)]
fn fold2<T: Number>(x: &[T], y: &[T], f: impl Fn(T, T, T) -> T) -> T {
    let (chunks, others) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let tail = chunks.remainder().iter().zip(others.remainder());
    let mut total = tail.fold(T::ZERO, |s, (&a, &b)| f(s, a, b));
    if x.len() >= LANES {
        let mut lanes = [T::ZERO; LANES];
        for (a, b) in chunks.zip(others) {
            for l in 0..LANES {
                lanes[l] = f(lanes[l], a[l], b[l]);
            }
        }
        for v in lanes {
            total = total.plus(v);
        }
    }
    total
}

#[inline(always)]
fn sum<T: Number>(x: &[T]) -> T {
    fold(x, T::ZERO, T::plus, T::plus)
}

/// The largest element that is not NaN.
#[inline(always)]
fn largest<T: Real>(x: &[T]) -> T {
    let max = |a: T, b: T| if b > a { b } else { a };
    fold(x, T::LOWEST, max, max)
}

/// The output's elements; kernels write contiguous outputs only.
///
/// # Safety
/// As [`dense_mut`].
unsafe fn output<'a, T: Copy>(out: &ViewMut<'a, Buffer>, len: usize) -> Result<&'a mut [T]> {
    dense_mut(out).filter(|s| s.len() == len).ok_or_else(|| {
        Error::internal(format!("fused kernel: output {:?} should be contiguous with {len} elements", out.layout()))
    })
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn exp_is_within_two_ulp_and_keeps_the_ends() {
        let mut x = 0.0f32;
        while x > -87.3 {
            let (y, exact) = (x.exp_falling() as f64, (x as f64).exp());
            assert!((y - exact).abs() <= exact * 2.0 * f32::EPSILON as f64, "exp({x}) = {y}, not {exact}");
            x -= 0.00371;
        }
        assert_eq!(0f32.exp_falling(), 1.0);
        assert_eq!(f32::NEG_INFINITY.exp_falling(), 0.0);
        assert_eq!((-1e30f32).exp_falling(), 0.0);
        assert!(f32::NAN.exp_falling().is_nan());
    }
}
