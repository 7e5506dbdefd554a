//! Stable sorting along a dim, and the first k of a sorted line.
//!
//! Each element becomes an unsigned key in the wanted order (NaN greatest, zeros equal, reversed
//! when descending) with its position below it in one integer, so a fast unstable sort is stable.

use crate::buffer::Buffer;
use crate::strided::{dispatch, room, Bool, Element, Lines, Ptr, GRAIN};
use crate::threads::Failed;
use half::{bf16, f16};
use rayon::prelude::*;
use wengert_ops::{contract, Result, View, ViewMut};

/// Elements with an order-preserving unsigned key.
trait Ordered: Element {
    /// Room for the key above 32 (or 64) bits of position.
    type Packed: Copy + Ord + Send;
    fn pack(self, descending: bool, position: usize) -> Self::Packed;
    fn position(packed: Self::Packed) -> usize;
}

macro_rules! ordered {
    ($($T:ty, $Key:ty, $Packed:ty, $shift:literal, $key:expr;)*) => {$(
        impl Ordered for $T {
            type Packed = $Packed;
            #[inline(always)]
            fn pack(self, descending: bool, position: usize) -> $Packed {
                let key: $Key = $key(self);
                let key = if descending { !key } else { key };
                ((key as $Packed) << $shift) | position as $Packed
            }
            #[inline(always)]
            fn position(packed: $Packed) -> usize {
                (packed & ((1 << $shift) - 1)) as usize
            }
        }
    )*};
}

ordered! {
    Bool, u32, u64, 32, |x: Bool| (x.0 != 0) as u32;
    u8, u32, u64, 32, |x: u8| x as u32;
    i8, u32, u64, 32, |x: i8| x as u32 ^ 1 << 31;
    i16, u32, u64, 32, |x: i16| x as u32 ^ 1 << 31;
    i32, u32, u64, 32, |x: i32| x as u32 ^ 1 << 31;
    f16, u32, u64, 32, |x: f16| float_key(x.to_f32());
    bf16, u32, u64, 32, |x: bf16| float_key(x.to_f32());
    f32, u32, u64, 32, float_key;
    i64, u64, u128, 64, |x: i64| x as u64 ^ 1 << 63;
    f64, u64, u128, 64, double_key;
}

#[inline(always)]
fn float_key(x: f32) -> u32 {
    if x.is_nan() {
        return u32::MAX;
    }
    let bits = (x + 0.0).to_bits(); // −0 becomes 0
    if bits >> 31 == 1 {
        !bits
    } else {
        bits ^ 1 << 31
    }
}

#[inline(always)]
fn double_key(x: f64) -> u64 {
    if x.is_nan() {
        return u64::MAX;
    }
    let bits = (x + 0.0).to_bits();
    if bits >> 63 == 1 {
        !bits
    } else {
        bits ^ 1 << 63
    }
}

/// `Backend::sort`. Outputs may have fewer positions along `dim` than `x`: the first ones.
pub fn sort(
    x: View<'_, Buffer>,
    dim: usize,
    descending: bool,
    values: ViewMut<'_, Buffer>,
    indices: ViewMut<'_, Buffer>,
) -> Result<()> {
    contract::sort(&x, dim, &values, &indices)?;
    dispatch!(x.dtype, T => lines_of::<T>(x, dim, descending, values, indices))
}

fn lines_of<T: Ordered>(
    x: View<'_, Buffer>,
    dim: usize,
    descending: bool,
    values: ViewMut<'_, Buffer>,
    indices: ViewMut<'_, Buffer>,
) -> Result<()> {
    let (a, v, i) = (x.layout, values.layout(), indices.layout());
    let lines =
        Lines::new(a.shape(), [a.strides(), v.strides(), i.strides()], [a.offset(), v.offset(), i.offset()], dim);
    let count = v.shape().get(dim).copied().unwrap_or(1);
    let (a, v, i) = (Ptr::<T>::of(x.buffer), Ptr::<T>::of(values.buffer()), Ptr::<i64>::of(indices.buffer()));
    let [from, to, place] = lines.steps;
    // Each thread needs room for a line of its own.
    let failed = Failed::default();
    lines.share(|part| {
        let Some(mut keys) = failed.keep(room::<T::Packed>(lines.len)) else { return };
        let Some(mut sorted) = failed.keep(room::<T>(count)) else { return };
        part.each(|[p, q, r]| {
            keys.clear();
            // SAFETY (all): the lines' positions lie in their buffers; parts are disjoint.
            keys.extend((0..lines.len).map(|k| unsafe { a.get(p + k as isize * from) }.pack(descending, k)));
            order(&mut keys, count);
            // Read before writing: the values may go where the input stands.
            sorted.clear();
            sorted.extend(keys[..count].iter().map(|&k| unsafe { a.get(p + T::position(k) as isize * from) }));
            for (k, (&value, &key)) in sorted.iter().zip(&keys).enumerate() {
                unsafe {
                    v.set(q + k as isize * to, value);
                    i.set(r + k as isize * place, T::position(key) as i64);
                }
            }
        });
    });
    failed.result()
}

/// Brings the `count` smallest keys to the front, sorted.
fn order<K: Ord + Send>(keys: &mut [K], count: usize) {
    let mut keys = keys;
    if count == 0 {
        return;
    }
    if count <= keys.len() / 2 {
        keys.select_nth_unstable(count - 1);
        keys = &mut keys[..count];
    }
    if keys.len() > 4 * GRAIN {
        crate::threads::run(|| keys.par_sort_unstable());
    } else {
        keys.sort_unstable();
    }
}
