//! How near to the CPU a row must come on the GPU, and what is found otherwise.

use crate::support::{numbers, Both, Draw};
use std::borrow::Borrow;
use wengert_cpu::Cpu;
use wengert_gpu::Gpu;
use wengert_ops::rows::Class;
use wengert_ops::{Backend, DType, Operand, Row};

/// How far a value may be off: so many ulps, and so much beside them in units of the type's epsilon.
#[derive(Clone, Copy)]
pub struct Slack(pub f64, pub f64);

/// 4 ulps unless there is a reason.
pub fn slack(row: Row, dtype: DType) -> Slack {
    let double = dtype == DType::F64;
    match row {
        // Zeros between the poles, where the CPU has computed in f64 or with more digits.
        // The CPU's tangent of nearly π; of polygamma the order 0 is that.
        Row::Digamma if double => Slack(4096.0, 64.0),
        Row::Lgamma | Row::Digamma => Slack(4.0, if double { 64.0 } else { 16.0 }),
        // Terms of both signs below zero, of which the CPU loses none in f64.
        Row::Polygamma => Slack(if double { 4096.0 } else { 4.0 }, 1024.0),
        // Sums that cancel, of terms near 1.
        Row::Logaddexp | Row::Logaddexp2 => Slack(4.0, 1.5),
        // The same, times half the argument.
        Row::Gelu | Row::GeluTanh => Slack(4.0, 4.0),
        // The CPU's own formula of negative numbers near -1.
        Row::Atanh => Slack(128.0, 0.0),
        Row::Acosh => Slack(6.0, 0.0),
        Row::Celu if double => Slack(6.0, 0.0),
        _ => Slack(4.0, 0.0),
    }
}

/// Less than this may be lost: subnormals, and of f64 what 1 / (1 + exp(-x)) has lost on the CPU.
pub fn smallest(dtype: DType) -> f64 {
    if dtype == DType::F32 {
        1.3e-38
    } else {
        1e-305
    }
}

/// As [`slack`], of the partials.
pub fn partial_slack(row: Row, _dtype: DType) -> Slack {
    match row {
        Row::Lgamma => Slack(8.0, 4.0),
        // By its `beta`: terms that cancel.
        Row::Softplus => Slack(16.0, 1.0),
        // Terms of about 1 cancel near the roots of these.
        Row::Gelu | Row::GeluTanh | Row::Mish | Row::Silu | Row::Celu => Slack(12.0, 1.0),
        _ => Slack(8.0, 0.0),
    }
}

pub fn admits(row: Row, dtype: DType) -> bool {
    match row.info().class {
        Class::Float => dtype.is_float(),
        Class::Bit => !dtype.is_float() && row.info().class.result(dtype, DType::F32, row).is_ok(),
        class => class.result(dtype, DType::F32, row).is_ok(),
    }
}

/// Numbers for operand `k`, from the row's domain; integers from a wider one, divisors and exponents positive.
pub fn column(draw: &mut Draw, row: Row, k: usize, dtype: DType, n: usize) -> Vec<f64> {
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

pub fn cpu_operands(arrays: &[impl Borrow<Both>]) -> Vec<Operand<'_, wengert_cpu::Buffer>> {
    arrays.iter().map(|a| Operand::Array(a.borrow().on_cpu())).collect()
}

pub fn gpu_operands(arrays: &[impl Borrow<Both>]) -> Vec<Operand<'_, wengert_gpu::Buffer>> {
    arrays.iter().map(|a| Operand::Array(a.borrow().on_gpu())).collect()
}

/// Of halves, which are rounded from f32: they may fall to the other side.
pub fn slack_of(dtype: DType, slack: Slack) -> Slack {
    match dtype {
        DType::F32 | DType::F64 => slack,
        DType::F16 | DType::BF16 => Slack(1.0, slack.1 * f64::from(f32::EPSILON) / epsilon(dtype)),
        _ => Slack(0.0, 0.0),
    }
}

pub fn epsilon(dtype: DType) -> f64 {
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
pub struct Findings(pub Vec<String>);

impl Findings {
    pub fn note(&mut self, text: String) {
        self.0.push(text);
    }

    /// Compares two results: the same up to `slack` and `smallest`, NaN with NaN, zeros with their signs where `signs` says so.
    pub fn compare(
        &mut self,
        what: &str,
        out: &Both,
        slack: Slack,
        smallest: f64,
        signs: bool,
        inputs: &[impl Borrow<Both>],
    ) {
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
                .map(|x| x.borrow())
                .filter(|x| x.layout.is_contiguous() && x.layout.numel() == a.len())
                .map(|x| numbers(&x.contents().0, x.dtype)[i])
                .collect();
            self.note(format!("{what}: {off:.1} ulps: {:e} on the CPU, {:e} on the GPU, at {i}: {at:?}", a[i], b[i]));
        }
    }
}

impl Findings {
    /// Integers as wide as numbers in f64 are not.
    pub fn same_bytes(&mut self, what: &str, out: &Both) {
        let (a, b) = out.contents();
        let size = out.dtype.size();
        if let Some(i) = (0..a.len() / size).find(|i| a[i * size..][..size] != b[i * size..][..size]) {
            let (a, b) = (&a[i * size..][..size], &b[i * size..][..size]);
            self.note(format!("{what}: {a:?} on the CPU, {b:?} on the GPU, at {i}"));
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

pub fn result_dtype(row: Row, dtype: DType) -> DType {
    if row.is_truth() {
        DType::Bool
    } else {
        dtype
    }
}

/// Both backends' `row`; `false` where one has failed, which is noted unless both say the same.
pub fn run(found: &mut Findings, gpu: Gpu, row: Row, what: &str, arrays: &[impl Borrow<Both>], out: &Both) -> bool {
    let compute = arrays[0].borrow().dtype.compute();
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
