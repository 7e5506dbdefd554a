//! The process's allocator for everything of ours: mimalloc.
//!
//! Two or three small blocks are allocated for each tensor; the system's allocator takes as long as the arithmetic.

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};
use std::alloc::{GlobalAlloc, Layout};

/// mimalloc by its shortest way: the crate `mimalloc` asks for the alignment each time, which costs as much again.
pub struct Allocator;

/// What every block has that is not smaller (`MI_MAX_ALIGN_SIZE`).
const ALIGNED: usize = 16;

#[inline(always)]
fn is_plain(layout: Layout, size: usize) -> bool {
    layout.align() <= ALIGNED && layout.align() <= size
}

// SAFETY: blocks of mimalloc are as large as asked for, and aligned to 16 bytes unless smaller than that: those have the
// alignment of the power of two below their size. Other alignments are asked for.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_plain(layout, layout.size()) {
            return mi_malloc(layout.size()).cast();
        }
        mi_malloc_aligned(layout.size(), layout.align()).cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_plain(layout, layout.size()) {
            return mi_zalloc(layout.size()).cast();
        }
        mi_zalloc_aligned(layout.size(), layout.align()).cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        mi_free(block.cast());
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_plain(layout, size) {
            return mi_realloc(block.cast(), size).cast();
        }
        mi_realloc_aligned(block.cast(), size, layout.align()).cast()
    }
}
