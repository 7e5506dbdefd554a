//! The CPU's side of the backend trait: each method is one function of the module of its subject.

use crate::buffer::Buffer;
use crate::Cpu;
use wengert_ops::{
    contract, Backend, Compute, ConvRole, ConvSpec, Extremum, Linalg, Op, Operand, PoolSpec, Random, Reduction, Result,
    Row, Scalar, ScanKind, ScatterMode, View, ViewMut,
};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

impl Backend for Cpu {
    type Buffer = Buffer;
    type Generator = crate::random::Generator;

    #[inline]
    fn allocate(&self, bytes: usize) -> Result<Buffer> {
        Buffer::new(bytes)
    }
    fn upload(&self, bytes: &[u8]) -> Result<Buffer> {
        Buffer::from_bytes(bytes)
    }
    fn download(&self, buffer: &Buffer, offset: usize, out: &mut [u8]) -> Result<()> {
        contract::download(offset, out.len(), buffer.len())?;
        // SAFETY: the caller reads, so by the layers' leases nobody writes; bytes have no invalid pattern.
        out.copy_from_slice(unsafe { &buffer.slice::<u8>()[offset..offset + out.len()] });
        Ok(())
    }
    fn copy(&self, src: In<'_>, dst: Out<'_>) -> Result<()> {
        crate::copy::copy(src, dst)
    }
    fn fill(&self, value: Scalar, dst: Out<'_>) -> Result<()> {
        crate::copy::fill(value, dst)
    }

    #[inline]
    fn elementwise(&self, row: Row, compute: Compute, inputs: &[Operand<'_, Buffer>], out: Out<'_>) -> Result<()> {
        crate::elementwise::elementwise(row, compute, inputs, out)
    }
    #[inline]
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
        crate::elementwise::Pullback { row, which, compute, inputs, y, g }.write_to(out)
    }

    fn reduce(&self, kind: Reduction, x: In<'_>, dims: u64, out: Out<'_>) -> Result<()> {
        crate::reduce::reduce(kind, x, dims, out)
    }
    fn extreme(
        &self,
        kind: Extremum,
        x: In<'_>,
        dim: usize,
        values: Option<Out<'_>>,
        indices: Option<Out<'_>>,
    ) -> Result<()> {
        crate::extreme::extreme(kind, x, dim, values, indices)
    }
    fn scan(&self, kind: ScanKind, x: In<'_>, dim: usize, reverse: bool, out: Out<'_>) -> Result<()> {
        crate::scan::scan(kind, x, dim, reverse, out)
    }
    fn matmul(&self, a: In<'_>, b: In<'_>, accumulate: bool, out: Out<'_>) -> Result<()> {
        crate::matmul::matmul(a, b, accumulate, out)
    }
    fn gather(&self, x: In<'_>, dim: usize, index: In<'_>, out: Out<'_>) -> Result<()> {
        crate::indexing::gather(x, dim, index, out)
    }
    fn scatter(&self, mode: ScatterMode, dim: usize, index: In<'_>, src: In<'_>, out: Out<'_>) -> Result<()> {
        crate::indexing::scatter(mode, dim, index, src, out)
    }
    fn index(&self, x: In<'_>, dims: u64, indices: &[In<'_>], out: Out<'_>) -> Result<()> {
        crate::indexing::index(x, dims, indices, out)
    }
    fn index_put(&self, dims: u64, indices: &[In<'_>], values: In<'_>, accumulate: bool, out: Out<'_>) -> Result<()> {
        crate::indexing::index_put(dims, indices, values, accumulate, out)
    }
    fn nonzero(&self, x: In<'_>) -> Result<(Buffer, usize)> {
        crate::indexing::nonzero(x)
    }
    fn sort(&self, x: In<'_>, dim: usize, descending: bool, values: Out<'_>, indices: Out<'_>) -> Result<()> {
        crate::sort::sort(x, dim, descending, values, indices)
    }
    fn conv(&self, role: ConvRole, spec: &ConvSpec, a: In<'_>, b: In<'_>, out: Out<'_>) -> Result<()> {
        crate::conv::conv(role, spec, a, b, out)
    }
    fn max_pool(&self, spec: &PoolSpec, x: In<'_>, values: Out<'_>, indices: Out<'_>) -> Result<()> {
        crate::pool::max_pool(spec, x, values, indices)
    }
    fn linalg(&self, op: Linalg, inputs: &[In<'_>], outputs: &[Out<'_>]) -> Result<()> {
        crate::linalg::linalg(op, inputs, outputs)
    }

    fn random(&self, generator: &mut Self::Generator, law: Random, out: Out<'_>) -> Result<()> {
        crate::random::random(generator, law, out)
    }
    fn permutation(&self, generator: &mut Self::Generator, out: Out<'_>) -> Result<()> {
        crate::random::permutation(generator, out)
    }

    fn fused(&self, op: &Op, inputs: &[In<'_>], outputs: &[Out<'_>]) -> Result<bool> {
        crate::fused::fused(op, inputs, outputs)
    }
    fn fused_vjp(&self, op: &Op, inputs: &[In<'_>], outputs: &[Out<'_>]) -> Result<bool> {
        crate::fused::fused_vjp(op, inputs, outputs)
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }
}
