//! The largest or smallest element along a dim, and where it stands. NaN wins, and of equals the first.
//!
//! Shared among threads as reductions are; parts hand on the place of their extreme with it.

use crate::context::Context;
use crate::elementwise::copy;
use crate::fold::{scratch, Folding, Share};
use crate::memory::Buffer;
use crate::shader::{own_num, type_text, Call, Num, THREADS};
use smallvec::SmallVec;
use wengert_ops::{contract, DType, Extremum, Layout, Result, Row, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// `Backend::extreme`.
pub(crate) fn extreme(
    context: &'static Context,
    kind: Extremum,
    x: In<'_>,
    dim: usize,
    values: Option<Out<'_>>,
    indices: Option<Out<'_>>,
) -> Result<()> {
    contract::extreme(kind, &x, dim, values.as_ref(), indices.as_ref())?;
    let fold = Folding::new(context, x, 1 << dim)?;
    let kept = fold.kept.numel();
    if kept == 0 {
        return Ok(());
    }
    // Outputs that are not row-major are written beside them first.
    let place = |out: &Option<Out<'_>>| -> Result<Option<(Buffer, DType, usize)>> {
        Ok(match out {
            None => None,
            Some(o) if o.layout().is_contiguous() => Some((o.buffer().clone(), o.dtype(), o.layout().offset())),
            Some(o) => Some((Buffer(context.allocate(kept * o.dtype().size())?), o.dtype(), 0)),
        })
    };
    let to = Outputs { values: place(&values)?, places: place(&indices)? };
    run(context, kind, &fold, None, &to)?;
    for (out, beside) in [(values, to.values), (indices, to.places)] {
        if let (Some(out), Some((buffer, dtype, _))) = (out, beside) {
            if !out.layout().is_contiguous() {
                let layout = Layout::contiguous(out.layout().shape());
                copy(context, View { buffer: &buffer, layout: &layout, dtype }, out)?;
            }
        }
    }
    Ok(())
}

/// Where results go: block, dtype, and the first element's place.
struct Outputs {
    values: Option<(Buffer, DType, usize)>,
    places: Option<(Buffer, DType, usize)>,
}

fn run(
    context: &'static Context,
    kind: Extremum,
    fold: &Folding,
    places: Option<&Buffer>,
    out: &Outputs,
) -> Result<()> {
    let share = Share::of(context, fold);
    if share.parts == 1 {
        return pass(context, kind, fold, places, share, out);
    }
    let count = fold.kept.numel() * share.parts;
    let (values, dtype) = scratch(context, count, own_num(fold.dtype))?;
    let (at, _) = scratch(context, count, Num::I32)?;
    let parts = Outputs { values: Some((values.clone(), dtype, 0)), places: Some((at.clone(), DType::I32, 0)) };
    pass(context, kind, fold, places, share, &parts)?;
    let next = Folding::matrix(values, dtype, fold.kept.numel(), share.parts, true);
    run(context, kind, &next, Some(&at), out)
}

/// One kernel: results, or their parts. `places` tells where elements that are results of parts stood.
fn pass(
    context: &'static Context,
    kind: Extremum,
    fold: &Folding,
    places: Option<&Buffer>,
    share: Share,
    out: &Outputs,
) -> Result<()> {
    let num = own_num(fold.dtype);
    let mut call = Call::new(context, "extreme");
    call.key.variant.extend_from_slice(&[kind as u32, share.lanes, places.is_some() as u32]);
    let mut targets = SmallVec::<[_; 2]>::new();
    for (which, o) in [(0, &out.values), (1, &out.places)] {
        call.key.variant.push(o.is_some() as u32);
        if let Some((buffer, dtype, at)) = o {
            targets.push((which, call.scatter(buffer, *dtype)?, call.size(*at)?));
        }
    }
    let x = fold.bind(&mut call)?;
    let places = places.map(|p| call.read(p, DType::I32)).transpose()?;
    let (kept, length) = (fold.kept.numel(), fold.folded.numel());
    let count = call.size(kept * share.parts)?;
    let [kept, end, chunk] = [call.size(kept)?, call.size(length)?, call.size(share.chunk(length))?];
    let groups = share.groups(&call, fold.kept.numel() * share.parts)?;
    call.run(groups, || {
        let ty = type_text(num);
        let missing = |x: &str| match num {
            Num::F32 | Num::F64 => Row::Isnan.wgsl(num, &[x]),
            _ => "false".to_owned(),
        };
        let (first, second) = match kind {
            Extremum::Max => ("b", "a"),
            Extremum::Min => ("a", "b"),
        };
        // Whether b, which stands later than a or among others, takes its place.
        let beats = format!(
            "fn beats(a: {ty}, b: {ty}) -> bool {{\nreturn {} || ({} && !{});\n}}\n",
            Row::Gt.wgsl(num, &[first, second]),
            missing("b"),
            missing("a")
        );
        let place = places.map_or("j".to_owned(), |p| p.bits("at"));
        let candidate = format!(
            "let value = {};\nif (here == 0xffffffffu || beats(best, value)) {{\nbest = value;\nhere = {place};\n}}\n",
            x.place.load("at", num)
        );
        let walk = x.folded.each("a", &format!("part * {chunk} + lane"), &format!("{}u", share.lanes), "end", &candidate);
        let lanes = share.lanes;
        let (shared, meet) = match lanes {
            1 => (String::new(), String::new()),
            _ => (
                format!("var<workgroup> bests: array<{ty}, {THREADS}>;\nvar<workgroup> heres: array<u32, {THREADS}>;\n"),
                format!(
                    "bests[t] = best;\nheres[t] = here;\nworkgroupBarrier();\n\
                     for (var s = {}u; s > 0u; s = s / 2u) {{\nif (lane < s) {{\n\
                     let b = bests[t + s];\nlet there = heres[t + s];\n\
                     if (there != 0xffffffffu && (here == 0xffffffffu || beats(best, b) || \
                     (there < here && !beats(b, best)))) {{\n\
                     best = b;\nhere = there;\nbests[t] = b;\nheres[t] = there;\n}}\n}}\nworkgroupBarrier();\n}}\n",
                    lanes / 2
                ),
            ),
        };
        let stores: String = targets
            .iter()
            .map(|(which, target, at)| match which {
                0 => target.store(&format!("({at} + v)"), "best", num),
                _ if target.dtype == DType::I64 => target.store(&format!("({at} + v)"), "vec2<u32>(here, 0u)", Num::I64),
                _ => target.store(&format!("({at} + v)"), "bitcast<i32>(here)", Num::I32),
            })
            .collect();
        let body = format!(
            "var best = {ty}();\nvar here = 0xffffffffu;\nif (working) {{\nlet part = v / {kept};\n{}\
             let end = min(part * {chunk} + {chunk}, {end});\n{walk}}}\n{meet}if (working && lane == 0u) {{\n{stores}}}\n",
            x.kept.place("a", &x.start, &format!("(v % {kept})")),
        );
        format!("{beats}{shared}{}", share.entry(&count, &body))
    })
}
