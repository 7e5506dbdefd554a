//! Reductions, extrema and running folds.

use super::{check_dim, check_mask, exactly, one};
use crate::dtype::DType;
use crate::error::Result;
use crate::fail;
use crate::layout::Dims;
use crate::op::{Extremum, Meta, Reduction, ScanKind};
use smallvec::{smallvec, SmallVec};

/// The dtype of `sum`, `prod`, `cumsum`, `cumprod`: integers and bool are counted in int64.
pub fn sum_dtype(dtype: DType) -> DType {
    if dtype.is_float() {
        dtype
    } else {
        DType::I64
    }
}

/// The dtype of a reduction of `dtype`. `any` and `all` give bool, of uint8 uint8 (as PyTorch does).
pub fn reduce_dtype(kind: Reduction, dtype: DType) -> DType {
    match kind {
        Reduction::Sum | Reduction::Prod => sum_dtype(dtype),
        Reduction::Max | Reduction::Min => dtype,
        Reduction::Any | Reduction::All if dtype == DType::U8 => DType::U8,
        Reduction::Any | Reduction::All => DType::Bool,
    }
}

/// `shape` without the dims of the mask, or with them as 1.
///
/// ```
/// use wengert_ops::infer::reduced_shape;
/// assert_eq!(&reduced_shape("sum", &[2, 3, 4], 0b101, false).unwrap()[..], &[3]);
/// assert_eq!(&reduced_shape("sum", &[2, 3, 4], 0b101, true).unwrap()[..], &[1, 3, 1]);
/// ```
pub fn reduced_shape(op: &str, shape: &[usize], mask: u64, keepdim: bool) -> Result<Dims> {
    check_mask(op, mask, shape.len())?;
    let folded = |d: usize| d < 64 && mask >> d & 1 == 1;
    Ok(shape
        .iter()
        .enumerate()
        .filter(|&(d, _)| keepdim || !folded(d))
        .map(|(d, &n)| if folded(d) { 1 } else { n })
        .collect())
}

/// An extremum of nothing does not exist: refuses reduced dims of size 0. `given` says whether the
/// user named the dims; PyTorch's words differ.
pub fn check_nonempty(op: &str, shape: &[usize], mask: u64, given: bool) -> Result<()> {
    if !given && shape.contains(&0) {
        let message = format!(
            "{op}(): Expected reduction dim to be specified for input.numel() == 0. \
             Specify the reduction dim with the 'dim' argument."
        );
        // PyTorch has an IndexError for the positions and a RuntimeError for the values.
        if op.starts_with("arg") {
            fail!(index, "{message}");
        }
        fail!(runtime, "{message}");
    }
    if let Some(dim) = (0..shape.len().min(64)).find(|&d| mask >> d & 1 == 1 && shape[d] == 0) {
        fail!(index, "{op}(): Expected reduction dim {dim} to have non-zero size.");
    }
    Ok(())
}

pub(super) fn reduce(kind: Reduction, inputs: &[Meta], dims: u64, keepdim: bool) -> Result<SmallVec<[Meta; 2]>> {
    let op = match kind {
        Reduction::Sum => "sum",
        Reduction::Prod => "prod",
        Reduction::Max => "amax",
        Reduction::Min => "amin",
        Reduction::Any => "any",
        Reduction::All => "all",
    };
    let [x] = exactly(op, inputs)?;
    let shape = reduced_shape(op, &x.shape, dims, keepdim)?;
    if matches!(kind, Reduction::Max | Reduction::Min) {
        check_nonempty(op, &x.shape, dims, true)?;
    }
    one(shape, reduce_dtype(kind, x.dtype))
}

pub(super) fn arg_reduce(
    kind: Extremum,
    inputs: &[Meta],
    dim: Option<u8>,
    keepdim: bool,
) -> Result<SmallVec<[Meta; 2]>> {
    let op = if kind == Extremum::Max { "argmax" } else { "argmin" };
    let [x] = exactly(op, inputs)?;
    let rank = x.shape.len();
    let mask = match dim {
        Some(dim) => one_dim(op, dim, rank)?,
        None if rank >= 64 => u64::MAX,
        None => (1 << rank) - 1,
    };
    check_nonempty(op, &x.shape, mask, dim.is_some())?;
    check_ordered(op, x.dtype)?;
    one(reduced_shape(op, &x.shape, mask, keepdim)?, DType::I64)
}

pub(super) fn extreme(kind: Extremum, inputs: &[Meta], dim: u8, keepdim: bool) -> Result<SmallVec<[Meta; 2]>> {
    let op = if kind == Extremum::Max { "max" } else { "min" };
    let [x] = exactly(op, inputs)?;
    let mask = one_dim(op, dim, x.shape.len())?;
    check_nonempty(op, &x.shape, mask, true)?;
    let shape = reduced_shape(op, &x.shape, mask, keepdim)?;
    Ok(smallvec![Meta { shape: shape.clone(), dtype: x.dtype }, Meta { shape, dtype: DType::I64 }])
}

pub(super) fn scan(kind: ScanKind, inputs: &[Meta], dim: u8) -> Result<SmallVec<[Meta; 2]>> {
    let op = if kind == ScanKind::Sum { "cumsum" } else { "cumprod" };
    let [x] = exactly(op, inputs)?;
    check_dim(op, dim as usize, x.shape.len())?;
    one(x.shape.clone(), sum_dtype(x.dtype))
}

/// A single dim as a mask; of a 0-d input nothing is folded.
fn one_dim(op: &str, dim: u8, rank: usize) -> Result<u64> {
    let dim = check_dim(op, dim as usize, rank)?;
    Ok(if rank == 0 { 0 } else { 1 << dim })
}

fn check_ordered(op: &str, dtype: DType) -> Result<()> {
    if dtype == DType::Bool {
        fail!(not_implemented, "\"{op}_cpu\" not implemented for 'Bool'; cast the input first, as in x.long()");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::infer;
    use super::super::testing::*;
    use super::*;
    use crate::error::ErrorKind::*;
    use crate::op::Op;

    #[test]
    fn dtypes_of_folds() {
        let of = |kind, dtype| {
            let op = Op::Reduce { kind, dims: 0b1, keepdim: false };
            infer(&op, &[Meta::new(&[3], dtype)]).unwrap()[0].dtype
        };
        assert_eq!(of(Reduction::Sum, DType::Bool), DType::I64);
        assert_eq!(of(Reduction::Prod, DType::I8), DType::I64);
        assert_eq!(of(Reduction::Sum, DType::F16), DType::F16);
        assert_eq!(of(Reduction::Max, DType::I8), DType::I8);
        assert_eq!(of(Reduction::Any, DType::F32), DType::Bool);
        assert_eq!(of(Reduction::All, DType::U8), DType::U8);
    }

    #[test]
    fn empty_extrema() {
        let amax = |dims| infer(&Op::Reduce { kind: Reduction::Max, dims, keepdim: false }, &[f32s(&[0, 3])]);
        refuses(amax(0b01), Index, "amax(): Expected reduction dim 0 to have non-zero size.");
        assert_eq!(&amax(0b10).unwrap()[0].shape[..], &[0]);
        refuses(amax(0b100), Index, "range of [-2, 1], but got 2");
        let argmax = |dim| infer(&Op::ArgReduce { kind: Extremum::Max, dim, keepdim: false }, &[f32s(&[0, 3])]);
        refuses(argmax(None), Index, "argmax(): Expected reduction dim to be specified for input.numel() == 0.");
        refuses(argmax(Some(0)), Index, "argmax(): Expected reduction dim 0 to have non-zero size.");
        assert_eq!(&argmax(Some(1)).unwrap()[0].shape[..], &[0]);
        refuses(check_nonempty("max", &[0], 1, false), Runtime, "max(): Expected reduction dim to be specified");
    }

    #[test]
    fn scalars_and_keepdim() {
        let op = Op::Extreme { kind: Extremum::Max, dim: 0, keepdim: true };
        assert_eq!(shapes(&op, &[f32s(&[])]), [[0usize; 0], []]);
        let op = Op::ArgReduce { kind: Extremum::Min, dim: None, keepdim: true };
        assert_eq!(shapes(&op, &[f32s(&[2, 3])]), [[1, 1]]);
        assert_eq!(shapes(&op, &[f32s(&[1; 64])]), [[1; 64]]);
        let op = Op::Scan { kind: ScanKind::Sum, dim: 1, reverse: false };
        assert_eq!(infer(&op, &[Meta::new(&[2, 3], DType::Bool)]).unwrap()[0], i64s(&[2, 3]));
        refuses(infer(&op, &[f32s(&[2])]), Index, "cumsum: Dimension out of range");
    }
}
