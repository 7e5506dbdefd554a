//! Anomaly mode: nodes remember where they were made, and gradients are looked at for NaN.

use crate::lock::{defer, lock, Locked};
use crate::tape::node::NodeRef;
use crate::tape::{labels, Payload, Tape};
use crate::tensor::Tensor;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use wengert_ops::{fail, Result};

static ON: AtomicBool = AtomicBool::new(false);
static CHECK_NAN: AtomicBool = AtomicBool::new(true);

thread_local! {
    /// The nodes whose rules run on this thread, the innermost last.
    static RUNNING: RefCell<Vec<Maker>> = const { RefCell::new(Vec::new()) };
}

/// A node by name, with where it was made.
pub type Maker = (String, Option<Arc<Note>>);

/// Where a node was made.
pub struct Note {
    /// The host language's stack then.
    pub stack: Payload,
    /// The node whose rule made it, in a sweep that is taped itself.
    pub parent: Option<Maker>,
}

/// What the host language has a part in.
#[derive(Clone, Copy)]
pub struct Watch {
    /// The stack now.
    pub stack: fn() -> Option<Payload>,
    /// Told of the node in whose rule an error arose.
    pub report: fn(&Maker) -> Result<()>,
}

static WATCH: RwLock<Option<Watch>> = RwLock::new(None);

/// Says how stacks are taken and errors told.
pub fn set_anomaly_watch(watch: Watch) {
    *WATCH.write().unwrap_or_else(|e| e.into_inner()) = Some(watch);
}

fn watch() -> Option<Watch> {
    *WATCH.read().unwrap_or_else(|e| e.into_inner())
}

/// Turns the mode on or off, for all threads.
pub fn set_anomaly(on: bool, check_nan: bool) {
    ON.store(on, Ordering::Relaxed);
    CHECK_NAN.store(check_nan, Ordering::Relaxed);
    lock().tape.watched = on;
}

/// Whether the mode is on, and whether it looks for NaN.
pub fn anomaly() -> (bool, bool) {
    (ON.load(Ordering::Relaxed), CHECK_NAN.load(Ordering::Relaxed))
}

/// A new node whose stack is taken once the lock is free, since that runs the host's code.
struct Unwatched(NodeRef);

impl Tape {
    #[cold]
    pub(crate) fn watch(&mut self, n: NodeRef) {
        self.hold(n);
        defer(Unwatched(n));
    }
}

impl Drop for Unwatched {
    fn drop(&mut self) {
        let stack = watch().and_then(|w| (w.stack)());
        let parent = RUNNING.with(|r| r.borrow().last().cloned());
        let mut guard = lock();
        let Locked { tape, key, .. } = &mut *guard;
        if let Some(stack) = stack {
            tape.side_mut(self.0).note = Some(Arc::new(Note { stack, parent }));
        }
        tape.release(self.0, key);
    }
}

/// The name of a held node and where it was made.
pub(crate) fn maker(n: NodeRef) -> Maker {
    let guard = lock();
    let node = guard.tape.node(n);
    (labels::name(&node.op, node.label), guard.tape.side(n).and_then(|s| s.note.clone()))
}

/// While it lives, the node's rule runs on this thread.
pub(crate) struct Running;

impl Running {
    pub fn enter(n: NodeRef) -> Running {
        let maker = maker(n);
        RUNNING.with(|r| r.borrow_mut().push(maker));
        Running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let done = RUNNING.with(|r| r.borrow_mut().pop());
        drop(done);
    }
}

/// Tells of an error in a node's rule; the error that remains.
pub(crate) fn told(n: NodeRef, error: wengert_ops::Error) -> wengert_ops::Error {
    match watch().map(|w| (w.report)(&maker(n))) {
        Some(Err(other)) => other,
        _ => error,
    }
}

/// Refuses NaN in what a rule has computed.
pub(crate) fn check(n: NodeRef, gradients: &[Option<Tensor>]) -> Result<()> {
    let _off = crate::mode::GradMode::set(false);
    for (i, g) in gradients.iter().enumerate() {
        let Some(g) = g else { continue };
        if g.device() == crate::Device::Meta || !g.dtype().is_float() {
            continue;
        }
        if g.ne(g)?.any(&[], false)?.item()?.as_bool() {
            fail!(runtime, "Function '{}' returned nan values in its {i}th output.", maker(n).0);
        }
    }
    Ok(())
}
