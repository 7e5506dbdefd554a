//! The tensor: a storage cell seen through a layout, with a place on the tape.

use crate::buffer::{Buffer, Device};
use crate::lock::{self, lock, Guarded, Key, Locked};
use crate::tape::node::{Edge, Node, NodeRef};
use crate::tape::{Hook, Payload};
use crate::value::Value;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::Arc;
use wengert_ops::counted::Counted;
use wengert_ops::{fail, DType, Layout, Op, Region, Result, Scalar};

/// A handle on a tensor; cloning gives another handle on the same one.
#[derive(Clone)]
pub struct Tensor(pub(crate) Counted<TensorImpl>);

/// The tensor behind its handles.
pub struct TensorImpl {
    /// Dtype and device as one number. Changes only when `.data` is replaced by one of another kind.
    kind: AtomicU32,
    /// The host language's object for this tensor, so that the same one comes out each time.
    pub(crate) object: AtomicPtr<()>,
    pub(crate) state: Guarded<State>,
}

/// Dtype and device as one number, which one compare tells from another's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(u32);

impl Kind {
    #[inline]
    pub fn new(dtype: DType, device: Device) -> Kind {
        let device = match device {
            Device::Cpu => 0,
            Device::Meta => 1,
            Device::Gpu(n) => 2 + u32::from(n),
        };
        Kind(device << 8 | dtype as u32)
    }
    #[inline]
    pub fn dtype(self) -> DType {
        DType::of(self.0 as u8)
    }
    #[inline]
    pub fn device(self) -> Device {
        match self.0 >> 8 {
            0 => Device::Cpu,
            1 => Device::Meta,
            n => Device::Gpu((n - 2) as u8),
        }
    }
}

impl TensorImpl {
    #[inline]
    pub(crate) fn kind(&self) -> Kind {
        Kind(self.kind.load(Ordering::Relaxed))
    }
    #[inline]
    pub(crate) fn dtype(&self) -> DType {
        self.kind().dtype()
    }
    #[inline]
    pub(crate) fn device(&self) -> Device {
        self.kind().device()
    }
    /// Whether the tensor has this very value now.
    pub(crate) fn has_value(&self, value: &Value, key: &Key) -> bool {
        let state = self.state.get(key);
        self.dtype() == value.dtype
            && Counted::ptr_eq(state.cell.buffer(key), &value.buffer)
            && state.layout.same(&value.layout)
    }
    /// What changes with new data. Call under the lock, together with the cell.
    pub(crate) fn set_kind(&self, dtype: DType, device: Device) {
        self.kind.store(Kind::new(dtype, device).0, Ordering::Relaxed);
    }
}

/// What changes in a tensor's life.
pub(crate) struct State {
    pub cell: Cell,
    pub layout: Layout,
    pub edge: Edge,
    pub flags: u8,
    pub grad: Option<Tensor>,
    pub view: Option<Box<ViewInfo>>,
    pub cold: Option<Box<Cold>>,
}

/// Flags of a tensor.
pub(crate) mod flag {
    /// `requires_grad` was set on it.
    pub const REQ: u8 = 1;
    /// Its gradient is kept though it is no leaf.
    pub const RETAIN: u8 = 2;
    /// Made in inference mode: it can never enter a tape.
    pub const INFERENCE: u8 = 4;
}

/// Storage: the cell itself while no view shares it.
pub(crate) enum Cell {
    Own(Counted<Buffer>, u32),
    Shared(Arc<Storage>),
}

/// A cell that several tensors see: its current buffer and how often it was written.
pub(crate) struct Storage(pub Guarded<(Counted<Buffer>, u32)>);

/// How a view came to be, which decides what in-place writes may do to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ViewKind {
    Default,
    /// Made under `no_grad`.
    NoGrad,
    /// One output of several (`unbind`, `split`, `chunk`).
    Multi,
}

pub(crate) struct ViewInfo {
    /// Never itself a view.
    pub base: Tensor,
    pub kind: ViewKind,
    /// The cell's version when the view was made.
    pub version: u32,
    /// Order of the base's node that this view was last derived from (0: none).
    pub seen: u64,
}

/// Rare parts.
#[derive(Default)]
pub(crate) struct Cold {
    /// Hooks of a leaf: by id, with what their host knows them by.
    pub hooks: Vec<(u64, Hook, Option<Payload>)>,
    pub post_hooks: Vec<(u64, Hook, Option<Payload>)>,
}

impl Cell {
    #[inline]
    pub fn buffer<'k>(&'k self, key: &'k Key) -> &'k Counted<Buffer> {
        match self {
            Cell::Own(buffer, _) => buffer,
            Cell::Shared(storage) => &storage.0.get(key).0,
        }
    }
    /// Whether one tensor alone sees this cell.
    pub fn is_unshared(&self) -> bool {
        match self {
            Cell::Own(..) => true,
            Cell::Shared(storage) => Arc::strong_count(storage) == 1,
        }
    }
    #[inline]
    pub fn version(&self, key: &Key) -> u32 {
        match self {
            Cell::Own(_, version) => *version,
            Cell::Shared(storage) => storage.0.get(key).1,
        }
    }
}

impl Drop for TensorImpl {
    #[inline]
    fn drop(&mut self) {
        let state = self.state.own();
        if state.cold.is_some() {
            drop_cold(state);
        }
        if let Edge::Node(node) = state.edge {
            release(node);
        }
        if let Some(grad) = state.grad.take() {
            drop_grad(grad);
        }
        let object = *self.object.get_mut();
        if !object.is_null() {
            release_object(object);
        }
    }
}

/// Lets go of what the host language has left in the slot of a tensor that has no object.
static RELEASE: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Sets the function that gets what stands in [`Tensor::object_slot`] when a tensor goes. It may be called on any thread.
pub fn set_object_release(release: fn(*mut ())) {
    RELEASE.store(release as *mut (), Ordering::Release);
}

#[cold]
fn release_object(object: *mut ()) {
    struct Pending(*mut ());
    impl Drop for Pending {
        fn drop(&mut self) {
            let release = RELEASE.load(Ordering::Acquire);
            if !release.is_null() {
                // SAFETY: only `set_object_release` stores here, and only functions of this very type.
                let release: fn(*mut ()) = unsafe { std::mem::transmute(release) };
                release(self.0);
            }
        }
    }
    // Dropped now, or once the lock is free: it may run the users' code.
    lock::defer(Pending(object));
}

/// Lets go of a gradient that may have one itself, and so on: one after the other, not one within the other.
#[cold]
fn drop_grad(grad: Tensor) {
    let mut rest: SmallVec<[Tensor; 2]> = SmallVec::from_iter([grad]);
    while let Some(t) = rest.pop() {
        if let Some(mut last) = Counted::into_inner(t.0) {
            let state = last.state.own();
            rest.extend(state.grad.take());
            rest.extend(state.view.take().map(|view| view.base));
        }
    }
}

#[cold]
fn drop_cold(state: &mut State) {
    if lock::held() {
        // Hooks are the users' code and may run more of it when they go.
        lock::defer(state.cold.take());
    }
}

fn release(node: NodeRef) {
    if lock::held() {
        // The parts that need the lock wait until it is free.
        lock::defer(PendingRelease(node));
        return;
    }
    let mut guard = lock();
    let Locked { tape, key, .. } = &mut *guard;
    tape.release(node, key);
}

struct PendingRelease(NodeRef);

impl Drop for PendingRelease {
    fn drop(&mut self) {
        let mut guard = lock();
        let Locked { tape, key, .. } = &mut *guard;
        tape.release(self.0, key);
    }
}

impl Tensor {
    /// A tensor without history around a value.
    #[inline(always)]
    pub(crate) fn from_value(value: Value) -> Tensor {
        Tensor::with_edge(value, Edge::None)
    }

    /// A tensor whose gradient goes to `edge`. The node must be held once for it.
    // Inlined, so that its parts are not gathered from where they were just put: wide loads of narrow stores stall.
    #[inline(always)]
    pub(crate) fn with_edge(value: Value, edge: Edge) -> Tensor {
        let flags = if crate::mode::inference() { flag::INFERENCE } else { 0 };
        let (device, Value { buffer, layout, dtype }) = (value.device(), value);
        Tensor::made((dtype, device), Cell::Own(buffer, 0), layout, edge, flags, None)
    }

    /// A handle on a new tensor.
    #[inline(always)]
    pub(crate) fn made(
        (dtype, device): (DType, Device),
        cell: Cell,
        layout: Layout,
        edge: Edge,
        flags: u8,
        view: Option<Box<ViewInfo>>,
    ) -> Tensor {
        // Does not compile when a field is missing below.
        let _fields =
            |TensorImpl { kind: _, object: _, state: _ },
             State { cell: _, layout: _, edge: _, flags: _, grad: _, view: _, cold: _ }| {};
        let made = Counted::begin();
        let place: *mut TensorImpl = made.place();
        // SAFETY: every field of both structures is written.
        Tensor(unsafe {
            (&raw mut (*place).kind).write(AtomicU32::new(Kind::new(dtype, device).0));
            (&raw mut (*place).object).write(AtomicPtr::new(std::ptr::null_mut()));
            let state = Guarded::place(&raw mut (*place).state);
            (&raw mut (*state).cell).write(cell);
            (&raw mut (*state).layout).write(layout);
            (&raw mut (*state).edge).write(edge);
            (&raw mut (*state).flags).write(flags);
            (&raw mut (*state).grad).write(None);
            (&raw mut (*state).view).write(view);
            (&raw mut (*state).cold).write(None);
            made.finish()
        })
    }

    pub fn dtype(&self) -> DType {
        self.0.dtype()
    }

    pub fn device(&self) -> Device {
        self.0.device()
    }

    /// Shape, strides and offset as they are now.
    #[inline]
    pub fn layout(&self) -> Layout {
        let guard = lock();
        self.0.state.get(&guard.key).layout.clone()
    }

    pub fn shape(&self) -> wengert_ops::Dims {
        let guard = lock();
        SmallVec::from_slice(self.0.state.get(&guard.key).layout.shape())
    }

    pub fn rank(&self) -> usize {
        let guard = lock();
        self.0.state.get(&guard.key).layout.rank()
    }

    pub fn numel(&self) -> usize {
        let guard = lock();
        self.0.state.get(&guard.key).layout.numel()
    }

    /// The value as it is now. A write that is under way on another thread is waited for.
    pub(crate) fn value(&self) -> Value {
        loop {
            {
                let guard = lock();
                if let Some(value) = self.try_value(&guard.key) {
                    return value;
                }
            }
            std::thread::yield_now();
        }
    }

    #[inline]
    pub(crate) fn try_value(&self, key: &Key) -> Option<Value> {
        let state = self.0.state.get(key);
        let buffer = state.cell.buffer(key);
        (!buffer.is_writing()).then(|| Value {
            buffer: buffer.clone(),
            layout: state.layout.clone(),
            dtype: self.0.dtype(),
        })
    }

    /// Whether both handles are one tensor.
    pub fn is(&self, other: &Tensor) -> bool {
        Counted::ptr_eq(&self.0, &other.0)
    }

    /// An address that identifies the tensor while it lives.
    pub fn id(&self) -> usize {
        Counted::as_ptr(&self.0) as usize
    }

    /// The slot in which a binding keeps its (unowned) object for this tensor, which must clear it when it goes; or, while
    /// there is no object, something of its own that [`set_object_release`] tells how to let go of.
    pub fn object_slot(&self) -> &AtomicPtr<()> {
        &self.0.object
    }

    /// How often its storage was written in place.
    pub fn version(&self) -> u32 {
        let guard = lock();
        self.0.state.get(&guard.key).cell.version(&guard.key)
    }

    /// Whether two tensors see one storage.
    pub fn shares_storage(&self, other: &Tensor) -> bool {
        let guard = lock();
        Counted::ptr_eq(
            self.0.state.get(&guard.key).cell.buffer(&guard.key),
            other.0.state.get(&guard.key).cell.buffer(&guard.key),
        )
    }

    /// A number that tensors have in common while they see one storage, on any device.
    pub fn storage_id(&self) -> usize {
        let guard = lock();
        Counted::as_ptr(self.0.state.get(&guard.key).cell.buffer(&guard.key)) as usize
    }

    /// The only element.
    #[inline]
    pub fn item(&self) -> Result<Scalar> {
        loop {
            {
                let guard = lock();
                let state = self.0.state.get(&guard.key);
                if state.layout.numel() != 1 {
                    fail!(runtime, "a Tensor with {} elements cannot be converted to Scalar", state.layout.numel());
                }
                let buffer = state.cell.buffer(&guard.key);
                if !buffer.is_writing() {
                    let Device::Gpu(_) = self.0.device() else {
                        return crate::value::first(buffer, &state.layout, self.0.dtype());
                    };
                    if let Some(value) = self.try_value(&guard.key) {
                        drop(guard);
                        let host = value.moved(Device::Cpu)?;
                        return crate::value::first(&host.buffer, &host.layout, host.dtype);
                    }
                }
            }
            std::thread::yield_now();
        }
    }

    /// All elements, row-major, as `f64`.
    pub fn to_vec_f64(&self) -> Result<Vec<f64>> {
        let bytes = self.value().copied(DType::F64)?.to_bytes()?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|c| f64::from_ne_bytes(*c)).collect())
    }

    /// All elements, row-major, as `i64`.
    pub fn to_vec_i64(&self) -> Result<Vec<i64>> {
        let bytes = self.value().copied(DType::I64)?.to_bytes()?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|c| i64::from_ne_bytes(*c)).collect())
    }

    /// All elements, row-major, as native bytes of the dtype.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.value().to_bytes()
    }
}

/// Whether the tensor takes part in differentiation.
#[inline]
pub(crate) fn requires_grad(t: &Tensor, key: &Key) -> bool {
    let state = t.0.state.get(key);
    state.flags & flag::REQ != 0
        || state.edge.is_some()
        || state.view.as_ref().is_some_and(|v| {
            let base = v.base.0.state.get(key);
            base.flags & flag::REQ != 0 || base.edge.is_some()
        })
}

/// Re-derives the place of a view whose base has got another node since.
#[inline]
pub(crate) fn settle(t: &Tensor, locked: &mut Locked) -> Result<()> {
    match t.0.state.get(&locked.key).view {
        Some(_) => rederive(t, locked),
        None => Ok(()),
    }
}

/// The place on the tape where a gradient of `t` goes, re-derived first if `t` is a view whose base
/// has got another node since.
#[inline]
pub(crate) fn edge(t: &Tensor, locked: &mut Locked) -> Result<Edge> {
    settle(t, locked)?;
    let state = t.0.state.get(&locked.key);
    Ok(match &state.edge {
        Edge::None if state.flags & flag::REQ != 0 => Edge::Leaf(t.0.clone()),
        edge => edge.clone(),
    })
}

/// The order of a tensor's node, 0 without one.
pub(crate) fn node_order(t: &Tensor, locked: &Locked) -> u64 {
    match t.0.state.get(&locked.key).edge {
        Edge::Node(n) => locked.tape.order(n),
        _ => 0,
    }
}

#[cold]
fn rederive(t: &Tensor, locked: &mut Locked) -> Result<()> {
    let state = t.0.state.get(&locked.key);
    let Some(view) = &state.view else { return Ok(()) };
    let version = state.cell.version(&locked.key);
    if version == view.version {
        // Unwritten: where the base has another place on the tape (none, after `detach_`), this view keeps its own.
        return Ok(());
    }
    if view.kind != ViewKind::Default && requires_grad(t, &locked.key) {
        return Err(view_error(view.kind, true));
    }
    let order = node_order(&view.base, locked);
    if order == view.seen {
        return Ok(());
    }
    let Some(base) = living_base(t, &locked.key) else { return Ok(()) };
    let part = state.layout.clone();
    let base_state = base.0.state.get(&locked.key);
    let region = Region { base: base_state.layout.clone(), part: part.clone() };
    let base_edge = match &base_state.edge {
        Edge::None if base_state.flags & flag::REQ != 0 => Edge::Leaf(base.0.clone()),
        edge => edge.clone(),
    };
    let node = if base_edge.is_some() || state.edge.is_some() {
        let node = Node::new(Op::Take(Arc::new(region)), part, t.0.dtype(), 0);
        let mut node = node;
        node.edges.push(base_edge);
        Edge::Node(locked.tape.push(node))
    } else {
        Edge::None
    };
    if let Some(view) = &mut t.0.state.get_mut(&mut locked.key).view {
        view.seen = order;
        if view.kind == ViewKind::Default {
            view.version = version;
        }
    }
    replace_edge(t, node, locked);
    crate::lock::defer(base);
    Ok(())
}

/// The base of a view, as long as both see one storage: with other data (`base.data = …`) it is none any more.
pub(crate) fn living_base(t: &Tensor, key: &Key) -> Option<Tensor> {
    let state = t.0.state.get(key);
    let base = &state.view.as_ref()?.base;
    match (&state.cell, &base.0.state.get(key).cell) {
        (Cell::Shared(mine), Cell::Shared(its)) if Arc::ptr_eq(mine, its) => Some(base.clone()),
        _ => None,
    }
}

/// Gives `t` another place on the tape (held once by the caller, now by t); a retained gradient moves along.
pub(crate) fn replace_edge(t: &Tensor, new: Edge, locked: &mut Locked) {
    let state = t.0.state.get_mut(&mut locked.key);
    let retain = state.flags & flag::RETAIN != 0;
    let to = match new {
        Edge::Node(n) => Some(n),
        _ => None,
    };
    let Edge::Node(old) = std::mem::replace(&mut state.edge, new) else { return };
    if retain {
        let me = Counted::as_ptr(&t.0);
        if let Some(side) = locked.tape.side.as_mut().and_then(|s| s.get_mut(&(old.chunk, old.index))) {
            side.retain.retain(|(_, kept)| kept.as_ptr() != me);
        }
        if let Some(new) = to {
            locked.tape.side_mut(new).retain.push((new.output, Counted::watch(&t.0)));
        }
    }
    locked.tape.release(old, &mut locked.key);
}

/// PyTorch's words for in-place writes to views that cannot carry a gradient.
pub(crate) fn view_error(kind: ViewKind, indirect: bool) -> wengert_ops::Error {
    let (what, fix) = match kind {
        ViewKind::NoGrad => (
            "is a view and its base or another view of its base has been modified inplace. This view was created in no_grad mode",
            "If you did not mean this, do not create views inside no_grad, or use a copy (.clone()) instead.",
        ),
        _ => (
            "is a view and is being modified inplace. This view is the output of a function that returns multiple views. \
             Such functions do not allow the output views to be modified inplace",
            "You should replace the inplace operation by an out-of-place one.",
        ),
    };
    let what = if indirect && kind == ViewKind::Multi {
        "is a view and its base or another view of its base has been modified inplace. This view is the output of a function \
         that returns multiple views. Such functions do not allow the output views to be modified inplace"
    } else if !indirect && kind == ViewKind::NoGrad {
        "is a view and is being modified inplace. A view was created in no_grad mode and is being modified inplace with grad mode enabled"
    } else {
        what
    };
    wengert_ops::Error::runtime(format!("Output of a view function {what}. {fix}"))
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shape = self.shape();
        match (self.device(), self.numel()) {
            (Device::Cpu, 0..=16) => match self.to_vec_f64() {
                Ok(v) => write!(f, "Tensor({:?}, shape={:?}, dtype={})", v, &shape[..], self.dtype()),
                Err(e) => write!(f, "Tensor({e})"),
            },
            _ => write!(f, "Tensor(shape={:?}, dtype={}, device={})", &shape[..], self.dtype(), self.device()),
        }
    }
}
