//! What a tensor alone keeps alive, for a host language that looks for reference cycles.

use crate::lock::{held, lock};
use crate::rules::custom::{function, Function};
use crate::tape::node::{Edge, NodeRef};
use crate::tape::Payload;
use crate::tensor::{flag, Tensor, TensorImpl};
use smallvec::SmallVec;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use wengert_ops::counted::{Counted, Watcher};
use wengert_ops::Op;

/// Something of the host language's that a tensor keeps.
pub enum Part<'a> {
    /// What stands in the object slot of a tensor that has no object now.
    Object(*mut ()),
    /// What was registered with a hook.
    Payload(&'a Payload),
    /// A user's function.
    Function(&'a dyn Function),
}

enum Place<'a> {
    Tensor(&'a Counted<TensorImpl>),
    Node(NodeRef),
}

/// How far along the tape: cycles are short, tapes are long. A bound on the way from the tensor and not on the sum of
/// what is met, so that what is found on one way does not depend on the others.
const DEPTH: usize = 64;

impl Tensor {
    /// Visits what would go with this handle, itself the only one: nothing that anybody else holds as well.
    ///
    /// Two visits find the same as long as no operation runs in between. `f` runs under the lock.
    pub fn visit_sole(&self, mut f: impl FnMut(Part<'_>)) {
        // A collector may run while a fork holds the lock.
        if held() {
            return;
        }
        let guard = lock();
        let mut places: SmallVec<[(Place<'_>, usize); 8]> = SmallVec::from_iter([(Place::Tensor(&self.0), 0)]);
        while let Some((place, depth)) = places.pop() {
            if depth > DEPTH {
                continue;
            }
            match place {
                Place::Tensor(t) => {
                    let state = t.state.get(&guard.key);
                    if Counted::count(t) != 1 || state.flags & flag::RETAIN != 0 {
                        continue;
                    }
                    if let Edge::Node(n) = state.edge {
                        places.push((Place::Node(n), depth + 1));
                    }
                    let object = t.object.load(Ordering::Relaxed);
                    if depth > 0 && !object.is_null() {
                        f(Part::Object(object));
                    }
                    if let Some(cold) = &state.cold {
                        for (_, hook, payload) in cold.hooks.iter().chain(&cold.post_hooks) {
                            if let (1, Some(payload)) = (Arc::strong_count(hook), payload) {
                                f(Part::Payload(payload));
                            }
                        }
                    }
                    if let Some(grad) = &state.grad {
                        places.push((Place::Tensor(&grad.0), depth + 1));
                    }
                    if let Some(view) = &state.view {
                        places.push((Place::Tensor(&view.base.0), depth + 1));
                    }
                }
                Place::Node(n) => {
                    let node = guard.tape.node(n);
                    if node.refs != 1 {
                        continue;
                    }
                    if let (Op::Custom(op), Some(applied)) = (&node.op, function(&node.op)) {
                        if Arc::strong_count(op) == 1 && Arc::strong_count(applied) == 1 {
                            f(Part::Function(&**applied));
                        }
                    }
                    for edge in &node.edges {
                        match edge {
                            Edge::None => {}
                            Edge::Node(n) => places.push((Place::Node(*n), depth + 1)),
                            Edge::Leaf(leaf) => places.push((Place::Tensor(leaf), depth + 1)),
                        }
                    }
                }
            }
        }
    }

    /// Takes all hooks away from a leaf that has no other handle.
    pub fn clear_hooks(&self) {
        if held() || Counted::count(&self.0) != 1 {
            return;
        }
        let mut guard = lock();
        let cold = self.0.state.get_mut(&mut guard.key).cold.take();
        drop(guard);
        drop(cold);
    }

    /// A handle that does not keep the tensor alive.
    pub fn downgrade(&self) -> WeakTensor {
        WeakTensor(Counted::watch(&self.0))
    }

    /// How many handles there are on this tensor.
    pub fn handles(&self) -> usize {
        Counted::count(&self.0)
    }
}

/// A handle that does not keep its tensor alive.
pub struct WeakTensor(Watcher<TensorImpl>);

impl WeakTensor {
    /// The tensor, if it still lives.
    pub fn upgrade(&self) -> Option<Tensor> {
        self.0.upgrade().map(Tensor)
    }
}
