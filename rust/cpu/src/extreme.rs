//! The largest or smallest element along a dim, and where it stands.

use crate::buffer::Buffer;
use crate::reduce::{fold_slice, Fold, Max, Min};
use crate::strided::{dispatch, vectorised, Element, Lines, Nest, Ptr, GRAIN};
use crate::threads;
use wengert_ops::{contract, Extremum, Layout, Result, Strides, View, ViewMut};

/// `Backend::extreme`. NaN wins; of equal elements the first.
pub fn extreme(
    kind: Extremum,
    x: View<'_, Buffer>,
    dim: usize,
    values: Option<ViewMut<'_, Buffer>>,
    indices: Option<ViewMut<'_, Buffer>>,
) -> Result<()> {
    contract::extreme(kind, &x, dim, values.as_ref(), indices.as_ref())?;
    dispatch!(x.dtype, T => match kind {
        Extremum::Max => along::<Max<T>>(x, dim, values, indices),
        Extremum::Min => along::<Min<T>>(x, dim, values, indices),
    });
    Ok(())
}

/// Where results go; an absent output is not written.
struct Outputs<T> {
    values: Option<Ptr<T>>,
    indices: Option<Ptr<i64>>,
}

impl<T: Element> Outputs<T> {
    /// # Safety
    /// The positions lie in the outputs and belong to this thread.
    unsafe fn write(&self, [v, i]: [isize; 2], value: T, index: usize) {
        if let Some(p) = self.values {
            p.set(v, value);
        }
        if let Some(p) = self.indices {
            p.set(i, index as i64);
        }
    }
}

/// Strides of an output for the input's dims, whether it keeps the folded dim or not.
fn strides_of(out: Option<&Layout>, rank: usize, dim: usize) -> Strides {
    let Some(out) = out else { return Strides::from_elem(0, rank) };
    let mut strides = Strides::from_slice(out.strides());
    if strides.len() < rank {
        strides.insert(dim, 0);
    }
    strides
}

fn along<F: Pick>(
    x: View<'_, Buffer>,
    dim: usize,
    values: Option<ViewMut<'_, Buffer>>,
    indices: Option<ViewMut<'_, Buffer>>,
) {
    let rank = x.layout.rank();
    let v = strides_of(values.as_ref().map(|v| v.layout()), rank, dim);
    let i = strides_of(indices.as_ref().map(|i| i.layout()), rank, dim);
    let offset = |out: &Option<ViewMut<'_, Buffer>>| out.as_ref().map_or(0, |o| o.layout().offset());
    let offsets = [x.layout.offset(), offset(&values), offset(&indices)];
    let lines = Lines::new(x.layout.shape(), [x.layout.strides(), &v, &i], offsets, dim);
    let out = Outputs { values: values.map(|v| Ptr::of(v.buffer())), indices: indices.map(|i| Ptr::of(i.buffer())) };
    let p = Ptr::<F::T>::of(x.buffer);
    if lines.outer.numel() == 1 && lines.len > 4 * GRAIN {
        return long_line::<F>(p, &lines, &out);
    }
    let columns = lines.steps[0] != 1
        && lines.outer.steps()[0] == 1
        && lines.outer.inner() >= 8
        && lines.len <= u32::MAX as usize;
    lines.share(|part| {
        if columns {
            columns_of::<F>(p, part, &lines, &out)
        } else {
            // SAFETY: the lines' positions lie in their buffers; parts are disjoint.
            part.each(|[at, v, i]| unsafe {
                let k = first_extreme::<F>(p, at, lines.steps[0], lines.len);
                out.write([v, i], p.get(at + k as isize * lines.steps[0]), k);
            });
        }
    });
}

/// One long line in parts, whose extremes are then compared.
fn long_line<F: Pick>(x: Ptr<F::T>, lines: &Lines<3>, out: &Outputs<F::T>) {
    let [start, v, i] = lines.outer.start();
    let step = lines.steps[0];
    let parts = lines.len / GRAIN;
    // SAFETY (both): positions lie in the buffers; only this thread writes.
    let at = |k: usize| unsafe { x.get(start + k as isize * step) };
    let part = |p| {
        let (from, to) = (lines.len * p / parts, lines.len * (p + 1) / parts);
        from + first_extreme::<F>(x, start + from as isize * step, step, to - from)
    };
    let better = |a, b| if F::beats(F::widen(F::load(at(a))), F::widen(F::load(at(b)))) { b } else { a };
    let best = threads::gather(parts, part).into_iter().reduce(better).unwrap_or(0);
    unsafe { out.write([v, i], at(best), best) };
}

/// A fold that picks one of its elements.
pub(crate) trait Pick: Fold {
    /// Whether `candidate` takes the place of an earlier `best`.
    fn beats(best: Self::W, candidate: Self::W) -> bool;
}

impl<T: Element> Pick for Max<T> {
    #[inline(always)]
    fn beats(best: T::Cmp, candidate: T::Cmp) -> bool {
        (candidate > best) | (candidate.is_nan() & !best.is_nan())
    }
}

impl<T: Element> Pick for Min<T> {
    #[inline(always)]
    fn beats(best: T::Cmp, candidate: T::Cmp) -> bool {
        (candidate < best) | (candidate.is_nan() & !best.is_nan())
    }
}

/// Position of the first extreme element of a line: its value by the fast fold, then a search.
fn first_extreme<F: Pick>(x: Ptr<F::T>, start: isize, step: isize, len: usize) -> usize {
    if step == 1 && len > 16 {
        // SAFETY: the line lies in the buffer.
        let line = unsafe { x.slice(start, len) };
        return find::<F>(line, fold_slice::<F>(line));
    }
    // SAFETY: as above.
    let at = |k: usize| F::widen(F::load(unsafe { x.get(start + k as isize * step) }));
    let mut best = (at(0), 0);
    for k in 1..len {
        let candidate = at(k);
        if F::beats(best.0, candidate) {
            best = (candidate, k);
        }
    }
    best.1
}

vectorised! {
    fn find<F: Pick>(line: &[F::T], value: F::W) -> usize = find_body::<F>
}

/// Where `value` first stands. Blocks are searched without an early way out, which vectorises.
#[inline(always)]
fn find_body<F: Pick>(line: &[F::T], value: F::W) -> usize {
    let is = |&v: &F::T| {
        let v = F::widen(F::load(v));
        (v == value) | (v.is_nan() & value.is_nan())
    };
    for (b, block) in line.chunks(64).enumerate() {
        if block.iter().fold(false, |hit, v| hit | is(v)) {
            return b * 64 + block.iter().position(is).unwrap_or(0);
        }
    }
    0
}

vectorised! {
    fn compare<F: Pick>(best: &mut [F::W], place: &mut [u32], row: &[F::T], number: u32) = compare_body::<F>
}

/// Takes from row `number` what is better.
#[inline(always)]
fn compare_body<F: Pick>(best: &mut [F::W], place: &mut [u32], row: &[F::T], number: u32) {
    for ((b, place), &v) in best.iter_mut().zip(place).zip(row) {
        let candidate = F::widen(F::load(v));
        let better = F::beats(*b, candidate);
        *b = if better { candidate } else { *b };
        *place = if better { number } else { *place };
    }
}

/// Lines that lie side by side, many at a time.
fn columns_of<F: Pick>(x: Ptr<F::T>, part: &Nest<3>, lines: &Lines<3>, out: &Outputs<F::T>) {
    const WIDTH: usize = 256;
    part.rows(|[p, v, i], steps, len| {
        for first in (0..len).step_by(WIDTH) {
            let width = (len - first).min(WIDTH);
            let p = p + first as isize;
            let mut best = [F::widen(F::INIT); WIDTH];
            let mut place = [0u32; WIDTH];
            // SAFETY: the lines' positions lie in their buffers, side by side.
            let row = |j: usize| unsafe { x.slice(p + j as isize * lines.steps[0], width) };
            for (b, &v) in best.iter_mut().zip(row(0)) {
                *b = F::widen(F::load(v));
            }
            for j in 1..lines.len {
                compare::<F>(&mut best, &mut place, row(j), j as u32);
            }
            for (k, &place) in place[..width].iter().enumerate() {
                let at = (first + k) as isize;
                // SAFETY: as above; parts are disjoint.
                unsafe {
                    let value = x.get(p + k as isize + place as isize * lines.steps[0]);
                    out.write([v + at * steps[1], i + at * steps[2]], value, place as usize);
                }
            }
        }
    });
}
