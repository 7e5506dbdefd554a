//! The device's one stream: work is queued, and submitted by count, by bytes, or where somebody reads.

use crate::context::{locked, Context};
use crate::memory::Block;
use crate::pipeline::{Pipeline, IMMEDIATE};
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
    fn resource(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: self.block.raw(),
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
}

#[derive(Default)]
pub(crate) struct Stream(Mutex<State>);

/// Tasks in one submission: below, the fixed cost of a submission shows; an unsubmitted one costs 1.6 KB a dispatch.
const TASKS: usize = 128;
/// Queued work is submitted once it holds this many bytes, so that what it alone holds is given back.
const BYTES: usize = 16 << 20;
/// Submissions that may be under way: more are waited for.
const IN_FLIGHT: usize = 4;

/// How long the word that a read is done may take once it is done.
const ANSWER: Duration = Duration::from_secs(10);

impl Task {
    fn bytes(&self) -> usize {
        match self {
            Task::Dispatch(d) => d.bindings.last().map_or(0, |b| b.block.bytes),
            Task::Copy { bytes, .. } | Task::Upload { bytes, .. } => *bytes as usize,
            Task::Zero { .. } => 0,
        }
    }
}

impl Context {
    /// Queues work.
    pub fn push(&self, task: Task) -> Result<()> {
        self.check()?;
        let full = {
            let mut state = locked(&self.stream.0);
            state.bytes += task.bytes();
            state.tasks.push(task);
            state.tasks.len() >= TASKS || state.bytes >= BYTES
        };
        if full {
            self.flush()?;
        }
        Ok(())
    }

    /// Submits what is queued, and keeps the number of submissions under way small.
    pub fn flush(&self) -> Result<()> {
        let oldest = {
            let mut state = locked(&self.stream.0);
            if state.tasks.is_empty() {
                return Ok(());
            }
            let tasks = std::mem::take(&mut state.tasks);
            state.bytes = 0;
            let submitted = self.submit(&tasks);
            // Blocks that nobody else holds go back to the pool: what comes next runs after this.
            drop(tasks);
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
    pub fn finish(&self) -> Result<()> {
        self.check()?;
        self.flush()?;
        locked(&self.stream.0).in_flight.clear();
        self.wait(None)
    }

    fn submit(&self, tasks: &[Task]) -> Result<wgpu::SubmissionIndex> {
        self.scoped("submitting", || {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
            let mut rest = tasks;
            while let Some(task) = rest.first() {
                match task {
                    Task::Dispatch(_) => {
                        let dispatches = rest.iter().take_while(|t| matches!(t, Task::Dispatch(_))).count();
                        self.encode(&mut encoder, &rest[..dispatches]);
                        rest = &rest[dispatches..];
                        continue;
                    }
                    Task::Copy { from, at, to, to_at, bytes } => {
                        encoder.copy_buffer_to_buffer(from.raw(), *at, to.raw(), *to_at, *bytes)
                    }
                    Task::Upload { from, to, bytes } => encoder.copy_buffer_to_buffer(from, 0, to.raw(), 0, *bytes),
                    Task::Zero { block, bytes } => encoder.clear_buffer(block.raw(), 0, Some(*bytes)),
                }
                rest = &rest[1..];
            }
            self.queue.submit([encoder.finish()])
        })
    }

    fn encode(&self, encoder: &mut wgpu::CommandEncoder, dispatches: &[Task]) {
        let mut pass = encoder
            .begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes: None })
            .forget_lifetime();
        let mut last: *const Pipeline = std::ptr::null();
        for task in dispatches {
            let Task::Dispatch(d) = task else { continue };
            let entries: SmallVec<[wgpu::BindGroupEntry<'_>; 8]> = d
                .bindings
                .iter()
                .enumerate()
                .map(|(n, b)| wgpu::BindGroupEntry { binding: n as u32, resource: b.resource() })
                .collect();
            let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &d.pipeline.layout,
                entries: &entries,
            });
            if !std::ptr::eq(last, Arc::as_ptr(&d.pipeline)) {
                pass.set_pipeline(&d.pipeline.raw);
                last = Arc::as_ptr(&d.pipeline);
            }
            pass.set_bind_group(0, &group, &[]);
            let mut bytes = [0u8; IMMEDIATE];
            for (to, word) in bytes.chunks_exact_mut(4).zip(&d.parameters) {
                to.copy_from_slice(&word.to_ne_bytes());
            }
            pass.set_immediates(0, &bytes);
            pass.dispatch_workgroups(d.groups[0], d.groups[1], d.groups[2]);
        }
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
            encoder.copy_buffer_to_buffer(block.raw(), first as u64, &staging, 0, (last - first) as u64);
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
