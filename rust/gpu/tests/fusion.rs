//! Queued elementwise work gives the same bits whether it runs step by step or as one kernel, in the calls' order.

mod support;

use smallvec::SmallVec;
use std::sync::Mutex;
use support::{bytes, gpu, Draw};
use wengert_gpu::{as_on_hardware, Buffer, Gpu};
use wengert_ops::{Backend, Compute, DType, Layout, Operand, Reduction, Row, Scalar, View, ViewMut};

/// Counters are the device's: tests that look at them take turns.
static TURN: Mutex<()> = Mutex::new(());

struct Array {
    buffer: Buffer,
    layout: Layout,
    dtype: DType,
}

impl Array {
    fn of(gpu: Gpu, values: &[f64], shape: &[usize], dtype: DType) -> Array {
        let buffer = gpu.upload(&bytes(values, dtype)).unwrap();
        Array { buffer, layout: Layout::contiguous(shape), dtype }
    }
    fn new(gpu: Gpu, shape: &[usize], dtype: DType) -> Array {
        let layout = Layout::contiguous(shape);
        Array { buffer: gpu.allocate(layout.numel() * dtype.size()).unwrap(), layout, dtype }
    }
    fn view(&self) -> View<'_, Buffer> {
        View { buffer: &self.buffer, layout: &self.layout, dtype: self.dtype }
    }
    fn operand(&self) -> Operand<'_, Buffer> {
        Operand::Array(self.view())
    }
    fn out(&self) -> ViewMut<'_, Buffer> {
        // SAFETY: the device runs what is queued in order.
        unsafe { ViewMut::new(&self.buffer, &self.layout, self.dtype) }
    }
    fn seen(&self, shape: &[usize], strides: &[isize]) -> Array {
        let layout = Layout::strided(SmallVec::from_slice(shape), SmallVec::from_slice(strides), 0);
        Array { buffer: self.buffer.clone(), layout, dtype: self.dtype }
    }
    fn bytes(&self, gpu: Gpu) -> Vec<u8> {
        let mut out = vec![0; self.layout.numel() * self.dtype.size()];
        gpu.download(&self.buffer, self.layout.offset() * self.dtype.size(), &mut out).unwrap();
        out
    }
    fn floats(&self, gpu: Gpu) -> Vec<f32> {
        self.bytes(gpu).chunks_exact(4).map(|b| f32::from_ne_bytes(b.try_into().unwrap())).collect()
    }
}

fn number(value: f64) -> Operand<'static, Buffer> {
    Operand::Scalar(Scalar::Float(value))
}

/// Runs a program step by step, then queued as a whole until its chains are compiled, and once more: the same bits.
fn same_bits(gpu: Gpu, what: &str, program: &dyn Fn(&mut dyn FnMut()) -> Vec<Array>) {
    let read = |arrays: Vec<Array>| arrays.iter().map(|a| a.bytes(gpu)).collect::<Vec<_>>();
    let alone = read(program(&mut || gpu.finish().unwrap()));
    for _ in 0..3 {
        let queued = read(program(&mut || {}));
        assert!(queued == alone, "{what}: before its chains were compiled");
    }
    gpu.settle().unwrap();
    let fused = read(program(&mut || {}));
    for (k, (a, b)) in alone.iter().zip(&fused).enumerate() {
        assert!(a == b, "{what}: array {k} is {a:?} step by step, {b:?} in chains");
    }
}

const FLOATS: [Row; 12] = [
    Row::Add,
    Row::Sub,
    Row::Mul,
    Row::Div,
    Row::Maximum,
    Row::Lt,
    Row::Ne,
    Row::Exp,
    Row::Tanh,
    Row::Neg,
    Row::Relu,
    Row::Square,
];
const WHOLES: [Row; 6] = [Row::Add, Row::Sub, Row::Mul, Row::BitwiseXor, Row::Minimum, Row::Neg];

/// A random program over arrays of 6 × 6: every choice hangs on the seed alone.
fn random(gpu: Gpu, seed: u64, after: &mut dyn FnMut()) -> Vec<Array> {
    let mut draw = Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let whole = draw.below(4) == 0;
    let dtypes: &[DType] = match whole {
        true => &[DType::I64, DType::I32, DType::I16, DType::I8, DType::U8, DType::Bool],
        false => &[DType::F32, DType::F32, DType::F16, DType::BF16, DType::F32, DType::I32, DType::I8, DType::Bool],
    };
    let (n, side) = (36, 6usize);
    let shape = [side, side];
    let mut arrays: Vec<Array> = Vec::new();
    for _ in 0..3 {
        let values: Vec<f64> = (0..n)
            .map(|_| match (whole, draw.below(12)) {
                (false, 0) => f64::INFINITY,
                (false, 1) => f64::NAN,
                (true, _) => draw.within(-9.0, 9.0).trunc(),
                _ => draw.within(-3.0, 3.0),
            })
            .collect();
        let dtype = dtypes[draw.below(dtypes.len())];
        arrays.push(Array::of(gpu, &values, &shape, dtype));
    }
    for _ in 0..4 + draw.below(10) {
        let (row, compute) = match whole {
            true => (WHOLES[draw.below(WHOLES.len())], Compute::I64),
            false => (FLOATS[draw.below(FLOATS.len())], Compute::F32),
        };
        let into = arrays.len() - 1 - draw.below(2);
        // What a call writes it must not read in another order.
        let mut clean = true;
        let picked: Vec<Option<Array>> = (0..row.arity())
            .map(|_| {
                let which = draw.below(arrays.len());
                let x = &arrays[which];
                let (across, down) = (side as isize, 1);
                let way = draw.below(9);
                clean &= which != into || way > 3;
                Some(match way {
                    0 => return None,
                    1 => x.seen(&shape, &[0, 1]),
                    2 => x.seen(&shape, &[down, across]),
                    3 => x.seen(&shape, &[0, 0]),
                    _ => x.seen(&shape, &[across, down]),
                })
            })
            .collect();
        let operands: Vec<Operand<'_, Buffer>> = picked
            .iter()
            .map(|x| match x {
                Some(x) => x.operand(),
                None => Operand::Scalar(Scalar::Int(3)),
            })
            .collect();
        let in_place = draw.below(4) == 0 && clean;
        if in_place {
            gpu.elementwise(row, compute, &operands, arrays[into].out()).unwrap();
        } else {
            let dtype = if row.is_truth() { DType::Bool } else { dtypes[draw.below(dtypes.len())] };
            let out = Array::new(gpu, &shape, dtype);
            gpu.elementwise(row, compute, &operands, out.out()).unwrap();
            drop(operands);
            arrays.push(out);
        }
        after();
        if draw.below(3) == 0 && arrays.len() > 3 {
            arrays.remove(draw.below(arrays.len() - 1));
        }
    }
    arrays.split_off(arrays.len().saturating_sub(3))
}

#[test]
fn random_programs_give_the_same_bits() {
    let Some(gpu) = gpu() else { return };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let before = gpu.work();
    for seed in 0..30 {
        same_bits(gpu, &format!("program {seed}"), &|after| random(gpu, seed, after));
    }
    let work = gpu.work();
    assert!(work.chains >= before.chains + 30, "{before:?} {work:?}");
}

/// `relu(x · 2 + row) − 1`, where nobody holds what lies between.
fn chain(gpu: Gpu, x: &Array, row: &Array) -> Array {
    let shape = x.layout.shape().to_vec();
    let fresh = || Array::new(gpu, &shape, DType::F32);
    let (a, b, c, d) = (fresh(), fresh(), fresh(), fresh());
    gpu.elementwise(Row::Mul, Compute::F32, &[x.operand(), number(2.0)], a.out()).unwrap();
    gpu.elementwise(Row::Add, Compute::F32, &[a.operand(), row.operand()], b.out()).unwrap();
    gpu.elementwise(Row::Relu, Compute::F32, &[b.operand()], c.out()).unwrap();
    gpu.elementwise(Row::Sub, Compute::F32, &[c.operand(), number(1.0)], d.out()).unwrap();
    d
}

fn ramp(n: usize) -> Vec<f64> {
    (0..n).map(|i| i as f64 - n as f64 / 2.0).collect()
}

#[test]
fn a_chain_becomes_one_kernel_at_its_third_meeting() {
    let Some(gpu) = gpu() else { return };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let x = Array::of(gpu, &ramp(15), &[5, 3], DType::F32);
    let line = Array::of(gpu, &[1.0, 2.0, 3.0], &[3], DType::F32);
    let row = line.seen(&[5, 3], &[0, 1]);
    let wanted: Vec<f32> = (0..15).map(|i| ((i as f32 - 7.5) * 2.0 + (i % 3 + 1) as f32).max(0.0) - 1.0).collect();
    gpu.finish().unwrap();
    for time in 0..5 {
        let before = gpu.work();
        let y = chain(gpu, &x, &row);
        assert_eq!(y.floats(gpu), wanted, "time {time}");
        let work = gpu.work();
        let kernels = work.dispatches - before.dispatches;
        assert_eq!((kernels, work.chains - before.chains), if time < 3 { (4, 0) } else { (1, 1) }, "time {time}");
        assert_eq!(work.steps - before.steps, 4);
        gpu.settle().unwrap();
    }
    // Other sizes are the same kernel.
    let compiled = gpu.compiled();
    let wide = Array::of(gpu, &ramp(70), &[7, 10], DType::F32);
    let line = Array::of(gpu, &ramp(10), &[10], DType::F32);
    let before = gpu.work();
    chain(gpu, &wide, &line.seen(&[7, 10], &[0, 1])).floats(gpu);
    assert_eq!((gpu.work().dispatches - before.dispatches, gpu.compiled()), (1, compiled));
}

#[test]
fn what_somebody_holds_is_written() {
    let Some(gpu) = gpu() else { return };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let x = Array::of(gpu, &ramp(9), &[9], DType::F32);
    for time in 0..5 {
        let (a, b, c) =
            (Array::new(gpu, &[9], DType::F32), Array::new(gpu, &[9], DType::F16), Array::new(gpu, &[9], DType::Bool));
        gpu.elementwise(Row::Mul, Compute::F32, &[x.operand(), number(0.1)], a.out()).unwrap();
        gpu.elementwise(Row::Exp, Compute::F32, &[a.operand()], b.out()).unwrap();
        gpu.elementwise(Row::Gt, Compute::F32, &[b.operand(), number(1.0)], c.out()).unwrap();
        let held = a.seen(&[9], &[1]);
        drop((a, b));
        let tenths: Vec<f32> = (0..9).map(|i| (i as f32 - 4.5) * 0.1).collect();
        assert_eq!(held.floats(gpu), tenths, "time {time}");
        assert_eq!(c.bytes(gpu), [0, 0, 0, 0, 0, 1, 1, 1, 1], "time {time}");
        gpu.settle().unwrap();
    }
}

#[test]
fn what_is_overwritten_unread_or_dropped_is_not_computed() {
    let Some(gpu) = gpu() else { return };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let x = Array::of(gpu, &ramp(8), &[8], DType::F32);
    gpu.finish().unwrap();
    let before = gpu.work();
    let y = Array::new(gpu, &[8], DType::F32);
    gpu.elementwise(Row::Exp, Compute::F32, &[x.operand()], y.out()).unwrap();
    let dropped = Array::new(gpu, &[8], DType::F32);
    gpu.elementwise(Row::Exp, Compute::F32, &[x.operand()], dropped.out()).unwrap();
    drop(dropped);
    gpu.elementwise(Row::Neg, Compute::F32, &[x.operand()], y.out()).unwrap();
    assert_eq!(y.floats(gpu), ramp(8).iter().map(|v| -*v as f32).collect::<Vec<_>>());
    assert_eq!(gpu.work().dispatches - before.dispatches, 1);
}

#[test]
fn writes_in_place_keep_their_order() {
    let Some(gpu) = gpu() else { return };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    for dtype in [DType::F32, DType::BF16, DType::F16, DType::I8, DType::I64, DType::Bool] {
        same_bits(gpu, &format!("in place, {dtype}"), &|after| {
            let compute = if dtype.is_float() { Compute::F32 } else { Compute::I64 };
            let x = Array::of(gpu, &ramp(16), &[4, 4], dtype);
            let turned = x.seen(&[4, 4], &[1, 4]);
            let (before, between) = (Array::new(gpu, &[4, 4], dtype), Array::new(gpu, &[4, 4], dtype));
            let mut run = |row, operands: &[Operand<'_, Buffer>], out: &Array| {
                gpu.elementwise(row, compute, operands, out.out()).unwrap();
                after();
            };
            // Read across, written, read across again, written again.
            run(Row::Add, &[turned.operand(), turned.operand()], &before);
            run(Row::Add, &[x.operand(), before.operand()], &x);
            run(Row::Mul, &[x.operand(), x.operand()], &x);
            run(Row::Add, &[turned.operand(), x.operand()], &between);
            run(Row::Sub, &[x.operand(), between.operand()], &x);
            vec![x, before, between]
        });
    }
}

#[test]
fn other_work_between_sees_what_came_before_it() {
    let Some(gpu) = gpu() else { return };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    same_bits(gpu, "copies, uploads and reductions", &|after| {
        let x = Array::of(gpu, &ramp(12), &[3, 4], DType::F32);
        let fresh = || Array::new(gpu, &[3, 4], DType::F32);
        let (a, b, copy, sum) = (fresh(), fresh(), fresh(), Array::new(gpu, &[3, 1], DType::F32));
        gpu.elementwise(Row::Exp, Compute::F32, &[x.operand()], a.out()).unwrap();
        after();
        gpu.elementwise(Row::Add, Compute::F32, &[a.operand(), x.operand()], a.out()).unwrap();
        after();
        gpu.copy(a.view(), copy.out()).unwrap();
        after();
        gpu.reduce(Reduction::Sum, a.view(), 0b10, sum.out()).unwrap();
        after();
        gpu.elementwise(Row::Div, Compute::F32, &[a.operand(), sum.seen(&[3, 4], &[1, 0]).operand()], a.out()).unwrap();
        after();
        let more = Array::of(gpu, &ramp(12), &[3, 4], DType::F32);
        after();
        gpu.elementwise(Row::Mul, Compute::F32, &[a.operand(), more.operand()], b.out()).unwrap();
        after();
        gpu.fill(Scalar::Float(0.5), a.out()).unwrap();
        after();
        gpu.elementwise(Row::Mul, Compute::F32, &[b.operand(), a.operand()], b.out()).unwrap();
        after();
        vec![b, a, copy, sum]
    });
}

#[test]
fn reductions_take_chains_as_they_come() {
    let Some(gpu) = gpu() else { return };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let kinds = [Reduction::Sum, Reduction::Prod, Reduction::Max, Reduction::Min, Reduction::Any, Reduction::All];
    let before = gpu.work();
    for (n, (dims, meet)) in
        [(0b11u64, false), (0b10, false), (0b01, false), (0b11, true), (0b10, true)].into_iter().enumerate()
    {
        // Whether threads of a group fold together.
        as_on_hardware(meet);
        for (k, &kind) in kinds.iter().enumerate() {
            let middle = [DType::F32, DType::F16, DType::I32, DType::Bool][(n + k) % 4];
            let hold = (n + k) % 3 == 0;
            same_bits(gpu, &format!("{kind:?} over {dims:b}, {middle}, held: {hold}"), &|after| {
                // Long enough for a sum in parts.
                let (rows, columns) = (3, 700);
                let x = Array::of(gpu, &ramp(rows * columns), &[rows, columns], DType::F32);
                let line = Array::of(gpu, &ramp(columns), &[columns], DType::F32);
                let (a, b) = (Array::new(gpu, &[rows, columns], DType::F32), Array::new(gpu, &[rows, columns], middle));
                let operands = [x.operand(), number(1e-3)];
                gpu.elementwise(Row::Mul, Compute::F32, &operands, a.out()).unwrap();
                after();
                let row = line.seen(&[rows, columns], &[0, 1]);
                gpu.elementwise(Row::Sub, Compute::F32, &[a.operand(), row.operand()], b.out()).unwrap();
                after();
                let count = if dims & 1 == 0 { rows } else { 1 } * if dims & 2 == 0 { columns } else { 1 };
                let dtype = match kind {
                    Reduction::Any | Reduction::All => DType::Bool,
                    Reduction::Max | Reduction::Min => middle,
                    _ => DType::F32,
                };
                let out = Array::new(gpu, &[count], dtype);
                gpu.reduce(kind, b.view(), dims, out.out()).unwrap();
                after();
                if hold {
                    vec![out, a, b]
                } else {
                    vec![out]
                }
            });
        }
    }
    as_on_hardware(false);
    assert!(gpu.work().chains >= before.chains + 30);
}

#[test]
fn a_chain_and_its_sum_become_one_kernel() {
    let Some(gpu) = gpu() else { return };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let x = Array::of(gpu, &ramp(15), &[5, 3], DType::F32);
    let line = Array::of(gpu, &[1.0, 2.0, 3.0], &[3], DType::F32);
    let row = line.seen(&[5, 3], &[0, 1]);
    gpu.finish().unwrap();
    for time in 0..5 {
        let before = gpu.work();
        let sums = Array::new(gpu, &[5], DType::F32);
        let y = chain(gpu, &x, &row);
        gpu.reduce(Reduction::Sum, y.view(), 0b10, sums.out()).unwrap();
        drop(y);
        assert_eq!(sums.floats(gpu), [-3.0, -3.0, 2.0, 18.0, 36.0], "time {time}");
        assert_eq!(gpu.work().dispatches - before.dispatches, if time < 3 { 5 } else { 1 }, "time {time}");
        gpu.settle().unwrap();
    }
}

#[test]
fn long_chains_are_cut() {
    let Some(gpu) = gpu() else { return };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    same_bits(gpu, "a hundred steps", &|after| {
        let mut x = Array::of(gpu, &ramp(10), &[10], DType::F32);
        for k in 0..100 {
            let next = Array::new(gpu, &[10], DType::F32);
            // Many numbers are many parameters.
            let operands = [x.operand(), number(1.0 + f64::from(k) / 64.0)];
            gpu.elementwise(if k % 2 == 0 { Row::Mul } else { Row::Div }, Compute::F32, &operands, next.out()).unwrap();
            after();
            x = next;
        }
        vec![x]
    });
    // And many arrays, all held, are many bindings.
    same_bits(gpu, "forty arrays", &|after| {
        let mut all = vec![Array::of(gpu, &ramp(10), &[10], DType::F32)];
        for _ in 0..40 {
            let next = Array::new(gpu, &[10], DType::F32);
            let last = &all[all.len() - 1];
            gpu.elementwise(Row::Add, Compute::F32, &[last.operand(), all[0].operand()], next.out()).unwrap();
            after();
            all.push(next);
        }
        all
    });
}

#[test]
fn a_step_that_is_refused_leaves_the_queue_as_it_is() {
    let Some(gpu) = gpu() else { return };
    let x = Array::of(gpu, &ramp(6), &[6], DType::F32);
    let (y, z) = (Array::new(gpu, &[6], DType::F32), Array::new(gpu, &[2, 3], DType::F32));
    gpu.elementwise(Row::Neg, Compute::F32, &[x.operand()], y.out()).unwrap();
    let refused = gpu.elementwise(Row::Add, Compute::F32, &[y.operand(), z.operand()], x.out());
    assert!(refused.unwrap_err().to_string().contains("different shapes"));
    gpu.elementwise(Row::Mul, Compute::F32, &[y.operand(), y.operand()], y.out()).unwrap();
    assert_eq!(y.floats(gpu), ramp(6).iter().map(|v| (v * v) as f32).collect::<Vec<_>>());
    assert_eq!(x.floats(gpu), ramp(6).iter().map(|v| *v as f32).collect::<Vec<_>>());
}

#[test]
fn two_threads_queue_chains() {
    let Some(gpu) = gpu() else { return };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    std::thread::scope(|scope| {
        for t in 0..2 {
            scope.spawn(move || {
                let x = Array::of(gpu, &[f64::from(t); 12], &[12], DType::F32);
                let row = Array::of(gpu, &[1.0; 12], &[12], DType::F32);
                for _ in 0..60 {
                    assert_eq!(chain(gpu, &x, &row).floats(gpu), [2.0 * t as f32; 12]);
                }
            });
        }
    });
}

/// Bytes of this process that are in memory.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
#[cfg(target_os = "linux")]
fn queued_work_does_not_pile_up() {
    let Some(gpu) = gpu() else { return };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    const COUNT: usize = 1 << 16;
    let run = |steps: usize| {
        let mut x = Array::of(gpu, &[1.0; COUNT], &[COUNT], DType::F32);
        for k in 0..steps {
            // Every third is read back to front, so that chains end.
            let next = Array::new(gpu, &[COUNT / 256, 256], DType::F32);
            let seen = x.seen(&[COUNT / 256, 256], if k % 3 == 0 { &[1, COUNT as isize / 256] } else { &[256, 1] });
            gpu.elementwise(Row::Mul, Compute::F32, &[seen.operand(), number(1.0)], next.out()).unwrap();
            x = next;
        }
        x
    };
    run(300).floats(gpu);
    gpu.settle().unwrap();
    gpu.empty_cache().unwrap();
    gpu.reset_most_allocated();
    let (before, live) = (resident(), COUNT * 4);
    let x = run(3000);
    let grown = resident().saturating_sub(before);
    assert!(grown < 2 * live + (64 << 20), "{grown} bytes for {live} live");
    let most = gpu.usage().most_allocated as usize;
    assert!(most < 2 * live + (64 << 20), "{most} bytes allocated for {live} live");
    assert_eq!(x.floats(gpu), [1.0; COUNT]);
}
