//! Coordinates of the nonzero elements: each is counted, counts are summed up to its place, coordinates written there.

use crate::context::Context;
use crate::elementwise::map;
use crate::memory::Buffer;
use crate::recipe::Rule;
use crate::shader::{entry, own_num, Call, Num, THREADS};
use crate::walk::moved_view;
use wengert_ops::{DType, Error, Layout, Operand, Result, View, ViewMut};

type In<'a> = View<'a, Buffer>;

/// Counts that a thread adds up by itself.
const EACH: usize = 8;

/// Replaces `count` numbers (in words) by what stands before them in sum; gives a buffer that begins with the whole sum.
pub(crate) fn sums_before(context: &'static Context, numbers: &Buffer, count: usize) -> Result<Buffer> {
    let block = THREADS as usize * EACH;
    let blocks = count.div_ceil(block).max(1);
    let totals = Buffer(context.allocate(blocks * 4)?);
    let mut call = Call::new(context, "sums_before");
    let (data, ends) = (call.write(numbers, DType::I32)?, call.write(&totals, DType::I32)?);
    let (n, m) = (call.size(count)?, call.size(blocks)?);
    let groups = call.groups(blocks)?;
    call.run(groups, || {
        let number = data.word("first + k");
        format!(
            "var<workgroup> s: array<u32, {THREADS}>;\n\
             @compute @workgroup_size({THREADS})\nfn main(@builtin(local_invocation_index) t: u32, \
             @builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{\n\
             let block = id.y * groups.x + id.x;\nlet first = (block * {THREADS}u + t) * {EACH}u;\n\
             var own = 0u;\nfor (var k = 0u; k < {EACH}u; k++) {{\n\
             if (block < {m} && first + k < {n}) {{ own += {number}; }}\n}}\n\
             s[t] = own;\nworkgroupBarrier();\n\
             for (var gap = 1u; gap < {THREADS}u; gap *= 2u) {{\n\
             var more = 0u;\nif (t >= gap) {{ more = s[t - gap]; }}\nworkgroupBarrier();\n\
             s[t] += more;\nworkgroupBarrier();\n}}\n\
             if (block >= {m}) {{ return; }}\n\
             if (t == {THREADS}u - 1u) {{ {} }}\n\
             var before = s[t] - own;\nfor (var k = 0u; k < {EACH}u; k++) {{\n\
             if (first + k < {n}) {{\nlet x = {number};\n{}before += x;\n}}\n}}\n}}\n",
            ends.set_word("block", "s[t]"),
            data.set_word("first + k", "before"),
        )
    })?;
    if blocks == 1 {
        return Ok(totals);
    }
    let total = sums_before(context, &totals, blocks)?;
    let mut call = Call::new(context, "sums_on");
    let (data, ends) = (call.write(numbers, DType::I32)?, call.read(&totals, DType::I32)?);
    let n = call.size(count)?;
    let groups = call.threads(count)?;
    call.run(groups, || {
        let sum = format!("{} + {}", data.word("i"), ends.word(&format!("i / {block}u")));
        entry(&n, &data.set_word("i", &sum))
    })?;
    Ok(total)
}

/// `Backend::nonzero`: coordinates, row-major, as i64 `[count, rank]`, and the count.
pub(crate) fn nonzero(context: &'static Context, x: In<'_>) -> Result<(Buffer, usize)> {
    let (shape, numel) = (x.layout.shape(), x.layout.numel());
    let empty = || Ok((Buffer(context.allocate(0)?), 0));
    if numel == 0 {
        return empty();
    }
    let bytes = numel.checked_mul(4).ok_or_else(|| Error::memory("nonzero: the result is too large"))?;
    let before = Buffer(context.allocate(bytes)?);
    let row_major = Layout::contiguous(shape);
    // SAFETY: fresh.
    let flags = unsafe { ViewMut::new(&before, &row_major, DType::I32) };
    // Of f64 only the bits are looked at, which every GPU can.
    let (num, source) = match x.dtype {
        DType::F64 => (Num::I64, moved_view(x)),
        other => (own_num(other), x),
    };
    let double = x.dtype == DType::F64;
    map(context, Rule::Nonzero { double }, num, &[Operand::Array(source)], 1, &flags, Num::I32)?;
    let total = sums_before(context, &before, numel)?;
    let mut raw = [0; 4];
    context.download(&total.0, 0, &mut raw)?;
    let count = u32::from_ne_bytes(raw) as usize;
    if count == 0 {
        return empty();
    }
    let bytes = count.checked_mul(shape.len() * 8);
    let out = Buffer(context.allocate(bytes.ok_or_else(|| Error::memory("nonzero: the result is too large"))?)?);
    let mut inner = 1;
    for (d, &size) in shape.iter().enumerate().rev() {
        let mut call = Call::new(context, "nonzero_write");
        let (from, to) = (call.read(&before, DType::I32)?, call.write(&out, DType::I64)?);
        let (n, found) = (call.size(numel)?, call.size(count)?);
        let (step, size_text, rank, d) = (call.size(inner)?, call.size(size)?, call.size(shape.len())?, call.size(d)?);
        let groups = call.threads(numel)?;
        call.run(groups, || {
            entry(
                &n,
                &format!(
                    "let at = {};\nvar next = {found};\nif (i + 1u < {n}) {{ next = {}; }}\n\
                     if (next == at) {{ return; }}\n{}",
                    from.word("i"),
                    from.word("i + 1u"),
                    to.store(
                        &format!("(at * {rank} + {d})"),
                        &format!("vec2<u32>(i / {step} % {size_text}, 0u)"),
                        Num::I64
                    )
                ),
            )
        })?;
        inner *= size;
    }
    Ok((out, count))
}
