//! The largest or smallest element so far along a dim, and where it stands.

use crate::buffer::Buffer;
use crate::extreme::Pick;
use crate::reduce::{Max, Min};
use crate::strided::{dispatch, vectorised, Element, Lines, Nest, Ptr};
use wengert_ops::{contract, fail, Extremum, Result, View, ViewMut};

/// Running extremes of `x` along `dim`, in arrays of its shape apart from it. Of equal elements the last so far; NaN wins, the last too.
pub fn running(
    kind: Extremum,
    x: View<'_, Buffer>,
    dim: usize,
    values: ViewMut<'_, Buffer>,
    indices: ViewMut<'_, Buffer>,
) -> Result<()> {
    contract::sort(&x, dim, &values, &indices)?;
    if values.layout().shape() != x.layout.shape() {
        fail!(
            internal,
            "running: outputs of shape {:?} for an input of {:?}",
            values.layout().shape(),
            x.layout.shape()
        );
    }
    dispatch!(x.dtype, T => match kind {
        Extremum::Max => along::<Max<T>>(x, dim, &values, &indices),
        Extremum::Min => along::<Min<T>>(x, dim, &values, &indices),
    });
    Ok(())
}

/// Where the elements of lines lie in the input and go to.
struct Arrays<T> {
    x: Ptr<T>,
    values: Ptr<T>,
    indices: Ptr<i64>,
}

fn along<F: Pick>(x: View<'_, Buffer>, dim: usize, values: &ViewMut<'_, Buffer>, indices: &ViewMut<'_, Buffer>) {
    let (a, v, i) = (x.layout, values.layout(), indices.layout());
    let lines =
        Lines::new(a.shape(), [a.strides(), v.strides(), i.strides()], [a.offset(), v.offset(), i.offset()], dim);
    let arrays = Arrays { x: Ptr::of(x.buffer), values: Ptr::of(values.buffer()), indices: Ptr::of(indices.buffer()) };
    let columns = lines.steps[0].unsigned_abs() > 1 && lines.outer.steps() == [1; 3] && lines.outer.inner() >= 8;
    lines.share(|part| match columns {
        true => side_by_side::<F>(&arrays, part, &lines),
        false => one_by_one::<F>(&arrays, part, &lines),
    });
}

/// Whether an element takes the place of the best before it.
#[inline(always)]
fn takes_over<F: Pick>(best: F::W, candidate: F::W) -> bool {
    F::beats(best, candidate) | (candidate == best) | candidate.is_nan()
}

fn one_by_one<F: Pick>(arrays: &Arrays<F::T>, part: &Nest<3>, lines: &Lines<3>) {
    if lines.steps == [1; 3] {
        // SAFETY: the lines' positions lie in their buffers; parts are disjoint, and outputs apart from the input.
        return part.each(|[p, q, r]| unsafe {
            let (values, indices) = (arrays.values.slice_mut(q, lines.len), arrays.indices.slice_mut(r, lines.len));
            dense_line::<F>(arrays.x.slice(p, lines.len), values, indices);
        });
    }
    part.each(|[mut p, mut q, mut r]| {
        // SAFETY (all): the lines' positions lie in their buffers; parts are disjoint.
        let (mut value, mut place) = (unsafe { arrays.x.get(p) }, 0);
        let mut best = F::widen(F::load(value));
        for k in 0..lines.len as i64 {
            let element = unsafe { arrays.x.get(p) };
            let candidate = F::widen(F::load(element));
            // Seldom taken in lines without order, always in ordered ones: a branch is foreseen.
            if takes_over::<F>(best, candidate) {
                (best, value, place) = (candidate, element, k);
            }
            unsafe {
                arrays.values.set(q, value);
                arrays.indices.set(r, place);
            }
            p += lines.steps[0];
            q += lines.steps[1];
            r += lines.steps[2];
        }
    });
}

fn dense_line<F: Pick>(line: &[F::T], values: &mut [F::T], indices: &mut [i64]) {
    let Some(&first) = line.first() else { return };
    let (mut best, mut value, mut place) = (F::widen(F::load(first)), first, 0);
    for (k, (&element, (v, i))) in line.iter().zip(values.iter_mut().zip(indices)).enumerate() {
        let candidate = F::widen(F::load(element));
        if takes_over::<F>(best, candidate) {
            (best, value, place) = (candidate, element, k as i64);
        }
        (*v, *i) = (value, place);
    }
}

vectorised! {
    fn side_by_side<F: Pick>(arrays: &Arrays<F::T>, part: &Nest<3>, lines: &Lines<3>) = side_by_side_body::<F>
}

/// Lines that are neighbours, many at a time.
#[inline(always)]
fn side_by_side_body<F: Pick>(arrays: &Arrays<F::T>, part: &Nest<3>, lines: &Lines<3>) {
    const WIDTH: usize = 256;
    part.rows(|starts, _, len| {
        for first in (0..len).step_by(WIDTH) {
            let width = (len - first).min(WIDTH);
            let at = |k: usize, array: usize| starts[array] + first as isize + k as isize * lines.steps[array];
            let (mut values, mut places) = ([F::T::default(); WIDTH], [0i64; WIDTH]);
            // SAFETY (all): as in `one_by_one`; the inner steps are 1.
            values[..width].copy_from_slice(unsafe { arrays.x.slice(at(0, 0), width) });
            for k in 0..lines.len {
                for j in 0..width {
                    let element = unsafe { arrays.x.get(at(k, 0) + j as isize) };
                    let take = takes_over::<F>(F::widen(F::load(values[j])), F::widen(F::load(element)));
                    values[j] = if take { element } else { values[j] };
                    places[j] = if take { k as i64 } else { places[j] };
                }
                unsafe {
                    arrays.values.slice_mut(at(k, 1), width).copy_from_slice(&values[..width]);
                    arrays.indices.slice_mut(at(k, 2), width).copy_from_slice(&places[..width]);
                }
            }
        }
    });
}
