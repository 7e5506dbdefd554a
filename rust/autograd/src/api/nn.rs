//! Fused primitives of neural networks.

use crate::buffer::Device;
use crate::dispatch::{apply, apply1, Arg};
use crate::lock::lock;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::sync::Arc;
use wengert_ops::infer;
use wengert_ops::layout::{numel, wrap_dim};
use wengert_ops::{fail, ConvRole, DType, LossReduction, Meta, Op, Result, Row, ViewOp};

/// Whether a weight `[n, k]` goes with a bias `[n]`.
fn ordinary(w: &Tensor, b: &Tensor) -> bool {
    let guard = lock();
    let (w, b) = (w.0.state.get(&guard.key).layout.shape(), b.0.state.get(&guard.key).layout.shape());
    w.len() == 2 && b == &w[..1]
}

impl Tensor {
    /// `self @ wᵀ + b`; the bias is of shape `[n]`, or broadcasts to the result.
    pub fn linear(&self, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
        if let Some(b) = b.filter(|b| ordinary(w, b)) {
            return apply1(Op::Linear, &[self, w, b]);
        }
        if w.rank() == 1 {
            // A vector of weights drops the last dim, as PyTorch allows.
            if b.is_some() {
                fail!(
                    runtime,
                    "linear: mat2 must be a matrix, got 1-D tensor; a weight of shape {:?} goes without bias",
                    &w.shape()[..]
                );
            }
            return self.matmul(w);
        }
        match b {
            // As one row, so that a bias of one row fits.
            Some(b) if w.rank() == 2 && self.rank() == 1 && b.shape()[..] != w.shape()[..1] => {
                self.view_op(ViewOp::Unsqueeze(0))?.linear(w, Some(b))?.view_op(ViewOp::Squeeze(1))
            }
            Some(b) if w.rank() == 2 && b.shape()[..] != w.shape()[..1] => {
                let out = apply1(Op::Linear, &[self, w])?;
                infer::check_same_dtype("linear", out.dtype(), b.dtype())?;
                let sum = out.add(&b.expand_to(&out.shape()).map_err(|e| e.context("linear"))?)?;
                sum.relabel("Addmm");
                Ok(sum)
            }
            Some(b) => apply1(Op::Linear, &[self, w, b]),
            None => apply1(Op::Linear, &[self, w]),
        }
    }

    /// `row(self @ wᵀ + b)` in one call: a row of one input.
    pub fn linear_then(&self, w: &Tensor, b: Option<&Tensor>, row: Row) -> Result<Tensor> {
        if w.rank() != 2 || !self.dtype().is_float() || b.is_some_and(|b| !ordinary(w, b)) {
            return crate::dispatch::row(row, &[Arg::Tensor(&self.linear(w, b)?)]);
        }
        let inputs: SmallVec<[&Tensor; 3]> = [self, w].into_iter().chain(b).collect();
        let taped = crate::mode::is_grad_enabled() && inputs.iter().any(|t| t.requires_grad());
        // What the row's partial reads of its input.
        let keep = taped && row.kept(1).inputs != 0;
        Ok(apply(Op::LinearThen { row, keep }, &inputs)?.swap_remove(0))
    }

    /// An LSTM's step from the sums `[…, 4m]` that go into its gates and the state c `[…, m]`: h and the new c.
    pub fn lstm_cell(&self, c: &Tensor) -> Result<(Tensor, Tensor)> {
        let mut out = apply(Op::LstmCell, &[self, c])?;
        let next = out.swap_remove(1);
        Ok((out.swap_remove(0), next))
    }

    /// An LSTM over a sequence, from what the sequence gives to the gates `[t, n, 4m]`, the states before `[n, m]` and the
    /// weights of h `[4m, m]`; `reverse`, from its end. h and c after each step, `[t, n, m]`.
    pub fn lstm(&self, h: &Tensor, c: &Tensor, w: &Tensor, reverse: bool) -> Result<(Tensor, Tensor)> {
        let mut out = apply(Op::Lstm { reverse }, &[self, h, c, w])?;
        let cs = out.swap_remove(1);
        Ok((out.swap_remove(0), cs))
    }

    /// Softmax along a dim.
    pub fn softmax(&self, dim: isize) -> Result<Tensor> {
        let dim = wrap_dim("softmax", dim, self.rank())? as u8;
        apply1(Op::Softmax { dim, log: false }, &[self])
    }

    /// Logarithm of softmax along a dim.
    pub fn log_softmax(&self, dim: isize) -> Result<Tensor> {
        let dim = wrap_dim("log_softmax", dim, self.rank())? as u8;
        apply1(Op::Softmax { dim, log: true }, &[self])
    }

    /// Cross-entropy of logits `[n, c]` against class numbers `[n]`, int64 or uint8.
    pub fn cross_entropy(&self, target: &Tensor, reduction: LossReduction, ignore_index: i64) -> Result<Tensor> {
        let wide;
        let target = match target.dtype() {
            DType::U8 => {
                wide = target.to_dtype(DType::I64)?;
                &wide
            }
            _ => target,
        };
        apply1(Op::CrossEntropy { reduction, ignore_index }, &[self, target])
    }

    /// Normalised over the trailing `dims` dims, times a weight plus a bias where they are given: of these dims' shape
    /// and of this dtype.
    pub fn layer_norm(&self, dims: usize, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f64) -> Result<Tensor> {
        if dims == 0 || dims > self.rank() {
            fail!(
                runtime,
                "layer_norm: the normalized shape must name 1 to {} trailing dimensions of the input, got {dims}",
                self.rank()
            );
        }
        let op = Op::LayerNorm { dims: dims as u8, centred: true, eps_bits: eps.to_bits() };
        let norm = |inputs: &[&Tensor]| apply1(op.clone(), inputs);
        match (weight, bias) {
            (None, None) => norm(&[self]),
            (Some(w), None) => norm(&[self, w]),
            (Some(w), Some(b)) => norm(&[self, w, b]),
            (None, Some(b)) => norm(&[self])?.add(b),
        }
    }

    /// Divided by the root of the mean square over the trailing `dims` dims, times a weight of these dims' shape and of
    /// this dtype.
    pub fn rms_norm(&self, dims: usize, weight: Option<&Tensor>, eps: f64) -> Result<Tensor> {
        let op = Op::LayerNorm { dims: dims as u8, centred: false, eps_bits: eps.to_bits() };
        let inputs: SmallVec<[&Tensor; 2]> = [Some(self), weight].into_iter().flatten().collect();
        apply1(op, &inputs)
    }

    /// Normalised by channels (dim 1): over all other dims if `groups` is 0, else in so many groups of channels of each
    /// example; times a weight plus a bias of one element a channel, of this dtype. Also the means and variances, `[c]`
    /// or `[n, groups]`.
    pub fn channel_norm(
        &self,
        groups: u32,
        affine: Option<(&Tensor, &Tensor)>,
        eps: f64,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let op = Op::ChannelNorm { groups, eps_bits: eps.to_bits() };
        let (w, b) = affine.unzip();
        let inputs: SmallVec<[&Tensor; 3]> = [Some(self), w, b].into_iter().flatten().collect();
        let shape = self.shape();
        // The kernel goes from run to run of a channel's elements: they must not be too short.
        let long = shape.get(2..).is_some_and(|rest| numel(rest) >= 16);
        let fused = long && self.device() == Device::Cpu && matches!(self.dtype(), DType::F32 | DType::F64);
        let mut outputs = if fused {
            apply(op, &inputs)?.into_vec()
        } else {
            let metas: Vec<_> = inputs.iter().map(|t| Meta::new(&t.shape(), t.dtype())).collect();
            infer::infer(&op, &metas)?;
            crate::rules::definition(&op, &inputs)?
        };
        match (outputs.pop(), outputs.pop(), outputs.pop()) {
            (Some(variance), Some(mean), Some(y)) => Ok((y, mean, variance)),
            _ => fail!(internal, "channel_norm gave too few outputs"),
        }
    }

    /// Convolution over the trailing dims, one per entry of `stride`.
    #[allow(clippy::too_many_arguments)]
    pub fn conv(
        &self,
        name: &str,
        w: &Tensor,
        b: Option<&Tensor>,
        stride: &[isize],
        padding: &[isize],
        dilation: &[isize],
        groups: isize,
    ) -> Result<Tensor> {
        let spec = infer::conv_spec(name, &self.shape(), &w.shape(), stride, padding, dilation, groups)?;
        infer::check_same_dtype(name, self.dtype(), w.dtype())?;
        let spatial = spec.stride.len();
        let out = apply1(Op::Conv { role: ConvRole::Forward, spec: Arc::new(spec) }, &[self, w])?;
        let Some(b) = b else { return Ok(out) };
        if b.dtype() != self.dtype() {
            fail!(
                runtime,
                "{name}: Input type ({}) and bias type ({}) should be the same; cast one of them with .to()",
                self.dtype(),
                b.dtype()
            );
        }
        if b.rank() != 1 || b.numel() != w.shape()[0] {
            fail!(
                runtime,
                "{name}: Given weight of size {:?}, expected bias to be 1-dimensional with {} elements, but got bias of size {:?} instead",
                &w.shape()[..],
                w.shape()[0],
                &b.shape()[..]
            );
        }
        let mut shape = vec![1usize; spatial + 1];
        shape[0] = b.numel();
        let out = out.add(&b.reshape_to(&shape)?)?;
        out.relabel("Convolution");
        Ok(out)
    }

    /// The transpose of [`Tensor::conv`]: from what that gives to an input whose trailing dims have these `sizes`.
    #[allow(clippy::too_many_arguments)]
    pub fn conv_transpose(
        &self,
        name: &str,
        w: &Tensor,
        sizes: &[usize],
        stride: &[isize],
        padding: &[isize],
        dilation: &[isize],
        groups: isize,
    ) -> Result<Tensor> {
        let (batch, channels) = (self.shape().first().copied().unwrap_or(1), w.shape().get(1).copied().unwrap_or(1));
        let mut shape = vec![batch, channels * groups.max(0) as usize];
        shape.extend_from_slice(sizes);
        let spec = infer::conv_spec(name, &shape, &w.shape(), stride, padding, dilation, groups)?;
        infer::check_same_dtype(name, self.dtype(), w.dtype())?;
        let out = apply1(Op::Conv { role: ConvRole::Input, spec: Arc::new(spec) }, &[self, w])?;
        out.relabel("Convolution");
        Ok(out)
    }

    /// Max over windows of the trailing dims, and positions in the flattened input window dims.
    #[allow(clippy::too_many_arguments)]
    pub fn max_pool(
        &self,
        name: &str,
        dims: usize,
        kernel: &[isize],
        stride: &[isize],
        padding: &[isize],
        dilation: &[isize],
        ceil_mode: bool,
    ) -> Result<(Tensor, Tensor)> {
        let spec = infer::pool_spec(name, dims, kernel, stride, padding, dilation, ceil_mode)?;
        infer::infer(&Op::MaxPool(Arc::new(spec.clone())), &[Meta::new(&self.shape(), self.dtype())])?;
        super::reduce::pair(apply(Op::MaxPool(Arc::new(spec)), &[self])?)
    }
}
