//! Weighted sums of a few elements of a line for each place of another: interpolation along a dim.

use crate::buffer::Buffer;
use crate::strided::{dense, dense_mut, parallel, vectorised, Number, Ptr};
use wengert_ops::{contract, fail, DType, Error, Result, View, ViewMut};

/// Element k along `dim` of `out` is the sum, from 0, of `x`'s elements `places[t][k]` times `weights[t][k]`. Floats of one
/// dtype, all contiguous.
pub fn blend(
    x: View<'_, Buffer>,
    dim: usize,
    places: &[View<'_, Buffer>],
    weights: &[View<'_, Buffer>],
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    contract::same_dtypes("blend", out.dtype(), x.dtype)?;
    weights.iter().try_for_each(|w| contract::same_dtypes("blend", w.dtype, x.dtype))?;
    places.iter().try_for_each(|p| contract::int64("blend", p))?;
    match x.dtype {
        DType::F32 => typed::<f32>(x, dim, places, weights, out),
        DType::F64 => typed::<f64>(x, dim, places, weights, out),
        other => fail!(internal, "blend: elements of {other}"),
    }
}

/// What the loops go over: lines of `size` elements, `after` numbers each.
struct Lines<'a, T> {
    x: &'a [T],
    taps: Vec<(&'a [i64], &'a [T])>,
    size: usize,
    after: usize,
}

fn typed<T: Number>(
    x: View<'_, Buffer>,
    dim: usize,
    places: &[View<'_, Buffer>],
    weights: &[View<'_, Buffer>],
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    let strided = || Error::internal("blend: strided arrays");
    let (shape, wanted) = (x.layout.shape(), out.layout().shape());
    let Some((&size, &count)) = shape.get(dim).zip(wanted.get(dim)) else { fail!(internal, "blend: no dim {dim}") };
    let alike = shape.len() == wanted.len() && (0..shape.len()).all(|d| d == dim || shape[d] == wanted[d]);
    // SAFETY (all): the dtypes were compared; nobody writes the inputs, and nobody else uses the output.
    let taps = places.iter().zip(weights).map(|(p, w)| unsafe {
        let (p, w) = (dense::<i64>(*p), dense::<T>(*w));
        p.zip(w).ok_or_else(strided)
    });
    let taps = taps.collect::<Result<Vec<_>>>()?;
    let inside = |&(p, w): &(&[i64], &[T])| {
        p.len() == count && w.len() == count && p.iter().all(|&i| i >= 0 && (i as usize) < size)
    };
    if !alike || !taps.iter().all(inside) {
        fail!(internal, "blend: {count} places of {size} from {shape:?} to {wanted:?}");
    }
    let (Some(x), Some(y)) = (unsafe { dense::<T>(x) }, unsafe { dense_mut::<T>(&out) }) else {
        return Err(strided());
    };
    let after: usize = shape[dim + 1..].iter().product();
    let (all, lines) = (y.len().checked_div(after * count).unwrap_or(0), Lines { x, taps, size, after });
    let y = Ptr::from_slice_mut(y);
    let each = count * after;
    parallel(all, each, |range| {
        // SAFETY: parts are disjoint.
        let y = unsafe { y.slice_mut((range.start * each) as isize, range.len() * each) };
        for (line, y) in range.zip(y.chunks_mut(each.max(1))) {
            if lines.after == 1 {
                line_of_numbers(&lines, line, y);
            } else {
                line_of_rows(&lines, line, y);
            }
        }
    });
    Ok(())
}

vectorised! {
    fn line_of_numbers<T: Number>(lines: &Lines<'_, T>, line: usize, y: &mut [T]) = numbers_body
}
vectorised! {
    fn line_of_rows<T: Number>(lines: &Lines<'_, T>, line: usize, y: &mut [T]) = rows_body
}

#[inline(always)]
fn numbers_body<T: Number>(lines: &Lines<'_, T>, line: usize, y: &mut [T]) {
    let x = &lines.x[line * lines.size..][..lines.size];
    y.fill(T::ZERO);
    for &(places, weights) in &lines.taps {
        for ((y, &place), &weight) in y.iter_mut().zip(places).zip(weights) {
            *y = y.plus(x[place as usize].times(weight));
        }
    }
}

#[inline(always)]
fn rows_body<T: Number>(lines: &Lines<'_, T>, line: usize, y: &mut [T]) {
    let after = lines.after;
    let x = &lines.x[line * lines.size * after..][..lines.size * after];
    for (k, y) in y.chunks_exact_mut(after).enumerate() {
        y.fill(T::ZERO);
        for (places, weights) in &lines.taps {
            let (row, weight) = (&x[places[k] as usize * after..][..after], weights[k]);
            y.iter_mut().zip(row).for_each(|(y, &x)| *y = y.plus(x.times(weight)));
        }
    }
}
