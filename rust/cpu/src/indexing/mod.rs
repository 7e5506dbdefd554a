//! Reading and writing at positions that are themselves data. Indices are checked wholly before
//! anything is written; writes happen in the order of the indices, so the last one wins.

mod gather;
mod index;

pub use gather::{gather, scatter};
pub use index::{index, index_put};

use crate::buffer::Buffer;
use crate::strided::{dispatch, Element, Nest, Ptr};
use wengert_ops::layout::numel;
use wengert_ops::{Dims, Error, Result, View};

/// `Backend::nonzero`: coordinates, row-major, as i64 `[count, rank]`, and the count.
pub fn nonzero(x: View<'_, Buffer>) -> Result<(Buffer, usize)> {
    let shape = x.layout.shape();
    let nest = Nest::of(x.layout);
    // Repeated elements are counted once, so that what is refused for its size is refused at once.
    let strides = x.layout.strides();
    let once: Dims = shape.iter().zip(strides).map(|(&n, &s)| if s == 0 { n.min(1) } else { n }).collect();
    let times = if nest.numel() == 0 { 0 } else { nest.numel() / numel(&once) };
    dispatch!(x.dtype, T => {
        let p = Ptr::<T>::of(x.buffer);
        let mut count = 0usize;
        // SAFETY (both): positions come from the view's layout.
        Nest::new(&once, [strides], [x.layout.offset()]).rows(|[start], [step], len| {
            count += (0..len as isize).map(|i| unsafe { p.get(start + i * step) }.truthy() as usize).sum::<usize>();
        });
        count *= times;
        if count == 0 {
            return Ok((Buffer::new(0)?, 0));
        }
        let bytes = count.checked_mul(shape.len() * 8);
        let out = bytes
            .ok_or_else(|| Error::memory("the result is too large"))
            .and_then(Buffer::new)
            .map_err(|e| e.context(&format!("nonzero: a tensor of shape [{count}, {}] and dtype int64", shape.len())))?;
        let target = Ptr::<i64>::of(&out);
        let (mut linear, mut written) = (0usize, 0isize);
        nest.each(|[at]| {
            if unsafe { p.get(at) }.truthy() {
                let mut rest = linear;
                for (d, &n) in shape.iter().enumerate().rev() {
                    // SAFETY: one row of `rank` numbers for each nonzero element was counted.
                    unsafe { target.set(written + d as isize, (rest % n) as i64) };
                    rest /= n;
                }
                written += shape.len() as isize;
            }
            linear += 1;
        });
        Ok((out, count))
    })
}
