//! The process's one lock: it guards the tape and every tensor's changing state.
//!
//! It is held for tens of nanoseconds, never across a long kernel, a hook or a call into Python, so
//! waiters only spin. What is dropped while it is held (tensors, foreign memory) would take it again;
//! such drops are put off to the moment it is released.

use crate::tape::Tape;
use std::any::Any;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

struct Lock {
    taken: AtomicBool,
    inner: UnsafeCell<Locked>,
}

// SAFETY: `inner` is reached only through `Guard`, and `taken` admits one at a time.
unsafe impl Sync for Lock {}

static LOCK: Lock =
    Lock { taken: AtomicBool::new(false), inner: UnsafeCell::new(Locked { tape: Tape::new(), key: Key(()) }) };

/// What the lock guards: the tape, and the key to all [`Guarded`] cells.
pub(crate) struct Locked {
    pub tape: Tape,
    pub key: Key,
}

/// Proof that the lock is held. There is one, inside the lock.
pub(crate) struct Key(());

thread_local! {
    static HELD: Cell<bool> = const { Cell::new(false) };
    static DEFERRED: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Whether the holder of the lock has put a drop off. Written under the lock only.
static WAITING: AtomicBool = AtomicBool::new(false);

/// The lock, held. It cannot be sent to another thread.
pub(crate) struct Guard {
    _not_send: std::marker::PhantomData<*const ()>,
}

/// Takes the lock. Taking it twice on one thread is a mistake of ours and panics.
#[inline]
pub(crate) fn lock() -> Guard {
    HELD.with(|h| {
        assert!(!h.get(), "wengert: the tape's lock was taken twice by one thread");
        h.set(true);
    });
    if LOCK.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        wait();
    }
    Guard { _not_send: std::marker::PhantomData }
}

#[cold]
fn wait() {
    let mut spins = 0u32;
    loop {
        while LOCK.taken.load(Ordering::Relaxed) {
            spins += 1;
            if spins < 100 {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        if LOCK.taken.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

impl Deref for Guard {
    type Target = Locked;
    #[inline]
    fn deref(&self) -> &Locked {
        // SAFETY: the lock is held by this guard.
        unsafe { &*LOCK.inner.get() }
    }
}

impl DerefMut for Guard {
    #[inline]
    fn deref_mut(&mut self) -> &mut Locked {
        // SAFETY: the lock is held by this guard, borrowed mutably.
        unsafe { &mut *LOCK.inner.get() }
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        let deferred = WAITING.load(Ordering::Relaxed);
        if deferred {
            WAITING.store(false, Ordering::Relaxed);
        }
        LOCK.taken.store(false, Ordering::Release);
        HELD.with(|h| h.set(false));
        if deferred {
            drop_deferred();
        }
    }
}

/// Whether this thread holds the lock now (a drop inside it must be put off).
#[inline]
pub(crate) fn held() -> bool {
    HELD.try_with(|h| h.get()).unwrap_or(false)
}

/// Keeps something to be dropped once the lock is released; drops it now where the lock is not held.
pub(crate) fn defer(garbage: impl Any) {
    if !held() {
        return;
    }
    let boxed: Box<dyn Any> = Box::new(garbage);
    DEFERRED.with(|d| d.borrow_mut().push(boxed));
    WAITING.store(true, Ordering::Relaxed);
}

#[cold]
fn drop_deferred() {
    loop {
        let batch = DEFERRED.with(|d| std::mem::take(&mut *d.borrow_mut()));
        if batch.is_empty() {
            return;
        }
        // Dropping may take the lock and put off more: hence the loop, not recursion.
        drop(batch);
    }
}

/// A cell that only the holder of the lock may look into.
pub(crate) struct Guarded<T>(UnsafeCell<T>);

// SAFETY: access needs the one `Key`, which lives inside the lock.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub const fn new(value: T) -> Self {
        Guarded(UnsafeCell::new(value))
    }
    #[inline]
    pub fn get<'k>(&'k self, _key: &'k Key) -> &'k T {
        // SAFETY: the key is borrowed shared, so no `get_mut` is alive.
        unsafe { &*self.0.get() }
    }
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub fn get_mut<'k>(&'k self, _key: &'k mut Key) -> &'k mut T {
        // SAFETY: the only key is borrowed mutably, so this is the only access to any cell.
        unsafe { &mut *self.0.get() }
    }
    pub fn own(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

/// Before `fork`: takes the lock, so that the child's copy is consistent.
pub(crate) fn before_fork() {
    std::mem::forget(lock());
}

/// After `fork`, in both processes.
pub(crate) fn after_fork() {
    drop(Guard { _not_send: std::marker::PhantomData });
}
