//! Kernels against the table's f64 reading, movers against naive indexing.

use half::{bf16, f16};
use wengert_cpu::elementwise::{elementwise, elementwise_vjp_with, elementwise_with, Isa};
use wengert_cpu::{copy, Buffer};
use wengert_ops::rows::Class;
use wengert_ops::{Compute, DType, Dims, Layout, Operand, Row, Scalar, Strides, View, ViewMut};

struct Draw(u64);

impl Draw {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }
}

/// An array with its own buffer.
struct Array {
    buffer: Buffer,
    layout: Layout,
    dtype: DType,
}

fn set(bytes: &mut [u8], dtype: DType, i: usize, v: f64) {
    let at = &mut bytes[i * dtype.size()..][..dtype.size()];
    match dtype {
        DType::Bool => at.copy_from_slice(&[(v != 0.0) as u8]),
        DType::U8 => at.copy_from_slice(&(v as i64 as u8).to_ne_bytes()),
        DType::I8 => at.copy_from_slice(&(v as i64 as i8).to_ne_bytes()),
        DType::I16 => at.copy_from_slice(&(v as i64 as i16).to_ne_bytes()),
        DType::I32 => at.copy_from_slice(&(v as i64 as i32).to_ne_bytes()),
        DType::I64 => at.copy_from_slice(&(v as i64).to_ne_bytes()),
        DType::F16 => at.copy_from_slice(&f16::from_f64(v).to_ne_bytes()),
        DType::BF16 => at.copy_from_slice(&bf16::from_f64(v).to_ne_bytes()),
        DType::F32 => at.copy_from_slice(&(v as f32).to_ne_bytes()),
        DType::F64 => at.copy_from_slice(&v.to_ne_bytes()),
    }
}

fn get(bytes: &[u8], dtype: DType, i: usize) -> f64 {
    let at = &bytes[i * dtype.size()..][..dtype.size()];
    match dtype {
        DType::Bool => (at[0] != 0) as u8 as f64,
        DType::U8 => at[0] as f64,
        DType::I8 => at[0] as i8 as f64,
        DType::I16 => i16::from_ne_bytes(at.try_into().unwrap()) as f64,
        DType::I32 => i32::from_ne_bytes(at.try_into().unwrap()) as f64,
        DType::I64 => i64::from_ne_bytes(at.try_into().unwrap()) as f64,
        DType::F16 => f16::from_ne_bytes(at.try_into().unwrap()).to_f64(),
        DType::BF16 => bf16::from_ne_bytes(at.try_into().unwrap()).to_f64(),
        DType::F32 => f32::from_ne_bytes(at.try_into().unwrap()) as f64,
        DType::F64 => f64::from_ne_bytes(at.try_into().unwrap()),
    }
}

/// Positions of a layout's elements in row-major order, the naive way.
fn positions(layout: &Layout) -> Vec<usize> {
    let shape = layout.shape();
    (0..layout.numel())
        .map(|number| {
            let (mut rest, mut position) = (number, layout.offset() as isize);
            for d in (0..shape.len()).rev() {
                position += (rest % shape[d]) as isize * layout.strides()[d];
                rest /= shape[d];
            }
            position as usize
        })
        .collect()
}

impl Array {
    fn new(layout: Layout, dtype: DType, mut value: impl FnMut(usize) -> f64) -> Array {
        let mut bytes = vec![0u8; layout.span().1.max(1) * dtype.size()];
        for (i, p) in positions(&layout).into_iter().enumerate() {
            set(&mut bytes, dtype, p, value(i));
        }
        Array { buffer: Buffer::from_bytes(&bytes).unwrap(), layout, dtype }
    }
    fn flat(dtype: DType, values: &[f64]) -> Array {
        Array::new(Layout::contiguous(&[values.len()]), dtype, |i| values[i])
    }
    fn view(&self) -> View<'_, Buffer> {
        View { buffer: &self.buffer, layout: &self.layout, dtype: self.dtype }
    }
    fn operand(&self) -> Operand<'_, Buffer> {
        Operand::Array(self.view())
    }
    fn out(&self) -> ViewMut<'_, Buffer> {
        // SAFETY: tests use an array from one thread, in one call at a time.
        unsafe { ViewMut::new(&self.buffer, &self.layout, self.dtype) }
    }
    fn values(&self) -> Vec<f64> {
        // SAFETY: nobody writes now.
        let bytes = unsafe { self.buffer.slice::<u8>() };
        positions(&self.layout).into_iter().map(|p| get(bytes, self.dtype, p)).collect()
    }
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * b.abs().max(1.0)
}

fn instruction_sets() -> Vec<Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.available()).collect()
}

#[test]
fn every_kernel_gives_the_tables_value() {
    let mut draw = Draw(1);
    let n = 37;
    for isa in instruction_sets() {
        for &row in Row::ALL {
            let info = row.info();
            for dtype in [DType::F32, DType::F64, DType::I64] {
                let float = dtype.is_float();
                if (float && info.class == Class::Bit) || (!float && info.class == Class::Float) {
                    continue;
                }
                let columns: Vec<Vec<f64>> = (info.domain.iter().enumerate())
                    .map(|(k, &(lo, hi))| {
                        let pick = |_| match lo + (hi - lo) * draw.unit() {
                            v if float => v as f32 as f64,
                            // Divisors and exponents stay positive.
                            v if k == 1 && info.class == Class::Arith => (v * 3.0).trunc().abs() + 1.0,
                            v => (v * 3.0).trunc() + 0.0,
                        };
                        (0..n).map(pick).collect()
                    })
                    .collect();
                let arrays: Vec<Array> = columns.iter().map(|c| Array::flat(dtype, c)).collect();
                let inputs: Vec<Operand<Buffer>> = arrays.iter().map(|a| a.operand()).collect();
                let out = Array::flat(if row.is_truth() { DType::Bool } else { dtype }, &vec![0.0; n]);
                elementwise_with(isa, row, dtype.compute(), &inputs, out.out()).unwrap();
                let tolerance = if dtype == DType::F32 { 1e-5 } else { 1e-13 };
                let result = out.values();
                for i in 0..n {
                    let x: Vec<f64> = columns.iter().map(|c| c[i]).collect();
                    let mut expected = row.eval(&x);
                    if !float {
                        expected = expected.trunc();
                    }
                    // A neighbour in f32 is not one in f64.
                    let tolerance = if row == Row::Nextafter { 1e-6 } else { tolerance };
                    assert!(
                        close(result[i], expected, tolerance),
                        "{isa:?} {row:?} {dtype} {x:?}: {} not {expected}",
                        result[i]
                    );
                }
                if !float || !info.differentiable {
                    continue;
                }
                let g = Array::new(Layout::contiguous(&[n]), dtype, |i| i as f64 / 8.0 - 1.5);
                for (which, partial) in row.expr().partials.iter().enumerate() {
                    let grad = Array::flat(dtype, &vec![0.0; n]);
                    let (y, g) = (out.operand(), g.operand());
                    elementwise_vjp_with(isa, row, which, dtype.compute(), &inputs, y, g, grad.out()).unwrap();
                    for (i, got) in grad.values().into_iter().enumerate() {
                        let x: Vec<f64> = columns.iter().map(|c| c[i]).collect();
                        let (p, g) = (partial.eval(&x, result[i]), i as f64 / 8.0 - 1.5);
                        let expected = if p == 0.0 { 0.0 } else { g * p };
                        let kink = info.kinks.is_some_and(|k| k(&x).abs() < 1e-4);
                        assert!(
                            kink || close(got, expected, 50.0 * tolerance),
                            "{isa:?} {row:?} by {which} {dtype} {x:?}: {got} not {expected}"
                        );
                    }
                }
            }
        }
    }
}

/// A layout of the shape, of one of the kinds that views make.
fn layout(shape: &[usize], kind: usize) -> Layout {
    let rank = shape.len();
    let mut strides: Strides = wengert_ops::layout::contiguous_strides(shape);
    let mut offset = 3;
    match kind {
        0 => offset = 0,
        // Transposed.
        1 => {
            let reversed: Vec<usize> = shape.iter().rev().copied().collect();
            strides = wengert_ops::layout::contiguous_strides(&reversed).into_iter().rev().collect();
        }
        // Every second element.
        2 => strides.iter_mut().for_each(|s| *s *= 2),
        // Backwards along the last dim, or the first.
        3 | 4 => {
            if let Some(d) = if kind == 3 { rank.checked_sub(1) } else { (rank > 0).then_some(0) } {
                offset += strides[d].unsigned_abs() * shape[d].saturating_sub(1);
                strides[d] = -strides[d];
            }
        }
        // Repeated along the last dim, or the first.
        5 | 6 => {
            if let Some(d) = if kind == 5 { rank.checked_sub(1) } else { (rank > 0).then_some(0) } {
                strides[d] = 0;
            }
        }
        // Columns of a wider matrix.
        _ => {
            let mut wider = shape.to_vec();
            wider.iter_mut().last().into_iter().for_each(|n| *n += 5);
            strides = wengert_ops::layout::contiguous_strides(&wider);
        }
    }
    Layout::strided(Dims::from_slice(shape), strides, offset)
}

const SHAPES: [&[usize]; 14] = [
    &[],
    &[1],
    &[0],
    &[4],
    &[5, 0, 2],
    &[3, 4],
    &[7, 130],
    &[2, 3, 5],
    &[600, 3],
    &[3, 700],
    &[2, 1025, 2],
    &[4, 1, 6, 5],
    &[2, 2, 2, 2, 2, 3],
    &[1, 2500],
];

#[test]
fn movers_agree_with_naive_indexing() {
    let mut draw = Draw(2);
    for shape in SHAPES {
        for round in 0..40 {
            let numel: usize = shape.iter().product();
            let dtypes: Vec<DType> = (0..3).map(|_| DType::ALL[draw.below(10)]).collect();
            let pick = |draw: &mut Draw| (0..numel).map(|_| draw.below(7) as f64).collect::<Vec<f64>>();
            let (va, vb) = (pick(&mut draw), pick(&mut draw));
            let a = Array::new(layout(shape, draw.below(8)), dtypes[0], |i| va[i]);
            let b = Array::new(layout(shape, draw.below(8)), dtypes[1], |i| vb[i]);
            let out_kind = [0, 1, 2, 3, 4, 7][draw.below(6)];
            let out = Array::new(layout(shape, out_kind), dtypes[2], |_| 1.0);
            let compute = [Compute::F32, Compute::F64, Compute::I64][round % 3];
            let alpha = 2.0;
            // Repeated elements hold what was written last.
            let (xa, xb) = (a.values(), b.values());
            let inputs = [a.operand(), b.operand(), Operand::Scalar(Scalar::Float(alpha))];
            elementwise(Row::AddScaled, compute, &inputs, out.out()).unwrap();
            for (i, got) in out.values().into_iter().enumerate() {
                let exact = xa[i] + alpha * xb[i];
                let expected = if dtypes[2] == DType::Bool { (exact != 0.0) as u8 as f64 } else { exact };
                assert_eq!(got, expected, "{shape:?} {dtypes:?} {:?} {:?} {out_kind} at {i}", a.layout, b.layout);
            }
            elementwise(Row::Lt, compute, &inputs[..2], out.out()).unwrap();
            for (i, got) in out.values().into_iter().enumerate() {
                assert_eq!(got, (xa[i] < xb[i]) as u8 as f64, "{shape:?} {dtypes:?}");
            }
        }
    }
}

#[test]
fn gradients_through_every_mover() {
    let mut draw = Draw(3);
    for shape in SHAPES {
        for _ in 0..10 {
            let x = Array::new(layout(shape, draw.below(8)), DType::F32, |i| (i % 5) as f64);
            let g = Array::new(layout(shape, draw.below(8)), DType::BF16, |i| (i % 3) as f64);
            let out = Array::new(layout(shape, 1), DType::F64, |_| 9.0);
            let none = Operand::Scalar(Scalar::Int(0));
            elementwise_vjp_with(
                Isa::current(),
                Row::Mul,
                1,
                Compute::F32,
                &[x.operand(), none],
                none,
                g.operand(),
                out.out(),
            )
            .unwrap();
            let (x, g) = (x.values(), g.values());
            for (i, got) in out.values().into_iter().enumerate() {
                assert_eq!(got, x[i] * g[i]);
            }
        }
    }
}

#[test]
fn outputs_may_be_inputs() {
    for n in [1, 4, 31, 33, 5000, 300_000] {
        for dtype in [DType::F32, DType::I16, DType::F16] {
            let x = Array::new(Layout::contiguous(&[n]), dtype, |i| (i % 50) as f64);
            let y = Array::new(Layout::contiguous(&[n]), DType::F32, |_| 2.0);
            elementwise(Row::Mul, Compute::F32, &[x.operand(), y.operand()], x.out()).unwrap();
            assert!(x.values().iter().enumerate().all(|(i, v)| *v == (i % 50) as f64 * 2.0), "{n} {dtype}");
            elementwise(Row::Add, Compute::F32, &[x.operand(), x.operand()], x.out()).unwrap();
            assert!(x.values().iter().enumerate().all(|(i, v)| *v == (i % 50) as f64 * 4.0), "{n} {dtype}");
        }
    }
    let x = Array::new(layout(&[300, 400], 1), DType::F32, |i| (i % 7) as f64);
    elementwise(Row::Square, Compute::F32, &[x.operand()], x.out()).unwrap();
    assert!(x.values().iter().enumerate().all(|(i, v)| *v == ((i % 7) * (i % 7)) as f64));
}

#[test]
fn many_elements_on_several_threads() {
    for shape in [&[700_001][..], &[900, 701], &[200_000, 3], &[3, 200_000]] {
        for (ka, kb, ko) in [(0, 0, 0), (1, 5, 0), (5, 0, 0), (5, 7, 7), (6, 3, 1), (7, 2, 7)] {
            let a = Array::new(layout(shape, ka), DType::F32, |i| (i % 1000) as f64);
            let b = Array::new(layout(shape, kb), DType::I32, |i| (i % 77) as f64);
            let out = Array::new(layout(shape, ko), DType::F32, |_| 0.0);
            elementwise(Row::Sub, Compute::F32, &[a.operand(), b.operand()], out.out()).unwrap();
            let (a, b) = (a.values(), b.values());
            assert!(out.values().iter().enumerate().all(|(i, v)| *v == a[i] - b[i]), "{shape:?} {ka} {kb} {ko}");
        }
    }
}

#[test]
fn integers_wrap_and_refuse_zero_divisors() {
    let a = Array::flat(DType::I8, &[127.0, -128.0, 5.0]);
    let out = Array::flat(DType::I8, &[0.0; 3]);
    let two = Operand::Scalar(Scalar::Int(2));
    elementwise(Row::Add, Compute::I64, &[a.operand(), two], out.out()).unwrap();
    assert_eq!(out.values(), [-127.0, -126.0, 7.0]);
    elementwise(Row::FloorDivide, Compute::I64, &[a.operand(), Operand::Scalar(Scalar::Int(-1))], out.out()).unwrap();
    assert_eq!(out.values(), [-127.0, -128.0, -5.0]);
    let divisors = Array::new(layout(&[3], 2), DType::I32, |i| i as f64);
    for row in [Row::FloorDivide, Row::TruncDivide, Row::Remainder, Row::Fmod] {
        for zero in [Operand::Scalar(Scalar::Int(0)), divisors.operand()] {
            let error = elementwise(row, Compute::I64, &[a.operand(), zero], out.out()).unwrap_err();
            assert!(error.message().starts_with("ZeroDivisionError"), "{error}");
        }
    }
    assert_eq!(out.values(), [-127.0, -128.0, -5.0]);
    let error = elementwise(Row::Pow, Compute::I64, &[a.operand(), Operand::Scalar(Scalar::Int(-1))], out.out());
    assert!(error.unwrap_err().message().contains("negative integer powers"));
    let minimum = Array::flat(DType::I64, &[i64::MIN as f64]);
    let out = Array::flat(DType::I64, &[0.0]);
    elementwise(Row::TruncDivide, Compute::I64, &[minimum.operand(), Operand::Scalar(Scalar::Int(-1))], out.out())
        .unwrap();
    assert_eq!(out.values(), [i64::MIN as f64]);
    let truth = Array::flat(DType::Bool, &[1.0, 0.0]);
    let out = Array::flat(DType::Bool, &[0.0; 2]);
    elementwise(Row::BitwiseNot, Compute::I64, &[truth.operand()], out.out()).unwrap();
    assert_eq!(out.values(), [0.0, 1.0]);
}

#[test]
fn nan_and_infinity_travel_as_in_pytorch() {
    let nan = f64::NAN;
    let x = Array::flat(DType::F32, &[nan, 1.0, -1.0, f64::INFINITY]);
    let one = Array::flat(DType::F32, &[1.0, nan, 0.0, nan]);
    let out = Array::flat(DType::F32, &[0.0; 4]);
    for isa in instruction_sets() {
        elementwise_with(isa, Row::Maximum, Compute::F32, &[x.operand(), one.operand()], out.out()).unwrap();
        let v = out.values();
        assert!(v[0].is_nan() && v[1].is_nan() && v[2] == 0.0 && v[3].is_nan(), "{v:?}");
        elementwise_with(isa, Row::Relu, Compute::F32, &[x.operand()], out.out()).unwrap();
        let v = out.values();
        assert!(v[0].is_nan() && v[1..] == [1.0, 0.0, f64::INFINITY], "{v:?}");
        // A stopped gradient is 0 even where it is not a number.
        let (y, g) = (out.operand(), one.operand());
        let gx = Array::flat(DType::F32, &[5.0; 4]);
        elementwise_vjp_with(isa, Row::Relu, 0, Compute::F32, &[x.operand()], y, g, gx.out()).unwrap();
        let v = gx.values();
        assert!(v[0] == 1.0 && v[1].is_nan() && v[2] == 0.0 && v[3].is_nan(), "{v:?}");
    }
    let error = elementwise_vjp_with(
        Isa::current(),
        Row::Heaviside,
        0,
        Compute::F32,
        &[x.operand(), one.operand()],
        x.operand(),
        x.operand(),
        out.out(),
    );
    assert!(error.unwrap_err().message().contains("derivative for 'heaviside'"));
}

#[test]
fn copies_convert_between_all_dtypes_and_layouts() {
    let mut draw = Draw(4);
    for shape in SHAPES {
        for from in DType::ALL {
            for to in DType::ALL {
                let src = Array::new(layout(shape, draw.below(8)), from, |i| (i % 9) as f64);
                let dst = Array::new(layout(shape, [0, 1, 2, 3, 4, 7][draw.below(6)]), to, |_| 1.0);
                copy::copy(src.view(), dst.out()).unwrap();
                let cut = |v: f64| if to == DType::Bool { (v != 0.0) as u8 as f64 } else { v };
                let expected: Vec<f64> = src.values().into_iter().map(cut).collect();
                assert_eq!(dst.values(), expected, "{shape:?} {from} {to} {:?} {:?}", src.layout, dst.layout);
                let five = Scalar::Float(5.0);
                copy::fill(five, dst.out()).unwrap();
                assert!(dst.values().iter().all(|&v| v == cut(5.0)));
            }
        }
    }
}

#[test]
fn transposed_copies_of_all_widths() {
    for dtype in [DType::U8, DType::F16, DType::F32, DType::I64] {
        for shape in [&[3, 257][..], &[64, 8], &[129, 40], &[200, 331], &[2, 65, 70], &[700, 601]] {
            for (from, to) in [(1, 0), (0, 1), (1, 1)] {
                let src = Array::new(layout(shape, from), dtype, |i| (i * 7 % 120) as f64);
                let dst = Array::new(layout(shape, to), dtype, |_| 1.0);
                copy::copy(src.view(), dst.out()).unwrap();
                assert_eq!(dst.values(), src.values(), "{shape:?} {dtype} {from} {to}");
                elementwise(Row::Copy, dtype.compute(), &[src.operand()], dst.out()).unwrap();
                assert_eq!(dst.values(), src.values(), "{shape:?} {dtype} {from} {to}");
            }
        }
    }
}

#[test]
fn angles_near_and_far_in_one_array() {
    let far = |i: usize| match i % 300 {
        7 => 1e6,
        200 => -3e30,
        201 => f64::INFINITY,
        202 => f64::NAN,
        // Chunks of both kinds.
        _ => (i as f64 - 450.0) * if i < 600 { 0.37 } else { 90.1 },
    };
    let x = Array::new(Layout::contiguous(&[1003]), DType::F32, far);
    let g = Array::new(Layout::contiguous(&[1003]), DType::F32, |_| 1.0);
    let values = x.values();
    for isa in instruction_sets() {
        for (row, f, slope) in
            [(Row::Sin, f64::sin as fn(f64) -> f64, f64::cos as fn(f64) -> f64), (Row::Cos, f64::cos, |x| -x.sin())]
        {
            let out = Array::new(Layout::contiguous(&[1003]), DType::F32, |_| 5.0);
            elementwise_with(isa, row, Compute::F32, &[x.operand()], out.out()).unwrap();
            for (got, x) in out.values().into_iter().zip(&values) {
                assert!(close(got, f(*x), 2e-7) || x.is_infinite() && got.is_nan(), "{isa:?} {row:?}({x}) = {got}");
            }
            let none = Operand::Scalar(Scalar::Int(0));
            elementwise_vjp_with(isa, row, 0, Compute::F32, &[x.operand()], none, g.operand(), out.out()).unwrap();
            for (got, x) in out.values().into_iter().zip(&values) {
                assert!(
                    close(got, slope(*x), 2e-7) || x.is_infinite() && got.is_nan(),
                    "{isa:?} {row:?}'({x}) = {got}"
                );
            }
        }
    }
}

#[test]
fn conversions_at_the_edges() {
    let x = Array::flat(DType::F32, &[-1.5, 2.75, 300.0, -0.0]);
    let cast = |x: &Array, to| {
        let out = Array::flat(to, &vec![0.0; x.layout.numel()]);
        copy::copy(x.view(), out.out()).unwrap();
        out.values()
    };
    assert_eq!(cast(&x, DType::I32), [-1.0, 2.0, 300.0, 0.0]);
    assert_eq!(cast(&x, DType::U8), [255.0, 2.0, 44.0, 0.0]);
    assert_eq!(cast(&x, DType::Bool), [1.0, 1.0, 1.0, 0.0]);
    let big = Array::flat(DType::F64, &[1e300, f64::NAN, -1e300]);
    let small = cast(&big, DType::F16);
    assert!(small[0] == f64::INFINITY && small[1].is_nan() && small[2] == f64::NEG_INFINITY);
    let wide = Array::flat(DType::I64, &[70000.0, -70000.0]);
    assert_eq!(cast(&wide, DType::I16), [4464.0, -4464.0]);
    let huge = Array::new(layout(&[500, 700], 1), DType::F32, |i| i as f64);
    let out = Array::new(Layout::contiguous(&[500, 700]), DType::F32, |_| 0.0);
    copy::copy(huge.view(), out.out()).unwrap();
    assert!(out.values().iter().enumerate().all(|(i, v)| *v == i as f64));
}
