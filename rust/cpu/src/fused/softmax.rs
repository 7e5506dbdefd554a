//! Softmax and its logarithm along one dim, shifted by the maximum so that nothing overflows.

use super::{largest, output, sum, sum2, weigh, Real};
use crate::buffer::Buffer;
use crate::strided::{packed, parallel, vectorised, Ptr};
use wengert_ops::layout::numel;
use wengert_ops::{Result, View, ViewMut};

/// Columns that one block of a softmax along an outer dim treats together.
const BLOCK: usize = 64;

/// `(outer, n, inner)` around a dim of a shape; rank 0 counts as one row of one element.
fn split(shape: &[usize], dim: usize) -> (usize, usize, usize) {
    if shape.is_empty() {
        return (1, 1, 1);
    }
    (numel(&shape[..dim]), shape[dim], numel(&shape[dim + 1..]))
}

/// `y = softmax(x)` or `log_softmax(x)` along `dim`.
pub(super) fn forward<T: Real>(dim: usize, log: bool, x: View<'_, Buffer>, y: &ViewMut<'_, Buffer>) -> Result<()> {
    if x.layout.numel() == 0 {
        return Ok(());
    }
    let (outer, n, inner) = split(x.layout.shape(), dim);
    // SAFETY: the dtype was matched to T; the output shares no elements with x (contract of ViewMut).
    let (x, y) = unsafe { (packed::<T>(x)?, output::<T>(y, x.layout.numel())?) };
    let (x, y, size) = (&x[..], Ptr::new(y.as_mut_ptr()), n * inner);
    let tasks = if inner == 1 { outer } else { outer * inner.div_ceil(BLOCK) };
    parallel(tasks, n * inner.min(BLOCK) * 4, |range| {
        if inner == 1 {
            // SAFETY: each range of rows belongs to one task.
            let y = unsafe { y.slice_mut((range.start * n) as isize, range.len() * n) };
            rows(log, n, &x[range.start * n..range.end * n], y);
        } else {
            let blocks = inner.div_ceil(BLOCK);
            for task in range {
                let (o, first) = (task / blocks, task % blocks * BLOCK);
                let width = BLOCK.min(inner - first);
                let at = o * size + first;
                columns(log, n, inner, width, &x[at..(o + 1) * size], Ptr::new(y.at(at as isize)));
            }
        }
    });
    Ok(())
}

#[inline(always)]
fn rows_body<T: Real>(fma: bool, log: bool, n: usize, x: &[T], y: &mut [T]) {
    // Classes are few in small models: rows of a known length unroll.
    match n {
        2 => return short_rows::<T, 2>(fma, log, x, y),
        3 => return short_rows::<T, 3>(fma, log, x, y),
        4 => return short_rows::<T, 4>(fma, log, x, y),
        10 => return short_rows::<T, 10>(fma, log, x, y),
        _ => {}
    }
    for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
        let top = largest(x);
        let total = weigh(fma, Some(x), top, y);
        if log {
            let log_total = total.ln();
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x - top - log_total;
            }
        } else {
            let share = T::ONE / total;
            y.iter_mut().for_each(|y| *y = *y * share);
        }
    }
}

/// So many rows at once, one a lane, that one exponential and one logarithm serve them all.
#[inline(always)]
fn short_rows<T: Real, const N: usize>(fma: bool, log: bool, x: &[T], y: &mut [T]) {
    const LANES: usize = 16;
    for (x, y) in x.chunks(LANES * N).zip(y.chunks_mut(LANES * N)) {
        let mut columns = [[T::ZERO; LANES]; N];
        for (r, x) in x.chunks_exact(N).enumerate() {
            for (column, &x) in columns.iter_mut().zip(x) {
                column[r] = x;
            }
        }
        let (mut top, mut total) = ([T::LOWEST; LANES], [T::ZERO; LANES]);
        for column in &columns {
            for (top, &x) in top.iter_mut().zip(column) {
                *top = if x > *top { x } else { *top };
            }
        }
        for column in &mut columns {
            for ((x, &top), total) in column.iter_mut().zip(&top).zip(&mut total) {
                let shifted = *x - top;
                let power = shifted.exp_falling(fma);
                *total = *total + power;
                *x = if log { shifted } else { power };
            }
        }
        if log {
            total.iter_mut().for_each(|t| *t = t.ln());
        }
        for column in &mut columns {
            for (x, &total) in column.iter_mut().zip(&total) {
                *x = if log { *x - total } else { *x / total };
            }
        }
        for (r, y) in y.chunks_exact_mut(N).enumerate() {
            for (y, column) in y.iter_mut().zip(&columns) {
                *y = column[r];
            }
        }
    }
}
vectorised! { pub(super) fn rows<T: Real>(log: bool, n: usize, x: &[T], y: &mut [T]) = fma rows_body }

/// `width` neighbouring columns of an `n × inner` matrix, line by line. `y` points at the first of them;
/// they belong to the caller alone.
#[inline(always)]
fn columns_body<T: Real>(fma: bool, log: bool, n: usize, inner: usize, width: usize, x: &[T], y: Ptr<T>) {
    let (mut top, mut total) = ([T::LOWEST; BLOCK], [T::ZERO; BLOCK]);
    // SAFETY: line i of the block lies within the output, and each is used by itself.
    let line = |i: usize| unsafe { y.slice_mut((i * inner) as isize, width) };
    for x in x.chunks(inner).take(n) {
        for (top, &x) in top.iter_mut().zip(&x[..width]) {
            *top = if x > *top { x } else { *top };
        }
    }
    for (i, x) in x.chunks(inner).take(n).enumerate() {
        for (((y, &x), &top), total) in line(i).iter_mut().zip(&x[..width]).zip(&top).zip(&mut total) {
            *y = (x - top).exp_falling(fma);
            *total = *total + *y;
        }
    }
    if log {
        total[..width].iter_mut().for_each(|t| *t = t.ln());
    }
    for (i, x) in x.chunks(inner).take(n).enumerate() {
        for (((y, &x), &top), &total) in line(i).iter_mut().zip(&x[..width]).zip(&top).zip(&total) {
            *y = if log { x - top - total } else { *y / total };
        }
    }
}
vectorised! {
    fn columns<T: Real>(log: bool, n: usize, inner: usize, width: usize, x: &[T], y: Ptr<T>) = fma columns_body
}

/// `gx` from `g` and the op's value `y`: `y (g − Σ g y)`, or `g − exp(y) Σ g` for the logarithm.
pub(super) fn backward<T: Real>(
    dim: usize,
    log: bool,
    g: View<'_, Buffer>,
    y: View<'_, Buffer>,
    gx: &ViewMut<'_, Buffer>,
) -> Result<()> {
    if y.layout.numel() == 0 {
        return Ok(());
    }
    let (outer, n, inner) = split(y.layout.shape(), dim);
    // SAFETY: the dtypes were matched to T; the output shares no elements with the inputs.
    let (g, y, gx) = unsafe { (packed::<T>(g)?, packed::<T>(y)?, output::<T>(gx, y.layout.numel())?) };
    let (g, y, gx) = (&g[..], &y[..], Ptr::new(gx.as_mut_ptr()));
    let size = n * inner;
    parallel(outer, size * 4, |range| {
        let (start, end) = (range.start * size, range.end * size);
        // SAFETY: each range of the outer dims belongs to one task.
        let gx = unsafe { gx.slice_mut(start as isize, end - start) };
        if inner == 1 {
            rows_back(log, n, &g[start..end], &y[start..end], gx);
        } else {
            columns_back(log, n, inner, &g[start..end], &y[start..end], gx);
        }
    });
    Ok(())
}

#[inline(always)]
fn rows_back_body<T: Real>(fma: bool, log: bool, n: usize, g: &[T], y: &[T], gx: &mut [T]) {
    for ((g, y), gx) in g.chunks_exact(n).zip(y.chunks_exact(n)).zip(gx.chunks_exact_mut(n)) {
        if log {
            let total = sum(g);
            for ((gx, &g), &y) in gx.iter_mut().zip(g).zip(y) {
                *gx = g - y.exp_falling(fma) * total;
            }
        } else {
            let total = sum2(g, y, |s, g, y| s + g * y);
            for ((gx, &g), &y) in gx.iter_mut().zip(g).zip(y) {
                *gx = y * (g - total);
            }
        }
    }
}
vectorised! { fn rows_back<T: Real>(log: bool, n: usize, g: &[T], y: &[T], gx: &mut [T]) = fma rows_back_body }

#[inline(always)]
fn columns_back_body<T: Real>(fma: bool, log: bool, n: usize, inner: usize, g: &[T], y: &[T], gx: &mut [T]) {
    let size = n * inner;
    for ((g, y), gx) in g.chunks_exact(size).zip(y.chunks_exact(size)).zip(gx.chunks_exact_mut(size)) {
        for first in (0..inner).step_by(BLOCK) {
            let end = inner.min(first + BLOCK);
            let mut total = [T::ZERO; BLOCK];
            for (g, y) in g.chunks_exact(inner).zip(y.chunks_exact(inner)) {
                for ((total, &g), &y) in total.iter_mut().zip(&g[first..end]).zip(&y[first..end]) {
                    *total = *total + if log { g } else { g * y };
                }
            }
            for ((g, y), gx) in g.chunks_exact(inner).zip(y.chunks_exact(inner)).zip(gx.chunks_exact_mut(inner)) {
                let line = gx[first..end].iter_mut().zip(&g[first..end]).zip(&y[first..end]);
                for (((gx, &g), &y), &total) in line.zip(&total) {
                    *gx = if log { g - y.exp_falling(fma) * total } else { y * (g - total) };
                }
            }
        }
    }
}
vectorised! {
    fn columns_back<T: Real>(log: bool, n: usize, inner: usize, g: &[T], y: &[T], gx: &mut [T]) = fma columns_back_body
}
