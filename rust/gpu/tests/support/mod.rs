//! What the GPU's tests share: the device, arrays on both backends, and their comparison.
#![allow(dead_code)]

use std::sync::OnceLock;
use wengert_cpu::Cpu;
use wengert_gpu::{Gpu, Way};
use wengert_ops::{Backend, DType, Layout, Result, Scalar, View, ViewMut};

/// The first device, with its cooperative matrices if it has them. Without one a test has nothing to say: it skips, but where `REQUIRE_GPU` is set it fails.
pub fn gpu() -> Option<Gpu> {
    static OPEN: OnceLock<Option<Gpu>> = OnceLock::new();
    *OPEN.get_or_init(|| {
        std::env::set_var(wengert_gpu::adapter::ALLOW_SOFTWARE, "1");
        wengert_gpu::set_cooperative_matrices(true).expect("nothing is open");
        match Gpu::open(0) {
            Ok(gpu) => Some(gpu),
            Err(e) if std::env::var_os("REQUIRE_GPU").is_some() => panic!("{e}"),
            Err(e) => {
                eprintln!("skipped: {e}");
                None
            }
        }
    })
}

/// Whether the device computes in a dtype: of f64 not all do.
pub fn has(gpu: Gpu, dtype: DType) -> bool {
    dtype != DType::F64 || gpu.has_f64()
}

/// The dtypes that the device computes in.
pub fn dtypes(gpu: Gpu) -> Vec<DType> {
    DType::ALL.into_iter().filter(|d| has(gpu, *d)).collect()
}

/// Numbers that repeat for a seed, evenly spread over `low..high`.
pub struct Draw(pub u64);

impl Draw {
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
    pub fn within(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }
}

/// One array on the CPU and on the GPU.
pub struct Both {
    pub cpu: wengert_cpu::Buffer,
    pub gpu: wengert_gpu::Buffer,
    pub layout: Layout,
    pub dtype: DType,
}

/// Bytes of numbers in a dtype, by the CPU's own conversion.
pub fn bytes(values: &[f64], dtype: DType) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    let layout = Layout::contiguous(&[values.len()]);
    let (from, to) = (Cpu.upload(&raw).unwrap(), Cpu.allocate(values.len() * dtype.size()).unwrap());
    let view = View { buffer: &from, layout: &layout, dtype: DType::F64 };
    // SAFETY: fresh.
    Cpu.copy(view, unsafe { ViewMut::new(&to, &layout, dtype) }).unwrap();
    let mut out = vec![0; values.len() * dtype.size()];
    Cpu.download(&to, 0, &mut out).unwrap();
    out
}

/// Bytes as numbers.
pub fn numbers(raw: &[u8], dtype: DType) -> Vec<f64> {
    let count = raw.len() / dtype.size();
    let layout = Layout::contiguous(&[count]);
    let (from, to) = (Cpu.upload(raw).unwrap(), Cpu.allocate(count * 8).unwrap());
    // SAFETY: fresh.
    Cpu.copy(View { buffer: &from, layout: &layout, dtype }, unsafe { ViewMut::new(&to, &layout, DType::F64) })
        .unwrap();
    let mut out = vec![0; count * 8];
    Cpu.download(&to, 0, &mut out).unwrap();
    out.chunks_exact(8).map(|b| f64::from_ne_bytes(b.try_into().unwrap())).collect()
}

impl Both {
    /// The buffer's contents, seen through a layout.
    pub fn new(gpu: Gpu, contents: &[u8], layout: Layout, dtype: DType) -> Both {
        Both { cpu: Cpu.upload(contents).unwrap(), gpu: gpu.upload(contents).unwrap(), layout, dtype }
    }
    /// A row-major array of these numbers.
    pub fn of(gpu: Gpu, values: &[f64], shape: &[usize], dtype: DType) -> Both {
        Both::new(gpu, &bytes(values, dtype), Layout::contiguous(shape), dtype)
    }
    /// A row-major array of zeros, to be written.
    pub fn zeros(gpu: Gpu, shape: &[usize], dtype: DType) -> Both {
        let count: usize = shape.iter().product();
        Both::of(gpu, &vec![0.0; count], shape, dtype)
    }
    pub fn on_cpu(&self) -> View<'_, wengert_cpu::Buffer> {
        View { buffer: &self.cpu, layout: &self.layout, dtype: self.dtype }
    }
    pub fn on_gpu(&self) -> View<'_, wengert_gpu::Buffer> {
        View { buffer: &self.gpu, layout: &self.layout, dtype: self.dtype }
    }
    pub fn out_cpu(&self) -> ViewMut<'_, wengert_cpu::Buffer> {
        // SAFETY: tests write to an array through one view at a time.
        unsafe { ViewMut::new(&self.cpu, &self.layout, self.dtype) }
    }
    pub fn out_gpu(&self) -> ViewMut<'_, wengert_gpu::Buffer> {
        // SAFETY: as above.
        unsafe { ViewMut::new(&self.gpu, &self.layout, self.dtype) }
    }
    /// The same elements under another layout.
    pub fn seen(self, layout: Layout) -> Both {
        Both { layout, ..self }
    }
    /// Both buffers' whole contents.
    pub fn contents(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut a, mut b) = (vec![0; self.cpu.len()], vec![0; self.gpu.len()]);
        Cpu.download(&self.cpu, 0, &mut a).unwrap();
        Gpu::of(&self.gpu).download(&self.gpu, 0, &mut b).unwrap();
        (a, b)
    }
    /// Fails unless both buffers hold the same numbers: within `ulps` of the CPU's, or within `absolute`. NaN equals NaN.
    pub fn assert_close(&self, ulps: f64, absolute: f64, what: &str) {
        let (a, b) = self.contents();
        let (a, b) = (numbers(&a, self.dtype), numbers(&b, self.dtype));
        let eps = match self.dtype {
            DType::F16 => 2f64.powi(-10),
            DType::BF16 => 2f64.powi(-7),
            DType::F32 => f64::from(f32::EPSILON),
            DType::F64 => f64::EPSILON,
            _ => 0.0,
        };
        for (i, (x, y)) in a.iter().zip(&b).enumerate() {
            let same = x == y || x.is_nan() && y.is_nan();
            let near = (x - y).abs() <= absolute + ulps * eps * x.abs();
            assert!(same || near, "{what}: element {i} is {x:e} on the CPU and {y:e} on the GPU");
        }
    }
    pub fn assert_same(&self, what: &str) {
        self.assert_close(0.0, 0.0, what);
    }
}

/// Runs one call on both backends: both must give the same kind of error, or none.
pub fn agree(what: &str, cpu: Result<()>, gpu: Result<()>) {
    match (cpu, gpu) {
        (Ok(()), Ok(())) => {}
        (Err(a), Err(b)) => assert_eq!((a.kind(), a.message()), (b.kind(), b.message()), "{what}"),
        (a, b) => panic!("{what}: {a:?} on the CPU, {b:?} on the GPU"),
    }
}

/// How a product may be computed; None leaves the choice to the backend.
pub const WAYS: [Option<Way>; 7] = [
    None,
    Some(Way::Thin),
    Some(Way::Dots),
    Some(Way::Registers),
    Some(Way::Tiles),
    Some(Way::Ahead),
    Some(Way::Cooperative),
];

/// `a @ b` by every way there is, against the CPU.
pub fn products_agree(gpu: Gpu, a: &Both, b: &Both, shape: &[usize]) {
    for way in WAYS {
        let out = Both::zeros(gpu, shape, a.dtype);
        let there = match way {
            None => gpu.matmul(a.on_gpu(), b.on_gpu(), false, out.out_gpu()),
            Some(way) => gpu.matmul_by(way, a.on_gpu(), b.on_gpu(), false, out.out_gpu()),
        };
        agree("matmul", Cpu.matmul(a.on_cpu(), b.on_cpu(), false, out.out_cpu()), there);
        out.assert_same(&format!("{} by {way:?}", a.dtype));
    }
}

pub fn int(i: i64) -> Scalar {
    Scalar::Int(i)
}
