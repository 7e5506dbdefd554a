//! Every row of the table and every partial against the CPU: in every dtype the row admits, in layouts of all kinds, and
//! where floats end.

mod support;

use support::{bytes, gpu, numbers, Both, Draw};
use wengert_cpu::Cpu;
use wengert_gpu::Gpu;
use wengert_ops::rows::Class;
use wengert_ops::{Backend, DType, Layout, Operand, Row, Scalar};

/// How far a value may be off: so many ulps, and so much beside them in units of the type's epsilon.
#[derive(Clone, Copy)]
struct Slack(f64, f64);

/// 4 ulps unless there is a reason.
fn slack(row: Row, dtype: DType) -> Slack {
    let double = dtype == DType::F64;
    match row {
        // Zeros between the poles, where the CPU has computed in f64 or with more digits.
        Row::Lgamma | Row::Digamma => Slack(4.0, if double { 64.0 } else { 16.0 }),
        // Sums that cancel, of terms near 1.
        Row::Logaddexp | Row::Logaddexp2 => Slack(4.0, 1.5),
        Row::Gelu | Row::GeluTanh => Slack(4.0, 0.5),
        // The CPU's own formula of negative numbers near -1.
        Row::Atanh => Slack(64.0, 0.0),
        Row::Acosh => Slack(6.0, 0.0),
        _ => Slack(4.0, 0.0),
    }
}

/// As [`slack`], of the partials.
fn partial_slack(row: Row, _dtype: DType) -> Slack {
    match row {
        Row::Lgamma => Slack(8.0, 4.0),
        _ => Slack(8.0, 0.0),
    }
}

fn admits(row: Row, dtype: DType) -> bool {
    match row.info().class {
        Class::Float => dtype.is_float(),
        Class::Bit => !dtype.is_float() && row.info().class.result(dtype, DType::F32, row).is_ok(),
        class => class.result(dtype, DType::F32, row).is_ok(),
    }
}

/// Numbers for operand `k`, from the row's domain; integers from a wider one, divisors and exponents positive.
fn column(draw: &mut Draw, row: Row, k: usize, dtype: DType, n: usize) -> Vec<f64> {
    let (low, high) = row.info().domain[k];
    (0..n)
        .map(|_| match dtype {
            DType::Bool => (draw.unit() < 0.5) as u8 as f64,
            d if d.is_float() => draw.within(low, high),
            d => {
                let v = (draw.within(low, high) * 7.0).trunc();
                match row {
                    Row::Where if k == 0 => draw.below(2) as f64,
                    _ if k == 1 && row.info().class == Class::Arith => v.abs() + 1.0,
                    _ if d == DType::U8 => v.abs(),
                    _ => v,
                }
            }
        })
        .collect()
}

fn cpu_operands(arrays: &[Both]) -> Vec<Operand<'_, wengert_cpu::Buffer>> {
    arrays.iter().map(|a| Operand::Array(a.on_cpu())).collect()
}

fn gpu_operands(arrays: &[Both]) -> Vec<Operand<'_, wengert_gpu::Buffer>> {
    arrays.iter().map(|a| Operand::Array(a.on_gpu())).collect()
}

/// Of halves, which are rounded from f32: they may fall to the other side.
fn slack_of(dtype: DType, slack: Slack) -> Slack {
    match dtype {
        DType::F32 | DType::F64 => slack,
        DType::F16 | DType::BF16 => Slack(1.0, slack.1 * f64::from(f32::EPSILON) / epsilon(dtype)),
        _ => Slack(0.0, 0.0),
    }
}

fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        DType::F32 => f64::from(f32::EPSILON),
        DType::F64 => f64::EPSILON,
        _ => 1.0,
    }
}

/// Collects what differs, so that one run shows all of it.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn note(&mut self, text: String) {
        self.0.push(text);
    }

    /// Compares two results: the same up to `slack` and `smallest`, NaN with NaN, zeros with their signs where `signs` says so.
    fn compare(&mut self, what: &str, out: &Both, slack: Slack, smallest: f64, signs: bool, inputs: &[Both]) {
        let (a, b) = out.contents();
        let (a, b) = (numbers(&a, out.dtype), numbers(&b, out.dtype));
        let Slack(ulps, beside) = slack;
        let absolute = smallest + beside * epsilon(out.dtype);
        let mut worst: Option<(f64, usize)> = None;
        for (i, (x, y)) in a.iter().zip(&b).enumerate() {
            if x.is_nan() && y.is_nan() || x == y && (!signs || x.is_sign_negative() == y.is_sign_negative()) {
                continue;
            }
            let off = match (x - y).abs() {
                d if d.is_finite() && x != y => {
                    (d - absolute).max(0.0) / (epsilon(out.dtype) * x.abs().max(f64::MIN_POSITIVE))
                }
                _ => f64::INFINITY,
            };
            if off > ulps && worst.is_none_or(|w| off > w.0) {
                worst = Some((off, i));
            }
        }
        if let Some((off, i)) = worst {
            let at: Vec<f64> = inputs
                .iter()
                .filter(|x| x.layout.is_contiguous() && x.layout.numel() == a.len())
                .map(|x| numbers(&x.contents().0, x.dtype)[i])
                .collect();
            self.note(format!("{what}: {off:.1} ulps: {:e} on the CPU, {:e} on the GPU, at {i}: {at:?}", a[i], b[i]));
        }
    }
}

impl Drop for Findings {
    fn drop(&mut self) {
        if !self.0.is_empty() && !std::thread::panicking() {
            panic!("{} differ:\n{}", self.0.len(), self.0.join("\n"));
        }
    }
}

fn result_dtype(row: Row, dtype: DType) -> DType {
    if row.is_truth() {
        DType::Bool
    } else {
        dtype
    }
}

/// Both backends' `row`; `false` where one has failed, which is noted unless both say the same.
fn run(found: &mut Findings, gpu: Gpu, row: Row, what: &str, arrays: &[Both], out: &Both) -> bool {
    let compute = arrays[0].dtype.compute();
    let cpu = Cpu.elementwise(row, compute, &cpu_operands(arrays), out.out_cpu());
    let gpu = gpu.elementwise(row, compute, &gpu_operands(arrays), out.out_gpu());
    match (&cpu, &gpu) {
        (Ok(()), Ok(())) => return true,
        (Err(a), Err(b)) if (a.kind(), a.message()) == (b.kind(), b.message()) => {}
        (_, Err(e)) if e.message().contains("no definition in scope") => {
            found.note(format!("{what}: missing {}", e.message().split('`').nth(1).unwrap_or("")));
        }
        _ => found.note(format!("{what}: {cpu:?} on the CPU, {gpu:?} on the GPU")),
    }
    false
}

fn check_values(dtypes: &[DType]) {
    let Some(gpu) = gpu() else { return };
    let n = 41;
    let mut found = Findings::default();
    for &row in Row::ALL {
        let mut draw = Draw(row as u64 + 1);
        for &dtype in dtypes.iter().filter(|d| admits(row, **d)) {
            let arrays: Vec<Both> =
                (0..row.arity()).map(|k| Both::of(gpu, &column(&mut draw, row, k, dtype, n), &[n], dtype)).collect();
            let out = Both::zeros(gpu, &[n], result_dtype(row, dtype));
            let what = format!("{} of {dtype}", row.name());
            if run(&mut found, gpu, row, &what, &arrays, &out) {
                found.compare(&what, &out, slack_of(out.dtype, slack(row, dtype)), 0.0, false, &arrays);
            }
        }
    }
}

/// Where floats end, and what lies around the rows' own borders.
fn specials(dtype: DType) -> Vec<f64> {
    let mut v = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        2.0,
        -2.0,
        3.0,
        -3.0,
        1.5,
        -2.5,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        100.0,
        -100.0,
        1e-5,
        -1e-5,
        1e-10,
        0.9999,
        -0.9999,
        12.5,
        -12.5,
        1e10,
        -1e10,
        123456.789,
        -3.0e6,
    ];
    match dtype {
        DType::F32 => v.extend([3.4e38, -3.4e38, 1.2e-38, -1.2e-38, 88.5, -88.5, -103.5, 1e30, 1e-30]),
        _ => v.extend([1.7e308, -1.7e308, 2.3e-308, -2.3e-308, 709.5, -709.5, -745.0, 1e200, 1e-200]),
    }
    v
}

fn check_specials(dtype: DType) {
    let Some(gpu) = gpu() else { return };
    let mut found = Findings::default();
    let points = specials(dtype);
    let n = points.len();
    for &row in Row::ALL.iter().filter(|r| admits(**r, dtype)) {
        // All pairs; a third operand and more from the domain's middle.
        let columns = |k: usize| -> Vec<f64> {
            let (low, high) = row.info().domain[k];
            (0..n * n)
                .map(|i| match k {
                    0 => points[i / n],
                    1 if row.arity() > 1 => points[i % n],
                    _ => 0.25 * low + 0.75 * high,
                })
                .collect()
        };
        let arrays: Vec<Both> = (0..row.arity()).map(|k| Both::of(gpu, &columns(k), &[n * n], dtype)).collect();
        let out = Both::zeros(gpu, &[n * n], result_dtype(row, dtype));
        let what = format!("{} of {dtype}", row.name());
        if run(&mut found, gpu, row, &what, &arrays, &out) {
            let smallest = if dtype == DType::F32 { 1.3e-38 } else { 2.3e-308 };
            found.compare(&what, &out, slack_of(out.dtype, slack(row, dtype)), smallest, true, &arrays);
        }
    }
}

#[test]
fn specials_in_f32() {
    check_specials(DType::F32);
}

#[test]
fn specials_in_f64() {
    check_specials(DType::F64);
}

/// Unary rows over all magnitudes, far out of their domains.
fn check_everywhere(dtype: DType) {
    let Some(gpu) = gpu() else { return };
    let mut found = Findings::default();
    let n = 4000;
    let mut draw = Draw(5);
    let points: Vec<f64> = (0..n)
        .map(|i| {
            let span = if i % 2 == 0 {
                3.0
            } else if dtype == DType::F32 {
                37.0
            } else {
                300.0
            };
            let v = 10f64.powf(draw.within(-span, span));
            if i % 4 < 2 {
                v
            } else {
                -v
            }
        })
        .collect();
    for &row in Row::ALL.iter().filter(|r| r.arity() == 1 && admits(**r, dtype)) {
        let arrays = [Both::of(gpu, &points, &[n], dtype)];
        let out = Both::zeros(gpu, &[n], result_dtype(row, dtype));
        let what = format!("{} of {dtype}", row.name());
        if run(&mut found, gpu, row, &what, &arrays, &out) {
            let smallest = if dtype == DType::F32 { 1.3e-38 } else { 2.3e-308 };
            found.compare(&what, &out, slack_of(out.dtype, slack(row, dtype)), smallest, true, &arrays);
        }
    }
}

#[test]
fn everywhere_in_f32() {
    check_everywhere(DType::F32);
}

#[test]
fn everywhere_in_f64() {
    check_everywhere(DType::F64);
}

fn check_partials(dtype: DType) {
    let Some(gpu) = gpu() else { return };
    let mut found = Findings::default();
    let n = 41;
    for &row in Row::ALL.iter().filter(|r| admits(**r, dtype) && r.info().differentiable) {
        let mut draw = Draw(row as u64 + 1);
        let arrays: Vec<Both> =
            (0..row.arity()).map(|k| Both::of(gpu, &column(&mut draw, row, k, dtype, n), &[n], dtype)).collect();
        let g = Both::of(gpu, &(0..n).map(|_| draw.within(-2.0, 2.0)).collect::<Vec<_>>(), &[n], dtype);
        let y = Both::zeros(gpu, &[n], dtype);
        Cpu.elementwise(row, dtype.compute(), &cpu_operands(&arrays), y.out_cpu()).unwrap();
        let mut raw = vec![0; n * dtype.size()];
        Cpu.download(&y.cpu, 0, &mut raw).unwrap();
        let y = Both::new(gpu, &raw, Layout::contiguous(&[n]), dtype);
        for which in 0..row.expr().partials.len() {
            let out = Both::zeros(gpu, &[n], dtype);
            let what = format!("{} by {which} of {dtype}", row.name());
            let compute = dtype.compute();
            let cpu = Cpu.elementwise_vjp(
                row,
                which,
                compute,
                &cpu_operands(&arrays),
                Operand::Array(y.on_cpu()),
                Operand::Array(g.on_cpu()),
                out.out_cpu(),
            );
            let on_gpu = gpu.elementwise_vjp(
                row,
                which,
                compute,
                &gpu_operands(&arrays),
                Operand::Array(y.on_gpu()),
                Operand::Array(g.on_gpu()),
                out.out_gpu(),
            );
            match (&cpu, &on_gpu) {
                (Ok(()), Ok(())) => {
                    found.compare(&what, &out, slack_of(dtype, partial_slack(row, dtype)), 0.0, false, &arrays)
                }
                (Err(a), Err(b)) if (a.kind(), a.message()) == (b.kind(), b.message()) => {}
                _ => found.note(format!("{what}: {cpu:?} on the CPU, {on_gpu:?} on the GPU")),
            }
        }
    }
}

#[test]
fn partials_in_f32() {
    check_partials(DType::F32);
}

#[test]
fn partials_in_f64() {
    check_partials(DType::F64);
}

#[test]
fn values_in_f32() {
    check_values(&[DType::F32]);
}

#[test]
fn values_in_f64() {
    check_values(&[DType::F64]);
}

#[test]
fn values_in_integers() {
    check_values(&[DType::I64, DType::I32, DType::I16, DType::I8, DType::U8, DType::Bool]);
}

#[test]
fn values_in_halves() {
    check_values(&[DType::F16, DType::BF16]);
}
