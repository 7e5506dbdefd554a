//! Optimizer steps: one call over all parameters, each updated in one pass where it stands.

mod clip;
mod composed;
mod elements;

pub use clip::{clip_grad_norm, total_norm};

use crate::buffer::Device;
use crate::lock::{defer, lock, Key};
use crate::mode::GradMode;
use crate::tensor::Tensor;
use crate::writable::bump;
use elements::{check, count_up, update, Elements};
use smallvec::SmallVec;
use wengert_cpu::optim::{self as kernels, Update};
use wengert_ops::{DType, Result, Row};

/// Settings of stochastic gradient descent (Sutskever et al. 2013, as PyTorch words it).
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    pub lr: f64,
    pub momentum: f64,
    pub dampening: f64,
    pub weight_decay: f64,
    pub nesterov: bool,
    pub maximize: bool,
}

/// Settings of Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019, `decoupled`).
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
    pub decoupled: bool,
    pub amsgrad: bool,
    pub maximize: bool,
}

/// One SGD step over parameters with gradients. `buffers[i]` is the momentum buffer of parameter i, `None` before
/// its first step; new ones are returned in place.
pub fn sgd_step(params: &[Tensor], buffers: &mut [Option<Tensor>], s: &Sgd) -> Result<()> {
    let _off = GradMode::set(false);
    for (p, buffer) in params.iter().zip(buffers) {
        let Some(g) = p.grad() else { continue };
        let first = s.momentum != 0.0 && buffer.is_none();
        if first {
            check("SGD", p, &g, &[])?;
            *buffer = Some(Tensor::zeros(&p.shape(), p.dtype(), p.device())?);
        }
        let mut targets: SmallVec<[&Tensor; 4]> = SmallVec::from_iter([p]);
        if let (Some(b), true) = (buffer.as_ref(), s.momentum != 0.0) {
            targets.push(b);
        }
        let run = |e: &Elements| match e.dtype {
            // SAFETY: the elements are of this type, and this is who may write them.
            DType::F64 => unsafe { sgd_kernel::<f64>(e, s, first) },
            // SAFETY: as above.
            _ => unsafe { sgd_kernel::<f32>(e, s, first) },
        };
        if step_small(&targets, &g, |_| Some(()), |e, ()| run(e)) {
            continue;
        }
        check("SGD", p, &g, &targets[1..])?;
        if p.device() != Device::Cpu {
            composed::sgd(p, &g, targets.get(1).copied(), s, first)?;
            continue;
        }
        update(&targets, &g, &run)?;
    }
    Ok(())
}

/// Runs `kernel` on the elements right under the lock if they are small ones that nobody else holds, given what `count`
/// finds; whether they are.
fn step_small<T>(
    targets: &[&Tensor],
    g: &Tensor,
    count: impl FnOnce(&mut Key) -> Option<T>,
    kernel: impl FnOnce(&Elements, T),
) -> bool {
    let mut guard = lock();
    let Some(elements) = Elements::small(targets, g, &guard.key) else { return false };
    let Some(counted) = count(&mut guard.key) else { return false };
    kernel(&elements, counted);
    for t in targets {
        bump(t, &mut guard.key);
    }
    true
}

/// # Safety
/// As [`Elements::target`].
unsafe fn sgd_kernel<T: Update>(e: &Elements, s: &Sgd, first: bool) {
    let kernel = kernels::Sgd {
        sign: T::from_f64(if s.maximize { -1.0 } else { 1.0 }),
        lr: T::from_f64(s.lr),
        decay: T::from_f64(s.weight_decay),
        momentum: T::from_f64(s.momentum),
        keep: T::from_f64(1.0 - s.dampening),
        nesterov: s.nesterov,
        first,
    };
    let momentum = (e.targets() > 1).then(|| e.target(1));
    kernels::sgd(e.target::<T>(0), e.gradient(), momentum, kernel);
}

/// State of one parameter under Adam.
pub struct AdamState {
    pub exp_avg: Tensor,
    pub exp_avg_sq: Tensor,
    /// With `amsgrad`.
    pub max_exp_avg_sq: Option<Tensor>,
    /// Steps done: a tensor of one element, counted up by a step.
    pub step: Tensor,
}

/// One Adam or AdamW step over parameters with gradients.
pub fn adam_step(params: &[Tensor], states: &[AdamState], s: &Adam) -> Result<()> {
    let _off = GradMode::set(false);
    let mut bias: Option<(f64, Bias)> = None;
    for (p, state) in params.iter().zip(states) {
        let Some(g) = p.grad() else { continue };
        let mut targets: SmallVec<[&Tensor; 4]> = SmallVec::from_iter([p, &state.exp_avg, &state.exp_avg_sq]);
        if let (Some(m), true) = (&state.max_exp_avg_sq, s.amsgrad) {
            targets.push(m);
        }
        // Parameters mostly are at the same step, and powers take longer than a small update.
        let mut bias_at = |step: f64| match bias {
            Some((of, known)) if of == step => known,
            _ => bias.insert((step, Bias::after(step, s))).1,
        };
        let run = |e: &Elements, bias: Bias| match e.dtype {
            // SAFETY: as in `sgd_step`.
            DType::F64 => unsafe { adam_kernel::<f64>(e, s, bias) },
            // SAFETY: as in `sgd_step`.
            _ => unsafe { adam_kernel::<f32>(e, s, bias) },
        };
        if step_small(&targets, &g, |key| count_up(&state.step, key), |e, step| run(e, bias_at(step))) {
            continue;
        }
        check("Adam", p, &g, &targets[1..])?;
        state.step.row_(Row::Add, &[1i64.into()])?;
        let bias = bias_at(state.step.item()?.as_f64());
        if p.device() != Device::Cpu {
            composed::adam(p, &g, state, s, bias)?;
            continue;
        }
        update(&targets, &g, &|e| run(e, bias))?;
    }
    Ok(())
}

/// What frees the running means of their bias towards 0.
#[derive(Clone, Copy)]
struct Bias {
    root: f64,
    step_size: f64,
}

impl Bias {
    fn after(step: f64, s: &Adam) -> Bias {
        Bias { root: (1.0 - s.beta2.powf(step)).sqrt(), step_size: s.lr / (1.0 - s.beta1.powf(step)) }
    }
}

/// # Safety
/// As [`Elements::target`].
unsafe fn adam_kernel<T: Update>(e: &Elements, s: &Adam, bias: Bias) {
    let of = T::from_f64;
    let kernel = kernels::Adam {
        sign: of(if s.maximize { -1.0 } else { 1.0 }),
        coupled: of(if s.decoupled { 0.0 } else { s.weight_decay }),
        shrink: of(if s.decoupled { 1.0 - s.lr * s.weight_decay } else { 1.0 }),
        c1: of(1.0 - s.beta1),
        b2: of(s.beta2),
        c2: of(1.0 - s.beta2),
        root: of(bias.root),
        eps: of(s.eps),
        step_size: of(bias.step_size),
    };
    let max = (e.targets() > 3).then(|| e.target(3));
    kernels::adam(e.target::<T>(0), e.gradient(), [e.target(1), e.target(2)], max, kernel);
}

/// Removes (or zeroes) the gradients of parameters.
pub fn zero_grad(params: &[Tensor], set_to_none: bool) -> Result<()> {
    if set_to_none {
        let mut guard = lock();
        for p in params {
            if let Some(g) = p.0.state.get_mut(&mut guard.key).grad.take() {
                defer(g);
            }
        }
        return Ok(());
    }
    for p in params {
        if let Some(g) = p.grad() {
            let _off = GradMode::set(false);
            if g.grad_fn()?.is_some() {
                g.detach_()?;
            }
            g.zero_()?;
        }
    }
    Ok(())
}
