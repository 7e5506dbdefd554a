//! Runs a kernel over arrays of any layout and dtype: contiguous operands of the kernel's own type go in
//! as they stand, everything else through scratch blocks.

use super::kernels::{Lane, Truth, Value, Vjp};
use super::movers::{self, Cell};
use super::plan::{Plan, ARRAYS, BLOCK};
use crate::buffer::Buffer;
use crate::nest;
use crate::strided::vectorised;
use smallvec::SmallVec;
use std::mem::MaybeUninit;
use std::ops::Range;
use wengert_ops::{DType, Layout, Operand, View, ViewMut};

/// A kernel with its calling convention.
#[derive(Clone, Copy, Debug)]
pub enum Call<T: 'static> {
    /// Also with the first operand in the output.
    Value {
        apart: Value<T>,
        over: Value<T>,
    },
    Truth(Truth<T>),
    /// The last two operands are the row's value and the gradient.
    Vjp(Vjp<T>),
    /// The same, added by a kernel of sums to the output, which is dense and apart from all operands.
    VjpAdded {
        vjp: Vjp<T>,
        add: Value<T>,
    },
}

/// How an operand reaches the kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// As it stands, by row-major position.
    Dense,
    /// As it stands within an innermost loop.
    Rows,
    /// Filled into scratch once.
    Constant,
    /// Dense, but what is written lies there, too: copied into scratch block by block.
    Copied,
    /// The same, of the first operand, for a kernel that reads it where it writes.
    Over,
    /// One element for a whole innermost loop: filled into scratch block by block.
    Spread,
    /// Copied into scratch block by block.
    Moved,
    /// The kernel does not read it.
    Unused,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    way: Way,
    dtype: DType,
    /// The first element.
    start: *const u8,
}
// SAFETY: an address; the arrays behind it are readable from every thread while the call lasts.
unsafe impl Sync for Source {}

type Block<T> = [MaybeUninit<T>; BLOCK];

fn first(buffer: &Buffer, layout: &Layout, dtype: DType) -> *mut u8 {
    buffer.ptr().wrapping_add(layout.offset() * dtype.size())
}

/// Whether an input and the output touch common bytes.
fn overlap(view: &View<'_, Buffer>, out: &ViewMut<'_, Buffer>) -> bool {
    if !(std::ptr::eq(view.buffer, out.buffer()) || view.buffer.is_foreign() && out.buffer().is_foreign()) {
        return false;
    }
    let bytes = |buffer: &Buffer, layout: &Layout, dtype: DType| {
        let (low, high) = layout.span();
        (buffer.ptr() as usize + low * dtype.size(), buffer.ptr() as usize + high * dtype.size())
    };
    let a = bytes(view.buffer, view.layout, view.dtype);
    let b = bytes(out.buffer(), out.layout(), out.dtype());
    a.0 < b.1 && b.0 < a.1
}

/// Whether neighbours in memory are far apart in row-major order, and there are many of both.
fn is_across(x: &Layout) -> bool {
    const MANY: usize = 8;
    let mut dims = x.shape().iter().zip(x.strides()).rev().filter(|(n, _)| **n > 1);
    dims.next().is_some_and(|(n, step)| *n >= MANY && step.unsigned_abs() > 1)
        && dims.any(|(n, s)| *n >= MANY && *s == 1)
}

/// A row-major copy of an operand that lies across, since copies go by lines of the cache and kernels by elements. None
/// where it does not, or there is no room for one: then it stays as it is.
fn straightened(operand: &Operand<'_, Buffer>) -> Option<(Buffer, Layout)> {
    let Operand::Array(view) = operand else { return None };
    if !is_across(view.layout) {
        return None;
    }
    let layout = Layout::contiguous(view.layout.shape());
    let copy = Buffer::new(layout.numel() * view.dtype.size()).ok()?;
    // SAFETY: the copy is fresh.
    crate::copy::copy(*view, unsafe { ViewMut::new(&copy, &layout, view.dtype) }).ok()?;
    Some((copy, layout))
}

/// Runs `call` over all elements of `out`. A bit of `used` per operand says whether the kernel reads it;
/// in a VJP call the gradient, the last operand, is always read.
pub fn run<T: Lane>(call: Call<T>, operands: &[Operand<'_, Buffer>], used: u8, out: &ViewMut<'_, Buffer>) {
    // Where the output lies across as well, the plan's order may suit all.
    if out.layout().numel() < nest::GRAIN || is_across(out.layout()) {
        return planned(call, operands, used, out);
    }
    let straighten = |(k, operand)| if used >> k & 1 == 1 { straightened(operand) } else { None };
    let copies: SmallVec<[_; ARRAYS]> = operands.iter().enumerate().map(straighten).collect();
    let straight: SmallVec<[Operand<'_, Buffer>; ARRAYS]> = operands
        .iter()
        .zip(&copies)
        .map(|(operand, copy)| match (operand, copy) {
            (Operand::Array(view), Some((buffer, layout))) => {
                Operand::Array(View { buffer, layout, dtype: view.dtype })
            }
            (other, _) => *other,
        })
        .collect();
    planned(call, &straight, used, out)
}

/// [`run`] on the operands as they are.
fn planned<T: Lane>(call: Call<T>, operands: &[Operand<'_, Buffer>], used: u8, out: &ViewMut<'_, Buffer>) {
    let total = out.layout().numel();
    if total == 0 {
        return;
    }
    let mut layouts: [Option<&Layout>; ARRAYS] = [None; ARRAYS];
    let mut dense = out.layout().is_contiguous();
    for (k, operand) in operands.iter().enumerate() {
        if let (Operand::Array(view), true) = (operand, used >> k & 1 == 1) {
            layouts[k] = Some(view.layout);
            dense &= view.layout.is_contiguous();
        }
    }
    let count = operands.len();
    layouts[count] = Some(out.layout());
    let plan = if dense { Plan::flat(total) } else { Plan::new(out.layout().shape(), &layouts[..=count]) };
    // Blocks keep within rows where rows are long, so that their operands need no copy.
    let by_rows = plan.is_flat() || plan.inner() >= BLOCK / 2;

    let mut scratch = [const { MaybeUninit::<Block<T>>::uninit() }; ARRAYS - 1];
    let mut sources: SmallVec<[Source; ARRAYS]> = SmallVec::new();
    let way = |layout: &Layout, own: bool, k: usize| match () {
        _ if !own => Way::Moved,
        _ if layout.is_contiguous() => Way::Dense,
        _ if by_rows && plan.step(k) == 1 => Way::Rows,
        _ if by_rows && plan.step(k) == 0 && k < count => Way::Spread,
        _ => Way::Moved,
    };
    let own = out.dtype() == if matches!(call, Call::Truth(_)) { DType::Bool } else { T::DTYPE };
    let target_way = way(out.layout(), own, count);
    for (k, operand) in operands.iter().enumerate() {
        sources.push(match operand {
            _ if used >> k & 1 == 0 => Source { way: Way::Unused, dtype: T::DTYPE, start: std::ptr::null() },
            Operand::Scalar(value) => {
                fill(&mut scratch[k], T::from_scalar(*value), total);
                Source { way: Way::Constant, dtype: T::DTYPE, start: std::ptr::null() }
            }
            Operand::Array(view) => {
                let (own, apart) = (view.dtype == T::DTYPE, !overlap(view, out));
                let start = first(view.buffer, view.layout, view.dtype).cast_const();
                let start_of_out = first(out.buffer(), out.layout(), out.dtype()).cast_const();
                let in_place = k == 0 && matches!(call, Call::Value { .. }) && target_way == Way::Dense;
                let way = match way(view.layout, own, k) {
                    Way::Dense if !apart && in_place && start == start_of_out => Way::Over,
                    Way::Dense if !apart => Way::Copied,
                    Way::Rows | Way::Spread if !apart => Way::Moved,
                    way => way,
                };
                Source { way, dtype: view.dtype, start }
            }
        });
    }
    let target = Source { way: target_way, dtype: out.dtype(), start: first(out.buffer(), out.layout(), out.dtype()) };
    let job = Job { call, plan: &plan, by_rows, sources: &sources, target };

    if total < nest::GRAIN {
        // SAFETY: the sources describe the operands, whose layouts lie within their buffers.
        return unsafe { job.range(0..total, &mut scratch) };
    }
    // Whole rows a part; constants are filled anew in each thread's scratch.
    let (count, unit) =
        if plan.is_flat() { (total.div_ceil(BLOCK), BLOCK) } else { (total / plan.inner(), plan.inner()) };
    nest::parallel(count, unit, |range| {
        let mut scratch = [const { MaybeUninit::<Block<T>>::uninit() }; ARRAYS - 1];
        for (k, operand) in operands.iter().enumerate() {
            if let (Operand::Scalar(value), true) = (operand, used >> k & 1 == 1) {
                fill(&mut scratch[k], T::from_scalar(*value), BLOCK);
            }
        }
        // SAFETY: as above; the parts' elements are disjoint.
        unsafe { job.range(range.start * unit..(range.end * unit).min(total), &mut scratch) };
    });
}

fn fill<T: Cell>(block: &mut MaybeUninit<Block<T>>, value: T, total: usize) {
    block_of(block)[..total.min(BLOCK)].fill(MaybeUninit::new(value));
}

vectorised! {
    /// One value for all elements.
    fn spread<T: Cell>(block: &mut [MaybeUninit<T>], value: T) = spread_body
}

#[inline(always)]
fn spread_body<T: Cell>(block: &mut [MaybeUninit<T>], value: T) {
    block.fill(MaybeUninit::new(value));
}

/// An array of `MaybeUninit` needs no initialisation of its own.
fn block_of<T>(block: &mut MaybeUninit<Block<T>>) -> &mut Block<T> {
    // SAFETY: every content is a valid array of `MaybeUninit`.
    unsafe { block.assume_init_mut() }
}

/// Kernels take initialised slices; zero is a value of every number type.
fn zeroed<T: Cell>(block: &mut MaybeUninit<Block<T>>, len: usize) -> &mut [T] {
    let block = &mut block_of(block)[..len];
    block.fill(MaybeUninit::zeroed());
    // SAFETY: as long as that, and initialised.
    unsafe { std::slice::from_raw_parts_mut(block.as_mut_ptr().cast(), len) }
}

struct Job<'a, T: 'static> {
    call: Call<T>,
    plan: &'a Plan,
    by_rows: bool,
    sources: &'a [Source],
    target: Source,
}

impl<T: Lane> Job<'_, T> {
    /// # Safety
    /// Sources and target describe arrays that lie within their buffers; `Dense` and `Rows` sources are
    /// of type `T` and do not overlap the target; constants are filled in `scratch`.
    unsafe fn range(&self, range: Range<usize>, scratch: &mut [MaybeUninit<Block<T>>; ARRAYS - 1]) {
        let plan = self.plan;
        let whole = self.target.way != Way::Moved
            && !matches!(self.call, Call::VjpAdded { .. })
            && self.sources.iter().all(|s| matches!(s.way, Way::Dense | Way::Rows | Way::Over | Way::Unused));
        let limit = if whole { usize::MAX } else { BLOCK };
        let mut products = MaybeUninit::<Block<T>>::uninit();
        let products: &mut [T] = match self.call {
            Call::VjpAdded { .. } => zeroed(&mut products, BLOCK.min(range.len())),
            _ => &mut [],
        };
        let mut spread_from = [isize::MIN; ARRAYS - 1];
        let mut at = range.start;
        let mut place = plan.place(at);
        while at < range.end {
            let mut len = limit.min(range.end - at);
            if self.by_rows {
                len = len.min(plan.inner() - place.column());
            }
            let mut args: [&[T]; ARRAYS - 1] = [&[]; ARRAYS - 1];
            for (k, (source, block)) in self.sources.iter().zip(scratch.iter_mut()).enumerate() {
                let elements: *const T = match source.way {
                    Way::Dense => source.start.cast::<T>().add(at),
                    Way::Rows => source.start.cast::<T>().wrapping_offset(plan.offset(&place, k)),
                    Way::Constant => block.as_ptr().cast(),
                    Way::Copied => {
                        let to = block.as_mut_ptr().cast::<T>();
                        std::ptr::copy_nonoverlapping(source.start.cast::<T>().add(at), to, len);
                        to
                    }
                    Way::Spread => {
                        let offset = plan.offset(&place, k);
                        if spread_from[k] != offset {
                            spread_from[k] = offset;
                            let value = *source.start.cast::<T>().wrapping_offset(offset);
                            // No row is longer than its place in a block.
                            spread(&mut block_of(block)[..plan.inner().min(BLOCK)], value);
                        }
                        block.as_ptr().cast()
                    }
                    Way::Moved => {
                        let size = source.dtype.size() as isize;
                        let block = block_of(block);
                        plan.patches(&place, k, len, |offset, patch, done| {
                            let from = source.start.wrapping_offset(offset * size);
                            movers::load(source.dtype, from, patch, &mut block[done..]);
                        });
                        block.as_ptr().cast()
                    }
                    Way::Over | Way::Unused => continue,
                };
                args[k] = std::slice::from_raw_parts(elements, len);
            }
            self.block(&place, at, len, &mut args, products);
            at += len;
            plan.advance(&mut place, len);
        }
    }

    /// One block: `args` are ready, but for those unused. `products` has room for what is added.
    unsafe fn block(
        &self,
        place: &super::plan::Place,
        at: usize,
        len: usize,
        args: &mut [&[T]; ARRAYS - 1],
        products: &mut [T],
    ) {
        let count = self.sources.len();
        // Whatever stands for an unused operand must be as long as the others.
        let stand_in = args[..count].iter().rev().find(|a| !a.is_empty()).copied().unwrap_or(&[]);
        for arg in &mut args[..count] {
            if arg.is_empty() {
                *arg = stand_in;
            }
        }
        match self.call {
            Call::Value { over, .. } if self.sources[0].way == Way::Over => {
                self.write(place, at, len, |out: &mut [T]| over(&args[1..count], out))
            }
            Call::Value { apart, .. } => self.write(place, at, len, |out: &mut [T]| apart(&args[..count], out)),
            Call::Truth(kernel) => self.write(place, at, len, |out: &mut [u8]| kernel(&args[..count], out)),
            Call::Vjp(kernel) => self.write(place, at, len, |out: &mut [T]| {
                kernel(&args[..count - 2], args[count - 2], args[count - 1], out)
            }),
            Call::VjpAdded { vjp, add } => {
                let products = &mut products[..len];
                vjp(&args[..count - 2], args[count - 2], args[count - 1], products);
                self.write(place, at, len, |out: &mut [T]| add(&[products], out))
            }
        }
    }

    /// Gives `f` the block of the output, or scratch that is moved there afterwards.
    #[inline(always)]
    unsafe fn write<U: Cell>(&self, place: &super::plan::Place, at: usize, len: usize, f: impl FnOnce(&mut [U])) {
        let (plan, target, k) = (self.plan, self.target, self.sources.len());
        match target.way {
            Way::Dense => f(std::slice::from_raw_parts_mut(target.start.cast_mut().cast::<U>().add(at), len)),
            Way::Rows => {
                let start = target.start.cast_mut().cast::<U>().wrapping_offset(plan.offset(place, k));
                f(std::slice::from_raw_parts_mut(start, len))
            }
            _ => {
                let mut block = MaybeUninit::<Block<U>>::uninit();
                let block = zeroed(&mut block, len);
                f(block);
                let size = target.dtype.size() as isize;
                plan.patches(place, k, len, |offset, patch, done| {
                    let to = target.start.cast_mut().wrapping_offset(offset * size);
                    movers::store(target.dtype, &block[done..done + patch.len * patch.rows], to, patch);
                });
            }
        }
    }
}
