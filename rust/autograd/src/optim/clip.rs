//! Norms of gradients taken together, and clipping by them.

use crate::dispatch::row;
use crate::mode::GradMode;
use crate::tensor::Tensor;
use wengert_ops::{DType, Result, Row};

/// The norm of order `p` of all elements of `tensors` taken together.
pub fn total_norm(tensors: &[Tensor], p: f64) -> Result<Tensor> {
    let _off = GradMode::set(false);
    let full: Vec<&Tensor> = tensors.iter().filter(|t| t.numel() > 0).collect();
    if full.is_empty() {
        return Tensor::scalar(0.0, DType::F32);
    }
    let norms = full.into_iter().map(|t| norm(t, p)).collect::<Result<Vec<_>>>()?;
    norm(&Tensor::stack(&norms.iter().collect::<Vec<_>>(), 0)?, p)
}

fn norm(t: &Tensor, p: f64) -> Result<Tensor> {
    if p == f64::INFINITY {
        t.abs()?.amax(&[], false)
    } else if p == f64::NEG_INFINITY {
        t.abs()?.amin(&[], false)
    } else if p == 0.0 {
        row(Row::Ne, &[t.into(), 0i64.into()])?.to_dtype(t.dtype())?.sum(&[], false)
    } else if p == 2.0 {
        t.mul(t)?.sum(&[], false)?.sqrt()
    } else {
        t.abs()?.pow(p)?.sum(&[], false)?.pow(1.0 / p)
    }
}

/// Scales gradients in place so that their joint norm is at most `max_norm`; returns the norm before. One that is not
/// a number makes all of them so, as it would any step taken with them.
pub fn clip_grad_norm(params: &[Tensor], max_norm: f64, norm_type: f64) -> Result<Tensor> {
    let grads: Vec<Tensor> = params.iter().filter_map(|p| p.grad()).collect();
    let total = total_norm(&grads, norm_type)?;
    let scale = max_norm / (total.item()?.as_f64() + 1e-6);
    if scale < 1.0 || scale.is_nan() {
        let _off = GradMode::set(false);
        for g in &grads {
            g.row_(Row::Mul, &[scale.into()])?;
        }
    }
    Ok(total)
}
