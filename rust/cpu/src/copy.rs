//! Copies between layouts and dtypes, and fills.

use crate::buffer::Buffer;
use crate::elementwise::Cell;
use crate::nest::{parallel, Nest, GRAIN};
use crate::strided::{dispatch, dispatch_size, Ptr};
use wengert_ops::infer::check_number;
use wengert_ops::rows::voc::i64::I64;
use wengert_ops::{Compute, Result, Scalar, View, ViewMut};

/// Side of the squares in which transposed copies walk: both sides' cache lines stay in use.
const TILE: usize = 32;

/// `dst = src`, converting. Both have one shape.
pub fn copy(src: View<'_, Buffer>, dst: ViewMut<'_, Buffer>) -> Result<()> {
    if src.layout.shape() != dst.layout().shape() {
        wengert_ops::fail!(internal, "copy: shapes {:?} and {:?} differ", src.layout.shape(), dst.layout().shape());
    }
    if src.layout.numel() == 0 {
        return Ok(());
    }
    let (to, from) = (dst.layout(), src.layout);
    let nest = Nest::new(to.shape(), [to.strides(), from.strides()], [to.offset(), from.offset()]);
    if src.dtype == dst.dtype() {
        dispatch_size!(src.dtype, T => same(&nest, Ptr::<T>::of(dst.buffer()), Ptr::<T>::of(src.buffer)));
        return Ok(());
    }
    dispatch!(src.dtype, S => dispatch!(dst.dtype(), D => {
        let (to, from) = (Ptr::<D>::of(dst.buffer()), Ptr::<S>::of(src.buffer));
        match src.dtype.compute() {
            Compute::F32 => walk(&nest, to, from, |v| <f32 as Cell>::load(v).store()),
            Compute::F64 => walk(&nest, to, from, |v| <f64 as Cell>::load(v).store()),
            Compute::I64 => walk(&nest, to, from, |v| <I64 as Cell>::load(v).store()),
        }
    }));
    Ok(())
}

/// Sets every element; a number that the dtype cannot hold is refused.
pub fn fill(value: Scalar, dst: ViewMut<'_, Buffer>) -> Result<()> {
    check_number("fill", value, dst.dtype())?;
    let layout = dst.layout();
    dispatch!(dst.dtype(), T => {
        let value: T = match value {
            Scalar::Float(v) => Cell::store(v),
            other => Cell::store(I64(other.as_i64())),
        };
        let to = Ptr::<T>::of(dst.buffer());
        let nest = Nest::of(layout);
        share(&nest, |nest| nest.rows(|[start], [step], len| {
            // SAFETY: positions come from the layout, which lies in the buffer and is ours to write.
            unsafe {
                if step == 1 {
                    to.slice_mut(start, len).fill(value);
                } else {
                    (0..len as isize).for_each(|i| to.set(start + i * step, value));
                }
            }
        }));
    });
    Ok(())
}

/// Runs `f` on parts of the nest, on several threads where that pays.
fn share<const N: usize>(nest: &Nest<N>, f: impl Fn(&Nest<N>) + Sync) {
    if nest.numel() < GRAIN {
        return f(nest);
    }
    let n = nest.largest();
    parallel(n, nest.numel() / n, |range| f(&nest.part(range)));
}

/// Element by element with conversion.
fn walk<D: Copy + Send + Sync, S: Copy + Send + Sync>(
    nest: &Nest<2>,
    to: Ptr<D>,
    from: Ptr<S>,
    convert: impl Fn(S) -> D + Sync,
) {
    share(nest, |nest| {
        nest.rows(|[d, s], steps, len| {
            // SAFETY: positions come from the layouts, which lie in their buffers; elements of different
            // types cannot be the same array, so source and target do not overlap.
            unsafe {
                if steps == [1, 1] {
                    let (to, from) = (to.slice_mut(d, len), from.slice(s, len));
                    for (to, &from) in to.iter_mut().zip(from) {
                        *to = convert(from);
                    }
                } else {
                    for i in 0..len as isize {
                        to.set(d + i * steps[0], convert(from.get(s + i * steps[1])));
                    }
                }
            }
        })
    });
}

/// Same element type: rows as blocks of memory, transposed planes in tiles.
fn same<T: Copy + Send + Sync>(nest: &Nest<2>, to: Ptr<T>, from: Ptr<T>) {
    share(nest, |nest| {
        if nest.steps() == [1, 1] {
            return nest.rows(|[d, s], _, len| {
                // SAFETY: positions come from the layouts; a copy onto itself is allowed by `ptr::copy`.
                unsafe { std::ptr::copy(from.at(s).cast_const(), to.at(d), len) }
            });
        }
        nest.planes(|[d, s], [outer, inner], [rows, len]| {
            // SAFETY: as above.
            let set = |i: usize, j: usize| unsafe {
                let (i, j) = (i as isize, j as isize);
                to.set(d + i * outer[0] + j * inner[0], from.get(s + i * outer[1] + j * inner[1]))
            };
            for top in (0..rows).step_by(TILE) {
                for left in (0..len).step_by(TILE) {
                    for i in top..rows.min(top + TILE) {
                        for j in left..len.min(left + TILE) {
                            set(i, j);
                        }
                    }
                }
            }
        })
    });
}
