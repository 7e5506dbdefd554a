//! Running sums and products along a dim, forwards or backwards.
//!
//! A thread walks along a line. Lines that are too few for the device are cut into parts: the parts' folds are scanned
//! first, by the same means, and each part then starts from what lies before it.

use crate::context::Context;
use crate::elementwise::copy;
use crate::fold::{least_parts, scratch, stored, Folding, Share};
use crate::memory::Buffer;
use crate::reduce::{careful_sum, join, nothing, number, pieces, Target};
use crate::shader::{Call, Num};
use std::sync::Arc;
use wengert_ops::{contract, Error, Layout, Reduction, Result, ScanKind, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// `Backend::scan`.
pub(crate) fn scan(
    context: &'static Context,
    kind: ScanKind,
    x: In<'_>,
    dim: usize,
    reverse: bool,
    out: Out<'_>,
) -> Result<()> {
    contract::scan(&x, &out)?;
    if x.layout.numel() == 0 {
        return Ok(());
    }
    let kind = match kind {
        ScanKind::Sum => Reduction::Sum,
        ScanKind::Prod => Reduction::Prod,
    };
    let num = number(kind, x.dtype, out.dtype());
    let mut fold = Folding::new(context, x, 1 << dim)?;
    if reverse {
        fold.turn();
    }
    let inside = x.layout.shape().iter().skip(dim + 1).product();
    let small_in_place = out.dtype().size() < 4 && Arc::ptr_eq(&x.buffer.0, &out.buffer().0);
    if out.layout().is_contiguous() && !small_in_place {
        let target = Target { buffer: out.buffer(), dtype: out.dtype(), at: out.layout().offset() };
        return run(context, kind, num, &fold, reverse, inside, target);
    }
    let buffer = Buffer(context.allocate(x.layout.numel() * out.dtype().size())?);
    run(context, kind, num, &fold, reverse, inside, Target { buffer: &buffer, dtype: out.dtype(), at: 0 })?;
    copy(context, View { buffer: &buffer, layout: &Layout::contiguous(x.layout.shape()), dtype: out.dtype() }, out)
}

/// Scans to a row-major array in which a line's elements lie `inside` apart.
fn run(
    context: &'static Context,
    kind: Reduction,
    num: Num,
    fold: &Folding,
    reverse: bool,
    inside: usize,
    out: Target<'_>,
) -> Result<()> {
    let kept = fold.kept.numel();
    // A part's product may overflow where the running product does not.
    let whole = kind == Reduction::Prod && matches!(num, Num::F32 | Num::F64);
    if whole && least_parts(context, fold.folded.numel()) > 1 {
        return Err(Error::runtime(format!(
            "cumprod: lines of {} elements, and the software device gpu:{} ('{}') walks along {} at once; use device 'cpu'",
            fold.folded.numel(),
            context.index,
            context.info.name,
            context.rounds()
        )));
    }
    let share = if whole { Share { lanes: 1, parts: 1 } } else { Share::of_lines(context, fold) };
    if share.parts == 1 {
        return pass(context, kind, num, fold, reverse, inside, share, None, out);
    }
    let (sums, dtype) = pieces(context, kind, num, fold, share)?;
    let (before, _) = scratch(context, kept * share.parts, num)?;
    let lines = Folding::matrix(sums, dtype, kept, share.parts, true);
    run(context, kind, num, &lines, false, kept, Target { buffer: &before, dtype, at: 0 })?;
    pass(context, kind, num, fold, reverse, inside, share, Some(&before), out)
}

/// One kernel. `before` holds the folds up to and with each part, `[parts, kept]`.
#[allow(clippy::too_many_arguments)]
fn pass(
    context: &'static Context,
    kind: Reduction,
    num: Num,
    fold: &Folding,
    reverse: bool,
    inside: usize,
    share: Share,
    before: Option<&Buffer>,
    out: Target<'_>,
) -> Result<()> {
    let share = Share { lanes: 1, ..share };
    let mut call = Call::new(context, "scan");
    call.key.variant.extend_from_slice(&[kind as u32, num as u32, reverse as u32, before.is_some() as u32]);
    let target = call.scatter(out.buffer, out.dtype)?;
    let x = fold.bind(&mut call)?;
    let before = match before {
        Some(buffer) => Some(call.read(buffer, stored(num))?),
        None => None,
    };
    let (lines, length) = (fold.kept.numel(), fold.folded.numel());
    let count = call.size(lines * share.parts)?;
    let [kept, end, chunk] = [call.size(lines)?, call.size(length)?, call.size(share.chunk(length))?];
    let (inside, at, veil) = (call.size(inside)?, call.size(out.at)?, call.word(0));
    let groups = share.groups(&call, lines * share.parts)?;
    call.run(groups, || {
        let value = x.place.load("at", num);
        let careful = kind == Reduction::Sum && num == Num::F32;
        let (y, add) = match careful {
            true => ("total + lost", format!("{}total = s;\n", careful_sum("value", &veil))),
            false => ("total", format!("total = {};\n", join(kind, num, "total", "value"))),
        };
        let number = if reverse { format!("({end} - 1u - j)") } else { "j".to_owned() };
        let body = format!(
            "let value = {value};\n{add}let y = {y};\n{}",
            target.store(&format!("(q + {number} * {inside})"), "y", num)
        );
        let walk = x.folded.each("a", &format!("part * {chunk}"), "1u", "end", &body);
        let start = before.map_or(String::new(), |b| {
            format!("if (part > 0u) {{\ntotal = {};\n}}\n", b.load(&format!("(v - {kept})"), num))
        });
        let body = format!(
            "if (working) {{\nlet part = v / {kept};\nlet k = v % {kept};\n{}\
             let end = min(part * {chunk} + {chunk}, {end});\n\
             let q = {at} + (k / {inside}) * {inside} * {end} + k % {inside};\n\
             var total = {};\n{}{start}{walk}}}\n",
            x.kept.place("a", &x.start, "k"),
            nothing(kind, num),
            if careful { "var lost = 0.0f;\n" } else { "" },
        );
        share.entry(&count, &body)
    })
}
