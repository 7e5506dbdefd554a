//! Normalisation over the trailing dims: y = (x − mean) · rstd with rstd = 1/√(variance + eps).

use super::{fold, fold2, output, sum, Real};
use crate::buffer::Buffer;
use crate::strided::{packed, parallel, vectorised, Ptr};
use wengert_ops::layout::numel;
use wengert_ops::{Result, View, ViewMut};

/// Rows and row length when the last `dims` dims are normalised.
fn split(shape: &[usize], dims: usize) -> (usize, usize) {
    let lead = shape.len() - dims.min(shape.len());
    (numel(&shape[..lead]), numel(&shape[lead..]))
}

/// Input x; outputs y of its shape, and mean and rstd with one element a row.
pub(super) fn forward<T: Real>(
    dims: usize,
    eps: f64,
    x: View<'_, Buffer>,
    y: &ViewMut<'_, Buffer>,
    mean: &ViewMut<'_, Buffer>,
    rstd: &ViewMut<'_, Buffer>,
) -> Result<()> {
    let (rows, n) = split(x.layout.shape(), dims);
    if rows == 0 {
        return Ok(());
    }
    // SAFETY: the dtype was matched to T; outputs share no elements with x or each other.
    let (x, y, mean, rstd) =
        unsafe { (packed::<T>(x)?, output::<T>(y, rows * n)?, output::<T>(mean, rows)?, output::<T>(rstd, rows)?) };
    let (x, eps) = (&x[..], T::from_f64(eps));
    let (y, mean, rstd) = (Ptr::new(y.as_mut_ptr()), Ptr::new(mean.as_mut_ptr()), Ptr::new(rstd.as_mut_ptr()));
    parallel(rows, n * 2, |range| {
        let (first, count) = (range.start as isize, range.len());
        // SAFETY: each range of rows, with its means and deviations, belongs to one task.
        let (y, mean, rstd) = unsafe {
            (y.slice_mut(first * n as isize, count * n), mean.slice_mut(first, count), rstd.slice_mut(first, count))
        };
        normalise(eps, n, &x[range.start * n..range.end * n], y, mean, rstd);
    });
    Ok(())
}

#[inline(always)]
fn normalise_body<T: Real>(eps: T, n: usize, x: &[T], y: &mut [T], mean: &mut [T], rstd: &mut [T]) {
    let count = T::from_f64(n as f64);
    for (i, (m, r)) in mean.iter_mut().zip(rstd).enumerate() {
        let (x, y) = (&x[i * n..(i + 1) * n], &mut y[i * n..(i + 1) * n]);
        let mean = sum(x) / count;
        let squares = fold(x, T::ZERO, |s, v| s + (v - mean) * (v - mean), T::plus);
        let rstd = T::ONE / (squares / count + eps).sqrt();
        for (y, &x) in y.iter_mut().zip(x) {
            *y = (x - mean) * rstd;
        }
        (*m, *r) = (mean, rstd);
    }
}
vectorised! {
    fn normalise<T: Real>(eps: T, n: usize, x: &[T], y: &mut [T], mean: &mut [T], rstd: &mut [T]) = normalise_body
}

/// `rstd (g − mean(g) − x̂ mean(g x̂))` with x̂ = (x − mean) rstd.
pub(super) fn backward<T: Real>(
    dims: usize,
    g: View<'_, Buffer>,
    x: View<'_, Buffer>,
    mean: View<'_, Buffer>,
    rstd: View<'_, Buffer>,
    gx: &ViewMut<'_, Buffer>,
) -> Result<()> {
    let (rows, n) = split(x.layout.shape(), dims);
    if rows * n == 0 {
        return Ok(());
    }
    // SAFETY: the dtypes were matched to T; the output shares no elements with the inputs.
    let (g, x, mean, rstd, gx) = unsafe {
        (packed::<T>(g)?, packed::<T>(x)?, packed::<T>(mean)?, packed::<T>(rstd)?, output::<T>(gx, rows * n)?)
    };
    let (g, x, mean, rstd, gx) = (&g[..], &x[..], &mean[..], &rstd[..], Ptr::new(gx.as_mut_ptr()));
    parallel(rows, n * 2, |range| {
        for i in range {
            // SAFETY: each row belongs to one task.
            let gx = unsafe { gx.slice_mut((i * n) as isize, n) };
            normalise_back(mean[i], rstd[i], &g[i * n..(i + 1) * n], &x[i * n..(i + 1) * n], gx);
        }
    });
    Ok(())
}

#[inline(always)]
fn normalise_back_body<T: Real>(mean: T, rstd: T, g: &[T], x: &[T], gx: &mut [T]) {
    let count = T::from_f64(x.len() as f64);
    let g_mean = sum(g) / count;
    let slope = fold2(g, x, |s, g, x| s + g * ((x - mean) * rstd)) / count;
    for ((gx, &g), &x) in gx.iter_mut().zip(g).zip(x) {
        *gx = rstd * (g - g_mean - (x - mean) * rstd * slope);
    }
}
vectorised! { fn normalise_back<T: Real>(mean: T, rstd: T, g: &[T], x: &[T], gx: &mut [T]) = normalise_back_body }
