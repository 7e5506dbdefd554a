//! Views: other layouts over the same storage, and their place on the tape.

use crate::lock::Guarded;
use crate::lock::{lock, Key, Locked};
use crate::mode::is_grad_enabled;
use crate::record;
use crate::rules;
use crate::tape::node::{Edge, Node};
use crate::tensor::{edge, flag, node_order, replace_edge, requires_grad, Cell, Storage, Tensor, ViewInfo, ViewKind};
use std::sync::Arc;
use wengert_ops::{fail, DType, Error, Layout, Op, Region, Result, ViewOp};

/// The storage cell of a tensor, made shareable on first use.
pub(crate) fn share(t: &Tensor, key: &mut Key) -> Arc<Storage> {
    let state = t.0.state.get_mut(key);
    if let Cell::Shared(storage) = &state.cell {
        return storage.clone();
    }
    let Cell::Own(buffer, version) = &state.cell else { unreachable!("handled above") };
    let storage = Arc::new(Storage(Guarded::new((buffer.clone(), *version))));
    state.cell = Cell::Shared(storage.clone());
    storage
}

#[inline(always)]
fn handle(
    t: &Tensor,
    storage: Arc<Storage>,
    layout: Layout,
    edge: Edge,
    view: Option<Box<ViewInfo>>,
    flags: u8,
) -> Tensor {
    Tensor::made((t.0.dtype(), t.0.device()), Cell::Shared(storage), layout, edge, flags, view)
}

/// One view of a tensor.
pub fn view(x: &Tensor, op: ViewOp) -> Result<Tensor> {
    view_of(x, op, ViewKind::Default)
}

/// Several views made by one function (`unbind`, `split`, `chunk`): none may be written in place on the tape.
pub fn views(x: &Tensor, ops: impl IntoIterator<Item = ViewOp>) -> Result<Vec<Tensor>> {
    ops.into_iter().map(|op| view_of(x, op, ViewKind::Multi)).collect()
}

fn view_of(x: &Tensor, op: ViewOp, wanted: ViewKind) -> Result<Tensor> {
    view_by(x, |_| Ok(op), wanted)
}

/// As [`view_of`], of an operation that is made from the layout as it is at that moment.
#[inline]
fn view_by(x: &Tensor, op: impl FnOnce(&Layout) -> Result<ViewOp>, wanted: ViewKind) -> Result<Tensor> {
    let mut guard = lock();
    let locked = &mut *guard;
    let whole = &x.0.state.get(&locked.key).layout;
    let op = op(whole)?;
    let layout = locked.layouts.view(whole, &op)?;
    if let ViewOp::AsStrided { shape, .. } = &op {
        check_bounds(x, &layout, &guard.key, shape)?;
    }
    let mut result_edge = Edge::None;
    if is_grad_enabled() && requires_grad(x, &guard.key) {
        let input = edge(x, &mut guard)?;
        if input.is_some() {
            let op = match op {
                // Its arguments are over the buffer, not over x.
                ViewOp::AsStrided { .. } => {
                    let base = x.0.state.get(&guard.key).layout.clone();
                    Op::Take(Arc::new(Region { base, part: layout.clone() }))
                }
                op => Op::View(Arc::new(op)),
            };
            let node = view_node(x, op, input, layout.clone(), &guard);
            result_edge = Edge::Node(guard.tape.push(node));
        }
    }
    let storage = share(x, &mut guard.key);
    let state = x.0.state.get(&guard.key);
    let (base, parent_kind) = match &state.view {
        Some(view) => (view.base.clone(), view.kind),
        None => (x.clone(), ViewKind::Default),
    };
    let kind = match (is_grad_enabled(), wanted) {
        (false, _) => ViewKind::NoGrad,
        (true, ViewKind::Multi) => ViewKind::Multi,
        (true, _) => parent_kind,
    };
    let version = state.cell.version(&guard.key);
    let flags = state.flags & flag::INFERENCE;
    let seen = node_order(&base, &guard);
    let info = ViewInfo { base, kind, version, seen };
    Ok(handle(x, storage, layout, result_edge, Some(Box::new(info)), flags))
}

/// The node of a view of `x`, whose gradient goes to `input`.
fn view_node(x: &Tensor, op: Op, input: Edge, layout: Layout, locked: &Locked) -> Node {
    let mut node = Node::new(op, layout, x.0.dtype(), 0);
    if rules::shapes(&node.op) != 0 {
        let whole = &x.0.state.get(&locked.key).layout;
        node.saved.extend(record::untold_shape(0, &input, whole, locked));
    }
    node.edges.push(input);
    node
}

fn check_bounds(x: &Tensor, layout: &Layout, key: &Key, shape: &[usize]) -> Result<()> {
    // Without memory only what an address could never reach is refused.
    let bytes = x.0.state.get(key).cell.buffer(key).bytes().unwrap_or(isize::MAX as usize);
    let have = bytes / x.0.dtype().size();
    // Checked by hand: the strides come from the user and may be anything.
    let mut last = layout.offset() as i128;
    for (&n, &s) in layout.shape().iter().zip(layout.strides()) {
        if s < 0 {
            fail!(
                runtime,
                "as_strided: Negative strides are not supported at the moment, got strides: {:?}",
                layout.strides()
            );
        }
        last += (n as i128 - 1) * s as i128;
    }
    if layout.numel() > 0 && last >= have as i128 {
        fail!(
            runtime,
            "setStorage: sizes {shape:?}, strides {:?}, storage offset {}, and itemsize {} requiring a storage size of {} are out of \
             bounds for storage of size {}",
            layout.strides(),
            layout.offset(),
            x.0.dtype().size(),
            (last + 1) * x.0.dtype().size() as i128,
            bytes
        );
    }
    Ok(())
}

impl Tensor {
    /// A view by an operation that is made from the layout as it is at that moment.
    ///
    /// ```
    /// use wengert::{Tensor, ViewOp};
    /// let x = Tensor::from_f32(&[1.0, 2.0, 3.0], &[3]).unwrap();
    /// let last = x.view_made(|layout| Ok(ViewOp::Select { dim: 0, index: layout.shape()[0] - 1 })).unwrap();
    /// assert_eq!(last.to_vec_f64().unwrap(), [3.0]);
    /// ```
    pub fn view_made(&self, op: impl FnOnce(&Layout) -> Result<ViewOp>) -> Result<Tensor> {
        view_by(self, op, ViewKind::Default)
    }

    /// The same elements, off the tape.
    pub fn detach(&self) -> Tensor {
        let mut guard = lock();
        let storage = share(self, &mut guard.key);
        let state = self.0.state.get(&guard.key);
        handle(self, storage, state.layout.clone(), Edge::None, None, state.flags & flag::INFERENCE)
    }

    /// Takes this tensor itself off the tape: it becomes a leaf that requires no grad.
    pub fn detach_(&self) -> Result<()> {
        let mut guard = lock();
        let locked = &mut *guard;
        let state = self.0.state.get_mut(&mut locked.key);
        if state.view.is_some() {
            fail!(
                runtime,
                "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for training, and \
                 gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence detach_() cannot be called."
            );
        }
        state.flags &= !(flag::REQ | flag::RETAIN);
        if let Edge::Node(node) = std::mem::take(&mut state.edge) {
            locked.tape.release(node, &mut locked.key);
        }
        Ok(())
    }

    /// Whether gradients flow to or through this tensor.
    pub fn requires_grad(&self) -> bool {
        requires_grad(self, &lock().key)
    }

    /// Not the result of a taped operation.
    pub fn is_leaf(&self) -> bool {
        let mut guard = lock();
        if !requires_grad(self, &guard.key) {
            return true;
        }
        !matches!(edge(self, &mut guard), Ok(Edge::Node(_)) | Err(_))
    }

    /// Whether it is a view of another tensor, for differentiation.
    pub fn is_view(&self) -> bool {
        self.0.state.get(&lock().key).view.is_some()
    }

    /// The tensor it is a view of.
    pub fn base(&self) -> Option<Tensor> {
        self.0.state.get(&lock().key).view.as_ref().map(|v| v.base.clone())
    }

    /// Turns recording for a leaf on or off.
    pub fn set_requires_grad(&self, on: bool) -> Result<()> {
        let mut guard = lock();
        let has_node = matches!(edge(self, &mut guard)?, Edge::Node(_));
        if has_node {
            if on {
                return Ok(());
            }
            fail!(
                runtime,
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that \
                 doesn't require differentiation use var_no_grad = var.detach()."
            );
        }
        if on && !self.0.dtype().is_float() {
            fail!(runtime, "only Tensors of floating point dtype can require gradients");
        }
        let state = self.0.state.get_mut(&mut guard.key);
        if on && state.flags & flag::INFERENCE != 0 && !crate::mode::inference() {
            fail!(runtime, "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.");
        }
        if on {
            state.flags |= flag::REQ
        } else {
            state.flags &= !flag::REQ
        }
        Ok(())
    }

    /// The gradient that backward passes have added up here.
    pub fn grad(&self) -> Option<Tensor> {
        self.0.state.get(&lock().key).grad.clone()
    }

    /// Whether it has a gradient.
    pub fn has_grad(&self) -> bool {
        self.0.state.get(&lock().key).grad.is_some()
    }

    /// Replaces (or removes) the gradient.
    pub fn set_grad(&self, grad: Option<Tensor>) -> Result<()> {
        if let Some(g) = &grad {
            if g.is(self) {
                fail!(runtime, "can't assign Variable as its own grad");
            }
            if g.dtype() != self.dtype() {
                fail!(
                    runtime,
                    "assigned grad has data of a different type: the tensor is {}, the gradient {}; convert it with .to()",
                    self.dtype(),
                    g.dtype()
                );
            }
            if g.shape() != self.shape() {
                fail!(
                    runtime,
                    "assigned grad has data of a different size: the tensor has shape {:?}, the gradient {:?}",
                    &self.shape()[..],
                    &g.shape()[..]
                );
            }
            if g.device() != self.device() {
                fail!(
                    runtime,
                    "assigned grad has data located on a different device: {} against {}",
                    g.device(),
                    self.device()
                );
            }
        }
        let old = std::mem::replace(&mut self.0.state.get_mut(&mut lock().key).grad, grad);
        drop(old);
        Ok(())
    }

    /// `x.data = y`: takes over y's storage and layout, keeping the place on the tape. A leaf, or a tensor without history,
    /// may so change its device; views made of it before stay with the old data.
    pub fn set_data(&self, other: &Tensor) -> Result<()> {
        let keeps_grad = self.dtype().category() == other.dtype().category() || !self.requires_grad();
        let (from, to) = (self.device(), other.device());
        let may_move = from == to || self.is_leaf() && from.has_memory() && to.has_memory();
        if !may_move || !keeps_grad {
            return Err(Error::runtime(format!(
                "Attempted to call `variable.set_data(tensor)`, but `variable` and `tensor` have incompatible tensor type: \
                 {} on {} and {} on {}; convert the new data first with .to()",
                self.dtype(),
                self.device(),
                other.dtype(),
                other.device()
            )));
        }
        let mut guard = lock();
        let storage = share(other, &mut guard.key);
        let layout = other.0.state.get(&guard.key).layout.clone();
        let state = self.0.state.get_mut(&mut guard.key);
        let old = std::mem::replace(&mut state.cell, Cell::Shared(storage));
        state.layout = layout;
        let view = state.view.take();
        self.0.set_kind(other.0.dtype(), other.0.device());
        drop(guard);
        drop((old, view));
        Ok(())
    }

    /// Sets the layout of this very tensor (`unsqueeze_`, `squeeze_`, `transpose_`, `t_`): a view in place.
    pub fn view_(&self, op: ViewOp) -> Result<()> {
        let mut guard = lock();
        let state = self.0.state.get(&guard.key);
        let layout = op.apply(&state.layout)?;
        let taped = is_grad_enabled() && requires_grad(self, &guard.key);
        if taped {
            crate::inplace::check_taped_write(self, &mut guard)?;
            let input = edge(self, &mut guard)?;
            let node = view_node(self, Op::View(Arc::new(op)), input, layout.clone(), &guard);
            let node = guard.tape.push(node);
            replace_edge(self, Edge::Node(node), &mut guard);
        }
        self.0.state.get_mut(&mut guard.key).layout = layout;
        Ok(())
    }

    /// A leaf that requires grad, over the same elements.
    pub fn requiring_grad(self) -> Result<Tensor> {
        self.set_requires_grad(true)?;
        Ok(self)
    }

    /// Bytes per element.
    pub fn element_size(&self) -> usize {
        DType::size(self.dtype())
    }
}

impl Tensor {
    /// A new handle with this one's place on the tape and flags (what `Tensor(t)` gives).
    pub fn detach_alias(&self) -> Tensor {
        let alias = self.detach();
        if self.requires_grad() && self.is_leaf() && self.dtype().is_float() {
            alias.0.state.get_mut(&mut lock().key).flags |= flag::REQ;
        }
        alias
    }
}
