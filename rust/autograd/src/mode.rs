//! Per-thread modes: whether operations are taped, and the default float type.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use wengert_ops::{DType, Device};

thread_local! {
    static DEVICE: Cell<Device> = const { Cell::new(Device::Cpu) };
    static GRAD: Cell<bool> = const { Cell::new(true) };
    static INFERENCE: Cell<bool> = const { Cell::new(false) };
}

/// Whether inference mode was ever on: until then nobody pays for asking.
static INFERENCE_USED: AtomicBool = AtomicBool::new(false);

/// Threads whose operations are not taped now: while there are none, nobody looks at thread-locals, which inside a
/// shared library are function calls. A thread that ends untaped stays counted, which only costs time.
static UNTAPED: AtomicUsize = AtomicUsize::new(0);

static DEFAULT_FLOAT: AtomicU8 = AtomicU8::new(DType::F32 as u8);

/// Whether this thread's operations are taped.
#[inline]
pub fn is_grad_enabled() -> bool {
    UNTAPED.load(Ordering::Relaxed) == 0 || is_taped_here()
}

// Of its own, or the compiler looks at the thread-local before it knows whether it must.
#[cold]
#[inline(never)]
fn is_taped_here() -> bool {
    GRAD.with(|g| g.get())
}

/// Turns taping on or off for this thread; returns how it was.
pub fn set_grad_enabled(on: bool) -> bool {
    let was = GRAD.with(|g| g.replace(on));
    match (was, on) {
        (true, false) => _ = UNTAPED.fetch_add(1, Ordering::Relaxed),
        (false, true) => _ = UNTAPED.fetch_sub(1, Ordering::Relaxed),
        _ => {}
    }
    was
}

/// Whether inference mode is on: nothing made now can be taped later.
#[inline]
pub fn inference() -> bool {
    INFERENCE_USED.load(Ordering::Relaxed) && is_inference_here()
}

#[cold]
#[inline(never)]
fn is_inference_here() -> bool {
    INFERENCE.with(|g| g.get())
}

/// Turns inference mode on or off for this thread; returns how it was.
pub fn set_inference(on: bool) -> bool {
    if on {
        INFERENCE_USED.store(true, Ordering::Relaxed);
    }
    INFERENCE.with(|g| g.replace(on))
}

/// The float type of Python floats and factories.
pub fn default_float() -> DType {
    match DEFAULT_FLOAT.load(Ordering::Relaxed) {
        x if x == DType::F64 as u8 => DType::F64,
        x if x == DType::F16 as u8 => DType::F16,
        x if x == DType::BF16 as u8 => DType::BF16,
        _ => DType::F32,
    }
}

/// Sets the default float type of the process.
pub fn set_default_float(dtype: DType) -> wengert_ops::Result<()> {
    if !dtype.is_float() {
        wengert_ops::fail!(type_, "only floating-point types are supported as the default type, got {dtype}");
    }
    DEFAULT_FLOAT.store(dtype as u8, Ordering::Relaxed);
    Ok(())
}

/// Where this thread's factories make tensors.
pub fn default_device() -> Device {
    DEVICE.get()
}

/// Sets where this thread's factories make tensors; returns where they did.
pub fn set_default_device(device: Device) -> Device {
    DEVICE.replace(device)
}

/// Restores a grad mode when dropped.
pub struct GradMode(bool);

impl GradMode {
    /// Sets the mode until the result is dropped.
    ///
    /// ```
    /// let _off = wengert::GradMode::set(false);
    /// assert!(!wengert::is_grad_enabled());
    /// ```
    #[must_use]
    pub fn set(on: bool) -> GradMode {
        GradMode(set_grad_enabled(on))
    }
}

impl Drop for GradMode {
    fn drop(&mut self) {
        set_grad_enabled(self.0);
    }
}
