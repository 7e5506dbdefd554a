//! Compiled kernels, by what they are and never by sizes: compiling takes as long as a thousand dispatches.

use crate::context::{locked, Context};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use wengert_ops::Result;

/// Names a kernel among all that there are: its family, and what tells it from its siblings.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub family: &'static str,
    pub variant: SmallVec<[u32; 16]>,
}

/// A kernel's text, and whether it writes to each of its bindings.
pub(crate) struct Source {
    pub text: String,
    pub writes: SmallVec<[bool; 8]>,
}

pub(crate) struct Pipeline {
    /// Its number among all kernels.
    pub id: u64,
    pub raw: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

#[derive(Default)]
pub(crate) struct Pipelines(Mutex<FxHashMap<Key, Arc<Pipeline>>>);

/// Bytes of parameters that travel with a dispatch; more go through a buffer.
pub(crate) const IMMEDIATE: usize = 128;

impl Context {
    /// The kernel of this key, compiled from `source` where it is new.
    pub fn pipeline(&self, key: Key, source: impl FnOnce() -> Source) -> Result<Arc<Pipeline>> {
        if let Some(known) = locked(&self.pipelines.0).get(&key) {
            return Ok(known.clone());
        }
        let made = Arc::new(self.compile(&format!("{}{:?}", key.family, key.variant), source())?);
        // Another thread may have been faster; either will do.
        Ok(locked(&self.pipelines.0).entry(key).or_insert(made).clone())
    }

    /// Compiles a kernel, of this name for errors and tools.
    pub fn compile(&self, name: &str, source: Source) -> Result<Pipeline> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        self.check()?;
        let entries: Vec<wgpu::BindGroupLayoutEntry> = source
            .writes
            .iter()
            .enumerate()
            .map(|(n, writes)| wgpu::BindGroupLayoutEntry {
                binding: n as u32,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Storage { read_only: !writes },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        self.scoped(&format!("shader {name}"), || {
            let layout = self
                .device
                .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries });
            let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: IMMEDIATE as u32,
            });
            let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(name),
                source: wgpu::ShaderSource::Wgsl(source.text.into()),
            });
            let raw = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &[],
                    zero_initialize_workgroup_memory: false,
                },
                cache: self.kept.kernels.as_ref(),
            });
            Pipeline { id: COUNT.fetch_add(1, Ordering::Relaxed), raw, layout }
        })
    }

    /// How many kernels have been compiled.
    pub fn compiled(&self) -> usize {
        locked(&self.pipelines.0).len() + self.recipes().0
    }
}

#[cfg(test)]
mod tests {
    use crate::context;
    use crate::memory::Buffer;
    use crate::shader::Call;
    use wengert_ops::{DType, ErrorKind};

    #[test]
    fn a_text_that_is_wrong_is_an_internal_error_with_its_name() {
        std::env::set_var(crate::adapter::ALLOW_SOFTWARE, "1");
        let context = match context::open(0) {
            Ok(context) => context,
            Err(e) if std::env::var_os("REQUIRE_GPU").is_some() => panic!("{e}"),
            Err(_) => return,
        };
        let block = Buffer(context.allocate(16).unwrap());
        for text in [
            "fn main(",
            "@compute @workgroup_size(1)\nfn other() {}",
            "@compute @workgroup_size(1)\nfn main() { b0[0] = 1.0; }",
        ] {
            let mut call = Call::new(context, "a_wrong_text");
            call.write(&block, DType::I32).unwrap();
            let error = call.run([1, 1, 1], || text.to_owned()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(error.message().contains("a_wrong_text"), "{error}");
        }
        // The device goes on.
        context.upload(&[7; 16], block.0.clone()).unwrap();
        let mut raw = [0; 16];
        context.download(&block.0, 0, &mut raw).unwrap();
        assert_eq!(raw, [7; 16]);
    }
}
