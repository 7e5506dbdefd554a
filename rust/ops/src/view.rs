//! Views: maps from a layout to another layout over the same buffer.

use crate::error::Result;
use crate::fail;
use crate::infer::unfold_count;
use crate::layout::{checked_numel, Dims, Layout, Strides, MAX_RANK};
use smallvec::SmallVec;

/// A view of one tensor, its arguments already wrapped and checked against the input's rank.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ViewOp {
    Permute(Dims),
    /// To a shape of the same or higher rank; size-1 dims repeat.
    Expand(Dims),
    /// To a shape with as many elements, where strides allow.
    Reshape(Dims),
    Slice {
        dim: usize,
        start: usize,
        step: usize,
        len: usize,
    },
    /// Drops `dim` at an index.
    Select {
        dim: usize,
        index: usize,
    },
    /// The diagonal goes to the last dim.
    Diagonal {
        offset: isize,
        dim1: usize,
        dim2: usize,
    },
    Unsqueeze(usize),
    /// Drops the size-1 dims of a mask.
    Squeeze(u64),
    /// Shape, strides and offset outright, over the whole buffer.
    AsStrided {
        shape: Dims,
        strides: Strides,
        offset: usize,
    },
    /// Windows of `size` elements, `step` apart, along `dim`; the windows' elements go to a last dim.
    Unfold {
        dim: usize,
        size: usize,
        step: usize,
    },
    /// Another handle on the same elements (`view_as`, `alias`).
    Alias,
}

impl ViewOp {
    /// The name PyTorch gives the view's gradient node, without `Backward0`.
    pub fn label(&self) -> &'static str {
        match self {
            ViewOp::Permute(_) => "Permute",
            ViewOp::Expand(_) => "Expand",
            ViewOp::Reshape(_) => "View",
            ViewOp::Slice { .. } => "Slice",
            ViewOp::Select { .. } => "Select",
            ViewOp::Diagonal { .. } => "Diagonal",
            ViewOp::Unsqueeze(_) => "Unsqueeze",
            ViewOp::Squeeze(_) => "Squeeze",
            ViewOp::AsStrided { .. } => "AsStrided",
            ViewOp::Unfold { .. } => "Unfold",
            ViewOp::Alias => "Alias",
        }
    }

    /// The layout of the view. Arguments come from the public functions, which have checked their ranges.
    pub fn apply(&self, x: &Layout) -> Result<Layout> {
        let (shape, strides) = (x.shape(), x.strides());
        let mut offset = x.offset();
        let mut out_shape: Dims = SmallVec::new();
        let mut out_strides: Strides = SmallVec::new();
        match self {
            ViewOp::Alias => return Ok(x.clone()),
            ViewOp::Permute(order) => {
                out_shape.extend(order.iter().map(|&d| shape[d]));
                out_strides.extend(order.iter().map(|&d| strides[d]));
            }
            ViewOp::Expand(target) => return expand(x, target),
            ViewOp::Reshape(target) => return match reshape(x, target) {
                Some(layout) => Ok(layout),
                None => fail!(
                    runtime,
                    "view size is not compatible with input tensor's size and stride (shape {shape:?}, strides {strides:?}, \
                     wanted {target:?}): at least one dimension spans across two contiguous subspaces. Use .reshape(...) instead."
                ),
            },
            &ViewOp::Slice { dim, start, step, len } => {
                out_shape.extend_from_slice(shape);
                out_strides.extend_from_slice(strides);
                out_shape[dim] = len;
                // Wrapping: a huge step leaves one element, and empty tensors may have any strides.
                out_strides[dim] = strides[dim].wrapping_mul(step as isize);
                offset = offset.wrapping_add_signed((start as isize).wrapping_mul(strides[dim]));
            }
            &ViewOp::Select { dim, index } => {
                for d in (0..shape.len()).filter(|&d| d != dim) {
                    out_shape.push(shape[d]);
                    out_strides.push(strides[d]);
                }
                offset = offset.wrapping_add_signed((index as isize).wrapping_mul(strides[dim]));
            }
            &ViewOp::Diagonal { offset: k, dim1, dim2 } => {
                let (rows, cols) = (shape[dim1] as isize, shape[dim2] as isize);
                let len = if k >= 0 { rows.min(cols.saturating_sub(k)) } else { rows.saturating_add(k).min(cols) }.max(0);
                if len > 0 {
                    offset = offset.wrapping_add_signed(if k >= 0 { k.wrapping_mul(strides[dim2]) } else { (-k).wrapping_mul(strides[dim1]) });
                }
                for d in (0..shape.len()).filter(|&d| d != dim1 && d != dim2) {
                    out_shape.push(shape[d]);
                    out_strides.push(strides[d]);
                }
                out_shape.push(len as usize);
                out_strides.push(strides[dim1].wrapping_add(strides[dim2]));
            }
            &ViewOp::Unsqueeze(dim) => {
                if shape.len() >= MAX_RANK {
                    fail!(runtime, "unsqueeze: {} dimensions given, at most {MAX_RANK} are supported", shape.len() + 1);
                }
                out_shape.extend_from_slice(shape);
                out_strides.extend_from_slice(strides);
                let stride = if dim < shape.len() { (shape[dim] as isize).wrapping_mul(strides[dim]) } else { 1 };
                out_shape.insert(dim, 1);
                out_strides.insert(dim, stride);
            }
            &ViewOp::Squeeze(mask) => {
                for d in (0..shape.len()).filter(|&d| mask >> d & 1 == 0 || shape[d] != 1) {
                    out_shape.push(shape[d]);
                    out_strides.push(strides[d]);
                }
            }
            &ViewOp::Unfold { dim, size, step } => {
                out_shape.extend_from_slice(shape);
                out_strides.extend_from_slice(strides);
                let stride = strides.get(dim).copied().unwrap_or(1);
                if dim < shape.len() {
                    out_shape[dim] = unfold_count(dim, shape[dim], size as isize, step as isize)?;
                    // Wrapping: a huge step finds one window.
                    out_strides[dim] = stride.wrapping_mul(step as isize);
                }
                out_shape.push(size);
                out_strides.push(stride);
                checked_numel("unfold", &out_shape)?;
            }
            ViewOp::AsStrided { shape, strides, offset } => {
                checked_numel("as_strided", shape)?;
                return Ok(Layout::strided(shape.clone(), strides.clone(), *offset));
            }
        }
        Ok(Layout::strided(out_shape, out_strides, offset))
    }
}

fn expand(x: &Layout, target: &[usize]) -> Result<Layout> {
    let shape = x.shape();
    let fits = target.len() >= shape.len()
        && shape.iter().zip(&target[target.len() - shape.len()..]).all(|(&n, &t)| n == t || n == 1);
    if !fits {
        fail!(
            runtime,
            "expand: The expanded size {target:?} must match the existing size {shape:?} at non-singleton dimensions; \
             only dimensions of size 1 expand, and new dimensions come first"
        );
    }
    checked_numel("expand", target)?;
    Ok(crate::layout::expand_to(x, target))
}

/// A reshaped layout without copying, if the strides allow one. Element counts must agree.
pub fn reshape(x: &Layout, target: &[usize]) -> Option<Layout> {
    if x.shape() == target {
        return Some(x.clone());
    }
    if x.is_contiguous() {
        let strides = crate::layout::contiguous_strides(target);
        return Some(Layout::strided(SmallVec::from_slice(target), strides, x.offset()));
    }
    // Walk blocks of old dims that are contiguous among themselves and split each over new dims.
    let old: SmallVec<[(usize, isize); 4]> =
        x.shape().iter().copied().zip(x.strides().iter().copied()).filter(|&(n, _)| n != 1).collect();
    let mut strides: Strides = SmallVec::from_elem(1, target.len());
    let mut new = target.len();
    let mut end = old.len();
    while end > 0 {
        let mut start = end - 1;
        let (mut block, base) = (old[start].0, old[start].1);
        while start > 0 && old[start - 1].1 == old[start].1.wrapping_mul(old[start].0 as isize) {
            start -= 1;
            block *= old[start].0;
        }
        let mut filled = 1usize;
        while new > 0 && (filled < block || target[new - 1] == 1) {
            new -= 1;
            strides[new] = base.wrapping_mul(filled as isize);
            filled = filled.saturating_mul(target[new]);
        }
        if filled != block {
            return None;
        }
        end = start;
    }
    for stride in &mut strides[..new] {
        *stride = 1;
    }
    target[..new].iter().all(|&n| n == 1).then(|| Layout::strided(SmallVec::from_slice(target), strides, x.offset()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_of_strided_layouts() {
        let t = ViewOp::Permute(SmallVec::from_slice(&[1, 0])).apply(&Layout::contiguous(&[2, 6])).unwrap();
        assert!(reshape(&t, &[12]).is_none());
        let r = reshape(&t, &[2, 3, 2]).unwrap();
        assert_eq!(r.strides(), &[3, 1, 6]);
        let e = ViewOp::Slice { dim: 1, start: 1, step: 2, len: 3 }.apply(&Layout::contiguous(&[4, 6])).unwrap();
        assert_eq!(reshape(&e, &[12]).unwrap().strides(), &[2]);
        assert_eq!(reshape(&e, &[2, 1, 6]).unwrap().strides().len(), 3);
    }

    #[test]
    fn diagonal_offsets() {
        let x = Layout::contiguous(&[3, 4]);
        let d = ViewOp::Diagonal { offset: 1, dim1: 0, dim2: 1 }.apply(&x).unwrap();
        assert_eq!((d.shape(), d.strides(), d.offset()), (&[3usize][..], &[5isize][..], 1));
        let d = ViewOp::Diagonal { offset: -5, dim1: 0, dim2: 1 }.apply(&x).unwrap();
        assert_eq!(d.shape(), &[0]);
    }
}
