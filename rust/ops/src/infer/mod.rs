//! Shape and dtype inference: the one place that knows what an operation gives for what it takes,
//! shared by eager execution, tracing and the meta device. Errors carry PyTorch's words and kinds.
//!
//! [`infer`] answers for an [`Op`]. The other public functions resolve the *arguments* of the public
//! API (`-1` sizes, slices, broadcasts, window sizes) into the checked form that ops hold.
//! Nothing here panics, whatever the input.

mod attention;
mod fused;
mod indexing;
mod join;
mod linalg;
mod matmul;
mod name;
mod number;
mod reduce;
mod retype;
mod view;
mod window;

pub use attention::attention_batch;
pub use fused::{cross_entropy_shape, layer_norm_shapes, linear_shape};
pub use indexing::{
    broadcast_indices, check_gather, check_index_select, check_scatter, index_position, index_shape, put_shape,
    topk_shape,
};
pub use join::{cat_shape, pad_shape, stack_shape};
pub use linalg::{check_matrix, check_square};
pub use matmul::{batch_shape, check_same_dtype, matmul_shapes, MatmulShapes};
pub use name::{linalg_name, op_name, view_name, LINALG_NAMES, OP_NAMES, VIEW_NAMES};
pub use number::check_number;
pub use reduce::{check_nonempty, reduce_dtype, reduced_shape, sum_dtype};
pub use retype::retype;
pub use view::{
    expand_target, narrow_range, permute_order, reshape_target, select_index, slice_range, unfold_count, view_shape,
};
pub use window::{conv_output, conv_spec, pool_output, pool_spec};

use crate::dtype::{DType, Promotion, Scalar};
use crate::error::{Error, Result};
use crate::fail;
use crate::layout::{broadcast_shapes, checked_numel, Dims, MAX_RANK};
use crate::op::{Meta, Op};
use crate::rows::{Class, Row};
use smallvec::{smallvec, SmallVec};

/// Shapes and dtypes of an op's outputs, in order.
///
/// ```
/// use wengert_ops::{infer::infer, DType, Meta, Op};
/// let a = Meta::new(&[5, 2, 3], DType::F32);
/// let b = Meta::new(&[3, 4], DType::F32);
/// let out = infer(&Op::Matmul, &[a.clone(), b]).unwrap();
/// assert_eq!(&out[0].shape[..], &[5, 2, 4]);
/// let c = Meta::new(&[4, 5], DType::F32);
/// assert!(infer(&Op::Matmul, &[a, c]).unwrap_err().message().contains("(10x3 and 4x5)"));
/// ```
pub fn infer(op: &Op, inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    let name = op_name(op);
    for x in inputs {
        checked_numel(name, &x.shape)?;
    }
    let outputs = outputs_of(name, op, inputs)?;
    for y in &outputs {
        checked_numel(name, &y.shape)?;
    }
    Ok(outputs)
}

fn outputs_of(name: &str, op: &Op, inputs: &[Meta]) -> Result<SmallVec<[Meta; 2]>> {
    match op {
        // Scalar operands stand outside the op; dtypes are promoted already.
        Op::Row(row) => Ok(smallvec![row_meta(*row, inputs, &[], DType::F32)?]),
        Op::Cast(dtype) => {
            let [x] = exactly(name, inputs)?;
            one(x.shape.clone(), *dtype)
        }
        Op::To { .. } => {
            let [x] = exactly(name, inputs)?;
            one(x.shape.clone(), x.dtype)
        }
        Op::View(view) => {
            let [x] = exactly(name, inputs)?;
            one(view_shape(view, &x.shape)?, x.dtype)
        }
        Op::Pad(amounts) => {
            let [x] = exactly(name, inputs)?;
            one(pad_shape(name, &x.shape, amounts)?, x.dtype)
        }
        Op::Cat { dim } => join::cat(inputs, *dim as usize),
        Op::Reduce { kind, dims, keepdim } => reduce::reduce(*kind, inputs, *dims, *keepdim),
        Op::ArgReduce { kind, dim, keepdim } => reduce::arg_reduce(*kind, inputs, *dim, *keepdim),
        Op::Extreme { kind, dim, keepdim } => reduce::extreme(*kind, inputs, *dim, *keepdim),
        Op::Scan { kind, dim, .. } => reduce::scan(*kind, inputs, *dim),
        Op::Matmul => matmul::matmul(inputs),
        Op::Gather { dim } => indexing::gather(inputs, *dim as usize),
        Op::Scatter { dim, .. } => indexing::scatter(inputs, *dim as usize),
        Op::Index { dims } => indexing::index(inputs, *dims),
        Op::IndexPut { dims, .. } => indexing::index_put(inputs, *dims),
        Op::Sort { dim, .. } => indexing::sort(inputs, *dim as usize),
        Op::TopK { k, dim, .. } => indexing::topk(inputs, *k, *dim as usize),
        Op::Put(region) => join::put(region, inputs),
        Op::Take(region) => join::take(region, inputs),
        Op::Conv { role, spec } => window::conv(*role, spec, inputs),
        Op::MaxPool(spec) => window::max_pool(spec, inputs),
        Op::Softmax { dim, log } => fused::softmax(inputs, *dim as usize, *log),
        Op::Linear => fused::linear(inputs),
        &Op::LinearThen { row, keep } => fused::linear_then(inputs, row, keep),
        Op::CrossEntropy { reduction, .. } => fused::cross_entropy(inputs, *reduction),
        Op::VarMean { dims, keepdim, .. } => fused::var_mean(inputs, *dims, *keepdim),
        Op::LayerNorm { dims, .. } => fused::layer_norm(name, inputs, *dims as usize),
        Op::ChannelNorm { groups, .. } => fused::channel_norm(name, inputs, *groups as usize),
        Op::LstmCell => fused::lstm_cell(inputs),
        Op::Lstm { .. } => fused::lstm(inputs),
        &Op::Attention { keep_bits, .. } => attention::attention(f64::from_bits(keep_bits), inputs),
        Op::Linalg(kind) => linalg::linalg(*kind, inputs),
        Op::Custom(custom) => Ok(custom.infer(inputs)?.into_iter().collect()),
    }
}

/// An elementwise row over tensors that may still differ in shape and dtype, and Python scalars:
/// broadcast, promote, and let the row's class choose. `default_float` is what a float row makes of
/// integers. A select's condition is its first tensor and has no say in the dtype.
///
/// ```
/// use wengert_ops::{infer::row_meta, DType, Meta, Row};
/// let x = Meta::new(&[4, 1], DType::I32);
/// let y = row_meta(Row::Mul, &[x], &[1.5.into()], DType::F32).unwrap();
/// assert_eq!(y, Meta::new(&[4, 1], DType::F32));
/// ```
pub fn row_meta(row: Row, tensors: &[Meta], scalars: &[Scalar], default_float: DType) -> Result<Meta> {
    let (name, arity) = (row.name(), row.arity());
    if tensors.is_empty() || tensors.len() + scalars.len() > arity {
        fail!(type_, "{name}: expects {arity} inputs, but got {} tensors and {} scalars", tensors.len(), scalars.len());
    }
    let shapes: SmallVec<[&[usize]; 4]> = tensors.iter().map(|x| &x.shape[..]).collect();
    let shape = broadcast_shapes(name, &shapes)?;
    let class = row.info().class;
    let valued = match tensors {
        [condition, values @ ..] if class == Class::Select => {
            if condition.dtype != DType::Bool {
                fail!(
                    runtime,
                    "{name}: expected condition to be a boolean tensor, but got a tensor with dtype {}",
                    condition.dtype.scalar_name()
                );
            }
            values
        }
        all => all,
    };
    let mut promotion = Promotion::default();
    valued.iter().for_each(|x| promotion.tensor(x.dtype, x.shape.len()));
    scalars.iter().for_each(|&s| promotion.scalar(s, default_float));
    let promoted = promotion.result().unwrap_or(default_float);
    let (_, dtype) = class.result(promoted, default_float, row)?;
    Ok(Meta { shape, dtype })
}

/// The inputs as an array of the length the op takes.
fn exactly<'a, const N: usize>(op: &str, inputs: &'a [Meta]) -> Result<&'a [Meta; N]> {
    inputs.try_into().map_err(|_| {
        Error::type_(format!("{op}: expects {N} input{}, but got {}", if N == 1 { "" } else { "s" }, inputs.len()))
    })
}

fn one(shape: Dims, dtype: DType) -> Result<SmallVec<[Meta; 2]>> {
    Ok(smallvec![Meta { shape, dtype }])
}

/// A dimension that an op holds, against the input's rank; 0-d counts as 1-d, as in PyTorch.
fn check_dim(op: &str, dim: usize, rank: usize) -> Result<usize> {
    crate::layout::wrap_dim(op, dim.min(isize::MAX as usize) as isize, rank)
}

/// A set of dimensions must lie within the rank.
fn check_mask(op: &str, mask: u64, rank: usize) -> Result<()> {
    if rank < MAX_RANK && mask >> rank != 0 {
        let dim = u64::BITS - 1 - mask.leading_zeros();
        fail!(
            index,
            "{op}: Dimension out of range (expected to be in range of [-{r}, {}], but got {dim})",
            rank.max(1) - 1,
            r = rank.max(1)
        );
    }
    Ok(())
}

/// Whether `from` broadcasts to exactly `to`.
pub fn broadcasts_to(from: &[usize], to: &[usize]) -> bool {
    from.len() <= to.len() && from.iter().rev().zip(to.iter().rev()).all(|(&f, &t)| f == t || f == 1)
}

/// Sizes with `x` between, as in `2x3`.
fn times(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// A shape of any signs as PyTorch prints it.
fn list<T: std::fmt::Display>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(T::to_string).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::error::ErrorKind;

    pub fn f32s(shape: &[usize]) -> Meta {
        Meta::new(shape, DType::F32)
    }
    pub fn i64s(shape: &[usize]) -> Meta {
        Meta::new(shape, DType::I64)
    }
    pub fn shapes(op: &Op, inputs: &[Meta]) -> Vec<Vec<usize>> {
        infer(op, inputs).unwrap().iter().map(|m| m.shape.to_vec()).collect()
    }
    /// The op must be refused with this kind and these words.
    #[track_caller]
    pub fn refuses<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, words: &str) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(words), "{:?} lacks {words:?}", error.message());
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn casts_keep_shapes_and_count_inputs() {
        let out = infer(&Op::Cast(DType::F16), &[i64s(&[2, 0])]).unwrap();
        assert_eq!(out[0], Meta::new(&[2, 0], DType::F16));
        refuses(infer(&Op::Cast(DType::F16), &[]), ErrorKind::Type, "to: expects 1 input, but got 0");
    }

    #[test]
    fn impossible_inputs_are_refused_first() {
        let huge = Meta::new(&[usize::MAX, usize::MAX], DType::Bool);
        refuses(infer(&Op::Cast(DType::F16), &[huge]), ErrorKind::Runtime, "overflows");
        refuses(infer(&Op::Cast(DType::F16), &[f32s(&[1; 65])]), ErrorKind::Runtime, "65 dimensions");
    }

    #[test]
    fn rows_broadcast_and_promote() {
        let out = infer(&Op::Row(Row::Add), &[f32s(&[4, 1]), f32s(&[4])]).unwrap();
        assert_eq!(out[..], [f32s(&[4, 4])]);
        let lt = row_meta(Row::Lt, &[f32s(&[2]), i64s(&[])], &[], DType::F32).unwrap();
        assert_eq!(lt, Meta::new(&[2], DType::Bool));
        let sin = row_meta(Row::Sin, &[i64s(&[2])], &[], DType::F64).unwrap();
        assert_eq!(sin, Meta::new(&[2], DType::F64));
        let condition = Meta::new(&[2, 1], DType::Bool);
        let out = row_meta(Row::Where, &[condition, i64s(&[3])], &[Scalar::Int(1)], DType::F32).unwrap();
        assert_eq!(out, i64s(&[2, 3]));
        let not_bool = row_meta(Row::Where, &[f32s(&[2]), f32s(&[2]), f32s(&[2])], &[], DType::F32);
        refuses(not_bool, ErrorKind::Runtime, "condition to be a boolean tensor, but got a tensor with dtype Float");
        let words = "The size of tensor a (3) must match the size of tensor b (4)";
        refuses(infer(&Op::Row(Row::Add), &[f32s(&[3]), f32s(&[4])]), ErrorKind::Runtime, words);
        refuses(infer(&Op::Row(Row::Sin), &[f32s(&[3]), f32s(&[3])]), ErrorKind::Type, "sin: expects 1 inputs");
    }

    #[test]
    fn custom_ops_answer_for_themselves() {
        #[derive(Debug)]
        struct Twice;
        impl crate::op::CustomOp for Twice {
            fn name(&self) -> &str {
                "twice"
            }
            fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
                Ok(vec![inputs[0].clone(), inputs[0].clone()])
            }
            fn as_any(&self) -> &dyn std::any::Any {
                self
            }
        }
        assert_eq!(shapes(&Op::Custom(std::sync::Arc::new(Twice)), &[f32s(&[3])]), [[3], [3]]);
    }
}
