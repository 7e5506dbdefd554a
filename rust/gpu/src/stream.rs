//! The device's one stream: work is queued, and submitted by count, by bytes, or where somebody reads.

use crate::chain::{feeds, joins, wanted, Plan, Step};
use crate::context::{locked, Context};
use crate::memory::{Block, Buffer};
use crate::pipeline::{Pipeline, IMMEDIATE};
use crate::reduce::Pass;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wengert_ops::{Error, Result};

/// Work in the order of its calls. Nearly all are dispatches: a box around each would cost more than the room.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Task {
    /// Elementwise work, of which several may become one kernel.
    Step(Step),
    /// A fold, which may take what elementwise work before it computes.
    Fold(Box<Pass>),
    Dispatch(Dispatch),
    /// Bytes from one block to another, offsets and length divisible by 4.
    Copy {
        from: Arc<Block>,
        at: u64,
        to: Arc<Block>,
        to_at: u64,
        bytes: u64,
    },
    /// Bytes that the host has written.
    Upload {
        from: wgpu::Buffer,
        to: Arc<Block>,
        bytes: u64,
    },
    Zero {
        block: Arc<Block>,
        bytes: u64,
    },
    /// What has been recorded.
    Done,
}

/// One kernel over some blocks.
pub(crate) struct Dispatch {
    pub pipeline: Arc<Pipeline>,
    pub bindings: SmallVec<[Binding; 6]>,
    pub parameters: SmallVec<[u32; IMMEDIATE / 4]>,
    pub groups: [u32; 3],
}

/// A range of a block, as a kernel sees it.
pub(crate) struct Binding {
    pub block: Arc<Block>,
    pub offset: u64,
    pub bytes: u64,
}

impl Binding {
    pub fn resource(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.block.raw().buffer,
            offset: self.offset,
            size: NonZeroU64::new(self.bytes),
        })
    }
}

#[derive(Default)]
struct State {
    tasks: Vec<Task>,
    /// Bytes of the blocks that queued work holds, counted once a task.
    bytes: usize,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    done: Work,
}

/// What a device has been given to do so far.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Work {
    /// Elementwise calls, whose results somebody wanted.
    pub steps: u64,
    /// Kernels that computed several of them at once,
    pub chains: u64,
    /// and how many those were.
    pub chained: u64,
    /// Kernels of every kind.
    pub dispatches: u64,
    pub submissions: u64,
}

#[derive(Default)]
pub(crate) struct Stream(Mutex<State>);

/// Tasks in one submission: below, the fixed cost of a submission shows; an unsubmitted one costs 1.6 KB a dispatch.
const TASKS: usize = 128;
/// Queued work is submitted once it holds this many bytes more than all else, so that what it alone holds is given back.
/// A card has room for longer chains.
const ROOM: usize = 64 << 20;
const ROOM_ON_CARDS: usize = 256 << 20;
/// Submissions that may be under way: more are waited for.
const IN_FLIGHT: usize = 4;

/// How long the word that a read is done may take once it is done.
const ANSWER: Duration = Duration::from_secs(10);

impl Task {
    fn bytes(&self) -> usize {
        match self {
            Task::Step(step) => step.bytes(),
            Task::Fold(pass) => pass.out.len(),
            Task::Dispatch(d) => d.bindings.last().map_or(0, |b| b.block.bytes),
            Task::Copy { bytes, .. } | Task::Upload { bytes, .. } => *bytes as usize,
            Task::Zero { .. } | Task::Done => 0,
        }
    }
}

/// The steps at the front that go together.
fn together(tasks: &[Task]) -> SmallVec<[&Step; 32]> {
    let mut run = SmallVec::new();
    for task in tasks {
        match task {
            Task::Step(step) if joins(&run, step) => run.push(step),
            _ => break,
        }
    }
    run
}

/// The steps that must run, and whether each one's result must be written; see [`wanted`].
fn needed<'a>(run: &[&'a Step], folded: Option<&Buffer>) -> (SmallVec<[&'a Step; 32]>, SmallVec<[bool; 32]>) {
    let (runs, kept) = wanted(run, folded);
    run.iter().zip(kept).zip(runs).filter(|(_, runs)| *runs).map(|((step, kept), _)| (*step, kept)).unzip()
}

/// A submission that is being recorded.
struct Encoding<'a> {
    context: &'static Context,
    encoder: wgpu::CommandEncoder,
    /// The pass that dispatches go to; copies are outside of passes.
    pass: Option<wgpu::ComputePass<'static>>,
    /// The kernel set in it.
    last: Option<u64>,
    done: &'a mut Work,
}

impl Encoding<'_> {
    /// Records all, and lets go of each as soon as it is recorded, so that a later one finds who still holds its result;
    /// the first error, after what does not depend on it.
    fn tasks(&mut self, tasks: &mut [Task]) -> Result<()> {
        let (mut first, mut at) = (Ok(()), 0);
        while at < tasks.len() {
            let run = together(&tasks[at..]);
            let mut end = at + run.len();
            let recorded = match tasks.get(end) {
                Some(Task::Fold(pass)) => {
                    end += 1;
                    self.fold(&run, pass)
                }
                Some(task) if run.is_empty() => {
                    end += 1;
                    self.one(task);
                    Ok(())
                }
                _ => self.steps(&run),
            };
            first = first.and(recorded);
            drop(run);
            tasks[at..end].fill_with(|| Task::Done);
            at = end;
        }
        first
    }

    /// Work that nothing joins.
    fn one(&mut self, task: &Task) {
        if let Task::Dispatch(dispatch) = task {
            return self.dispatch(dispatch);
        }
        self.pass = None;
        match task {
            Task::Step(_) | Task::Fold(_) | Task::Dispatch(_) | Task::Done => {}
            Task::Copy { from, at, to, to_at, bytes } => {
                self.encoder.copy_buffer_to_buffer(&from.raw().buffer, *at, &to.raw().buffer, *to_at, *bytes)
            }
            Task::Upload { from, to, bytes } => {
                self.encoder.copy_buffer_to_buffer(from, 0, &to.raw().buffer, 0, *bytes)
            }
            Task::Zero { block, bytes } => self.encoder.clear_buffer(&block.raw().buffer, 0, Some(*bytes)),
        }
    }

    /// Steps that [`joins`] has found to go together: as one kernel where that is compiled, else one by one.
    fn steps(&mut self, run: &[&Step]) -> Result<()> {
        if run.is_empty() {
            return Ok(());
        }
        if let [step] = run {
            return self.single(step);
        }
        let (steps, kept) = needed(run, None);
        if steps.len() > 1 {
            let Some(plan) = Plan::of(self.context, &steps, &kept)? else {
                let (front, back) = run.split_at(run.len() / 2);
                return self.steps(front).and(self.steps(back));
            };
            if let Some(pipeline) = self.context.chain(&plan.recipe, || plan.recipe.text()) {
                self.chained(steps.len(), &plan.dispatch(pipeline));
                return Ok(());
            }
        }
        steps.iter().try_for_each(|step| self.single(step))
    }

    /// A fold and the steps before it: as one kernel where they go together and that is compiled.
    fn fold(&mut self, run: &[&Step], pass: &Pass) -> Result<()> {
        if feeds(run, pass) {
            let (steps, kept) = needed(run, Some(&pass.fold.buffer));
            if let Some((plan, body)) = Plan::folded(self.context, &steps, &kept, pass)? {
                if let Some(pipeline) = self.context.chain(&plan.recipe, body) {
                    self.chained(steps.len(), &plan.dispatch(pipeline));
                    return Ok(());
                }
                steps.iter().try_for_each(|step| self.single(step))?;
                return self.alone(pass);
            }
        }
        self.steps(run)?;
        self.alone(pass)
    }

    fn alone(&mut self, pass: &Pass) -> Result<()> {
        if let Some(dispatch) = pass.dispatch(self.context)? {
            self.dispatch(&dispatch);
        }
        Ok(())
    }

    fn chained(&mut self, steps: usize, dispatch: &Dispatch) {
        self.done.steps += steps as u64;
        self.done.chained += steps as u64;
        self.done.chains += 1;
        self.dispatch(dispatch);
    }

    fn single(&mut self, step: &Step) -> Result<()> {
        let Some(plan) = Plan::of(self.context, &[step], &[true])? else {
            return Err(Error::internal(format!("{}: more parameters than a kernel takes", step.rule.name())));
        };
        let dispatch = plan.single(self.context)?;
        self.done.steps += 1;
        self.dispatch(&dispatch);
        Ok(())
    }

    fn dispatch(&mut self, d: &Dispatch) {
        let group = self.context.bind_group(d);
        let (encoder, last) = (&mut self.encoder, &mut self.last);
        let pass = self.pass.get_or_insert_with(|| {
            *last = None;
            let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes: None };
            encoder.begin_compute_pass(&descriptor).forget_lifetime()
        });
        if *last != Some(d.pipeline.id) {
            pass.set_pipeline(&d.pipeline.raw);
            *last = Some(d.pipeline.id);
        }
        pass.set_bind_group(0, &group, &[]);
        let mut bytes = [0u8; IMMEDIATE];
        for (to, word) in bytes.chunks_exact_mut(4).zip(&d.parameters) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        pass.set_immediates(0, &bytes[..4 * d.parameters.len()]);
        pass.dispatch_workgroups(d.groups[0], d.groups[1], d.groups[2]);
        self.done.dispatches += 1;
    }
}

impl Context {
    /// Queues work. What is there already is submitted before, if it is enough: after, it would be with the caller's hands
    /// still on what this work reads, and every intermediate so held would be written.
    pub fn push(&'static self, task: Task) -> Result<()> {
        self.check()?;
        let mut state = locked(&self.stream.0);
        if self.is_full(&state) {
            drop(state);
            self.flush()?;
            state = locked(&self.stream.0);
        }
        state.bytes += task.bytes();
        state.tasks.push(task);
        Ok(())
    }

    fn is_full(&self, state: &State) -> bool {
        let room = if self.info.software { ROOM } else { ROOM_ON_CARDS };
        state.tasks.len() >= TASKS
            || state.bytes > room && {
                let others = (self.pool.usage().allocated as usize).saturating_sub(state.bytes);
                state.bytes > room.saturating_add(others)
            }
    }

    /// Submits what is queued, and keeps the number of submissions under way small.
    pub fn flush(&'static self) -> Result<()> {
        self.check()?;
        let oldest = {
            let mut state = locked(&self.stream.0);
            if state.tasks.is_empty() {
                return Ok(());
            }
            if self.pool.has_dropped() {
                self.forget_bindings();
            }
            let State { tasks, done, bytes, .. } = &mut *state;
            *bytes = 0;
            let submitted = self.submit(tasks, done);
            tasks.clear();
            if submitted.is_err() {
                self.forget_bindings();
            }
            state.in_flight.push_back(submitted?);
            if state.in_flight.len() > IN_FLIGHT {
                state.in_flight.pop_front()
            } else {
                None
            }
        };
        match oldest {
            Some(index) => self.wait(Some(index)),
            None => Ok(()),
        }
    }

    /// Waits until all that was queued is done.
    pub fn finish(&'static self) -> Result<()> {
        self.check()?;
        self.flush()?;
        locked(&self.stream.0).in_flight.clear();
        self.wait(None)
    }

    pub fn work(&self) -> Work {
        locked(&self.stream.0).done
    }

    /// Encodes and submits. Tasks are let go of one by one: blocks that nobody else holds go back to the pool, and what
    /// comes next runs after this.
    fn submit(&'static self, tasks: &mut [Task], done: &mut Work) -> Result<wgpu::SubmissionIndex> {
        let (index, encoded) = self.scoped("submitting", || {
            let encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
            let mut encoding = Encoding { context: self, encoder, pass: None, last: None, done };
            let encoded = encoding.tasks(tasks);
            drop(encoding.pass.take());
            (self.queue.submit([encoding.encoder.finish()]), encoded)
        })?;
        done.submissions += 1;
        encoded?;
        Ok(index)
    }

    /// Queues host bytes for a block.
    pub fn upload(&'static self, bytes: &[u8], to: Arc<Block>) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let size = (bytes.len() as u64).next_multiple_of(4);
        let descriptor =
            wgpu::BufferDescriptor { label: None, size, usage: wgpu::BufferUsages::COPY_SRC, mapped_at_creation: true };
        let from = self.with_room(bytes.len(), || self.scoped("staging", || self.device.create_buffer(&descriptor)))?;
        let mut range =
            from.get_mapped_range_mut(..).map_err(|e| Error::internal(format!("gpu:{}: staging: {e}", self.index)))?;
        range.slice(..bytes.len()).copy_from_slice(bytes);
        drop(range);
        from.unmap();
        self.push(Task::Upload { from, to, bytes: size })
    }

    /// Waits for all that was queued and reads `out.len()` bytes from the byte `at`.
    pub fn download(&'static self, block: &Arc<Block>, at: usize, out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let (first, last) = (at / 4 * 4, (at + out.len()).next_multiple_of(4));
        let descriptor = wgpu::BufferDescriptor {
            label: None,
            size: (last - first) as u64,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        };
        self.flush()?;
        let staging =
            self.with_room(out.len(), || self.scoped("reading", || self.device.create_buffer(&descriptor)))?;
        self.scoped("reading", || {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
            encoder.copy_buffer_to_buffer(&block.raw().buffer, first as u64, &staging, 0, (last - first) as u64);
            self.queue.submit([encoder.finish()]);
        })?;
        let (tell, answer) = sync_channel(1);
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = tell.send(result);
        });
        self.wait(None)?;
        locked(&self.stream.0).in_flight.clear();
        // Where another thread polled at the same time, it may still be about to give the answer.
        match answer.recv_timeout(ANSWER) {
            Ok(Ok(())) => {}
            Ok(Err(e)) => {
                self.alive()?;
                return Err(Error::internal(format!("gpu:{}: reading: {e}", self.index)));
            }
            Err(_) => return Err(Error::internal(format!("gpu:{}: reading ended without an answer", self.index))),
        }
        let range =
            staging.get_mapped_range(..).map_err(|e| Error::internal(format!("gpu:{}: reading: {e}", self.index)))?;
        out.copy_from_slice(&range[at - first..at - first + out.len()]);
        drop(range);
        staging.unmap();
        Ok(())
    }
}
