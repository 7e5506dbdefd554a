//! Bind groups by kernel and blocks, since making one takes as long as all else that the host does for a dispatch.

use crate::context::{locked, Context};
use crate::stream::Dispatch;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::sync::Mutex;

/// A kernel's number, and those of the buffers.
type Names = SmallVec<[u64; 7]>;

/// The bind groups made lately. They keep their buffers from being freed, so that all go when one should be.
#[derive(Default)]
pub(crate) struct Bindings(Mutex<FxHashMap<Names, wgpu::BindGroup>>);

/// Beyond this many all are forgotten.
const KEPT: usize = 2048;

impl Context {
    /// The bind group of a dispatch.
    pub fn bind_group(&self, dispatch: &Dispatch) -> wgpu::BindGroup {
        let mut names: Names = SmallVec::from_slice(&[dispatch.pipeline.id]);
        // A kernel tells the ranges of a block that it sees.
        names.extend(dispatch.bindings.iter().map(|b| b.block.raw().id));
        let mut known = locked(&self.bindings.0);
        if let Some(group) = known.get(&names) {
            return group.clone();
        }
        let entries: SmallVec<[wgpu::BindGroupEntry<'_>; 8]> = dispatch
            .bindings
            .iter()
            .enumerate()
            .map(|(n, b)| wgpu::BindGroupEntry { binding: n as u32, resource: b.resource() })
            .collect();
        let layout = &dispatch.pipeline.layout;
        let group =
            self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries });
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(names, group.clone());
        group
    }

    /// Lets go of the bind groups, and so of buffers that only they hold.
    pub fn forget_bindings(&self) {
        let known = std::mem::take(&mut *locked(&self.bindings.0));
        drop(known);
    }
}
