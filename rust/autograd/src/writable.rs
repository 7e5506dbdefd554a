//! Bytes made safe to overwrite: copy on write, saves moved out of the way, writers one after another.

use crate::buffer::Buffer;
use crate::devices::Devices;
use crate::dispatch::Arg;
use crate::lock::{lock, Key, Locked};
use crate::tape::saved;
use crate::tensor::{Cell, Tensor};
use crate::value::Value;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicUsize, Ordering};
use wengert_ops::counted::Counted;
use wengert_ops::{fail, Error, Layout, Result, ViewMut};

#[cold]
pub(crate) fn overlap_error() -> Error {
    Error::runtime(
        "unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() \
         the tensor before performing the operation.",
    )
}

fn dense(l: &Layout) -> bool {
    if l.is_contiguous() {
        return true;
    }
    let (low, high) = l.span();
    high - low == l.numel() && !l.self_overlaps()
}

/// How an input lies over the written elements of the same buffer.
#[derive(PartialEq)]
enum Overlap {
    No,
    Same,
    /// Both dense and overlapping: PyTorch refuses.
    Partial,
    /// Cannot be told cheaply: the input is copied first.
    Unknown,
}

fn overlap(x: &Layout, other: &Layout, same_dtype: bool) -> Overlap {
    if x.numel() == 0 || other.numel() == 0 {
        return Overlap::No;
    }
    if !same_dtype {
        // Their spans count elements of different sizes.
        return Overlap::Unknown;
    }
    if x == other {
        return Overlap::Same;
    }
    let (a, b) = (x.span(), other.span());
    if a.1 <= b.0 || b.1 <= a.0 {
        return Overlap::No;
    }
    if dense(x) && dense(other) {
        let same = a == b && x.shape() == other.shape() && x.strides() == other.strides();
        return if same { Overlap::Same } else { Overlap::Partial };
    }
    Overlap::Unknown
}

/// A write under way: ends (also by a panic) with readers let in again.
pub(crate) struct Writing(pub Counted<Buffer>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.end_write();
    }
}

/// Makes the bytes under `x` safe to overwrite. `fresh` says that old contents are not needed where
/// `x` covers its whole buffer. Saves of parts that the write touches are moved out first.
pub(crate) fn make_writable(x: &Tensor, fresh: bool, locked: &mut Locked) -> Result<()> {
    let key = &mut locked.key;
    let state = x.0.state.get(key);
    let buffer = state.cell.buffer(key);
    let Some(bytes) = buffer.bytes() else { return Ok(()) };
    if buffer.is_pinned() {
        buffer.writes.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    let partial = buffer.partial_saves(key);
    let size = x.0.dtype().size();
    if Counted::count(buffer) - partial > 1 {
        let covers = fresh && state.layout.covers(bytes / size.max(1)) && bytes % size == 0;
        let copy = Buffer::allocate(buffer.device(), bytes)
            .map_err(|e| crate::value::too_large(e, &state.layout, x.0.dtype()))?;
        if !covers {
            let all = Layout::contiguous(&[bytes]);
            let view = wengert_ops::View { buffer: &buffer.data, layout: &all, dtype: wengert_ops::DType::U8 };
            // SAFETY: `copy` is fresh.
            Devices.copy(view, unsafe { ViewMut::new(&copy.data, &all, wengert_ops::DType::U8) })?;
            COPIES.fetch_add(1, Ordering::Relaxed);
        }
        let state = x.0.state.get_mut(key);
        let old = match &mut state.cell {
            Cell::Own(buffer, _) => std::mem::replace(buffer, copy),
            Cell::Shared(storage) => {
                let storage = storage.clone();
                std::mem::replace(&mut storage.0.get_mut(key).0, copy)
            }
        };
        crate::lock::defer(old);
        return Ok(());
    }
    if partial > 0 {
        let (low, high) = state.layout.span();
        let buffer = buffer.clone();
        let moved = saved::move_out(&buffer, low * size, high * size, key)?;
        MOVES.fetch_add(moved, Ordering::Relaxed);
    }
    Ok(())
}

static COPIES: AtomicUsize = AtomicUsize::new(0);
static MOVES: AtomicUsize = AtomicUsize::new(0);

/// Buffers copied on write, and partial saves moved out, since the process began.
pub fn write_counters() -> (usize, usize) {
    (COPIES.load(Ordering::Relaxed), MOVES.load(Ordering::Relaxed))
}

/// A write about to happen: the target's bytes are ours, the inputs are snapshots.
pub(crate) struct Begun {
    pub writing: Writing,
    pub target: Value,
    pub values: SmallVec<[Option<Value>; 3]>,
}

/// Makes the target writable, takes the inputs and shuts readers out, in one hold of the lock: so two
/// writers of one tensor come one after the other, and no two wait for each other.
pub(crate) fn begin(x: &Tensor, args: &[Arg<'_>], fresh: bool) -> Result<Begun> {
    loop {
        let mut guard = lock();
        let busy = |t: &Tensor, guard: &Locked| t.0.state.get(&guard.key).cell.buffer(&guard.key).is_writing();
        let waits = busy(x, &guard) || args.iter().any(|a| matches!(a, Arg::Tensor(t) if busy(t, &guard)));
        if waits {
            drop(guard);
            std::thread::yield_now();
            continue;
        }
        make_writable(x, fresh, &mut guard)?;
        let value = |t: &Tensor| {
            let state = t.0.state.get(&guard.key);
            Value { buffer: state.cell.buffer(&guard.key).clone(), layout: state.layout.clone(), dtype: t.dtype() }
        };
        let target = value(x);
        let values = args
            .iter()
            .map(|a| match a {
                Arg::Tensor(t) => Some(value(t)),
                Arg::Scalar(_) => None,
            })
            .collect();
        target.buffer.begin_write();
        return Ok(Begun { writing: Writing(target.buffer.clone()), target, values });
    }
}

impl Begun {
    /// Copies the inputs that overlap the written elements otherwise than exactly. Exact overlap is left where the
    /// kernel goes element by element (`elementwise`) and refused where it writes in another order than it reads.
    pub fn separate(&mut self, name: &str, elementwise: bool) -> Result<()> {
        let target = &self.target;
        for value in self.values.iter_mut().flatten() {
            if !Counted::ptr_eq(&value.buffer, &target.buffer) {
                continue;
            }
            match overlap(&target.layout, &value.layout, value.dtype == target.dtype) {
                Overlap::No => {}
                Overlap::Same if elementwise => {}
                Overlap::Unknown => *value = value.copied(value.dtype)?,
                Overlap::Same | Overlap::Partial => fail!(
                    runtime,
                    "{name}: unsupported operation: some elements of the input tensor and the written-to tensor refer to a single \
                     memory location. Please clone() the tensor before performing the operation."
                ),
            }
        }
        Ok(())
    }
}
/// The distinct elements of an expanded layout: stride-0 dims count once.
pub(crate) fn unexpanded(l: &Layout) -> Result<Layout> {
    let shape = l.shape().iter().zip(l.strides()).map(|(&n, &s)| if s == 0 && n > 0 { 1 } else { n }).collect();
    let distinct = Layout::strided(shape, SmallVec::from_slice(l.strides()), l.offset());
    if distinct.self_overlaps() {
        return Err(overlap_error());
    }
    Ok(distinct)
}

pub(crate) fn bump(x: &Tensor, key: &mut Key) {
    let state = x.0.state.get_mut(key);
    match &mut state.cell {
        Cell::Own(_, version) => *version = version.wrapping_add(1),
        Cell::Shared(storage) => {
            let storage = storage.clone();
            let v = &mut storage.0.get_mut(key).1;
            *v = v.wrapping_add(1);
        }
    }
}
/// Before memory is shared with the outside: a buffer that the tape or somebody else holds is left to them, and parts
/// that the tape has saved are moved out, since from then on nobody announces writes.
pub(crate) fn own_buffer(t: &Tensor) -> Result<()> {
    loop {
        let mut guard = lock();
        let buffer = t.0.state.get(&guard.key).cell.buffer(&guard.key);
        if buffer.is_pinned() {
            return Ok(());
        }
        if !buffer.is_writing() {
            make_writable(t, false, &mut guard)?;
            let buffer = t.0.state.get(&guard.key).cell.buffer(&guard.key).clone();
            let moved = saved::move_out(&buffer, 0, usize::MAX, &mut guard.key)?;
            MOVES.fetch_add(moved, Ordering::Relaxed);
            return Ok(());
        }
        drop(guard);
        std::thread::yield_now();
    }
}
