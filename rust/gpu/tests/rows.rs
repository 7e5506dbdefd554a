//! Every row of the table and every partial against the CPU: in every dtype the row admits, in layouts of all kinds, and
//! where floats end.

#[path = "rows/judge.rs"]
mod judge;
mod support;

use judge::*;
use support::{bytes, gpu, has, Both, Draw};
use wengert_cpu::Cpu;
use wengert_ops::{Backend, DType, Layout, Operand, Row, Scalar};

fn check_values(dtypes: &[DType]) {
    let Some(gpu) = gpu() else { return };
    let n = 41;
    let mut found = Findings::default();
    for &row in Row::ALL {
        let mut draw = Draw(row as u64 + 1);
        for &dtype in dtypes.iter().filter(|d| admits(row, **d) && has(gpu, **d)) {
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
    let Some(gpu) = gpu().filter(|gpu| has(*gpu, dtype)) else { return };
    let mut found = Findings::default();
    let points = specials(dtype);
    let n = points.len();
    let highest = if dtype == DType::F32 { 30.0 } else { 150.0 };
    for &row in Row::ALL.iter().filter(|r| admits(**r, dtype)) {
        // All pairs; a third operand and more from the domain's middle.
        let columns = |k: usize| -> Vec<f64> {
            let (low, high) = row.info().domain[k];
            (0..n * n)
                .map(|i| match k {
                    // The CPU's overflow at half the largest number.
                    0 if matches!(row, Row::Asinh | Row::Acosh) => points[i / n].clamp(-1e38, 1e38),
                    // Of so high an order only infinities and NaN are left, by where they cancel.
                    0 if row == Row::Polygamma && points[i / n].abs() > highest => 4.0,
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
            let smallest = smallest(dtype);
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
    let Some(gpu) = gpu().filter(|gpu| has(*gpu, dtype)) else { return };
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
            let smallest = smallest(dtype);
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
    let Some(gpu) = gpu().filter(|gpu| has(*gpu, dtype)) else { return };
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

/// Rows that refuse integer divisors of zero.
fn divides(row: Row) -> bool {
    matches!(row, Row::Remainder | Row::Fmod | Row::FloorDivide | Row::TruncDivide)
}

/// Where integers end: all pairs of these, as they fit.
#[test]
fn integers_at_their_ends() {
    let Some(gpu) = gpu() else { return };
    let mut found = Findings::default();
    const POINTS: [i64; 30] = [
        0,
        1,
        -1,
        2,
        -2,
        3,
        -3,
        5,
        7,
        10,
        -10,
        31,
        32,
        63,
        64,
        127,
        -128,
        255,
        32767,
        -32768,
        65536,
        65537,
        1 << 31,
        -(1 << 31),
        (1 << 32) + 1,
        -(1 << 33),
        6_000_000_007,
        1 << 62,
        i64::MAX,
        i64::MIN,
    ];
    for dtype in [DType::I64, DType::I32, DType::I16, DType::U8] {
        let points: Vec<i64> = POINTS
            .into_iter()
            .filter(|&p| match dtype {
                DType::I64 => true,
                DType::I32 => i32::try_from(p).is_ok(),
                DType::I16 => i16::try_from(p).is_ok(),
                _ => u8::try_from(p).is_ok(),
            })
            .collect();
        let n = points.len();
        let array = |numbers: Vec<i64>| {
            let raw: Vec<u8> = numbers.iter().flat_map(|v| v.to_ne_bytes()[..dtype.size()].to_owned()).collect();
            Both::new(gpu, &raw, Layout::contiguous(&[numbers.len()]), dtype)
        };
        for &row in Row::ALL.iter().filter(|r| admits(**r, dtype) && r.arity() <= 2 && !divides(**r)) {
            let second = |q: i64| if row == Row::Pow { q & 127 } else { q };
            let arrays = [
                array((0..n * n).map(|i| points[i / n]).collect()),
                array((0..n * n).map(|i| second(points[i % n])).collect()),
            ];
            let out = Both::zeros(gpu, &[n * n], result_dtype(row, dtype));
            let what = format!("{} of {dtype}", row.name());
            if run(&mut found, gpu, row, &what, &arrays[..row.arity()], &out) {
                found.same_bytes(&what, &out);
            }
        }
        // One kernel for all divisors that are numbers.
        let x = array(points.clone());
        for &row in Row::ALL.iter().filter(|r| divides(**r)) {
            for &divisor in &points {
                let out = Both::zeros(gpu, &[n], dtype);
                let number = Scalar::Int(divisor);
                let cpu = Cpu.elementwise(
                    row,
                    dtype.compute(),
                    &[Operand::Array(x.on_cpu()), Operand::Scalar(number)],
                    out.out_cpu(),
                );
                let on_gpu = gpu.elementwise(
                    row,
                    dtype.compute(),
                    &[Operand::Array(x.on_gpu()), Operand::Scalar(number)],
                    out.out_gpu(),
                );
                let what = format!("{} of {dtype} by {divisor}", row.name());
                support::agree(&what, cpu, on_gpu);
                found.same_bytes(&what, &out);
            }
        }
    }
}

#[test]
fn errors_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    let x = Both::of(gpu, &[1.0, 2.0], &[2], DType::I32);
    let out = Both::zeros(gpu, &[2], DType::I32);
    for (row, number) in
        [(Row::Remainder, 0), (Row::Fmod, 0), (Row::FloorDivide, 0), (Row::TruncDivide, 0), (Row::Pow, -1)]
    {
        let number = Scalar::Int(number);
        let cpu = Cpu.elementwise(
            row,
            DType::I32.compute(),
            &[Operand::Array(x.on_cpu()), Operand::Scalar(number)],
            out.out_cpu(),
        );
        assert!(cpu.is_err(), "{}", row.name());
        let on_gpu = gpu.elementwise(
            row,
            DType::I32.compute(),
            &[Operand::Array(x.on_gpu()), Operand::Scalar(number)],
            out.out_gpu(),
        );
        support::agree(row.name(), cpu, on_gpu);
    }
    let zeros = Both::of(gpu, &[1.0, 0.0], &[2], DType::I32);
    for row in [Row::Remainder, Row::Fmod, Row::FloorDivide, Row::TruncDivide] {
        let cpu = Cpu.elementwise(row, DType::I32.compute(), &cpu_operands(&[&x, &zeros]), out.out_cpu());
        assert!(cpu.is_err(), "{}", row.name());
        let on_gpu = gpu.elementwise(row, DType::I32.compute(), &gpu_operands(&[&x, &zeros]), out.out_gpu());
        support::agree(row.name(), cpu, on_gpu);
    }
    let floats = Both::of(gpu, &[1.0, 2.0], &[2], DType::F32);
    for row in [Row::Heaviside, Row::Nextafter] {
        for which in 0..2 {
            let out = Both::zeros(gpu, &[2], DType::F32);
            let (a, b) = (Operand::Array(floats.on_cpu()), Operand::Array(floats.on_gpu()));
            let cpu = Cpu.elementwise_vjp(row, which, DType::F32.compute(), &[a, a], a, a, out.out_cpu());
            let on_gpu = gpu.elementwise_vjp(row, which, DType::F32.compute(), &[b, b], b, b, out.out_gpu());
            support::agree(row.name(), cpu, on_gpu);
        }
    }
}

/// Drivers would like `x == x` to be true.
#[test]
fn comparisons_of_an_array_with_itself() {
    let Some(gpu) = gpu() else { return };
    let mut found = Findings::default();
    let points = [f64::NAN, 1.0, f64::INFINITY, 0.0, -0.0, f64::NEG_INFINITY];
    for dtype in [DType::F32, DType::F16, DType::F64].into_iter().filter(|d| has(gpu, *d)) {
        for row in [Row::Eq, Row::Ne, Row::Lt, Row::Le, Row::Gt, Row::Ge, Row::Sub, Row::Div, Row::Maximum, Row::Fmax] {
            let x = Both::of(gpu, &points, &[6], dtype);
            let out = Both::zeros(gpu, &[6], result_dtype(row, dtype));
            let what = format!("{} of {dtype} with itself", row.name());
            if run(&mut found, gpu, row, &what, &[&x, &x], &out) {
                found.compare(&what, &out, Slack(0.0, 0.0), 0.0, false, &[&x]);
            }
        }
    }
}

/// Every row once with operands of every kind: the first strided and also the result, the second broadcast, others numbers.
#[test]
fn operands_of_every_kind_in_place() {
    let Some(gpu) = gpu() else { return };
    let mut found = Findings::default();
    const DTYPES: [DType; 9] =
        [DType::F32, DType::I64, DType::F16, DType::U8, DType::F64, DType::I16, DType::BF16, DType::I32, DType::I8];
    for &row in Row::ALL {
        let mut draw = Draw(row as u64 + 77);
        let at = row as usize % DTYPES.len();
        let Some(&dtype) = DTYPES[at..].iter().chain(&DTYPES).find(|d| admits(row, **d) && has(gpu, **d)) else {
            panic!("{} admits nothing", row.name());
        };
        let compute = dtype.compute();
        let (rows, columns) = (5, 7);
        // Transposed, every second column, from the fourth element on.
        let layout = Layout::strided([rows, columns].into_iter().collect(), [1, 12].into_iter().collect(), 3);
        let first = column(&mut draw, row, 0, dtype, 120);
        let x = Both::new(gpu, &bytes(&first, dtype), layout.clone(), dtype);
        let broadcast = Layout::strided([rows, columns].into_iter().collect(), [0, 2].into_iter().collect(), 1);
        let second = (row.arity() > 1).then(|| {
            let numbers = column(&mut draw, row, 1, dtype, 20);
            Both::new(gpu, &bytes(&numbers, dtype), broadcast, dtype)
        });
        let numbers: Vec<Scalar> = (0..row.arity())
            .map(|k| match column(&mut draw, row, k, dtype, 1)[0] {
                v if dtype.is_float() => Scalar::Float(v),
                v => Scalar::Int(v as i64),
            })
            .collect();
        let truth = row.is_truth();
        let fresh = Both::new(gpu, &[0; 120], layout, DType::Bool);
        let out = if truth { &fresh } else { &x };
        let mut cpu = vec![Operand::Array(x.on_cpu())];
        let mut on_gpu = vec![Operand::Array(x.on_gpu())];
        for (k, number) in numbers.iter().enumerate().skip(1) {
            match &second {
                Some(second) if k == 1 => {
                    cpu.push(Operand::Array(second.on_cpu()));
                    on_gpu.push(Operand::Array(second.on_gpu()));
                }
                _ => {
                    cpu.push(Operand::Scalar(*number));
                    on_gpu.push(Operand::Scalar(*number));
                }
            }
        }
        let what = format!("{} of {dtype} in place", row.name());
        let cpu = Cpu.elementwise(row, compute, &cpu, out.out_cpu());
        let on_gpu = gpu.elementwise(row, compute, &on_gpu, out.out_gpu());
        match (&cpu, &on_gpu) {
            (Ok(()), Ok(())) => found.compare(&what, out, slack_of(out.dtype, slack(row, dtype)), 0.0, false, &[&x]),
            _ => found.note(format!("{what}: {cpu:?} on the CPU, {on_gpu:?} on the GPU")),
        }
    }
}

#[test]
fn values_in_halves() {
    check_values(&[DType::F16, DType::BF16]);
}
