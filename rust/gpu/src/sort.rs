//! Stable sorting along a dim, and the first k of a sorted line.
//!
//! Elements become unsigned keys in the wanted order. A bitonic network sorts pairs of key and position, of which no two
//! are equal: so the sort is stable. Its comparisons all point one way, and what a line lacks to a power of two counts
//! as greatest and stays where it is: so it takes no memory.

use crate::context::Context;
use crate::elementwise::{copy, map};
use crate::memory::Buffer;
use crate::places::gather_unchecked;
use crate::shader::{entry, own_num, Call, Num, Place, THREADS};
use crate::walk::moved_view;
use std::sync::Arc;
use wengert_ops::{DType, Dims, Error, Layout, Operand, Result, Strides, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// Elements that a group sorts in its own memory.
const BLOCK: u32 = 1024;

/// Keys of lines, each `words` (1 or 2, the low first) words, line by line.
pub(crate) struct Keys {
    pub buffer: Buffer,
    pub words: u32,
    pub lines: usize,
    pub len: usize,
}

impl Keys {
    fn bind(&self, call: &mut Call, write: bool) -> Result<Place> {
        let dtype = if self.words == 2 { DType::I64 } else { DType::I32 };
        match write {
            true => call.write(&self.buffer, dtype),
            false => call.read(&self.buffer, dtype),
        }
    }
}

/// `a` after `b`, as WGSL's `bool`: keys of one or two words named `{a}k…`, then positions `{a}p`.
fn after(words: u32, a: &str, b: &str) -> String {
    let low = format!("({a}0 > {b}0 || ({a}0 == {b}0 && {a}p > {b}p))");
    match words {
        2 => format!("({a}1 > {b}1 || ({a}1 == {b}1 && {low}))"),
        _ => low,
    }
}

/// Steps of the network as texts: the places of pair `pair`, in `a` and `b`, from the size of the sorted runs that a step
/// folds onto each other, or from the distance of a later one.
const FOLD: &str =
    "let o = pair % (size / 2u); let a = pair / (size / 2u) * size + o; let b = a + size - 1u - 2u * o;\n";
const SPREAD: &str = "let a = pair / gap * 2u * gap + pair % gap; let b = a + gap;\n";

/// Where a group's elements come from.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    /// Positions are the elements' own.
    Fresh,
    /// Positions are read, and all of a group's runs are sorted.
    Carried,
    /// Runs longer than a group, of which it does the last steps.
    Last,
}

/// Sorts within groups.
fn local(context: &'static Context, keys: &Keys, positions: &Buffer, start: Start) -> Result<()> {
    let padded = keys.len.next_power_of_two();
    let mut call = Call::new(context, "sort_group");
    call.key.variant.push(start as u32);
    let k = keys.bind(&mut call, true)?.slot;
    let p = call.write(positions, DType::I32)?.slot;
    let (lines, len) = (call.size(keys.lines)?, call.size(keys.len)?);
    let shift = call.word(padded.trailing_zeros());
    let limit = call.word(padded.min(BLOCK as usize) as u32);
    let words = keys.words;
    // As many threads as pairs of two blocks a thread.
    let groups = call.threads((keys.lines * padded).div_ceil(BLOCK as usize) * THREADS as usize)?;
    call.run(groups, || {
        let fields: Vec<String> = (0..words).map(|w| w.to_string()).chain(["p".to_owned()]).collect();
        let each = |f: &dyn Fn(&str) -> String| fields.iter().map(|w| f(w)).collect::<String>();
        let arrays = each(&|w| format!("var<workgroup> s{w}: array<u32, {BLOCK}>;\n"));
        let swap = format!(
            "{}if ({}) {{\n{}}}\n",
            each(&|w| format!("let x{w} = s{w}[a]; let y{w} = s{w}[b];\n")),
            after(words, "x", "y"),
            each(&|w| format!("s{w}[a] = y{w}; s{w}[b] = x{w};\n"))
        );
        let pairs = |places: &str| {
            format!(
                "for (var h = 0u; h < {}u; h += {THREADS}u) {{\nlet pair = h + t;\n{places}{swap}}}\nworkgroupBarrier();\n",
                BLOCK / 2
            )
        };
        let (spread, fold) = (pairs(SPREAD), pairs(FOLD));
        let from = match start {
            Start::Fresh => "j".to_owned(),
            _ => format!("b{p}[at]"),
        };
        let network = match start {
            Start::Last => format!("for (var gap = {}u; gap > 0u; gap /= 2u) {{\n{spread}}}\n", BLOCK / 2),
            _ => format!(
                "for (var size = 2u; size <= {limit}; size *= 2u) {{\n{fold}\
                 for (var gap = size / 4u; gap > 0u; gap /= 2u) {{\n{spread}}}\n}}\n"
            ),
        };
        // The place of element `e` of the group: line, position in it, and in memory.
        let place = format!(
            "let e = h + t; let v = block * {BLOCK}u + e;\nlet line = v >> {shift}; let j = v & ((1u << {shift}) - 1u);\n\
             let at = line * {len} + j;\n"
        );
        let loads = (0..words).map(|w| format!("s{w}[e] = b{k}[at * {words}u + {w}u];\n")).collect::<String>();
        let stores = (0..words).map(|w| format!("b{k}[at * {words}u + {w}u] = s{w}[e];\n")).collect::<String>();
        let greatest = each(&|w| format!("s{w}[e] = 0xffffffffu;\n"));
        format!(
            "{arrays}@compute @workgroup_size({THREADS})\nfn main(@builtin(local_invocation_index) t: u32, \
             @builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{\n\
             let block = id.y * groups.x + id.x;\n\
             for (var h = 0u; h < {BLOCK}u; h += {THREADS}u) {{\n{place}\
             if (line < {lines} && j < {len}) {{\n{loads}sp[e] = {from};\n}} else {{\n{greatest}}}\n}}\n\
             workgroupBarrier();\n{network}\
             for (var h = 0u; h < {BLOCK}u; h += {THREADS}u) {{\n{place}\
             if (line < {lines} && j < {len}) {{\n{stores}b{p}[at] = sp[e];\n}}\n}}\n}}\n"
        )
    })
}

/// One step between elements further apart than a group reaches: `size` folds runs, else `gap` apart.
fn global(context: &'static Context, keys: &Keys, positions: &Buffer, fold: bool, size: usize) -> Result<()> {
    let padded = keys.len.next_power_of_two();
    let mut call = Call::new(context, "sort_step");
    call.key.variant.push(fold as u32);
    let k = keys.bind(&mut call, true)?.slot;
    let q = call.write(positions, DType::I32)?.slot;
    let len = call.size(keys.len)?;
    let shift = call.word(padded.trailing_zeros());
    let step = call.size(size)?;
    let pairs = keys.lines * padded / 2;
    let count = call.size(pairs)?;
    let words = keys.words;
    let groups = call.threads(pairs)?;
    call.run(groups, || {
        let load = |to: &str, at: &str| {
            let keys = (0..words).map(|w| format!("let {to}{w} = b{k}[{at} * {words}u + {w}u];\n"));
            keys.chain([format!("let {to}p = b{q}[{at}];\n")]).collect::<String>()
        };
        let store = |from: &str, at: &str| {
            let keys = (0..words).map(|w| format!("b{k}[{at} * {words}u + {w}u] = {from}{w};\n"));
            keys.chain([format!("b{q}[{at}] = {from}p;\n")]).collect::<String>()
        };
        entry(
            &count,
            &format!(
                "let pair = i; let {} = {step};\n{}let mask = (1u << {shift}) - 1u;\nif ((b & mask) >= {len}) {{ return; }}\n\
                 let first = (a >> {shift}) * {len};\nlet l = first + (a & mask); let r = first + (b & mask);\n\
                 {}{}if ({}) {{\n{}{}}}\n",
                if fold { "size" } else { "gap" },
                if fold { FOLD } else { SPREAD },
                load("x", "l"),
                load("y", "r"),
                after(words, "x", "y"),
                store("y", "l"),
                store("x", "r"),
            ),
        )
    })
}

/// Sorts the keys in place; gives the positions, within their lines, that they had.
pub(crate) fn order(context: &'static Context, keys: &Keys) -> Result<Buffer> {
    let positions = Buffer(context.allocate((keys.lines * keys.len).max(1) * 4)?);
    if keys.lines * keys.len > 0 {
        network(context, keys, &positions, Start::Fresh)?;
    }
    Ok(positions)
}

fn network(context: &'static Context, keys: &Keys, positions: &Buffer, start: Start) -> Result<()> {
    local(context, keys, positions, start)?;
    let padded = keys.len.next_power_of_two();
    let block = BLOCK as usize;
    let mut size = 2 * block;
    while size <= padded {
        global(context, keys, positions, true, size)?;
        let mut gap = size / 4;
        while gap >= block {
            global(context, keys, positions, false, gap)?;
            gap /= 2;
        }
        local(context, keys, positions, Start::Last)?;
        size *= 2;
    }
    Ok(())
}

/// The first `count` positions of the sorted lines, `count` a line: of long lines each block's first are kept, until one
/// block holds them.
fn first(context: &'static Context, mut keys: Keys, count: usize) -> Result<Buffer> {
    let block = BLOCK as usize;
    if count == 0 || count > block / 4 || keys.len <= 2 * block {
        let positions = order(context, &keys)?;
        return if count == keys.len {
            Ok(positions)
        } else {
            kept(context, &keys, &positions, keys.len, count).map(|k| k.1)
        };
    }
    let mut positions = Buffer(context.allocate(keys.lines * keys.len * 4)?);
    let mut start = Start::Fresh;
    loop {
        // Runs of a block each, whatever the line's length.
        local(context, &keys, &positions, start)?;
        let (run, last) = (block.min(keys.len), keys.len <= block);
        (keys, positions) = kept(context, &keys, &positions, run, count)?;
        if last {
            return Ok(positions);
        }
        start = Start::Carried;
    }
}

/// The first `count` of each run of `run` elements of the lines.
fn kept(
    context: &'static Context,
    keys: &Keys,
    positions: &Buffer,
    run: usize,
    count: usize,
) -> Result<(Keys, Buffer)> {
    let runs = keys.len.div_ceil(run);
    let len = match runs {
        1 => count,
        _ => (runs - 1) * count + count.min(keys.len - (runs - 1) * run),
    };
    let total = (keys.lines * len).max(1);
    let target = Keys { buffer: Buffer(context.allocate(total * 4 * keys.words as usize)?), len, ..*keys };
    let kept = Buffer(context.allocate(total * 4)?);
    let mut call = Call::new(context, "sort_keep");
    let (k, p) = (keys.bind(&mut call, false)?.slot, call.read(positions, DType::I32)?.slot);
    let (to, to_p) = (target.bind(&mut call, true)?.slot, call.write(&kept, DType::I32)?.slot);
    let (from, new, run, each) = (call.size(keys.len)?, call.size(len)?, call.size(run)?, call.size(count)?);
    let threads = keys.lines * len;
    let all = call.size(threads)?;
    let groups = call.threads(threads)?;
    let words = keys.words;
    call.run(groups, || {
        let moves = (0..words).map(|w| format!("b{to}[i * {words}u + {w}u] = b{k}[at * {words}u + {w}u];\n"));
        let text = format!(
            "let j = i % {new};\nlet at = i / {new} * {from} + j / {each} * {run} + j % {each};\n{}b{to_p}[i] = b{p}[at];\n",
            moves.collect::<String>()
        );
        entry(&all, &text)
    })?;
    Ok((target, kept))
}

/// A layout with `dim` last.
fn line_last(layout: &Layout, dim: usize) -> Layout {
    if layout.rank() == 0 {
        return Layout::strided(Dims::from_slice(&[1]), Strides::from_slice(&[1]), layout.offset());
    }
    let (mut shape, mut strides) = (Dims::from_slice(layout.shape()), Strides::from_slice(layout.strides()));
    let (n, s) = (shape.remove(dim), strides.remove(dim));
    shape.push(n);
    strides.push(s);
    Layout::strided(shape, strides, layout.offset())
}

/// Keys of the elements of `x`, whose lines are its last dim.
fn keys_of(context: &'static Context, x: In<'_>, descending: bool) -> Result<Keys> {
    let shape = x.layout.shape();
    let len = shape[shape.len() - 1];
    let numel = x.layout.numel();
    let words = if x.dtype.size() == 8 { 2 } else { 1 };
    let buffer = Buffer(context.allocate(numel.max(1) * 4 * words as usize)?);
    let keys = Keys { buffer, words, lines: if len == 0 { 0 } else { numel / len }, len };
    let layout = Layout::contiguous(shape);
    let (num, dtype) = if words == 2 { (Num::I64, DType::I64) } else { (Num::I32, DType::I32) };
    // SAFETY: fresh.
    let out = unsafe { ViewMut::new(&keys.buffer, &layout, dtype) };
    let read = match x.dtype {
        DType::F64 => Num::I64,
        other => own_num(other),
    };
    let source = if x.dtype == DType::F64 { moved_view(x) } else { x };
    let variant = [x.dtype as u32, descending as u32];
    map(context, "sort_key", &variant, read, &[Operand::Array(source)], 1, &out, num, &|names| {
        let v = names[0];
        let key = match (x.dtype, read) {
            (DType::F64, _) => format!("key_of_f64_bits({v})"),
            (_, Num::F32) => format!("bitcast<i32>(key_of_f32({v}))"),
            (_, Num::I64) => format!("({v} ^ vec2<u32>(0u, 0x80000000u))"),
            _ => format!("bitcast<i32>(bitcast<u32>({v}) ^ 0x80000000u)"),
        };
        if descending {
            format!("(~{key})")
        } else {
            key
        }
    })?;
    Ok(keys)
}

/// `Backend::sort`. Outputs may have fewer positions along `dim` than `x`: the first ones.
pub(crate) fn sort(
    context: &'static Context,
    x: In<'_>,
    dim: usize,
    descending: bool,
    values: Out<'_>,
    indices: Out<'_>,
) -> Result<()> {
    if values.dtype() != x.dtype || indices.dtype() != DType::I64 {
        let (v, i) = (values.dtype(), indices.dtype());
        return Err(Error::internal(format!("sort: outputs of dtype {v} and {i} for an input of {}", x.dtype)));
    }
    let (shape, taken) = (x.layout.shape(), values.layout().shape());
    let fits = taken.len() == shape.len()
        && indices.layout().shape() == taken
        && (0..shape.len()).all(|d| if d == dim { taken[d] <= shape[d] } else { taken[d] == shape[d] });
    if !fits {
        return Err(Error::internal(format!("sort: outputs of shape {taken:?} for an input of {shape:?}")));
    }
    let len = shape.get(dim).copied().unwrap_or(1);
    if x.dtype.size() < 8 && len > u32::MAX as usize {
        return Err(Error::not_implemented(format!(
            "sort: dim {dim} has {len} elements, at most 2^32 − 1 are supported"
        )));
    }
    if values.layout().numel() == 0 {
        return Ok(());
    }
    // Read before writing: the values may go where the input stands.
    let fresh;
    let source = if Arc::ptr_eq(&x.buffer.0, &values.buffer().0) {
        fresh = (Buffer(context.allocate(x.layout.numel() * x.dtype.size())?), Layout::contiguous(shape));
        // SAFETY: fresh.
        copy(context, x, unsafe { ViewMut::new(&fresh.0, &fresh.1, x.dtype) })?;
        View { buffer: &fresh.0, layout: &fresh.1, dtype: x.dtype }
    } else {
        x
    };
    let (from, to, place) =
        (line_last(source.layout, dim), line_last(values.layout(), dim), line_last(indices.layout(), dim));
    let source = View { layout: &from, ..source };
    let count = to.shape()[to.rank() - 1];
    let positions = first(context, keys_of(context, source, descending)?, count)?;
    let sorted = Layout::contiguous(to.shape());
    let positions = View { buffer: &positions, layout: &sorted, dtype: DType::I32 };
    // SAFETY (both): the outputs' own elements, dims reordered.
    copy(context, positions, unsafe { ViewMut::new(indices.buffer(), &place, DType::I64) })?;
    gather_unchecked(context, source, positions, unsafe { ViewMut::new(values.buffer(), &to, values.dtype()) })
}
