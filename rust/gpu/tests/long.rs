//! Lines longer than a thread of Mesa's software device may walk along: 65,535 rounds of its loops, then it stops.

mod support;

use smallvec::SmallVec;
use support::{agree, gpu, products_agree, Both, Draw};
use wengert_cpu::Cpu;
use wengert_gpu::Gpu;
use wengert_ops::{
    Backend, ConvRole, ConvSpec, DType, ErrorKind, Extremum, Layout, LossReduction, Op, PoolSpec, Reduction, ScanKind,
};

const LONG: usize = 70_001;

/// So many rows that each is one thread's, all the same one.
fn rows(gpu: Gpu, count: usize, dtype: DType) -> Both {
    let mut draw = Draw(1);
    let line: Vec<f64> = (0..LONG).map(|_| draw.below(3) as f64).collect();
    let layout = Layout::strided(SmallVec::from_slice(&[count, LONG]), SmallVec::from_slice(&[0, 1]), 0);
    Both::of(gpu, &line, &[LONG], dtype).seen(layout)
}

#[test]
fn folds_of_many_long_rows() {
    let Some(gpu) = gpu() else { return };
    let x = rows(gpu, 600, DType::F32);
    let y = Both::zeros(gpu, &[600], DType::F32);
    agree(
        "sum",
        Cpu.reduce(Reduction::Sum, x.on_cpu(), 2, y.out_cpu()),
        gpu.reduce(Reduction::Sum, x.on_gpu(), 2, y.out_gpu()),
    );
    y.assert_same("sum");
    // The last element is the greatest.
    let mut line = vec![0.0; LONG];
    line[LONG - 1] = 1.0;
    let layout = x.layout.clone();
    let x = Both::of(gpu, &line, &[LONG], DType::F32).seen(layout);
    let places = Both::zeros(gpu, &[600], DType::I64);
    agree(
        "max",
        Cpu.extreme(Extremum::Max, x.on_cpu(), 1, Some(y.out_cpu()), Some(places.out_cpu())),
        gpu.extreme(Extremum::Max, x.on_gpu(), 1, Some(y.out_gpu()), Some(places.out_gpu())),
    );
    y.assert_same("max");
    places.assert_same("argmax");
}

#[test]
fn running_sums_of_many_long_rows() {
    let Some(gpu) = gpu() else { return };
    let x = rows(gpu, 600, DType::U8);
    let y = Both::zeros(gpu, &[600, LONG], DType::U8);
    agree(
        "cumsum",
        Cpu.scan(ScanKind::Sum, x.on_cpu(), 1, false, y.out_cpu()),
        gpu.scan(ScanKind::Sum, x.on_gpu(), 1, false, y.out_gpu()),
    );
    assert!(y.contents().0 == y.contents().1);
    // A product that may overflow is not cut: right, or an error.
    let x = Both::of(gpu, &vec![1.0; LONG], &[LONG], DType::F32);
    let y = Both::zeros(gpu, &[LONG], DType::F32);
    Cpu.scan(ScanKind::Prod, x.on_cpu(), 0, false, y.out_cpu()).unwrap();
    match gpu.scan(ScanKind::Prod, x.on_gpu(), 0, false, y.out_gpu()) {
        Ok(()) => y.assert_same("cumprod"),
        Err(e) => assert!(e.kind() == ErrorKind::Runtime && e.message().contains("software device"), "{e}"),
    }
}

#[test]
fn products_along_a_long_dim() {
    let Some(gpu) = gpu() else { return };
    let mut draw = Draw(2);
    for dtype in [DType::F32, DType::F16, DType::I64, DType::U8] {
        let mut few = |n: usize| -> Vec<f64> { (0..n).map(|_| f64::from(u8::from(draw.below(64) == 0))).collect() };
        let (a, b) =
            (Both::of(gpu, &few(3 * LONG), &[3, LONG], dtype), Both::of(gpu, &few(LONG * 2), &[LONG, 2], dtype));
        products_agree(gpu, &a, &b, &[3, 2]);
    }
}

#[test]
fn windows_of_many_taps() {
    let Some(gpu) = gpu() else { return };
    let one = |n: usize| SmallVec::from_slice(&[n]);
    let spec = ConvSpec {
        stride: one(1),
        padding: one(0),
        dilation: one(1),
        groups: 1,
        x_shape: SmallVec::from_slice(&[1, 1, LONG + 1]),
        w_shape: SmallVec::from_slice(&[1, 1, LONG]),
    };
    let (x, w) = (
        Both::of(gpu, &vec![1.0; LONG + 1], &spec.x_shape, DType::F32),
        Both::of(gpu, &vec![1.0; LONG], &spec.w_shape, DType::F32),
    );
    let y = Both::zeros(gpu, &[1, 1, 2], DType::F32);
    agree(
        "conv",
        Cpu.conv(ConvRole::Forward, &spec, x.on_cpu(), w.on_cpu(), y.out_cpu()),
        gpu.conv(ConvRole::Forward, &spec, x.on_gpu(), w.on_gpu(), y.out_gpu()),
    );
    y.assert_same("conv");
    let spec = PoolSpec { kernel: one(LONG), stride: one(1), padding: one(0), dilation: one(1), ceil_mode: false };
    let (v, i) = (Both::zeros(gpu, &[1, 1, 2], DType::F32), Both::zeros(gpu, &[1, 1, 2], DType::I64));
    Cpu.max_pool(&spec, x.on_cpu(), v.out_cpu(), i.out_cpu()).unwrap();
    match gpu.max_pool(&spec, x.on_gpu(), v.out_gpu(), i.out_gpu()) {
        Ok(()) => i.assert_same("max_pool"),
        Err(e) => assert!(e.kind() == ErrorKind::Runtime && e.message().contains("software device"), "{e}"),
    }
}

#[test]
fn ops_over_long_lines() {
    let Some(gpu) = gpu() else { return };
    let x = rows(gpu, 70, DType::F32);
    let y = Both::zeros(gpu, &[70, LONG], DType::F32);
    let op = Op::Softmax { dim: 1, log: false };
    assert!(Cpu.fused(&op, &[x.on_cpu()], &[y.out_cpu()]).unwrap());
    assert!(gpu.fused(&op, &[x.on_gpu()], &[y.out_gpu()]).unwrap());
    y.assert_close(100.0, 1e-9, "softmax");
    let (mean, rstd) = (Both::zeros(gpu, &[70, 1], DType::F32), Both::zeros(gpu, &[70, 1], DType::F32));
    let op = Op::LayerNorm { dims: 1, centred: true, eps_bits: 1e-5f64.to_bits() };
    assert!(Cpu.fused(&op, &[x.on_cpu()], &[y.out_cpu(), mean.out_cpu(), rstd.out_cpu()]).unwrap());
    assert!(gpu.fused(&op, &[x.on_gpu()], &[y.out_gpu(), mean.out_gpu(), rstd.out_gpu()]).unwrap());
    mean.assert_close(100.0, 1e-5, "mean");
    y.assert_close(100.0, 1e-4, "layer_norm");
    // Lines and numbers of lines beyond what threads of a group share.
    let far = Layout::strided(SmallVec::from_slice(&[1, 30 << 20]), SmallVec::from_slice(&[0, 0]), 0);
    let x = Both::of(gpu, &[1.0], &[1], DType::F32).seen(far);
    let y = gpu.allocate(4).unwrap();
    let shape = Layout::contiguous(&[1]);
    // SAFETY: fresh, and written to only where the kernel would run.
    let out = unsafe { wengert_ops::ViewMut::new(&y, &shape, DType::F32) };
    let op = Op::CrossEntropy { reduction: LossReduction::Mean, ignore_index: -100 };
    if format!("{gpu:?}").contains("llvmpipe") {
        assert!(!gpu.fused(&op, &[x.on_gpu()], &[out]).unwrap());
    }
}
