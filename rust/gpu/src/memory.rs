//! Device memory: one wgpu buffer an allocation, kept by size class when it is given back.
//!
//! A shader must not read and write one buffer even in different places, so nothing is cut out of a larger one.

use crate::context::{locked, Context};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use wengert_ops::{Error, ErrorKind, Result};

/// A block of bytes on a GPU.
#[derive(Clone)]
pub struct Buffer(pub(crate) Arc<Block>);

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} bytes on gpu:{})", self.0.bytes, self.0.context.index)
    }
}

impl Buffer {
    /// Bytes asked for.
    pub fn len(&self) -> usize {
        self.0.bytes
    }
    pub fn is_empty(&self) -> bool {
        self.0.bytes == 0
    }
    /// The number of the device it lies on.
    pub fn device(&self) -> usize {
        self.0.context.index
    }
}

/// What a buffer's handles share. Work that has been queued holds it as they do.
pub(crate) struct Block {
    pub context: &'static Context,
    pub bytes: usize,
    class: u64,
    raw: Option<Raw>,
}

/// A wgpu buffer, and its number among all that there have been, which orders them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Raw {
    pub id: u64,
    pub buffer: wgpu::Buffer,
}

impl Block {
    pub fn raw(&self) -> &Raw {
        let Some(raw) = &self.raw else { unreachable!("taken out only when the block is dropped") };
        raw
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take() {
            self.context.pool.give_back(self.class, raw);
        }
    }
}

/// Bytes of a device, as `memory_summary` tells them.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Usage {
    /// In tensors and in work that is queued.
    pub allocated: u64,
    pub most_allocated: u64,
    /// Given back and kept for the next.
    pub cached: u64,
}

#[derive(Default)]
struct Shelves {
    /// By size class; the oldest buffer is taken first, so that each round of a loop gets those of the round before in the
    /// same order: its bind groups are known, and its results lie in memory that caches may still hold.
    free: BTreeMap<u64, BinaryHeap<Reverse<Raw>>>,
    usage: Usage,
    /// Whether buffers have been let go of that bind groups may still hold.
    dropped: bool,
}

/// Buffers given back, by size class.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Shelves>);

/// More than this is not kept beyond what is in use.
const KEPT: u64 = 256 << 20;

/// Quarter steps between powers of two: at most a fifth is lost, and neighbours in size serve each other.
fn size_class(bytes: usize) -> u64 {
    const LEAST: u64 = 256;
    let bytes = (bytes as u64).max(LEAST);
    let step = (bytes.next_power_of_two() / 8).max(LEAST / 4);
    bytes.div_ceil(step) * step
}

impl Pool {
    fn take(&self, class: u64) -> Option<Raw> {
        let mut shelves = locked(&self.0);
        let Reverse(raw) = shelves.free.get_mut(&class)?.pop()?;
        shelves.usage.cached -= class;
        Some(raw)
    }

    fn count(&self, class: u64) {
        let usage = &mut locked(&self.0).usage;
        usage.allocated += class;
        usage.most_allocated = usage.most_allocated.max(usage.allocated);
    }

    fn give_back(&self, class: u64, raw: Raw) {
        let mut shelves = locked(&self.0);
        shelves.usage.allocated -= class;
        if shelves.usage.cached + class <= KEPT.max(shelves.usage.allocated) {
            shelves.usage.cached += class;
            shelves.free.entry(class).or_default().push(Reverse(raw));
        } else {
            shelves.dropped = true;
        }
    }

    /// Whether buffers have been let go of since this was last asked.
    pub fn has_dropped(&self) -> bool {
        std::mem::take(&mut locked(&self.0).dropped)
    }

    pub fn usage(&self) -> Usage {
        locked(&self.0).usage
    }

    pub fn reset_most(&self) {
        let usage = &mut locked(&self.0).usage;
        usage.most_allocated = usage.allocated;
    }

    /// Gives all cached buffers to the driver.
    pub fn clear(&self) {
        let mut shelves = locked(&self.0);
        shelves.usage.cached = 0;
        let free = std::mem::take(&mut shelves.free);
        drop(shelves);
        drop(free);
    }
}

impl Context {
    /// Memory for `bytes` bytes, with whatever they held before.
    pub fn allocate(&'static self, bytes: usize) -> Result<Arc<Block>> {
        self.check()?;
        let most = self.limits.max_buffer_size & !7;
        // The last class may go beyond the limit, though what is asked for does not.
        let class =
            Some(size_class(bytes)).filter(|class| *class <= most).unwrap_or((bytes as u64).next_multiple_of(8));
        if class > most {
            return Err(Error::memory(format!(
                "gpu:{} ('{}') allocates at most {most} bytes at once, {bytes} were asked for; split the tensor, or keep it on \
                 device 'cpu'",
                self.index, self.info.name
            )));
        }
        let raw = match self.pool.take(class) {
            Some(raw) => raw,
            None => self.with_room(bytes, || self.create(class))?,
        };
        self.pool.count(class);
        Ok(Arc::new(Block { context: self, bytes, class, raw: Some(raw) }))
    }

    /// Makes a buffer of `bytes` bytes. Where there is no memory for it, what is queued and what is cached makes room first.
    pub fn with_room<T>(&'static self, bytes: usize, make: impl Fn() -> Result<T>) -> Result<T> {
        let first = match make() {
            Err(e) if e.kind() == ErrorKind::Memory => e,
            made => return made,
        };
        self.flush()?;
        self.wait(None)?;
        self.release()?;
        make().map_err(|again| match again.kind() {
            ErrorKind::Memory => first.context(&format!("{bytes} bytes")),
            _ => again,
        })
    }

    /// Gives memory that nothing uses to the driver.
    pub fn release(&self) -> Result<()> {
        self.pool.clear();
        self.forget_bindings();
        self.wait(None)
    }

    fn create(&self, size: u64) -> Result<Raw> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = self.scoped("allocating", || self.device.create_buffer(&descriptor))?;
        Ok(Raw { buffer, id: COUNT.fetch_add(1, Ordering::Relaxed) })
    }
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn classes_hold_what_they_are_asked_for_and_waste_little() {
        for bytes in (0..5000).chain([1 << 20, (1 << 20) + 1, 192 << 20, (1 << 31) - 1]) {
            let class = size_class(bytes);
            assert!(class >= bytes as u64 && class.is_multiple_of(64), "{bytes} {class}");
            assert!(bytes < 256 || class as f64 <= bytes as f64 * 1.25 + 64.0, "{bytes} {class}");
        }
    }
}
