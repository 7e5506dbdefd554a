//! How often this process has been forked from another: drivers do not survive that.

use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// The number of forks between the first process that asked and this one. Asked at every call, so that it must not be a
/// system call, which a process's number is.
pub(crate) fn generation() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Counts forks from now on.
#[cfg(unix)]
pub(crate) fn follow() {
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only adds to an atomic, which a forked child may do.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// No process is forked here.
#[cfg(not(unix))]
pub(crate) fn follow() {}
