//! The backends behind one door: each call goes to the backend of the device that its arrays lie on.

use crate::buffer::Data;
use crate::fallback::{may_try, Hosted};
use smallvec::SmallVec;
use wengert_cpu::Cpu;
use wengert_gpu::Gpu;
use wengert_ops::{
    infer, Backend, Compute, ConvRole, ConvSpec, Error, Extremum, Linalg, Op, Operand, PoolSpec, Random, Reduction,
    Result, Row, Scalar, ScanKind, ScatterMode, View, ViewMut,
};

/// All devices at once: the methods of [`Backend`] over arrays of any device, each call's on one.
pub(crate) struct Devices;

type In<'a> = View<'a, Data>;
type Out<'a> = ViewMut<'a, Data>;

#[cold]
pub(crate) fn no_data() -> Error {
    Error::not_implemented(
        "Cannot copy out of meta tensor; no data! It has a shape and a dtype but no elements; make it on a real device",
    )
}

#[cold]
fn elsewhere() -> Error {
    Error::internal("arrays of two devices in one kernel")
}

fn host(data: &Data) -> Result<&wengert_cpu::Buffer> {
    match data {
        Data::Cpu(buffer) => Ok(buffer),
        _ => Err(elsewhere()),
    }
}

fn card(data: &Data) -> Result<&wengert_gpu::Buffer> {
    match data {
        Data::Gpu(buffer) => Ok(buffer),
        _ => Err(elsewhere()),
    }
}

// A `pick` finds the buffer of one backend behind a `Data`.

#[inline]
fn view<'a, B>(pick: impl Fn(&'a Data) -> Result<&'a B>, x: In<'a>) -> Result<View<'a, B>> {
    Ok(View { buffer: pick(x.buffer)?, layout: x.layout, dtype: x.dtype })
}

#[inline]
fn out<'a, B>(pick: impl Fn(&'a Data) -> Result<&'a B>, x: &Out<'a>) -> Result<ViewMut<'a, B>> {
    // SAFETY: the same promise as that of `x`, which waits meanwhile.
    Ok(unsafe { ViewMut::new(pick(x.buffer())?, x.layout(), x.dtype()) })
}

/// What `collect` gives; a loop of pushes is several times faster for the few operands of an operation.
#[inline]
pub(crate) fn each<'a, V, T, A>(values: &'a [V], f: impl Fn(&'a V) -> Result<T>) -> Result<SmallVec<A>>
where
    A: smallvec::Array<Item = T>,
{
    let mut all = SmallVec::new();
    for v in values {
        all.push(f(v)?);
    }
    Ok(all)
}

fn views<'a, B>(pick: impl Fn(&'a Data) -> Result<&'a B>, all: &[In<'a>]) -> Result<SmallVec<[View<'a, B>; 4]>> {
    each(all, |x| view(&pick, *x))
}

fn outs<'a, B>(pick: impl Fn(&'a Data) -> Result<&'a B>, all: &[Out<'a>]) -> Result<SmallVec<[ViewMut<'a, B>; 4]>> {
    each(all, |x| out(&pick, x))
}

#[inline]
fn operand<'a, B>(pick: impl Fn(&'a Data) -> Result<&'a B>, x: &Operand<'a, Data>) -> Result<Operand<'a, B>> {
    Ok(match x {
        Operand::Array(v) => Operand::Array(view(pick, *v)?),
        Operand::Scalar(s) => Operand::Scalar(*s),
    })
}

#[inline]
fn operands<'a, B>(
    pick: impl Fn(&'a Data) -> Result<&'a B>,
    all: &[Operand<'a, Data>],
) -> Result<SmallVec<[Operand<'a, B>; 4]>> {
    each(all, |x| operand(&pick, x))
}

/// The buffers that a call writes.
fn written<'a>(all: impl IntoIterator<Item = &'a Out<'a>>) -> SmallVec<[&'a Data; 4]> {
    all.into_iter().map(|x| x.buffer()).collect()
}

/// The way to copies on the host, for as long as they live.
fn copied<'h>(hosted: &'h Hosted<'h>) -> impl Fn(&'h Data) -> Result<&'h wengert_cpu::Buffer> + Copy {
    move |data| hosted.pick(data)
}

/// The stream of a GPU under a key.
fn keyed(key: u64) -> wengert_gpu::Generator {
    wengert_gpu::Generator { seed: key, offset: 0 }
}

/// Runs the expression with the backend of the data's device and the way to its buffers. A GPU's refusal may be made up
/// for by the host, if the program allows it: `op` names the work then, and `written` are the buffers it writes.
macro_rules! on {
    ($data:expr, $op:expr, $written:expr, |$backend:ident, $pick:ident| $call:expr) => {
        match $data {
            Data::Cpu(_) => {
                let ($backend, $pick) = (Cpu, host);
                $call
            }
            Data::Gpu(buffer) => {
                let done = {
                    let ($backend, $pick) = (Gpu::of(buffer), card);
                    $call
                };
                match done {
                    Err(refusal) if may_try(&refusal) => {
                        let hosted = Hosted::default();
                        let done = {
                            let ($backend, $pick) = (Cpu, copied(&hosted));
                            $call
                        };
                        hosted.finish($op, refusal, done, &$written)
                    }
                    done => done,
                }
            }
            Data::Meta => Err(no_data()),
        }
    };
}

impl Devices {
    pub fn download(&self, buffer: &Data, offset: usize, to: &mut [u8]) -> Result<()> {
        match buffer {
            Data::Cpu(b) => Cpu.download(b, offset, to),
            Data::Gpu(b) => Gpu::of(b).download(b, offset, to),
            Data::Meta => Err(no_data()),
        }
    }
    pub fn copy(&self, src: In<'_>, dst: Out<'_>) -> Result<()> {
        on!(dst.buffer(), "copy", [dst.buffer()], |b, pick| b.copy(view(pick, src)?, out(pick, &dst)?))
    }
    pub fn fill(&self, value: Scalar, dst: Out<'_>) -> Result<()> {
        on!(dst.buffer(), "fill", [dst.buffer()], |b, pick| b.fill(value, out(pick, &dst)?))
    }
    #[inline]
    pub fn elementwise(&self, row: Row, compute: Compute, inputs: &[Operand<'_, Data>], to: Out<'_>) -> Result<()> {
        on!(to.buffer(), row.name(), [to.buffer()], |b, pick| b.elementwise(
            row,
            compute,
            &operands(pick, inputs)?,
            out(pick, &to)?
        ))
    }
    #[allow(clippy::too_many_arguments)]
    pub fn elementwise_vjp(
        &self,
        row: Row,
        which: usize,
        compute: Compute,
        inputs: &[Operand<'_, Data>],
        y: Operand<'_, Data>,
        g: Operand<'_, Data>,
        to: Out<'_>,
    ) -> Result<()> {
        on!(to.buffer(), row.name(), [to.buffer()], |b, pick| {
            let (y, g) = (operand(pick, &y)?, operand(pick, &g)?);
            b.elementwise_vjp(row, which, compute, &operands(pick, inputs)?, y, g, out(pick, &to)?)
        })
    }
    pub fn reduce(&self, kind: Reduction, x: In<'_>, dims: u64, to: Out<'_>) -> Result<()> {
        on!(to.buffer(), &format!("{kind:?}").to_lowercase(), [to.buffer()], |b, pick| b.reduce(
            kind,
            view(pick, x)?,
            dims,
            out(pick, &to)?
        ))
    }
    pub fn extreme(
        &self,
        kind: Extremum,
        x: In<'_>,
        dim: usize,
        values: Option<Out<'_>>,
        indices: Option<Out<'_>>,
    ) -> Result<()> {
        on!(x.buffer, &format!("{kind:?}").to_lowercase(), written(values.iter().chain(&indices)), |b, pick| {
            let values = values.as_ref().map(|v| out(pick, v)).transpose()?;
            b.extreme(kind, view(pick, x)?, dim, values, indices.as_ref().map(|v| out(pick, v)).transpose()?)
        })
    }
    pub fn scan(&self, kind: ScanKind, x: In<'_>, dim: usize, reverse: bool, to: Out<'_>) -> Result<()> {
        on!(to.buffer(), &format!("{kind:?}").to_lowercase(), [to.buffer()], |b, pick| b.scan(
            kind,
            view(pick, x)?,
            dim,
            reverse,
            out(pick, &to)?
        ))
    }
    pub fn matmul(&self, x: In<'_>, y: In<'_>, accumulate: bool, to: Out<'_>) -> Result<()> {
        on!(to.buffer(), "matmul", [to.buffer()], |b, pick| b.matmul(
            view(pick, x)?,
            view(pick, y)?,
            accumulate,
            out(pick, &to)?
        ))
    }
    pub fn gather(&self, x: In<'_>, dim: usize, index: In<'_>, to: Out<'_>) -> Result<()> {
        on!(to.buffer(), "gather", [to.buffer()], |b, pick| b.gather(
            view(pick, x)?,
            dim,
            view(pick, index)?,
            out(pick, &to)?
        ))
    }
    pub fn scatter(&self, mode: ScatterMode, dim: usize, index: In<'_>, src: In<'_>, to: Out<'_>) -> Result<()> {
        on!(to.buffer(), "scatter", [to.buffer()], |b, pick| b.scatter(
            mode,
            dim,
            view(pick, index)?,
            view(pick, src)?,
            out(pick, &to)?
        ))
    }
    pub fn index(&self, x: In<'_>, dims: u64, indices: &[In<'_>], to: Out<'_>) -> Result<()> {
        on!(to.buffer(), "index", [to.buffer()], |b, pick| b.index(
            view(pick, x)?,
            dims,
            &views(pick, indices)?,
            out(pick, &to)?
        ))
    }
    pub fn index_put(
        &self,
        dims: u64,
        indices: &[In<'_>],
        values: In<'_>,
        accumulate: bool,
        to: Out<'_>,
    ) -> Result<()> {
        on!(to.buffer(), "index_put", [to.buffer()], |b, pick| {
            b.index_put(dims, &views(pick, indices)?, view(pick, values)?, accumulate, out(pick, &to)?)
        })
    }
    pub fn nonzero(&self, x: In<'_>) -> Result<(Data, usize)> {
        match x.buffer {
            Data::Cpu(_) => Cpu.nonzero(view(host, x)?).map(|(b, n)| (Data::Cpu(b), n)),
            Data::Gpu(buffer) => match Gpu::of(buffer).nonzero(view(card, x)?) {
                Err(refusal) if may_try(&refusal) => {
                    let hosted = Hosted::default();
                    let done = view(copied(&hosted), x).and_then(|x| Cpu.nonzero(x)).and_then(|(b, n)| {
                        // SAFETY: the result is ours alone; bytes have no invalid pattern.
                        Ok((Gpu::of(buffer).upload(unsafe { b.slice::<u8>() })?, n))
                    });
                    hosted.finish("nonzero", refusal, done, &[])
                }
                done => done,
            }
            .map(|(b, n)| (Data::Gpu(b), n)),
            Data::Meta => Err(no_data()),
        }
    }
    pub fn sort(&self, x: In<'_>, dim: usize, descending: bool, values: Out<'_>, indices: Out<'_>) -> Result<()> {
        on!(x.buffer, "sort", [values.buffer(), indices.buffer()], |b, pick| b.sort(
            view(pick, x)?,
            dim,
            descending,
            out(pick, &values)?,
            out(pick, &indices)?
        ))
    }
    pub fn conv(&self, role: ConvRole, spec: &ConvSpec, x: In<'_>, y: In<'_>, to: Out<'_>) -> Result<()> {
        on!(to.buffer(), "conv", [to.buffer()], |b, pick| b.conv(
            role,
            spec,
            view(pick, x)?,
            view(pick, y)?,
            out(pick, &to)?
        ))
    }
    pub fn max_pool(&self, spec: &PoolSpec, x: In<'_>, values: Out<'_>, indices: Out<'_>) -> Result<()> {
        on!(x.buffer, "max_pool", [values.buffer(), indices.buffer()], |b, pick| b.max_pool(
            spec,
            view(pick, x)?,
            out(pick, &values)?,
            out(pick, &indices)?
        ))
    }
    pub fn linalg(&self, op: Linalg, inputs: &[In<'_>], to: &[Out<'_>]) -> Result<()> {
        let Some(first) = inputs.first() else { return Err(elsewhere()) };
        on!(first.buffer, "linalg", written(to), |b, pick| b.linalg(op, &views(pick, inputs)?, &outs(pick, to)?))
    }
    /// The CPU draws from the generator itself. A GPU counts on its own, from a key that the generator gives it: one stream
    /// of keys decides all draws of a program, wherever they are made.
    pub fn random(&self, generator: &mut wengert_cpu::random::Generator, law: Random, to: Out<'_>) -> Result<()> {
        match to.buffer() {
            Data::Cpu(_) => Cpu.random(generator, law, out(host, &to)?),
            Data::Gpu(b) => match Gpu::of(b).random(&mut keyed(generator.next_u64()), law, out(card, &to)?) {
                Err(refusal) if may_try(&refusal) => {
                    let hosted = Hosted::default();
                    let done = out(copied(&hosted), &to).and_then(|to| Cpu.random(generator, law, to));
                    hosted.finish("random", refusal, done, &[to.buffer()])
                }
                done => done,
            },
            Data::Meta => Err(no_data()),
        }
    }
    /// What a GPU draws of a key, as [`Devices::random`] gives it one.
    pub fn random_of_key(&self, key: u64, law: Random, to: Out<'_>) -> Result<()> {
        Gpu::of(card(to.buffer())?).random(&mut keyed(key), law, out(card, &to)?)
    }
    pub fn permutation(&self, generator: &mut wengert_cpu::random::Generator, to: Out<'_>) -> Result<()> {
        match to.buffer() {
            Data::Cpu(_) => Cpu.permutation(generator, out(host, &to)?),
            Data::Gpu(b) => Gpu::of(b).permutation(&mut keyed(generator.next_u64()), out(card, &to)?),
            Data::Meta => Err(no_data()),
        }
    }
    pub fn fused(&self, op: &Op, inputs: &[In<'_>], to: &[Out<'_>]) -> Result<bool> {
        let Some(first) = inputs.first() else { return Ok(false) };
        on!(first.buffer, infer::op_name(op), written(to), |b, pick| b.fused(
            op,
            &views(pick, inputs)?,
            &outs(pick, to)?
        ))
    }
    pub fn fused_vjp(&self, op: &Op, inputs: &[In<'_>], to: &[Out<'_>]) -> Result<bool> {
        let Some(first) = inputs.first() else { return Ok(false) };
        on!(first.buffer, infer::op_name(op), written(to), |b, pick| b.fused_vjp(
            op,
            &views(pick, inputs)?,
            &outs(pick, to)?
        ))
    }
}
