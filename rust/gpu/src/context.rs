//! An opened device: opened on first use, and for as long as the process lives.

use crate::adapter::{self, DeviceInfo, Found};
use crate::bindings::Bindings;
use crate::cooperative::{self, cooperative_matrices, Cooperative};
use crate::fork;
use crate::fusion::Kernels;
use crate::kept::Kept;
use crate::less;
use crate::memory::Pool;
use crate::pipeline::{Pipelines, IMMEDIATE};
use crate::stream::Stream;
use crate::wait::block_on;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use wengert_ops::{Error, Result};

/// An opened device. Leaked, so that nothing has to be torn down when the process ends, busy or not.
pub(crate) struct Context {
    pub index: usize,
    pub info: DeviceInfo,
    pub limits: wgpu::Limits,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub pool: Pool,
    pub stream: Stream,
    pub pipelines: Pipelines,
    pub kernels: Kernels,
    pub bindings: Bindings,
    pub kept: Kept,
    /// The cooperative matrices it was opened with.
    pub cooperative: Option<Cooperative>,
    /// Drivers do not survive a fork: a child that used them would hang.
    generation: u32,
    /// Why the device is lost, once it is; and errors that no scope has caught.
    lost: Arc<OnceLock<String>>,
    stray: Arc<Mutex<Vec<String>>>,
}

/// 64-bit floats, and integers of their size, which are the only way to a float's bits.
const DOUBLE: wgpu::Features = wgpu::Features::SHADER_F64.union(wgpu::Features::SHADER_INT64);

/// A lock whose holder has panicked is taken all the same: what it guards is changed in single steps.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The devices that are open, by their number.
pub(crate) static OPEN: Mutex<Vec<Option<&'static Context>>> = Mutex::new(Vec::new());

/// The device of this number, opened if it is not yet.
pub(crate) fn open(index: usize) -> Result<&'static Context> {
    fork::follow();
    let mut open = locked(&OPEN);
    if let Some(Some(context)) = open.get(index) {
        context.check()?;
        return Ok(context);
    }
    let usable = adapter::usable()?;
    let Some(found) = usable.get(index) else { return Err(adapter::missing(index)) };
    let context: &'static Context = Box::leak(Box::new(Context::new(index, found)?));
    if open.len() <= index {
        open.resize(index + 1, None);
    }
    open[index] = Some(context);
    Ok(context)
}

impl Context {
    fn new(index: usize, found: &Found) -> Result<Context> {
        let (features, limits) = less::remaining(&found.adapter)?;
        if !features.contains(wgpu::Features::IMMEDIATES) || (limits.max_immediate_size as usize) < IMMEDIATE {
            return Err(Error::runtime(format!(
                "gpu:{index} ('{}') has no room for a kernel's parameters ({IMMEDIATE} bytes of push constants), which all \
                 kernels use; use device 'cpu', or another GPU by WENGERT_GPU",
                found.info.name
            )));
        }
        let mut wanted =
            wgpu::Features::IMMEDIATES | DOUBLE | wgpu::Features::SUBGROUP | wgpu::Features::PIPELINE_CACHE;
        let mut experimental = wgpu::ExperimentalFeatures::disabled();
        let cooperative = if cooperative_matrices() { Cooperative::of(&found.adapter, features) } else { None };
        if cooperative.is_some() {
            wanted |= cooperative::FEATURES;
            // SAFETY: that wgpu's cooperative matrices may have defects is what the user has been told who asked for them.
            experimental = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("wengert"),
            required_features: features & wanted,
            required_limits: limits.clone(),
            experimental_features: experimental,
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = block_on(found.adapter.request_device(&descriptor)).map_err(|e| {
            Error::runtime(format!(
                "gpu:{index} ('{}') could not be opened: {e}; is its driver up to date?",
                found.info.name
            ))
        })?;
        if found.info.software {
            eprintln!(
                "wengert: gpu:{index} is '{}', a software device: right, but slow. Every other device goes before it.",
                found.info.name
            );
        }
        let kept = Kept::open(&found.adapter.get_info(), &device);
        let lost = Arc::new(OnceLock::new());
        let stray = Arc::new(Mutex::new(Vec::new()));
        let note = lost.clone();
        device.set_device_lost_callback(move |reason, text| {
            let _ = note.set(format!("{reason:?} {text}"));
        });
        let note = stray.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| locked(&note).push(e.to_string())));
        Ok(Context {
            index,
            info: found.info.clone(),
            limits,
            device,
            queue,
            pool: Pool::default(),
            stream: Stream::default(),
            pipelines: Pipelines::default(),
            kernels: Kernels::default(),
            bindings: Bindings::default(),
            kept,
            cooperative,
            generation: fork::generation(),
            lost,
            stray,
        })
    }

    /// Whether 64-bit floats can be computed with.
    pub fn has_f64(&self) -> bool {
        self.device.features().contains(DOUBLE)
    }

    /// How often a thread may go round its loops. Mesa's software device ends a thread's loops, without a word, after 65,535
    /// rounds in all.
    pub fn rounds(&self) -> usize {
        match self.info.software {
            true => 1 << 15,
            false => usize::MAX,
        }
    }

    /// Whether the device can still be used, from this process.
    pub fn check(&self) -> Result<()> {
        if self.generation != fork::generation() {
            return Err(Error::runtime(format!(
                "gpu:{} was opened before this process was forked, and drivers do not survive that: use the \
                 multiprocessing start method 'spawn' or 'forkserver', or device 'cpu'",
                self.index
            )));
        }
        if let Some(why) = self.lost.get() {
            return Err(self.lost_error(why));
        }
        Ok(())
    }

    fn lost_error(&self, why: &str) -> Error {
        Error::runtime(format!(
            "gpu:{} ('{}') was lost: {why}. Its tensors are gone with it; start a new process",
            self.index, self.info.name
        ))
    }

    /// Errors that were reported outside of any call.
    pub fn check_stray(&self) -> Result<()> {
        match std::mem::take(&mut *locked(&self.stray)).first() {
            Some(text) => Err(Error::internal(format!("gpu:{}: {text}", self.index))),
            None => Ok(()),
        }
    }

    /// Runs calls that report their mistakes to scopes: out of memory is a `MemoryError`, all else an internal one, unless
    /// it comes of the device being lost. A panic in them is a mistake like others.
    pub fn scoped<T>(&self, what: &str, calls: impl FnOnce() -> T) -> Result<T> {
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let driver = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let value = catch_unwind(AssertUnwindSafe(calls));
        let (memory, driver, validation) = (block_on(memory.pop()), block_on(driver.pop()), block_on(validation.pop()));
        if let Some(e) = memory {
            self.alive()?;
            return Err(Error::memory(format!("gpu:{}: out of memory: {what}: {e}", self.index)));
        }
        if let Some(e) = driver.or(validation) {
            self.alive()?;
            return Err(Error::internal(format!("gpu:{}: {what}: {e}", self.index)));
        }
        value.or_else(|_| {
            self.alive()?;
            Err(Error::internal(format!("gpu:{}: {what}: wgpu panicked", self.index)))
        })
    }

    /// Waits for a submission, or for all. A device that is lost meanwhile makes wgpu panic: that is an error here.
    pub fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        match self.poll(wgpu::PollType::Wait { submission_index: submission, timeout: None }) {
            Some(Ok(_)) => self.check().and_then(|()| self.check_stray()),
            Some(Err(e)) => {
                self.alive()?;
                Err(Error::internal(format!("gpu:{}: waiting failed: {e}", self.index)))
            }
            None => self.check(),
        }
    }

    /// Polls the device; one that makes wgpu panic at that is lost.
    fn poll(&self, how: wgpu::PollType) -> Option<std::result::Result<wgpu::PollStatus, wgpu::PollError>> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.device.poll(how)));
        if polled.is_err() {
            let _ = self.lost.set("while waiting for it".to_owned());
        }
        polled.ok()
    }

    /// As [`Context::check`], after an error: a device tells only when it is asked that it is lost.
    #[cold]
    pub fn alive(&self) -> Result<()> {
        self.poll(wgpu::PollType::Poll);
        self.check()
    }
}
