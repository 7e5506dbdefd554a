//! Folding dims away: sum, prod, max, min, any, all.
//!
//! Threads of a group fold one result together where its elements lie side by side (rows), or one each where the results'
//! do (columns). Results that are too few for the device are folded in parts, which the same kernel then joins.

use crate::context::Context;
use crate::fold::{scratch, Folding, Share};
use crate::memory::Buffer;
use crate::shader::{own_num, truth, Call, Num};
use wengert_ops::{contract, Compute, DType, Error, Reduction, Result, Row, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// `Backend::reduce`.
pub(crate) fn reduce(context: &'static Context, kind: Reduction, x: In<'_>, dims: u64, out: Out<'_>) -> Result<()> {
    match kind {
        Reduction::Max => contract::nonempty("amax", x.layout, dims)?,
        Reduction::Min => contract::nonempty("amin", x.layout, dims)?,
        _ => {}
    }
    let fold = Folding::new(context, x, dims)?;
    if fold.kept.numel() != out.layout().numel() || !out.layout().is_contiguous() {
        return Err(Error::internal(format!("reduce: {:?} to {:?}", x.layout, out.layout())));
    }
    let at = out.layout().offset();
    run(
        context,
        kind,
        number(kind, x.dtype, out.dtype()),
        &fold,
        Target { buffer: out.buffer(), dtype: out.dtype(), at },
    )
}

/// What a fold is computed in. Sums and products convert their elements first, as PyTorch does with `dtype=`.
pub(crate) fn number(kind: Reduction, from: DType, to: DType) -> Num {
    match (kind, to.compute()) {
        (Reduction::Max | Reduction::Min, _) => own_num(from),
        (Reduction::Any | Reduction::All, _) => Num::I32,
        (_, Compute::F32) => Num::F32,
        (_, Compute::F64) => Num::F64,
        // Of what wraps, the low bits do not depend on the high ones; whether all are zero does.
        (_, Compute::I64) if matches!(to, DType::I64 | DType::Bool) => Num::I64,
        (_, Compute::I64) => Num::I32,
    }
}

/// The text that joins the texts `a` and `b`.
pub(crate) fn join(kind: Reduction, num: Num, a: &str, b: &str) -> String {
    let pick = |better: String| match num {
        Num::F32 | Num::F64 => format!("select({b}, {a}, {better} || {})", Row::Isnan.wgsl(num, &[a])),
        _ => format!("select({b}, {a}, {better})"),
    };
    match kind {
        Reduction::Sum => Row::Add.wgsl(num, &[a, b]),
        Reduction::Prod => Row::Mul.wgsl(num, &[a, b]),
        Reduction::Max => pick(Row::Gt.wgsl(num, &[a, b])),
        Reduction::Min => pick(Row::Gt.wgsl(num, &[b, a])),
        Reduction::Any => format!("({a} | {b})"),
        Reduction::All => format!("({a} & {b})"),
    }
}

/// The text of a fold over nothing.
pub(crate) fn nothing(kind: Reduction, num: Num) -> String {
    match kind {
        Reduction::Sum | Reduction::Any => num.literal(0.0),
        Reduction::Prod | Reduction::All => num.literal(1.0),
        Reduction::Max => format!("lowest_{}()", num.suffix()),
        Reduction::Min => format!("highest_{}()", num.suffix()),
    }
}

/// Where results go: one after another from `at`.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub buffer: &'a Buffer,
    pub dtype: DType,
    pub at: usize,
}

fn run(context: &'static Context, kind: Reduction, num: Num, fold: &Folding, out: Target<'_>) -> Result<()> {
    let kept = fold.kept.numel();
    if kept == 0 {
        return Ok(());
    }
    let share = Share::of(context, fold);
    if share.parts == 1 {
        return pass(context, kind, num, fold, share, out);
    }
    let (buffer, dtype) = scratch(context, kept * share.parts, num)?;
    pass(context, kind, num, fold, share, Target { buffer: &buffer, dtype, at: 0 })?;
    run(context, kind, num, &Folding::matrix(buffer, dtype, kept, share.parts, true), out)
}

/// The folds of a scan's pieces: `[parts, kept]` of them, of type `num`.
pub(crate) fn pieces(
    context: &'static Context,
    kind: Reduction,
    num: Num,
    fold: &Folding,
    share: Share,
) -> Result<(Buffer, DType)> {
    let (buffer, dtype) = scratch(context, fold.kept.numel() * share.parts, num)?;
    pass(context, kind, num, fold, share, Target { buffer: &buffer, dtype, at: 0 })?;
    Ok((buffer, dtype))
}

/// Statements that add a text to `total`, as `s`, and what that loses to `lost`.
pub(crate) fn careful_sum(value: &str, veil: &str) -> String {
    format!("let s = veiled_f32(total + {value}, {veil});\nlost += lost_f32(total, {value}, s, {veil});\n")
}

/// Elements that a float sum takes together before they go to its total.
const BLOCK: u32 = 16;

/// One kernel: results, or their parts, `[parts, kept]`.
fn pass(
    context: &'static Context,
    kind: Reduction,
    num: Num,
    fold: &Folding,
    share: Share,
    out: Target<'_>,
) -> Result<()> {
    let mut call = Call::new(context, "reduce");
    call.key.variant.extend_from_slice(&[kind as u32, num as u32, share.lanes]);
    let target = call.scatter(out.buffer, out.dtype)?;
    let x = fold.bind(&mut call)?;
    let (kept, length) = (fold.kept.numel(), fold.folded.numel());
    let count = call.size(kept * share.parts)?;
    let [kept, end, chunk] = [call.size(kept)?, call.size(length)?, call.size(share.chunk(length))?];
    let (at, veil) = (call.size(out.at)?, call.word(0));
    let groups = share.groups(&call, fold.kept.numel() * share.parts)?;
    call.run(groups, || {
        let value = match kind {
            Reduction::Any | Reduction::All => {
                format!("select(0i, 1i, {})", truth(&x.place.load("at", own_num(x.place.dtype)), own_num(x.place.dtype)))
            }
            _ => x.place.load("at", num),
        };
        let step = format!("{}u", share.lanes);
        // A float sum goes in blocks, whose totals are added with what each addition loses.
        let careful = kind == Reduction::Sum && num == Num::F32;
        let (before, body, after) = if careful {
            let add = careful_sum("block", &veil);
            (
                "var lost = 0.0f;\nvar block = 0.0f;\nvar pending = 0u;\n".to_owned(),
                format!(
                    "block += {value};\npending += 1u;\nif (pending == {BLOCK}u) {{\n{add}total = s;\nblock = 0.0f;\n\
                     pending = 0u;\n}}\n"
                ),
                format!("{add}total = s + lost;\n"),
            )
        } else {
            (String::new(), format!("let value = {value};\ntotal = {};\n", join(kind, num, "total", "value")), String::new())
        };
        let walk = x.folded.each("a", &format!("part * {chunk} + lane"), &step, "end", &body);
        let body = format!(
            "var total = {};\nif (working) {{\nlet part = v / {kept};\n{}let end = min(part * {chunk} + {chunk}, {end});\n\
             {before}{walk}{after}}}\nlet y = across(total, t);\nif (working && lane == 0u) {{\n{}}}\n",
            nothing(kind, num),
            x.kept.place("a", &x.start, &format!("(v % {kept})")),
            target.store(&format!("({at} + v)"), "y", num),
        );
        format!("{}{}", share.across("across", num, &join(kind, num, "a", "b")), share.entry(&count, &body))
    })
}
