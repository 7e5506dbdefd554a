//! Optimizer steps: one call over all parameters, each updated in one pass where it stands.

mod composed;

use crate::buffer::Device;
use crate::counted::Counted;
use crate::devices::Devices;
use crate::dispatch::{row, SMALL};
use crate::lock::{defer, lock, Key};
use crate::mode::GradMode;
use crate::tensor::Tensor;
use crate::value::Value;
use crate::writable::{bump, make_writable, overlap_error, Writing};
use smallvec::SmallVec;
use wengert_ops::{fail, DType, Result, Row};

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

/// The floating-point types that updates are computed in.
trait Number: Copy {
    fn of(v: f64) -> Self;
}
impl Number for f32 {
    fn of(v: f64) -> f32 {
        v as f32
    }
}
impl Number for f64 {
    fn of(v: f64) -> f64 {
        v
    }
}

fn check(name: &str, p: &Tensor, others: &[&Tensor]) -> Result<()> {
    if !p.dtype().is_float() {
        fail!(runtime, "{name}: parameters must be of a floating-point type, got {}", p.dtype());
    }
    let guard = lock();
    let shape = |t: &Tensor| t.0.state.get(&guard.key).layout.clone();
    let mine = shape(p);
    for o in others {
        let theirs = shape(o);
        let alike = mine.same(&theirs) || mine.shape() == theirs.shape();
        if !alike || o.dtype() != p.dtype() || o.device() != p.device() {
            fail!(
                runtime,
                "{name}: gradient and state of a parameter must have its shape, dtype and device: parameter {:?} {} on {}, got {:?} \
                 {} on {}",
                mine.shape(),
                p.dtype(),
                p.device(),
                theirs.shape(),
                o.dtype(),
                o.device()
            );
        }
    }
    Ok(())
}

/// Elements of a leased or read value as a slice, if they are contiguous `T`s.
fn plain(v: &Value) -> bool {
    v.layout.is_contiguous() && matches!(v.dtype, DType::F32 | DType::F64)
}

/// # Safety
/// The value is contiguous, of `T`'s dtype, leased by the caller and aliased by no other slice in use.
#[allow(clippy::mut_from_ref)]
unsafe fn slice_mut<T>(v: &Value) -> Result<&mut [T]> {
    let host = v.host()?;
    Ok(&mut host.slice_mut::<T>()[v.layout.offset()..v.layout.offset() + v.layout.numel()])
}

/// # Safety
/// The value is contiguous, of `T`'s dtype, and nobody writes it.
unsafe fn slice<T>(v: &Value) -> Result<&[T]> {
    let host = v.host()?;
    Ok(&host.slice::<T>()[v.layout.offset()..v.layout.offset() + v.layout.numel()])
}

/// Runs `f` on the targets as contiguous values of one type that only it uses, `g` beside them; what is strided, of
/// half precision or shares its memory with another target goes through contiguous copies.
fn update(targets: &[&Tensor], g: &Tensor, f: &dyn Fn(&[&Value], &Value) -> Result<()>) -> Result<()> {
    {
        let mut guard = lock();
        if let Some((values, g)) = everyday(targets, g, &guard.key) {
            f(&values.iter().collect::<SmallVec<[&Value; 4]>>(), &g)?;
            for t in targets {
                bump(t, &mut guard.key);
            }
            return Ok(());
        }
    }
    let taken = Taken::new(targets, g)?;
    let (values, g) = (&taken.values, &taken.g);
    // What is about to be written is read as it was.
    let own = values.iter().any(|v| Counted::ptr_eq(&v.buffer, &g.buffer));
    let apart = (1..values.len()).all(|i| values[..i].iter().all(|v| !Counted::ptr_eq(&v.buffer, &values[i].buffer)));
    if apart && plain(g) && values.iter().all(plain) {
        let g = if own { g.copied(g.dtype)? } else { g.clone() };
        return f(&values.iter().collect::<SmallVec<[&Value; 4]>>(), &g);
    }
    let wide = if g.dtype == DType::F64 { DType::F64 } else { DType::F32 };
    let copies = values.iter().map(|v| v.copied(wide)).collect::<Result<Vec<_>>>()?;
    f(&copies.iter().collect::<Vec<_>>(), &g.copied(wide)?)?;
    for (value, copy) in values.iter().zip(&copies) {
        // SAFETY: `taken` keeps everybody else away.
        Devices.copy(copy.view()?, unsafe { value.view_mut()? })?;
    }
    Ok(())
}

/// The targets of one update, to be written by the holder alone, and the gradient. All are taken in one hold of the
/// lock, so that nobody waits for one of them while holding another. Dropped, it lets readers in again.
struct Taken<'a> {
    targets: &'a [&'a Tensor],
    values: SmallVec<[Value; 4]>,
    g: Value,
    writing: SmallVec<[Writing; 4]>,
}

impl Taken<'_> {
    fn new<'a>(targets: &'a [&'a Tensor], g: &Tensor) -> Result<Taken<'a>> {
        loop {
            let mut guard = lock();
            let busy = |t: &&Tensor| t.0.state.get(&guard.key).cell.buffer(&guard.key).is_writing();
            if targets.iter().any(busy) || busy(&g) {
                drop(guard);
                std::thread::yield_now();
                continue;
            }
            // All checks first: what fails has changed nothing.
            if targets.iter().any(|t| t.0.state.get(&guard.key).layout.self_overlaps()) {
                return Err(overlap_error());
            }
            for t in targets {
                make_writable(t, false, &mut guard)?;
            }
            let value = |t: &Tensor| {
                let state = t.0.state.get(&guard.key);
                Value { buffer: state.cell.buffer(&guard.key).clone(), layout: state.layout.clone(), dtype: t.dtype() }
            };
            let values: SmallVec<[Value; 4]> = targets.iter().map(|t| value(t)).collect();
            for v in &values {
                v.buffer.begin_write();
            }
            let writing = values.iter().map(|v| Writing(v.buffer.clone())).collect();
            return Ok(Taken { targets, g: value(g), values, writing });
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.writing.clear();
        let mut guard = lock();
        for t in self.targets {
            bump(t, &mut guard.key);
        }
    }
}

/// The values of few contiguous elements that nobody else holds: they can be written right under the lock, without
/// leases.
fn everyday(targets: &[&Tensor], g: &Tensor, key: &Key) -> Option<(SmallVec<[Value; 4]>, Value)> {
    let mut values: SmallVec<[Value; 4]> = SmallVec::new();
    for t in targets {
        let state = t.0.state.get(key);
        let buffer = state.cell.buffer(key);
        let free = Counted::count(buffer) == 1 && buffer.partial_saves(key) == 0 && !buffer.is_pinned();
        if state.layout.numel() > SMALL || !free || buffer.is_writing() {
            return None;
        }
        values.push(Value { buffer: buffer.clone(), layout: state.layout.clone(), dtype: t.dtype() });
    }
    let g = g.try_value(key)?;
    // Two targets on one buffer have met the count above already.
    let apart = values.iter().all(|v| !Counted::ptr_eq(&v.buffer, &g.buffer));
    (apart && plain(&g) && g.host().is_ok() && values.iter().all(plain)).then_some((values, g))
}

/// One SGD step over parameters with gradients. `buffers[i]` is the momentum buffer of parameter i, `None` before
/// its first step; new ones are returned in place.
pub fn sgd_step(params: &[Tensor], buffers: &mut [Option<Tensor>], s: &Sgd) -> Result<()> {
    let _off = GradMode::set(false);
    for (p, buffer) in params.iter().zip(buffers) {
        let Some(g) = p.grad() else { continue };
        check("SGD", p, &[&g])?;
        let first = s.momentum != 0.0 && buffer.is_none();
        if first {
            *buffer = Some(Tensor::zeros(&p.shape(), p.dtype(), p.device())?);
        }
        let mut targets: SmallVec<[&Tensor; 4]> = SmallVec::from_iter([p]);
        if let (Some(b), true) = (buffer.as_ref(), s.momentum != 0.0) {
            check("SGD", p, &[b])?;
            targets.push(b);
        }
        if p.device() != Device::Cpu {
            composed::sgd(p, &g, targets.get(1).copied(), s, first)?;
            continue;
        }
        update(&targets, &g, &|t, g| match g.dtype {
            // SAFETY: `update` gives contiguous leased values of one dtype, no two sharing a buffer.
            DType::F64 => unsafe { sgd_kernel::<f64>(t, g, s, first) },
            // SAFETY: as above.
            _ => unsafe { sgd_kernel::<f32>(t, g, s, first) },
        })?;
    }
    Ok(())
}

unsafe fn sgd_kernel<T>(t: &[&Value], g: &Value, s: &Sgd, first: bool) -> Result<()>
where
    T: Number
        + std::ops::Mul<Output = T>
        + std::ops::Add<Output = T>
        + std::ops::Sub<Output = T>
        + std::ops::Neg<Output = T>,
{
    let (lr, decay, momentum, keep) = (T::of(s.lr), T::of(s.weight_decay), T::of(s.momentum), T::of(1.0 - s.dampening));
    let sign = T::of(if s.maximize { -1.0 } else { 1.0 });
    let (p, g) = (slice_mut::<T>(t[0])?, slice::<T>(g)?);
    if t.len() == 1 {
        for (p, &g) in p.iter_mut().zip(g) {
            *p = *p - lr * (sign * g + decay * *p);
        }
        return Ok(());
    }
    for ((p, b), &g) in p.iter_mut().zip(slice_mut::<T>(t[1])?).zip(g) {
        let d = sign * g + decay * *p;
        *b = if first { d } else { momentum * *b + keep * d };
        let step = if s.nesterov { d + momentum * *b } else { *b };
        *p = *p - lr * step;
    }
    Ok(())
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
        check("Adam", p, &[&g, &state.exp_avg, &state.exp_avg_sq])?;
        let mut targets: SmallVec<[&Tensor; 4]> = SmallVec::from_iter([p, &state.exp_avg, &state.exp_avg_sq]);
        if let (Some(m), true) = (&state.max_exp_avg_sq, s.amsgrad) {
            check("Adam", p, &[m])?;
            targets.push(m);
        }
        state.step.row_(Row::Add, &[1i64.into()])?;
        let step = state.step.item()?.as_f64();
        // Parameters mostly are at the same step, and powers take longer than a small update.
        let bias = match bias {
            Some((of, known)) if of == step => known,
            _ => bias.insert((step, Bias::after(step, s))).1,
        };
        if p.device() != Device::Cpu {
            composed::adam(p, &g, state, s, bias)?;
            continue;
        }
        update(&targets, &g, &|t, g| match g.dtype {
            // SAFETY: as in `sgd_step`.
            DType::F64 => unsafe { adam_kernel::<f64>(t, g, s, bias) },
            // SAFETY: as in `sgd_step`.
            _ => unsafe { adam_kernel::<f32>(t, g, s, bias) },
        })?;
    }
    Ok(())
}

trait Root: Number {
    fn root(self) -> Self;
    fn larger(self, other: Self) -> Self;
}
impl Root for f32 {
    fn root(self) -> f32 {
        self.sqrt()
    }
    fn larger(self, other: f32) -> f32 {
        if self > other {
            self
        } else {
            other
        }
    }
}
impl Root for f64 {
    fn root(self) -> f64 {
        self.sqrt()
    }
    fn larger(self, other: f64) -> f64 {
        if self > other {
            self
        } else {
            other
        }
    }
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

unsafe fn adam_kernel<T>(t: &[&Value], g: &Value, s: &Adam, bias: Bias) -> Result<()>
where
    T: Root
        + std::ops::Mul<Output = T>
        + std::ops::Add<Output = T>
        + std::ops::Sub<Output = T>
        + std::ops::Div<Output = T>,
{
    let b2 = T::of(s.beta2);
    let (c1, c2) = (T::of(1.0 - s.beta1), T::of(1.0 - s.beta2));
    let (root, step_size, eps) = (T::of(bias.root), T::of(bias.step_size), T::of(s.eps));
    let sign = T::of(if s.maximize { -1.0 } else { 1.0 });
    let coupled = T::of(if s.decoupled { 0.0 } else { s.weight_decay });
    let shrink = T::of(if s.decoupled { 1.0 - s.lr * s.weight_decay } else { 1.0 });
    let (p, g) = (slice_mut::<T>(t[0])?, slice::<T>(g)?);
    let (m, v) = (slice_mut::<T>(t[1])?, slice_mut::<T>(t[2])?);
    let mut max = match t.get(3) {
        Some(x) => Some(slice_mut::<T>(x)?),
        None => None,
    };
    for i in 0..p.len() {
        let (g, old) = (sign * g[i], p[i] * shrink);
        let g = g + coupled * old;
        m[i] = m[i] + c1 * (g - m[i]);
        v[i] = b2 * v[i] + c2 * g * g;
        let second = match &mut max {
            Some(max) => {
                max[i] = max[i].larger(v[i]);
                max[i]
            }
            None => v[i],
        };
        p[i] = old - step_size * m[i] / (second.root() / root + eps);
    }
    Ok(())
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
