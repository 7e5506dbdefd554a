//! Backward passes that are started within backward passes. Beyond some depth they go on in threads of their own, so
//! that neither this stack nor the host language's runs out.

use crate::mode::{inference, is_grad_enabled, set_inference, GradMode};
use crate::tape::sweep::check_interrupt;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;
use wengert_ops::{Error, Result};

/// Passes within each other on one stack.
const DEEPEST: usize = 60;
const STACK: usize = 8 << 20;
/// How often a waiting thread asks whether the user wants to stop.
const ASK: Duration = Duration::from_millis(50);

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Set by the thread that waits for this one when the user wants to stop.
    static STOP: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

struct Level;

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs a pass, in a new thread if too many are under way on this one.
pub(crate) fn enter<R: Send>(pass: impl FnOnce() -> Result<R> + Send) -> Result<R> {
    let depth = DEPTH.get();
    check_stop()?;
    if depth >= DEEPEST {
        return apart(pass);
    }
    DEPTH.set(depth + 1);
    let _level = Level;
    pass()
}

/// Fails if the user wants to stop: a thread that waits for this one has heard of it.
pub(crate) fn check_stop() -> Result<()> {
    if STOP.with_borrow(|s| s.as_ref().is_some_and(|s| s.load(Ordering::Relaxed))) {
        return Err(Error::runtime("backward was interrupted"));
    }
    Ok(())
}

#[cold]
fn apart<R: Send>(pass: impl FnOnce() -> Result<R> + Send) -> Result<R> {
    let (taped, untouchable) = (is_grad_enabled(), inference());
    let stop = Arc::new(AtomicBool::new(false));
    let (ending, end) = channel::<()>();
    let task = {
        let stop = stop.clone();
        move || {
            // Dropped last: it tells the end.
            let _ending = ending;
            STOP.set(Some(stop));
            let _mode = GradMode::set(taped);
            set_inference(untouchable);
            enter(pass)
        }
    };
    std::thread::scope(|scope| {
        let thread = Builder::new().name("backward".to_owned()).stack_size(STACK).spawn_scoped(scope, task);
        let thread = thread.map_err(|e| {
            Error::runtime(format!(
                "backward: a pass within {DEEPEST} others needs a new thread, but there is none: {e}"
            ))
        })?;
        let mut interrupted = None;
        while end.recv_timeout(ASK) == Err(RecvTimeoutError::Timeout) {
            if let (None, Err(e)) = (&interrupted, check_interrupt()) {
                stop.store(true, Ordering::Relaxed);
                interrupted = Some(e);
            }
        }
        let result = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        interrupted.map_or(result, Err)
    })
}
