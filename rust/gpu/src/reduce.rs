//! Folding dims away: sum, prod, max, min, any, all.
//!
//! Threads of a group fold one result together where its elements lie side by side (rows), or one each where the results'
//! do (columns). Results that are too few for the device are folded in parts, which the same kernel then joins.

use crate::chain::is_usual;
use crate::context::Context;
use crate::fold::{scratch, Bound, Folding, Share, Walk};
use crate::memory::Buffer;
use crate::shader::{own_num, truth, Call, Num, Place};
use crate::stream::{Dispatch, Task};
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
    let num = number(kind, x.dtype, out.dtype());
    let out = Target { buffer: out.buffer(), dtype: out.dtype(), at };
    // What is contiguous may be what a chain in the queue computes.
    if x.layout.is_contiguous() && is_usual(context, x.buffer, x.dtype) && is_usual(context, out.buffer, out.dtype) {
        return run(context, kind, num, &fold, out, &|pass| context.push(Task::Fold(Box::new(pass))));
    }
    run(context, kind, num, &fold, out, &|pass| pass.push(context))
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

/// The kernels of a fold, of which `first` takes the one that reads the array.
fn run(
    context: &'static Context,
    kind: Reduction,
    num: Num,
    fold: &Folding,
    out: Target<'_>,
    first: &dyn Fn(Pass) -> Result<()>,
) -> Result<()> {
    let kept = fold.kept.numel();
    if kept == 0 {
        return Ok(());
    }
    let share = Share::of(context, fold);
    if share.parts == 1 {
        return first(Pass::new(kind, num, fold, share, out));
    }
    let (buffer, dtype) = scratch(context, kept * share.parts, num)?;
    first(Pass::new(kind, num, fold, share, Target { buffer: &buffer, dtype, at: 0 }))?;
    let parts = Folding::matrix(buffer, dtype, kept, share.parts, true);
    run(context, kind, num, &parts, out, &|pass| pass.push(context))
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
    Pass::new(kind, num, fold, share, Target { buffer: &buffer, dtype, at: 0 }).push(context)?;
    Ok((buffer, dtype))
}

/// Statements that add a text to `total`, as `s`, and what that loses to `lost`.
pub(crate) fn careful_sum(value: &str, veil: &str) -> String {
    format!("let s = veiled_f32(total + {value}, {veil});\nlost += lost_f32(total, {value}, s, {veil});\n")
}

/// Elements that a float sum takes together before they go to its total.
const BLOCK: u32 = 16;

/// One kernel: results, or their parts, `[parts, kept]`, of elements that are read from the array, or computed where they
/// are folded.
pub(crate) struct Pass {
    kind: Reduction,
    num: Num,
    pub fold: Folding,
    share: Share,
    pub out: Buffer,
    dtype: DType,
    at: usize,
}

impl Pass {
    fn new(kind: Reduction, num: Num, fold: &Folding, share: Share, out: Target<'_>) -> Pass {
        Pass { kind, num, fold: fold.clone(), share, out: out.buffer.clone(), dtype: out.dtype, at: out.at }
    }

    /// Queues the kernel that reads the array.
    fn push(&self, context: &'static Context) -> Result<()> {
        match self.dispatch(context)? {
            Some(dispatch) => context.push(Task::Dispatch(dispatch)),
            None => Ok(()),
        }
    }

    /// The kernel that reads the array.
    pub fn dispatch(&self, context: &'static Context) -> Result<Option<Dispatch>> {
        let (mut call, target) = self.begin(context)?;
        let Bound { place, start, kept, folded } = self.fold.bind(&mut call)?;
        let element = move |num| (String::new(), place.load("at", num));
        let (groups, body) = self.body(&mut call, target, start, (kept, folded), element)?;
        call.dispatch(groups, body)
    }

    /// A call to which the results are bound.
    pub fn begin(&self, context: &'static Context) -> Result<(Call, Place)> {
        let mut call = Call::new(context, "reduce");
        let target = call.scatter(&self.out, self.dtype)?;
        Ok((call, target))
    }

    /// Groups, and what makes the text. `element` gives statements that find the element at `at`, and its text in a type;
    /// elements are counted from the text `start`.
    pub fn body<E: FnOnce(Num) -> (String, String)>(
        &self,
        call: &mut Call,
        target: Place,
        start: String,
        (along, across): (Walk, Walk),
        element: E,
    ) -> Result<([u32; 3], impl FnOnce() -> String + use<E>)> {
        let Pass { kind, num, share, .. } = *self;
        let own = own_num(self.fold.dtype);
        call.key.variant.extend_from_slice(&[kind as u32, num as u32, share.lanes]);
        let (kept, length) = (self.fold.kept.numel(), self.fold.folded.numel());
        let groups = share.groups(call, kept * share.parts)?;
        let count = call.size(kept * share.parts)?;
        let [kept, end, chunk] = [call.size(kept)?, call.size(length)?, call.size(share.chunk(length))?];
        let (at, veil) = (call.size(self.at)?, call.word(0));
        let body = move || {
            let (find, value) = match kind {
                Reduction::Any | Reduction::All => {
                    let (find, value) = element(own);
                    (find, format!("select(0i, 1i, {})", truth(&value, own)))
                }
                _ => element(num),
            };
            let step = format!("{}u", share.lanes);
            // A float sum goes in blocks, whose totals are added with what each addition loses.
            let careful = kind == Reduction::Sum && num == Num::F32;
            let (before, body, after) = if careful {
                let add = careful_sum("block", &veil);
                (
                    "var lost = 0.0f;\nvar block = 0.0f;\nvar pending = 0u;\n".to_owned(),
                    format!(
                        "{find}block += {value};\npending += 1u;\nif (pending == {BLOCK}u) {{\n{add}total = s;\n\
                         block = 0.0f;\npending = 0u;\n}}\n"
                    ),
                    format!("{add}total = s + lost;\n"),
                )
            } else {
                let total = join(kind, num, "total", "value");
                (String::new(), format!("{find}let value = {value};\ntotal = {total};\n"), String::new())
            };
            let walk = across.each("a", &format!("part * {chunk} + lane"), &step, "end", &body);
            let body = format!(
                "var total = {};\nif (working) {{\nlet part = v / {kept};\n{}\
                 let end = min(part * {chunk} + {chunk}, {end});\n{before}{walk}{after}}}\n\
                 let y = across(total, t);\nif (working && lane == 0u) {{\n{}}}\n",
                nothing(kind, num),
                along.place("a", &start, &format!("(v % {kept})")),
                target.store(&format!("({at} + v)"), "y", num),
            );
            format!("{}{}", share.across("across", num, &join(kind, num, "a", "b")), share.entry(&count, &body))
        };
        Ok((groups, body))
    }
}
