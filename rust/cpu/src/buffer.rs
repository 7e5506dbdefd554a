//! Blocks of host memory: small ones inside the handle, large ones from a caching pool, foreign
//! ones (numpy, DLPack) kept alive by their owner.

use std::alloc::{alloc_zeroed, dealloc, Layout as Block};
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
const ALIGN: usize = 64;

/// A block of bytes. Interior mutability: who may write is decided by the leases of the layer above.
pub struct Buffer {
    len: usize,
    heap: Option<NonNull<u8>>,
    inline: UnsafeCell<[u64; INLINE / 8]>,
    foreign: Option<Box<dyn Any + Send + Sync>>,
}

// SAFETY: the bytes are plain data; concurrent access is excluded by the contract of `ViewMut::new`.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

static LIVE: AtomicUsize = AtomicUsize::new(0);
static IDLE: AtomicUsize = AtomicUsize::new(0);
static POOL: Mutex<[Vec<usize>; 64]> = Mutex::new([const { Vec::new() }; 64]);

/// Bytes held by live heap buffers.
pub fn live_bytes() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// Bytes the pool keeps for reuse.
pub fn idle_bytes() -> usize {
    IDLE.load(Ordering::Relaxed)
}

/// The pool, unless another thread has it now: then the system allocator serves as well. So a process forked
/// while the pool was in use does not wait for a thread that it does not have.
fn pool() -> Option<MutexGuard<'static, [Vec<usize>; 64]>> {
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
    for (class, list) in taken {
        for address in list {
            IDLE.fetch_sub(1 << class, Ordering::Relaxed);
            // SAFETY: pooled addresses came from `alloc_zeroed` with this very block layout.
            unsafe { dealloc(address as *mut u8, block(1 << class)) };
        }
    }
}

fn block(bytes: usize) -> Block {
    Block::from_size_align(bytes, ALIGN).expect("sizes are checked before they come here")
}

fn capacity(len: usize) -> usize {
    if len >= POOLED {
        len.next_power_of_two()
    } else {
        len.next_multiple_of(ALIGN)
    }
}

impl Buffer {
    /// `len` bytes with unspecified but initialised contents.
    #[inline]
    pub fn new(len: usize) -> Result<Buffer> {
        let heap = if len <= INLINE { None } else { Some(allocate(len)?) };
        Ok(Buffer { len, heap, inline: UnsafeCell::new([0; INLINE / 8]), foreign: None })
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
        let class = capacity.trailing_zeros() as usize;
        let reused = pool().and_then(|mut pool| pool[class].pop());
        if let Some(address) = reused {
            IDLE.fetch_sub(capacity, Ordering::Relaxed);
            LIVE.fetch_add(capacity, Ordering::Relaxed);
            return NonNull::new(address as *mut u8).ok_or_else(out_of_memory);
        }
    }
    // SAFETY: the size is not zero and does not overflow.
    let fresh = NonNull::new(unsafe { alloc_zeroed(block(capacity)) });
    let fresh = match fresh {
        Some(p) => p,
        None => {
            trim();
            // SAFETY: as above.
            NonNull::new(unsafe { alloc_zeroed(block(capacity)) }).ok_or_else(out_of_memory)?
        }
    };
    LIVE.fetch_add(capacity, Ordering::Relaxed);
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
        let class = capacity.trailing_zeros() as usize;
        if let Some(mut pool) = pool() {
            pool[class].push(ptr.as_ptr() as usize);
            return;
        }
        IDLE.fetch_sub(capacity, Ordering::Relaxed);
    }
    // SAFETY: allocated in `allocate` with this capacity and not given away.
    unsafe { dealloc(ptr.as_ptr(), block(capacity)) };
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
    fn a_huge_request_is_a_memory_error() {
        let error = Buffer::new(usize::MAX / 4).unwrap_err();
        assert_eq!(error.kind(), wengert_ops::ErrorKind::Memory);
    }
}
