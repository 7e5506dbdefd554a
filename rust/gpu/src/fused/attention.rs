//! Attention without a matrix of scores: a thread goes over all keys of its query and keeps the largest score and the
//! sum of weights so far. Backwards the weights are computed anew from the saved logarithms of the sums: once by the
//! threads of the queries, once by those of the keys, so that nobody adds into what another one writes.
//!
//! Rabe and Staats, "Self-attention Does Not Need O(n²) Memory" (2021); Dao et al., "FlashAttention" (2022).

use super::{output, packed, In, Out, Packed};
use crate::context::Context;
use crate::elementwise::merged;
use crate::memory::Buffer;
use crate::shader::{entry, Call, Num, Place};
use std::fmt::Write;
use wengert_ops::{DType, Layout, Result, Scalar, View};

/// A row of queries, keys or values is kept in registers: wider ones are left to the definition, and so are more keys than
/// a thread can go over.
const WIDEST: usize = 128;

/// Sizes that a call's kernels share.
struct Problem {
    causal: bool,
    scale: f64,
    batch: usize,
    l: usize,
    s: usize,
    e: usize,
    d: usize,
}

impl Problem {
    fn new(causal: bool, scale: f64, q: &In<'_>, k: &In<'_>, v: &In<'_>) -> Problem {
        let last = |x: &In<'_>, n: usize| x.layout.shape()[x.layout.rank() - n];
        let batch = q.layout.shape()[..q.layout.rank() - 2].iter().product();
        Problem { causal, scale, batch, l: last(q, 2), s: last(k, 2), e: last(q, 1), d: last(v, 1) }
    }

    fn fits(&self, context: &Context) -> bool {
        self.e.max(self.d) <= WIDEST && self.l.max(self.s) <= context.rounds()
    }
}

/// A kernel under construction, with the texts of what all of them use.
struct Kernel<'p> {
    p: &'p Problem,
    call: Call,
    l: String,
    s: String,
    scale: String,
}

/// An array of rows of `n` numbers.
struct Rows {
    place: Place,
    at: String,
    n: usize,
}

impl Rows {
    fn quads(&self) -> usize {
        self.n.div_ceil(4)
    }

    fn element(&self, base: &str, c: usize) -> String {
        format!("({} + {base} * {}u + {c}u)", self.at, self.n)
    }

    /// Defines `name0`, `name1`, … as row `base` (a text), four numbers each.
    fn load(&self, name: &str, base: &str) -> String {
        let mut text = String::new();
        for quad in 0..self.quads() {
            let parts: Vec<String> = (4 * quad..4 * quad + 4)
                .map(|c| match c < self.n {
                    true => self.place.load(&self.element(base, c), Num::F32),
                    false => "0.0f".to_owned(),
                })
                .collect();
            let _ = writeln!(text, "let {name}{quad} = vec4<f32>({});", parts.join(", "));
        }
        text
    }

    /// Writes `name0`, `name1`, … times a factor to row `base`.
    fn store(&self, name: &str, base: &str, factor: &str) -> String {
        (0..self.n)
            .map(|c| {
                let value = format!("({name}{}.{} * {factor})", c / 4, ["x", "y", "z", "w"][c % 4]);
                self.place.store(&self.element(base, c), &value, Num::F32)
            })
            .collect()
    }

    /// `var name0 …`, zeros.
    fn zeros(&self, name: &str) -> String {
        (0..self.quads()).map(|quad| format!("var {name}{quad} = vec4<f32>(0.0f);\n")).collect()
    }

    /// The inner product of two rows by their names.
    fn dot(&self, a: &str, b: &str) -> String {
        match self.quads() {
            0 => "0.0f".to_owned(),
            n => (0..n).map(|quad| format!("dot({a}{quad}, {b}{quad})")).collect::<Vec<_>>().join(" + "),
        }
    }

    /// `into += factor · name`.
    fn add(&self, into: &str, factor: &str, name: &str) -> String {
        (0..self.quads()).map(|quad| format!("{into}{quad} += {factor} * {name}{quad};\n")).collect()
    }

    fn times(&self, into: &str, factor: &str) -> String {
        (0..self.quads()).map(|quad| format!("{into}{quad} *= {factor};\n")).collect()
    }
}

/// The mask's number for query `r` and key `j` of entry `b`.
struct Mask(String);

impl<'p> Kernel<'p> {
    fn new(context: &'static Context, family: &'static str, p: &'p Problem) -> Result<Kernel<'p>> {
        let mut call = Call::new(context, family);
        call.key.variant.extend_from_slice(&[p.causal as u32, p.e as u32, p.d as u32]);
        let (l, s) = (call.size(p.l)?, call.size(p.s)?);
        let scale = call.scalar(Num::F32, Scalar::Float(p.scale));
        Ok(Kernel { p, call, l, s, scale })
    }

    fn read(&mut self, x: &Packed, n: usize) -> Result<Rows> {
        Ok(Rows { place: self.call.read(&x.0, DType::F32)?, at: self.call.size(x.1)?, n })
    }

    fn write(&mut self, x: &Packed, n: usize) -> Result<Rows> {
        Ok(Rows { place: self.call.write(&x.0, DType::F32)?, at: self.call.size(x.1)?, n })
    }

    /// A mask of any strides whose leading dims are two at most once merged; see [`readable`].
    fn mask(&mut self, mask: Option<&In<'_>>) -> Result<Option<Mask>> {
        self.call.key.variant.push(mask.is_some() as u32);
        let Some(mask) = mask else { return Ok(None) };
        let (shape, strides, r) = (mask.layout.shape(), mask.layout.strides(), mask.layout.rank() - 2);
        let lead = lead(mask.layout);
        let dims = merged(&shape[..r], &[&lead]);
        let place = self.call.read(mask.buffer, DType::F32)?;
        let at = self.call.size(mask.layout.offset())?;
        let inner = self.call.size(dims.sizes.last().copied().unwrap_or(1))?;
        let outer_step = if dims.sizes.len() == 2 { dims.strides[0][0] } else { 0 };
        let steps = [outer_step, dims.strides[0].last().copied().unwrap_or(0), strides[r], strides[r + 1]];
        let indices = [format!("(b / {inner})"), format!("(b % {inner})"), "r".to_owned(), "j".to_owned()];
        let mut sum = format!("bitcast<i32>({at})");
        for (step, index) in steps.iter().zip(indices) {
            let _ = write!(sum, " + bitcast<i32>({index}) * {}", self.call.stride(*step)?);
        }
        Ok(Some(Mask(place.load(&format!("bitcast<u32>({sum})"), Num::F32))))
    }

    /// The score of query `r` and key `j`: `q` is already scaled.
    fn score(&self, q: &Rows, mask: Option<&Mask>) -> String {
        match mask {
            None => format!("let x = {};\n", q.dot("q", "k")),
            Some(Mask(text)) => format!("let x = {} + {text};\n", q.dot("q", "k")),
        }
    }

    /// A thread `i` for each row of one side, in whose scope are the entry `b` and the row's number, `r` or `j`.
    fn each(self, side: Side, body: String) -> Result<()> {
        let Kernel { p, mut call, l, s, .. } = self;
        let (own, size, rows) = match side {
            Side::Queries => ("r", l, p.batch * p.l),
            Side::Keys => ("j", s, p.batch * p.s),
        };
        let (count, groups) = (call.size(rows)?, call.threads(rows)?);
        call.run(groups, || entry(&count, &format!("let b = i / {size};\nlet {own} = i % {size};\n{body}")))
    }

    /// As [`Kernel::each`], with a loop over what the row meets of the other side, in whose scope `other` is its row.
    fn meeting(self, side: Side, before: String, turn: String, after: String) -> Result<()> {
        let (Kernel { l, s, .. }, causal) = (&self, self.p.causal);
        let (met, size, from, to) = match side {
            Side::Queries => ("j", s, "0u", if causal { format!("min({s}, r + 1u)") } else { s.clone() }),
            Side::Keys => ("r", l, if causal { "j" } else { "0u" }, l.clone()),
        };
        let walk =
            format!("for (var {met} = {from}; {met} < {to}; {met}++) {{\nlet other = b * {size} + {met};\n{turn}}}\n");
        self.each(side, format!("{before}{walk}{after}"))
    }
}

/// Whose rows the threads of a kernel have.
#[derive(Clone, Copy)]
enum Side {
    Queries,
    Keys,
}

/// The layout of the leading dims alone.
fn lead(layout: &Layout) -> Layout {
    let r = layout.rank() - 2;
    Layout::strided(layout.shape()[..r].into(), layout.strides()[..r].into(), 0)
}

/// A mask as [`Kernel::mask`] reads it, or the buffer and layout of such a copy.
fn readable(context: &'static Context, mask: Option<In<'_>>) -> Result<Option<(Buffer, Layout)>> {
    let Some(mask) = mask else { return Ok(None) };
    let r = mask.layout.rank() - 2;
    if merged(&mask.layout.shape()[..r], &[&lead(mask.layout)]).sizes.len() <= 2 {
        return Ok(Some((mask.buffer.clone(), mask.layout.clone())));
    }
    let Packed(buffer, _) = packed(context, mask)?;
    Ok(Some((buffer, Layout::contiguous(mask.layout.shape()))))
}

fn seen(mask: &Option<(Buffer, Layout)>) -> Option<In<'_>> {
    mask.as_ref().map(|(buffer, layout)| View { buffer, layout, dtype: DType::F32 })
}

/// Inputs q, k, v and perhaps a mask; outputs y and the logarithms of the sums of weights. False for rows too wide or too many.
pub(super) fn forward(
    context: &'static Context,
    causal: bool,
    scale: f64,
    [q, k, v]: [In<'_>; 3],
    mask: Option<In<'_>>,
    y: &Out<'_>,
    sums: &Out<'_>,
) -> Result<bool> {
    let p = Problem::new(causal, scale, &q, &k, &v);
    if !p.fits(context) {
        return Ok(false);
    }
    let (y, sums) = (output(y, p.batch * p.l * p.d)?, output(sums, p.batch * p.l)?);
    let (q, k, v) = (packed(context, q)?, packed(context, k)?, packed(context, v)?);
    let mask = readable(context, mask)?;
    let mut kernel = Kernel::new(context, "attention", &p)?;
    let (y, sums) = (kernel.write(&y, p.d)?, kernel.write(&sums, 1)?);
    let (q, k, v) = (kernel.read(&q, p.e)?, kernel.read(&k, p.e)?, kernel.read(&v, p.d)?);
    let mask = kernel.mask(seen(&mask).as_ref())?;
    let before = format!(
        "{}{}{}var top = -3.4028234e38f;\nvar total = 0.0f;\n",
        q.load("p", "i"),
        scaled(&q, &kernel.scale),
        y.zeros("y")
    );
    let body = format!(
        "{}{}if (x > top) {{\nlet shrink = exp_f32(top - x);\n{}total *= shrink;\ntop = x;\n}}\n\
         let w = exp_f32(x - top);\ntotal += w;\n{}{}",
        k.load("k", "other"),
        kernel.score(&q, mask.as_ref()),
        y.times("y", "shrink"),
        v.load("v", "other"),
        y.add("y", "w", "v"),
    );
    let after = format!(
        "let nothing = total == 0.0f;\nlet by = select(1.0f / total, 0.0f, nothing);\n{}{}",
        y.store("y", "i", "by"),
        sums.place.store(&sums.element("i", 0), "select(top + log_f32(total), lowest_f32(), nothing)", Num::F32),
    );
    kernel.meeting(Side::Queries, before, body, after)?;
    Ok(true)
}

/// Defines `q0`, … as `p0`, … times the scale.
fn scaled(q: &Rows, scale: &str) -> String {
    (0..q.quads()).map(|quad| format!("let q{quad} = p{quad} * {scale};\n")).collect()
}

/// Inputs g, q, k, v, y, the logarithms of the sums, perhaps a mask; outputs the gradients of q, k and v.
pub(super) fn backward(
    context: &'static Context,
    causal: bool,
    scale: f64,
    [g, q, k, v, y, sums]: [In<'_>; 6],
    mask: Option<In<'_>>,
    [gq, gk, gv]: [&Out<'_>; 3],
) -> Result<bool> {
    let p = Problem::new(causal, scale, &q, &k, &v);
    if !p.fits(context) {
        return Ok(false);
    }
    let to = (output(gq, p.batch * p.l * p.e)?, output(gk, p.batch * p.s * p.e)?, output(gv, p.batch * p.s * p.d)?);
    let (g, q, k, v) = (packed(context, g)?, packed(context, q)?, packed(context, k)?, packed(context, v)?);
    let (y, sums) = (packed(context, y)?, packed(context, sums)?);
    let mask = readable(context, mask)?;
    let pairs = summaries(context, &p, &g, &y, &sums)?;

    let mut kernel = Kernel::new(context, "attention_queries", &p)?;
    let gq = kernel.write(&to.0, p.e)?;
    let (gs, qs, ks, vs) = (kernel.read(&g, p.d)?, kernel.read(&q, p.e)?, kernel.read(&k, p.e)?, kernel.read(&v, p.d)?);
    let known = kernel.read(&pairs, 2)?;
    let hidden = kernel.mask(seen(&mask).as_ref())?;
    let before = format!(
        "{}{}{}{}{}",
        qs.load("p", "i"),
        scaled(&qs, &kernel.scale),
        gs.load("g", "i"),
        known.load("known", "i"),
        gq.zeros("t")
    );
    let body = format!(
        "{}{}{}let w = exp_f32(x - known0.x);\nlet slope = w * ({} - known0.y);\n{}",
        ks.load("k", "other"),
        vs.load("v", "other"),
        kernel.score(&qs, hidden.as_ref()),
        gs.dot("g", "v"),
        gq.add("t", "slope", "k"),
    );
    let after = gq.store("t", "i", &kernel.scale);
    kernel.meeting(Side::Queries, before, body, after)?;

    let mut kernel = Kernel::new(context, "attention_keys", &p)?;
    let (gk, gv) = (kernel.write(&to.1, p.e)?, kernel.write(&to.2, p.d)?);
    let (gs, qs, ks, vs) = (kernel.read(&g, p.d)?, kernel.read(&q, p.e)?, kernel.read(&k, p.e)?, kernel.read(&v, p.d)?);
    let known = kernel.read(&pairs, 2)?;
    let hidden = kernel.mask(seen(&mask).as_ref())?;
    let before = format!("{}{}{}{}", ks.load("k", "i"), vs.load("v", "i"), gk.zeros("t"), gv.zeros("u"));
    let body = format!(
        "{}{}{}{}{}let w = exp_f32(x - known0.x);\n{}let slope = w * ({} - known0.y);\n{}",
        qs.load("p", "other"),
        scaled(&qs, &kernel.scale),
        gs.load("g", "other"),
        known.load("known", "other"),
        kernel.score(&qs, hidden.as_ref()),
        gv.add("u", "w", "g"),
        gs.dot("g", "v"),
        // `q` is scaled, which is the factor that the gradient of a key wants.
        gk.add("t", "slope", "q"),
    );
    let after = format!("{}{}", gk.store("t", "i", "1.0f"), gv.store("u", "i", "1.0f"));
    kernel.meeting(Side::Keys, before, body, after)?;
    Ok(true)
}

/// For each query, in one array (shaders bind few): the logarithm of its sum, 0 where it saw nothing, and `Σ g y`.
fn summaries(context: &'static Context, p: &Problem, g: &Packed, y: &Packed, sums: &Packed) -> Result<Packed> {
    let pairs = Packed(Buffer(context.allocate(p.batch * p.l * 2 * DType::F32.size())?), 0);
    let mut kernel = Kernel::new(context, "attention_summaries", p)?;
    let to = kernel.write(&pairs, 2)?;
    let (g, y, sums) = (kernel.read(g, p.d)?, kernel.read(y, p.d)?, kernel.read(sums, 1)?);
    let body = format!(
        "{}{}{}let sum = select(s0.x, 0.0f, s0.x < -3.4028234e38f);\nlet t0 = vec4<f32>(sum, {}, 0.0f, 0.0f);\n{}",
        g.load("g", "i"),
        y.load("y", "i"),
        sums.load("s", "i"),
        g.dot("g", "y"),
        to.store("t", "i", "1.0f"),
    );
    kernel.each(Side::Queries, body)?;
    Ok(pairs)
}
