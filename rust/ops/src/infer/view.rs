//! Shapes of views, and the arguments of the public view functions made into checked [`ViewOp`]s.

use super::{broadcasts_to, check_dim, check_mask, list};
use crate::error::{Error, Result};
use crate::fail;
use crate::layout::{checked_numel, wrap_dim, Dims};
use crate::view::ViewOp;
use smallvec::SmallVec;

/// The shape of a view of a tensor of `shape`, every argument checked. What strides allow is
/// [`ViewOp::apply`]'s question.
pub fn view_shape(view: &ViewOp, shape: &[usize]) -> Result<Dims> {
    let (op, rank) = (super::view_name(view), shape.len());
    let mut out = Dims::from_slice(shape);
    match view {
        ViewOp::Alias => {}
        ViewOp::Permute(order) => {
            let signed: SmallVec<[isize; 4]> = order.iter().map(|&d| d.min(isize::MAX as usize) as isize).collect();
            out = permute_order(op, rank, &signed)?.iter().map(|&d| shape[d]).collect();
        }
        ViewOp::Expand(target) => {
            if !broadcasts_to(shape, target) {
                return Err(not_expandable(shape, target));
            }
            out = target.clone();
        }
        ViewOp::Reshape(target) => {
            if checked_numel(op, target)? != checked_numel(op, shape)? {
                return Err(invalid_shape(target, checked_numel(op, shape)?));
            }
            out = target.clone();
        }
        &ViewOp::Slice { dim, start, step, len } => {
            if rank == 0 {
                fail!(runtime, "slice() cannot be applied to a 0-dim tensor.");
            }
            let dim = check_dim(op, dim, rank)?;
            let end = match len.checked_sub(1) {
                None => Some(start),
                Some(last) => last.checked_mul(step).and_then(|n| n.checked_add(start)).and_then(|n| n.checked_add(1)),
            };
            if step == 0 || end.is_none_or(|end| end > shape[dim]) {
                fail!(
                    index,
                    "slice: {len} elements from {start} by {step} do not lie in dimension {dim} of shape {shape:?}"
                );
            }
            out[dim] = len;
        }
        &ViewOp::Select { dim, index } => {
            if rank == 0 {
                fail!(index, "select() cannot be applied to a 0-dim tensor.");
            }
            let dim = check_dim(op, dim, rank)?;
            if index >= shape[dim] {
                fail!(index, "select(): index {index} out of range for tensor of size {shape:?} at dimension {dim}");
            }
            out.remove(dim);
        }
        &ViewOp::Diagonal { offset, dim1, dim2 } => {
            let (d1, d2) = (check_dim(op, dim1, rank)?, check_dim(op, dim2, rank)?);
            if d1 == d2 {
                fail!(runtime, "diagonal dimensions cannot be identical {d1}, {d2}");
            }
            let (rows, cols) = (shape[d1], shape[d2]);
            let shift = offset.unsigned_abs();
            let len =
                if offset >= 0 { rows.min(cols.saturating_sub(shift)) } else { rows.saturating_sub(shift).min(cols) };
            out = (0..rank).filter(|&d| d != d1 && d != d2).map(|d| shape[d]).collect();
            out.push(len);
        }
        &ViewOp::Unsqueeze(dim) => out.insert(check_dim(op, dim, rank + 1)?, 1),
        &ViewOp::Squeeze(mask) => {
            check_mask(op, mask, rank)?;
            out = (0..rank).filter(|&d| mask >> d & 1 == 0 || shape[d] != 1).map(|d| shape[d]).collect();
        }
        &ViewOp::Unfold { dim, size, step } => {
            let (Ok(window), Ok(stride)) = (isize::try_from(size), isize::try_from(step)) else {
                fail!(runtime, "unfold: windows of size {size}, {step} apart, do not lie in shape {shape:?}");
            };
            if rank == 0 {
                // As a vector of one element, of which the count of windows is dropped.
                check_dim(op, dim, 1)?;
                unfold_count(0, 1, window, stride)?;
            } else {
                let dim = check_dim(op, dim, rank)?;
                out[dim] = unfold_count(dim, shape[dim], window, stride)?;
            }
            out.push(size);
        }
        ViewOp::AsStrided { shape, strides, .. } => {
            if shape.len() != strides.len() {
                fail!(
                    runtime,
                    "mismatch in length of strides and shape: as_strided got size {shape:?} and stride {strides:?}"
                );
            }
            out = shape.clone();
        }
    }
    checked_numel(op, &out)?;
    Ok(out)
}

fn not_expandable(shape: &[usize], target: &[usize]) -> Error {
    if target.len() < shape.len() {
        return Error::runtime(format!(
            "expand(size={target:?}): the number of sizes provided ({}) must be greater or equal to the number of \
             dimensions in the tensor ({}) of shape {shape:?}",
            target.len(),
            shape.len()
        ));
    }
    let lead = target.len() - shape.len();
    let dim = (0..shape.len()).find(|&d| shape[d] != 1 && shape[d] != target[lead + d]).unwrap_or(0);
    Error::runtime(format!(
        "The expanded size of the tensor ({}) must match the existing size ({}) at non-singleton dimension {}.  \
         Target sizes: {target:?}.  Tensor sizes: {shape:?}",
        target.get(lead + dim).copied().unwrap_or(1),
        shape.get(dim).copied().unwrap_or(1),
        lead + dim
    ))
}

fn invalid_shape<T: std::fmt::Display>(target: &[T], numel: usize) -> Error {
    Error::runtime(format!("shape '{}' is invalid for input of size {numel}", list(target)))
}

/// The sizes of `reshape` and `view`, one of which may be −1.
///
/// ```
/// use wengert_ops::infer::reshape_target;
/// assert_eq!(&reshape_target("view", 12, &[3, -1]).unwrap()[..], &[3, 4]);
/// let e = reshape_target("view", 7, &[2, -1]).unwrap_err();
/// assert_eq!(e.message(), "shape '[2, -1]' is invalid for input of size 7");
/// ```
pub fn reshape_target(op: &str, numel: usize, target: &[isize]) -> Result<Dims> {
    let mut open = None;
    let mut known: Dims = Dims::new();
    for (d, &n) in target.iter().enumerate() {
        match n {
            -1 if open.is_some() => fail!(runtime, "only one dimension can be inferred"),
            -1 => {
                open = Some(d);
                known.push(1);
            }
            n if n < 0 => fail!(runtime, "invalid shape dimension {n} at index {d} of shape {}", list(target)),
            n => known.push(n as usize),
        }
    }
    let product = checked_numel(op, &known)?;
    if let Some(d) = open {
        if product == 0 {
            if numel == 0 {
                fail!(
                    runtime,
                    "cannot reshape tensor of 0 elements into shape {} because the unspecified dimension size -1 can \
                     be any value and is ambiguous",
                    list(target)
                );
            }
            return Err(invalid_shape(target, numel));
        }
        if !numel.is_multiple_of(product) {
            return Err(invalid_shape(target, numel));
        }
        known[d] = numel / product;
    } else if product != numel {
        return Err(invalid_shape(target, numel));
    }
    Ok(known)
}

/// The sizes of `expand`, where −1 keeps an existing size.
///
/// ```
/// use wengert_ops::infer::expand_target;
/// assert_eq!(&expand_target("expand", &[3, 1], &[2, -1, 4]).unwrap()[..], &[2, 3, 4]);
/// ```
pub fn expand_target(op: &str, shape: &[usize], target: &[isize]) -> Result<Dims> {
    let lead = target.len().checked_sub(shape.len());
    let mut out = Dims::new();
    for (d, &n) in target.iter().enumerate() {
        let existing = lead.and_then(|lead| d.checked_sub(lead)).map(|d| shape[d]);
        out.push(match (n, existing) {
            (-1, Some(size)) => size,
            (-1, None) => fail!(
                runtime,
                "{op}: The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {d}"
            ),
            (n, _) if n < 0 => fail!(runtime, "{op}: sizes must be -1 or not negative, but got {}", list(target)),
            (n, _) => n as usize,
        });
    }
    if !broadcasts_to(shape, &out) {
        return Err(not_expandable(shape, &out));
    }
    checked_numel(op, &out)?;
    Ok(out)
}

/// The order of `permute`, negative dims wrapped: every dim exactly once.
pub fn permute_order(op: &str, rank: usize, dims: &[isize]) -> Result<Dims> {
    if dims.len() != rank {
        fail!(
            runtime,
            "{op}: number of dimensions in the tensor input does not match the length of the desired ordering of \
             dimensions i.e. input.dim() = {rank} is not equal to len(dims) = {}",
            dims.len()
        );
    }
    let mut order = Dims::new();
    for &d in dims {
        let d = wrap_dim(op, d, rank)?;
        if order.contains(&d) {
            fail!(runtime, "{op}(): duplicate dims are not allowed.");
        }
        order.push(d);
    }
    Ok(order)
}

/// A Python slice over `size` elements as (start, step, length).
///
/// ```
/// use wengert_ops::infer::slice_range;
/// assert_eq!(slice_range(Some(-3), None, 2, 10).unwrap(), (7, 2, 2));
/// assert_eq!(slice_range(Some(5), Some(2), 1, 10).unwrap(), (5, 1, 0));
/// assert!(slice_range(None, None, 0, 10).is_err());
/// ```
pub fn slice_range(
    start: Option<isize>,
    stop: Option<isize>,
    step: isize,
    size: usize,
) -> Result<(usize, usize, usize)> {
    if step == 0 {
        fail!(value, "slice step cannot be zero");
    }
    if step < 0 {
        fail!(value, "step must be greater than zero, but got {step}; use flip() to reverse a dimension");
    }
    let bound = |i: isize| {
        let i = if i < 0 { size.saturating_sub(i.unsigned_abs()) } else { i as usize };
        i.min(size)
    };
    let start = start.map_or(0, bound);
    let stop = stop.map_or(size, bound);
    let step = step as usize;
    Ok((start, step, stop.saturating_sub(start).div_ceil(step)))
}

/// The start of `narrow`, negative wrapped, with its length.
pub fn narrow_range(op: &str, start: isize, length: isize, size: usize) -> Result<(usize, usize)> {
    if length < 0 {
        fail!(runtime, "{op}(): length must be non-negative, but got {length}.");
    }
    let wrapped = if start < 0 { size.checked_sub(start.unsigned_abs()) } else { Some(start as usize) };
    let Some(wrapped) = wrapped.filter(|&s| s <= size) else {
        fail!(index, "{op}: start out of range (expected to be in range of [-{size}, {size}], but got {start})");
    };
    if length as usize > size - wrapped {
        fail!(runtime, "{op}: start ({wrapped}) + length ({length}) exceeds dimension size ({size}).");
    }
    Ok((wrapped, length as usize))
}

/// The index of `x[i]` or `select`, negative wrapped.
pub fn select_index(index: isize, dim: usize, size: usize) -> Result<usize> {
    let wrapped = if index < 0 { size.checked_sub(index.unsigned_abs()) } else { Some(index as usize) };
    match wrapped {
        Some(i) if i < size => Ok(i),
        _ => fail!(index, "index {index} is out of bounds for dimension {dim} with size {size}"),
    }
}

/// How many windows `unfold` finds along a dim.
pub fn unfold_count(dim: usize, size: usize, window: isize, step: isize) -> Result<usize> {
    if step <= 0 {
        fail!(runtime, "unfold: step is {step} but must be > 0");
    }
    if window < 0 {
        fail!(runtime, "unfold: size is {window} but must be >= 0");
    }
    match size.checked_sub(window as usize) {
        Some(room) => Ok((room / step as usize).saturating_add(1)),
        None => fail!(runtime, "unfold: maximum size for tensor at dimension {dim} is {size} but size is {window}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::error::ErrorKind::*;
    use crate::layout::Layout;

    fn dims(d: &[usize]) -> Dims {
        Dims::from_slice(d)
    }

    /// Inference and the layout map must tell the same shape.
    #[test]
    fn agrees_with_layouts() {
        let views = [
            (ViewOp::Alias, &[2, 3, 4][..]),
            (ViewOp::Permute(dims(&[2, 0, 1])), &[4, 2, 3]),
            (ViewOp::Expand(dims(&[5, 2, 3, 4])), &[5, 2, 3, 4]),
            (ViewOp::Reshape(dims(&[6, 4])), &[6, 4]),
            (ViewOp::Slice { dim: 2, start: 1, step: 2, len: 2 }, &[2, 3, 2]),
            (ViewOp::Slice { dim: 0, start: 2, step: 7, len: 0 }, &[0, 3, 4]),
            (ViewOp::Select { dim: 1, index: 2 }, &[2, 4]),
            (ViewOp::Diagonal { offset: -1, dim1: 1, dim2: 2 }, &[2, 2]),
            (ViewOp::Diagonal { offset: 3, dim1: 2, dim2: 0 }, &[3, 0]),
            (ViewOp::Unsqueeze(3), &[2, 3, 4, 1]),
            (ViewOp::Squeeze(0b111), &[2, 3, 4]),
            (ViewOp::Unfold { dim: 2, size: 2, step: 1 }, &[2, 3, 3, 2]),
            (ViewOp::Unfold { dim: 0, size: 0, step: 9 }, &[1, 3, 4, 0]),
        ];
        for (view, shape) in views {
            assert_eq!(&view_shape(&view, &[2, 3, 4]).unwrap()[..], shape, "{view:?}");
            assert_eq!(view.apply(&Layout::contiguous(&[2, 3, 4])).unwrap().shape(), shape, "{view:?}");
        }
    }

    #[test]
    fn malformed_views() {
        let shape = &[2, 3][..];
        for (view, kind, words) in [
            (ViewOp::Permute(dims(&[0])), Runtime, "input.dim() = 2 is not equal to len(dims) = 1"),
            (ViewOp::Permute(dims(&[0, 0])), Runtime, "duplicate dims"),
            (ViewOp::Permute(dims(&[0, usize::MAX])), Index, "Dimension out of range"),
            (ViewOp::Expand(dims(&[4, 3])), Runtime, "must match the existing size (2) at non-singleton dimension 0."),
            (ViewOp::Expand(dims(&[3])), Runtime, "number of sizes provided (1)"),
            (ViewOp::Reshape(dims(&[4, 2])), Runtime, "shape '[4, 2]' is invalid for input of size 6"),
            (ViewOp::Slice { dim: 1, start: usize::MAX, step: 1, len: 2 }, Index, "do not lie in dimension 1"),
            (ViewOp::Slice { dim: 1, start: 0, step: 0, len: 2 }, Index, "do not lie"),
            (ViewOp::Slice { dim: 2, start: 0, step: 1, len: 1 }, Index, "Dimension out of range"),
            (ViewOp::Select { dim: 0, index: 2 }, Index, "select(): index 2 out of range for tensor of size [2, 3]"),
            (ViewOp::Diagonal { offset: 0, dim1: 1, dim2: 1 }, Runtime, "cannot be identical 1, 1"),
            (ViewOp::Unsqueeze(3), Index, "expected to be in range of [-3, 2], but got 3"),
            (ViewOp::Squeeze(0b100), Index, "got 2"),
            (ViewOp::Unfold { dim: 2, size: 1, step: 1 }, Index, "got 2"),
            (ViewOp::Unfold { dim: 1, size: 4, step: 1 }, Runtime, "maximum size for tensor at dimension 1 is 3"),
            (ViewOp::Unfold { dim: 1, size: 2, step: 0 }, Runtime, "step is 0"),
            (ViewOp::Unfold { dim: 1, size: usize::MAX, step: 1 }, Runtime, "do not lie"),
        ] {
            refuses(view_shape(&view, shape), kind, words);
        }
        let far = ViewOp::Diagonal { offset: isize::MIN, dim1: 0, dim2: 1 };
        assert_eq!(&view_shape(&far, shape).unwrap()[..], &[0]);
    }

    #[test]
    fn reshape_targets() {
        let to = |numel, target: &[isize]| reshape_target("reshape", numel, target);
        assert_eq!(&to(0, &[-1, 3]).unwrap()[..], &[0, 3]);
        assert_eq!(&to(1, &[]).unwrap()[..], &[0usize; 0]);
        assert_eq!(&to(6, &[-1]).unwrap()[..], &[6]);
        refuses(to(7, &[2, -1]), Runtime, "shape '[2, -1]' is invalid for input of size 7");
        refuses(to(7, &[-1, -1]), Runtime, "only one dimension can be inferred");
        refuses(to(7, &[-2, 1]), Runtime, "invalid shape dimension -2 at index 0 of shape [-2, 1]");
        refuses(to(0, &[0, -1]), Runtime, "ambiguous");
        refuses(to(7, &[0, -1]), Runtime, "shape '[0, -1]' is invalid for input of size 7");
        refuses(to(7, &[isize::MAX, isize::MAX]), Runtime, "overflows");
    }

    #[test]
    fn python_slices() {
        // Against the definition: the indices that Python's range gives.
        for size in 0..6isize {
            for start in -7..8isize {
                for stop in -7..8isize {
                    for step in 1..4 {
                        let wrap = |i: isize| (if i < 0 { i + size } else { i }).clamp(0, size);
                        let want = (wrap(start)..wrap(stop)).step_by(step).count();
                        let (s, t, len) = slice_range(Some(start), Some(stop), step as isize, size as usize).unwrap();
                        assert_eq!((s as isize, t, len), (wrap(start), step, want));
                    }
                }
            }
        }
        assert_eq!(slice_range(Some(isize::MIN), Some(isize::MAX), isize::MAX, 3).unwrap().2, 1);
        refuses(slice_range(None, None, 0, 3), Value, "slice step cannot be zero");
        refuses(slice_range(None, None, -1, 3), Value, "step must be greater than zero");
    }

    #[test]
    fn narrow_select_unfold_expand() {
        assert_eq!(narrow_range("narrow", -2, 2, 3).unwrap(), (1, 2));
        refuses(narrow_range("narrow", 2, 2, 3), Runtime, "start (2) + length (2) exceeds dimension size (3).");
        refuses(narrow_range("narrow", 4, 0, 3), Index, "expected to be in range of [-3, 3], but got 4");
        refuses(narrow_range("narrow", 0, -1, 3), Runtime, "length must be non-negative");
        assert_eq!(select_index(-3, 0, 3).unwrap(), 0);
        refuses(select_index(5, 0, 3), Index, "index 5 is out of bounds for dimension 0 with size 3");
        refuses(select_index(isize::MIN, 0, 3), Index, "out of bounds");
        assert_eq!(unfold_count(0, 7, 2, 1).unwrap(), 6);
        assert_eq!(unfold_count(0, 7, 2, 2).unwrap(), 3);
        refuses(unfold_count(0, 3, 4, 1), Runtime, "maximum size for tensor at dimension 0 is 3 but size is 4");
        refuses(unfold_count(0, 3, 2, 0), Runtime, "step is 0 but must be > 0");
        refuses(expand_target("expand", &[3], &[-1, 3]), Runtime, "leading, non-existing dimension 0");
        refuses(expand_target("expand", &[3], &[]), Runtime, "number of sizes provided (0)");
    }
}
