//! Optimizer steps as rows, for devices that have no kernel of them: what the kernels compute, read as formulas.

use super::{Adam, AdamState, Bias, Sgd};
use crate::dispatch::Arg;
use crate::tensor::Tensor;
use wengert_ops::{Result, Row};

/// `x += alpha · y`.
fn add_scaled(x: &Tensor, y: &Tensor, alpha: f64) -> Result<()> {
    x.row_(Row::AddScaled, &[Arg::Tensor(y), alpha.into()])
}

fn gradient(p: &Tensor, g: &Tensor, maximize: bool, decay: f64) -> Result<Tensor> {
    let g = if maximize { g.neg()? } else { g.clone() };
    if decay == 0.0 {
        return Ok(g);
    }
    crate::dispatch::row(Row::AddScaled, &[Arg::Tensor(&g), Arg::Tensor(p), decay.into()])
}

pub(super) fn sgd(p: &Tensor, g: &Tensor, buffer: Option<&Tensor>, s: &Sgd, first: bool) -> Result<()> {
    let d = gradient(p, g, s.maximize, s.weight_decay)?;
    let Some(b) = buffer else { return add_scaled(p, &d, -s.lr) };
    if first {
        b.copy_(&d)?;
    } else {
        b.row_(Row::Mul, &[s.momentum.into()])?;
        add_scaled(b, &d, 1.0 - s.dampening)?;
    }
    if !s.nesterov {
        return add_scaled(p, b, -s.lr);
    }
    let step = crate::dispatch::row(Row::AddScaled, &[Arg::Tensor(&d), Arg::Tensor(b), s.momentum.into()])?;
    add_scaled(p, &step, -s.lr)
}

pub(super) fn adam(p: &Tensor, g: &Tensor, state: &AdamState, s: &Adam, bias: Bias) -> Result<()> {
    if s.decoupled && s.weight_decay != 0.0 {
        p.row_(Row::Mul, &[(1.0 - s.lr * s.weight_decay).into()])?;
    }
    let g = gradient(p, g, s.maximize, if s.decoupled { 0.0 } else { s.weight_decay })?;
    let (m, v) = (&state.exp_avg, &state.exp_avg_sq);
    m.row_(Row::Lerp, &[Arg::Tensor(&g), (1.0 - s.beta1).into()])?;
    v.row_(Row::Mul, &[s.beta2.into()])?;
    v.row_(Row::Addcmul, &[Arg::Tensor(&g), Arg::Tensor(&g), (1.0 - s.beta2).into()])?;
    let second = match (&state.max_exp_avg_sq, s.amsgrad) {
        (Some(max), true) => {
            max.row_(Row::Maximum, &[Arg::Tensor(v)])?;
            max
        }
        _ => v,
    };
    let below = second.sqrt()?.div(bias.root)?.add(s.eps)?;
    p.row_(Row::Addcdiv, &[Arg::Tensor(m), Arg::Tensor(&below), (-bias.step_size).into()])
}
