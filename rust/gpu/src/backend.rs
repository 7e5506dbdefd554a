//! The GPU's side of the backend trait: each method is one function of the module of its subject.

use crate::context::{self, Context};
use crate::memory::{Buffer, Usage};
use crate::random::Generator;
use crate::stream::Work;
use wengert_ops::{
    contract, Backend, Compute, ConvRole, ConvSpec, Extremum, Linalg, Op, Operand, PoolSpec, Random, Reduction, Result,
    Row, Scalar, ScanKind, ScatterMode, View, ViewMut,
};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// An opened GPU.
#[derive(Clone, Copy)]
pub struct Gpu(pub(crate) &'static Context);

impl Gpu {
    /// The device of this number among [`devices`](crate::devices), opened if it is not yet.
    ///
    /// # Errors
    /// There is no such device, it cannot be opened, it is lost, or this process is a fork of the one that opened it.
    pub fn open(index: usize) -> Result<Gpu> {
        context::open(index).map(Gpu)
    }

    /// The device that a buffer lies on.
    pub fn of(buffer: &Buffer) -> Gpu {
        Gpu(buffer.0.context)
    }

    /// Whether it computes in 64-bit floats.
    pub fn has_f64(&self) -> bool {
        self.0.has_f64()
    }

    /// Bytes in use and kept.
    pub fn usage(&self) -> Usage {
        self.0.pool.usage()
    }

    /// Lets the most that was allocated count anew.
    pub fn reset_most_allocated(&self) {
        self.0.pool.reset_most();
    }

    /// Gives memory that nothing uses to the driver.
    pub fn empty_cache(&self) -> Result<()> {
        self.0.finish()?;
        self.0.release()
    }

    /// Waits until all that was queued is done.
    pub fn finish(&self) -> Result<()> {
        self.0.finish()
    }

    /// Destroys the device under its tensors, as a driver that fails does: for tests.
    #[doc(hidden)]
    pub fn lose(&self) {
        self.0.device.destroy();
    }

    /// Replaces what a buffer holds from its beginning, after what is queued.
    pub fn overwrite(&self, buffer: &Buffer, bytes: &[u8]) -> Result<()> {
        contract::download(0, bytes.len(), buffer.len())?;
        self.0.upload(bytes, buffer.0.clone())
    }

    /// How many products' forms this process has measured.
    pub fn measured(&self) -> usize {
        self.0.kept.tuned.measured()
    }

    /// Kernels compiled so far.
    pub fn compiled(&self) -> usize {
        self.0.compiled()
    }

    /// What has been done so far.
    pub fn work(&self) -> Work {
        self.0.work()
    }

    /// Waits until chains that are being compiled are so: for tests and measurements.
    #[doc(hidden)]
    pub fn settle(&self) -> Result<()> {
        self.0.settle()
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({} '{}')", self.0.index, self.0.info.name)
    }
}

impl Backend for Gpu {
    type Buffer = Buffer;
    type Generator = Generator;

    fn allocate(&self, bytes: usize) -> Result<Buffer> {
        self.0.allocate(bytes).map(Buffer)
    }
    fn upload(&self, bytes: &[u8]) -> Result<Buffer> {
        let block = self.0.allocate(bytes.len())?;
        self.0.upload(bytes, block.clone())?;
        Ok(Buffer(block))
    }
    fn download(&self, buffer: &Buffer, offset: usize, out: &mut [u8]) -> Result<()> {
        contract::download(offset, out.len(), buffer.len())?;
        self.0.download(&buffer.0, offset, out)
    }
    fn copy(&self, src: In<'_>, dst: Out<'_>) -> Result<()> {
        crate::elementwise::copy(self.0, src, dst)
    }
    fn fill(&self, value: Scalar, dst: Out<'_>) -> Result<()> {
        wengert_ops::infer::check_number("fill", value, dst.dtype())?;
        crate::elementwise::fill(self.0, value, dst)
    }

    fn elementwise(&self, row: Row, compute: Compute, inputs: &[Operand<'_, Buffer>], out: Out<'_>) -> Result<()> {
        crate::elementwise::elementwise(self.0, row, compute, inputs, out)
    }
    fn elementwise_vjp(
        &self,
        row: Row,
        which: usize,
        compute: Compute,
        inputs: &[Operand<'_, Buffer>],
        y: Operand<'_, Buffer>,
        g: Operand<'_, Buffer>,
        out: Out<'_>,
    ) -> Result<()> {
        crate::elementwise::elementwise_vjp(self.0, row, which, compute, inputs, y, g, out)
    }

    fn reduce(&self, kind: Reduction, x: In<'_>, dims: u64, out: Out<'_>) -> Result<()> {
        crate::reduce::reduce(self.0, kind, x, dims, out)
    }
    fn extreme(
        &self,
        kind: Extremum,
        x: In<'_>,
        dim: usize,
        values: Option<Out<'_>>,
        indices: Option<Out<'_>>,
    ) -> Result<()> {
        crate::extreme::extreme(self.0, kind, x, dim, values, indices)
    }
    fn scan(&self, kind: ScanKind, x: In<'_>, dim: usize, reverse: bool, out: Out<'_>) -> Result<()> {
        crate::scan::scan(self.0, kind, x, dim, reverse, out)
    }
    fn matmul(&self, a: In<'_>, b: In<'_>, accumulate: bool, out: Out<'_>) -> Result<()> {
        crate::matmul::matmul(self.0, a, b, accumulate, out)
    }
    fn gather(&self, x: In<'_>, dim: usize, index: In<'_>, out: Out<'_>) -> Result<()> {
        crate::indexing::gather(self.0, x, dim, index, out)
    }
    fn scatter(&self, mode: ScatterMode, dim: usize, index: In<'_>, src: In<'_>, out: Out<'_>) -> Result<()> {
        crate::indexing::scatter(self.0, mode, dim, index, src, out)
    }
    fn index(&self, x: In<'_>, dims: u64, indices: &[In<'_>], out: Out<'_>) -> Result<()> {
        crate::indexing::index(self.0, x, dims, indices, out)
    }
    fn index_put(&self, dims: u64, indices: &[In<'_>], values: In<'_>, accumulate: bool, out: Out<'_>) -> Result<()> {
        crate::indexing::index_put(self.0, dims, indices, values, accumulate, out)
    }
    fn nonzero(&self, x: In<'_>) -> Result<(Buffer, usize)> {
        crate::nonzero::nonzero(self.0, x)
    }
    fn sort(&self, x: In<'_>, dim: usize, descending: bool, values: Out<'_>, indices: Out<'_>) -> Result<()> {
        crate::sort::sort(self.0, x, dim, descending, values, indices)
    }
    fn conv(&self, role: ConvRole, spec: &ConvSpec, a: In<'_>, b: In<'_>, out: Out<'_>) -> Result<()> {
        crate::conv::conv(self.0, role, spec, a, b, out)
    }
    fn max_pool(&self, spec: &PoolSpec, x: In<'_>, values: Out<'_>, indices: Out<'_>) -> Result<()> {
        crate::pool::max_pool(self.0, spec, x, values, indices)
    }
    fn linalg(&self, op: Linalg, inputs: &[In<'_>], outputs: &[Out<'_>]) -> Result<()> {
        crate::linalg::linalg(self.0, op, inputs, outputs)
    }
    fn random(&self, generator: &mut Generator, law: Random, out: Out<'_>) -> Result<()> {
        crate::random::random(self.0, generator, law, out)
    }
    fn permutation(&self, generator: &mut Generator, out: Out<'_>) -> Result<()> {
        crate::random::permutation(self.0, generator, out)
    }
    fn fused(&self, op: &Op, inputs: &[In<'_>], outputs: &[Out<'_>]) -> Result<bool> {
        crate::fused::fused(self.0, op, inputs, outputs)
    }
    fn fused_vjp(&self, op: &Op, inputs: &[In<'_>], outputs: &[Out<'_>]) -> Result<bool> {
        crate::fused::fused_vjp(self.0, op, inputs, outputs)
    }

    fn synchronize(&self) -> Result<()> {
        self.0.finish()
    }
}
