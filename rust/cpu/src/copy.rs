//! Copies between layouts and dtypes, and fills.

use crate::buffer::Buffer;
use crate::elementwise::Cell;
use crate::halves;
use crate::nest::{parallel, Nest, GRAIN};
use crate::strided::{dispatch, dispatch_size, vectorised, Element, Ptr};
use wengert_ops::infer::check_number;
use wengert_ops::rows::voc::i64::I64;
use wengert_ops::{Compute, DType, Result, Scalar, View, ViewMut};

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
            Compute::F32 => walk::<S, D, f32>(&nest, to, from),
            Compute::F64 => walk::<S, D, f64>(&nest, to, from),
            Compute::I64 => walk::<S, D, I64>(&nest, to, from),
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
        let whole = layout.is_contiguous() && layout.numel() * size_of::<T>() == dst.buffer().len();
        // A negative zero is equal to zero, but has a bit.
        let zero = value == T::default() && !value.to_f64().is_sign_negative();
        if whole && zero && dst.buffer().clear() {
            return Ok(());
        }
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

/// Element by element with conversion, by way of `C`.
fn walk<S: Element, D: Element, C: Cell>(nest: &Nest<2>, to: Ptr<D>, from: Ptr<S>) {
    share(nest, |nest| {
        nest.rows(|[d, s], steps, len| {
            // SAFETY: positions come from the layouts, which lie in their buffers; elements of different
            // types cannot be the same array, so source and target do not overlap.
            unsafe {
                if steps == [1, 1] {
                    let (from, to) = (from.slice(s, len), to.slice_mut(d, len));
                    if !halves::convert(from, to) {
                        convert::<S, D, C>(from, to);
                    }
                } else {
                    for i in 0..len as isize {
                        to.set(d + i * steps[0], C::load(from.get(s + i * steps[1])).store());
                    }
                }
            }
        })
    });
}

vectorised! {
    fn convert<S: Element, D: Element, C: Cell>(from: &[S], to: &mut [D]) = convert_body::<S, D, C>
}

#[inline(always)]
fn convert_body<S: Element, D: Element, C: Cell>(from: &[S], to: &mut [D]) {
    if D::DTYPE == DType::I64 && S::DTYPE.is_float() {
        return floats_to_i64::<S, D, C>(from, to);
    }
    for (to, &from) in to.iter_mut().zip(from) {
        *to = C::load(from).store();
    }
}

/// Rust's conversions of floats, which know no overflow, come one at a time: blocks of what fits into 32 bits go by way of
/// these, a sixth of the time.
#[inline(always)]
fn floats_to_i64<S: Element, D: Element, C: Cell>(from: &[S], to: &mut [D]) {
    const BLOCK: usize = 64;
    const LIMIT: f64 = (1u64 << 31) as f64;
    for (from, to) in from.chunks(BLOCK).zip(to.chunks_mut(BLOCK)) {
        let to = to.iter_mut().zip(from);
        // NaN is not within the limit.
        if S::DTYPE == DType::F64 && from.iter().fold(true, |all, x| all & (x.to_f64().abs() < LIMIT)) {
            // SAFETY: less than 2³¹ in magnitude.
            to.for_each(|(to, x)| *to = D::from_i64(unsafe { x.to_f64().to_int_unchecked::<i32>() }.into()));
        } else if S::DTYPE != DType::F64 && from.iter().fold(true, |all, x| all & (x.to_f32().abs() < LIMIT as f32)) {
            // SAFETY: as above.
            to.for_each(|(to, x)| *to = D::from_i64(unsafe { x.to_f32().to_int_unchecked::<i32>() }.into()));
        } else {
            to.for_each(|(to, &x)| *to = C::load(x).store());
        }
    }
}

/// A plane whose lines are neighbours in the target and whose columns are in the source.
#[derive(Clone, Copy)]
struct Transposed {
    d: isize,
    s: isize,
    to_row: isize,
    from_row: isize,
    rows: usize,
    len: usize,
}

/// Lines of the source that are read together, of so many bytes each: whole lines of the cache.
const LINES: usize = 8;
const LINE: usize = 64;
/// Rows and columns of the target that are finished before others begin, so that its lines stay in the cache until they
/// are full.
const ROWS: usize = 128;
const COLUMNS: usize = 32;

vectorised! {
    fn transposed<T: Word>(to: Ptr<T>, from: Ptr<T>, plane: Transposed) = transposed_body
}

#[inline(always)]
fn transposed_body<T: Word>(to: Ptr<T>, from: Ptr<T>, plane: Transposed) {
    match std::mem::size_of::<T>() {
        1 => blocks::<T, LINE>(to, from, plane),
        2 => blocks::<T, { LINE / 2 }>(to, from, plane),
        4 => blocks::<T, { LINE / 4 }>(to, from, plane),
        _ => blocks::<T, { LINE / 8 }>(to, from, plane),
    }
}

/// `LINES` lines of `W` elements of the source become `W` lines of the target.
///
/// # Safety
/// Both blocks lie in live memory, and nobody else uses the target's.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
unsafe fn whole_block<T: Word, const W: usize>(y: *mut T, to_row: isize, x: *const T, from_row: isize) {
    let lines: [[T; W]; LINES] =
        std::array::from_fn(|k| x.offset(k as isize * from_row).cast::<[T; W]>().read_unaligned());
    for k in 0..W {
        let line: [T; LINES] = std::array::from_fn(|l| lines[l][k]);
        y.offset(k as isize * to_row).cast::<[T; LINES]>().write_unaligned(line);
    }
}

/// As [`whole_block`], of `lines` lines of `width` elements.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn block<T: Word>(y: *mut T, to_row: isize, width: usize, x: *const T, from_row: isize, lines: usize) {
    for k in 0..width as isize {
        for l in 0..lines as isize {
            *y.offset(k * to_row + l) = *x.offset(l * from_row + k);
        }
    }
}

/// In blocks of `LINES` lines of `W` elements of the source.
#[inline(always)]
fn blocks<T: Word, const W: usize>(to: Ptr<T>, from: Ptr<T>, plane: Transposed) {
    let Transposed { d, s, to_row, from_row, rows, len } = plane;
    for top in (0..rows).step_by(ROWS.max(W)) {
        let bottom = rows.min(top + ROWS.max(W));
        for left in (0..len).step_by(COLUMNS) {
            let right = len.min(left + COLUMNS);
            for j in (left..right).step_by(LINES) {
                for i in (top..bottom).step_by(W) {
                    let y = to.at(d + i as isize * to_row + j as isize);
                    let x = from.at(s + j as isize * from_row + i as isize);
                    // SAFETY: positions come from the layouts, which lie in their buffers.
                    unsafe {
                        if i + W <= bottom && j + LINES <= right {
                            whole_block::<T, W>(y, to_row, x, from_row);
                        } else {
                            block(y, to_row, W.min(bottom - i), x, from_row, LINES.min(right - j));
                        }
                    }
                }
            }
        }
    }
}

/// What is moved unchanged.
trait Word: Copy + Send + Sync {}
impl<T: Copy + Send + Sync> Word for T {}

vectorised! {
    fn turned<T: Word>(from: &[T], to: &mut [T]) = turned_body
}

#[inline(always)]
fn turned_body<T: Word>(from: &[T], to: &mut [T]) {
    to.iter_mut().zip(from.iter().rev()).for_each(|(to, &from)| *to = from);
}

/// Same element type: rows as blocks of memory, transposed planes in tiles.
fn same<T: Word>(nest: &Nest<2>, to: Ptr<T>, from: Ptr<T>) {
    share(nest, |nest| {
        if nest.steps() == [1, 1] {
            return nest.rows(|[d, s], _, len| {
                // SAFETY: positions come from the layouts; a copy onto itself is allowed by `ptr::copy`.
                unsafe { std::ptr::copy(from.at(s).cast_const(), to.at(d), len) }
            });
        }
        if nest.steps() == [1, -1] {
            return nest.rows(|[d, s], _, len| {
                // SAFETY: as above; what is turned round never lies where it goes to.
                unsafe { turned(from.slice(s - (len as isize - 1), len), to.slice_mut(d, len)) }
            });
        }
        nest.planes(|[d, s], [outer, inner], [rows, len]| {
            if inner[0] == 1 && outer[1] == 1 && rows.min(len) >= LINES {
                return transposed(to, from, Transposed { d, s, to_row: outer[0], from_row: inner[1], rows, len });
            }
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
