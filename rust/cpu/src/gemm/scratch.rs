//! Memory for packed blocks, which a thread keeps from one product to the next.

use std::cell::Cell;
use std::mem::MaybeUninit;

/// A line of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code)] [MaybeUninit<u8>; 64]);

type Memory = Vec<Line>;
type Place = std::thread::LocalKey<Cell<Memory>>;

thread_local! {
    static LEFT: Cell<Memory> = const { Cell::new(Vec::new()) };
    static RIGHT: Cell<Memory> = const { Cell::new(Vec::new()) };
    static PLANES: Cell<Memory> = const { Cell::new(Vec::new()) };
}

/// Room for some items, in use.
pub(crate) struct Scratch {
    memory: Memory,
    home: &'static Place,
}

impl Scratch {
    /// Room for `count` items of the left operand; none if there is no memory.
    pub fn left<T>(count: usize) -> Option<Scratch> {
        Scratch::of::<T>(&LEFT, count)
    }

    /// For the right one.
    pub fn right<T>(count: usize) -> Option<Scratch> {
        Scratch::of::<T>(&RIGHT, count)
    }

    /// For planes of images that a product gathers its operand from.
    pub fn planes<T>(count: usize) -> Option<Scratch> {
        Scratch::of::<T>(&PLANES, count)
    }

    fn of<T>(home: &'static Place, count: usize) -> Option<Scratch> {
        // A thread that ends has no memory to take from any more.
        let mut memory = if count == 0 { Memory::new() } else { home.try_with(Cell::take).unwrap_or_default() };
        let lines = count.checked_mul(size_of::<T>())?.div_ceil(size_of::<Line>());
        if memory.capacity() < lines {
            memory = Memory::new();
            memory.try_reserve_exact(lines).ok()?;
        }
        Some(Scratch { memory, home })
    }

    /// Uninitialised.
    pub fn at<T>(&self) -> *mut T {
        self.memory.as_ptr().cast_mut().cast()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.memory.capacity() > 0 {
            let memory = std::mem::take(&mut self.memory);
            let _ = self.home.try_with(|home| home.set(memory));
        }
    }
}
