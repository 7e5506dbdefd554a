//! Every row of the table and every partial against the CPU: in every dtype the row admits, in layouts of all kinds, and
//! where floats end.

mod support;

use smallvec::SmallVec;
use support::{agree, bytes, gpu, numbers, Both, Draw};
use wengert_cpu::Cpu;
use wengert_gpu::Gpu;
use wengert_ops::rows::Class;
use wengert_ops::{Backend, DType, Operand, Row};

/// Ulps of f32 and of f64 that a value may be off: 4 unless there is a reason.
fn ulps(_row: Row) -> (f64, f64) {
    (4.0, 4.0)
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

/// What may differ in a dtype: halves are rounded from f32, and may fall to the other side.
fn tolerance(dtype: DType, (single, double): (f64, f64)) -> f64 {
    match dtype {
        DType::F32 => single,
        DType::F64 => double,
        DType::F16 | DType::BF16 => 1.0,
        _ => 0.0,
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

    /// Compares two results: the same up to `ulps`, NaN with NaN, zeros with their signs where `signs` says so.
    fn compare(&mut self, what: &str, out: &Both, ulps: f64, absolute: f64, signs: bool, inputs: &[Both]) {
        let (a, b) = out.contents();
        let (a, b) = (numbers(&a, out.dtype), numbers(&b, out.dtype));
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
                found.compare(&what, &out, tolerance(out.dtype, ulps(row)), 0.0, false, &arrays);
            }
        }
    }
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
