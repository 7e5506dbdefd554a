//! The process's one lock: it guards the tape and every tensor's changing state.
//!
//! It is held for tens of nanoseconds, never across a long kernel, a hook or a call into Python, so
//! waiters only spin. What is dropped while it is held (tensors, foreign memory) would take it again;
//! such drops are put off to the moment it is released.

use crate::layouts::Layouts;
use crate::tape::Tape;
use std::any::Any;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

struct Lock {
    /// The thread that holds it, or 0.
    owner: AtomicUsize,
    inner: UnsafeCell<Locked>,
}

// SAFETY: `inner` is reached only through `Guard`, and `owner` admits one at a time.
unsafe impl Sync for Lock {}

static LOCK: Lock = Lock {
    owner: AtomicUsize::new(0),
    inner: UnsafeCell::new(Locked { tape: Tape::new(), layouts: Layouts::new(), key: Key(()) }),
};

/// What the lock guards: the tape, and the key to all [`Guarded`] cells.
pub(crate) struct Locked {
    pub tape: Tape,
    pub layouts: Layouts,
    pub key: Key,
}

/// Proof that the lock is held. There is one, inside the lock.
pub(crate) struct Key(());

/// A number that no other living thread has: never 0.
///
/// Inside a shared library every look at a thread-local is a function call, and the lock is taken at each operation;
/// the thread register costs nothing.
#[inline]
fn this_thread() -> usize {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
    {
        let pointer: usize;
        // SAFETY: the System V ABI keeps the thread control block's own address at fs:0.
        unsafe {
            std::arch::asm!("mov {}, fs:0", out(reg) pointer, options(nostack, preserves_flags, readonly, pure));
        }
        pointer
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(miri))))]
    {
        thread_local!(static HERE: u8 = const { 0 });
        // A thread on its way out has no thread-locals of ours with destructors; this one has none.
        HERE.with(|h| std::ptr::from_ref(h) as usize)
    }
}

thread_local! {
    static DEFERRED: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
    /// Whether this thread is dropping what was put off: what that puts off in turn joins the queue.
    static DRAINING: Cell<bool> = const { Cell::new(false) };
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
    let me = this_thread();
    if let Err(owner) = LOCK.owner.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
        wait(me, owner);
    }
    Guard { _not_send: std::marker::PhantomData }
}

#[cold]
fn wait(me: usize, owner: usize) {
    assert!(owner != me, "wengert: the tape's lock was taken twice by one thread");
    let mut spins = 0u32;
    loop {
        while LOCK.owner.load(Ordering::Relaxed) != 0 {
            spins += 1;
            if spins < 100 {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        if LOCK.owner.compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
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
        LOCK.owner.store(0, Ordering::Release);
        if deferred {
            drop_deferred();
        }
    }
}

/// Whether this thread holds the lock now (a drop inside it must be put off).
#[inline]
pub(crate) fn held() -> bool {
    LOCK.owner.load(Ordering::Relaxed) == this_thread()
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
    struct Drained;
    impl Drop for Drained {
        fn drop(&mut self) {
            DRAINING.set(false);
        }
    }
    // Dropping may take the lock and put off more: a long chain must not become as many calls within each other.
    if DRAINING.replace(true) {
        return;
    }
    let _drained = Drained;
    loop {
        let batch = DEFERRED.with(|d| std::mem::take(&mut *d.borrow_mut()));
        if batch.is_empty() {
            return;
        }
        drop(batch);
    }
}

/// A cell that only the holder of the lock may look into.
#[repr(transparent)]
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
    /// Where the value stands.
    pub const fn place(this: *mut Self) -> *mut T {
        UnsafeCell::raw_get(this.cast::<UnsafeCell<T>>())
    }
    pub fn own(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

/// Makes forked children work: they get a consistent tape, and buffers that nobody writes.
///
/// The handlers run in the system call's own wrapper. Handlers of the host language would not do: its code may run
/// between them, on this thread and on others, and need the lock.
#[cfg(unix)]
pub(crate) fn follow_forks() {
    extern "C" fn before() {
        std::mem::forget(lock());
    }
    extern "C" fn in_parent() {
        LOCK.owner.store(0, Ordering::Release);
    }
    extern "C" fn in_child() {
        crate::buffer::forget_writers();
        wengert_cpu::threads::after_fork_in_child();
        // The forking thread is the same in the child: fork copies its thread register.
        LOCK.owner.store(0, Ordering::Release);
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers call nothing that a fork forbids: they wait, and store to atomics.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}
