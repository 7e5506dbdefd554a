//! Sorting lines of unsigned keys, stably, with the positions that they had.
//!
//! Lines that a group of threads can hold are sorted there, by a bitonic network over pairs of key and position: no two
//! are equal, so it is stable. Longer ones are sorted by a few bits at a time from the lowest, each pass being stable.

use crate::context::Context;
use crate::memory::Buffer;
use crate::nonzero::sums_before;
use crate::shader::{entry, Call, Place, THREADS};
use wengert_ops::{DType, Error, Result};

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

/// `a` after `b`, as WGSL's `bool`: the words of a key are named `{a}0` and `{a}1`, its position `{a}p`.
fn after(words: u32, a: &str, b: &str) -> String {
    let low = format!("({a}0 > {b}0 || ({a}0 == {b}0 && {a}p > {b}p))");
    match words {
        2 => format!("({a}1 > {b}1 || ({a}1 == {b}1 && {low}))"),
        _ => low,
    }
}

/// Steps of the network as texts: the places `a` and `b` of a pair, from the size of the sorted runs that a step
/// folds onto each other, or from the distance of a later one.
const FOLD: &str =
    "let o = pair % (size / 2u); let a = pair / (size / 2u) * size + o; let b = a + size - 1u - 2u * o;\n";
const SPREAD: &str = "let a = pair / gap * 2u * gap + pair % gap; let b = a + gap;\n";

/// Sorts runs of a block of each line; positions are read if they are `carried`, else the elements' own.
fn group(context: &'static Context, keys: &Keys, positions: &Buffer, carried: bool) -> Result<()> {
    let padded = keys.len.next_power_of_two();
    let mut call = Call::new(context, "sort_group");
    call.key.variant.push(carried as u32);
    let k = keys.bind(&mut call, true)?;
    let p = call.write(positions, DType::I32)?;
    let (lines, len) = (call.size(keys.lines)?, call.size(keys.len)?);
    let shift = call.word(padded.trailing_zeros());
    let limit = call.word(padded.min(BLOCK as usize) as u32);
    let words = keys.words;
    // One group a block.
    let groups = call.groups((keys.lines * padded).div_ceil(BLOCK as usize))?;
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
        let from = if carried { p.word("at") } else { "j".to_owned() };
        let network = format!(
            "for (var size = 2u; size <= {limit}; size *= 2u) {{\n{fold}\
             for (var gap = size / 4u; gap > 0u; gap /= 2u) {{\n{spread}}}\n}}\n"
        );
        // The place of element `e` of the group: line, position in it, and in memory.
        let place = format!(
            "let e = h + t; let v = block * {BLOCK}u + e;\nlet line = v >> {shift}; let j = v & ((1u << {shift}) - 1u);\n\
             let at = line * {len} + j;\n"
        );
        let part = |w: u32| format!("at * {words}u + {w}u");
        let loads = (0..words).map(|w| format!("s{w}[e] = {};\n", k.word(&part(w)))).collect::<String>();
        let stores = (0..words).map(|w| k.set_word(&part(w), &format!("s{w}[e]"))).collect::<String>();
        let greatest = each(&|w| format!("s{w}[e] = 0xffffffffu;\n"));
        format!(
            "{arrays}@compute @workgroup_size({THREADS})\nfn main(@builtin(local_invocation_index) t: u32, \
             @builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{\n\
             let block = id.y * groups.x + id.x;\n\
             for (var h = 0u; h < {BLOCK}u; h += {THREADS}u) {{\n{place}\
             if (line < {lines} && j < {len}) {{\n{loads}sp[e] = {from};\n}} else {{\n{greatest}}}\n}}\n\
             workgroupBarrier();\n{network}\
             for (var h = 0u; h < {BLOCK}u; h += {THREADS}u) {{\n{place}\
             if (line < {lines} && j < {len}) {{\n{stores}{}}}\n}}\n}}\n",
            p.set_word("at", "sp[e]")
        )
    })
}

/// Bits of a key that one pass sorts by, and what they can be.
const BITS: u32 = 4;
const DIGITS: usize = 1 << BITS;

/// Sorts by `BITS` bits of the keys from `bit` on, equal ones in the order in which they stand.
///
/// A thread has a piece of a line: it counts the piece's digits, and after all counts are summed up to it, writes its
/// elements one after another to where they belong.
fn pass(context: &'static Context, keys: &Keys, positions: Option<&Buffer>, bit: u32) -> Result<(Keys, Buffer)> {
    // Pieces are long where there is enough for many threads.
    let piece: usize = if keys.lines * keys.len > 1 << 17 { 64 } else { 16 };
    let pieces = keys.len.div_ceil(piece);
    let threads = keys.lines * pieces;
    let counts = Buffer(context.allocate(threads * DIGITS * 4)?);
    let numel = keys.lines * keys.len;
    let sorted = Keys { buffer: Buffer(context.allocate(numel * 4 * keys.words as usize)?), ..*keys };
    let moved = Buffer(context.allocate(numel * 4)?);
    for writes in [false, true] {
        let mut call = Call::new(context, "sort_pass");
        call.key.variant.extend_from_slice(&[writes as u32, positions.is_some() as u32]);
        let from = keys.bind(&mut call, false)?;
        let table = match writes {
            true => call.read(&counts, DType::I32)?,
            false => call.write(&counts, DType::I32)?,
        };
        let (word, shift) = (call.word(bit / 32), call.word(bit % 32));
        let (len, piece, pieces) = (call.size(keys.len)?, call.size(piece)?, call.size(pieces)?);
        let count = call.size(threads)?;
        let groups = call.threads(threads)?;
        let words = keys.words;
        let digit = format!("({} >> {shift}) & {}u", from.word(&format!("at * {words}u + {word}")), DIGITS - 1);
        let start = format!(
            "let line = i / {pieces}; let part = i % {pieces};\nlet first = line * {len} + part * {piece};\n\
             let end = line * {len} + min((part + 1u) * {piece}, {len});\nvar seen: array<u32, {DIGITS}>;\n"
        );
        let each =
            format!("for (var d = 0u; d < {DIGITS}u; d++) {{\nlet cell = (line * {DIGITS}u + d) * {pieces} + part;\n");
        if !writes {
            call.run(groups, || {
                let text = format!(
                    "{start}for (var at = first; at < end; at++) {{ seen[{digit}] += 1u; }}\n\
                     {each}{}}}\n",
                    table.set_word("cell", "seen[d]")
                );
                entry(&count, &text)
            })?;
            sums_before(context, &counts, threads * DIGITS)?;
            continue;
        }
        let old = match positions {
            Some(positions) => Some(call.read(positions, DType::I32)?),
            None => None,
        };
        let (to, place) = (sorted.bind(&mut call, true)?, call.write(&moved, DType::I32)?);
        call.run(groups, || {
            let moves = (0..words)
                .map(|w| to.set_word(&format!("next * {words}u + {w}u"), &from.word(&format!("at * {words}u + {w}u"))));
            let position = old.map_or(format!("at - line * {len}"), |old| old.word("at"));
            let text = format!(
                "{start}{each}seen[d] = {};\n}}\nfor (var at = first; at < end; at++) {{\n\
                 let d = {digit};\nlet next = seen[d];\nseen[d] = next + 1u;\n{}{}}}\n",
                table.word("cell"),
                moves.collect::<String>(),
                place.set_word("next", &position)
            );
            entry(&count, &text)
        })?;
    }
    Ok((sorted, moved))
}

/// Sorts the keys, of which only the lowest `bits` differ; gives them, and the positions that they had in their lines.
pub(crate) fn order(context: &'static Context, mut keys: Keys, bits: u32) -> Result<(Keys, Buffer)> {
    if keys.lines * keys.len == 0 || keys.len <= BLOCK as usize {
        let positions = Buffer(context.allocate((keys.lines * keys.len).max(1) * 4)?);
        if keys.lines * keys.len > 0 {
            group(context, &keys, &positions, false)?;
        }
        return Ok((keys, positions));
    }
    let mut positions = None;
    for bit in (0..bits.max(1)).step_by(BITS as usize) {
        let (sorted, moved) = pass(context, &keys, positions.as_ref(), bit)?;
        (keys, positions) = (sorted, Some(moved));
    }
    match positions {
        Some(positions) => Ok((keys, positions)),
        None => Err(Error::internal("sort: no bits")),
    }
}

/// The first `count` positions of the sorted lines: of long lines each block's first are kept, until one block holds them.
pub(crate) fn first(context: &'static Context, keys: Keys, bits: u32, count: usize) -> Result<Buffer> {
    let block = BLOCK as usize;
    if count == 0 || count > block / 4 || keys.len <= 2 * block {
        let (keys, positions) = order(context, keys, bits)?;
        return match count == keys.len {
            true => Ok(positions),
            false => kept(context, &keys, &positions, keys.len, count).map(|(_, positions)| positions),
        };
    }
    let mut keys = keys;
    let mut positions = Buffer(context.allocate(keys.lines * keys.len * 4)?);
    let mut carried = false;
    loop {
        group(context, &keys, &positions, carried)?;
        let (run, last) = (block.min(keys.len), keys.len <= block);
        (keys, positions) = kept(context, &keys, &positions, run, count)?;
        if last {
            return Ok(positions);
        }
        carried = true;
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
    let (k, p) = (keys.bind(&mut call, false)?, call.read(positions, DType::I32)?);
    let (to, to_p) = (target.bind(&mut call, true)?, call.write(&kept, DType::I32)?);
    let (from, new, run, each) = (call.size(keys.len)?, call.size(len)?, call.size(run)?, call.size(count)?);
    let threads = keys.lines * len;
    let all = call.size(threads)?;
    let groups = call.threads(threads)?;
    let words = keys.words;
    call.run(groups, || {
        let moves =
            (0..words).map(|w| to.set_word(&format!("i * {words}u + {w}u"), &k.word(&format!("at * {words}u + {w}u"))));
        let text = format!(
            "let j = i % {new};\nlet at = i / {new} * {from} + j / {each} * {run} + j % {each};\n{}{}",
            moves.collect::<String>(),
            to_p.set_word("i", &p.word("at"))
        );
        entry(&all, &text)
    })?;
    Ok((target, kept))
}
