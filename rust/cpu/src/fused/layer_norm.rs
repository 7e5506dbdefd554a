//! Normalisation over the trailing dims: y = x̂ · w + b with x̂ = (x − mean) · rstd and rstd = 1/√(variance + eps). Where it
//! is not centred (RMS norm), the mean counts as 0.

use super::{output, sum, sum2, sum_of, Real};
use crate::buffer::Buffer;
use crate::strided::{filled, packed, parallel, vectorised, Number, Ptr, GRAIN};
use crate::threads::{self, Failed};
use wengert_ops::layout::numel;
use wengert_ops::{Result, View, ViewMut};

/// Rows and row length when the last `dims` dims are normalised.
fn split(shape: &[usize], dims: usize) -> (usize, usize) {
    let lead = shape.len() - dims.min(shape.len());
    (numel(&shape[..lead]), numel(&shape[lead..]))
}

/// Input x, and w and b where there are; outputs y of x's shape, and mean and rstd with one element a row.
pub(super) fn forward<T: Real>(
    dims: usize,
    (centred, eps): (bool, f64),
    x: View<'_, Buffer>,
    affine: &[View<'_, Buffer>],
    y: &ViewMut<'_, Buffer>,
    [mean, rstd]: [&ViewMut<'_, Buffer>; 2],
) -> Result<()> {
    let (rows, n) = split(x.layout.shape(), dims);
    if rows == 0 {
        return Ok(());
    }
    // SAFETY: the dtype was matched to T; outputs share no elements with the inputs or each other.
    let (x, w, b, y, mean, rstd) = unsafe {
        let w = affine.first().map(|w| packed::<T>(*w)).transpose()?;
        let b = affine.get(1).map(|b| packed::<T>(*b)).transpose()?;
        let (mean, rstd) = (output::<T>(mean, rows)?, output::<T>(rstd, rows)?);
        (packed::<T>(x)?, w, b, output::<T>(y, rows * n)?, mean, rstd)
    };
    let (x, w, b, eps) = (&x[..], w.as_deref(), b.as_deref(), T::from_f64(eps));
    let (y, mean, rstd) = (Ptr::new(y.as_mut_ptr()), Ptr::new(mean.as_mut_ptr()), Ptr::new(rstd.as_mut_ptr()));
    parallel(rows, n * 2, |range| {
        let (first, count) = (range.start as isize, range.len());
        // SAFETY: each range of rows, with its means and deviations, belongs to one task.
        let (y, mean, rstd) = unsafe {
            (y.slice_mut(first * n as isize, count * n), mean.slice_mut(first, count), rstd.slice_mut(first, count))
        };
        normalise((eps, n, centred), &x[range.start * n..range.end * n], (w, b), y, mean, rstd);
    });
    Ok(())
}

#[inline(always)]
fn normalise_body<T: Real>(
    (eps, n, centred): (T, usize, bool),
    x: &[T],
    (w, b): (Option<&[T]>, Option<&[T]>),
    y: &mut [T],
    mean: &mut [T],
    rstd: &mut [T],
) {
    let count = T::from_f64(n as f64);
    for (i, (m, r)) in mean.iter_mut().zip(rstd).enumerate() {
        let (x, y) = (&x[i * n..(i + 1) * n], &mut y[i * n..(i + 1) * n]);
        let mean = if centred { sum(x) / count } else { T::ZERO };
        let squares = sum_of(x, |s, v| s + (v - mean) * (v - mean));
        let rstd = T::ONE / (squares / count + eps).sqrt();
        let hat = y.iter_mut().zip(x.iter().map(|&x| (x - mean) * rstd));
        match (w, b) {
            (None, _) => hat.for_each(|(y, hat)| *y = hat),
            (Some(w), None) => hat.zip(w).for_each(|((y, hat), &w)| *y = hat * w),
            (Some(w), Some(b)) => hat.zip(w).zip(b).for_each(|(((y, hat), &w), &b)| *y = hat * w + b),
        }
        (*m, *r) = (mean, rstd);
    }
}
vectorised! {
    fn normalise<T: Real>(
        sizes: (T, usize, bool),
        x: &[T],
        affine: (Option<&[T]>, Option<&[T]>),
        y: &mut [T],
        mean: &mut [T],
        rstd: &mut [T],
    ) = normalise_body
}

/// `rstd (g − mean(g) − x̂ mean(g x̂))`, without `mean(g)` if not centred.
pub(super) fn backward<T: Real>(
    dims: usize,
    centred: bool,
    [g, x, mean, rstd]: [View<'_, Buffer>; 4],
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
            gx.copy_from_slice(&g[i * n..(i + 1) * n]);
            normalise_back(centred, mean[i], rstd[i], &x[i * n..(i + 1) * n], gx);
        }
    });
    Ok(())
}

/// One row, whose incoming gradient is in `gx`.
#[inline(always)]
fn normalise_back_body<T: Real>(centred: bool, mean: T, rstd: T, x: &[T], gx: &mut [T]) {
    let count = T::from_f64(x.len() as f64);
    let g_mean = if centred { sum(gx) / count } else { T::ZERO };
    let slope = sum2(gx, x, |s, g, x| s + g * ((x - mean) * rstd)) / count;
    for (gx, &x) in gx.iter_mut().zip(x) {
        *gx = rstd * (*gx - g_mean - (x - mean) * rstd * slope);
    }
}
vectorised! {
    fn normalise_back<T: Real>(centred: bool, mean: T, rstd: T, x: &[T], gx: &mut [T]) = normalise_back_body
}

/// Rows whose gradients of w and b are added in `T` before they go to `T::Wide`.
const BLOCK: usize = 32;

/// [`backward`] of the gradient times w; also `Σ g x̂` and `Σ g` over the rows, the gradients of w and b.
pub(super) fn backward_affine<T: Real>(
    dims: usize,
    centred: bool,
    [g, x, mean, rstd, w]: [View<'_, Buffer>; 5],
    gx: &ViewMut<'_, Buffer>,
    [gw, gb]: [&ViewMut<'_, Buffer>; 2],
) -> Result<()> {
    let (rows, n) = split(x.layout.shape(), dims);
    // SAFETY: the dtypes were matched to T; outputs share no elements with the inputs or each other.
    let (g, x, mean, rstd, w, gx, gw, gb) = unsafe {
        let (gw, gb) = (output::<T>(gw, n)?, output::<T>(gb, n)?);
        let (mean, rstd, w, gx) = (packed::<T>(mean)?, packed::<T>(rstd)?, packed::<T>(w)?, output::<T>(gx, rows * n)?);
        (packed::<T>(g)?, packed::<T>(x)?, mean, rstd, w, gx, gw, gb)
    };
    let (g, x, mean, rstd, w, gx) = (&g[..], &x[..], &mean[..], &rstd[..], &w[..], Ptr::new(gx.as_mut_ptr()));
    // As many parts whatever the number of threads, so that the sums do not depend on it.
    let parts = (rows.saturating_mul(n) / GRAIN).clamp(1, 16).min(rows.max(1));
    let failed = Failed::default();
    let sums = threads::gather(parts, |part| {
        let mut wide = failed.keep(filled(T::Wide::ZERO, 2 * n))?;
        let mut narrow = failed.keep(filled(T::ZERO, 2 * n))?;
        let range = rows * part / parts..rows * (part + 1) / parts;
        for first in range.clone().step_by(BLOCK) {
            let (to_w, to_b) = narrow.split_at_mut(n);
            for i in first..range.end.min(first + BLOCK) {
                let row = i * n..(i + 1) * n;
                // SAFETY: each row belongs to one part.
                let gx = unsafe { gx.slice_mut(row.start as isize, n) };
                affine_back((mean[i], rstd[i]), &g[row.clone()], &x[row.clone()], w, gx, (to_w, to_b));
                normalise_back(centred, mean[i], rstd[i], &x[row], gx);
            }
            for (wide, narrow) in wide.iter_mut().zip(&mut narrow) {
                *wide = wide.plus(T::Wide::load(std::mem::take(narrow)));
            }
        }
        Some(wide)
    });
    failed.result()?;
    for (k, to) in gw.iter_mut().chain(gb).enumerate() {
        *to = sums.iter().flatten().fold(T::Wide::ZERO, |s, part| s.plus(part[k])).store();
    }
    Ok(())
}

/// One row: the gradient times w into `gx`, and what it adds to the gradients of w and b.
#[inline(always)]
fn affine_back_body<T: Real>(
    (mean, rstd): (T, T),
    g: &[T],
    x: &[T],
    w: &[T],
    gx: &mut [T],
    (gw, gb): (&mut [T], &mut [T]),
) {
    let n = gx.len();
    let (g, x, w, gw, gb) = (&g[..n], &x[..n], &w[..n], &mut gw[..n], &mut gb[..n]);
    for i in 0..n {
        gw[i] = gw[i] + g[i] * ((x[i] - mean) * rstd);
        gb[i] = gb[i] + g[i];
        gx[i] = g[i] * w[i];
    }
}
vectorised! {
    fn affine_back<T: Real>(
        stats: (T, T),
        g: &[T],
        x: &[T],
        w: &[T],
        gx: &mut [T],
        sums: (&mut [T], &mut [T]),
    ) = affine_back_body
}
