//! Views, joins and padding.

use crate::buffer::Device;
use crate::dispatch::{apply1, taken};
use crate::exec;
use crate::tensor::Tensor;
use crate::views;
use smallvec::SmallVec;
use std::sync::Arc;
use wengert_ops::infer;
use wengert_ops::layout::{numel, wrap_dim};
use wengert_ops::{fail, DType, Dims, Layout, Op, Region, Result, Strides, ViewOp};

/// Refuses more views at once than there is memory for: each takes about this many bytes.
pub fn check_parts(op: &str, count: usize) -> Result<()> {
    const BYTES: usize = 256;
    let much = count.saturating_mul(BYTES);
    if much > 1 << 28 && Vec::<u8>::new().try_reserve_exact(much).is_err() {
        fail!(memory, "{op}: not enough memory for {count} tensors; ask for fewer parts");
    }
    Ok(())
}

impl Tensor {
    /// A view by an already checked description.
    pub fn view_op(&self, op: ViewOp) -> Result<Tensor> {
        views::view(self, op)
    }

    /// Reorders dims.
    pub fn permute(&self, dims: &[isize]) -> Result<Tensor> {
        self.view_op(ViewOp::Permute(infer::permute_order("permute", self.rank(), dims)?))
    }

    /// The order that swaps two dims.
    pub fn swap_order(&self, op: &str, a: isize, b: isize) -> Result<Dims> {
        let rank = self.rank();
        let (a, b) = (wrap_dim(op, a, rank)?, wrap_dim(op, b, rank)?);
        let mut order: Dims = (0..rank).collect();
        if rank > 0 {
            order.swap(a, b);
        }
        Ok(order)
    }

    /// Swaps two dims.
    pub fn transpose(&self, a: isize, b: isize) -> Result<Tensor> {
        self.view_op(ViewOp::Permute(self.swap_order("transpose", a, b)?))
    }

    /// Swaps the last two dims; a 0-d tensor stays.
    pub fn mt(&self) -> Result<Tensor> {
        if self.rank() == 0 {
            return self.t();
        }
        if self.rank() < 2 {
            fail!(
                runtime,
                "tensor.mT is only supported on matrices or batches of matrices. Got {}-D tensor.",
                self.rank()
            );
        }
        self.transpose(-2, -1)
    }

    /// Transpose of a matrix; vectors and scalars stay.
    pub fn t(&self) -> Result<Tensor> {
        match self.rank() {
            0 | 1 => self.view_op(ViewOp::Permute((0..self.rank()).collect())),
            2 => self.transpose(0, 1),
            n => fail!(runtime, "t() expects a tensor with <= 2 dimensions, but self is {n}D"),
        }
    }

    /// Repeats size-1 dims without copying; −1 keeps a size.
    pub fn expand(&self, shape: &[isize]) -> Result<Tensor> {
        let target = infer::expand_target("expand", &self.shape(), shape)?;
        self.view_op(ViewOp::Expand(target))
    }

    /// Expands to exactly this shape.
    pub fn expand_to(&self, shape: &[usize]) -> Result<Tensor> {
        if self.shape()[..] == *shape {
            return Ok(self.clone());
        }
        self.view_op(ViewOp::Expand(Dims::from_slice(shape)))
    }

    /// Another shape over the same elements; fails where strides do not allow it.
    pub fn view(&self, shape: &[isize]) -> Result<Tensor> {
        let target = infer::reshape_target("view", self.numel(), shape)?;
        self.view_op(ViewOp::Reshape(target))
    }

    /// Another shape: a view where possible, else a copy.
    pub fn reshape(&self, shape: &[isize]) -> Result<Tensor> {
        let target = infer::reshape_target("reshape", self.numel(), shape)?;
        self.reshape_to(&target)
    }

    /// As [`Tensor::reshape`], with a complete shape.
    pub fn reshape_to(&self, shape: &[usize]) -> Result<Tensor> {
        let layout = self.layout();
        if layout.numel() != numel(shape) {
            fail!(runtime, "shape '{shape:?}' is invalid for input of size {}", layout.numel());
        }
        if wengert_ops::view::reshape(&layout, shape).is_some() {
            self.view_op(ViewOp::Reshape(Dims::from_slice(shape)))
        } else {
            self.clone_()?.view_op(ViewOp::Reshape(Dims::from_slice(shape)))
        }
    }

    /// A new dim of size 1.
    pub fn unsqueeze(&self, dim: isize) -> Result<Tensor> {
        self.view_op(ViewOp::Unsqueeze(wrap_dim("unsqueeze", dim, self.rank() + 1)?))
    }

    /// Drops the size-1 dims of a list (all of them if empty).
    pub fn squeeze(&self, dims: &[isize]) -> Result<Tensor> {
        self.view_op(ViewOp::Squeeze(wengert_ops::layout::dim_mask("squeeze", dims, self.rank())?))
    }

    /// Drops one dim if its size is 1.
    pub fn squeeze_dim(&self, dim: isize) -> Result<Tensor> {
        self.squeeze(&[dim])
    }

    /// One index of a dim.
    pub fn select(&self, dim: isize, index: isize) -> Result<Tensor> {
        let shape = self.shape();
        if shape.is_empty() {
            fail!(index, "select() cannot be applied to a 0-dim tensor.");
        }
        let dim = wrap_dim("select", dim, shape.len())?;
        let index = infer::select_index(index, dim, shape[dim])?;
        self.view_op(ViewOp::Select { dim, index })
    }

    /// `start:stop:step` of a dim, out-of-range ends clipped as in Python.
    pub fn slice(&self, dim: isize, start: Option<isize>, stop: Option<isize>, step: isize) -> Result<Tensor> {
        let shape = self.shape();
        if shape.is_empty() {
            fail!(runtime, "slice() cannot be applied to a 0-dim tensor.");
        }
        let dim = wrap_dim("slice", dim, shape.len())?;
        let (start, step, len) = infer::slice_range(start, stop, step, shape[dim])?;
        self.view_op(ViewOp::Slice { dim, start, step, len })
    }

    /// `len` indices of a dim from `start` on.
    pub fn narrow(&self, dim: isize, start: isize, len: isize) -> Result<Tensor> {
        let shape = self.shape();
        if shape.is_empty() {
            fail!(runtime, "narrow() cannot be applied to a 0-dim tensor.");
        }
        let dim = wrap_dim("narrow", dim, shape.len())?;
        let (start, len) = infer::narrow_range("narrow", start, len, shape[dim])?;
        self.view_op(ViewOp::Slice { dim, start, step: 1, len })
    }

    /// The diagonal of two dims, as a last dim.
    pub fn diagonal(&self, offset: isize, dim1: isize, dim2: isize) -> Result<Tensor> {
        let rank = self.rank();
        let (dim1, dim2) = (wrap_dim("diagonal", dim1, rank)?, wrap_dim("diagonal", dim2, rank)?);
        if dim1 == dim2 {
            fail!(runtime, "diagonal dimensions cannot be identical {dim1}, {dim2}");
        }
        self.view_op(ViewOp::Diagonal { offset, dim1, dim2 })
    }

    /// Shape, strides and offset outright, over the storage.
    pub fn as_strided(&self, shape: &[isize], strides: &[isize], offset: Option<isize>) -> Result<Tensor> {
        if shape.len() != strides.len() {
            fail!(
                runtime,
                "mismatch in length of strides and shape: as_strided() got {} sizes and {} strides",
                shape.len(),
                strides.len()
            );
        }
        if let Some(n) = shape.iter().find(|n| **n < 0) {
            fail!(runtime, "as_strided: sizes must not be negative, got {n} in {shape:?}");
        }
        if offset.is_some_and(|o| o < 0) {
            fail!(runtime, "as_strided: Tensor: invalid storage offset {}", offset.unwrap_or(0));
        }
        let offset = offset.map_or_else(|| self.layout().offset(), |o| o as usize);
        let shape = shape.iter().map(|&n| n as usize).collect();
        self.view_op(ViewOp::AsStrided { shape, strides: Strides::from_slice(strides), offset })
    }

    /// Windows of a dim, as a last dim.
    pub fn unfold(&self, dim: isize, size: isize, step: isize) -> Result<Tensor> {
        self.view_made(|layout| {
            let dim = layout.dim("unfold", dim)?;
            infer::unfold_count(dim, layout.shape().get(dim).copied().unwrap_or(1), size, step)?;
            Ok(ViewOp::Unfold { dim, size: size as usize, step: step as usize })
        })
    }

    /// One view per index of a dim.
    pub fn unbind(&self, dim: isize) -> Result<Vec<Tensor>> {
        let shape = self.shape();
        if shape.is_empty() {
            fail!(index, "Dimension specified as {dim} but tensor has no dimensions");
        }
        let dim = wrap_dim("unbind", dim, shape.len())?;
        check_parts("unbind", shape[dim])?;
        views::views(self, (0..shape[dim]).map(|index| ViewOp::Select { dim, index }))
    }

    /// Consecutive parts of a dim with the given sizes.
    pub fn split_sizes(&self, sizes: &[isize], dim: isize) -> Result<Vec<Tensor>> {
        let shape = self.shape();
        if shape.is_empty() {
            fail!(runtime, "split expects at least a 1-dimensional tensor");
        }
        let dim = wrap_dim("split", dim, shape.len())?;
        let fits = sizes.iter().all(|n| *n >= 0)
            && sizes.iter().try_fold(0usize, |a, &n| a.checked_add(n as usize)) == Some(shape[dim]);
        if !fits {
            fail!(
                runtime,
                "split_with_sizes expects split_sizes to sum exactly to {} (input tensor's size at dimension {dim}), but got \
                 split_sizes={sizes:?}",
                shape[dim]
            );
        }
        let mut at = 0;
        views::views(
            self,
            sizes.iter().map(|&n| {
                let start = at;
                at += n as usize;
                ViewOp::Slice { dim, start, step: 1, len: n as usize }
            }),
        )
    }

    /// Parts of `size` (the last may be smaller).
    pub fn split(&self, size: isize, dim: isize) -> Result<Vec<Tensor>> {
        let shape = self.shape();
        if shape.is_empty() {
            fail!(runtime, "split expects at least a 1-dimensional tensor");
        }
        let d = wrap_dim("split", dim, shape.len())?;
        if size < 0 {
            fail!(runtime, "split expects split_size be non-negative, but got split_size={size}");
        }
        if size == 0 && shape[d] != 0 {
            fail!(runtime, "split_size can only be 0 if dimension size is 0, but got dimension size of {}", shape[d]);
        }
        let (size, total) = (size as usize, shape[d]);
        let count = if size == 0 { 1 } else { total.div_ceil(size).max(1) };
        check_parts("split", count)?;
        views::views(
            self,
            (0..count).map(|i| {
                let start = i * size;
                ViewOp::Slice { dim: d, start, step: 1, len: size.min(total - start) }
            }),
        )
    }

    /// At most `n` parts of equal size.
    pub fn chunk(&self, n: isize, dim: isize) -> Result<Vec<Tensor>> {
        let shape = self.shape();
        if shape.is_empty() {
            fail!(runtime, "chunk expects at least a 1-dimensional tensor");
        }
        if n <= 0 {
            fail!(runtime, "chunk expects `chunks` to be greater than 0, got: {n}");
        }
        let d = wrap_dim("chunk", dim, shape.len())?;
        let size = shape[d].div_ceil(n as usize);
        if size == 0 {
            check_parts("chunk", n as usize)?;
            return self.split_sizes(&vec![0; n as usize], dim);
        }
        self.split(size as isize, dim)
    }

    /// Joins the dims `start..=end` into one.
    pub fn flatten(&self, start: isize, end: isize) -> Result<Tensor> {
        let shape = self.shape();
        let rank = shape.len();
        let (a, b) = (wrap_dim("flatten", start, rank)?, wrap_dim("flatten", end, rank)?);
        if a > b {
            fail!(runtime, "flatten() has invalid args: start_dim cannot come after end_dim");
        }
        if rank == 0 {
            return self.reshape_to(&[1]);
        }
        if a == b {
            return Ok(self.clone());
        }
        let mut target: Dims = SmallVec::from_slice(&shape[..a]);
        target.push(numel(&shape[a..=b]));
        target.extend_from_slice(&shape[b + 1..]);
        self.reshape_to(&target)
    }

    /// Moves dims to other places.
    pub fn movedim(&self, from: &[isize], to: &[isize]) -> Result<Tensor> {
        let rank = self.rank();
        if from.len() != to.len() {
            fail!(
                runtime,
                "movedim: Invalid source or destination dims: source ({from:?} dims) should contain the same number of dims as \
                 destination ({to:?} dims)"
            );
        }
        let wrap = |dims: &[isize]| dims.iter().map(|&d| wrap_dim("movedim", d, rank)).collect::<Result<Dims>>();
        let (from, to) = (wrap(from)?, wrap(to)?);
        for (name, dims) in [("source", &from), ("destination", &to)] {
            if (1..dims.len()).any(|i| dims[..i].contains(&dims[i])) {
                fail!(runtime, "movedim: repeated dim in `{name}` ({dims:?})");
            }
        }
        let mut order: SmallVec<[Option<usize>; 4]> = SmallVec::from_elem(None, rank);
        for (&f, &t) in from.iter().zip(&to) {
            if rank > 0 {
                order[t] = Some(f);
            }
        }
        let mut rest = (0..rank).filter(|d| !from.contains(d));
        let order: Dims = order.into_iter().map(|o| o.or_else(|| rest.next()).unwrap_or(0)).collect();
        self.view_op(ViewOp::Permute(order))
    }

    /// Sums over the dims in which `shape` was broadcast to this one.
    pub fn sum_to(&self, shape: &[usize]) -> Result<Tensor> {
        let mine = self.shape();
        if mine[..] == *shape {
            return Ok(self.clone());
        }
        if mine.len() < shape.len() {
            return self.expand_to(shape);
        }
        let lead = mine.len() - shape.len();
        let dims: SmallVec<[isize; 4]> = (0..mine.len())
            .filter(|&d| d < lead || (shape[d - lead] == 1 && mine[d] != 1))
            .map(|d| d as isize)
            .collect();
        let summed = if dims.is_empty() { self.clone() } else { self.sum(&dims, true)? };
        if lead > 0 {
            summed.reshape_to(shape)
        } else {
            Ok(summed)
        }
    }

    /// Zeros before and after each dim.
    pub fn pad(&self, amounts: &[(usize, usize)]) -> Result<Tensor> {
        apply1(Op::Pad(amounts.into()), &[self])
    }

    /// Joins along a dim; dtypes are promoted.
    pub fn cat(tensors: &[&Tensor], dim: isize) -> Result<Tensor> {
        if tensors.is_empty() {
            fail!(value, "torch.cat(): expected a non-empty list of Tensors");
        }
        let shapes: Vec<Dims> = tensors.iter().map(|t| t.shape()).collect();
        let refs: Vec<&[usize]> = shapes.iter().map(|s| &s[..]).collect();
        let (dim, _) = infer::cat_shape("cat", &refs, dim)?;
        let mut promotion = wengert_ops::Promotion::default();
        for t in tensors {
            promotion.tensor(t.dtype(), 1);
        }
        let dtype = promotion.result().unwrap_or(tensors[0].dtype());
        let same = tensors.iter().map(|t| t.to_dtype(dtype)).collect::<Result<Vec<_>>>()?;
        apply1(Op::Cat { dim: dim as u8 }, &same.iter().collect::<Vec<_>>())
    }

    /// Joins along a new dim.
    pub fn stack(tensors: &[&Tensor], dim: isize) -> Result<Tensor> {
        if tensors.is_empty() {
            fail!(runtime, "stack expects a non-empty TensorList");
        }
        let (mut values, needs) = taken(tensors);
        let (dim, shape) = {
            let shapes: SmallVec<[&[usize]; 16]> = values.iter().map(|v| v.layout.shape()).collect();
            infer::stack_shape("stack", &shapes, dim)?
        };
        let first = (values[0].dtype, values[0].device());
        if needs == 0 && values.iter().all(|v| (v.dtype, v.device()) == first) {
            // Off the tape no views are needed. Joined along the dim that the new one comes before, all lies as it
            // shall; there is none for numbers and behind the last dim.
            if dim + 1 == shape.len() {
                let lift = ViewOp::Unsqueeze(dim);
                values.iter_mut().try_for_each(|v| lift.apply(&v.layout).map(|l| v.layout = l))?;
            }
            let mut out = exec::run(&Op::Cat { dim: dim as u8 }, &values)?.swap_remove(0);
            out.layout = exec::known_layout(&shape)?;
            return Ok(Tensor::from_value(out));
        }
        let lifted = tensors.iter().map(|t| t.unsqueeze(dim as isize)).collect::<Result<Vec<_>>>()?;
        let out = Tensor::cat(&lifted.iter().collect::<Vec<_>>(), dim as isize)?;
        out.relabel("Stack");
        Ok(out)
    }

    /// Reverses dims, in a copy.
    pub fn flip(&self, dims: &[isize]) -> Result<Tensor> {
        let shape = self.shape();
        let mask = if dims.is_empty() { 0 } else { wengert_ops::layout::dim_mask("flip", dims, shape.len())? };
        if mask != 0 && self.device() == Device::Cpu {
            let base = Layout::contiguous(&shape);
            let (mut strides, mut start) = (Strides::from_slice(base.strides()), 0);
            for (d, &n) in shape.iter().enumerate().filter(|(d, _)| mask >> d & 1 == 1) {
                start += n.saturating_sub(1) * strides[d] as usize;
                strides[d] = -strides[d];
            }
            let part = Layout::strided(Dims::from_slice(&shape), strides, if base.numel() == 0 { 0 } else { start });
            let out = apply1(Op::Take(Arc::new(Region { base, part })), &[self])?;
            out.relabel("Flip");
            return Ok(out);
        }
        let mut out = self.clone();
        for (d, &n) in shape.iter().enumerate().filter(|(d, _)| mask >> d & 1 == 1) {
            out = out.index_select(
                d as isize,
                &Tensor::sequence(n, DType::I64, |i| (n - 1 - i) as i64)?.to_device(self.device())?,
            )?;
        }
        if mask == 0 {
            out = self.clone_()?;
        }
        Ok(out)
    }
}
