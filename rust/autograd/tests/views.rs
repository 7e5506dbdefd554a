//! Views and in-place writes: linear recurrences, what is copied and what is not, gradients through both.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wengert::{backward, live, write_counters, DType, Device, Row, SweepOptions, Tensor};

/// Counters are the process's: tests that read them take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tensor(values: &[f64]) -> Tensor {
    Tensor::from_f64(values, &[values.len()]).unwrap()
}

fn leaf(values: &[f64]) -> Tensor {
    tensor(values).requiring_grad().unwrap()
}

fn values(x: &Tensor) -> Vec<f64> {
    x.to_vec_f64().unwrap()
}

fn sweep(y: &Tensor) {
    backward(&[y.sum(&[], false).unwrap()], &[None], SweepOptions::default(), None).unwrap();
}

fn gradient(x: &Tensor) -> Vec<f64> {
    values(&x.grad().unwrap())
}

/// What a piece of work adds to the counters: buffers copied, saves moved out.
fn counted(work: impl FnOnce()) -> (usize, usize) {
    let before = write_counters();
    work();
    let after = write_counters();
    (after.0 - before.0, after.1 - before.1)
}

/// h[t] = tanh(h[t − 1] · w), rows of `width`, written into one tensor.
fn recurrence(steps: usize, width: usize, w: &Tensor) -> Tensor {
    let h = Tensor::zeros(&[steps, width], DType::F64, Device::Cpu).unwrap();
    h.select(0, 0).unwrap().fill_(0.5).unwrap();
    for t in 1..steps as isize {
        let next = h.select(0, t - 1).unwrap().mul(w).unwrap().tanh().unwrap();
        h.select(0, t).unwrap().copy_(&next).unwrap();
    }
    h
}

#[test]
fn a_recurrence_over_rows_copies_nothing_and_has_the_right_gradient() {
    let _alone = alone();
    const T: usize = 10_000;
    let w = leaf(&[1.5]);
    let mut h = None;
    assert_eq!(counted(|| h = Some(recurrence(T, 1, &w))), (0, 0));
    let h = h.unwrap();
    // By hand: forwards d h[t] / dw = (1 − h[t]²) (h[t−1] + w d h[t−1] / dw).
    let (mut value, mut slope, mut total, mut total_slope) = (0.5f64, 0.0, 0.5, 0.0);
    for _ in 1..T {
        let next = (1.5 * value).tanh();
        slope = (1.0 - next * next) * (value + 1.5 * slope);
        value = next;
        total += value;
        total_slope += slope;
    }
    let sum = values(&h).iter().sum::<f64>();
    assert!((sum - total).abs() < 1e-9 * total, "{sum} instead of {total}");
    sweep(&h);
    let g = gradient(&w)[0];
    assert!((g - total_slope).abs() < 1e-9 * total_slope.abs(), "{g} instead of {total_slope}");
}

#[test]
fn a_recurrence_is_linear_in_time_and_memory() {
    let _alone = alone();
    let w = leaf(&[0.9; 16]);
    let run = |steps: usize| {
        let (start, before) = (Instant::now(), live().value_bytes);
        let h = recurrence(steps, 16, &w);
        let bytes = live().value_bytes - before;
        sweep(&h);
        (start.elapsed(), bytes)
    };
    run(100);
    // Sixteen times the steps; were anything quadratic, some 100 GB would have to be moved.
    let mut best = [Duration::MAX; 2];
    for _ in 0..3 {
        let ((short, few), (long, many)) = (run(2_000), run(32_000));
        best = [best[0].min(short), best[1].min(long)];
        assert!(many < 20 * few, "{many} bytes after {few}");
    }
    assert!(best[1] < 64 * best[0], "{best:?}");
}

#[test]
fn parts_of_a_leaf_are_linear_and_add_up() {
    let _alone = alone();
    let run = |rows: usize| {
        let x = Tensor::zeros(&[rows, 16], DType::F64, Device::Cpu).unwrap().requiring_grad().unwrap();
        let mut total = x.narrow(0, 0, 2).unwrap().sum(&[], false).unwrap();
        for t in 0..rows as isize {
            let part = x.select(0, t).unwrap().mul(t as f64).unwrap();
            total = total.add(&part.sum(&[], false).unwrap()).unwrap();
        }
        let start = Instant::now();
        // What has arrived from elsewhere stays, whoever comes first.
        sweep(&total.add(&x.sum(&[], false).unwrap()).unwrap());
        let took = start.elapsed();
        let g = gradient(&x);
        let expected = |i: usize| 1.0 + (i / 16) as f64 + if i < 32 { 1.0 } else { 0.0 };
        assert!(g.iter().enumerate().all(|(i, g)| *g == expected(i)), "{:?}", &g[..40]);
        took
    };
    run(100);
    let mut best = [Duration::MAX; 2];
    for _ in 0..3 {
        best = [best[0].min(run(1_000)), best[1].min(run(16_000))];
    }
    // Were it quadratic, 32 GB would have to be moved.
    assert!(best[1] < 64 * best[0], "{best:?}");
}

#[test]
fn a_gradient_that_a_hook_keeps_is_not_written_to() {
    let x = leaf(&[1.0, 2.0, 3.0]);
    let y = x.mul(2.0).unwrap();
    let kept = std::sync::Arc::new(Mutex::new(Vec::new()));
    let (a, b) = (y.select(0, 0).unwrap(), y.narrow(0, 0, 3).unwrap());
    let seen = kept.clone();
    b.register_hook(std::sync::Arc::new(move |g: &Tensor| {
        seen.lock().unwrap().push(g.clone());
        Ok(None)
    }))
    .unwrap();
    sweep(&a.add(&b.sum(&[], false).unwrap()).unwrap());
    assert_eq!(values(&kept.lock().unwrap()[0]), [1.0; 3]);
    assert_eq!(gradient(&x), [4.0, 2.0, 2.0]);
}

#[test]
fn a_write_copies_only_what_the_tape_has_saved() {
    let _alone = alone();
    let x = leaf(&[0.0, 1.0]);
    // exp keeps its result: the first write copies it, the second finds a buffer of its own.
    let y = x.exp().unwrap();
    let add = |y: &Tensor| y.row_(Row::Add, &[1.0.into()]).unwrap();
    assert_eq!(counted(|| add(&y)), (1, 0));
    assert_eq!(counted(|| add(&y)), (0, 0));
    assert_eq!(values(&y), [3.0, 1f64.exp() + 2.0]);
    sweep(&y);
    assert_eq!(gradient(&x), [1.0, 1f64.exp()]);
    // sin keeps its input: its result may be written at once.
    let y = x.sin().unwrap();
    assert_eq!(counted(|| add(&y)), (0, 0));
    sweep(&y);
    assert_eq!(gradient(&x), [2.0, 1f64.exp() + 1f64.cos()]);
}

#[test]
fn an_overwrite_of_a_saved_value_copies_nothing() {
    let _alone = alone();
    let x = leaf(&[0.0, 1.0]);
    let y = x.exp().unwrap();
    let z = y.mul(&y).unwrap();
    assert_eq!(counted(|| y.fill_(7.0).unwrap()), (0, 0));
    assert_eq!(values(&y), [7.0, 7.0]);
    sweep(&z);
    let expected = [2.0, 2.0 * 2f64.exp()];
    assert!(gradient(&x).iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-12 * e));
}

#[test]
fn a_saved_part_is_moved_out_only_when_it_is_written_over() {
    let _alone = alone();
    let (w, h) = (leaf(&[2.0]), tensor(&[1.0, 2.0, 3.0, 4.0]));
    let part = |i| h.narrow(0, i, 1).unwrap();
    let y = part(1).mul(&w).unwrap();
    assert_eq!(counted(|| part(0).fill_(9.0).unwrap()), (0, 0));
    assert_eq!(counted(|| part(1).fill_(9.0).unwrap()), (0, 1));
    assert_eq!(counted(|| part(1).fill_(8.0).unwrap()), (0, 0));
    sweep(&y);
    assert_eq!((gradient(&w), values(&h)), (vec![2.0], vec![9.0, 8.0, 3.0, 4.0]));
}

#[test]
fn a_write_shows_in_every_view_and_counts_once_for_all() {
    let base = tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let matrix = base.view(&[2, 3]).unwrap();
    let column = matrix.select(1, 1).unwrap();
    let turned = matrix.t().unwrap();
    let (copy, version) = (base.clone_().unwrap(), base.version());
    column.row_(Row::Mul, &[10.0.into()]).unwrap();
    assert_eq!(values(&base), [1.0, 20.0, 3.0, 4.0, 50.0, 6.0]);
    assert_eq!(values(&turned), [1.0, 4.0, 20.0, 50.0, 3.0, 6.0]);
    assert_eq!(values(&copy), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert!([&base, &matrix, &column, &turned].iter().all(|t| t.version() == version + 1 && t.shares_storage(&base)));
    assert!(!copy.shares_storage(&base));
}

#[test]
fn views_share_their_storage_also_after_a_copy_on_write() {
    let x = leaf(&[0.0, 0.0]);
    let y = x.exp().unwrap();
    let (head, whole) = (y.narrow(0, 0, 1).unwrap(), y.view(&[2, 1]).unwrap());
    head.row_(Row::Mul, &[3.0.into()]).unwrap();
    assert!(y.shares_storage(&head) && y.shares_storage(&whole));
    assert_eq!((values(&y), values(&whole)), (vec![3.0, 1.0], vec![3.0, 1.0]));
    sweep(&whole);
    assert_eq!(gradient(&x), [3.0, 1.0]);
}

#[test]
fn gradients_flow_through_writes_to_views_of_views() {
    let (x, v) = (leaf(&[1.0, 2.0, 3.0, 4.0]), leaf(&[5.0]));
    let y = x.mul(&x).unwrap();
    let matrix = y.view(&[2, 2]).unwrap();
    let row = matrix.select(0, 1).unwrap();
    // y = [x₀², x₁², 10 x₂², v]
    row.narrow(0, 0, 1).unwrap().row_(Row::Mul, &[10.0.into()]).unwrap();
    row.narrow(0, 1, 1).unwrap().copy_(&v).unwrap();
    assert_eq!(values(&y), [1.0, 4.0, 90.0, 5.0]);
    assert_eq!(matrix.grad_fn().unwrap().unwrap().name(), "AsStridedBackward0");
    sweep(&y.mul(&y).unwrap());
    // d/dx of y² is 2y · dy/dx.
    assert_eq!(gradient(&x), [2.0 * 2.0, 8.0 * 4.0, 180.0 * 60.0, 0.0]);
    assert_eq!(gradient(&v), [10.0]);
}

#[test]
fn a_view_made_before_the_write_gets_its_history() {
    let (x, base) = (leaf(&[3.0]), tensor(&[1.0, 1.0]));
    let early = base.narrow(0, 1, 1).unwrap();
    assert!(!early.requires_grad());
    base.narrow(0, 1, 1).unwrap().copy_(&x.mul(&x).unwrap()).unwrap();
    assert!(early.requires_grad() && base.requires_grad());
    sweep(&early);
    assert_eq!(gradient(&x), [6.0]);
}

#[test]
fn overlapping_reads_and_writes() {
    // Exactly the same elements are fine, blocks that overlap are refused, what cannot be told is copied first.
    let x = tensor(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    x.row_(Row::Mul, &[(&x).into()]).unwrap();
    assert_eq!(values(&x), [1.0, 4.0, 9.0, 16.0, 25.0]);
    let (head, tail) = (x.narrow(0, 0, 3).unwrap(), x.narrow(0, 1, 3).unwrap());
    let error = tail.row_(Row::Add, &[(&head).into()]).unwrap_err();
    assert!(error.message().contains("single memory location"), "{error}");
    let square = x.narrow(0, 0, 4).unwrap().view(&[2, 2]).unwrap();
    assert!(square.row_(Row::Add, &[(&square.t().unwrap()).into()]).is_err());
    assert_eq!(values(&x), [1.0, 4.0, 9.0, 16.0, 25.0]);
    // x₂ is written before it would be read.
    x.slice(0, None, None, 2).unwrap().row_(Row::Add, &[(&head).into()]).unwrap();
    assert_eq!(values(&x), [2.0, 4.0, 13.0, 16.0, 34.0]);
}

#[test]
fn detached_tensors_share_memory_but_no_history() {
    let x = leaf(&[1.0, 2.0]);
    let y = x.mul(3.0).unwrap();
    let plain = y.detach();
    assert!(plain.shares_storage(&y) && !plain.requires_grad());
    plain.fill_(0.0).unwrap();
    assert_eq!(values(&y), [0.0, 0.0]);
    sweep(&y);
    assert_eq!(gradient(&x), [3.0, 3.0]);
}
