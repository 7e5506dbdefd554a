//! Zeroed blocks from the operating system.
//!
//! Large ones are mapped: their pages are zero without being touched, and take memory only once they are used.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::ptr::NonNull;

pub const ALIGN: usize = 64;

/// From this size on blocks are mapped; below, clearing costs less than the system call and the page faults.
#[cfg(unix)]
const MAPPED: usize = 1 << 20;

fn block(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, ALIGN).expect("sizes are checked before they come here")
}

/// A zeroed block of `bytes`, which must not be 0; `None` where there is not so much memory.
pub fn allocate(bytes: usize) -> Option<NonNull<u8>> {
    #[cfg(unix)]
    if bytes >= MAPPED {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new private mapping touches nothing that exists.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
        return if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()) };
    }
    // SAFETY: the size is not zero.
    NonNull::new(unsafe { alloc_zeroed(block(bytes)) })
}

/// # Safety
/// The block came from [`allocate`] with this size and nobody uses it any more.
pub unsafe fn free(start: NonNull<u8>, bytes: usize) {
    #[cfg(unix)]
    if bytes >= MAPPED {
        // It can fail only for ranges that were never mapped.
        libc::munmap(start.as_ptr().cast(), bytes);
        return;
    }
    dealloc(start.as_ptr(), block(bytes));
}
