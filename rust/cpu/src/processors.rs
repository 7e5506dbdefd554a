//! Which processors threads may run on. Elsewhere than on Linux that is left to the system.
//!
//! A thread that is woken often starts on the processor of the one that woke it, which has work of its own, while
//! another stands idle; on a virtual machine of two processors it then stayed there for milliseconds (products of 35 µs
//! took 58 in two of three runs after a pause).

/// A thread that other threads can name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id(#[cfg_attr(not(target_os = "linux"), allow(dead_code))] i32);

#[cfg(all(target_os = "linux", not(miri)))]
mod linux {
    use super::Id;
    use std::mem::{size_of, zeroed};

    /// A set of processors.
    #[derive(Clone, Copy)]
    pub(crate) struct Processors(libc::cpu_set_t);

    impl PartialEq for Processors {
        fn eq(&self, other: &Processors) -> bool {
            // SAFETY: reads both sets.
            unsafe { libc::CPU_EQUAL(&self.0, &other.0) }
        }
    }

    impl Processors {
        /// Those that the calling thread may use, without the one that it is on; none where no other is left.
        pub fn beside() -> Option<Processors> {
            // SAFETY: an all-zero set is empty; the call writes at most its size, and positions are checked.
            unsafe {
                let mut set: libc::cpu_set_t = zeroed();
                let here = usize::try_from(libc::sched_getcpu()).ok()?;
                let known = libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) == 0;
                if !known || here >= 8 * size_of::<libc::cpu_set_t>() {
                    return None;
                }
                libc::CPU_CLR(here, &mut set);
                (libc::CPU_COUNT(&set) > 0).then_some(Processors(set))
            }
        }

        /// Lets a thread run on these alone. A thread that has ended, or a system that refuses, changes nothing.
        pub fn admit(&self, thread: Id) {
            // SAFETY: reads the set.
            unsafe { libc::sched_setaffinity(thread.0, size_of::<libc::cpu_set_t>(), &self.0) };
        }
    }

    impl Id {
        /// The calling thread's.
        pub fn own() -> Id {
            // SAFETY: has no conditions.
            Id(unsafe { libc::gettid() })
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod other {
    use super::Id;

    #[derive(Clone, Copy, PartialEq)]
    pub(crate) enum Processors {}

    impl Processors {
        pub fn beside() -> Option<Processors> {
            None
        }
        pub fn admit(&self, _: Id) {
            match *self {}
        }
    }

    impl Id {
        pub fn own() -> Id {
            Id(0)
        }
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) use linux::Processors;
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(crate) use other::Processors;
