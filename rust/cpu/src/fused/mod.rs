//! Kernels of ops that also have a definition as compositions: softmax, linear, cross-entropy, layer and channel
//! norm, variance, attention, the LSTM and its cell, forwards and backwards, for f32 and f64.

mod attention;
mod channel_norm;
mod cross_entropy;
mod layer_norm;
mod linear;
mod lstm;
mod lstm_sequence;
mod moments;
mod softmax;

use crate::buffer::Buffer;
use crate::elementwise::{Isa, Kernel, Lane};
use crate::lanes;
use crate::matmul::Float;
use crate::strided::{dense_mut, Number};
use std::ops::{Add, Div, Mul, Sub};
use wengert_ops::rows::voc::{f32_base, f32_fma, f64 as f64_base, f64_fma};
use wengert_ops::{DType, Error, Op, Result, Row, View, ViewMut};

/// See [`wengert_ops::Backend::fused`].
pub fn fused(op: &Op, inputs: &[View<'_, Buffer>], outputs: &[ViewMut<'_, Buffer>]) -> Result<bool> {
    match inputs.first().map(|x| x.dtype) {
        Some(DType::F32) => forward::<f32>(op, inputs, outputs),
        Some(DType::F64) => forward::<f64>(op, inputs, outputs),
        _ => Ok(false),
    }
}

/// See [`wengert_ops::Backend::fused_vjp`]. Inputs and outputs:
/// softmax (g, y) → gx; cross-entropy (g, log-softmax, targets) → glogits; layer norm (g, x, mean, rstd) → gx
/// and (g, x, mean, rstd, w) → gx, gw, gb; channel norm alike with variances for rstd; LSTM cell (gh, gc', c, c', gates) → ggates, gc;
/// LSTM (ghs, h, c, w, hs, cs, gates, gcs?) → ggates, gh, gc, gw; attention (g, q, k, v, y, log-sums, mask?, streams?) → gq, gk, gv.
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
        (Op::Linear, [x, w, b @ ..], [y]) => return linear::forward::<T>(*x, *w, b.first().copied(), y, None),
        (&Op::LinearThen { row, .. }, [x, w, b @ ..], [y, sums @ ..]) => {
            let (to, apart) = sums.first().map_or((y, None), |sums| (sums, Some(y)));
            return linear::forward::<T>(*x, *w, b.first().copied(), to, Some((row, apart)));
        }
        (&Op::CrossEntropy { reduction, ignore_index }, [x, t], [loss, saved]) => {
            cross_entropy::forward::<T>(reduction, ignore_index, *x, *t, loss, saved)?
        }
        (&Op::LayerNorm { dims, centred, eps_bits }, [x, affine @ ..], [y, mean, rstd]) => {
            layer_norm::forward::<T>(dims as usize, (centred, f64::from_bits(eps_bits)), *x, affine, y, [mean, rstd])?
        }
        (&Op::VarMean { dims, correction_bits, .. }, [x], [variance, mean]) => {
            moments::forward::<T>(dims, f64::from_bits(correction_bits), *x, [variance, mean])?
        }
        (&Op::ChannelNorm { groups, eps_bits }, [x, affine @ ..], [y, mean, variance]) => {
            channel_norm::forward::<T>(groups, f64::from_bits(eps_bits), *x, affine, y, [mean, variance])?
        }
        (Op::LstmCell, [gates, c], [h, next, values]) => lstm::forward::<T>(*gates, *c, [h, next, values])?,
        (&Op::Lstm { reverse }, [gates, h, c, w], [hs, cs, values]) => {
            lstm_sequence::forward::<T>(reverse, [*gates, *h, *c, *w], [hs, cs, values])?
        }
        (&Op::Attention { causal, scale_bits, keep_bits }, [q, k, v, more @ ..], [y, sums]) => {
            let how = attention::How::new(causal, scale_bits, keep_bits, more)?;
            attention::forward::<T>(&how, [*q, *k, *v], y, sums)?
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
        (&Op::LayerNorm { dims, centred, .. }, [g, x, mean, rstd], [gx]) => {
            layer_norm::backward::<T>(dims as usize, centred, [*g, *x, *mean, *rstd], gx)?
        }
        (&Op::LayerNorm { dims, centred, .. }, [g, x, mean, rstd, w], [gx, gw, gb]) => {
            layer_norm::backward_affine::<T>(dims as usize, centred, [*g, *x, *mean, *rstd, *w], gx, [gw, gb])?
        }
        (&Op::ChannelNorm { groups, eps_bits }, [g, x, mean, variance, w @ ..], [gx, affine @ ..]) => {
            let eps = f64::from_bits(eps_bits);
            let w = w.first().copied();
            channel_norm::backward::<T>(groups, eps, [*g, *x, *mean, *variance], w, gx, affine)?
        }
        (Op::LstmCell, [gh, gnext, c, next, values], [ggates, gc]) => {
            lstm::backward::<T>([*gh, *gnext, *c, *next, *values], [ggates, gc])?
        }
        (&Op::Lstm { reverse }, [ghs, h, c, w, hs, cs, values, gcs @ ..], [ggates, gh, gc, gw]) => {
            let inputs = [*ghs, *h, *c, *w, *hs, *cs, *values];
            lstm_sequence::backward::<T>(reverse, inputs, gcs.first().copied(), [ggates, gh, gc, gw])?
        }
        (&Op::Attention { causal, scale_bits, keep_bits }, [g, q, k, v, y, sums, more @ ..], [gq, gk, gv]) => {
            let how = attention::How::new(causal, scale_bits, keep_bits, more)?;
            attention::backward::<T>(&how, [*g, *q, *k, *v, *y, *sums], [gq, gk, gv])?
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A float type with the functions these kernels need.
trait Real: Float + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    /// eˣ for x ≤ 0 (also −∞ and NaN); `fma` where the caller is compiled for such instructions.
    fn exp_falling(self, fma: bool) -> Self;
    fn ln(self) -> Self;
    fn sqrt(self) -> Self;
    fn tanh(self, fma: bool) -> Self;
    fn sigmoid(self, fma: bool) -> Self;
    /// The loop of an elementwise row.
    fn row(row: Row) -> Kernel<Self>;
}

macro_rules! real {
    ($T:ident, $base:ident, $fused:ident, $falling:ident) => {
        impl Real for $T {
            #[inline(always)]
            fn exp_falling(self, fma: bool) -> $T {
                if fma {
                    $fused::$falling(self)
                } else {
                    $base::$falling(self)
                }
            }
            #[inline(always)]
            fn ln(self) -> $T {
                $base::log(self)
            }
            #[inline(always)]
            fn sqrt(self) -> $T {
                $T::sqrt(self)
            }
            #[inline(always)]
            fn tanh(self, fma: bool) -> $T {
                if fma {
                    $fused::tanh(self)
                } else {
                    $base::tanh(self)
                }
            }
            fn row(row: Row) -> Kernel<$T> {
                <$T as Lane>::kernels(Isa::current()).rows[row as usize]
            }
            #[inline(always)]
            fn sigmoid(self, fma: bool) -> $T {
                if fma {
                    $fused::sigmoid(self)
                } else {
                    $base::sigmoid(self)
                }
            }
        }
    };
}
real! { f32, f32_base, f32_fma, exp_falling }
real! { f64, f64_base, f64_fma, exp }

/// Elements that are added in `T` before their sum goes to `T::Wide`.
const BLOCK: usize = 1024;

/// What `add` makes of two rows of one length, added up.
#[inline(always)]
fn sum2<T: Number>(x: &[T], y: &[T], add: impl Fn(T, T, T) -> T) -> T {
    let block = |(x, y)| lanes::fold2(x, y, T::ZERO, &add, T::plus);
    if x.len() <= BLOCK {
        return block((x, y));
    }
    let wide = x.chunks(BLOCK).zip(y.chunks(BLOCK)).fold(T::Wide::ZERO, |s, part| s.plus(T::Wide::load(block(part))));
    wide.store()
}

/// What `add` makes of a row, added up.
#[inline(always)]
fn sum_of<T: Number>(x: &[T], add: impl Fn(T, T) -> T) -> T {
    sum2(x, x, |s, v, _| add(s, v))
}

#[inline(always)]
fn sum<T: Number>(x: &[T]) -> T {
    sum_of(x, T::plus)
}

/// The largest element that is not NaN.
#[inline(always)]
fn largest<T: Real>(x: &[T]) -> T {
    let max = |a: T, b: T| if b > a { b } else { a };
    lanes::fold(x, T::LOWEST, max, max)
}

/// Weights `e^(x − top)` into `y` (of `y` itself without `x`), for `top` the largest of them; their sum.
#[inline(always)]
fn weigh<T: Real>(fma: bool, x: Option<&[T]>, top: T, y: &mut [T]) -> T {
    lanes::map_fold(x, y, T::ZERO, |x| (x - top).exp_falling(fma), T::plus)
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
