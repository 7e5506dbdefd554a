//! Attention without a matrix of scores: a thread goes over all keys of its query and keeps the largest score and the
//! sum of weights so far. Backwards the weights are computed anew from the saved logarithms of the sums: once by the
//! threads of the queries, once by those of the keys, so that nobody adds into what another one writes. Which weights
//! are dropped is computed as often: Philox tells it of a weight's number alone.
//!
//! Rabe and Staats, "Self-attention Does Not Need O(n²) Memory" (2021); Dao et al., "FlashAttention" (2022).

use super::{output, packed, In, Out, Packed};
use crate::context::Context;
use crate::elementwise::merged;
use crate::memory::Buffer;
use crate::random::Chance;
use crate::shader::{entry, Call, Num, Place};
use crate::stream::Task;
use std::fmt::Write;
use wengert_ops::{DType, Error, Layout, Result, Scalar, View};

/// A row of queries, keys or values is kept in registers: wider ones are left to the definition, and so are more keys than
/// a thread can go over.
const WIDEST: usize = 128;

/// Of the loops' rounds on devices that count them: Philox has some of its own for each weight.
const PHILOX: usize = 12;

/// What an op's fields and its inputs behind the values say.
pub(super) struct How<'a> {
    causal: bool,
    scale: f64,
    mask: Option<In<'a>>,
    /// The probability that a weight is kept, and the key of the numbers that decide it.
    dropout: Option<(f64, In<'a>)>,
}

impl<'a> How<'a> {
    pub fn new(causal: bool, scale_bits: u64, keep_bits: u64, more: &[In<'a>]) -> Result<How<'a>> {
        let (scale, keep) = (f64::from_bits(scale_bits), f64::from_bits(keep_bits));
        let (mask, dropout) = match more.split_last() {
            Some((key, mask)) if keep < 1.0 => (mask.first().copied(), Some((keep, *key))),
            _ => (more.first().copied(), None),
        };
        if let Some((_, key)) = dropout.filter(|(_, key)| key.layout.shape().get(1) != Some(&2)) {
            return Err(Error::internal(format!(
                "attention: a key of a GPU is two words: got {:?}",
                key.layout.shape()
            )));
        }
        Ok(How { causal, scale, mask, dropout })
    }
}

/// Sizes that a call's kernels share.
struct Problem {
    causal: bool,
    scale: f64,
    drops: bool,
    batch: usize,
    l: usize,
    s: usize,
    e: usize,
    d: usize,
}

impl Problem {
    fn new(how: &How<'_>, q: &In<'_>, k: &In<'_>, v: &In<'_>) -> Problem {
        let How { causal, scale, .. } = *how;
        let last = |x: &In<'_>, n: usize| x.layout.shape()[x.layout.rank() - n];
        let batch = q.layout.shape()[..q.layout.rank() - 2].iter().product();
        let drops = how.dropout.is_some();
        Problem { causal, scale, drops, batch, l: last(q, 2), s: last(k, 2), e: last(q, 1), d: last(v, 1) }
    }

    /// Numbers of the summaries; see [`summaries`].
    fn pairs(&self) -> usize {
        2 * self.batch * self.l
    }

    fn fits(&self, context: &Context) -> bool {
        let rounds = if self.drops { context.rounds() / PHILOX } else { context.rounds() };
        self.e.max(self.d) <= WIDEST && self.l.max(self.s) <= rounds
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

    /// What a weight is multiplied by, as `f`, in the scope of `b`, `r` and `j`: its number is its place in row-major order,
    /// as in an array of all weights that is drawn at once. The key's two words are where `key` says.
    fn factor(&mut self, how: &How<'_>, key: Option<(Place, usize)>) -> Result<Option<String>> {
        self.call.key.variant.push(key.is_some() as u32);
        let (Some((keep, _)), Some((place, at))) = (&how.dropout, key) else { return Ok(None) };
        let at = self.call.size(at)?;
        let chance = Chance::bind(&mut self.call, *keep);
        let by = self.call.scalar(Num::F32, Scalar::Float(1.0 / keep));
        let seed = format!("vec2<u32>({}, {})", place.word(&at), place.word(&format!("{at} + 1u")));
        Ok(Some(format!(
            "let first = wide_product(b * {} + r, {});\nlet number = add_i64(first, vec2<u32>(j, 0u));\n\
             let f = select(0.0f, {by}, {});\n",
            self.l,
            self.s,
            chance.holds("number", &seed)
        )))
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

/// Inputs q, k and v; outputs y and the logarithms of the sums of weights. False for rows too wide or too many.
pub(super) fn forward(
    context: &'static Context,
    how: &How<'_>,
    [q, k, v]: [In<'_>; 3],
    y: &Out<'_>,
    sums: &Out<'_>,
) -> Result<bool> {
    let p = Problem::new(how, &q, &k, &v);
    if !p.fits(context) {
        return Ok(false);
    }
    let (y, sums) = (output(y, p.batch * p.l * p.d)?, output(sums, p.batch * p.l)?);
    let (q, k, v) = (packed(context, q)?, packed(context, k)?, packed(context, v)?);
    let mask = readable(context, how.mask)?;
    let mut kernel = Kernel::new(context, "attention", &p)?;
    let (y, sums) = (kernel.write(&y, p.d)?, kernel.write(&sums, 1)?);
    let (q, k, v) = (kernel.read(&q, p.e)?, kernel.read(&k, p.e)?, kernel.read(&v, p.d)?);
    let mask = kernel.mask(seen(&mask).as_ref())?;
    let key = match &how.dropout {
        Some((_, key)) => Some((kernel.call.read(key.buffer, DType::I32)?, key.layout.offset())),
        None => None,
    };
    let factor = kernel.factor(how, key)?;
    let before = format!(
        "{}{}{}var top = -3.4028234e38f;\nvar total = 0.0f;\n",
        q.load("p", "i"),
        scaled(&q, &kernel.scale),
        y.zeros("y")
    );
    let body = format!(
        "{}{}if (x > top) {{\nlet shrink = exp_f32(top - x);\n{}total *= shrink;\ntop = x;\n}}\n\
         let w = exp_f32(x - top);\ntotal += w;\n{}{}{}",
        k.load("k", "other"),
        kernel.score(&q, mask.as_ref()),
        y.times("y", "shrink"),
        v.load("v", "other"),
        factor.as_deref().unwrap_or_default(),
        y.add("y", if factor.is_some() { "(w * f)" } else { "w" }, "v"),
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

/// Inputs g, q, k, v, y and the logarithms of the sums; outputs the gradients of q, k and v.
pub(super) fn backward(
    context: &'static Context,
    how: &How<'_>,
    [g, q, k, v, y, sums]: [In<'_>; 6],
    [gq, gk, gv]: [&Out<'_>; 3],
) -> Result<bool> {
    let p = Problem::new(how, &q, &k, &v);
    if !p.fits(context) {
        return Ok(false);
    }
    let to = (output(gq, p.batch * p.l * p.e)?, output(gk, p.batch * p.s * p.e)?, output(gv, p.batch * p.s * p.d)?);
    let (g, q, k, v) = (packed(context, g)?, packed(context, q)?, packed(context, k)?, packed(context, v)?);
    let (y, sums) = (packed(context, y)?, packed(context, sums)?);
    let mask = readable(context, how.mask)?;
    let pairs = summaries(context, &p, how, &g, &y, &sums)?;

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
    let factor = kernel.factor(how, p.drops.then_some((known.place, p.pairs())))?;
    let body = format!(
        "{}{}{}let w = exp_f32(x - known0.x);\n{}let slope = w * ({} - known0.y);\n{}",
        ks.load("k", "other"),
        vs.load("v", "other"),
        kernel.score(&qs, hidden.as_ref()),
        factor.as_deref().unwrap_or_default(),
        along(&gs, &factor),
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
    let factor = kernel.factor(how, p.drops.then_some((known.place, p.pairs())))?;
    let body = format!(
        "{}{}{}{}{}let w = exp_f32(x - known0.x);\n{}{}let slope = w * ({} - known0.y);\n{}",
        qs.load("p", "other"),
        scaled(&qs, &kernel.scale),
        gs.load("g", "other"),
        known.load("known", "other"),
        kernel.score(&qs, hidden.as_ref()),
        factor.as_deref().unwrap_or_default(),
        gv.add("u", if factor.is_some() { "(w * f)" } else { "w" }, "g"),
        along(&gs, &factor),
        // `q` is scaled, which is the factor that the gradient of a key wants.
        gk.add("t", "slope", "q"),
    );
    let after = format!("{}{}", gk.store("t", "i", "1.0f"), gv.store("u", "i", "1.0f"));
    kernel.meeting(Side::Keys, before, body, after)?;
    Ok(true)
}

/// The gradient of a weight, before what it shares with its row.
fn along(g: &Rows, factor: &Option<String>) -> String {
    match factor {
        Some(_) => format!("f * ({})", g.dot("g", "v")),
        None => g.dot("g", "v"),
    }
}

/// For each query, in one array (shaders bind few): the logarithm of its sum, 0 where it saw nothing, and `Σ g y`. Behind
/// them the key of what is dropped.
fn summaries(
    context: &'static Context,
    p: &Problem,
    how: &How<'_>,
    g: &Packed,
    y: &Packed,
    sums: &Packed,
) -> Result<Packed> {
    let pairs = Packed(Buffer(context.allocate((p.pairs() + 2) * DType::F32.size())?), 0);
    if let Some((_, key)) = &how.dropout {
        let (at, to_at) = (4 * key.layout.offset() as u64, 4 * p.pairs() as u64);
        context.push(Task::Copy { from: key.buffer.0.clone(), at, to: pairs.0 .0.clone(), to_at, bytes: 8 })?;
    }
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
