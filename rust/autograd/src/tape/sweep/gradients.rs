//! Gradients on their way in and out: the first one, sums, hooks of leaves, `.grad`.

use super::Sweep;
use crate::buffer::Buffer;
use crate::lock::{defer, lock, Key};
use crate::tape::Hook;
use crate::tensor::{self, Cell, Tensor, TensorImpl};
use crate::value::Value;
use smallvec::SmallVec;
use wengert_ops::counted::Counted;
use wengert_ops::{fail, DType, Dims, Layout, Result, ViewOp};

pub(super) fn check_hook_result(g: &Tensor, new: &Tensor) -> Result<()> {
    if new.shape() != g.shape() {
        fail!(runtime, "hook has changed the size of value: {:?} became {:?}", &g.shape()[..], &new.shape()[..]);
    }
    if new.dtype() != g.dtype() {
        fail!(runtime, "hook has changed the type of value: {} became {}", g.dtype(), new.dtype());
    }
    if new.device() != g.device() {
        fail!(runtime, "hook has changed the device of value: {} became {}", g.device(), new.device());
    }
    Ok(())
}

/// The gradients that a node's hook gave back, each of which must fit the one it replaces.
pub(super) fn checked_gradients(old: &[Option<Tensor>], new: Vec<Option<Tensor>>) -> Result<Vec<Option<Tensor>>> {
    if old.len() != new.len() {
        fail!(
            runtime,
            "hook has returned an incorrect number of values (got {}, but expected {})",
            new.len(),
            old.len()
        );
    }
    for (old, new) in old.iter().zip(&new) {
        if let (Some(old), Some(new)) = (old, new) {
            check_hook_result(old, new)?;
        }
    }
    Ok(new)
}

pub(super) fn run_leaf_hooks(leaf: &Tensor, mut g: Tensor) -> Result<Tensor> {
    let hooks: SmallVec<[Hook; 1]> = {
        let guard = lock();
        match &leaf.0.state.get(&guard.key).cold {
            Some(cold) if !cold.hooks.is_empty() => cold.hooks.iter().map(|h| h.1.clone()).collect(),
            _ => return Ok(g),
        }
    };
    for hook in hooks {
        if let Some(new) = hook(&g)? {
            check_hook_result(&g, &new)?;
            g = new;
        }
    }
    Ok(g)
}

pub(super) fn root_gradient(i: usize, root: &Tensor, given: Option<&Tensor>, create: bool) -> Result<Tensor> {
    let Some(g) = given else {
        if root.numel() != 1 {
            fail!(
                runtime,
                "grad can be implicitly created only for scalar outputs (output {i} has shape {:?}); pass gradient=, or reduce the \
                 output first, with .sum() for example",
                &root.shape()[..]
            );
        }
        return Tensor::full(&root.shape(), 1i64, root.dtype(), root.device());
    };
    if g.shape() != root.shape() {
        fail!(
            runtime,
            "Mismatch in shape: grad_output[{i}] has a shape of torch.Size({:?}) and output[{i}] has a shape of torch.Size({:?}).",
            &g.shape()[..],
            &root.shape()[..]
        );
    }
    if create {
        return g.to_dtype(root.dtype());
    }
    let value = g.value();
    Ok(Tensor::from_value(if value.dtype == root.dtype() { value } else { value.copied(root.dtype())? }))
}

/// Sums over broadcast dims and casts, so that a gradient fits what it is the gradient of.
pub(crate) fn fit(g: Tensor, target: &Layout, dtype: DType) -> Result<Tensor> {
    let layout = g.layout();
    let g = if layout.shape() == target.shape() { g } else { g.sum_to(target.shape())? };
    if g.dtype() == dtype {
        Ok(g)
    } else {
        g.to_dtype(dtype)
    }
}

/// The sum of two gradients; in place where `old` has no other holders than its slot and ours.
pub(super) fn add(old: Tensor, new: Tensor, create: bool, handles: usize) -> Result<Tensor> {
    if create {
        return old.add(&new);
    }
    let (a, b): (Value, Value) = (old.value(), new.value());
    let sole =
        Counted::count(&old.0) <= handles && Counted::count(&a.buffer) == 2 && old.owns_storage() && !old.is_taped();
    if sole && a.layout.is_contiguous() && !a.buffer.is_pinned() && a.device().has_memory() {
        let inputs = [crate::exec::RowInput::Value(&a), crate::exec::RowInput::Value(&b)];
        // SAFETY: only the slot, `old` and `a` hold the buffer; the first input is the output itself.
        crate::exec::row_into(wengert_ops::Row::Add, a.dtype, &inputs, unsafe { a.view_mut()? })?;
        return Ok(old);
    }
    old.add(&new)
}

/// Adds to `.grad`, in the same handle where it exists. Another thread may be doing the same.
pub(super) fn add_to_grad(t: &Tensor, g: Tensor, create: bool) -> Result<()> {
    let mut fresh = None;
    loop {
        let old = t.grad();
        let new = match &old {
            Some(old) if !create => {
                let _off = crate::mode::GradMode::set(false);
                return crate::inplace::row_(wengert_ops::Row::Add, old, &[(&g).into()]);
            }
            Some(old) => old.add(&g)?,
            None => match fresh.take() {
                Some(first) => first,
                None => first_gradient(t, g.clone(), create)?,
            },
        };
        let mut guard = lock();
        let state = t.0.state.get_mut(&mut guard.key);
        let unchanged = match (&state.grad, &old) {
            (None, None) => true,
            (Some(a), Some(b)) => a.is(b),
            _ => false,
        };
        if unchanged {
            if let Some(old) = state.grad.replace(new) {
                defer(old);
            }
            return Ok(());
        }
        fresh = Some(new);
        drop(guard);
    }
}

/// A gradient as it becomes a `.grad`: dense, with a cell of its own. Memory that the outside sees is copied, and so is
/// a part of something larger: else the next write to it would copy all of that.
fn first_gradient(leaf: &Tensor, g: Tensor, create: bool) -> Result<Tensor> {
    let layout = leaf.layout();
    if let Some(order) = dense_order(&layout) {
        return in_order(g, &layout, order, create);
    }
    if create {
        // A taped tensor cannot share its elements unnoticed.
        return g.clone_();
    }
    let value = g.value();
    let keep = value.layout.is_contiguous() && !value.buffer.is_pinned() && !value.is_part();
    Ok(Tensor::from_value(if keep { value } else { value.copied(value.dtype)? }))
}

/// The dims of a layout that is dense but not row-major, from the outermost in memory to the innermost.
fn dense_order(layout: &Layout) -> Option<Dims> {
    if layout.is_contiguous() {
        return None;
    }
    let mut order: Dims = (0..layout.rank()).collect();
    order.sort_by_key(|&d| std::cmp::Reverse(layout.strides()[d]));
    let mut step = 1;
    for &d in order.iter().rev().filter(|&&d| layout.shape()[d] != 1) {
        if layout.strides()[d] != step {
            return None;
        }
        step *= layout.shape()[d] as isize;
    }
    Some(order)
}

/// A gradient copied into the strides of its leaf, so that an optimizer walks both alike.
fn in_order(g: Tensor, leaf: &Layout, order: Dims, create: bool) -> Result<Tensor> {
    let mut back = order.clone();
    for (place, &d) in order.iter().enumerate() {
        back[d] = place;
    }
    let permuted = g.view_op(ViewOp::Permute(order))?;
    if create {
        return permuted.clone_()?.view_op(ViewOp::Permute(back));
    }
    let copy = permuted.value().copied(g.dtype())?;
    let strides = leaf.strides().into();
    Ok(Tensor::from_value(copy.with_layout(Layout::strided(leaf.shape().into(), strides, 0))))
}

impl Sweep {
    /// Gives leaves without hooks and without a gradient theirs, in one hold of the lock; the others remain.
    fn commit_first(&mut self) {
        let mut guard = lock();
        let plain = |leaf: &TensorImpl, key: &Key| leaf.state.get(key).cold.is_none();
        if self.create || !self.leaves.iter().all(|(leaf, _)| plain(leaf, &guard.key)) {
            return;
        }
        let key = &mut guard.key;
        self.leaves.retain(|(leaf, g)| {
            let state = g.0.state.get(key);
            // Memory that the outside sees must not become a leaf's.
            let own = matches!(&state.cell, Cell::Own(buffer, _) if !buffer.is_pinned())
                && state.layout.is_contiguous()
                && !state.edge.is_some();
            // The entry's handle is the only one: nobody else sees the tensor that becomes `.grad`.
            if !own || state.flags != 0 || Counted::count(&g.0) != 1 {
                return true;
            }
            let target = leaf.state.get(key);
            if target.grad.is_some() || !(target.layout.same(&state.layout) || target.layout.is_contiguous()) {
                return true;
            }
            leaf.state.get_mut(key).grad = Some(g.clone());
            false
        });
    }

    /// Gives the leaves their gradients, all hooks having succeeded first.
    pub(super) fn commit(&mut self) -> Result<()> {
        self.commit_first();
        if self.leaves.is_empty() {
            return Ok(());
        }
        let _mode = crate::mode::GradMode::set(self.create);
        let mut ready = Vec::with_capacity(self.leaves.len());
        for (leaf, g) in std::mem::take(&mut self.leaves) {
            let leaf = Tensor(leaf);
            let g = run_leaf_hooks(&leaf, g)?;
            ready.push((leaf, g));
        }
        let mut post: Vec<Tensor> = Vec::new();
        for (leaf, g) in ready {
            add_to_grad(&leaf, g, self.create)?;
            let guard = lock();
            if leaf.0.state.get(&guard.key).cold.as_ref().is_some_and(|c| !c.post_hooks.is_empty()) {
                post.push(leaf.clone());
            }
            drop(guard);
        }
        for leaf in post {
            let hooks: Vec<Hook> = {
                let guard = lock();
                leaf.0
                    .state
                    .get(&guard.key)
                    .cold
                    .as_ref()
                    .map_or_else(Vec::new, |c| c.post_hooks.iter().map(|h| h.1.clone()).collect())
            };
            for hook in hooks {
                hook(&leaf)?;
            }
        }
        Ok(())
    }
}

impl Tensor {
    /// Whether this handle is the only one, on a buffer of its own.
    pub(crate) fn is_sole(&self) -> bool {
        if Counted::count(&self.0) != 1 || self.is_taped() {
            return false;
        }
        let guard = lock();
        let cell = &self.0.state.get(&guard.key).cell;
        cell.is_unshared() && Buffer::is_sole(cell.buffer(&guard.key), &guard.key)
    }

    /// Whether no other tensor sees this one's cell (a cell holds its buffer once for all of them).
    fn owns_storage(&self) -> bool {
        self.0.state.get(&lock().key).cell.is_unshared()
    }

    pub(crate) fn is_taped(&self) -> bool {
        let guard = lock();
        let state = self.0.state.get(&guard.key);
        state.edge.is_some() || state.flags & tensor::flag::REQ != 0
    }
}
