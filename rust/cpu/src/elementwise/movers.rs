//! Moving blocks between strided, typed memory and contiguous scratch, one dispatch on dtype a block.

use crate::halves;
use crate::strided::{dispatch, vectorised, Element};
use std::mem::MaybeUninit;
use wengert_ops::rows::voc::i64::I64;
use wengert_ops::{DType, Scalar};

/// What scratch blocks hold: a number type, or truth values as bytes.
pub trait Cell: Copy + Send + Sync + 'static {
    /// The dtype whose elements look the same in memory, so that they need no moving.
    const DTYPE: DType;
    fn load<S: Element>(value: S) -> Self;
    fn store<D: Element>(self) -> D;
    fn from_scalar(value: Scalar) -> Self;
}

/// Floats are truncated toward zero and cut to the integer's width.
#[inline(always)]
fn store_float<D: Element>(float: impl FnOnce() -> D, whole: impl FnOnce() -> i64) -> D {
    if D::DTYPE.is_int() {
        D::from_i64(whole())
    } else {
        float()
    }
}

impl Cell for f32 {
    const DTYPE: DType = DType::F32;
    #[inline(always)]
    fn load<S: Element>(value: S) -> f32 {
        value.to_f32()
    }
    #[inline(always)]
    fn store<D: Element>(self) -> D {
        store_float(|| D::from_f32(self), || self as i64)
    }
    fn from_scalar(value: Scalar) -> f32 {
        match value {
            Scalar::Int(i) => i as f32,
            other => other.as_f64() as f32,
        }
    }
}
impl Cell for f64 {
    const DTYPE: DType = DType::F64;
    #[inline(always)]
    fn load<S: Element>(value: S) -> f64 {
        value.to_f64()
    }
    #[inline(always)]
    fn store<D: Element>(self) -> D {
        store_float(|| D::from_f64(self), || self as i64)
    }
    fn from_scalar(value: Scalar) -> f64 {
        value.as_f64()
    }
}
impl Cell for I64 {
    const DTYPE: DType = DType::I64;
    #[inline(always)]
    fn load<S: Element>(value: S) -> I64 {
        I64(value.to_i64())
    }
    #[inline(always)]
    fn store<D: Element>(self) -> D {
        D::from_i64(self.0)
    }
    fn from_scalar(value: Scalar) -> I64 {
        I64(value.as_i64())
    }
}
/// Truth values.
impl Cell for u8 {
    const DTYPE: DType = DType::Bool;
    #[inline(always)]
    fn load<S: Element>(value: S) -> u8 {
        value.truthy() as u8
    }
    #[inline(always)]
    fn store<D: Element>(self) -> D {
        D::from_i64(self as i64)
    }
    fn from_scalar(value: Scalar) -> u8 {
        value.as_bool() as u8
    }
}

/// `rows` rows of `len` elements: the first element, and steps in elements.
#[derive(Clone, Copy, Debug)]
pub struct Patch {
    pub len: usize,
    pub step: isize,
    pub rows: usize,
    pub row_step: isize,
}

/// Reads a patch into `out`, row after row.
///
/// # Safety
/// The patch's positions from `from` on (elements of `dtype`) are readable, and `out` holds it.
#[inline]
pub unsafe fn load<T: Cell>(dtype: DType, from: *const u8, patch: Patch, out: &mut [MaybeUninit<T>]) {
    if dtype == T::DTYPE && patch.len * patch.rows <= FEW {
        return load_few(from.cast::<T>(), patch, &mut out[..patch.len * patch.rows]);
    }
    dispatch!(dtype, S => load_as::<S, T>(from.cast(), patch, out))
}

/// Up to this many elements, loops that the compiler makes wide or turns into calls cost more than plain ones.
const FEW: usize = 16;

/// # Safety
/// As [`load`], of elements that need no conversion.
#[inline(never)]
unsafe fn load_few<T: Cell>(from: *const T, patch: Patch, out: &mut [MaybeUninit<T>]) {
    let mut to = out.as_mut_ptr().cast::<T>();
    for r in 0..patch.rows {
        let mut at = from.wrapping_offset(r as isize * patch.row_step);
        let mut left = patch.len;
        match patch.step {
            0 => {
                let value = *at;
                while left >= 4 {
                    to.cast::<[T; 4]>().write_unaligned([value; 4]);
                    (to, left) = (to.add(4), left - 4);
                }
            }
            1 => {
                while left >= 4 {
                    to.cast::<[T; 4]>().write_unaligned(at.cast::<[T; 4]>().read_unaligned());
                    (to, at, left) = (to.add(4), at.add(4), left - 4);
                }
            }
            _ => {}
        }
        while left > 0 {
            to.write(*at);
            (to, left) = (to.add(1), left - 1);
            at = at.wrapping_offset(patch.step);
        }
    }
}

/// # Safety
/// As [`load`].
unsafe fn load_as<S: Element, T: Cell>(from: *const S, patch: Patch, out: &mut [MaybeUninit<T>]) {
    let Patch { len, step, rows, row_step } = patch;
    for (r, out) in out[..len * rows].chunks_exact_mut(len).enumerate() {
        let row = from.wrapping_offset(r as isize * row_step);
        match step {
            1 => {
                let row = std::slice::from_raw_parts(row, len);
                // SAFETY: f32 are numbers, and a block of them may be seen as such to be written.
                let whole = T::DTYPE == DType::F32
                    && halves::convert(row, std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<f32>(), len));
                if !whole {
                    load_line(row, out);
                }
            }
            0 => out.fill(MaybeUninit::new(T::load(*row))),
            -1 => {
                let row = std::slice::from_raw_parts(row.wrapping_sub(len - 1), len);
                for (o, &v) in out.iter_mut().zip(row.iter().rev()) {
                    o.write(T::load(v));
                }
            }
            _ => {
                for (i, o) in out.iter_mut().enumerate() {
                    o.write(T::load(*row.wrapping_offset(i as isize * step)));
                }
            }
        }
    }
}

vectorised! {
    /// Converts neighbours.
    fn load_line<S: Element, T: Cell>(row: &[S], out: &mut [MaybeUninit<T>]) = load_body
}
vectorised! {
    /// Converts neighbours.
    fn store_line<D: Element, T: Cell>(block: &[T], row: &mut [D]) = store_body
}

#[inline(always)]
fn load_body<S: Element, T: Cell>(row: &[S], out: &mut [MaybeUninit<T>]) {
    for (o, &v) in out.iter_mut().zip(row) {
        o.write(T::load(v));
    }
}

#[inline(always)]
fn store_body<D: Element, T: Cell>(block: &[T], row: &mut [D]) {
    for (o, v) in row.iter_mut().zip(block) {
        *o = v.store();
    }
}

/// Writes a block into a patch, row after row.
///
/// # Safety
/// The patch's positions from `to` on (elements of `dtype`) are writable, and `block` fills it.
#[inline]
pub unsafe fn store<T: Cell>(dtype: DType, block: &[T], to: *mut u8, patch: Patch) {
    dispatch!(dtype, D => store_as::<D, T>(block, to.cast(), patch))
}

/// # Safety
/// As [`store`].
unsafe fn store_as<D: Element, T: Cell>(block: &[T], to: *mut D, patch: Patch) {
    let Patch { len, step, rows, row_step } = patch;
    for (r, block) in block[..len * rows].chunks_exact(len).enumerate() {
        let row = to.wrapping_offset(r as isize * row_step);
        if step == 1 {
            let row = std::slice::from_raw_parts_mut(row, len);
            // SAFETY: of this dtype, the block's numbers are f32.
            let whole = T::DTYPE == DType::F32
                && halves::convert(std::slice::from_raw_parts(block.as_ptr().cast::<f32>(), len), row);
            if !whole {
                store_line(block, row);
            }
        } else {
            for (i, v) in block.iter().enumerate() {
                *row.wrapping_offset(i as isize * step) = v.store();
            }
        }
    }
}
