//! Negative log-likelihood of a softmax. The log-softmax is an output too: the gradient needs nothing else.

use super::{output, softmax, Real};
use crate::buffer::Buffer;
use crate::strided::{packed, parallel, vectorised, Ptr};
use wengert_ops::{contract, fail, LossReduction, Result, View, ViewMut};

/// Targets as read, checked against the number of classes; also counts those that are not ignored.
fn checked<'a>(
    targets: View<'a, Buffer>,
    shape: &[usize],
    ignore: i64,
) -> Result<(std::borrow::Cow<'a, [i64]>, usize)> {
    let (_, classes) = contract::targets(shape, &targets)?;
    // SAFETY: the dtype was just checked, and inputs are not written during the call.
    let targets = unsafe { packed::<i64>(targets)? };
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
    let (g, saved, gx) = unsafe { (packed::<T>(g)?, packed::<T>(saved)?, output::<T>(gx, n * classes)?) };
    if g.len() != if reduction == LossReduction::None { n } else { 1 } {
        fail!(internal, "cross_entropy: {} incoming gradients for {n} rows", g.len());
    }
    let weight = T::from_f64(if reduction == LossReduction::Mean { 1.0 / count as f64 } else { 1.0 });
    let (g, saved, targets, gx) = (&g[..], &saved[..], &targets[..], Ptr::new(gx.as_mut_ptr()));
    parallel(n, classes * 4, |rows| {
        let (start, end) = (rows.start * classes, rows.end * classes);
        // SAFETY: each range of rows belongs to one task.
        let gx = unsafe { gx.slice_mut(start as isize, end - start) };
        let g = if reduction == LossReduction::None { &g[rows.clone()] } else { g };
        rows_back((ignore, weight), classes, g, &saved[start..end], &targets[rows], gx);
    });
    Ok(())
}

/// `g` has one element a row or one for all.
#[inline(always)]
fn rows_back_body<T: Real>(
    fma: bool,
    (ignore, weight): (i64, T),
    n: usize,
    g: &[T],
    saved: &[T],
    targets: &[i64],
    gx: &mut [T],
) {
    let each = g.len() == targets.len();
    // Many short rows at once, so that the exponentials are one long loop, but no more than stay in L1.
    let group = (2048 / n).max(1);
    for first in (0..targets.len()).step_by(group) {
        let end = targets.len().min(first + group);
        let block = &mut gx[first * n..end * n];
        for (gx, &x) in block.iter_mut().zip(&saved[first * n..end * n]) {
            *gx = x.exp_falling(fma);
        }
        for (i, gx) in (first..end).zip(block.chunks_exact_mut(n)) {
            if targets[i] == ignore {
                gx.fill(T::ZERO);
                continue;
            }
            let scale = g[if each { i } else { 0 }] * weight;
            let target = &mut gx[targets[i] as usize];
            *target = *target - T::ONE;
            gx.iter_mut().for_each(|gx| *gx = *gx * scale);
        }
    }
}
vectorised! {
    fn rows_back<T: Real>(of_rows: (i64, T), n: usize, g: &[T], saved: &[T], targets: &[i64], gx: &mut [T])
        = fma rows_back_body
}
