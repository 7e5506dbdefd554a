//! Elementwise kernels: every row of the table, its gradients, copies and fills, over arrays of any layout and dtype.
//!
//! One generator makes the text: each operand is read at its own place, the row's expression is computed, and the
//! result written. Dimensions that lie alike in all arrays are merged first, so that most calls have one.

use crate::context::Context;
use crate::memory::Buffer;
use crate::reduce::reduce;
use crate::shader::{code, entry, num_of, own_num, per_word, type_text, Call, Num, Place};
use crate::stream::Task;
use crate::walk::moved;
use smallvec::SmallVec;
use std::fmt::Write;
use std::sync::Arc;
use wengert_ops::{contract, Compute, DType, Error, Layout, Operand, Reduction, Result, Row, Scalar, View, ViewMut};

type In<'a> = Operand<'a, Buffer>;

/// Sizes and, by array, strides, after merging dimensions: `sizes[d]` belongs to `strides[array][d]`.
pub(crate) struct Dims {
    pub sizes: SmallVec<[usize; 8]>,
    pub strides: SmallVec<[SmallVec<[isize; 8]>; 4]>,
}

/// Merges neighbouring dimensions that every layout of the shape walks through in one go, and drops those of size 1.
pub(crate) fn merged(shape: &[usize], layouts: &[&Layout]) -> Dims {
    let mut sizes: SmallVec<[usize; 8]> = SmallVec::new();
    let mut strides: SmallVec<[SmallVec<[isize; 8]>; 4]> = layouts.iter().map(|_| SmallVec::new()).collect();
    for (d, &n) in shape.iter().enumerate() {
        if n == 1 {
            continue;
        }
        let follows = !sizes.is_empty()
            && layouts.iter().zip(&strides).all(|(l, s)| s[sizes.len() - 1] == l.strides()[d].wrapping_mul(n as isize));
        if follows {
            let last = sizes.len() - 1;
            sizes[last] *= n;
            for (l, s) in layouts.iter().zip(&mut strides) {
                s[last] = l.strides()[d];
            }
        } else {
            sizes.push(n);
            for (l, s) in layouts.iter().zip(&mut strides) {
                s.push(l.strides()[d]);
            }
        }
    }
    Dims { sizes, strides }
}

/// More merged dimensions than this are walked through from the host.
const RANK: usize = 6;

/// An operand in a text: how it is read.
enum Source {
    Array { place: Place, array: usize },
    Text(String),
}

/// `out = value(operands…)`: one thread an element, or a word of smaller ones. Operands that `used` lacks are not read.
///
/// `value` is the text of the result from the operands' texts, of type `result`; `variant` tells it from others.
#[allow(clippy::too_many_arguments)]
pub(crate) fn map(
    context: &'static Context,
    family: &'static str,
    variant: &[u32],
    num: Num,
    operands: &[In<'_>],
    used: u32,
    out: &ViewMut<'_, Buffer>,
    result: Num,
    value: &dyn Fn(&[&str]) -> String,
) -> Result<()> {
    let numel = out.layout().numel();
    if numel == 0 {
        return Ok(());
    }
    let mut layouts: SmallVec<[&Layout; 6]> = SmallVec::from_slice(&[out.layout()]);
    for (k, operand) in operands.iter().enumerate() {
        if let (Operand::Array(view), 1) = (operand, used >> k & 1) {
            if view.layout.shape() != out.layout().shape() {
                return Err(Error::internal(format!("{family}: operands of different shapes")));
            }
            layouts.push(view.layout);
        }
    }
    let dims = merged(out.layout().shape(), &layouts);
    let rank = dims.sizes.len();
    // Number of elements, an offset an array, sizes and strides; and numbers, of two words at most.
    let numbers = operands.iter().filter(|o| matches!(o, Operand::Scalar(_))).count();
    let words = 1 + layouts.len() + rank.saturating_sub(1) + rank * layouts.len() + 2 * numbers;
    if rank > RANK || rank > 1 && words > crate::pipeline::IMMEDIATE / 4 {
        return parts(context, family, variant, num, operands, used, out, result, value);
    }

    let mut call = Call::new(context, family);
    call.key.variant.extend_from_slice(variant);
    call.key.variant.extend_from_slice(&[num as u32, result as u32, used, rank as u32]);
    let mut sources: SmallVec<[Source; 4]> = SmallVec::new();
    let mut offsets: SmallVec<[String; 6]> = SmallVec::new();
    let size = out.dtype().size();
    let elements = per_word(out.dtype()) as usize;
    let start = out.layout().offset();
    // A thread owns whole words of the result, none of them shared with what lies beside it.
    let linear = rank == 0 || rank == 1 && dims.strides[0][0] == 1;
    let to_the_end = start + numel == out.buffer().len() / size;
    let owned = elements == 1 || linear && start % elements == 0 && ((start + numel) % elements == 0 || to_the_end);
    let target = match owned {
        true => call.write(out.buffer(), out.dtype())?,
        false => call.scatter(out.buffer(), out.dtype())?,
    };
    offsets.push(call.size(start)?);
    let mut array = 0;
    for (k, operand) in operands.iter().enumerate() {
        sources.push(match operand {
            _ if used >> k & 1 == 0 => {
                call.key.variant.push(u32::MAX);
                Source::Text("0".to_owned())
            }
            Operand::Scalar(s) => {
                call.key.variant.push(u32::MAX - 1);
                Source::Text(call.scalar(num, *s))
            }
            Operand::Array(view) => {
                let place = call.read(view.buffer, view.dtype)?;
                array += 1;
                offsets.push(call.size(view.layout.offset())?);
                Source::Array { place, array }
            }
        });
    }
    let count = call.size(numel)?;
    // How each array is walked through: 0 stays, 1 is `i` itself, 2 by strides.
    let mut walks: SmallVec<[u32; 6]> = SmallVec::new();
    for s in &dims.strides {
        walks.push(match &s[..] {
            [] | [0] => 0,
            [1] => 1,
            _ => 2,
        });
    }
    call.key.variant.extend_from_slice(&walks);
    let strided = walks.contains(&2);
    let mut sizes: SmallVec<[String; 8]> = SmallVec::new();
    let mut strides: SmallVec<[SmallVec<[String; 8]>; 6]> = SmallVec::new();
    if strided {
        for &n in dims.sizes.iter().skip(1) {
            sizes.push(call.size(n)?);
        }
        for (walk, s) in walks.iter().zip(&dims.strides) {
            let mut texts = SmallVec::new();
            for &stride in s.iter().filter(|_| *walk == 2) {
                texts.push(call.stride(stride)?);
            }
            strides.push(texts);
        }
    }
    let by_word = owned && elements > 1;
    let threads = if by_word { numel.div_ceil(elements) } else { numel };
    let groups = call.threads(threads)?;
    call.key.variant.push(by_word as u32);
    call.run(groups, || {
        // Statements that find the places of element `e` and read the operands; then the value's text.
        let element = |e: &str| {
            let mut text = String::new();
            let mut index: SmallVec<[String; 6]> = SmallVec::new();
            for (walk, offset) in walks.iter().zip(&offsets) {
                index.push(match walk {
                    0 => offset.clone(),
                    1 => format!("({offset} + {e})"),
                    _ => format!("a{}", index.len()),
                });
            }
            if strided {
                let _ = writeln!(text, "var r = {e};");
                for (k, _) in walks.iter().enumerate().filter(|(_, w)| **w == 2) {
                    let _ = writeln!(text, "var a{k} = {};", offsets[k]);
                }
                for d in (0..rank).rev() {
                    let at = match d {
                        0 => "r".to_owned(),
                        _ => {
                            let n = &sizes[d - 1];
                            let _ = writeln!(text, "let c{d} = r % {n}; r = r / {n};");
                            format!("c{d}")
                        }
                    };
                    for (k, _) in walks.iter().enumerate().filter(|(_, w)| **w == 2) {
                        let _ = writeln!(text, "a{k} += bitcast<u32>(bitcast<i32>({at}) * {});", strides[k][d]);
                    }
                }
            }
            let mut names: SmallVec<[String; 4]> = SmallVec::new();
            for (k, source) in sources.iter().enumerate() {
                names.push(format!("x{k}"));
                match source {
                    Source::Text(t) if used >> k & 1 == 1 => {
                        let _ = writeln!(text, "let x{k} = {t};");
                    }
                    Source::Text(_) => {
                        let _ = writeln!(text, "let x{k} = {}();", type_text(num));
                    }
                    Source::Array { place, array } => {
                        let _ = writeln!(text, "let x{k} = {};", place.load(&index[*array], num));
                    }
                }
            }
            let names: SmallVec<[&str; 4]> = names.iter().map(String::as_str).collect();
            let _ = writeln!(text, "let y = {};", value(&names));
            (text, index)
        };
        if by_word {
            let word = format!("({} / {elements}u + i)", offsets[0]);
            let body = target.store_word(&word, &count, result, |e| (element(e).0, "y".to_owned()));
            return entry(&format!("({count} + {}u) / {elements}u", elements - 1), &body);
        }
        let (text, index) = element("i");
        entry(&count, &format!("{text}{}", target.store(&index[0], "y", result)))
    })
}

/// As [`map`], one call for each index of the first dimension.
#[cold]
#[allow(clippy::too_many_arguments)]
fn parts(
    context: &'static Context,
    family: &'static str,
    variant: &[u32],
    num: Num,
    operands: &[In<'_>],
    used: u32,
    out: &ViewMut<'_, Buffer>,
    result: Num,
    value: &dyn Fn(&[&str]) -> String,
) -> Result<()> {
    let part = |layout: &Layout, at: usize| {
        let offset = layout.offset().wrapping_add_signed(layout.strides()[0] * at as isize);
        Layout::strided(
            SmallVec::from_slice(&layout.shape()[1..]),
            SmallVec::from_slice(&layout.strides()[1..]),
            offset,
        )
    };
    for at in 0..out.layout().shape()[0] {
        let layouts: SmallVec<[Option<Layout>; 4]> = operands
            .iter()
            .enumerate()
            .map(|(k, o)| match o {
                Operand::Array(v) if used >> k & 1 == 1 => Some(part(v.layout, at)),
                _ => None,
            })
            .collect();
        let inner: SmallVec<[In<'_>; 4]> = operands
            .iter()
            .zip(&layouts)
            .map(|(o, l)| match (o, l) {
                (Operand::Array(v), Some(layout)) => Operand::Array(View { layout, ..*v }),
                _ => *o,
            })
            .collect();
        let target = part(out.layout(), at);
        // SAFETY: a part of what the caller vouches for, one after another.
        let target = unsafe { ViewMut::new(out.buffer(), &target, out.dtype()) };
        map(context, family, variant, num, &inner, used, &target, result, value)?;
    }
    Ok(())
}

fn dtypes<'a>(inputs: &'a [In<'_>], out: DType) -> impl Iterator<Item = DType> + 'a {
    let arrays = inputs.iter().filter_map(|o| match o {
        Operand::Array(v) => Some(v.dtype),
        Operand::Scalar(_) => None,
    });
    arrays.chain([out])
}

/// A number that 32 bits hold is computed with in them.
fn wide(inputs: &[In<'_>]) -> bool {
    inputs.iter().any(|o| match o {
        Operand::Scalar(Scalar::Int(i)) => i32::try_from(*i).is_err(),
        Operand::Scalar(Scalar::Float(f)) => f.abs() > f64::from(i32::MAX),
        _ => false,
    })
}

/// `out = row(inputs…)`, as [`Backend::elementwise`](wengert_ops::Backend::elementwise).
pub(crate) fn elementwise(
    context: &'static Context,
    row: Row,
    compute: Compute,
    inputs: &[In<'_>],
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    if inputs.len() != row.arity() {
        return Err(Error::internal(format!("{} takes {} operands", row.name(), row.arity())));
    }
    if compute == Compute::I64 {
        contract::integers(row, inputs, |view| any_zero(context, view))?;
    }
    let num = match num_of(compute, dtypes(inputs, out.dtype())) {
        // The product of two of 32 bits may need more before its sign is dropped.
        Num::I32 if row == Row::Lcm || wide(inputs) => Num::I64,
        num => num,
    };
    let row = if row == Row::BitwiseNot && out.dtype() == DType::Bool { Row::LogicalNot } else { row };
    let result = if row.is_truth() { Num::I32 } else { num };
    map(context, "row", &[row as u32], num, inputs, u32::MAX, &out, result, &|names| {
        let text = row.expr().value.wgsl(num, names, "");
        if row.is_truth() {
            format!("select(0i, 1i, {text})")
        } else {
            text
        }
    })
}

/// Whether an integer array holds a zero: read back, since an error must come before the result.
fn any_zero(context: &'static Context, view: View<'_, Buffer>) -> Result<bool> {
    if view.layout.numel() == 0 {
        return Ok(false);
    }
    let flag = Buffer(context.allocate(4)?);
    let one = Layout::contiguous(&[]);
    // SAFETY: fresh.
    let out = unsafe { ViewMut::new(&flag, &one, DType::Bool) };
    let dims = if view.layout.rank() == 64 { u64::MAX } else { (1 << view.layout.rank()) - 1 };
    reduce(context, Reduction::All, view, dims, out)?;
    let mut all = [0];
    context.download(&flag.0, 0, &mut all)?;
    Ok(all == [0])
}

/// `out = g · ∂row/∂inputs[which]`, as
/// [`Backend::elementwise_vjp`](wengert_ops::Backend::elementwise_vjp).
#[allow(clippy::too_many_arguments)]
pub(crate) fn elementwise_vjp(
    context: &'static Context,
    row: Row,
    which: usize,
    compute: Compute,
    inputs: &[In<'_>],
    y: In<'_>,
    g: In<'_>,
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    let Some(&partial) = row.expr().partials.get(which) else {
        return Err(contract::no_derivative(row));
    };
    if inputs.len() != row.arity() {
        return Err(Error::internal(format!("{} takes {} operands", row.name(), row.arity())));
    }
    let num = match compute {
        Compute::F32 => Num::F32,
        Compute::F64 => Num::F64,
        Compute::I64 => return Err(Error::internal(format!("{}: gradients are not integers", row.name()))),
    };
    let needs = row.needs(which);
    let count = inputs.len();
    let mut operands: SmallVec<[In<'_>; 6]> = SmallVec::from_slice(inputs);
    operands.push(y);
    operands.push(g);
    let used = u32::from(needs.inputs) | (needs.output as u32) << count | 1 << (count + 1);
    map(context, "vjp", &[row as u32, which as u32], num, &operands, used, &out, num, &|names| {
        let (args, y, g) = (&names[..count], names[count], names[count + 1]);
        let text = partial.wgsl(num, args, y);
        match partial.is_mask() {
            true => format!("select({}, {g}, {text})", num.literal(0.0)),
            false => format!("({g} * {text})"),
        }
    })
}

/// Elementwise copy with conversion; bytes that stay as they are need no kernel.
pub(crate) fn copy(context: &'static Context, src: View<'_, Buffer>, dst: ViewMut<'_, Buffer>) -> Result<()> {
    let size = src.dtype.size();
    let bytes = src.layout.numel() * size;
    let (at, to_at) = (src.layout.offset() * size, dst.layout().offset() * size);
    let plain = src.dtype == dst.dtype() && src.layout.is_contiguous() && dst.layout().is_contiguous();
    let apart = !Arc::ptr_eq(&src.buffer.0, &dst.buffer().0);
    if plain
        && apart
        && src.layout.shape() == dst.layout().shape()
        && (bytes | at | to_at).is_multiple_of(4)
        && bytes > 0
    {
        let (from, to) = (src.buffer.0.clone(), dst.buffer().0.clone());
        return context.push(Task::Copy { from, at: at as u64, to, to_at: to_at as u64, bytes: bytes as u64 });
    }
    let dtype = moved(src.dtype);
    if src.dtype == DType::F64 && dst.dtype() == DType::F64 && !context.has_f64() {
        // SAFETY: the caller's view, under the same promise.
        let bits = unsafe { ViewMut::new(dst.buffer(), dst.layout(), dtype) };
        return copy(context, View { dtype, ..src }, bits);
    }
    let num = own_num(src.dtype);
    map(context, "copy", &[code(dst.dtype())], num, &[Operand::Array(src)], 1, &dst, num, &|x| x[0].to_owned())
}

/// Fills with a number.
pub(crate) fn fill(context: &'static Context, value: Scalar, dst: ViewMut<'_, Buffer>) -> Result<()> {
    if dst.dtype() == DType::F64 && !context.has_f64() {
        let bits = Scalar::Int(value.as_f64().to_bits() as i64);
        // SAFETY: the caller's view, under the same promise.
        return fill(context, bits, unsafe { ViewMut::new(dst.buffer(), dst.layout(), moved(DType::F64)) });
    }
    let num = own_num(dst.dtype());
    map(context, "fill", &[code(dst.dtype())], num, &[Operand::Scalar(value)], 1, &dst, num, &|x| x[0].to_owned())
}
