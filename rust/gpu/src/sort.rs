//! Stable sorting along a dim, and the first k of a sorted line.
//!
//! Elements become unsigned keys in the wanted order, which are sorted with their positions; values are picked by those.

use crate::context::Context;
use crate::elementwise::{copy, map};
use crate::memory::Buffer;
use crate::order::{first, Keys};
use crate::places::gather_unchecked;
use crate::recipe::Rule;
use crate::shader::{own_num, Num};
use crate::walk::{moved, moved_view};
use std::sync::Arc;
use wengert_ops::{contract, DType, Dims, Layout, Operand, Result, Strides, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// A layout with `dim` last.
fn line_last(layout: &Layout, dim: usize) -> Layout {
    if layout.rank() == 0 {
        return Layout::strided(Dims::from_slice(&[1]), Strides::from_slice(&[1]), layout.offset());
    }
    let (mut shape, mut strides) = (Dims::from_slice(layout.shape()), Strides::from_slice(layout.strides()));
    let (n, s) = (shape.remove(dim), strides.remove(dim));
    shape.push(n);
    strides.push(s);
    Layout::strided(shape, strides, layout.offset())
}

/// Bits in which the keys of a dtype's elements differ.
fn bits_of(dtype: DType) -> u32 {
    match dtype {
        DType::Bool => 1,
        // As f32: eight bits of exponent.
        DType::F16 => 19,
        other => 8 * other.size() as u32,
    }
}

/// The text of an element's key, from that of the element (of an f64 its bits).
pub(crate) fn key_text(dtype: DType, descending: bool, v: &str) -> String {
    // With the bits that count on top, so that turning the order round is turning the bits.
    let key = match dtype {
        DType::F64 => format!("key_of_f64_bits({v})"),
        DType::I64 => format!("({v} ^ vec2<u32>(0u, 0x80000000u))"),
        d if d.is_float() => format!("key_of_f32({v})"),
        d => {
            let signed = if d.is_signed() { 0x80000000u32 } else { 0 };
            format!("((bitcast<u32>({v}) << {}u) ^ {signed}u)", 32 - bits_of(d))
        }
    };
    let key = if descending { format!("(~{key})") } else { key };
    match dtype.size() {
        8 => key,
        _ => format!("bitcast<i32>({key} >> {}u)", 32 - bits_of(dtype)),
    }
}

/// Keys of the elements of `x`, whose lines are its last dim.
fn keys_of(context: &'static Context, x: In<'_>, descending: bool) -> Result<Keys> {
    let shape = x.layout.shape();
    let len = shape[shape.len() - 1];
    let numel = x.layout.numel();
    let words = if x.dtype.size() == 8 { 2 } else { 1 };
    let buffer = Buffer(context.allocate(numel.max(1) * 4 * words as usize)?);
    let keys = Keys { buffer, words, lines: numel.checked_div(len).unwrap_or(0), len };
    let layout = Layout::contiguous(shape);
    let (num, dtype) = if words == 2 { (Num::I64, DType::I64) } else { (Num::I32, DType::I32) };
    // SAFETY: fresh.
    let out = unsafe { ViewMut::new(&keys.buffer, &layout, dtype) };
    let read = match x.dtype {
        DType::F64 => Num::I64,
        other => own_num(other),
    };
    let source = if x.dtype == DType::F64 { moved_view(x) } else { x };
    let rule = Rule::SortKey { dtype: x.dtype, descending };
    map(context, rule, read, &[Operand::Array(source)], 1, &out, num)?;
    Ok(keys)
}

/// `Backend::sort`. Outputs may have fewer positions along `dim` than `x`: the first ones.
pub(crate) fn sort(
    context: &'static Context,
    x: In<'_>,
    dim: usize,
    descending: bool,
    values: Out<'_>,
    indices: Out<'_>,
) -> Result<()> {
    contract::sort(&x, dim, &values, &indices)?;
    if values.layout().numel() == 0 {
        return Ok(());
    }
    // Read before writing: the values may go where the input stands.
    let fresh;
    let source = if Arc::ptr_eq(&x.buffer.0, &values.buffer().0) {
        fresh = (Buffer(context.allocate(x.layout.numel() * x.dtype.size())?), Layout::contiguous(x.layout.shape()));
        // SAFETY: fresh.
        copy(context, moved_view(x), unsafe { ViewMut::new(&fresh.0, &fresh.1, moved(x.dtype)) })?;
        View { buffer: &fresh.0, layout: &fresh.1, dtype: x.dtype }
    } else {
        x
    };
    let (from, to, place) =
        (line_last(source.layout, dim), line_last(values.layout(), dim), line_last(indices.layout(), dim));
    let source = View { layout: &from, ..source };
    let count = to.shape()[to.rank() - 1];
    let bits = bits_of(x.dtype);
    let positions = first(context, keys_of(context, source, descending)?, bits, count)?;
    let sorted = Layout::contiguous(to.shape());
    let positions = View { buffer: &positions, layout: &sorted, dtype: DType::I32 };
    // SAFETY (both): the outputs' own elements, dims reordered.
    copy(context, positions, unsafe { ViewMut::new(indices.buffer(), &place, DType::I64) })?;
    gather_unchecked(context, source, positions, unsafe { ViewMut::new(values.buffer(), &to, values.dtype()) })
}
