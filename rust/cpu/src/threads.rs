//! The threads that large kernels share. Threads do not survive a fork, so a child starts its own.

use crate::crew::{locked, Crew};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use wengert_ops::{Error, Result};

/// How many threads large kernels use; 0: not decided yet.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Of so many threads, once there was work for several.
static CREW: AtomicPtr<Crew> = AtomicPtr::new(std::ptr::null_mut());
/// Rayon's, for the libraries and sorts that are written for it; null before they are met.
static POOL: AtomicPtr<ThreadPool> = AtomicPtr::new(std::ptr::null_mut());
static BUILDING: AtomicBool = AtomicBool::new(false);

/// The right to start threads. No `Mutex`: a forked child must be able to open it.
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

/// What stands in a cell; made and put there by `make` where nothing does.
fn standing<T>(cell: &AtomicPtr<T>, make: impl FnOnce() -> Option<&'static T>) -> Option<&'static T> {
    let found = || {
        let found = cell.load(Ordering::Acquire);
        // SAFETY: what is put into these cells is leaked, so that it lives for ever.
        (!found.is_null()).then(|| unsafe { &*found })
    };
    found().or_else(|| {
        let _guard = Building::begin();
        found().or_else(|| {
            let made = make()?;
            cell.store(std::ptr::from_ref(made).cast_mut(), Ordering::Release);
            Some(made)
        })
    })
}

/// Runs `part(i)` for all `i` below `parts`, on several threads as they come; returns when all have ended.
pub fn share(parts: usize, part: impl Fn(usize) + Sync) {
    let several = parts > 1 && count() > 1;
    match several.then(|| standing(&CREW, || Some(Crew::new(count())))).flatten() {
        Some(crew) => crew.share(parts, &part),
        None => (0..parts).for_each(part),
    }
}

/// Runs `f` on `parts` ranges that cover `0..count`, on fewer where so many are of no use.
pub(crate) fn ranges(count: usize, parts: usize, f: impl Fn(Range<usize>) + Sync) {
    // So many for a thread that the last to end has little left.
    const EACH: usize = 4;
    let parts = parts.min(count).min(EACH * self::count());
    share(parts, |p| f(count * p / parts..count * (p + 1) / parts));
}

/// What `part(i)` gives for all `i` below `parts`, in their order; see [`share`].
pub(crate) fn gather<T: Send>(parts: usize, part: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let slots: Vec<Mutex<Option<T>>> = (0..parts).map(|_| Mutex::new(None)).collect();
    share(parts, |i| *locked(&slots[i]) = Some(part(i)));
    slots.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// Runs work that uses rayon on as many of its threads.
pub fn run<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let build = |threads| ThreadPoolBuilder::new().num_threads(threads).build().ok();
    let leaked = |pool| -> &'static ThreadPool { Box::leak(Box::new(pool)) };
    match standing(&POOL, || build(count()).map(leaked)) {
        Some(pool) => pool.install(work),
        // The system has no threads left: this one does the work alone.
        None => match ThreadPoolBuilder::new().num_threads(1).use_current_thread().build() {
            Ok(alone) => alone.install(work),
            Err(_) => work(),
        },
    }
}

/// How many threads large kernels use: what was asked for by [`set_count`] or the environment's `OMP_NUM_THREADS`, or as
/// many as there are processors for this process.
pub fn count() -> usize {
    match COUNT.load(Ordering::Relaxed) {
        0 => {
            let asked = std::env::var("OMP_NUM_THREADS").ok();
            // A list is of numbers for nested work.
            let asked = asked.and_then(|n| n.split(',').next()?.trim().parse().ok()).filter(|n| *n > 0);
            let threads = asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
            COUNT.store(threads, Ordering::Relaxed);
            threads
        }
        known => known,
    }
}

/// Lets large kernels use `threads` threads from now on.
///
/// ```
/// wengert_cpu::threads::set_count(2).unwrap();
/// assert_eq!(wengert_cpu::threads::count(), 2);
/// ```
pub fn set_count(threads: usize) -> Result<()> {
    if threads > MOST {
        return Err(Error::runtime(format!("set_num_threads: {threads} threads; at most {MOST} are started")));
    }
    let _guard = Building::begin();
    if COUNT.swap(threads, Ordering::Relaxed) != threads {
        // Those replaced are leaked: somebody may be using them.
        let old = CREW.swap(std::ptr::null_mut(), Ordering::AcqRel);
        POOL.store(std::ptr::null_mut(), Ordering::Release);
        // SAFETY: null or leaked.
        if let Some(old) = unsafe { old.as_ref() } {
            old.dismiss();
        }
    }
    Ok(())
}

/// More threads than this are a mistake.
const MOST: usize = 1 << 12;

/// Call after `fork` in the child.
pub fn after_fork_in_child() {
    CREW.store(std::ptr::null_mut(), Ordering::Release);
    POOL.store(std::ptr::null_mut(), Ordering::Release);
    // Whoever was starting threads is not here.
    BUILDING.store(false, Ordering::Release);
}

/// What went wrong in tasks that run side by side: their error is given once all have ended.
#[derive(Default)]
pub struct Failed(Mutex<Option<Error>>);

impl Failed {
    /// The value; of an error, which is kept, none.
    pub fn keep<T>(&self, outcome: Result<T>) -> Option<T> {
        outcome.map_err(|e| *locked(&self.0) = Some(e)).ok()
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
    fn a_forked_child_starts_threads_of_its_own() {
        set_count(2).unwrap();
        share(2, |_| {});
        let before = CREW.load(Ordering::Relaxed);
        after_fork_in_child();
        assert_eq!(run(|| rayon::join(|| 1, || 2)), (1, 2));
        share(2, |_| {});
        assert!(!CREW.load(Ordering::Relaxed).is_null() && CREW.load(Ordering::Relaxed) != before);
        set_count(3).unwrap();
        assert_eq!(run(rayon::current_num_threads), 3);
        assert!(set_count(usize::MAX).is_err());
        assert_eq!(count(), 3);
    }
}
