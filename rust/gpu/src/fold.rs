//! What reductions, extremes and scans have in common: the kept dims of an array and those folded away, and how the
//! threads share them.

use crate::context::Context;
use crate::elementwise::copy;
use crate::memory::Buffer;
use crate::shader::{type_text, Call, Num, Place, THREADS};
use smallvec::SmallVec;
use std::cell::Cell;
use std::fmt::Write;
use wengert_ops::{DType, Layout, Result, View, ViewMut};

/// Sizes and strides of some dims of an array, merged where one follows the other.
#[derive(Clone, Default)]
pub(crate) struct Axes {
    pub sizes: SmallVec<[usize; 4]>,
    pub strides: SmallVec<[isize; 4]>,
}

impl Axes {
    /// Adds a dim inside of those that are there.
    fn push(&mut self, size: usize, stride: isize) {
        if size == 1 {
            return;
        }
        match (self.sizes.last_mut(), self.strides.last_mut()) {
            (Some(n), Some(s)) if *s == stride.wrapping_mul(size as isize) => (*n, *s) = (*n * size, stride),
            _ => {
                self.sizes.push(size);
                self.strides.push(stride);
            }
        }
    }

    pub fn numel(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The innermost size and stride.
    pub fn inner(&self) -> (usize, isize) {
        (self.sizes.last().map_or(1, |n| *n), self.strides.last().map_or(0, |s| *s))
    }

    /// Its sizes and strides as parameters.
    fn bind(&self, call: &mut Call) -> Result<Walk> {
        call.key.variant.push(self.sizes.len() as u32);
        // The outermost size is not needed: what is left of an index is its coordinate.
        let sizes = self.sizes.iter().skip(1).map(|n| call.size(*n)).collect::<Result<_>>()?;
        let strides = self.strides.iter().map(|s| call.stride(*s)).collect::<Result<_>>()?;
        Ok(Walk { sizes, strides })
    }
}

/// [`Axes`] in a kernel's text.
pub(crate) struct Walk {
    sizes: SmallVec<[String; 4]>,
    strides: SmallVec<[String; 4]>,
}

fn times(index: &str, stride: &str) -> String {
    format!("bitcast<u32>(bitcast<i32>({index}) * {stride})")
}

impl Walk {
    /// Statements that define `name`: `start` plus the place of the element with row-major number `index`.
    pub fn place(&self, name: &str, start: &str, index: &str) -> String {
        match &self.strides[..] {
            [] => format!("let {name} = {start};\n"),
            [stride] => format!("let {name} = {start} + {};\n", times(index, stride)),
            all => {
                let mut text = format!("var {name} = {start};\nvar r_{name} = {index};\n");
                for d in (1..all.len()).rev() {
                    let n = &self.sizes[d - 1];
                    let at = times(&format!("(r_{name} % {n})"), &all[d]);
                    let _ = writeln!(text, "{name} += {at};\nr_{name} = r_{name} / {n};");
                }
                let _ = writeln!(text, "{name} += {};", times(&format!("r_{name}"), &all[0]));
                text
            }
        }
    }

    /// A loop over the numbers `first`, `first + step`, … below `end` (all texts without side effects). `body` uses `j`, the
    /// number, and `at`, the place.
    pub fn each(&self, start: &str, first: &str, step: &str, end: &str, body: &str) -> String {
        let rank = self.strides.len();
        if rank < 2 {
            let stride = self.strides.first().map_or("0i", |s| s);
            let at = times("j", stride);
            return format!("for (var j = {first}; j < {end}; j += {step}) {{\nlet at = {start} + {at};\n{body}}}\n");
        }
        // Where a step stays within the innermost dim nothing is divided.
        let inner = &self.sizes[rank - 2];
        let outer =
            Walk { sizes: SmallVec::from(&self.sizes[..rank - 2]), strides: SmallVec::from(&self.strides[..rank - 1]) };
        let enter = format!("let o = j / {inner};\nc = j - o * {inner};\n{}base = e;\n", outer.place("e", start, "o"));
        format!(
            "{{\nvar c = {inner};\nvar base = 0u;\nfor (var j = {first}; j < {end}; j += {step}) {{\n\
             if (c >= {inner}) {{\n{enter}}}\nlet at = base + {};\nc += {step};\n{body}}}\n}}\n",
            times("c", &self.strides[rank - 1])
        )
    }
}

/// An array whose dims are in part kept and in part folded.
#[derive(Clone)]
pub(crate) struct Folding {
    pub buffer: Buffer,
    pub dtype: DType,
    pub offset: usize,
    /// Row-major, as the results are.
    pub kept: Axes,
    /// From the largest stride to the smallest.
    pub folded: Axes,
}

/// A [`Folding`] in a kernel's text.
pub(crate) struct Bound {
    pub place: Place,
    pub start: String,
    pub kept: Walk,
    pub folded: Walk,
}

/// More dims of a kind than this are brought into one first.
const RANK: usize = 4;

impl Folding {
    pub fn new(context: &'static Context, x: View<'_, Buffer>, dims: u64) -> Result<Folding> {
        let (mut kept, mut folded) = (Axes::default(), Axes::default());
        let all = || x.layout.shape().iter().copied().zip(x.layout.strides().iter().copied()).enumerate();
        let mut inside: SmallVec<[(usize, isize); 4]> =
            all().filter(|(d, _)| dims >> d & 1 == 1).map(|(_, dim)| dim).collect();
        inside.sort_by_key(|(_, stride)| std::cmp::Reverse(stride.unsigned_abs()));
        inside.into_iter().for_each(|(n, s)| folded.push(n, s));
        all().filter(|(d, _)| dims >> d & 1 == 0).for_each(|(_, (n, s))| kept.push(n, s));
        let fold = Folding { buffer: x.buffer.clone(), dtype: x.dtype, offset: x.layout.offset(), kept, folded };
        if fold.kept.sizes.len() > RANK || fold.folded.sizes.len() > RANK {
            return fold.packed(context);
        }
        Ok(fold)
    }

    /// Folds from the other end of the innermost folded dim.
    pub fn turn(&mut self) {
        if let (Some(n), Some(stride)) = (self.folded.sizes.last(), self.folded.strides.last_mut()) {
            self.offset = self.offset.wrapping_add_signed(stride.wrapping_mul(*n as isize - 1));
            *stride = -*stride;
        }
    }

    /// A matrix that is folded along its columns (`down`), or along its rows.
    pub fn matrix(buffer: Buffer, dtype: DType, kept: usize, folded: usize, down: bool) -> Folding {
        let (outer, inner) = if down { (1, kept as isize) } else { (folded as isize, 1) };
        let mut fold = Folding { buffer, dtype, offset: 0, kept: Axes::default(), folded: Axes::default() };
        fold.kept.push(kept, outer);
        fold.folded.push(folded, inner);
        fold
    }

    /// The same elements, kept dims first, in a new block.
    pub fn packed(&self, context: &'static Context) -> Result<Folding> {
        let (kept, folded) = (self.kept.numel(), self.folded.numel());
        let shape = [&self.kept.sizes[..], &self.folded.sizes[..]].concat();
        let strides = [&self.kept.strides[..], &self.folded.strides[..]].concat();
        let src = Layout::strided(SmallVec::from_slice(&shape), SmallVec::from_slice(&strides), self.offset);
        let buffer = Buffer(context.allocate(kept.saturating_mul(folded).saturating_mul(self.dtype.size()))?);
        let dst = Layout::contiguous(&shape);
        // SAFETY: fresh.
        let out = unsafe { ViewMut::new(&buffer, &dst, self.dtype) };
        copy(context, View { buffer: &self.buffer, layout: &src, dtype: self.dtype }, out)?;
        Ok(Folding::matrix(buffer, self.dtype, kept, folded, false))
    }

    /// Whether neighbours in memory belong to different results, and enough of them to keep threads side by side.
    pub fn columns(&self) -> bool {
        let ((width, across), (length, along)) = (self.kept.inner(), self.folded.inner());
        width >= 16 && (length == 1 || across.unsigned_abs() < along.unsigned_abs())
    }

    pub fn bind(&self, call: &mut Call) -> Result<Bound> {
        self.check(call)?;
        let place = call.read(&self.buffer, self.dtype)?;
        let start = call.size(self.offset)?;
        Ok(Bound { place, start, kept: self.kept.bind(call)?, folded: self.folded.bind(call)? })
    }

    /// As [`Folding::bind`], without the array: the walks of its kept and its folded dims.
    pub fn walks(&self, call: &mut Call) -> Result<(Walk, Walk)> {
        self.check(call)?;
        Ok((self.kept.bind(call)?, self.folded.bind(call)?))
    }

    fn check(&self, call: &Call) -> Result<()> {
        call.countable(self.kept.numel().max(self.folded.numel()))
    }
}

/// Whether threads should not meet in groups: a software device runs a group on one core, and its barriers are slow.
pub(crate) fn narrow(context: &Context) -> bool {
    context.info.software && !MEET.get()
}

thread_local! {
    static MEET: Cell<bool> = const { Cell::new(false) };
}

/// Lets calls of this thread be shared among threads as on hardware: for tests on software devices.
#[doc(hidden)]
pub fn as_on_hardware(on: bool) {
    MEET.set(on);
}

/// Parts of which a thread can walk along each.
pub(crate) fn least_parts(context: &Context, length: usize) -> usize {
    length.div_ceil(context.rounds()).max(1)
}

/// How threads share a fold: `lanes` neighbours in a group fold one part together; each result has `parts` parts, one
/// after another, that a second pass joins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Share {
    pub lanes: u32,
    pub parts: usize,
}

impl Share {
    pub fn of(context: &Context, fold: &Folding) -> Share {
        let (kept, length) = (fold.kept.numel().max(1), fold.folded.numel());
        let (lanes, enough, least) = match (narrow(context), fold.columns(), length) {
            (true, ..) => (1, 1 << 10, 1 << 8),
            (_, true, _) | (_, _, 0..=32) => (1, 1 << 17, 1 << 6),
            (_, _, 33..=512) => (32, 1 << 17, 1 << 8),
            _ => (THREADS, 1 << 17, THREADS as usize * 8),
        };
        let parts = (enough / (kept * lanes as usize).max(1)).min(length / least);
        Share { lanes, parts: 1 }.cut(length, if parts < 4 { 1 } else { parts }.max(least_parts(context, length)))
    }

    /// For scans, in which a thread walks along a part.
    pub fn of_lines(context: &Context, fold: &Folding) -> Share {
        let (kept, length) = (fold.kept.numel().max(1), fold.folded.numel());
        let narrow = narrow(context);
        let parts = (if narrow { 1 << 10 } else { 1 << 17 } / kept).min(length / 64);
        let lanes = if narrow || fold.columns() { 1 } else { 32 };
        Share { lanes, parts: 1 }.cut(length, if parts < 4 { 1 } else { parts }.max(least_parts(context, length)))
    }

    /// With about so many parts, none of them empty.
    pub fn cut(self, length: usize, parts: usize) -> Share {
        let chunk = length.div_ceil(parts).max(1);
        Share { parts: length.div_ceil(chunk).max(1), ..self }
    }

    /// Elements of a part.
    pub fn chunk(self, length: usize) -> usize {
        length.div_ceil(self.parts)
    }

    /// Groups for so many parts.
    pub fn groups(self, call: &Call, count: usize) -> Result<[u32; 3]> {
        call.groups(count.div_ceil((THREADS / self.lanes) as usize))
    }

    /// `main` where `lanes` threads, each knowing its `lane`, do `body` for part `v`; `working` tells whether it is one of
    /// `count`. All threads run `body`, so that they may meet in it.
    pub fn entry(self, count: &str, body: &str) -> String {
        let lanes = self.lanes;
        format!(
            "@compute @workgroup_size({THREADS})\nfn main(@builtin(workgroup_id) group: vec3<u32>, \
             @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) t: u32) {{\n\
             let lane = t % {lanes}u;\n\
             let v = (group.y * groups.x + group.x) * {}u + t / {lanes}u;\nlet working = v < {count};\n{body}}}\n",
            THREADS / lanes
        )
    }

    /// Declares `name(x, t)`: the join over a part's lanes, which all of them get. `join` is a text over `a` and `b`.
    pub fn across(self, name: &str, num: Num, join: &str) -> String {
        let ty = type_text(num);
        if self.lanes == 1 {
            return format!("fn {name}(x: {ty}, t: u32) -> {ty} {{ return x; }}\n");
        }
        let lanes = self.lanes;
        format!(
            "var<workgroup> of_{name}: array<{ty}, {THREADS}>;\nfn {name}(x: {ty}, t: u32) -> {ty} {{\n\
             of_{name}[t] = x;\nworkgroupBarrier();\nfor (var s = {}u; s > 0u; s = s / 2u) {{\n\
             if (t % {lanes}u < s) {{\nlet a = of_{name}[t];\nlet b = of_{name}[t + s];\nof_{name}[t] = {join};\n}}\n\
             workgroupBarrier();\n}}\nlet all = of_{name}[t - t % {lanes}u];\nworkgroupBarrier();\nreturn all;\n}}\n",
            lanes / 2
        )
    }
}

/// The dtype that stores a type as it is.
pub(crate) fn stored(num: Num) -> DType {
    match num {
        Num::F32 => DType::F32,
        Num::F64 => DType::F64,
        Num::I32 => DType::I32,
        Num::I64 => DType::I64,
    }
}

/// A contiguous block for `count` results that are not the last.
pub(crate) fn scratch(context: &'static Context, count: usize, num: Num) -> Result<(Buffer, DType)> {
    let dtype = stored(num);
    Ok((Buffer(context.allocate(count.saturating_mul(dtype.size()))?), dtype))
}
