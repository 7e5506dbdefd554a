//! What an accelerator implements. No method has a default: a missing kernel is a compile error.
//!
//! Everything here works on values without history. Outputs are allocated by the caller.

use crate::dtype::{Compute, DType, Scalar};
use crate::error::Result;
use crate::layout::Layout;
use crate::op::{ConvRole, ConvSpec, Extremum, Linalg, Op, PoolSpec, Reduction, ScanKind, ScatterMode};
use crate::rows::Row;

/// A readable array: elements of `buffer` under `layout`.
#[derive(Debug)]
pub struct View<'a, B> {
    pub buffer: &'a B,
    pub layout: &'a Layout,
    pub dtype: DType,
}

impl<B> Clone for View<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B> Copy for View<'_, B> {}

/// A writable array. Buffers have interior mutability, so exclusivity is a promise made once, here.
#[derive(Debug)]
pub struct ViewMut<'a, B> {
    buffer: &'a B,
    layout: &'a Layout,
    dtype: DType,
}

impl<'a, B> ViewMut<'a, B> {
    /// # Safety
    /// While the result lives, no other thread reads or writes the layout's elements, and within the
    /// call it is passed to, inputs that share the buffer either have this very layout and dtype or
    /// do not overlap it. The layout must not overlap itself and must lie within the buffer.
    pub unsafe fn new(buffer: &'a B, layout: &'a Layout, dtype: DType) -> Self {
        ViewMut { buffer, layout, dtype }
    }
    pub fn buffer(&self) -> &'a B {
        self.buffer
    }
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }
    pub fn dtype(&self) -> DType {
        self.dtype
    }
    /// The same elements, readable, between writes of one call.
    pub fn as_view(&self) -> View<'a, B> {
        View { buffer: self.buffer, layout: self.layout, dtype: self.dtype }
    }
}

/// An operand of an elementwise kernel.
#[derive(Debug)]
pub enum Operand<'a, B> {
    Array(View<'a, B>),
    Scalar(Scalar),
}

impl<B> Clone for Operand<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B> Copy for Operand<'_, B> {}

/// Distributions that follow torch's CPU generator number by number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Random {
    /// In `[from, to)`.
    Uniform {
        from: f64,
        to: f64,
    },
    Normal {
        mean: f64,
        std: f64,
    },
    /// Integers in `[low, high)`.
    Integers {
        low: i64,
        high: i64,
    },
    Bernoulli {
        p: f64,
    },
    Exponential {
        lambda: f64,
    },
}

/// A device's kernels. `Buffer` is a block of bytes; every array argument of one call lives on it.
pub trait Backend: Send + Sync + 'static {
    type Buffer: Send + Sync;
    /// State of a random stream (mt19937 on the CPU).
    type Generator: Send;

    /// A buffer of at least `bytes` bytes. Contents are unspecified but initialised.
    fn allocate(&self, bytes: usize) -> Result<Self::Buffer>;
    fn upload(&self, bytes: &[u8]) -> Result<Self::Buffer>;
    /// Copies `out.len()` bytes from the start of the buffer plus `offset` bytes.
    fn download(&self, buffer: &Self::Buffer, offset: usize, out: &mut [u8]) -> Result<()>;
    /// Elementwise copy with conversion; `src` has the shape of `dst` (expand it first).
    fn copy(&self, src: View<'_, Self::Buffer>, dst: ViewMut<'_, Self::Buffer>) -> Result<()>;
    /// Fills with a scalar.
    fn fill(&self, value: Scalar, dst: ViewMut<'_, Self::Buffer>) -> Result<()>;

    /// `out = row(inputs…)`, computed in `compute`, operands converted on the way in and out.
    /// Array operands have the output's shape (expanded); the output may be one of the inputs.
    fn elementwise(
        &self,
        row: Row,
        compute: Compute,
        inputs: &[Operand<'_, Self::Buffer>],
        out: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;
    /// `out = g * ∂row/∂inputs[which]`. `y` is the row's value; unneeded inputs and `y` may be any scalar.
    #[allow(clippy::too_many_arguments)]
    fn elementwise_vjp(
        &self,
        row: Row,
        which: usize,
        compute: Compute,
        inputs: &[Operand<'_, Self::Buffer>],
        y: Operand<'_, Self::Buffer>,
        g: Operand<'_, Self::Buffer>,
        out: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;

    /// Folds the dims of the mask; `out` is contiguous, with or without the kept dims of size 1.
    fn reduce(
        &self,
        kind: Reduction,
        x: View<'_, Self::Buffer>,
        dims: u64,
        out: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;
    /// Extremum along `dim`; either output may be absent. Positions are i64; NaN wins; the first of equals.
    fn extreme(
        &self,
        kind: Extremum,
        x: View<'_, Self::Buffer>,
        dim: usize,
        values: Option<ViewMut<'_, Self::Buffer>>,
        indices: Option<ViewMut<'_, Self::Buffer>>,
    ) -> Result<()>;
    fn scan(
        &self,
        kind: ScanKind,
        x: View<'_, Self::Buffer>,
        dim: usize,
        reverse: bool,
        out: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;
    /// `out = a @ b (+ out if accumulate)`: all of one dtype and one rank ≥ 2, batch dims expanded, any strides
    /// for a and b, contiguous `out`.
    fn matmul(
        &self,
        a: View<'_, Self::Buffer>,
        b: View<'_, Self::Buffer>,
        accumulate: bool,
        out: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;
    /// `torch.gather`; indices are i64 and checked here, perhaps as it goes: after an error `out` holds anything.
    fn gather(
        &self,
        x: View<'_, Self::Buffer>,
        dim: usize,
        index: View<'_, Self::Buffer>,
        out: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;
    /// `torch.scatter_` into `out`, which holds the base already.
    fn scatter(
        &self,
        mode: ScatterMode,
        dim: usize,
        index: View<'_, Self::Buffer>,
        src: View<'_, Self::Buffer>,
        out: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;
    /// Advanced indexing. `indices[d]` belongs to the d-th set bit of `dims`; all share one shape (expanded).
    /// The indexed dims' result stands where the first of them stood if they are adjacent, else in front.
    /// Negative indices count from the end.
    fn index(
        &self,
        x: View<'_, Self::Buffer>,
        dims: u64,
        indices: &[View<'_, Self::Buffer>],
        out: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;
    /// The reverse: writes (or adds) `values`, of the shape `index` would give, into `out`, which holds the base.
    fn index_put(
        &self,
        dims: u64,
        indices: &[View<'_, Self::Buffer>],
        values: View<'_, Self::Buffer>,
        accumulate: bool,
        out: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;
    /// Coordinates of the nonzero elements, row-major, as i64 `[count, rank]` bytes in a fresh buffer, and the count.
    fn nonzero(&self, x: View<'_, Self::Buffer>) -> Result<(Self::Buffer, usize)>;
    /// Stable sort along `dim`, NaN last (first when descending); only the first `k` positions are written.
    fn sort(
        &self,
        x: View<'_, Self::Buffer>,
        dim: usize,
        descending: bool,
        values: ViewMut<'_, Self::Buffer>,
        indices: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;
    fn conv(
        &self,
        role: ConvRole,
        spec: &ConvSpec,
        a: View<'_, Self::Buffer>,
        b: View<'_, Self::Buffer>,
        out: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;
    fn max_pool(
        &self,
        spec: &PoolSpec,
        x: View<'_, Self::Buffer>,
        values: ViewMut<'_, Self::Buffer>,
        indices: ViewMut<'_, Self::Buffer>,
    ) -> Result<()>;
    /// Batched matrix routines; outputs in the order [`Linalg`] documents, contiguous, f32 or f64.
    fn linalg(
        &self,
        op: Linalg,
        inputs: &[View<'_, Self::Buffer>],
        outputs: &[ViewMut<'_, Self::Buffer>],
    ) -> Result<()>;

    /// Fills with random numbers.
    fn random(&self, generator: &mut Self::Generator, law: Random, out: ViewMut<'_, Self::Buffer>) -> Result<()>;
    /// A random permutation of `0..n` into i64 `out` (any integer or float dtype).
    fn permutation(&self, generator: &mut Self::Generator, out: ViewMut<'_, Self::Buffer>) -> Result<()>;

    /// A fused kernel (softmax, linear, cross-entropy, layer norm) if this device has one for these
    /// arguments: `Ok(false)` runs the op's definition instead.
    fn fused(&self, op: &Op, inputs: &[View<'_, Self::Buffer>], outputs: &[ViewMut<'_, Self::Buffer>]) -> Result<bool>;
    /// Gradient kernels of the same ops; inputs and outputs as the rule of the op states them.
    fn fused_vjp(
        &self,
        op: &Op,
        inputs: &[View<'_, Self::Buffer>],
        outputs: &[ViewMut<'_, Self::Buffer>],
    ) -> Result<bool>;

    /// Waits for all queued work.
    fn synchronize(&self) -> Result<()>;
}
