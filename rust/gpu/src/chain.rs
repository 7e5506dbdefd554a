//! Elementwise work as data: steps that wait in the queue, which of them go together, and the kernel for those.

use crate::context::Context;
use crate::elementwise::merged;
use crate::memory::{Block, Buffer};
use crate::pipeline::{Pipeline, IMMEDIATE};
use crate::recipe::{From, Made, Recipe, Rule, Spot, Store, Way};
use crate::reduce::Pass;
use crate::shader::{per_word, words_of, Call, Num};
use crate::stream::{Binding, Dispatch};
use smallvec::SmallVec;
use std::sync::Arc;
use wengert_ops::{DType, Layout, Result, Scalar};

/// An array of a step, held until it has run.
#[derive(Clone)]
pub(crate) struct Array {
    pub buffer: Buffer,
    pub layout: Layout,
    pub dtype: DType,
}

#[derive(Clone)]
pub(crate) enum Arg {
    Array(Array),
    Number(Scalar),
    /// It is not read.
    Nothing,
}

/// `out = rule(operands…)`, element by element.
pub(crate) struct Step {
    pub rule: Rule,
    /// The type computed in, and the result's.
    pub num: Num,
    pub result: Num,
    pub operands: SmallVec<[Arg; 4]>,
    pub out: Array,
}

/// More merged dimensions than this are walked through from the host.
const RANK: usize = 6;
/// Steps of one kernel.
const LONGEST: usize = 24;

impl Array {
    fn block(&self) -> *const Block {
        Arc::as_ptr(&self.buffer.0)
    }

    /// Whether both see one block's elements in the same order, and as the same.
    fn is_alike(&self, other: &Array) -> bool {
        self.layout.is_contiguous()
            && other.layout.is_contiguous()
            && self.layout.offset() == other.layout.offset()
            && self.dtype == other.dtype
    }

    /// Whether threads that write whole words write nothing else.
    fn owns_words(&self) -> bool {
        let (each, start, numel) = (per_word(self.dtype) as usize, self.layout.offset(), self.layout.numel());
        let to_the_end = start + numel == self.buffer.len() / self.dtype.size();
        self.layout.is_contiguous() && start % each == 0 && ((start + numel) % each == 0 || to_the_end)
    }
}

impl Step {
    fn inputs(&self) -> impl Iterator<Item = &Array> {
        self.operands.iter().filter_map(|arg| match arg {
            Arg::Array(array) => Some(array),
            _ => None,
        })
    }

    fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.inputs().chain([&self.out])
    }

    /// Bytes of a block that is new with this step.
    pub fn bytes(&self) -> usize {
        match self.inputs().any(|x| x.block() == self.out.block()) {
            true => 0,
            false => self.out.buffer.len(),
        }
    }

    /// Whether nothing can keep it from running as one kernel, or with others in one.
    pub fn is_usual(&self, context: &Context) -> bool {
        if !self.arrays().all(|a| is_usual(context, &a.buffer, a.dtype)) || !self.agrees_on_doubles(self) {
            return false;
        }
        if self.arrays().all(|a| a.layout.is_contiguous()) {
            return true;
        }
        let layouts: SmallVec<[&Layout; 6]> = self.arrays().map(|a| &a.layout).collect();
        let rank = merged(self.out.layout.shape(), &layouts).sizes.len();
        let numbers = self.operands.len() - (layouts.len() - 1);
        rank <= RANK && 1 + layouts.len() + rank + rank * layouts.len() + 2 * numbers <= IMMEDIATE / 4
    }

    /// A kernel sees a block as 64-bit floats or as words, not as both.
    fn agrees_on_doubles(&self, other: &Step) -> bool {
        let double = |a: &Array| a.dtype == DType::F64;
        self.arrays().all(|a| other.arrays().all(|b| a.block() != b.block() || double(a) == double(b)))
    }

    /// One step for each index of the first dimension.
    pub fn parts(&self) -> impl Iterator<Item = Step> + '_ {
        let part = |array: &Array, at: usize| {
            let layout = &array.layout;
            let offset = layout.offset().wrapping_add_signed(layout.strides()[0] * at as isize);
            let (shape, strides) = (&layout.shape()[1..], &layout.strides()[1..]);
            let layout = Layout::strided(SmallVec::from_slice(shape), SmallVec::from_slice(strides), offset);
            Array { layout, ..array.clone() }
        };
        (0..self.out.layout.shape()[0]).map(move |at| Step {
            operands: self
                .operands
                .iter()
                .map(|arg| match arg {
                    Arg::Array(array) => Arg::Array(part(array, at)),
                    other => other.clone(),
                })
                .collect(),
            out: part(&self.out, at),
            ..*self
        })
    }
}

/// Whether a kernel takes an array of this dtype without more ado.
pub(crate) fn is_usual(context: &Context, buffer: &Buffer, dtype: DType) -> bool {
    // So that every position fits 32 bits with a sign.
    let most = context.limits.max_storage_buffer_binding_size.min(i32::MAX as u64) as usize;
    (dtype != DType::F64 || context.has_f64()) && buffer.device() == context.index && buffer.len() <= most
}

/// Whether a fold can take the results of `steps`, which go together, as they come.
pub(crate) fn feeds(steps: &[&Step], pass: &Pass) -> bool {
    let x = &pass.fold;
    let numel = x.kept.numel() * x.folded.numel();
    let block = |buffer: &Buffer| Arc::as_ptr(&buffer.0);
    let writer = steps.iter().rev().find(|s| s.out.block() == block(&x.buffer));
    steps.iter().all(|s| s.stays_in_lane())
        && steps.iter().all(|s| s.arrays().all(|a| a.block() != block(&pass.out)))
        && writer.is_some_and(|s| {
            s.out.layout.numel() == numel && s.out.layout.offset() == x.offset && s.out.dtype == x.dtype
        })
}

/// Whether `next` can run in one kernel with `steps`, each thread computing all of them for its elements.
pub(crate) fn joins(steps: &[&Step], next: &Step) -> bool {
    let Some(first) = steps.first() else { return true };
    if steps.len() >= LONGEST || first.out.layout.numel() != next.out.layout.numel() {
        return false;
    }
    if steps.len() == 1 && !first.stays_in_lane() || !next.stays_in_lane() {
        return false;
    }
    // Where all is contiguous shapes are the same thing in other words.
    let shape = |s: &Step| s.arrays().any(|a| !a.layout.is_contiguous()).then(|| s.out.layout.clone());
    if let Some(own) = shape(next) {
        if steps.iter().any(|s| shape(s).is_some_and(|other| other.shape() != own.shape())) {
            return false;
        }
    }
    steps.iter().all(|s| {
        s.agrees_on_doubles(next)
            // What one thread has written another must not read or overwrite,
            && next.arrays().all(|a| a.block() != s.out.block() || a.is_alike(&s.out))
            // nor what another is yet to read.
            && s.inputs().all(|a| a.block() != next.out.block() || a.is_alike(&next.out))
    })
}

impl Step {
    /// Whether a thread can compute it without looking at what others write.
    fn stays_in_lane(&self) -> bool {
        let words = per_word(self.out.dtype) == 1 || self.out.owns_words();
        let own = self.inputs().all(|a| a.block() != self.out.block() || a.is_alike(&self.out));
        words && own && self.out.layout.is_contiguous()
    }
}

/// Which of some steps must run, and whose results must be written: those that somebody holds besides the steps. A fold
/// takes the last result in `folded` as it comes, and holds it once.
pub(crate) fn wanted(steps: &[&Step], folded: Option<&Buffer>) -> (SmallVec<[bool; 32]>, SmallVec<[bool; 32]>) {
    let folded = folded.map(|buffer| Arc::as_ptr(&buffer.0));
    let mut runs: SmallVec<[bool; 32]> = SmallVec::from_elem(false, steps.len());
    let mut kept = runs.clone();
    for (k, step) in steps.iter().enumerate().rev() {
        let block = step.out.block();
        let overwritten = steps[k + 1..].iter().position(|s| s.out.block() == block).map(|n| k + 1 + n);
        let held = || {
            let own: usize = steps.iter().map(|s| s.arrays().filter(|a| a.block() == block).count()).sum();
            Arc::strong_count(&step.out.buffer.0) > own + usize::from(folded == Some(block))
        };
        kept[k] = overwritten.is_none() && held();
        // The step that overwrites it may read it, too.
        let readers = k + 1..overwritten.map_or(steps.len(), |n| n + 1);
        let taken = overwritten.is_none() && folded == Some(block);
        runs[k] = kept[k] || taken || readers.clone().any(|n| runs[n] && steps[n].inputs().any(|a| a.block() == block));
    }
    (runs, kept)
}

/// A kernel for some steps, and what it is run with.
pub(crate) struct Plan {
    pub recipe: Recipe,
    bindings: SmallVec<[Binding; 6]>,
    words: SmallVec<[u32; IMMEDIATE / 4]>,
    groups: [u32; 3],
}

/// The walks through a plan's arrays: the first is the steps' own order.
struct Ways<'a> {
    strides: SmallVec<[&'a Layout; 4]>,
    contiguous: bool,
}

impl<'a> Ways<'a> {
    fn of(&mut self, array: &'a Array) -> u8 {
        if array.layout.is_contiguous() {
            self.contiguous = true;
            return 0;
        }
        let known = self.strides.iter().position(|l| l.strides() == array.layout.strides());
        let at = known.unwrap_or_else(|| {
            self.strides.push(&array.layout);
            self.strides.len() - 1
        });
        1 + at as u8
    }
}

impl Plan {
    /// The kernel of some steps that [`joins`] has found to fit, in their order; `kept` tells whose results are written.
    /// None where it would take more parameters or bindings than there are.
    pub fn of(context: &'static Context, steps: &[&Step], kept: &[bool]) -> Result<Option<Plan>> {
        let mut call = Call::new(context, steps[0].rule.name());
        let Some(recipe) = laid_out(&mut call, steps, kept, None)? else { return Ok(None) };
        let groups = call.threads(steps[0].out.layout.numel().div_ceil(recipe.elements() as usize))?;
        Plan::closed(call, recipe, groups, steps.len() > 1)
    }

    /// The kernel of a fold that [`feeds`] has found to fit, over the results of the step that writes its array, and what makes its
    /// text.
    pub fn folded(
        context: &'static Context,
        steps: &[&Step],
        kept: &[bool],
        pass: &Pass,
    ) -> Result<Option<(Plan, impl FnOnce() -> String)>> {
        // Each thread of a fold has elements from everywhere: it cannot pack neighbours.
        if steps.iter().zip(kept).any(|(s, kept)| *kept && per_word(s.out.dtype) > 1) {
            return Ok(None);
        }
        let (mut call, target) = pass.begin(context)?;
        let block = Arc::as_ptr(&pass.fold.buffer.0);
        let Some(taken) = steps.iter().rposition(|s| s.out.block() == block) else { return Ok(None) };
        let Some(mut recipe) = laid_out(&mut call, steps, kept, Some(taken))? else { return Ok(None) };
        let walks = pass.fold.walks(&mut call)?;
        let chain = recipe.clone();
        let element = move |num| chain.for_fold(taken, num);
        let (groups, body) = pass.body(&mut call, target, "0u".to_owned(), walks, element)?;
        recipe.fold = SmallVec::from_slice(&call.key.variant);
        recipe.fold.push(taken as u32);
        Ok(Plan::closed(call, recipe, groups, true)?.map(|plan| (plan, body)))
    }

    /// None where a kernel of `several` steps would take more parameters or bindings than there are.
    fn closed(call: Call, mut recipe: Recipe, groups: [u32; 3], several: bool) -> Result<Option<Plan>> {
        let most = call.context.limits.max_storage_buffers_per_shader_stage as usize;
        if call.words.len() > IMMEDIATE / 4 {
            return Ok(None);
        }
        if !several {
            call.fits()?;
        }
        let bound = call.bound()?;
        if several && bound.frame.bindings() > most {
            return Ok(None);
        }
        recipe.frame = bound.frame;
        Ok(Some(Plan { recipe, bindings: bound.bindings, words: bound.words, groups }))
    }

    pub fn dispatch(self, pipeline: Arc<Pipeline>) -> Dispatch {
        Dispatch { pipeline, bindings: self.bindings, parameters: self.words, groups: self.groups }
    }
}

/// Binds the arrays of some steps and pushes their parameters, in the order in which a recipe names them. A fold reads the
/// result of step `taken`. None where there are more dims than a kernel walks through.
fn laid_out(call: &mut Call, steps: &[&Step], kept: &[bool], taken: Option<usize>) -> Result<Option<Recipe>> {
    let mut ways = Ways { strides: SmallVec::new(), contiguous: false };
    let mut offsets: SmallVec<[usize; 8]> = SmallVec::new();
    let mut made: SmallVec<[Made; 1]> = SmallVec::new();
    // Written arrays are bound first: what is written by atomic operations is read by such.
    let mut starts: SmallVec<[usize; 8]> = SmallVec::new();
    for (step, kept) in steps.iter().zip(kept) {
        let out = &step.out;
        let store = if *kept {
            let owned = out.owns_words();
            let place = match owned {
                true => call.write(&out.buffer, out.dtype)?,
                false => call.scatter(&out.buffer, out.dtype)?,
            };
            let start = out.layout.offset();
            starts.push(start);
            let spot = Spot { place, way: ways.of(out), offset: start != 0 };
            match owned && per_word(out.dtype) > 1 {
                true => Store::Words(spot),
                false => Store::Element(spot),
            }
        } else {
            Store::No
        };
        let from = SmallVec::new();
        made.push(Made {
            rule: step.rule,
            num: step.num,
            result: step.result,
            from,
            dtype: out.dtype,
            store,
            read: false,
        });
    }
    let mut inputs: SmallVec<[Spot; 3]> = SmallVec::new();
    let mut seen: SmallVec<[&Array; 8]> = SmallVec::new();
    for (k, step) in steps.iter().enumerate() {
        for arg in &step.operands {
            let from = match arg {
                Arg::Nothing => From::Nothing,
                Arg::Number(_) => From::Number,
                Arg::Array(array) => {
                    let writer = steps[..k].iter().rposition(|s| s.out.block() == array.block());
                    let known = || {
                        seen.iter().position(|a| {
                            a.block() == array.block()
                                && a.dtype == array.dtype
                                && (a.layout.same(&array.layout) || a.layout == array.layout || a.is_alike(array))
                        })
                    };
                    if let Some(writer) = writer {
                        made[writer].read = true;
                        From::Step(writer as u8)
                    } else if let Some(at) = known() {
                        From::Input(at as u8)
                    } else {
                        let place = call.read(&array.buffer, array.dtype)?;
                        let offset = array.layout.offset();
                        inputs.push(Spot { place, way: ways.of(array), offset: offset != 0 });
                        offsets.push(offset);
                        seen.push(array);
                        From::Input(seen.len() as u8 - 1)
                    }
                }
            };
            made[k].from.push(from);
        }
    }
    if let Some(taken) = taken {
        made[taken].read = true;
    }
    let first = call.words.len() as u32;
    let mut recipe = Recipe {
        frame: Default::default(),
        first,
        rank: 0,
        ways: SmallVec::new(),
        inputs,
        steps: made,
        fold: SmallVec::new(),
    };
    let numel = steps[0].out.layout.numel();
    call.put_size(numel)?;
    if recipe.veiled() {
        call.words.push(0);
    }
    for &offset in offsets.iter().chain(&starts).filter(|offset| **offset != 0) {
        call.put_size(offset)?;
    }
    recipe.ways.push(Way::Follows);
    if !ways.strides.is_empty() && !walks(call, &mut recipe, &ways)? {
        return Ok(None);
    }
    for step in steps {
        for arg in &step.operands {
            if let Arg::Number(number) = arg {
                call.words.extend(words_of(step.num, *number));
            }
        }
    }
    Ok(Some(recipe))
}

/// Sizes and strides of what does not lie in the steps' order; false where there are too many.
fn walks(call: &mut Call, recipe: &mut Recipe, ways: &Ways<'_>) -> Result<bool> {
    let shape = ways.strides[0].shape();
    let order = Layout::contiguous(shape);
    let mut layouts: SmallVec<[&Layout; 6]> = SmallVec::new();
    if ways.contiguous {
        layouts.push(&order);
    }
    layouts.extend_from_slice(&ways.strides);
    let dims = merged(shape, &layouts);
    let rank = dims.sizes.len();
    if rank > RANK {
        return Ok(false);
    }
    let strides = &dims.strides[usize::from(ways.contiguous)..];
    recipe.rank = rank as u8;
    recipe.ways.extend(strides.iter().map(|s| match &s[..] {
        [] | [0] => Way::Stays,
        [1] => Way::Follows,
        _ => Way::Strides,
    }));
    if recipe.ways.contains(&Way::Strides) {
        for &n in dims.sizes.iter().skip(1) {
            call.put_size(n)?;
        }
        for (_, s) in recipe.ways[1..].iter().zip(strides).filter(|(way, _)| **way == Way::Strides) {
            for &stride in s {
                call.put_stride(stride)?;
            }
        }
    }
    Ok(true)
}
