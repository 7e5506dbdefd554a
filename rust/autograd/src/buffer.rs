//! Bytes on a device, counted by who holds them.
//!
//! Every holder of a [`Buffer`] is one of: a storage cell, a whole-buffer save of the tape, a partial
//! save (registered in `spans`, see [`crate::tape::saved`]) or the lease of a running kernel. An
//! in-place write may go to the bytes where they stand only if its own cell is the sole holder besides
//! partial saves that it does not touch.

use crate::lock::{Guarded, Key};
use crate::tape::saved::Spans;
use std::sync::atomic::{AtomicU32, Ordering};
use wengert_cpu as cpu;
use wengert_gpu as gpu;
use wengert_ops::counted::Counted;
pub use wengert_ops::Device;
use wengert_ops::{Backend, Result};

pub(crate) enum Data {
    Cpu(cpu::Buffer),
    Gpu(gpu::Buffer),
    Meta,
}

impl Data {
    #[inline]
    pub(crate) fn device(&self) -> Device {
        match self {
            Data::Cpu(_) => Device::Cpu,
            Data::Gpu(b) => Device::Gpu(b.device() as u8),
            Data::Meta => Device::Meta,
        }
    }
}

/// How many forks lie between this process and the first, and one. A write that was under way at a fork has no
/// thread in the child that would ever end it: there it counts for nothing.
static PROCESS: AtomicU32 = AtomicU32::new(1);

/// In a forked child: no kernel is writing.
#[cfg(unix)]
pub(crate) fn forget_writers() {
    PROCESS.fetch_add(1, Ordering::Relaxed);
}

/// A counted block of bytes on one device.
pub struct Buffer {
    pub(crate) data: Data,
    /// Exports to numpy or DLPack that are alive: such a buffer is never swapped for a copy.
    pub(crate) pins: AtomicU32,
    /// In-place writes so far, which saves of pinned buffers compare.
    pub(crate) writes: AtomicU32,
    /// The process whose kernel is writing in place, 0 for none: readers wait. See [`PROCESS`].
    writing: AtomicU32,
    pub(crate) spans: Guarded<Option<Box<Spans>>>,
}

impl Buffer {
    #[inline]
    pub(crate) fn wrap(data: Data) -> Counted<Buffer> {
        Buffer::around(|| data)
    }

    /// Around what `data` makes, put together where it stays.
    #[inline(always)]
    fn around(data: impl FnOnce() -> Data) -> Counted<Buffer> {
        // Does not compile when a field is missing below.
        let _fields = |Buffer { data: _, pins: _, writes: _, writing: _, spans: _ }| {};
        let made = Counted::begin();
        let place: *mut Buffer = made.place();
        // SAFETY: every field is written.
        unsafe {
            (&raw mut (*place).data).write(data());
            (&raw mut (*place).pins).write(AtomicU32::new(0));
            (&raw mut (*place).writes).write(AtomicU32::new(0));
            (&raw mut (*place).writing).write(AtomicU32::new(0));
            (&raw mut (*place).spans).write(Guarded::new(None));
            made.finish()
        }
    }

    #[inline]
    pub(crate) fn allocate(device: Device, bytes: usize) -> Result<Counted<Buffer>> {
        Ok(match device {
            Device::Cpu => {
                let room = cpu::Room::of(bytes)?;
                Buffer::around(|| Data::Cpu(cpu::Buffer::within(room)))
            }
            Device::Gpu(n) => Buffer::wrap(Data::Gpu(gpu::Gpu::open(n as usize)?.allocate(bytes)?)),
            Device::Meta => Buffer::wrap(Data::Meta),
        })
    }

    #[inline]
    pub(crate) fn device(&self) -> Device {
        self.data.device()
    }

    /// The host bytes, if that is where they are.
    #[inline]
    pub(crate) fn host(&self) -> Option<&cpu::Buffer> {
        match &self.data {
            Data::Cpu(b) => Some(b),
            Data::Gpu(_) | Data::Meta => None,
        }
    }

    /// How many bytes there are, if there is memory.
    #[inline]
    pub(crate) fn bytes(&self) -> Option<usize> {
        match &self.data {
            Data::Cpu(b) => Some(b.len()),
            Data::Gpu(b) => Some(b.len()),
            Data::Meta => None,
        }
    }

    #[inline]
    pub(crate) fn is_pinned(&self) -> bool {
        self.pins.load(Ordering::Relaxed) != 0
    }

    #[inline]
    pub(crate) fn is_writing(&self) -> bool {
        match self.writing.load(Ordering::Acquire) {
            0 => false,
            process => process == PROCESS.load(Ordering::Relaxed),
        }
    }

    /// Keeps readers out until [`Buffer::end_write`]. Call under the lock.
    pub(crate) fn begin_write(&self) {
        self.writing.store(PROCESS.load(Ordering::Relaxed), Ordering::Release);
    }

    pub(crate) fn end_write(&self) {
        self.writing.store(0, Ordering::Release);
    }

    /// Whether it has one holder, who may write it where it stands unless a kernel is doing so.
    #[inline]
    pub(crate) fn is_sole(this: &Counted<Buffer>, key: &Key) -> bool {
        Counted::count(this) == 1 && this.partial_saves(key) == 0 && !this.is_pinned()
    }

    /// Saves through partial views: they hold the buffer without owning it.
    #[inline]
    pub(crate) fn partial_saves(&self, key: &Key) -> usize {
        self.spans.get(key).as_ref().map_or(0, |s| s.len())
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        // Foreign memory runs its owner's code when it goes, and a GPU's may go to its driver: not inside the lock.
        let slow = match &self.data {
            Data::Cpu(b) => b.is_foreign(),
            Data::Gpu(_) => true,
            Data::Meta => false,
        };
        if slow && crate::lock::held() {
            crate::lock::defer(std::mem::replace(&mut self.data, Data::Meta));
        }
    }
}
