//! Joining, padding, and the regions that in-place writes through views put back.

use super::{broadcasts_to, exactly, one};
use crate::dtype::{DType, Promotion};
use crate::error::Result;
use crate::fail;
use crate::layout::{checked_numel, wrap_dim, Dims};
use crate::op::{Meta, Region};
use smallvec::SmallVec;

/// The dim and shape of `cat`. One-dimensional empty tensors among others are skipped, a legacy
/// that PyTorch keeps.
///
/// ```
/// use wengert_ops::infer::cat_shape;
/// let (dim, shape) = cat_shape("cat", &[&[2, 3], &[0], &[2, 5]], -1).unwrap();
/// assert_eq!((dim, &shape[..]), (1, &[2, 8][..]));
/// ```
pub fn cat_shape(op: &str, shapes: &[&[usize]], dim: isize) -> Result<(usize, Dims)> {
    let skipped = |s: &[usize]| *s == [0];
    let Some(&any) = shapes.first() else {
        fail!(value, "torch.{op}(): expected a non-empty list of Tensors");
    };
    if let Some(at) = shapes.iter().position(|s| s.is_empty()) {
        fail!(
            runtime,
            "zero-dimensional tensor (at position {at}) cannot be concatenated; give it a dimension or use stack()"
        );
    }
    let Some(first) = shapes.iter().copied().find(|s| !skipped(s)) else {
        return Ok((0, Dims::from_slice(any)));
    };
    let dim = wrap_dim(op, dim, first.len())?;
    let mut out = Dims::from_slice(first);
    out[dim] = 0;
    for (at, shape) in shapes.iter().enumerate().filter(|(_, s)| !skipped(s)) {
        if shape.len() != first.len() {
            fail!(
                runtime,
                "{op}: Tensors must have same number of dimensions: got {} and {} (shapes {first:?} and {shape:?})",
                first.len(),
                shape.len()
            );
        }
        if let Some(d) = (0..first.len()).find(|&d| d != dim && shape[d] != first[d]) {
            fail!(
                runtime,
                "Sizes of tensors must match except in dimension {dim}. Expected size {} but got size {} for tensor \
                 number {at} in the list.",
                first[d],
                shape[d]
            );
        }
        out[dim] = match out[dim].checked_add(shape[dim]) {
            Some(n) => n,
            None => fail!(runtime, "{op}: the size of dimension {dim} overflows"),
        };
    }
    checked_numel(op, &out)?;
    Ok((dim, out))
}

/// The dim and shape of `stack`.
pub fn stack_shape(op: &str, shapes: &[&[usize]], dim: isize) -> Result<(usize, Dims)> {
    let Some(&first) = shapes.first() else {
        fail!(value, "{op} expects a non-empty TensorList");
    };
    let dim = wrap_dim(op, dim, first.len() + 1)?;
    if let Some(at) = shapes.iter().position(|&s| s != first) {
        fail!(
            runtime,
            "{op} expects each tensor to be equal size, but got {first:?} at entry 0 and {:?} at entry {at}",
            shapes[at]
        );
    }
    let mut out = Dims::from_slice(first);
    out.insert(dim, shapes.len());
    checked_numel(op, &out)?;
    Ok((dim, out))
}

/// The shape after padding every dim by (before, after).
pub fn pad_shape(op: &str, shape: &[usize], amounts: &[(usize, usize)]) -> Result<Dims> {
    if amounts.len() != shape.len() {
        fail!(
            runtime,
            "{op}: expected one (before, after) pair for each of the {} dimensions of shape {shape:?}, but got {}",
            shape.len(),
            amounts.len()
        );
    }
    let mut out = Dims::new();
    for (&n, &(before, after)) in shape.iter().zip(amounts) {
        match n.checked_add(before).and_then(|n| n.checked_add(after)) {
            Some(n) => out.push(n),
            None => fail!(runtime, "{op}: a size of {shape:?} padded by {amounts:?} overflows"),
        }
    }
    checked_numel(op, &out)?;
    Ok(out)
}

pub(super) fn cat(inputs: &[Meta], dim: usize) -> Result<SmallVec<[Meta; 2]>> {
    let shapes: SmallVec<[&[usize]; 8]> = inputs.iter().map(|x| &x.shape[..]).collect();
    let (_, shape) = cat_shape("cat", &shapes, dim.min(isize::MAX as usize) as isize)?;
    let mut promotion = Promotion::default();
    for x in inputs {
        promotion.tensor(x.dtype, x.shape.len());
    }
    one(shape, promotion.result().unwrap_or(DType::F32))
}

pub(super) fn put(region: &Region, inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    let [base, value] = exactly("put", inputs)?;
    check_base("put", region, base)?;
    if !broadcasts_to(&value.shape, region.part.shape()) {
        fail!(
            runtime,
            "put: a value of shape {:?} cannot be broadcast to the view's shape {:?}",
            value.shape,
            region.part.shape()
        );
    }
    if value.dtype != base.dtype {
        fail!(runtime, "put: a value of {} cannot stand in a base of {}; cast it first", value.dtype, base.dtype);
    }
    one(base.shape.clone(), base.dtype)
}

pub(super) fn take(region: &Region, inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    let [base] = exactly("take", inputs)?;
    check_base("take", region, base)?;
    one(Dims::from_slice(region.part.shape()), base.dtype)
}

fn check_base(op: &str, region: &Region, base: &Meta) -> Result<()> {
    if base.shape[..] != *region.base.shape() {
        fail!(
            runtime,
            "{op}: the region was made for a base of shape {:?}, but got one of shape {:?}",
            region.base.shape(),
            base.shape
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::infer;
    use super::super::testing::*;
    use super::*;
    use crate::error::ErrorKind::*;
    use crate::layout::Layout;
    use crate::op::Op;
    use std::sync::Arc;

    #[test]
    fn joining() {
        let op = Op::Cat { dim: 1 };
        assert_eq!(shapes(&op, &[f32s(&[3, 2]), f32s(&[0]), f32s(&[3, 1])]), [[3, 3]]);
        assert_eq!(shapes(&op, &[f32s(&[0]), f32s(&[0])]), [[0]]);
        assert_eq!(infer(&op, &[i64s(&[3, 2]), Meta::new(&[0], DType::F16)]).unwrap()[0].dtype, DType::F16);
        let words = "Sizes of tensors must match except in dimension 1. Expected size 3 but got size 4 for tensor \
                     number 1 in the list.";
        refuses(infer(&op, &[f32s(&[3, 2]), f32s(&[4, 2])]), Runtime, words);
        refuses(infer(&op, &[]), Value, "torch.cat(): expected a non-empty list of Tensors");
        refuses(infer(&op, &[f32s(&[3, 2]), f32s(&[3])]), Runtime, "same number of dimensions: got 2 and 1");
        refuses(infer(&op, &[f32s(&[3]), f32s(&[])]), Runtime, "zero-dimensional tensor (at position 1)");
        refuses(infer(&Op::Cat { dim: 2 }, &[f32s(&[2, 3]), f32s(&[0])]), Index, "range of [-2, 1], but got 2");
        refuses(stack_shape("stack", &[&[2], &[3]], 0), Runtime, "but got [2] at entry 0 and [3] at entry 1");
        assert_eq!(stack_shape("stack", &[&[2], &[2], &[2]], -1).unwrap(), (1, Dims::from_slice(&[2, 3])));
    }

    #[test]
    fn padding() {
        let pad = |amounts: &[(usize, usize)]| infer(&Op::Pad(Arc::from(amounts)), &[f32s(&[2, 3])]);
        assert_eq!(&pad(&[(0, 1), (2, 2)]).unwrap()[0].shape[..], &[3, 7]);
        refuses(pad(&[(0, 1)]), Runtime, "each of the 2 dimensions");
        refuses(pad(&[(0, usize::MAX), (0, 0)]), Runtime, "overflows");
    }

    #[test]
    fn regions() {
        let part = Layout::strided(Dims::from_slice(&[2]), SmallVec::from_slice(&[3]), 1);
        let region = Arc::new(Region { base: Layout::contiguous(&[2, 3]), part });
        assert_eq!(shapes(&Op::Take(region.clone()), &[f32s(&[2, 3])]), [[2]]);
        let put = Op::Put(region.clone());
        assert_eq!(shapes(&put, &[f32s(&[2, 3]), f32s(&[])]), [[2, 3]]);
        refuses(infer(&put, &[f32s(&[2, 3]), f32s(&[3])]), Runtime, "cannot be broadcast to the view's shape [2]");
        refuses(infer(&put, &[f32s(&[3, 2]), f32s(&[2])]), Runtime, "made for a base of shape [2, 3]");
        refuses(infer(&put, &[f32s(&[2, 3]), i64s(&[2])]), Runtime, "torch.int64");
    }
}
