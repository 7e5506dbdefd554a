//! How an update takes the elements that it reads and writes.

use crate::buffer::Buffer;
use crate::devices::Devices;
use crate::dispatch::SMALL;
use crate::lock::{lock, Key};
use crate::tensor::Tensor;
use crate::value::Value;
use crate::writable::{bump, make_writable, overlap_error, Writing};
use smallvec::SmallVec;
use wengert_ops::counted::Counted;
use wengert_ops::{fail, DType, Result};

/// The most tensors that an update writes.
const MOST: usize = 4;

/// The elements of one update: of all targets and of the gradient, contiguous, of one type and count, no two the same.
pub(super) struct Elements {
    targets: SmallVec<[*mut u8; MOST]>,
    g: *const u8,
    numel: usize,
    pub dtype: DType,
}

impl Elements {
    /// None if they are not contiguous host memory of a type that updates are computed in.
    fn of<'a>(targets: impl Iterator<Item = &'a Value>, g: &Value) -> Option<Elements> {
        let at = |v: &Value| {
            let plain = v.layout.is_contiguous() && v.dtype == g.dtype && v.layout.numel() == g.layout.numel();
            // In bounds: the layout lies in its buffer.
            plain.then(|| v.host().ok())?.map(|host| host.ptr().wrapping_add(v.layout.offset() * v.dtype.size()))
        };
        let targets = targets.map(at).collect::<Option<_>>()?;
        let computed = matches!(g.dtype, DType::F32 | DType::F64);
        let g_at = computed.then(|| at(g))??;
        Some(Elements { targets, g: g_at, numel: g.layout.numel(), dtype: g.dtype })
    }

    /// The elements of `targets` if they are few, lie so, and nobody else holds them: they can be written right under
    /// the lock, without leases. Its holder bumps the versions.
    pub fn small(targets: &[&Tensor], g: &Tensor, key: &Key) -> Option<Elements> {
        let state = g.0.state.get(key);
        let (layout, dtype) = (&state.layout, g.dtype());
        let read = state.cell.buffer(key);
        if !layout.is_contiguous() || layout.numel() > SMALL || read.is_writing() {
            return None;
        }
        let size = match dtype {
            DType::F32 => 4,
            DType::F64 => 8,
            _ => return None,
        };
        let (mut found, mut buffers) = (SmallVec::new(), [std::ptr::null(); MOST]);
        for (i, t) in targets.iter().enumerate() {
            let state = t.0.state.get(key);
            let buffer = state.cell.buffer(key);
            let plain = t.dtype() == dtype && state.layout.is_contiguous() && state.layout.shape() == layout.shape();
            // Views of one storage do not count as two holders of it.
            let apart = !buffers[..i].contains(&Counted::as_ptr(buffer)) && !Counted::ptr_eq(buffer, read);
            if !plain || !apart || !Buffer::is_sole(buffer, key) || buffer.is_writing() {
                return None;
            }
            buffers[i] = Counted::as_ptr(buffer);
            found.push(buffer.host()?.ptr().wrapping_add(state.layout.offset() * size));
        }
        let g = read.host()?.ptr().wrapping_add(layout.offset() * size);
        Some(Elements { targets: found, g, numel: layout.numel(), dtype })
    }

    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    /// # Safety
    /// `T` is of the elements' type, and the caller may write this target until it lets go of the slice: it holds the
    /// lock since [`Elements::small`] or is called by [`update`].
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn target<T>(&self, i: usize) -> &mut [T] {
        std::slice::from_raw_parts_mut(self.targets[i].cast(), self.numel)
    }

    /// # Safety
    /// As for [`Elements::target`].
    pub unsafe fn gradient<T>(&self) -> &[T] {
        std::slice::from_raw_parts(self.g.cast(), self.numel)
    }
}

/// Adds 1 to a number of one f32 that nobody else holds, and gives the sum; `None` if it is another kind of tensor.
pub(super) fn count_up(step: &Tensor, key: &mut Key) -> Option<f64> {
    if step.dtype() != DType::F32 {
        return None;
    }
    let state = step.0.state.get(key);
    let buffer = state.cell.buffer(key);
    if !Buffer::is_sole(buffer, key) || buffer.is_writing() || state.layout.numel() != 1 {
        return None;
    }
    let host = buffer.host()?;
    // SAFETY: nobody else holds the buffer, and the lock is held; the layout lies in it.
    let count = unsafe { &mut host.slice_mut::<f32>()[state.layout.offset()] };
    *count += 1.0;
    let count = f64::from(*count);
    bump(step, key);
    Some(count)
}

/// Refuses parameters of other types, and gradients and state that do not fit theirs.
pub(super) fn check(name: &str, p: &Tensor, g: &Tensor, state: &[&Tensor]) -> Result<()> {
    if !p.dtype().is_float() {
        fail!(runtime, "{name}: parameters must be of a floating-point type, got {}", p.dtype());
    }
    let guard = lock();
    let shape = |t: &Tensor| t.0.state.get(&guard.key).layout.clone();
    let mine = shape(p);
    for &o in std::iter::once(&g).chain(state) {
        let theirs = shape(o);
        let alike = mine.same(&theirs) || mine.shape() == theirs.shape();
        if !alike || o.dtype() != p.dtype() || o.device() != p.device() {
            fail!(
                runtime,
                "{name}: gradient and state of a parameter must have its shape, dtype and device: parameter {:?} {} on {}, got {:?} \
                 {} on {}",
                mine.shape(),
                p.dtype(),
                p.device(),
                theirs.shape(),
                o.dtype(),
                o.device()
            );
        }
    }
    Ok(())
}

/// Runs `f` on the targets as contiguous elements of one type that only it uses, the gradient's beside them; what is
/// strided, of half precision or shares its memory with another target goes through contiguous copies.
pub(super) fn update(targets: &[&Tensor], g: &Tensor, f: &dyn Fn(&Elements)) -> Result<()> {
    let taken = Taken::new(targets, g)?;
    let (values, g) = (&taken.values, &taken.g);
    let apart = (1..values.len()).all(|i| values[..i].iter().all(|v| !Counted::ptr_eq(&v.buffer, &values[i].buffer)));
    if apart {
        // What is about to be written is read as it was.
        let own = values.iter().any(|v| Counted::ptr_eq(&v.buffer, &g.buffer));
        let g = if own { g.copied(g.dtype)? } else { g.clone() };
        if let Some(elements) = Elements::of(values.iter(), &g) {
            f(&elements);
            return Ok(());
        }
    }
    let wide = if g.dtype == DType::F64 { DType::F64 } else { DType::F32 };
    let copies = values.iter().map(|v| v.copied(wide)).collect::<Result<Vec<_>>>()?;
    let g = g.copied(wide)?;
    match Elements::of(copies.iter(), &g) {
        Some(elements) => f(&elements),
        None => fail!(runtime, "an optimizer's step needs parameters in the memory of one device, got {}", g.device()),
    }
    for (value, copy) in values.iter().zip(&copies) {
        // SAFETY: `taken` keeps everybody else away.
        Devices.copy(copy.view()?, unsafe { value.view_mut()? })?;
    }
    Ok(())
}

/// The targets of one update, to be written by the holder alone, and the gradient. All are taken in one hold of the
/// lock, so that nobody waits for one of them while holding another. Dropped, it lets readers in again.
struct Taken<'a> {
    targets: &'a [&'a Tensor],
    values: SmallVec<[Value; 4]>,
    g: Value,
    writing: SmallVec<[Writing; 4]>,
}

impl Taken<'_> {
    fn new<'a>(targets: &'a [&'a Tensor], g: &Tensor) -> Result<Taken<'a>> {
        loop {
            let mut guard = lock();
            let busy = |t: &&Tensor| t.0.state.get(&guard.key).cell.buffer(&guard.key).is_writing();
            if targets.iter().any(busy) || busy(&g) {
                drop(guard);
                std::thread::yield_now();
                continue;
            }
            // All checks first: what fails has changed nothing.
            if targets.iter().any(|t| t.0.state.get(&guard.key).layout.self_overlaps()) {
                return Err(overlap_error());
            }
            for t in targets {
                make_writable(t, false, &mut guard)?;
            }
            let value = |t: &Tensor| {
                let state = t.0.state.get(&guard.key);
                Value { buffer: state.cell.buffer(&guard.key).clone(), layout: state.layout.clone(), dtype: t.dtype() }
            };
            let values: SmallVec<[Value; 4]> = targets.iter().map(|t| value(t)).collect();
            for v in &values {
                v.buffer.begin_write();
            }
            let writing = values.iter().map(|v| Writing(v.buffer.clone())).collect();
            return Ok(Taken { targets, g: value(g), values, writing });
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.writing.clear();
        let mut guard = lock();
        for t in self.targets {
            bump(t, &mut guard.key);
        }
    }
}
