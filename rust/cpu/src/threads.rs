//! The threads that large kernels share. Threads do not survive a fork, so a child builds its own.

use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};
use wengert_ops::{Error, Result};

/// A pool of our own: after a fork, or when a number of threads was asked for. Null: rayon's common one.
static POOL: AtomicPtr<ThreadPool> = AtomicPtr::new(std::ptr::null_mut());
/// The common pool's threads are in another process.
static FORKED: AtomicBool = AtomicBool::new(false);
static BUILDING: AtomicBool = AtomicBool::new(false);

/// The right to build a pool. No `Mutex`: a forked child must be able to open it.
struct Building;

impl Building {
    fn begin() -> Building {
        while BUILDING.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
        Building
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        BUILDING.store(false, Ordering::Release);
    }
}

fn current() -> Option<&'static ThreadPool> {
    let pool = POOL.load(Ordering::Acquire);
    // SAFETY: pools are leaked, so whatever stands here lives for ever.
    (!pool.is_null()).then(|| unsafe { &*pool })
}

fn build(threads: usize) -> Result<&'static ThreadPool> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Error::runtime(format!("the threads for large kernels could not be started: {e}")))?;
    let pool: &'static mut ThreadPool = Box::leak(Box::new(pool));
    POOL.store(pool, Ordering::Release);
    Ok(pool)
}

/// Runs work that uses rayon on the right pool.
#[inline]
pub fn run<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match current() {
        Some(pool) => pool.install(work),
        None if FORKED.load(Ordering::Relaxed) => in_child(work),
        None => work(),
    }
}

#[cold]
fn in_child<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let guard = Building::begin();
    let pool = match current() {
        Some(pool) => Ok(pool),
        None => build(0),
    };
    drop(guard);
    match pool {
        Ok(pool) => pool.install(work),
        // The system has no threads left: this one does the work alone.
        Err(_) => match ThreadPoolBuilder::new().num_threads(1).use_current_thread().build() {
            Ok(alone) => alone.install(work),
            Err(_) => work(),
        },
    }
}

/// How many threads large kernels use.
pub fn count() -> usize {
    current().map_or_else(rayon::current_num_threads, |pool| pool.current_num_threads())
}

/// Lets large kernels use `threads` threads from now on.
///
/// ```
/// wengert_cpu::threads::set_count(2).unwrap();
/// assert_eq!(wengert_cpu::threads::count(), 2);
/// ```
pub fn set_count(threads: usize) -> Result<()> {
    let _guard = Building::begin();
    // A replaced pool is leaked: somebody may be using it.
    if count() != threads || FORKED.load(Ordering::Relaxed) {
        build(threads)?;
    }
    Ok(())
}

/// Call after `fork` in the child.
pub fn after_fork_in_child() {
    POOL.store(std::ptr::null_mut(), Ordering::Release);
    FORKED.store(true, Ordering::Relaxed);
    // Whoever was building a pool is not here.
    BUILDING.store(false, Ordering::Release);
}

/// Work over raw pointers that may go to another thread while its caller waits.
pub(crate) struct Movable<F>(pub F);

// SAFETY: made only of work whose caller, who promises that nobody else uses the memory, waits for its end.
unsafe impl<F> Send for Movable<F> {}

impl<F: FnOnce()> Movable<F> {
    pub fn call(self) {
        (self.0)()
    }
}

/// What went wrong in tasks that run side by side: their error is given once all have ended.
#[derive(Default)]
pub struct Failed(Mutex<Option<Error>>);

impl Failed {
    /// The value; of an error, which is kept, none.
    pub fn keep<T>(&self, outcome: Result<T>) -> Option<T> {
        outcome.map_err(|e| *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(e)).ok()
    }

    /// An error of some task, if there was one.
    pub fn result(self) -> Result<()> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_builds_a_pool_of_its_own() {
        after_fork_in_child();
        assert_eq!(run(|| rayon::join(|| 1, || 2)), (1, 2));
        assert!(current().is_some());
        set_count(3).unwrap();
        assert_eq!(run(rayon::current_num_threads), 3);
    }
}
