//! Moving and adding at positions that are data: what `gather`, `scatter`, `index` and `index_put` come down to.
//!
//! Tuples of indices become positions, one number each ([`Places`]), and are checked at that; one small read-back says
//! whether all were in range. Then each tuple's row is moved, whatever the layouts. Of tuples that name the same place
//! the last is written, and sums are added in the tuples' order, sorted by place: the same result on every run.

use crate::context::Context;
use crate::memory::Buffer;
use crate::order::{order, Keys};
use crate::shader::{entry, own_num, per_word, Call, Num, Place};
use crate::stream::Task;
use crate::walk::{moved_view, Steps, Walk};
use smallvec::SmallVec;
use wengert_ops::{DType, Error, Layout, Result, Row, View, ViewMut};

type In<'a> = View<'a, Buffer>;
type Out<'a> = ViewMut<'a, Buffer>;

/// Dimensions of a walk in one dispatch.
const RANK: usize = 4;

/// One index array, and what it stands for in the array `x` that is indexed.
pub(crate) struct Named<'a> {
    pub index: In<'a>,
    pub size: usize,
    /// Its step in `x`, and in the numbering of places that tells which are the same.
    pub step: isize,
    pub key_step: isize,
}

/// How tuples are made.
pub(crate) struct Tuples<'a> {
    pub shape: &'a [usize],
    pub named: SmallVec<[Named<'a>; 4]>,
    /// What the tuples' own coordinates add to positions in `x`, to keys, and to positions in the other array `y`.
    pub fixed: &'a [isize],
    pub key_fixed: &'a [isize],
    pub y_strides: &'a [isize],
    /// Whether negative indices count from the end.
    pub wraps: bool,
    pub checked: bool,
    /// How many places there are, if writes may meet.
    pub keys: Option<usize>,
}

/// The tuples' positions.
pub(crate) struct Places {
    count: usize,
    place: Buffer,
    other: Other,
    keys: Option<(Buffer, usize)>,
}

/// Positions in the other array: a step a tuple, or a list.
enum Other {
    Step(isize),
    List(Buffer),
}

/// The first index out of range: which of them, and its value.
pub(crate) struct OutOfRange {
    pub which: usize,
    pub value: i64,
}

fn words(context: &'static Context, count: usize) -> Result<Buffer> {
    context.allocate(count.max(1) * 4).map(Buffer)
}

impl Places {
    /// The positions of all tuples, of which there is at least one; or the first index that is out of range.
    pub fn new(context: &'static Context, tuples: &Tuples<'_>) -> Result<std::result::Result<Places, OutOfRange>> {
        let shape = tuples.shape;
        let count = wengert_ops::layout::numel(shape);
        let y = Walk::new(shape, [tuples.y_strides], [0]);
        let other = match &y.strides[0][..] {
            [] => Other::Step(0),
            [step] => Other::Step(*step),
            _ => Other::List(words(context, count)?),
        };
        let keys = match tuples.keys {
            Some(n) => Some((words(context, count)?, n)),
            None => None,
        };
        let places = Places { count, place: words(context, count)?, other, keys };
        let flags = words(context, tuples.named.len())?;
        let bytes = tuples.named.len() * 4;
        if tuples.checked {
            context.push(Task::Zero { block: flags.0.clone(), bytes: bytes as u64 })?;
        }
        for (which, named) in tuples.named.iter().enumerate() {
            places.add(context, tuples, which, named, &flags)?;
        }
        if !tuples.checked {
            return Ok(Ok(places));
        }
        let mut raw = vec![0; bytes];
        context.download(&flags.0, 0, &mut raw)?;
        for (which, flag) in raw.chunks_exact(4).enumerate() {
            let flag = u32::from_ne_bytes([flag[0], flag[1], flag[2], flag[3]]);
            if flag != 0 {
                let value = read_index(context, tuples.named[which].index, (u32::MAX - flag) as usize)?;
                return Ok(Err(OutOfRange { which, value }));
            }
        }
        Ok(Ok(places))
    }

    /// Adds one index's share to the positions.
    fn add(
        &self,
        context: &'static Context,
        tuples: &Tuples<'_>,
        which: usize,
        named: &Named<'_>,
        flags: &Buffer,
    ) -> Result<()> {
        let begins = which == 0;
        let keyed = self.keys.is_some();
        let listed = begins && matches!(self.other, Other::List(_));
        let layout = named.index.layout;
        let none = &SmallVec::<[isize; 8]>::from_elem(0, tuples.shape.len())[..];
        let pick = |used: bool, strides| if used { strides } else { none };
        let walk = Walk::new(
            tuples.shape,
            [
                layout.strides(),
                pick(begins, tuples.fixed),
                pick(begins && keyed, tuples.key_fixed),
                pick(listed, tuples.y_strides),
            ],
            [layout.offset(), 0, 0, 0],
        );
        let mut done = 0usize;
        walk.parts(RANK, &mut |part| {
            let mut call = Call::new(context, "places");
            let flag = |b: bool, at: u32| u32::from(b) << at;
            call.key.variant.push(
                flag(begins, 0) | flag(keyed, 1) | flag(listed, 2) | flag(tuples.wraps, 3) | flag(tuples.checked, 4),
            );
            let index = call.read(named.index.buffer, DType::I64)?;
            let place = call.write(&self.place, DType::I32)?;
            let key = match &self.keys {
                Some((buffer, _)) => Some(call.write(buffer, DType::I32)?),
                None => None,
            };
            let other = match &self.other {
                Other::List(buffer) if listed => Some(call.write(buffer, DType::I32)?),
                _ => None,
            };
            let first = if tuples.checked { Some(call.atomic(flags)?) } else { None };
            let total = part.numel();
            let (count, base) = (call.size(total)?, call.size(done)?);
            let (size, which) = (call.size(named.size)?, call.size(which)?);
            let (step, key_step) = (call.stride(named.step)?, call.stride(named.key_step)?);
            let steps = part.bind(&mut call, false)?;
            done += total;
            let groups = call.threads(total)?;
            call.run(groups, || {
                let mut text = String::from("let t = i + ");
                text += &format!("{base};\nvar r = i;\nvar a = 0u; var x = 0u; var k = 0u; var y = 0u;\n");
                text += &steps.text(&["a", "x", "k", "y"]);
                text += &format!("let v = {};\nvar n = v.x;\nvar known = v.y == 0u;\n", index.load("a", Num::I64));
                if tuples.wraps {
                    text += &format!("if (v.y == 0xffffffffu) {{ n = v.x + {size}; known = v.x >= 0x80000000u; }}\n");
                }
                text += &format!("known = known && n < {size};\n");
                if let Some(first) = first {
                    text += &format!("if (!known) {{ {}}}\n", first.atomic("atomicMax", &which, "0xffffffffu - t"));
                }
                text += "if (!known) { n = 0u; }\n";
                let put = |to: Place, begin: &str, step: &str| {
                    let before = if begins { begin.to_owned() } else { to.word("t") };
                    to.set_word("t", &format!("{before} + bitcast<u32>(bitcast<i32>(n) * {step})"))
                };
                text += &put(place, "x", &step);
                if let Some(key) = key {
                    text += &put(key, "k", &key_step);
                }
                if let Some(other) = other {
                    text += &other.set_word("t", "y");
                }
                entry(&count, &text)
            })
        })
    }
}

/// The element of an index array at a row-major place.
fn read_index(context: &'static Context, index: In<'_>, at: usize) -> Result<i64> {
    let (mut rest, mut position) = (at, index.layout.offset() as isize);
    for (&n, &stride) in index.layout.shape().iter().zip(index.layout.strides()).rev() {
        position += (rest % n) as isize * stride;
        rest /= n;
    }
    let mut raw = [0; 8];
    context.download(&index.buffer.0, position as usize * 8, &mut raw)?;
    Ok(i64::from_ne_bytes(raw))
}

/// The dims that are not indexed, of `x` and `y`: those walked through before the tuples, and after them.
pub(crate) struct Rest {
    pub before: Walk,
    pub after: Walk,
}

impl Rest {
    pub fn numel(&self) -> usize {
        self.before.numel() * self.after.numel()
    }

    fn parts(&self, f: &mut dyn FnMut(&Walk, &Walk) -> Result<()>) -> Result<()> {
        self.before.parts(RANK, &mut |before| self.after.parts(RANK, &mut |after| f(before, after)))
    }
}

/// A thread's way to its elements: tuple `t`, positions `x` and `y`.
struct Way {
    before: Steps,
    after: Steps,
    tuples: String,
    other: String,
    /// How many threads there are.
    count: String,
    total: usize,
}

impl Way {
    /// Over the first `tuples` of all.
    fn bind(call: &mut Call, places: &Places, tuples: usize, before: &Walk, after: &Walk) -> Result<Way> {
        let total = before.numel() * tuples * after.numel();
        let other = match &places.other {
            Other::Step(step) => format!("bitcast<u32>(bitcast<i32>(#) * {})", call.stride(*step)?),
            Other::List(buffer) => call.read(buffer, DType::I32)?.word("#"),
        };
        call.key.variant.push(u32::from(matches!(places.other, Other::List(_))));
        Ok(Way {
            count: call.size(total)?,
            tuples: call.size(tuples)?,
            before: before.bind(call, false)?,
            after: after.bind(call, true)?,
            other,
            total,
        })
    }

    /// Statements that find tuple `t` and the row's positions for thread or element `e`.
    fn text(&self, e: &str) -> String {
        let (after, before) = (self.after.text(&["x", "y"]), self.before.text(&["x", "y"]));
        format!(
            "var r = {e};\nvar x = 0u; var y = 0u;\n{after}let t = r % {n};\nr = r / {n};\n{before}",
            n = self.tuples
        )
    }

    /// The tuple's position in `y`.
    fn other(&self, t: &str) -> String {
        self.other.replace('#', t)
    }
}

/// `y[row, t] = x[row, place of t]`, bit by bit.
pub(crate) fn take(context: &'static Context, places: &Places, rest: &Rest, x: In<'_>, y: &Out<'_>) -> Result<()> {
    if rest.numel() == 0 {
        return Ok(());
    }
    let x = moved_view(x);
    let (layout, dtype) = (y.layout(), x.dtype);
    let numel = layout.numel();
    let elements = per_word(dtype) as usize;
    let start = layout.offset();
    let closed = (start + numel) % elements == 0 || start + numel == y.buffer().len() / dtype.size();
    rest.parts(&mut |before, after| {
        let mut call = Call::new(context, "take");
        let whole = before.numel() * places.count * after.numel() == numel;
        let by_word = elements > 1 && whole && layout.is_contiguous() && start % elements == 0 && closed;
        call.key.variant.push(by_word as u32);
        let from = call.read(x.buffer, dtype)?;
        let to = match by_word {
            true => call.write(y.buffer(), dtype)?,
            false => call.scatter(y.buffer(), dtype)?,
        };
        let place = call.read(&places.place, DType::I32)?;
        let way = Way::bind(&mut call, places, places.count, before, after)?;
        let first = call.size(start / elements)?;
        let groups = call.threads(if by_word { way.total.div_ceil(elements) } else { way.total })?;
        let num = own_num(dtype);
        call.run(groups, || {
            let value = from.load(&format!("(x + {})", place.word("t")), num);
            if by_word {
                let body = to.store_word(&format!("({first} + i)"), &way.count, num, |e| (way.text(e), value.clone()));
                return entry(&format!("({} + {}u) / {elements}u", way.count, elements - 1), &body);
            }
            let store = to.store("q", "v", num);
            entry(&way.count, &format!("{}let q = y + {};\nlet v = {value};\n{store}", way.text("i"), way.other("t")))
        })
    })
}

/// The greatest number of each place's tuples, one more than it; or zeros where the tuples' places are to be cleared.
fn last_of(context: &'static Context, places: &Places, keys: &Buffer, last: &Buffer, clear: bool) -> Result<()> {
    let mut call = Call::new(context, "places_last");
    call.key.variant.push(clear as u32);
    let (keys, last) = (call.read(keys, DType::I32)?, call.atomic(last)?);
    let count = call.size(places.count)?;
    let groups = call.threads(places.count)?;
    call.run(groups, || {
        entry(
            &count,
            &match clear {
                true => last.atomic("atomicStore", &keys.word("i"), "0u"),
                false => last.atomic("atomicMax", &keys.word("i"), "i + 1u"),
            },
        )
    })
}

/// `x[row, place of t] = y[row, t]`, the last of equal places.
pub(crate) fn put(context: &'static Context, places: &Places, rest: &Rest, y: In<'_>, x: &Out<'_>) -> Result<()> {
    if rest.numel() == 0 {
        return Ok(());
    }
    let last = match &places.keys {
        Some((keys, n)) if places.count > 1 => {
            let last = words(context, *n)?;
            // Only what the tuples name is looked at.
            match *n <= places.count.saturating_mul(8) {
                true => context.push(Task::Zero { block: last.0.clone(), bytes: *n as u64 * 4 })?,
                false => last_of(context, places, keys, &last, true)?,
            }
            last_of(context, places, keys, &last, false)?;
            Some((keys, last))
        }
        _ => None,
    };
    let y = moved_view(y);
    rest.parts(&mut |before, after| {
        let mut call = Call::new(context, "put");
        call.key.variant.push(last.is_some() as u32);
        let (from, to) = (call.read(y.buffer, y.dtype)?, call.scatter(x.buffer(), y.dtype)?);
        let place = call.read(&places.place, DType::I32)?;
        let last = match &last {
            Some((keys, last)) => Some((call.read(keys, DType::I32)?, call.read(last, DType::I32)?)),
            None => None,
        };
        let way = Way::bind(&mut call, places, places.count, before, after)?;
        let groups = call.threads(way.total)?;
        let num = own_num(y.dtype);
        call.run(groups, || {
            let mut text = way.text("i");
            if let Some((keys, last)) = last {
                text += &format!("if ({} != t + 1u) {{ return; }}\n", last.word(&keys.word("t")));
            }
            let value = from.load("q", num);
            text += &format!("let q = y + {};\nlet v = {value};\nlet to = x + {};\n", way.other("t"), place.word("t"));
            text += &to.store("to", "v", num);
            entry(&way.count, &text)
        })
    })
}

/// What a sum needs of its type: the zero, and `a + b`.
fn sums(num: Num) -> (String, impl Fn(&str, &str) -> String) {
    (num.literal(0.0), move |a: &str, b: &str| Row::Add.wgsl(num, &[a, b]))
}

/// Adds to `sum` what stands at `at` and on before `end` with key `own`, 64 at a time.
fn sum_of_run(num: Num, keys: Place, position: &str, value: &str) -> String {
    let (zero, plus) = sums(num);
    format!(
        "var sum = {zero};\nloop {{\nvar part = {zero};\nvar n = 0u;\nwhile (n < 64u && at < end) {{\n\
         if ({} != own) {{ break; }}\nlet q = y + {position};\npart = {};\nn++; at++;\n}}\n\
         sum = {};\nif (n < 64u) {{ break; }}\n}}\n",
        keys.word("at"),
        plus("part", value),
        plus("sum", "part"),
    )
}

/// `x[row, place of t] += y[row, t]`: by place, then in the order of the tuples.
///
/// The sorted tuples are cut into chunks. First each chunk sums the run that it goes on with from the chunk before; then
/// a run's first thread sums to the end of its chunk, and adds the sums of those that follow.
pub(crate) fn add(context: &'static Context, places: &Places, rest: &Rest, y: In<'_>, x: &Out<'_>) -> Result<()> {
    if rest.numel() == 0 {
        return Ok(());
    }
    let Some((keys, n)) = &places.keys else {
        return Err(Error::internal("places: a sum without keys"));
    };
    let keys = Keys { buffer: keys.clone(), words: 1, lines: 1, len: places.count };
    // The tuples' own keys are left as they are.
    let bits = usize::BITS - n.saturating_sub(1).leading_zeros();
    let (keys, positions) = order(context, keys, bits)?;
    let chunk = places.count.isqrt().next_power_of_two().max(64);
    let chunks = places.count.div_ceil(chunk);
    let num = own_num(y.dtype);
    let dtype = match num {
        Num::F32 => DType::F32,
        Num::F64 => DType::F64,
        Num::I32 => DType::I32,
        Num::I64 => DType::I64,
    };
    rest.parts(&mut |before, after| {
        let inner = after.numel();
        let carried = match chunks {
            1 => None,
            _ => Some(Buffer(context.allocate(before.numel() * chunks * inner * dtype.size())?)),
        };
        if let Some(carried) = &carried {
            let mut call = Call::new(context, "put_chunks");
            let from = call.read(y.buffer, y.dtype)?;
            let to = call.write(carried, dtype)?;
            let (keys, position) = (call.read(&keys.buffer, DType::I32)?, call.read(&positions, DType::I32)?);
            let way = Way::bind(&mut call, places, chunks, before, after)?;
            let (chunk, all) = (call.size(chunk)?, call.size(places.count)?);
            let groups = call.threads(way.total)?;
            call.run(groups, || {
                let run = sum_of_run(num, keys, &way.other(&position.word("at")), &from.load("q", num));
                let text = format!(
                    "{}if (t == 0u) {{ return; }}\nvar at = t * {chunk};\nlet end = min(at + {chunk}, {all});\n\
                     let own = {};\nif ({} != own) {{ return; }}\n{run}{}",
                    way.text("i"),
                    keys.word("at"),
                    keys.word("at - 1u"),
                    to.store("i", "sum", num)
                );
                entry(&way.count, &text)
            })?;
        }
        let mut call = Call::new(context, "put_sums");
        let (from, to) = (call.read(y.buffer, y.dtype)?, call.scatter(x.buffer(), y.dtype)?);
        let place = call.read(&places.place, DType::I32)?;
        let (keys, position) = (call.read(&keys.buffer, DType::I32)?, call.read(&positions, DType::I32)?);
        let more = match &carried {
            Some(carried) => Some(call.read(carried, dtype)?),
            None => None,
        };
        let way = Way::bind(&mut call, places, places.count, before, after)?;
        let (chunk, chunks, inner) = (call.size(chunk)?, call.size(chunks)?, call.size(inner)?);
        let groups = call.threads(way.total)?;
        call.run(groups, || {
            let (_, plus) = sums(num);
            let tuples = &way.tuples;
            let run = sum_of_run(num, keys, &way.other(&position.word("at")), &from.load("q", num));
            let rest = more.map_or(String::new(), |more| {
                let next =
                    more.load(&format!("(((i / ({inner} * {tuples})) * {chunks} + c) * {inner} + i % {inner})"), num);
                format!(
                    "if (at == end) {{\nfor (var c = t / {chunk} + 1u; c < {chunks}; c++) {{\n\
                     if ({} != own) {{ break; }}\nsum = {};\n}}\n}}\n",
                    keys.word(&format!("c * {chunk}")),
                    plus("sum", &next)
                )
            });
            let text = format!(
                "{}let own = {};\nif (t > 0u && {} == own) {{ return; }}\n\
                 var at = t;\nlet end = min((t / {chunk} + 1u) * {chunk}, {tuples});\n{run}{rest}\
                 let to = x + {};\nlet v = {};\n{}",
                way.text("i"),
                keys.word("t"),
                keys.word("max(t, 1u) - 1u"),
                place.word(&position.word("t")),
                plus(&to.load("to", num), "sum"),
                to.store("to", "v", num)
            );
            entry(&way.count, &text)
        })
    })
}

/// `gather` along the last dim by 32-bit positions that are known to be in range.
pub(crate) fn gather_unchecked(context: &'static Context, x: In<'_>, index: In<'_>, out: Out<'_>) -> Result<()> {
    let shape = out.layout().shape();
    let (Some(last), false) = (shape.len().checked_sub(1), out.layout().numel() == 0) else { return Ok(()) };
    let x = moved_view(x);
    let mut strides: SmallVec<[isize; 8]> = SmallVec::from_slice(x.layout.strides());
    let step = strides[last];
    strides[last] = 0;
    let walk = Walk::new(
        shape,
        [&strides, index.layout.strides(), out.layout().strides()],
        [x.layout.offset(), index.layout.offset(), out.layout().offset()],
    );
    walk.parts(RANK, &mut |part| {
        let mut call = Call::new(context, "pick");
        let (from, by) = (call.read(x.buffer, x.dtype)?, call.read(index.buffer, index.dtype)?);
        let to = call.scatter(out.buffer(), x.dtype)?;
        let (count, step) = (call.size(part.numel())?, call.stride(step)?);
        let steps = part.bind(&mut call, false)?;
        let groups = call.threads(part.numel())?;
        let num = own_num(x.dtype);
        call.run(groups, || {
            let text = format!(
                "var r = i;\nvar a = 0u; var k = 0u; var q = 0u;\n{}let n = {};\n\
                 let v = {};\n{}",
                steps.text(&["a", "k", "q"]),
                by.load("k", Num::I32),
                from.load(&format!("(a + bitcast<u32>(n * {step}))"), num),
                to.store("q", "v", num)
            );
            entry(&count, &text)
        })
    })
}

/// The strides of a layout and its first position, as a walk wants them.
pub(crate) fn rest_of(x: &Layout, x_dims: &[usize], y: &Layout, y_from: usize, offsets: [usize; 2]) -> Walk {
    let shape: SmallVec<[usize; 8]> = x_dims.iter().map(|&d| x.shape()[d]).collect();
    let strides: SmallVec<[isize; 8]> = x_dims.iter().map(|&d| x.strides()[d]).collect();
    Walk::new(&shape, [&strides, &y.strides()[y_from..y_from + x_dims.len()]], offsets)
}
