//! Threads that help the one that has work, which goes ahead by itself.
//!
//! rayon serves work that is already on its threads. Work from outside, as all of ours is, puts the caller to sleep until
//! two of its threads have woken and the caller has in turn: 50 to 150 µs on a virtual machine, as long as adding a
//! million numbers takes. Here the caller takes parts at once, and whoever comes takes some off it; a helper that is late
//! costs nothing. Helpers look for more work for a little while before they sleep.

use crate::processors::{Id, Processors};
use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a helper looks for more work before it sleeps.
const AWAKE: Duration = Duration::from_micros(100);

type Part<'a> = dyn Fn(usize) + Sync + 'a;

/// Numbered parts of one piece of work.
#[derive(Clone, Copy)]
struct Job {
    part: *const Part<'static>,
    parts: usize,
}

/// Helpers and what they look at. One piece of work is shared at a time.
pub(crate) struct Crew {
    threads: usize,
    /// Whether some thread has its work here.
    busy: AtomicBool,
    /// Written while `busy` by who made it so, with `open` false and nobody inside.
    job: UnsafeCell<Option<Job>>,
    /// Whether helpers may begin.
    open: AtomicBool,
    /// How many helpers look at the job or work on it.
    inside: AtomicUsize,
    /// The next part that nobody has taken.
    next: AtomicUsize,
    /// Pieces of work so far.
    calls: AtomicUsize,
    asleep: AtomicUsize,
    dismissed: AtomicBool,
    /// What a helper panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    door: Mutex<Helpers>,
    bell: Condvar,
}

#[derive(Default)]
struct Helpers {
    ids: Vec<Id>,
    /// Where they may run, if that was said.
    places: Option<Processors>,
}

impl Helpers {
    /// Keeps them off the processor of the calling thread.
    fn stand_aside(&mut self) {
        let beside = Processors::beside();
        if let (Some(places), true) = (&beside, beside != self.places) {
            self.ids.iter().for_each(|&id| places.admit(id));
            self.places = beside;
        }
    }
}

// SAFETY: `job` is written only as said there; what it points to may be called by several threads.
unsafe impl Sync for Crew {}
// SAFETY: as above.
unsafe impl Send for Crew {}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    /// A crew of `threads`, the caller among them; of fewer where the system gives no more. It lives for ever, since
    /// somebody may be using it.
    pub fn new(threads: usize) -> &'static Crew {
        let crew: &'static Crew = Box::leak(Box::new(Crew {
            threads,
            busy: AtomicBool::new(false),
            job: UnsafeCell::new(None),
            open: AtomicBool::new(false),
            inside: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            asleep: AtomicUsize::new(0),
            dismissed: AtomicBool::new(false),
            panic: Mutex::new(None),
            door: Mutex::default(),
            bell: Condvar::new(),
        }));
        for n in 1..threads {
            let helper = std::thread::Builder::new().name(format!("wengert-{n}"));
            if helper.spawn(|| crew.help()).is_err() {
                break;
            }
        }
        crew
    }

    /// Lets the helpers go.
    pub fn dismiss(&self) {
        self.dismissed.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// Wakes who sleeps.
    fn ring(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        // Who goes to sleep after this has seen the call.
        if self.asleep.load(Ordering::SeqCst) > 0 {
            let mut helpers = locked(&self.door);
            helpers.stand_aside();
            self.bell.notify_all();
        }
    }

    /// Runs `part(i)` for all `i` below `parts`, each once, on whichever threads are free; returns when all have ended.
    /// Within a part, or while another thread shares its work, everything runs on the calling thread.
    pub fn share(&self, parts: usize, part: &Part<'_>) {
        if self.threads < 2 || parts < 2 || self.busy.swap(true, Ordering::Acquire) {
            return (0..parts).for_each(part);
        }
        // SAFETY: the crew is ours since `busy`, closed, and nobody is inside. The lifetime is made longer than it is:
        // `closed` waits for all helpers before this function ends, also by a panic.
        unsafe {
            *self.job.get() =
                Some(Job { part: std::mem::transmute::<*const Part<'_>, *const Part<'static>>(part), parts })
        };
        self.next.store(0, Ordering::Relaxed);
        let closed = Closed(self);
        self.open.store(true, Ordering::SeqCst);
        self.ring();
        self.take(parts, part);
        drop(closed);
    }

    /// Works on parts as long as there are any.
    fn take(&self, parts: usize, part: &Part<'_>) {
        loop {
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            if i >= parts {
                return;
            }
            part(i);
        }
    }

    /// What a helper does all its life.
    fn help(&self) {
        let mut seen = 0;
        {
            let mut helpers = locked(&self.door);
            helpers.ids.push(Id::own());
            helpers.places = None;
        }
        while !self.dismissed.load(Ordering::SeqCst) {
            seen = self.wait(seen);
            self.inside.fetch_add(1, Ordering::SeqCst);
            // Either this sees that the work is over, or its owner sees that somebody is inside.
            if self.open.load(Ordering::SeqCst) {
                // SAFETY: not written while the crew is open or somebody is inside; `part` lives until all have left.
                if let Some((job, part)) = unsafe { (*self.job.get()).map(|job| (job, &*job.part)) } {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take(job.parts, part))) {
                        *locked(&self.panic) = Some(panic);
                    }
                }
            }
            self.inside.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Waits for a call other than `seen`: awake for a while, then asleep. Gives its number.
    fn wait(&self, seen: usize) -> usize {
        let start = Instant::now();
        loop {
            for _ in 0..64 {
                let now = self.calls.load(Ordering::SeqCst);
                if now != seen {
                    return now;
                }
                std::hint::spin_loop();
            }
            if start.elapsed() > AWAKE {
                break;
            }
        }
        let mut door = locked(&self.door);
        self.asleep.fetch_add(1, Ordering::SeqCst);
        let now = loop {
            let now = self.calls.load(Ordering::SeqCst);
            if now != seen {
                break now;
            }
            door = self.bell.wait(door).unwrap_or_else(PoisonError::into_inner);
        };
        self.asleep.fetch_sub(1, Ordering::SeqCst);
        now
    }
}

/// Ends a piece of work: nobody begins any more, and those inside are waited for.
struct Closed<'a>(&'a Crew);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        let crew = self.0;
        crew.open.store(false, Ordering::SeqCst);
        let mut turns = 0u32;
        while crew.inside.load(Ordering::SeqCst) > 0 {
            turns += 1;
            // A helper that has no processor needs this one.
            if turns.is_multiple_of(1 << 12) {
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
        let panic = locked(&crew.panic).take();
        crew.busy.store(false, Ordering::Release);
        if let (Some(panic), false) = (panic, std::thread::panicking()) {
            resume_unwind(panic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_runs_once() {
        let crew = Crew::new(3);
        let rounds = if cfg!(miri) { 5 } else { 2000 };
        for round in 0..rounds {
            let parts = round % 17;
            let hits: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
            crew.share(parts, &|i| {
                hits[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(hits.iter().all(|h| h.load(Ordering::Relaxed) == 1));
            if round % 500 == 499 {
                // Long enough for the helpers to fall asleep.
                std::thread::sleep(3 * AWAKE);
            }
        }
        crew.dismiss();
    }

    #[test]
    fn helpers_do_help() {
        let crew = Crew::new(2);
        let (first, second) = (AtomicBool::new(false), AtomicBool::new(false));
        // Each part waits for the other to begin.
        crew.share(2, &|i| {
            let [mine, other] = if i == 0 { [&first, &second] } else { [&second, &first] };
            mine.store(true, Ordering::SeqCst);
            while !other.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        });
        crew.dismiss();
    }

    #[test]
    fn work_within_work_and_from_several_threads_is_done_where_it_is() {
        let crew = Crew::new(2);
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..if cfg!(miri) { 3 } else { 100 } {
                        crew.share(4, &|_| {
                            crew.share(3, &|_| {
                                count.fetch_add(1, Ordering::Relaxed);
                            })
                        });
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), if cfg!(miri) { 108 } else { 3600 });
        crew.dismiss();
    }

    #[test]
    fn a_panic_comes_to_the_owner_of_the_work_and_the_crew_goes_on() {
        let crew = Crew::new(2);
        for _ in 0..20 {
            let caught = catch_unwind(AssertUnwindSafe(|| crew.share(8, &|i| assert!(i != 5, "part five"))));
            assert!(caught.is_err());
        }
        let sum = AtomicUsize::new(0);
        crew.share(10, &|i| {
            sum.fetch_add(i, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
        crew.dismiss();
    }
}
