//! Negative log-likelihood of a softmax. The log-softmax is an output too: the gradient needs nothing else.

use super::{output, softmax, Real};
use crate::buffer::Buffer;
use crate::strided::{packed, parallel, vectorised, Ptr};
use wengert_ops::{fail, DType, LossReduction, Result, View, ViewMut};

/// Targets as read, checked against the number of classes; also counts those that are not ignored.
fn checked<'a>(
    targets: View<'a, Buffer>,
    shape: &[usize],
    ignore: i64,
) -> Result<(std::borrow::Cow<'a, [i64]>, usize)> {
    let &[n, classes] = shape else { fail!(internal, "cross_entropy: kernel expects [n, c] logits, got {shape:?}") };
    if targets.dtype != DType::I64 || targets.layout.numel() != n {
        fail!(
            runtime,
            "cross_entropy: expected {n} class indices of dtype torch.int64, got {} {:?}",
            targets.dtype,
            targets.layout.shape()
        );
    }
    // SAFETY: the dtype was just checked, and inputs are not written during the call.
    let targets = unsafe { packed::<i64>(targets) };
    let mut count = 0;
    for &t in targets.iter().filter(|&&t| t != ignore) {
        if t < 0 || t as u64 >= classes as u64 {
            fail!(index, "Target {t} is out of bounds.");
        }
        count += 1;
    }
    Ok((targets, count))
}

/// Inputs logits `[n, c]` and targets `[n]`; outputs the loss (`[n]` or a scalar) and the log-softmax `[n, c]`.
pub(super) fn forward<T: Real>(
    reduction: LossReduction,
    ignore: i64,
    logits: View<'_, Buffer>,
    targets: View<'_, Buffer>,
    loss: &ViewMut<'_, Buffer>,
    saved: &ViewMut<'_, Buffer>,
) -> Result<()> {
    let shape = logits.layout.shape();
    let (targets, count) = checked(targets, shape, ignore)?;
    let (n, classes) = (shape[0], shape[1]);
    softmax::forward::<T>(1, true, logits, saved)?;
    // SAFETY: the outputs are distinct from the inputs and from each other, and of T's dtype.
    let (saved, loss) = unsafe {
        let len = if reduction == LossReduction::None { n } else { 1 };
        (output::<T>(saved, n * classes)?, output::<T>(loss, len)?)
    };
    let term = |i: usize, t: i64| if t == ignore { T::ZERO } else { T::ZERO - saved[i * classes + t as usize] };
    if reduction == LossReduction::None {
        for ((loss, &t), i) in loss.iter_mut().zip(&targets[..]).zip(0..) {
            *loss = term(i, t);
        }
        return Ok(());
    }
    let total = targets.iter().enumerate().fold(0.0, |s, (i, &t)| s + term(i, t).to_f64());
    loss[0] = T::from_f64(if reduction == LossReduction::Mean { total / count as f64 } else { total });
    Ok(())
}

/// `(softmax − onehot) · g`, divided by the count of valid targets for the mean.
pub(super) fn backward<T: Real>(
    reduction: LossReduction,
    ignore: i64,
    g: View<'_, Buffer>,
    saved: View<'_, Buffer>,
    targets: View<'_, Buffer>,
    gx: &ViewMut<'_, Buffer>,
) -> Result<()> {
    let shape = saved.layout.shape();
    let (targets, count) = checked(targets, shape, ignore)?;
    let (n, classes) = (shape[0], shape[1]);
    if n * classes == 0 {
        return Ok(());
    }
    // SAFETY: the dtypes were matched to T; the output shares no elements with the inputs.
    let (g, saved, gx) = unsafe { (packed::<T>(g), packed::<T>(saved), output::<T>(gx, n * classes)?) };
    if g.len() != if reduction == LossReduction::None { n } else { 1 } {
        fail!(internal, "cross_entropy: {} incoming gradients for {n} rows", g.len());
    }
    let weight = T::from_f64(if reduction == LossReduction::Mean { 1.0 / count as f64 } else { 1.0 });
    let (g, saved, targets, gx) = (&g[..], &saved[..], &targets[..], Ptr::new(gx.as_mut_ptr()));
    parallel(n, classes * 4, |rows| {
        for i in rows {
            // SAFETY: each row belongs to one task.
            let gx = unsafe { gx.slice_mut((i * classes) as isize, classes) };
            let g = if g.len() == 1 { g[0] } else { g[i] };
            let target = targets[i];
            if target == ignore {
                gx.fill(T::ZERO);
                continue;
            }
            scaled_exp(g * weight, &saved[i * classes..(i + 1) * classes], gx);
            gx[target as usize] = gx[target as usize] - g * weight;
        }
    });
    Ok(())
}

#[inline(always)]
fn scaled_exp_body<T: Real>(scale: T, x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = x.exp_falling() * scale;
    }
}
vectorised! { fn scaled_exp<T: Real>(scale: T, x: &[T], y: &mut [T]) = scaled_exp_body }
