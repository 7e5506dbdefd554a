//! Reductions, extremes and scans against the CPU.

mod support;

use smallvec::SmallVec;
use support::{agree, bytes, gpu, Both, Draw};
use wengert_cpu::Cpu;
use wengert_gpu::Gpu;
use wengert_ops::{Backend, DType, Layout, Reduction};

const KINDS: [Reduction; 6] =
    [Reduction::Sum, Reduction::Prod, Reduction::Max, Reduction::Min, Reduction::Any, Reduction::All];

fn has(gpu: Gpu, dtype: DType) -> bool {
    dtype != DType::F64 || gpu.has_f64()
}

/// Small whole numbers: all orders of adding them agree.
fn whole(draw: &mut Draw, count: usize, dtype: DType) -> Vec<f64> {
    let low = if dtype.is_signed() { -3.0 } else { 0.0 };
    (0..count).map(|_| draw.within(low, 4.0).floor()).collect()
}

fn reduced(x: &Layout, dims: u64, keep: bool) -> SmallVec<[usize; 4]> {
    let sizes = x.shape().iter().enumerate();
    sizes.filter_map(|(d, &n)| if dims >> d & 1 == 0 { Some(n) } else { keep.then_some(1) }).collect()
}

fn check(gpu: Gpu, kind: Reduction, x: &Both, dims: u64, keep: bool, to: DType, ulps: f64) {
    let y = Both::zeros(gpu, &reduced(&x.layout, dims, keep), to);
    let what = format!("{kind:?} of {} {:?} over {dims:b} to {to}", x.dtype, x.layout);
    agree(&what, Cpu.reduce(kind, x.on_cpu(), dims, y.out_cpu()), gpu.reduce(kind, x.on_gpu(), dims, y.out_gpu()));
    y.assert_close(ulps, 0.0, &what);
}

#[test]
fn every_kind_of_every_dtype() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(5);
    for dtype in DType::ALL.into_iter().filter(|d| has(gpu, *d)) {
        for kind in KINDS {
            let to = match kind {
                Reduction::Any | Reduction::All => DType::Bool,
                Reduction::Sum | Reduction::Prod if !dtype.is_float() => DType::I64,
                _ => dtype,
            };
            for (shape, dims) in [(&[3, 40, 5][..], 0b010), (&[4, 7], 0b11), (&[6, 20], 1), (&[], 0), (&[0, 3], 1)] {
                let count: usize = shape.iter().product();
                let x = Both::of(gpu, &whole(&mut draw, count, dtype), shape, dtype);
                check(gpu, kind, &x, dims, false, to, if kind == Reduction::Prod { 2.0 } else { 0.0 });
            }
        }
    }
}
