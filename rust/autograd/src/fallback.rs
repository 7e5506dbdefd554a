//! Work that a GPU refuses for lack of an ability (64-bit floats, a limit), done on the host: only where asked for.
//!
//! Backends check arguments alike ([`wengert_ops::contract`]), so what the host can do after a GPU has refused it was a
//! matter of ability, and what both refuse is the caller's mistake. A refusal comes before anything is written.

use crate::buffer::Data;
use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use wengert_cpu::Cpu;
use wengert_gpu::Gpu;
use wengert_ops::{Backend, Error, ErrorKind, Result};

static ALLOWED: AtomicBool = AtomicBool::new(false);
static WARN: OnceLock<fn(&str) -> Result<()>> = OnceLock::new();
/// The operations that have been warned about.
static TOLD: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Whether operations that a GPU cannot do run on the host, their results going back to the GPU. Off at first.
pub fn set_gpu_fallback(allowed: bool) {
    ALLOWED.store(allowed, Ordering::Relaxed);
}

/// What [`set_gpu_fallback`] was last told.
pub fn gpu_fallback() -> bool {
    ALLOWED.load(Ordering::Relaxed)
}

/// Sets the function that gets the warning, one for each operation that is done on the host. The first one stays.
pub fn set_gpu_fallback_warning(warn: fn(&str) -> Result<()>) {
    let _ = WARN.set(warn);
}

/// Whether the host may try what was refused so.
#[cold]
pub(crate) fn may_try(refusal: &Error) -> bool {
    gpu_fallback() && refusal.kind() == ErrorKind::Runtime
}

/// Says once for each operation where it runs, and why.
fn tell(op: &str, refusal: &Error) -> Result<()> {
    let new = TOLD.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(op.to_owned());
    match WARN.get() {
        Some(warn) if new => {
            warn(&format!("{op} runs on the CPU, slowly, as wengert.config.gpu_fallback is on: {refusal}"))
        }
        _ => Ok(()),
    }
}

/// Copies on the host of the buffers of one call, each made when it is first asked for: a list.
#[derive(Default)]
pub(crate) struct Hosted<'a>(OnceCell<Box<Copied<'a>>>);

struct Copied<'a> {
    original: &'a Data,
    copy: wengert_cpu::Buffer,
    rest: Hosted<'a>,
}

impl<'a> Hosted<'a> {
    /// The host's copy of a GPU's buffer.
    pub(crate) fn pick(&self, data: &'a Data) -> Result<&wengert_cpu::Buffer> {
        if let Some(first) = self.0.get() {
            return if std::ptr::eq(first.original, data) { Ok(&first.copy) } else { first.rest.pick(data) };
        }
        let Data::Gpu(buffer) = data else { return Err(Error::internal("arrays of two devices in one kernel")) };
        let mut bytes = wengert_cpu::strided::filled(0, buffer.len())?;
        Gpu::of(buffer).download(buffer, 0, &mut bytes)?;
        let copied = Copied { original: data, copy: Cpu.upload(&bytes)?, rest: Hosted::default() };
        Ok(&self.0.get_or_init(|| Box::new(copied)).copy)
    }

    /// After the host's work: what it has written goes to the GPU. Where the host refuses too, the refusal stands.
    pub(crate) fn finish<T>(&self, op: &str, refusal: Error, done: Result<T>, written: &[&'a Data]) -> Result<T> {
        let Ok(value) = done else { return Err(refusal) };
        // Before anything is written: a program may have made an exception of the warning.
        tell(op, &refusal)?;
        let mut rest = self;
        while let Some(c) = rest.0.get() {
            if let (true, Data::Gpu(to)) = (written.iter().any(|w| std::ptr::eq(*w, c.original)), c.original) {
                // SAFETY: the copy is this call's alone; bytes have no invalid pattern.
                Gpu::of(to).overwrite(to, unsafe { c.copy.slice::<u8>() })?;
            }
            rest = &c.rest;
        }
        Ok(value)
    }
}
