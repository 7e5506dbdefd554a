//! Zeroed blocks from the operating system.
//!
//! Large ones are mapped: their pages are zero without being touched, and take memory only once they are used. Very large
//! ones begin where huge pages do and ask for these: fewer faults, and fewer addresses for the processor to look up.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::ptr::NonNull;

pub const ALIGN: usize = 64;

/// From this size on blocks are mapped; below, clearing costs less than the system call and the page faults.
#[cfg(unix)]
const MAPPED: usize = 1 << 20;

/// A huge page of x86, and of ARM with pages of 4 KiB.
#[cfg(target_os = "linux")]
const HUGE: usize = 2 << 20;

/// A new private mapping, of huge pages where it has at least two and the system gives them.
#[cfg(unix)]
fn map(bytes: usize) -> Option<NonNull<u8>> {
    let new = |bytes| {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new private mapping touches nothing that exists.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            None
        } else {
            NonNull::new(start.cast::<u8>())
        }
    };
    #[cfg(target_os = "linux")]
    if bytes >= 2 * HUGE {
        if let Some(start) = bytes.checked_add(HUGE).and_then(new) {
            let before = start.as_ptr().align_offset(HUGE);
            // SAFETY: both ends and the middle are parts of the new mapping. The ends are not used, and advice changes no
            // contents; where either is refused, nothing is lost but room.
            unsafe {
                let middle = start.add(before);
                if before > 0 {
                    libc::munmap(start.as_ptr().cast(), before);
                }
                libc::munmap(middle.add(bytes).as_ptr().cast(), HUGE - before);
                libc::madvise(middle.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE);
                return Some(middle);
            }
        }
    }
    new(bytes)
}

fn block(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, ALIGN).expect("sizes are checked before they come here")
}

/// A zeroed block of `bytes`, which must not be 0; `None` where there is not so much memory.
pub fn allocate(bytes: usize) -> Option<NonNull<u8>> {
    #[cfg(unix)]
    if bytes >= MAPPED {
        return map(bytes);
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

/// Makes a block that is mapped all zeros by letting go of its pages; `false` where the system has no such way.
///
/// # Safety
/// The block came from [`allocate`] with this size, which is not small, and nobody else uses it now.
pub unsafe fn clear(start: NonNull<u8>, bytes: usize) -> bool {
    #[cfg(target_os = "linux")]
    {
        debug_assert!(bytes >= MAPPED);
        libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_DONTNEED) == 0
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (start, bytes);
        false
    }
}
