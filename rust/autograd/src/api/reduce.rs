//! Reductions and scans.

use crate::dispatch::{apply, apply1};
use crate::tensor::Tensor;
use wengert_ops::infer;
use wengert_ops::layout::{dim_mask, numel, wrap_dim};
use wengert_ops::{fail, DType, Dims, Extremum, Op, Reduction, Result, ScanKind};

impl Tensor {
    /// Folds dims (all if none are given).
    pub fn reduce(&self, kind: Reduction, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        let name = match kind {
            Reduction::Sum => "sum",
            Reduction::Prod => "prod",
            Reduction::Max => "amax",
            Reduction::Min => "amin",
            Reduction::Any => "any",
            Reduction::All => "all",
        };
        if dims.is_empty() && matches!(kind, Reduction::Max | Reduction::Min) {
            infer::check_nonempty(name, &self.shape(), 0, false)?;
        }
        let dims = dim_mask(name, dims, self.rank())?;
        apply1(Op::Reduce { kind, dims, keepdim }, &[self])
    }

    /// Sum over dims; integers give i64.
    ///
    /// ```
    /// let x = wengert::Tensor::from_f32(&[1.0, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
    /// assert_eq!(x.sum(&[0], false).unwrap().to_vec_f64().unwrap(), [4.0, 6.0]);
    /// ```
    pub fn sum(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        self.reduce(Reduction::Sum, dims, keepdim)
    }

    /// Product over dims.
    pub fn prod(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        self.reduce(Reduction::Prod, dims, keepdim)
    }

    /// Mean over dims, of floats.
    pub fn mean(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        if !self.dtype().is_float() {
            fail!(
                not_implemented,
                "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: {}",
                self.dtype().scalar_name()
            );
        }
        let shape = self.shape();
        let mask = dim_mask("mean", dims, shape.len())?;
        let folded: Dims = shape.iter().enumerate().filter(|(d, _)| mask >> d & 1 == 1).map(|(_, n)| *n).collect();
        let count = numel(&folded);
        let out = self.sum(dims, keepdim)?.div(count as f64)?;
        out.relabel("Mean");
        Ok(out)
    }

    /// Variance over dims, the squares' sum divided by the count less a `correction`, and the mean; of floats.
    pub fn var_mean(&self, dims: &[isize], correction: f64, keepdim: bool) -> Result<(Tensor, Tensor)> {
        let dims = dim_mask("var_mean", dims, self.rank())?;
        let mut out = apply(Op::VarMean { dims, keepdim, correction_bits: correction.to_bits() }, &[self])?;
        match (out.pop(), out.pop()) {
            (Some(mean), Some(variance)) => Ok((variance, mean)),
            _ => fail!(internal, "var_mean gave too few outputs"),
        }
    }

    /// Largest value over dims; equal ones share the gradient.
    pub fn amax(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        self.reduce(Reduction::Max, dims, keepdim)
    }

    /// Smallest value over dims; equal ones share the gradient.
    pub fn amin(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        self.reduce(Reduction::Min, dims, keepdim)
    }

    /// Whether any element is nonzero.
    pub fn any(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        self.reduce(Reduction::Any, dims, keepdim)
    }

    /// Whether all elements are nonzero.
    pub fn all(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        self.reduce(Reduction::All, dims, keepdim)
    }

    /// Values and positions of the extremum along a dim.
    pub fn extreme_dim(&self, kind: Extremum, dim: isize, keepdim: bool) -> Result<(Tensor, Tensor)> {
        let name = if kind == Extremum::Max { "max" } else { "min" };
        let dim = wrap_dim(name, dim, self.rank())? as u8;
        pair(apply(Op::Extreme { kind, dim, keepdim }, &[self])?)
    }

    /// `torch.max(x, dim)`.
    pub fn max_dim(&self, dim: isize, keepdim: bool) -> Result<(Tensor, Tensor)> {
        self.extreme_dim(Extremum::Max, dim, keepdim)
    }

    /// `torch.min(x, dim)`.
    pub fn min_dim(&self, dim: isize, keepdim: bool) -> Result<(Tensor, Tensor)> {
        self.extreme_dim(Extremum::Min, dim, keepdim)
    }

    /// Position of the first extremum, of the flattened tensor if no dim is given.
    pub fn arg_extreme(&self, kind: Extremum, dim: Option<isize>, keepdim: bool) -> Result<Tensor> {
        let name = if kind == Extremum::Max { "argmax" } else { "argmin" };
        if self.dtype() == DType::Bool {
            fail!(not_implemented, "\"{name}_cpu\" not implemented for 'Bool'");
        }
        let shape = self.shape();
        let dim = match dim {
            Some(d) => Some(wrap_dim(name, d, shape.len())? as u8),
            None => {
                if shape.contains(&0) {
                    fail!(index, "{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument.");
                }
                None
            }
        };
        apply1(Op::ArgReduce { kind, dim, keepdim }, &[self])
    }

    /// Position of the first maximum.
    pub fn argmax(&self, dim: Option<isize>, keepdim: bool) -> Result<Tensor> {
        self.arg_extreme(Extremum::Max, dim, keepdim)
    }

    /// Position of the first minimum.
    pub fn argmin(&self, dim: Option<isize>, keepdim: bool) -> Result<Tensor> {
        self.arg_extreme(Extremum::Min, dim, keepdim)
    }

    fn scan(&self, kind: ScanKind, dim: isize, reverse: bool) -> Result<Tensor> {
        let name = if kind == ScanKind::Sum { "cumsum" } else { "cumprod" };
        let dim = wrap_dim(name, dim, self.rank())? as u8;
        let dtype = infer::sum_dtype(self.dtype());
        apply1(Op::Scan { kind, dim, reverse }, &[&self.to_dtype(dtype)?])
    }

    /// Running sum along a dim.
    pub fn cumsum(&self, dim: isize) -> Result<Tensor> {
        self.scan(ScanKind::Sum, dim, false)
    }

    /// Running sum from the end.
    pub fn cumsum_rev(&self, dim: isize) -> Result<Tensor> {
        self.scan(ScanKind::Sum, dim, true)
    }

    /// Running product along a dim.
    pub fn cumprod(&self, dim: isize) -> Result<Tensor> {
        self.scan(ScanKind::Prod, dim, false)
    }

    /// Values and positions, sorted along a dim, stable.
    pub fn sort(&self, dim: isize, descending: bool) -> Result<(Tensor, Tensor)> {
        let dim = wrap_dim("sort", dim, self.rank())? as u8;
        pair(apply(Op::Sort { dim, descending }, &[self])?)
    }

    /// The `k` largest or smallest along a dim, in order.
    pub fn topk(&self, k: usize, dim: isize, largest: bool, sorted: bool) -> Result<(Tensor, Tensor)> {
        let dim = wrap_dim("topk", dim, self.rank())? as u8;
        pair(apply(Op::TopK { k, dim, largest, sorted }, &[self])?)
    }
}

pub(super) fn pair(mut out: smallvec::SmallVec<[Tensor; 2]>) -> Result<(Tensor, Tensor)> {
    match (out.pop(), out.pop()) {
        (Some(second), Some(first)) => Ok((first, second)),
        _ => fail!(internal, "an operation with two outputs gave fewer"),
    }
}
