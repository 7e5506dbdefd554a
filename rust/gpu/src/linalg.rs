//! Factorizations, solves and determinants: computed on the host, by design.
//!
//! They are sequences of small dependent steps, which a GPU gains little from, and their errors depend on values. So
//! inputs are read back, `wengert-cpu` (a dependency for this module alone) computes, and results are uploaded.

use crate::context::Context;
use crate::elementwise;
use crate::memory::Buffer;
use crate::product::dense;
use wengert_cpu::Cpu;
use wengert_ops::{Backend, Layout, Linalg, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// An array on the host.
struct Hosted {
    buffer: wengert_cpu::Buffer,
    layout: Layout,
}

/// Runs one routine, as [`Backend::linalg`]. Where it fails, the outputs stay as they were.
pub(crate) fn linalg(context: &'static Context, op: Linalg, inputs: &[In<'_>], outputs: &[Out<'_>]) -> Result<()> {
    let sources = inputs.iter().map(|x| read_back(context, *x)).collect::<Result<Vec<_>>>()?;
    let mut results = Vec::with_capacity(outputs.len());
    for out in outputs {
        let layout = Layout::contiguous(out.layout().shape());
        results.push(Hosted { buffer: Cpu.allocate(layout.numel() * out.dtype().size())?, layout });
    }
    let views: Vec<_> = inputs
        .iter()
        .zip(&sources)
        .map(|(x, s)| View { buffer: &s.buffer, layout: &s.layout, dtype: x.dtype })
        .collect();
    let targets: Vec<_> = outputs
        .iter()
        .zip(&results)
        // SAFETY: fresh, and used by this call alone.
        .map(|(out, r)| unsafe { ViewMut::new(&r.buffer, &r.layout, out.dtype()) })
        .collect();
    Cpu.linalg(op, &views, &targets)?;
    for (out, result) in outputs.iter().zip(&results) {
        upload(context, result, out)?;
    }
    Ok(())
}

fn read_back(context: &'static Context, x: In<'_>) -> Result<Hosted> {
    let layout = Layout::contiguous(x.layout.shape());
    let mut bytes = vec![0; layout.numel() * x.dtype.size()];
    let (dense, offset) = dense(context, x)?;
    context.download(&dense.0, offset * x.dtype.size(), &mut bytes)?;
    Ok(Hosted { buffer: Cpu.upload(&bytes)?, layout })
}

fn upload(context: &'static Context, result: &Hosted, out: &Out<'_>) -> Result<()> {
    let mut bytes = vec![0; result.layout.numel() * out.dtype().size()];
    Cpu.download(&result.buffer, 0, &mut bytes)?;
    if out.layout().is_plain() {
        return context.upload(&bytes, out.buffer().0.clone());
    }
    let dense = Buffer(context.allocate(bytes.len())?);
    context.upload(&bytes, dense.0.clone())?;
    let view = View { buffer: &dense, layout: &result.layout, dtype: out.dtype() };
    // SAFETY: the caller's view, under the same promise.
    elementwise::copy(context, view, unsafe { ViewMut::new(out.buffer(), out.layout(), out.dtype()) })
}
