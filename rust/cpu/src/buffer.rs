//! Blocks of host memory: small ones inside the handle, large ones from a caching pool, foreign
//! ones (numpy, DLPack) kept alive by their owner.

use crate::system;
use std::any::Any;
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use wengert_ops::{Error, Result};

/// Up to this many bytes live inside the buffer itself: a small tensor costs no allocation of its own.
const INLINE: usize = 64;
/// From this size on blocks are cached; below, the system allocator is as fast.
const POOLED: usize = 1 << 16;
/// The pool keeps at most this many idle bytes.
const POOL_LIMIT: usize = 1 << 30;
/// From this size on a block is cleared by giving its pages back: a gradient of few rows of a large table then costs what
/// these rows cost.
const CLEARED: usize = 1 << 25;
/// Sizes of pooled blocks between a power of two and the next, so that at most an eighth of a block is spare.
const STEPS: usize = 8;

/// A block of bytes. Interior mutability: who may write is decided by the leases of the layer above.
pub struct Buffer {
    len: usize,
    heap: Option<NonNull<u8>>,
    inline: UnsafeCell<[u64; INLINE / 8]>,
    foreign: Option<Box<dyn Any + Send + Sync>>,
}

/// Room for a [`Buffer`], which goes to one by [`Buffer::within`]: what may fail, before the buffer is put together where
/// it stays.
#[must_use]
pub struct Room {
    len: usize,
    heap: Option<NonNull<u8>>,
}

impl Room {
    /// For `len` bytes.
    #[inline]
    pub fn of(len: usize) -> Result<Room> {
        let heap = if len <= INLINE { None } else { Some(allocate(len)?) };
        Ok(Room { len, heap })
    }
}

// SAFETY: the bytes are plain data; concurrent access is excluded by the contract of `ViewMut::new`.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static IDLE: AtomicUsize = AtomicUsize::new(0);
static POOL: Mutex<Pool> = Mutex::new([const { Vec::new() }; 64 * STEPS]);

/// Addresses of idle blocks by [`class`].
type Pool = [Vec<usize>; 64 * STEPS];

/// Bytes held by live heap buffers.
pub fn live_bytes() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// The largest [`live_bytes`] so far, or since [`forget_most`].
pub fn most_bytes() -> usize {
    MOST.load(Ordering::Relaxed)
}

/// Counts the largest number of live bytes anew.
pub fn forget_most() {
    MOST.store(live_bytes(), Ordering::Relaxed);
}

/// Notes `bytes` more of live memory.
fn add_live(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    // A plain read first: most allocations make no record.
    if live > MOST.load(Ordering::Relaxed) {
        MOST.fetch_max(live, Ordering::Relaxed);
    }
}

/// Bytes the pool keeps for reuse.
pub fn idle_bytes() -> usize {
    IDLE.load(Ordering::Relaxed)
}

/// The pool, unless another thread has it now: then the system allocator serves as well. So a process forked
/// while the pool was in use does not wait for a thread that it does not have.
fn pool() -> Option<MutexGuard<'static, Pool>> {
    match POOL.try_lock() {
        Ok(pool) => Some(pool),
        Err(TryLockError::Poisoned(pool)) => Some(pool.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Gives every idle block back to the system.
pub fn trim() {
    let taken: Vec<(usize, Vec<usize>)> = {
        let Some(mut pool) = pool() else { return };
        pool.iter_mut().enumerate().map(|(class, list)| (class, std::mem::take(list))).collect()
    };
    for (class, list) in taken.into_iter().filter(|(_, list)| !list.is_empty()) {
        let capacity = size_of_class(class);
        for address in list.into_iter().filter_map(|address| NonNull::new(address as *mut u8)) {
            IDLE.fetch_sub(capacity, Ordering::Relaxed);
            // SAFETY: pooled addresses came from `system::allocate` with the capacity of their class.
            unsafe { system::free(address, capacity) };
        }
    }
}

/// The size of the block that holds `len` bytes.
fn capacity(len: usize) -> usize {
    if len >= POOLED {
        len.next_multiple_of((1 << (len - 1).ilog2()) / STEPS)
    } else {
        len.next_multiple_of(system::ALIGN)
    }
}

/// The list of the pool in which blocks of this capacity stand.
fn class(capacity: usize) -> usize {
    let octave = (capacity - 1).ilog2() as usize;
    octave * STEPS + capacity / ((1 << octave) / STEPS) - STEPS - 1
}

/// The size of the blocks of a class that is in use.
fn size_of_class(class: usize) -> usize {
    (class % STEPS + STEPS + 1) << (class / STEPS - STEPS.ilog2() as usize)
}

impl Buffer {
    /// `len` bytes with unspecified but initialised contents.
    #[inline]
    pub fn new(len: usize) -> Result<Buffer> {
        Room::of(len).map(Buffer::within)
    }

    /// A buffer of room that was found before.
    #[inline(always)]
    pub fn within(Room { len, heap }: Room) -> Buffer {
        Buffer { len, heap, inline: UnsafeCell::new([0; INLINE / 8]), foreign: None }
    }

    /// Memory of somebody else, kept alive by `owner`.
    ///
    /// # Safety
    /// `ptr..ptr + len` stays valid, and writable, while `owner` lives.
    pub unsafe fn foreign(ptr: NonNull<u8>, len: usize, owner: Box<dyn Any + Send + Sync>) -> Buffer {
        Buffer { len, heap: Some(ptr), inline: UnsafeCell::new([0; INLINE / 8]), foreign: Some(owner) }
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Buffer> {
        let buffer = Buffer::new(bytes.len())?;
        // SAFETY: fresh, so nobody else sees it; both ranges hold `len` bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.ptr(), bytes.len()) };
        Ok(buffer)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn is_foreign(&self) -> bool {
        self.foreign.is_some()
    }

    /// Start of the bytes; stable for a heap buffer, and for an inline one as long as it is not moved.
    #[inline]
    pub fn ptr(&self) -> *mut u8 {
        match self.heap {
            Some(p) => p.as_ptr(),
            None => self.inline.get().cast(),
        }
    }

    /// Makes a large block all zeros without touching it; `false` for others, or where the system has no such way.
    /// The caller may write: it has the `ViewMut` of all of it.
    pub(crate) fn clear(&self) -> bool {
        match self.heap {
            // SAFETY: blocks of this size that are ours are mapped with at least `len` bytes.
            Some(start) if self.len >= CLEARED && !self.is_foreign() => unsafe {
                system::clear(start, capacity(self.len))
            },
            _ => false,
        }
    }

    /// All elements as a slice.
    ///
    /// # Safety
    /// Nobody writes them while the slice lives, and every bit pattern is a valid `T`.
    pub unsafe fn slice<T>(&self) -> &[T] {
        std::slice::from_raw_parts(self.ptr().cast(), self.len / std::mem::size_of::<T>())
    }

    /// All elements as a mutable slice.
    ///
    /// # Safety
    /// Nobody else reads or writes them while the slice lives, and every bit pattern is a valid `T`.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slice_mut<T>(&self) -> &mut [T] {
        std::slice::from_raw_parts_mut(self.ptr().cast(), self.len / std::mem::size_of::<T>())
    }
}

#[inline(never)]
fn allocate(len: usize) -> Result<NonNull<u8>> {
    let out_of_memory = || Error::memory(format!("not enough memory: you tried to allocate {len} bytes on the CPU"));
    if len > isize::MAX as usize / 2 {
        return Err(out_of_memory());
    }
    let capacity = capacity(len);
    if len >= POOLED {
        let reused = pool().and_then(|mut pool| pool[class(capacity)].pop());
        if let Some(address) = reused {
            IDLE.fetch_sub(capacity, Ordering::Relaxed);
            add_live(capacity);
            return NonNull::new(address as *mut u8).ok_or_else(out_of_memory);
        }
    }
    let fresh = match system::allocate(capacity) {
        Some(p) => p,
        None => {
            trim();
            system::allocate(capacity).ok_or_else(out_of_memory)?
        }
    };
    add_live(capacity);
    Ok(fresh)
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        if let (Some(ptr), None) = (self.heap, &self.foreign) {
            release(ptr, self.len);
        }
    }
}

#[inline(never)]
fn release(ptr: NonNull<u8>, len: usize) {
    let capacity = capacity(len);
    LIVE.fetch_sub(capacity, Ordering::Relaxed);
    if len >= POOLED && IDLE.load(Ordering::Relaxed) + capacity <= POOL_LIMIT {
        IDLE.fetch_add(capacity, Ordering::Relaxed);
        if let Some(mut pool) = pool() {
            pool[class(capacity)].push(ptr.as_ptr() as usize);
            return;
        }
        IDLE.fetch_sub(capacity, Ordering::Relaxed);
    }
    // SAFETY: allocated in `allocate` with this capacity and not given away.
    unsafe { system::free(ptr, capacity) };
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_from_inline_to_pooled_hold_what_is_written() {
        for len in [0, 1, 64, 65, 4096, POOLED, POOLED + 1, 3 * POOLED] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let buffer = Buffer::from_bytes(&bytes).unwrap();
            // SAFETY: nobody writes.
            assert_eq!(unsafe { buffer.slice::<u8>() }, &bytes[..]);
        }
    }

    #[test]
    fn blocks_are_little_larger_than_asked_for_and_their_class_tells_their_size() {
        for len in (POOLED..POOLED + 9).chain([100_000, 1 << 20, (1 << 20) + 1, 3 << 25, (1 << 33) + 12_345]) {
            let capacity = capacity(len);
            assert!(capacity >= len && capacity - len <= len / STEPS, "{len} in {capacity}");
            assert_eq!(capacity % 4096, 0);
            assert_eq!(size_of_class(class(capacity)), capacity);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "slow there")]
    fn large_blocks_are_cleared_whole_and_others_left_to_the_caller() {
        for len in [CLEARED, CLEARED + 12_345] {
            let buffer = Buffer::new(len).unwrap();
            // SAFETY: nobody else has the buffer.
            unsafe {
                buffer.slice_mut::<u8>().fill(7);
                assert_eq!(buffer.clear(), cfg!(target_os = "linux"));
                assert!(!cfg!(target_os = "linux") || buffer.slice::<u8>().iter().all(|&b| b == 0));
            }
        }
        let small = Buffer::from_bytes(&[7; 5000]).unwrap();
        assert!(!small.clear());
        let mut theirs = vec![7u8; CLEARED];
        // SAFETY: the vector outlives the buffer.
        let foreign = unsafe { Buffer::foreign(NonNull::new(theirs.as_mut_ptr()).unwrap(), CLEARED, Box::new(())) };
        assert!(!foreign.clear() && theirs[1] == 7);
    }

    #[test]
    fn a_huge_request_is_a_memory_error() {
        let error = Buffer::new(usize::MAX / 4).unwrap_err();
        assert_eq!(error.kind(), wengert_ops::ErrorKind::Memory);
    }
}
