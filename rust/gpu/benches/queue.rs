//! The queue and the matrix product against what wgpu alone does: `cargo bench -p wengert-gpu`.
//!
//! Contenders run in turns; a ratio is the median of the rounds' own ratios.

use std::future::Future;
use std::pin::pin;
use std::process::Command;
use std::task::{Poll, Waker};
use std::time::Instant;
use wengert_gpu::{Buffer, Gpu};
use wengert_ops::{Backend, Compute, DType, Layout, Operand, Row, Scalar, View, ViewMut};

/// A device without anything of this library between.
struct Bare {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

/// A kernel and the groups it is run with.
struct Kernel {
    pipeline: wgpu::ComputePipeline,
    groups: [u32; 2],
}

fn ready<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = std::task::Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

impl Bare {
    /// The adapter that wengert has opened, by its name.
    fn open(name: &str) -> Bare {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::PRIMARY,
            flags: wgpu::InstanceFlags::empty(),
            memory_budget_thresholds: wgpu::MemoryBudgetThresholds {
                for_resource_creation: None,
                for_device_loss: None,
            },
            backend_options: Default::default(),
            display: None,
        });
        let adapters = ready(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
        let adapter = adapters.into_iter().find(|a| a.get_info().name == name).expect("the adapter is there");
        let descriptor = wgpu::DeviceDescriptor {
            required_features: adapter.features() & wgpu::Features::IMMEDIATES,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = ready(adapter.request_device(&descriptor)).expect("the device opens");
        Bare { device, queue }
    }

    fn buffer(&self, bytes: u64) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    }

    fn kernel(&self, text: &str, groups: [u32; 2]) -> Kernel {
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        Kernel { pipeline, groups }
    }

    fn bind(&self, kernel: &Kernel, buffers: &[&wgpu::Buffer]) -> wgpu::BindGroup {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = buffers
            .iter()
            .enumerate()
            .map(|(n, b)| wgpu::BindGroupEntry { binding: n as u32, resource: b.as_entire_binding() })
            .collect();
        let layout = kernel.pipeline.get_bind_group_layout(0);
        self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries })
    }

    /// Dispatches in submissions of `each`, and waits for the last.
    fn run(&self, kernel: &Kernel, binds: &[wgpu::BindGroup], count: usize, each: usize, words: &[u8]) {
        for start in (0..count).step_by(each) {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(&kernel.pipeline);
                for n in start..count.min(start + each) {
                    pass.set_bind_group(0, &binds[n % binds.len()], &[]);
                    if !words.is_empty() {
                        pass.set_immediates(0, words);
                    }
                    pass.dispatch_workgroups(kernel.groups[0], kernel.groups[1], 1);
                }
            }
            self.queue.submit([encoder.finish()]);
        }
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the device finishes");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn seconds(call: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    call();
    start.elapsed().as_secs_f64()
}

/// Medians of both, and of the rounds' ratios of the first to the second.
fn paired(rounds: usize, ours: &mut dyn FnMut(), other: &mut dyn FnMut()) -> (f64, f64, f64) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Whoever goes second finds a warmer machine.
        if round % 2 == 0 {
            a.push(seconds(ours));
            b.push(seconds(other));
        } else {
            b.push(seconds(other));
            a.push(seconds(ours));
        }
    }
    let ratios = a.iter().zip(&b).map(|(x, y)| x / y).collect();
    (median(a), median(b), median(ratios))
}

fn report(title: &str, unit: &str, scale: f64, (ours, other, ratio): (f64, f64, f64), bar: f64, least: bool) {
    let (ratio, met) = if least { (1.0 / ratio, 1.0 / ratio >= bar) } else { (ratio, ratio <= bar) };
    let (word, sign) = (if met { "met" } else { "NOT met" }, if least { "≥" } else { "≤" });
    println!(
        "{title:52} | wengert {:.4} {unit}, bare wgpu {:.4} {unit} | ratio {ratio:.3}, bar {sign} {bar}: {word}",
        ours * scale,
        other * scale
    );
}

struct Array {
    buffer: Buffer,
    layout: Layout,
}

impl Array {
    fn ones(gpu: Gpu, shape: &[usize]) -> Array {
        let layout = Layout::contiguous(shape);
        let raw: Vec<u8> = (0..layout.numel()).flat_map(|_| 1f32.to_ne_bytes()).collect();
        Array { buffer: gpu.upload(&raw).expect("memory"), layout }
    }
    fn new(gpu: Gpu, layout: &Layout) -> Array {
        Array { buffer: gpu.allocate(layout.numel() * 4).expect("memory"), layout: layout.clone() }
    }
    fn view(&self) -> View<'_, Buffer> {
        View { buffer: &self.buffer, layout: &self.layout, dtype: DType::F32 }
    }
    fn out(&self) -> ViewMut<'_, Buffer> {
        // SAFETY: the device runs what is queued in order.
        unsafe { ViewMut::new(&self.buffer, &self.layout, DType::F32) }
    }
}

const SMALL: &str = "struct P { n: u32, s: f32 }
var<immediate> p: P;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < p.n) { y[id.x] = x[id.x] * p.s; }
}";

/// Products by a number, one after another.
const COUNT: usize = 1000;

/// Seconds of an operation among a thousand whose arrays' shapes change with every call, so that nothing joins.
fn ours_alone() -> f64 {
    let gpu = Gpu::open(0).expect("the device opens");
    let start = [Array::ones(gpu, &[200]), Array::ones(gpu, &[190])];
    let queue = || {
        let [mut a, mut b] =
            [&start[0], &start[1]].map(|x| Array { buffer: x.buffer.clone(), layout: x.layout.clone() });
        for _ in 0..COUNT {
            let next = Array::new(gpu, &a.layout);
            let operands = [Operand::Array(a.view()), Operand::Scalar(Scalar::Float(1.0))];
            gpu.elementwise(Row::Mul, Compute::F32, &operands, next.out()).expect("it runs");
            (a, b) = (b, next);
        }
    };
    alone(&mut || {
        queue();
        gpu.finish().expect("it runs");
    })
}

/// The same dispatches from a loop whose bind groups are made beforehand.
fn bare_alone(name: &str) -> f64 {
    let bare = Bare::open(name);
    let kernel = bare.kernel(SMALL, [1, 1]);
    let buffers: Vec<_> = (0..4).map(|_| bare.buffer(1024)).collect();
    let binds: Vec<_> =
        [(0, 1), (2, 3), (1, 0), (3, 2)].map(|(a, b)| bare.bind(&kernel, &[&buffers[a], &buffers[b]])).into();
    let words: Vec<u8> = [200u32.to_ne_bytes(), 1f32.to_ne_bytes()].concat();
    alone(&mut || bare.run(&kernel, &binds, COUNT, 128, &words))
}

/// The median of an operation's seconds, once the machine is warm.
fn alone(call: &mut dyn FnMut()) -> f64 {
    (0..3).for_each(|_| call());
    median((0..31).map(|_| seconds(call)).collect()) / COUNT as f64
}

/// Each contender in processes of its own, in turns: how a software device's threads come to lie on the cores is most of a
/// dispatch's time there, stays the same in a process, and the threads of two devices in one get in each other's way.
/// `threads` are the device's own.
fn small(title: &str, processes: usize, threads: Option<&str>) {
    let program = std::env::current_exe().expect("this program has a name");
    let measured = |who: &str| -> f64 {
        let mut command = Command::new(&program);
        command.env(ALONE, who);
        if let Some(threads) = threads {
            command.env("LP_NUM_THREADS", threads);
        }
        let out = command.output().expect("it starts");
        let text = String::from_utf8_lossy(&out.stdout);
        text.trim().parse().unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&out.stderr)))
    };
    let (mut ours, mut other) = (Vec::new(), Vec::new());
    for _ in 0..processes {
        ours.push(measured(OURS));
        other.push(measured("bare wgpu"));
    }
    let mut ratios: Vec<f64> = ours.iter().zip(&other).map(|(x, y)| x / y).collect();
    ratios.sort_by(f64::total_cmp);
    let title = format!("{title} ({processes} processes: {:.3} to {:.3})", ratios[0], ratios[processes - 1]);
    report(&title, "µs", 1e6, (median(ours), median(other), median(ratios)), 1.3, false);
}

const NAIVE: &str = "@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
const N = 512u;
@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var sum = 0.0;
    for (var k = 0u; k < N; k++) { sum += a[id.y * N + k] * b[k * N + id.x]; }
    c[id.y * N + id.x] = sum;
}";

/// The product of two matrices of 512 × 512 against one thread an output, straight from its definition.
fn product(gpu: Gpu, bare: &Bare) {
    const N: usize = 512;
    let kernel = bare.kernel(NAIVE, [N as u32 / 16; 2]);
    let buffers: Vec<_> = (0..3).map(|_| bare.buffer((N * N * 4) as u64)).collect();
    let binds = [bare.bind(&kernel, &buffers.iter().collect::<Vec<_>>())];
    let (a, b) = (Array::ones(gpu, &[N, N]), Array::ones(gpu, &[N, N]));
    let c = Array::new(gpu, &a.layout);
    let mut ours = || {
        gpu.matmul(a.view(), b.view(), false, c.out()).expect("it runs");
        gpu.finish().expect("it runs");
    };
    let mut other = || bare.run(&kernel, &binds, 1, 1, &[]);
    (0..2).for_each(|_| (ours(), other()).0);
    report("product of 512 × 512 matrices", "ms", 1e3, paired(7, &mut ours, &mut other), 15.0, true);
}

/// Set in a process that measures one contender's small operations, and prints what it found.
const ALONE: &str = "WENGERT_BENCH_SMALL";
const OURS: &str = "wengert";

fn main() {
    // `cargo test --benches` asks for tests; there are none here.
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let name = match wengert_gpu::devices() {
        Ok(all) if !all.is_empty() => all[0].name.clone(),
        Ok(_) => return println!("not measured: there is no GPU"),
        Err(e) => return println!("not measured: {e}"),
    };
    if let Some(who) = std::env::var_os(ALONE) {
        return println!("{}", if who == OURS { ours_alone() } else { bare_alone(&name) });
    }
    println!("# {name}");
    let title = "1,000 queued small ops that do not join, per op";
    small(title, 11, None);
    if name.contains("llvmpipe") {
        small(&format!("{title}, the device without threads"), 5, Some("0"));
    }
    product(Gpu::open(0).expect("the device opens"), &Bare::open(&name));
}
