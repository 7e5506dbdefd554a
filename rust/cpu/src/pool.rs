//! Max pooling over windows of the trailing dims.

use crate::buffer::Buffer;
use crate::strided::{dense_mut, dispatch, packed, parallel, room, Element, Ptr};
use wengert_ops::{contract, fail, PoolSpec, Result, View, ViewMut};

/// Values and positions (i64, in the flattened window dims of x) of the largest element of each window.
/// Padding never wins, NaN always does. The outputs' shape decides how many windows there are.
pub fn max_pool(
    spec: &PoolSpec,
    x: View<'_, Buffer>,
    values: ViewMut<'_, Buffer>,
    indices: ViewMut<'_, Buffer>,
) -> Result<()> {
    contract::max_pool(spec, &x, &values, &indices)?;
    if values.layout().numel() == 0 {
        return Ok(());
    }
    let (shape, out) = (x.layout.shape(), values.layout().shape());
    let lead = shape.len() - spec.kernel.len();
    let windows = Windows::new(spec, &shape[lead..], &out[lead..])?;
    dispatch!(x.dtype, T => run::<T>(&windows, x, values, indices))
}

/// Geometry with the window dims brought to three.
struct Windows {
    /// For each dim and output position: the first input position and how many taps lie inside.
    taps: [Vec<(usize, usize)>; 3],
    dilation: [usize; 3],
    input: [usize; 3],
    output: [usize; 3],
}

impl Windows {
    fn new(spec: &PoolSpec, input: &[usize], output: &[usize]) -> Result<Windows> {
        let d = spec.kernel.len();
        let mut w =
            Windows { taps: std::array::from_fn(|_| vec![(0, 1)]), dilation: [1; 3], input: [1; 3], output: [1; 3] };
        for i in 0..d {
            let (slot, step, n) = (3 - d + i, spec.dilation[i].max(1), input[i]);
            w.dilation[slot] = step;
            w.input[slot] = n;
            w.output[slot] = output[i];
            w.taps[slot] = room(output[i])?;
            w.taps[slot].extend((0..output[i]).map(|o| contract::taps(spec, i, o, n)));
            if w.taps[slot].iter().any(|&(_, count)| count == 0) {
                return Err(contract::empty_window(spec, input, output));
            }
        }
        Ok(w)
    }
}

fn run<T: Element>(
    w: &Windows,
    x: View<'_, Buffer>,
    values: ViewMut<'_, Buffer>,
    indices: ViewMut<'_, Buffer>,
) -> Result<()> {
    // SAFETY: T and i64 are the arrays' types; the outputs share no elements with x or each other.
    let (x, y, positions) = unsafe { (packed::<T>(x)?, dense_mut::<T>(&values), dense_mut::<i64>(&indices)) };
    let (Some(y), Some(positions)) = (y, positions) else { fail!(internal, "max_pool: outputs must be contiguous") };
    let (plane, windows) = (w.input.iter().product::<usize>(), w.output.iter().product::<usize>());
    let (x, y, positions) = (&x[..], Ptr::new(y.as_mut_ptr()), Ptr::new(positions.as_mut_ptr()));
    let taps: usize = w.taps.iter().map(|t| t.iter().map(|&(_, n)| n).max().unwrap_or(1)).product();
    parallel(x.len() / plane, windows * taps * 2, |planes| {
        for p in planes {
            // SAFETY: each plane of the outputs belongs to one task.
            let (y, positions) = unsafe {
                let at = (p * windows) as isize;
                (y.slice_mut(at, windows), positions.slice_mut(at, windows))
            };
            max_plane(w, &x[p * plane..(p + 1) * plane], y, positions);
        }
    });
    Ok(())
}

fn max_plane<T: Element>(w: &Windows, x: &[T], y: &mut [T], positions: &mut [i64]) {
    let [_, rows, cols] = w.input;
    let mut out = y.iter_mut().zip(positions);
    for &(z0, nz) in &w.taps[0] {
        for &(r0, nr) in &w.taps[1] {
            for &(c0, nc) in &w.taps[2] {
                let mut best = (z0 * rows + r0) * cols + c0;
                let mut top = x[best];
                for z in 0..nz {
                    for r in 0..nr {
                        let line = ((z0 + z * w.dilation[0]) * rows + r0 + r * w.dilation[1]) * cols + c0;
                        for c in 0..nc {
                            let v = x[line + c * w.dilation[2]];
                            if v > top || v.is_nan() {
                                (top, best) = (v, line + c * w.dilation[2]);
                            }
                        }
                    }
                }
                if let Some((y, position)) = out.next() {
                    (*y, *position) = (top, best as i64);
                }
            }
        }
    }
}
