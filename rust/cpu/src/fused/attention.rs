//! Attention by tiles: a block of queries meets the keys block by block and keeps the largest score and the sum of
//! its weights so far, so that the scores of all queries and keys are never in memory at once. Backwards the weights
//! are computed anew from the saved logarithms of the sums, and those that were dropped drawn anew from where the draws
//! began.
//!
//! Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018); Dao et al., "FlashAttention" (2022).

use super::{largest, output, sum2, weigh, Real};
use crate::buffer::Buffer;
use crate::matmul::{product, Matrix};
use crate::nest::Nest;
use crate::random::{self, PLACE};
use crate::strided::{filled, packed, parallel, vectorised, Ptr};
use crate::threads::{self, Failed};
use std::borrow::Cow;
use std::ops::Range;
use wengert_ops::{fail, Result, View, ViewMut, STREAM_ROWS};

/// Queries and keys of a tile: their scores stay in the second cache. A stream drops the weights of a tile's queries.
const QUERIES: usize = STREAM_ROWS;
const KEYS: usize = 256;

/// What scores and weights undergo.
pub(super) struct How<'a> {
    causal: bool,
    scale: f64,
    mask: Option<View<'a, Buffer>>,
    dropout: Option<Dropout<'a>>,
}

/// Weights are kept with a probability.
struct Dropout<'a> {
    keep: f64,
    /// Where the draws of each block of queries begin.
    places: Cow<'a, [u32]>,
}

impl<'a> How<'a> {
    /// From an op's fields and its inputs behind the values.
    pub fn new(causal: bool, scale_bits: u64, keep_bits: u64, more: &[View<'a, Buffer>]) -> Result<How<'a>> {
        let (scale, keep) = (f64::from_bits(scale_bits), f64::from_bits(keep_bits));
        let (mask, dropout) = match more.split_last() {
            Some((streams, mask)) if keep < 1.0 => {
                if streams.layout.shape()[1] != PLACE {
                    fail!(
                        internal,
                        "attention: streams on the CPU are of {PLACE} numbers: got {:?}",
                        streams.layout.shape()
                    );
                }
                // SAFETY: i32 and u32 are alike, and nobody writes meanwhile.
                (mask.first(), Some(Dropout { keep, places: unsafe { packed(*streams)? } }))
            }
            _ => (more.first(), None),
        };
        Ok(How { causal, scale, mask: mask.copied(), dropout })
    }
}

impl Dropout<'_> {
    /// For each query of a block and each key, 1 if the weight is kept, else 0.
    fn draw(&self, block: usize, flags: &mut [u8]) {
        let (places, _) = self.places.as_chunks::<PLACE>();
        random::kept(&places[block], self.keep, flags);
    }

    /// What kept weights are multiplied by.
    fn factor<T: Real>(&self) -> T {
        T::ONE / T::from_f64(self.keep)
    }
}

/// Sizes, and what does not vary over the leading dims.
struct Problem<T> {
    causal: bool,
    scale: T,
    /// Queries, keys, width of both, width of the values.
    l: usize,
    s: usize,
    e: usize,
    d: usize,
}

/// A matrix for each index of the leading dims.
struct Batch<T> {
    starts: Vec<isize>,
    ptr: Ptr<T>,
    row: isize,
    col: isize,
}

impl<T: Real> Batch<T> {
    fn new(x: &View<'_, Buffer>) -> Result<Batch<T>> {
        let (shape, strides) = (x.layout.shape(), x.layout.strides());
        let r = shape.len() - 2;
        let nest = Nest::new(&shape[..r], [&strides[..r]], [x.layout.offset()]);
        let mut starts = crate::strided::room(nest.numel())?;
        nest.each(|[at]| starts.push(at));
        Ok(Batch { starts, ptr: Ptr::of(x.buffer), row: strides[r], col: strides[r + 1] })
    }

    /// The matrix of entry `b` from row `row` on.
    fn from(&self, b: usize, row: usize) -> Matrix<T> {
        let at = self.starts[b] + row as isize * self.row;
        Matrix { at: self.ptr.at(at), row: self.row, col: self.col }
    }
}

/// A row-major matrix with rows of `n`.
fn dense<T>(at: *const T, n: usize) -> Matrix<T> {
    Matrix { at, row: n as isize, col: 1 }
}

/// Scores of the queries `rows` and keys `cols` into `s`, rows `KEYS` apart: `q kᵀ · scale + mask`.
///
/// # Safety
/// The operands' elements lie in live memory that nobody writes.
#[allow(clippy::too_many_arguments)]
unsafe fn scores<T: Real>(
    p: &Problem<T>,
    q: Matrix<T>,
    k: Matrix<T>,
    mask: Option<Matrix<T>>,
    rows: &Range<usize>,
    cols: &Range<usize>,
    s: &mut [T],
    threads: bool,
) {
    product(rows.len(), p.e, cols.len(), q, k.t(), s.as_mut_ptr(), KEYS as isize, false, threads);
    for (i, line) in s.chunks_exact_mut(KEYS).take(rows.len()).enumerate() {
        let line = &mut line[..cols.len()];
        scaled(p.scale, line);
        if let Some(m) = mask {
            for (j, x) in line.iter_mut().enumerate() {
                *x = *x + *m.at.offset(i as isize * m.row + j as isize * m.col);
            }
        }
        if p.causal && cols.end > rows.start + i + 1 {
            line[(rows.start + i + 1).saturating_sub(cols.start)..].fill(T::LOWEST);
        }
    }
}

#[inline(always)]
fn scaled_body<T: Real>(by: T, line: &mut [T]) {
    line.iter_mut().for_each(|x| *x = *x * by);
}
vectorised! { fn scaled<T: Real>(by: T, line: &mut [T]) = scaled_body }

/// One row's scores become weights: rescales what is there if the largest score grows.
#[inline(always)]
fn rescale_body<T: Real>(fma: bool, line: &mut [T], top: &mut T, total: &mut T, sums: &mut [T]) {
    let found = largest(line);
    let new = if found > *top { found } else { *top };
    // A row that has seen nothing yet keeps weights of 0, and NaN where a score is.
    let shift = if new == T::LOWEST { T::ZERO } else { new };
    let shrink = (*top - shift).exp_falling(fma);
    if shrink < T::ONE {
        sums.iter_mut().for_each(|x| *x = *x * shrink);
    }
    *total = *total * shrink + weigh(fma, None, shift, line);
    *top = new;
}
vectorised! { fn rescale<T: Real>(line: &mut [T], top: &mut T, total: &mut T, sums: &mut [T]) = fma rescale_body }

/// Drops the weights whose flags are 0.
#[inline(always)]
fn keep_body<T: Real>(flags: &[u8], line: &mut [T]) {
    line.iter_mut().zip(flags).for_each(|(w, &flag)| *w = *w * T::from_f32(f32::from(flag)));
}
vectorised! { fn keep<T: Real>(flags: &[u8], line: &mut [T]) = keep_body }

/// Inputs q, k and v; outputs y and the logarithms of the sums of weights.
pub(super) fn forward<T: Real>(
    how: &How<'_>,
    [q, k, v]: [View<'_, Buffer>; 3],
    y: &ViewMut<'_, Buffer>,
    sums: &ViewMut<'_, Buffer>,
) -> Result<()> {
    let p = problem::<T>(how, &q, &k, &v);
    let (q, k, v) = (Batch::<T>::new(&q)?, Batch::<T>::new(&k)?, Batch::<T>::new(&v)?);
    let mask = how.mask.map(|m| Batch::<T>::new(&m)).transpose()?;
    let factor = how.dropout.as_ref().map_or(T::ONE, Dropout::factor);
    let batch = q.starts.len();
    // SAFETY: the dtype was matched to T; outputs share no elements with the inputs or each other.
    let (y, sums) = unsafe { (output::<T>(y, batch * p.l * p.d)?, output::<T>(sums, batch * p.l)?) };
    let (y, sums) = (Ptr::new(y.as_mut_ptr()), Ptr::new(sums.as_mut_ptr()));
    let blocks = p.l.div_ceil(QUERIES);
    let failed = Failed::default();
    parallel(batch * blocks, cost(&p, QUERIES), |tasks| {
        let Some(mut tile) = failed.keep(filled(T::ZERO, QUERIES * KEYS)) else { return };
        let Some(mut flags) = failed.keep(filled(0, p.flags(how))) else { return };
        for task in tasks {
            let (b, first) = (task / blocks, task % blocks * QUERIES);
            let rows = first..p.l.min(first + QUERIES);
            let (at, n) = ((b * p.l + first) as isize, rows.len());
            // SAFETY: a block of queries belongs to one task.
            let (y, sums) = unsafe { (y.slice_mut(at * p.d as isize, n * p.d), sums.slice_mut(at, n)) };
            y.fill(T::ZERO);
            if let Some(dropout) = &how.dropout {
                dropout.draw(task, &mut flags[..n * p.s]);
            }
            let (mut tops, mut totals) = ([T::LOWEST; QUERIES], [T::ZERO; QUERIES]);
            for start in (0..p.s).step_by(KEYS) {
                let cols = start..p.s.min(start + KEYS);
                if p.causal && cols.start >= rows.end {
                    break;
                }
                let mask = mask.as_ref().map(|m| m.from(b, first).moved(cols.start));
                // SAFETY: rows and columns lie in the operands, whose layouts lie in their buffers.
                unsafe { scores(&p, q.from(b, first), k.from(b, start), mask, &rows, &cols, &mut tile, false) };
                for (i, line) in tile.chunks_exact_mut(KEYS).take(n).enumerate() {
                    let line = &mut line[..cols.len()];
                    rescale(line, &mut tops[i], &mut totals[i], &mut y[i * p.d..(i + 1) * p.d]);
                    if how.dropout.is_some() {
                        keep(&flags[i * p.s + start..], line);
                    }
                }
                let weights = dense(tile.as_ptr(), KEYS);
                // SAFETY: as above; `y` is this task's own.
                unsafe {
                    product(n, cols.len(), p.d, weights, v.from(b, start), y.as_mut_ptr(), p.d as isize, true, false)
                };
            }
            for i in 0..n {
                let seen = totals[i] != T::ZERO;
                let by = if seen { factor / totals[i] } else { T::ONE };
                y[i * p.d..(i + 1) * p.d].iter_mut().for_each(|x| *x = *x * by);
                sums[i] = if seen { tops[i] + totals[i].ln() } else { T::LOWEST };
            }
        }
    });
    failed.result()
}

/// Inputs g, q, k, v, y and the logarithms of the sums; outputs the gradients of q, k and v.
pub(super) fn backward<T: Real>(
    how: &How<'_>,
    [g, q, k, v, y, sums]: [View<'_, Buffer>; 6],
    [gq, gk, gv]: [&ViewMut<'_, Buffer>; 3],
) -> Result<()> {
    let p = problem::<T>(how, &q, &k, &v);
    // SAFETY: the dtypes were matched to T.
    let (g, y, sums) = unsafe { (packed::<T>(g)?, packed::<T>(y)?, packed::<T>(sums)?) };
    let (g, y, sums) = (&g[..], &y[..], &sums[..]);
    let (q, k, v) = (Batch::<T>::new(&q)?, Batch::<T>::new(&k)?, Batch::<T>::new(&v)?);
    let mask = how.mask.map(|m| Batch::<T>::new(&m)).transpose()?;
    let factor = how.dropout.as_ref().map_or(T::ONE, Dropout::factor);
    let batch = q.starts.len();
    // SAFETY: outputs share no elements with the inputs or each other.
    let outputs = unsafe {
        [output::<T>(gq, batch * p.l * p.e)?, output::<T>(gk, batch * p.s * p.e)?, output::<T>(gv, batch * p.s * p.d)?]
    };
    let [gq, gk, gv] = outputs.map(|out| {
        out.fill(T::ZERO);
        Ptr::new(out.as_mut_ptr())
    });
    // Few entries: threads share the products of each instead.
    let alone = batch < threads::count();
    let failed = Failed::default();
    let work = |entries: Range<usize>| {
        let Some(mut weights) = failed.keep(filled(T::ZERO, QUERIES * KEYS)) else { return };
        let Some(mut slopes) = failed.keep(filled(T::ZERO, QUERIES * KEYS)) else { return };
        let Some(mut flags) = failed.keep(filled(0, p.flags(how))) else { return };
        for (b, first) in entries.flat_map(|b| (0..p.l).step_by(QUERIES).map(move |first| (b, first))) {
            let rows = first..p.l.min(first + QUERIES);
            let (at, n) = (b * p.l + first, rows.len());
            let (g_own, y_own) = (&g[at * p.d..(at + n) * p.d], &y[at * p.d..(at + n) * p.d]);
            let mut along = [T::ZERO; QUERIES];
            for (i, x) in along[..n].iter_mut().enumerate() {
                let row = i * p.d..(i + 1) * p.d;
                *x = sum2(&g_own[row.clone()], &y_own[row], |t, g, y| t + g * y);
            }
            if let Some(dropout) = &how.dropout {
                dropout.draw(b * p.l.div_ceil(QUERIES) + first / QUERIES, &mut flags[..n * p.s]);
            }
            let (queries, g_rows) = (q.from(b, first), dense(g_own.as_ptr(), p.d));
            let gq = gq.at((at * p.e) as isize);
            // Queries do not see keys behind the last of them.
            let keys = if p.causal { p.s.min(rows.end) } else { p.s };
            for start in (0..keys).step_by(KEYS) {
                let cols = start..p.s.min(start + KEYS);
                let (gk, gv) = (gk.at(((b * p.s + start) * p.e) as isize), gv.at(((b * p.s + start) * p.d) as isize));
                let mask = mask.as_ref().map(|m| m.from(b, first).moved(start));
                let (keys, values, line) = (k.from(b, start), v.from(b, start), KEYS as isize);
                // SAFETY: rows and columns lie in the operands and outputs; entry `b` of the outputs is this task's.
                unsafe {
                    scores(&p, queries, keys, mask, &rows, &cols, &mut weights, alone);
                    product(n, p.d, cols.len(), g_rows, values.t(), slopes.as_mut_ptr(), line, false, alone);
                }
                for (i, &along) in along[..n].iter().enumerate() {
                    let part = i * KEYS..i * KEYS + cols.len();
                    let (w, s) = (&mut weights[part.clone()], &mut slopes[part]);
                    let known = [sums[at + i], along, p.scale];
                    if how.dropout.is_some() {
                        slope_kept(known, factor, &flags[i * p.s + start..], w, s);
                    } else {
                        slope(known, w, s);
                    }
                }
                let (w, s) = (dense(weights.as_ptr(), KEYS), dense(slopes.as_ptr(), KEYS));
                // SAFETY: as above.
                unsafe {
                    product(cols.len(), n, p.d, w.t(), g_rows, gv, p.d as isize, true, alone);
                    product(n, cols.len(), p.e, s, keys, gq, p.e as isize, true, alone);
                    product(cols.len(), n, p.e, s.t(), queries, gk, p.e as isize, true, alone);
                }
            }
        }
    };
    match alone {
        true => work(0..batch),
        false => parallel(batch, cost(&p, p.l), work),
    }
    failed.result()
}

/// Scores become weights, and the gradients of weights those of products before the scale; `by` is what the weight of a key
/// is multiplied by.
#[inline(always)]
fn slopes_by<T: Real>(
    fma: bool,
    [sums, along, scale]: [T; 3],
    weights: &mut [T],
    slopes: &mut [T],
    by: impl Iterator<Item = T>,
) {
    let shift = if sums == T::LOWEST { T::ZERO } else { sums };
    for ((w, s), by) in weights.iter_mut().zip(slopes).zip(by) {
        let weight = (*w - shift).exp_falling(fma);
        *s = weight * (*s * by - along) * scale;
        *w = weight * by;
    }
}

#[inline(always)]
fn slope_body<T: Real>(fma: bool, known: [T; 3], weights: &mut [T], slopes: &mut [T]) {
    slopes_by(fma, known, weights, slopes, std::iter::repeat(T::ONE));
}
vectorised! { fn slope<T: Real>(known: [T; 3], weights: &mut [T], slopes: &mut [T]) = fma slope_body }

/// As [`slope`], with weights dropped whose flags are 0 and the others multiplied by `factor`.
#[inline(always)]
fn slope_kept_body<T: Real>(fma: bool, known: [T; 3], factor: T, flags: &[u8], weights: &mut [T], slopes: &mut [T]) {
    let by = flags.iter().map(|&flag| T::from_f32(f32::from(flag)) * factor);
    slopes_by(fma, known, weights, slopes, by);
}
vectorised! {
    fn slope_kept<T: Real>(known: [T; 3], factor: T, flags: &[u8], weights: &mut [T], slopes: &mut [T]) = fma slope_kept_body
}

fn problem<T: Real>(how: &How<'_>, q: &View<'_, Buffer>, k: &View<'_, Buffer>, v: &View<'_, Buffer>) -> Problem<T> {
    let last = |x: &View<'_, Buffer>, n: usize| x.layout.shape()[x.layout.rank() - n];
    let scale = T::from_f64(how.scale);
    Problem { causal: how.causal, scale, l: last(q, 2), s: last(k, 2), e: last(q, 1), d: last(v, 1) }
}

impl<T> Problem<T> {
    /// How many weights of a block of queries are dropped or kept, if any are.
    fn flags(&self, how: &How<'_>) -> usize {
        match how.dropout {
            Some(_) => self.l.min(QUERIES) * self.s,
            None => 0,
        }
    }
}

/// What a task of so many queries costs, in the elements that [`parallel`] counts.
fn cost<T>(p: &Problem<T>, queries: usize) -> usize {
    queries.saturating_mul(p.s).saturating_mul(p.e + p.d) / 8
}
