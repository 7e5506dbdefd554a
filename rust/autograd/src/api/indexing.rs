//! Reading and writing by index tensors.

use crate::devices::Devices;
use crate::dispatch::apply1;
use crate::tensor::Tensor;
use crate::value::Value;
use wengert_ops::infer;
use wengert_ops::layout::wrap_dim;
use wengert_ops::{fail, DType, Layout, Meta, Op, Result, ScatterMode};

impl Tensor {
    /// `out[i][j] = self[index[i][j]][j]` for dim 0.
    pub fn gather(&self, dim: isize, index: &Tensor) -> Result<Tensor> {
        let dim = wrap_dim("gather", dim, self.rank())? as u8;
        apply1(Op::Gather { dim }, &[self, index])
    }

    /// A copy with `src` written (or added) at the places `gather` would read.
    pub fn scatter(&self, mode: ScatterMode, dim: isize, index: &Tensor, src: &Tensor) -> Result<Tensor> {
        let dim = wrap_dim("scatter", dim, self.rank())? as u8;
        apply1(Op::Scatter { dim, mode }, &[self, index, src])
    }

    /// Advanced indexing over the dims of a mask.
    pub fn index(&self, dims: u64, indices: &[&Tensor]) -> Result<Tensor> {
        let mut inputs = vec![self];
        inputs.extend_from_slice(indices);
        apply1(Op::Index { dims }, &inputs)
    }

    /// A copy with `values` put (or added) at advanced indices.
    pub fn index_put(&self, dims: u64, indices: &[&Tensor], values: &Tensor, accumulate: bool) -> Result<Tensor> {
        let mut inputs = vec![self, values];
        inputs.extend_from_slice(indices);
        apply1(Op::IndexPut { dims, accumulate }, &inputs)
    }

    /// Whole slices of a dim, by a vector of positions.
    pub fn index_select(&self, dim: isize, index: &Tensor) -> Result<Tensor> {
        let shape = self.shape();
        let dim = wrap_dim("index_select", dim, shape.len())?;
        infer::check_index_select(dim, &shape, &Meta::new(&index.shape(), index.dtype()))?;
        let index = index.to_dtype(DType::I64)?;
        if shape.is_empty() {
            if index.numel() != 1 {
                fail!(runtime, "index_select(): Index to scalar can have only 1 value, got {} value(s)", index.numel());
            }
            let one = self.reshape_to(&[1])?.index(1, &[&index.reshape_to(&[index.numel()])?])?;
            return one.reshape_to(&[]);
        }
        let index = if index.rank() == 0 { index.reshape_to(&[1])? } else { index };
        let out = self.index(1 << dim, &[&index])?;
        out.relabel("IndexSelect");
        Ok(out)
    }

    /// Coordinates of the nonzero elements, `[count, rank]`.
    pub fn nonzero(&self) -> Result<Tensor> {
        let value = self.value();
        let (data, count) = Devices.nonzero(value.view()?)?;
        let buffer = crate::buffer::Buffer::wrap(data);
        let layout = Layout::contiguous(&[count, value.layout.rank()]);
        Ok(Tensor::from_value(Value { buffer, layout, dtype: DType::I64 }))
    }

    /// Zeros above the `k`-th diagonal.
    pub fn tril(&self, k: isize) -> Result<Tensor> {
        self.triangle(k, true)
    }

    /// Zeros below the `k`-th diagonal.
    pub fn triu(&self, k: isize) -> Result<Tensor> {
        self.triangle(k, false)
    }

    fn triangle(&self, k: isize, lower: bool) -> Result<Tensor> {
        let shape = self.shape();
        let name = if lower { "tril" } else { "triu" };
        if shape.len() < 2 {
            fail!(runtime, "{name}: input tensor must have at least 2 dimensions, got shape {:?}", &shape[..]);
        }
        let (rows, cols) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        let mask = Tensor::written(&[rows, cols], |mask: &mut [u8]| {
            for (i, row) in mask.chunks_exact_mut(cols.max(1)).enumerate() {
                // The first column beyond the diagonal of this row.
                let end = (i as isize).saturating_add(k).saturating_add(if lower { 1 } else { 0 });
                let (left, right) = row.split_at_mut(end.clamp(0, cols as isize) as usize);
                left.fill(lower as u8);
                right.fill(!lower as u8);
            }
        })?;
        let mask = Tensor::from_value(Value { dtype: DType::Bool, ..mask.value() }).to_device(self.device())?;
        let zero =
            if self.dtype().is_float() { wengert_ops::Scalar::Float(0.0) } else { wengert_ops::Scalar::Bool(false) };
        let out = mask.where_(self, zero)?;
        out.relabel(if lower { "Tril" } else { "Triu" });
        Ok(out)
    }
}
