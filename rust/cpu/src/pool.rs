//! Max pooling over windows of the trailing dims.

use crate::buffer::Buffer;
use crate::strided::{dense_mut, dispatch, packed, parallel, room, vectorised, Element, Ptr};
use smallvec::SmallVec;
use std::ops::Range;
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

/// Windows of the last dim that lie inside the input with all their taps.
struct Whole {
    outputs: Range<usize>,
    taps: usize,
    stride: usize,
}

/// Geometry with the window dims brought to three.
struct Windows {
    /// For each dim and output position: the first input position and how many taps lie inside.
    taps: [Vec<(usize, usize)>; 3],
    dilation: [usize; 3],
    input: [usize; 3],
    output: [usize; 3],
    whole: Whole,
}

impl Windows {
    fn new(spec: &PoolSpec, input: &[usize], output: &[usize]) -> Result<Windows> {
        let d = spec.kernel.len();
        let mut w = Windows {
            taps: std::array::from_fn(|_| vec![(0, 1)]),
            dilation: [1; 3],
            input: [1; 3],
            output: [1; 3],
            whole: Whole { outputs: 0..0, taps: spec.kernel[d - 1], stride: spec.stride[d - 1] },
        };
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
        let (last, plane) = (&w.taps[2], input.iter().fold(1usize, |n, &size| n.saturating_mul(size)));
        // The first elements of windows are where the stride says, unless the padding cuts some off.
        let is_whole = |&(_, count): &(usize, usize)| count == w.whole.taps;
        if let (Some(first), true) = (last.iter().position(is_whole), u32::try_from(plane).is_ok()) {
            w.whole.outputs = first..first + last[first..].iter().take_while(|taps| is_whole(taps)).count();
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
    let width = w.output[2];
    let mut lines = y.chunks_exact_mut(width).zip(positions.chunks_exact_mut(width));
    let mut offsets: SmallVec<[u32; 32]> = SmallVec::new();
    let mut taps_of = (0, 0);
    for &(z0, nz) in &w.taps[0] {
        for &(r0, nr) in &w.taps[1] {
            let Some((y, positions)) = lines.next() else { return };
            let start = (z0 * rows + r0) * cols;
            let from = |z: usize, r: usize| (z * w.dilation[0] * rows + r * w.dilation[1]) * cols;
            if taps_of != (nz, nr) {
                taps_of = (nz, nr);
                offsets.clear();
                let lines = (0..nz).flat_map(|z| (0..nr).map(move |r| (z, r)));
                let (taps, step) = (w.whole.taps, w.dilation[2]);
                offsets.extend(lines.flat_map(|(z, r)| (0..taps).map(move |c| (from(z, r) + c * step) as u32)));
            }
            let mut one = |o: usize| {
                let (c0, nc) = w.taps[2][o];
                let mut best = start + c0;
                let mut top = x[best];
                for z in 0..nz {
                    for r in 0..nr {
                        let line = start + from(z, r) + c0;
                        for c in 0..nc {
                            let v = x[line + c * w.dilation[2]];
                            if v > top || v.is_nan() {
                                (top, best) = (v, line + c * w.dilation[2]);
                            }
                        }
                    }
                }
                (y[o], positions[o]) = (top, best as i64);
            };
            let Range { start: first, end } = w.whole.outputs.clone();
            (0..first).for_each(&mut one);
            (end..width).for_each(&mut one);
            if first < end {
                let start = start + w.taps[2][first].0;
                whole_windows(x, start, w.whole.stride, &offsets, &mut y[first..end], &mut positions[first..end]);
            }
        }
    }
}

vectorised! {
    /// The largest of each window of a line, `stride` apart from the one that begins at `start`; all have the elements at
    /// `offsets` from their beginning.
    fn whole_windows<T: Element>(
        x: &[T],
        start: usize,
        stride: usize,
        offsets: &[u32],
        y: &mut [T],
        positions: &mut [i64],
    ) = whole_windows_body
}

#[inline(always)]
fn whole_windows_body<T: Element>(
    x: &[T],
    start: usize,
    stride: usize,
    offsets: &[u32],
    y: &mut [T],
    positions: &mut [i64],
) {
    // A stride that is known is what the compiler makes vectors of.
    match stride {
        1 => line::<T, 1>(x, start, 1, offsets, y, positions),
        2 => line::<T, 2>(x, start, 2, offsets, y, positions),
        _ => line::<T, 0>(x, start, stride, offsets, y, positions),
    }
}

/// As [`whole_windows`], for a stride of `STRIDE`, or any where that is 0.
#[inline(always)]
fn line<T: Element, const STRIDE: usize>(
    x: &[T],
    start: usize,
    stride: usize,
    offsets: &[u32],
    y: &mut [T],
    positions: &mut [i64],
) {
    let (mut at, len) = (0, y.len());
    macro_rules! beside {
        ($N:literal $last:expr) => {
            while at < len && len >= $N && ($last || len - at >= $N) {
                // The last windows begin before the end of those before them, so that none is left over.
                let first = at.min(len - $N);
                let begin = start + first * stride;
                let (top, best) = largest::<T, $N, STRIDE>(&x[begin..], stride, offsets);
                y[first..first + $N].copy_from_slice(&top);
                for (o, position) in positions[first..first + $N].iter_mut().enumerate() {
                    *position = (begin + o * stride) as i64 + best[o] as i64;
                }
                at = first + $N;
            }
        };
    }
    beside!(16 false);
    beside!(8 true);
    beside!(1 true);
}

/// The largest elements of `N` windows that begin `stride` apart, and which of the offsets these have.
#[inline(always)]
fn largest<T: Element, const N: usize, const STRIDE: usize>(
    x: &[T],
    stride: usize,
    offsets: &[u32],
) -> ([T; N], [u32; N]) {
    let stride = if STRIDE == 0 { stride } else { STRIDE };
    let (mut top, mut best) = ([T::LOWEST; N], [offsets[0]; N]);
    for (i, &offset) in offsets.iter().enumerate() {
        let x = &x[offset as usize..][..(N - 1) * stride + 1];
        let mut values = [T::LOWEST; N];
        for o in 0..N {
            values[o] = x[o * stride];
        }
        for o in 0..N {
            let wins = (i == 0) | (values[o] > top[o]) | values[o].is_nan();
            top[o] = if wins { values[o] } else { top[o] };
            best[o] = if wins { offset } else { best[o] };
        }
    }
    (top, best)
}
