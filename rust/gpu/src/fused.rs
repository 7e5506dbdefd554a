//! Kernels of ops that also have a definition as compositions: softmax, cross-entropy, layer norm and attention,
//! forwards and backwards, for f32.
//!
//! Threads of a group go over one line together, so that a line's elements are read a few times and written once.

mod attention;
mod cross_entropy;
mod layer_norm;
mod softmax;

use crate::context::Context;
use crate::elementwise::copy;
use crate::fold::{narrow, Share};
use crate::memory::Buffer;
use crate::shader::{Call, Num, THREADS};
use wengert_ops::{DType, Error, Layout, Op, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// `Backend::fused`.
pub(crate) fn fused(context: &'static Context, op: &Op, inputs: &[In<'_>], outputs: &[Out<'_>]) -> Result<bool> {
    if inputs.first().is_none_or(|x| x.dtype != DType::F32 || !fits(context, op, x.layout.shape())) {
        return Ok(false);
    }
    match (op, inputs, outputs) {
        (&Op::Softmax { dim, log }, [x], [y]) => softmax::forward(context, dim as usize, log, *x, y)?,
        (&Op::CrossEntropy { reduction, ignore_index }, [x, t], [loss, saved]) => {
            cross_entropy::forward(context, reduction, ignore_index, *x, *t, loss, saved)?
        }
        (&Op::LayerNorm { dims, centred: true, eps_bits }, [x], [y, mean, rstd]) => {
            layer_norm::forward(context, dims as usize, f64::from_bits(eps_bits), *x, y, mean, rstd)?
        }
        (&Op::Attention { causal, scale_bits, keep_bits }, [q, k, v, more @ ..], [y, sums]) => {
            let how = attention::How::new(causal, scale_bits, keep_bits, more)?;
            return attention::forward(context, &how, [*q, *k, *v], y, sums);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// `Backend::fused_vjp`. Inputs and outputs:
/// softmax (g, y) → gx; cross-entropy (g, log-softmax, targets) → glogits; layer norm (g, x, mean, rstd) → gx;
/// attention (g, q, k, v, y, log-sums, mask?, key?) → gq, gk, gv.
pub(crate) fn fused_vjp(context: &'static Context, op: &Op, inputs: &[In<'_>], outputs: &[Out<'_>]) -> Result<bool> {
    // The incoming gradient may be one number; what was computed forwards has the shape.
    if inputs.first().is_none_or(|g| g.dtype != DType::F32)
        || inputs.get(1).is_some_and(|x| !fits(context, op, x.layout.shape()))
    {
        return Ok(false);
    }
    match (op, inputs, outputs) {
        (&Op::Softmax { dim, log }, [g, y], [gx]) => softmax::backward(context, dim as usize, log, *g, *y, gx)?,
        (&Op::CrossEntropy { reduction, ignore_index }, [g, saved, t], [gx]) => {
            cross_entropy::backward(context, reduction, ignore_index, *g, *saved, *t, gx)?
        }
        (&Op::LayerNorm { dims, centred: true, .. }, [g, x, mean, rstd], [gx]) => {
            layer_norm::backward(context, dims as usize, *g, *x, *mean, *rstd, gx)?
        }
        (&Op::Attention { causal, scale_bits, keep_bits }, [g, q, k, v, y, sums, more @ ..], [gq, gk, gv]) => {
            let how = attention::How::new(causal, scale_bits, keep_bits, more)?;
            return attention::backward(context, &how, [*g, *q, *k, *v, *y, *sums], [gq, gk, gv]);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A row-major array: its block, and where it begins.
struct Packed(Buffer, usize);

/// The elements row-major: as they are, or copied.
fn packed(context: &'static Context, x: In<'_>) -> Result<Packed> {
    if x.layout.is_contiguous() {
        return Ok(Packed(x.buffer.clone(), x.layout.offset()));
    }
    let layout = Layout::contiguous(x.layout.shape());
    let buffer = Buffer(context.allocate(x.layout.numel() * x.dtype.size())?);
    // SAFETY: fresh.
    copy(context, x, unsafe { ViewMut::new(&buffer, &layout, x.dtype) })?;
    Ok(Packed(buffer, 0))
}

/// The output's elements; kernels write contiguous outputs only.
fn output(out: &Out<'_>, len: usize) -> Result<Packed> {
    if !out.layout().is_contiguous() || out.layout().numel() != len {
        return Err(Error::internal(format!(
            "fused kernel: output {:?} should be contiguous with {len} elements",
            out.layout()
        )));
    }
    Ok(Packed(out.buffer().clone(), out.layout().offset()))
}

/// A thread goes along longer lines with others,
const LINE: usize = 1 << 13;

/// and where those were too long for the device, an op is computed by its definition: each thread goes a few times along
/// its share of a line, or of all lines.
fn fits(context: &Context, op: &Op, shape: &[usize]) -> bool {
    let line = match op {
        Op::LayerNorm { dims, .. } => shape.iter().rev().take(*dims as usize).product(),
        _ => shape.iter().copied().max().unwrap_or(1),
    };
    line / THREADS as usize <= context.rounds() / 4
}

/// How threads share lines of `n` elements that lie `inside` apart.
fn share(context: &Context, lines: usize, n: usize, inside: usize) -> Share {
    let lanes = match narrow(context) {
        true if (lines >= 64 || n <= 64) && n <= LINE => 1,
        true => THREADS,
        false if n <= 32 || inside >= 16 && lines >= 1 << 12 => 1,
        false if n <= 512 => 32,
        false => THREADS,
    };
    Share { lanes, parts: 1 }
}

/// An array of a kernel over lines: reads and writes the element of number `j`.
struct Lined {
    place: crate::shader::Place,
    at: String,
    inside: String,
}

impl Lined {
    /// `base` is the number of the line's first element.
    fn index(&self) -> String {
        format!("({} + base + j * {})", self.at, self.inside)
    }
    fn load(&self) -> String {
        self.place.load(&self.index(), Num::F32)
    }
    fn store(&self, value: &str) -> String {
        self.place.store(&self.index(), value, Num::F32)
    }
}

/// Lines of a row-major array, in a kernel's text.
struct Lines {
    share: Share,
    count: String,
    n: String,
    inside: String,
}

impl Lines {
    fn new(call: &mut Call, share: Share, lines: usize, n: usize, inside: usize) -> Result<Lines> {
        call.key.variant.push(share.lanes);
        Ok(Lines { share, count: call.size(lines)?, n: call.size(n)?, inside: call.size(inside)? })
    }

    fn read(&self, call: &mut Call, x: &Packed) -> Result<Lined> {
        Ok(Lined { place: call.read(&x.0, DType::F32)?, at: call.size(x.1)?, inside: self.inside.clone() })
    }

    fn write(&self, call: &mut Call, x: &Packed) -> Result<Lined> {
        Ok(Lined { place: call.write(&x.0, DType::F32)?, at: call.size(x.1)?, inside: self.inside.clone() })
    }

    /// Statements for each element `j` of a thread's own.
    fn each(&self, body: &str) -> String {
        format!("if (working) {{\nfor (var j = lane; j < {}; j += {}u) {{\n{body}}}\n}}\n", self.n, self.share.lanes)
    }

    /// Defines `name`: the sum of a text over the line. Blocks keep what is added of a size with what it is added to.
    fn sum(&self, name: &str, value: &str) -> String {
        format!(
            "var s_{name} = 0.0f;\nif (working) {{\nvar j = lane;\nwhile (j < {}) {{\nvar block = 0.0f;\n\
             for (var k = 0u; k < 32u && j < {}; k++) {{\nblock += {value};\nj += {}u;\n}}\ns_{name} += block;\n}}\n}}\n\
             let {name} = across_sum(s_{name}, t);\n",
            self.n, self.n, self.share.lanes
        )
    }

    /// The kernel, with `base` and the line's number `v` in scope.
    fn kernel(&self, body: &str) -> String {
        let (inside, n) = (&self.inside, &self.n);
        let body = format!("let base = (v / {inside}) * {inside} * {n} + v % {inside};\n{body}");
        format!(
            "{}{}{}",
            self.share.across("across_sum", Num::F32, "a + b"),
            self.share.across("across_max", Num::F32, "select(a, b, b > a)"),
            self.share.entry(&self.count, &body)
        )
    }
}
