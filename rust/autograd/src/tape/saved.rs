//! What a node keeps for its backward pass: snapshots of buffers, never of tensors.

use crate::buffer::Buffer;
use crate::lock::{Guarded, Key};
use crate::value::Value;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use wengert_ops::counted::Counted;
use wengert_ops::{DType, Error, Layout, Result, Scalar};

/// Where a saved value came from: unpacked with `create_graph`, it is taped again as that.
pub(crate) const OUTPUT: u8 = 0x80;

/// What it is to ask for saved values after they were freed.
pub fn freed() -> Error {
    Error::runtime(
        "Trying to backward through the graph a second time (or directly access saved tensors after they have already been \
         freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify \
         retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors \
         after calling backward.",
    )
}

/// What it is to ask for a saved value whose shared memory was written; `keeper` is who saved it.
pub fn modified(keeper: &str) -> Error {
    Error::runtime(format!(
        "one of the variables needed for gradient computation has been modified by an inplace operation: memory shared with \
         numpy or DLPack was written after {keeper} had saved it. Hint: clone() before the write."
    ))
}

/// One saved operand. `slot` is the input's number, or `OUTPUT | k` for the k-th output.
pub(crate) enum Saved {
    Scalar {
        slot: u8,
        value: Scalar,
    },
    /// No elements, only the shape of input number `input`, where the rule wants it and its edge does not tell it.
    Shape {
        input: u32,
        layout: Layout,
    },
    /// The whole buffer is held: a later in-place write copies first.
    Whole {
        slot: u8,
        dtype: DType,
        writes: u32,
        buffer: Counted<Buffer>,
        layout: Layout,
    },
    /// Part of a larger buffer: held without owning, moved out when somebody writes over it.
    Part {
        slot: u8,
        dtype: DType,
        save: Arc<PartialSave>,
    },
}

impl Saved {
    /// Whether elements are kept, which a backward pass frees.
    pub fn holds_elements(&self) -> bool {
        matches!(self, Saved::Whole { .. } | Saved::Part { .. })
    }

    /// Snapshots a value. Call under the lock, before any write of the same operation.
    pub fn new(slot: u8, value: &Value, key: &mut Key) -> Saved {
        let (dtype, buffer) = (value.dtype, &value.buffer);
        let pinned = buffer.is_pinned();
        let writes = if pinned { buffer.writes.load(Ordering::Relaxed) | PINNED } else { 0 };
        if !pinned && value.is_part() {
            let (low, high) = value.layout.span();
            let size = dtype.size();
            let save = Arc::new(PartialSave {
                place: Guarded::new(Place { buffer: buffer.clone(), layout: value.layout.clone(), span: None }),
                dtype,
            });
            let spans = buffer.spans.get_mut(key).get_or_insert_with(Default::default);
            let span = spans.insert(low * size, high * size, Arc::downgrade(&save));
            save.place.get_mut(key).span = Some(span);
            return Saved::Part { slot, dtype, save };
        }
        Saved::Whole { slot, dtype, writes, buffer: buffer.clone(), layout: value.layout.clone() }
    }

    /// As [`Saved::new`], of a value that is not needed any more.
    #[inline]
    pub fn take(slot: u8, value: Value, key: &mut Key) -> Saved {
        if value.buffer.is_pinned() || value.is_part() {
            return Saved::new(slot, &value, key);
        }
        Saved::Whole { slot, dtype: value.dtype, writes: 0, buffer: value.buffer, layout: value.layout }
    }

    /// The saved array with its slot (`None` for scalars and shapes); the flag says that it was written over since, which can
    /// happen only to memory shared with numpy or DLPack.
    pub fn value(&self, key: &Key) -> Option<(u8, Value, bool)> {
        match self {
            Saved::Scalar { .. } | Saved::Shape { .. } => None,
            Saved::Whole { slot, dtype, writes, buffer, layout } => {
                let stale = *writes & PINNED != 0 && buffer.writes.load(Ordering::Relaxed) | PINNED != *writes;
                Some((*slot, Value { buffer: buffer.clone(), layout: layout.clone(), dtype: *dtype }, stale))
            }
            Saved::Part { slot, dtype, save } => {
                let place = save.place.get(key);
                Some((
                    *slot,
                    Value { buffer: place.buffer.clone(), layout: place.layout.clone(), dtype: *dtype },
                    false,
                ))
            }
        }
    }

    /// Lets go of a partial save's registration. Must precede dropping.
    pub fn release(&self, key: &mut Key) {
        if let Saved::Part { save, .. } = self {
            let place = save.place.get_mut(key);
            if let Some(span) = place.span.take() {
                let buffer = place.buffer.clone();
                if let Some(spans) = buffer.spans.get_mut(key) {
                    spans.remove(span);
                }
                crate::lock::defer(buffer);
            }
        }
    }
}

const PINNED: u32 = 1 << 31;

pub(crate) struct PartialSave {
    place: Guarded<Place>,
    dtype: DType,
}

struct Place {
    buffer: Counted<Buffer>,
    layout: Layout,
    span: Option<(usize, u64)>,
}

/// The byte ranges of a buffer that partial saves cover.
#[derive(Default)]
pub(crate) struct Spans {
    by_start: BTreeMap<(usize, u64), (usize, Weak<PartialSave>)>,
    longest: usize,
    next: u64,
}

impl Spans {
    pub fn len(&self) -> usize {
        self.by_start.len()
    }

    fn insert(&mut self, low: usize, high: usize, save: Weak<PartialSave>) -> (usize, u64) {
        self.next += 1;
        self.longest = self.longest.max(high - low);
        self.by_start.insert((low, self.next), (high, save));
        (low, self.next)
    }

    fn remove(&mut self, span: (usize, u64)) {
        self.by_start.remove(&span);
        if self.by_start.is_empty() {
            self.longest = 0;
        }
    }

    /// Saves that touch `low..high`, found in time logarithmic in all for saves of like length.
    fn touching(&self, low: usize, high: usize) -> Vec<Arc<PartialSave>> {
        let from = low.saturating_sub(self.longest);
        self.by_start
            .range((from, 0)..(high, 0))
            .filter(|(_, (end, _))| *end > low)
            .filter_map(|(_, (_, save))| save.upgrade())
            .collect()
    }
}

/// Before `low..high` of `buffer` (bytes) is overwritten: gives the partial saves that touch it copies of their own.
/// Returns how many there were.
pub(crate) fn move_out(buffer: &Counted<Buffer>, low: usize, high: usize, key: &mut Key) -> Result<usize> {
    let touched = buffer.spans.get(key).as_ref().map_or_else(Vec::new, |s| s.touching(low, high));
    for save in &touched {
        let value = save.value(key);
        let copy = value.copied(value.dtype)?;
        save.move_to(copy, key);
    }
    Ok(touched.len())
}

impl PartialSave {
    /// Where the elements are now.
    pub fn place<'k>(&'k self, key: &'k Key) -> (&'k Buffer, &'k Layout) {
        let place = self.place.get(key);
        (&place.buffer, &place.layout)
    }

    fn value(&self, key: &Key) -> Value {
        let place = self.place.get(key);
        Value { buffer: place.buffer.clone(), layout: place.layout.clone(), dtype: self.dtype }
    }

    /// Points the save at a copy of its elements.
    fn move_to(&self, copy: Value, key: &mut Key) {
        let place = self.place.get_mut(key);
        let span = place.span.take();
        let old = std::mem::replace(&mut place.buffer, copy.buffer);
        place.layout = copy.layout;
        if let (Some(span), Some(spans)) = (span, old.spans.get_mut(key).as_mut()) {
            spans.remove(span);
        }
        crate::lock::defer(old);
    }
}
