//! The one `Op` type of the project: plain data, so that a list of them can be printed, replayed,
//! batched and compared.

use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::layout::{Dims, Layout};
use crate::rows::Row;
use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use crate::view::ViewOp;

/// An assignment's right-hand side. Scalar operands are not part of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// An elementwise row of the table over broadcast operands.
    Row(Row),
    /// Conversion of the element type.
    Cast(DType),
    /// A copy on another device.
    To { from: Device, to: Device },
    /// Another layout over the same elements.
    View(Arc<ViewOp>),
    /// Constant padding (never negative), per dimension (before, after), filled with zeros.
    Pad(Arc<[(usize, usize)]>),
    /// Joins along a dimension.
    Cat { dim: u8 },
    /// Folds the dims of a mask.
    Reduce { kind: Reduction, dims: u64, keepdim: bool },
    /// Variance over the dims of a mask, the squares' sum being divided by n − correction (by 0 where that is less), and
    /// the mean.
    VarMean { dims: u64, keepdim: bool, correction_bits: u64 },
    /// Position of the first extremum along one dim (of the flattened input if `dim` is `None`).
    ArgReduce { kind: Extremum, dim: Option<u8>, keepdim: bool },
    /// Extremum along one dim: values, and positions as i64.
    Extreme { kind: Extremum, dim: u8, keepdim: bool },
    /// Running fold along a dim.
    Scan { kind: ScanKind, dim: u8, reverse: bool },
    /// `[…, m, k] @ […, k, n]` over broadcast batch dims.
    Matmul,
    /// `out[i][j] = x[index[i][j]][j]` for dim 0 (`torch.gather`): inputs x, index.
    Gather { dim: u8 },
    /// `torch.scatter`: inputs x, index, src; writes or adds src into a copy of x.
    Scatter { dim: u8, mode: ScatterMode },
    /// Advanced indexing: inputs x, then one index tensor (i64, mutually broadcast) per set bit of `dims`.
    Index { dims: u64 },
    /// A copy of x with `values` put at advanced indices: inputs x, values, indices….
    IndexPut { dims: u64, accumulate: bool },
    /// Values and i64 positions, sorted along a dim; stable.
    Sort { dim: u8, descending: bool },
    /// Values and i64 positions of the k extreme elements along a dim.
    TopK { k: usize, dim: u8, largest: bool, sorted: bool },
    /// Base with the elements of a region replaced: inputs base, value.
    Put(Arc<Region>),
    /// The elements of a region of the base, as a tensor of the region's shape: a view of any depth.
    Take(Arc<Region>),
    /// Convolution and the two maps that are its transposes; bilinear, so they close under gradients.
    Conv { role: ConvRole, spec: Arc<ConvSpec> },
    /// Max over windows of the last dims: values, and i64 positions in the flattened window dims.
    MaxPool(Arc<PoolSpec>),
    /// Softmax or its logarithm along a dim.
    Softmax { dim: u8, log: bool },
    /// `x @ wᵀ + b`: inputs x `[…, k]`, w `[n, k]` and optionally b `[n]`.
    Linear,
    /// [`Linear`](Op::Linear) and of its sums a row of one input. Outputs that and, where they are kept, the sums.
    LinearThen { row: Row, keep: bool },
    /// Mean (or sum, or none) negative log-likelihood of softmax: inputs logits `[n, c]`, i64 targets `[n]`;
    /// outputs the loss and the log-softmax, which is all that the gradient needs.
    CrossEntropy { reduction: LossReduction, ignore_index: i64 },
    /// Normalisation over the trailing `dims` dims, times a weight plus a bias: inputs x and optionally these, of the
    /// trailing dims' shape; outputs y, mean, 1/std. Not `centred`, the mean counts as 0 (RMS norm).
    LayerNorm { dims: u8, centred: bool, eps_bits: u64 },
    /// Normalisation of channels (dim 1), over all other dims if `groups` is 0, else in so many groups of channels of each
    /// example, times a weight plus a bias: inputs x and optionally these, of one element a channel; outputs y, and the
    /// means and variances `[c]` or `[n, groups]`.
    ChannelNorm { groups: u32, eps_bits: u64 },
    /// The step of an LSTM from its gates: inputs the sums `[…, 4m]` that go into the input, forget, cell and output gates,
    /// and the cell's state c `[…, m]`. Outputs h and the new c, and the gates' values, all that the gradient needs.
    LstmCell,
    /// An LSTM over a sequence: inputs what the sequence gives to the gates `[t, n, 4m]`, the states h and c before `[n, m]`,
    /// and the weights `[4m, m]` by which h goes into the gates; `reverse`, from its end. Outputs h and c after each step
    /// `[t, n, m]`, and the gates' values.
    Lstm { reverse: bool },
    /// `softmax(q kᵀ · scale + mask) v` over leading dims that all inputs share: inputs q `[…, l, e]`, k `[…, s, e]`,
    /// v `[…, s, d]` and optionally the mask `[…, l, s]`, numbers to add; causal, query i sees keys 0 … i alone.
    /// Outputs y `[…, l, d]` and the logarithms of the softmax's denominators `[…, l]`; of a query that sees no key
    /// they are 0 and −∞. A weight is kept with the probability `keep`; below 1, the last input tells where random
    /// numbers begin for each [`STREAM_ROWS`] queries: i32 `[streams, n]`, what n numbers mean the device knows.
    Attention { causal: bool, scale_bits: u64, keep_bits: u64 },
    /// Matrix factorizations and solves.
    Linalg(Linalg),
    /// A user's own op.
    Custom(Arc<dyn CustomOp>),
}

/// Queries whose weights are dropped by one stream of random numbers.
pub const STREAM_ROWS: usize = 128;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reduction {
    Sum,
    Prod,
    Max,
    Min,
    Any,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Extremum {
    Max,
    Min,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScanKind {
    Sum,
    Prod,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScatterMode {
    Set,
    Add,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LossReduction {
    None,
    Mean,
    Sum,
}

/// A part of a base tensor, both as absolute layouts over one buffer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Region {
    pub base: Layout,
    pub part: Layout,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConvRole {
    /// inputs x `[n, c, …]`, w `[o, c/groups, …]` → y `[n, o, …]`
    Forward,
    /// inputs gy, w → gx
    Input,
    /// inputs gy, x → gw
    Weight,
}

/// Geometry of a convolution over the trailing `stride.len()` dims.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ConvSpec {
    pub stride: Dims,
    pub padding: Dims,
    pub dilation: Dims,
    pub groups: usize,
    /// Full shapes of x and w: the transposed maps need them.
    pub x_shape: Dims,
    pub w_shape: Dims,
}

/// Geometry of a pooling window over the trailing `kernel.len()` dims.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PoolSpec {
    pub kernel: Dims,
    pub stride: Dims,
    pub padding: Dims,
    pub dilation: Dims,
    pub ceil_mode: bool,
}

/// All take batches of matrices in the last two dims.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Linalg {
    /// a → l, lower (or u with `upper`)
    Cholesky { upper: bool },
    /// a → q, r; `complete` gives the square q
    Qr { complete: bool },
    /// symmetric a (one triangle is read) → eigenvalues ascending, eigenvectors in columns
    Eigh { upper: bool },
    /// a → u, s descending, vᵀ
    Svd { full: bool },
    /// a `[…, n, n]`, b `[…, n, k]` → x with a x = b
    Solve,
    /// triangular a, b → x with a x = b
    SolveTriangular { upper: bool, unit: bool },
    /// a → sign `[…]`, log|det a| `[…]`
    SlogDet,
    /// a → det a `[…]`
    Det,
    /// a → a⁻¹
    Inverse,
}

/// Shape, dtype and layout-free description of a value: what inference works on.
#[derive(Clone, PartialEq, Debug)]
pub struct Meta {
    pub shape: Dims,
    pub dtype: DType,
}

impl Meta {
    pub fn new(shape: &[usize], dtype: DType) -> Meta {
        Meta { shape: Dims::from_slice(shape), dtype }
    }
}

/// The open door: an op that a user of the library defines. The autograd crate extends this trait
/// with evaluation and differentiation over its tensors.
pub trait CustomOp: Send + Sync + fmt::Debug {
    /// Name, as it appears in `grad_fn` and in traces.
    fn name(&self) -> &str;
    /// Shapes and dtypes of the outputs.
    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>>;
    /// For downcasting to the crate that evaluates it.
    fn as_any(&self) -> &dyn Any;
}

impl PartialEq for dyn CustomOp {
    fn eq(&self, other: &dyn CustomOp) -> bool {
        std::ptr::addr_eq(self, other)
    }
}
impl Eq for dyn CustomOp {}
impl Hash for dyn CustomOp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as *const dyn CustomOp as *const ()).hash(state)
    }
}
