//! The tape: long chains, what is freed when, what is alive.

// `&[y.clone()]` is plainer than `std::slice::from_ref(&y)`, and a handle is cheap.
#![allow(clippy::cloned_ref_to_slice_refs)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use wengert::{backward, grad, live, GradMode, NextFunction, Result, SweepOptions, Tensor};

/// Counts are the process's: tests that read them take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn leaf(values: &[f32]) -> Tensor {
    Tensor::from_f32(values, &[values.len()]).unwrap().requiring_grad().unwrap()
}

fn sweep(y: &Tensor) -> Result<()> {
    backward(&[y.clone()], &[None], SweepOptions::default(), None)
}

fn gradient(x: &Tensor) -> Vec<f64> {
    x.grad().unwrap().to_vec_f64().unwrap()
}

/// Runs on a stack on which a recursion over a long graph would not survive.
fn on_a_small_stack(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(body).unwrap().join().unwrap();
}

#[test]
fn a_million_operations_forward_and_backward_on_a_small_stack() {
    let _alone = alone();
    on_a_small_stack(|| {
        const N: usize = 1_000_000;
        let before = live();
        let (x, w) = (leaf(&[1.0]), leaf(&[1.0]));
        let mut y = x.clone();
        for _ in 0..N {
            y = y.mul(&w).unwrap();
        }
        let grown = live();
        assert_eq!(grown.nodes - before.nodes, N);
        let per_node = (grown.tape_bytes - before.tape_bytes) as f64 / N as f64;
        assert!(per_node <= 160.0, "{per_node} bytes a node");
        sweep(&y).unwrap();
        assert_eq!(gradient(&x), [1.0]);
        assert_eq!(gradient(&w), [N as f64]);
        // The nodes live as long as y does; what they had kept went during the sweep.
        let swept = live();
        assert_eq!(swept.nodes - before.nodes, N);
        assert!(swept.value_bytes < before.value_bytes + 100_000, "{swept:?} after {before:?}");
        drop(y);
        assert_eq!(live().nodes, before.nodes);
    });
}

#[test]
fn a_long_chain_is_freed_without_recursion_and_without_a_sweep() {
    let _alone = alone();
    on_a_small_stack(|| {
        let before = live();
        let x = leaf(&[0.5]);
        let mut y = x.clone();
        for _ in 0..300_000 {
            y = y.sin().unwrap();
        }
        drop(y);
        let after = live();
        assert_eq!(after.nodes, before.nodes);
        assert!(after.value_bytes <= before.value_bytes + 4096, "{after:?} after {before:?}");
    });
}

#[test]
fn a_loop_that_never_sweeps_stays_at_constant_memory() {
    let _alone = alone();
    let (x, w) = (leaf(&[1.0; 64]), leaf(&[0.5; 64]));
    let round = || x.mul(&w).unwrap().sin().unwrap().add(&x).unwrap().sum(&[], false).unwrap();
    for _ in 0..2000 {
        round();
    }
    let early = live();
    for _ in 0..20_000 {
        round();
    }
    let late = live();
    assert_eq!(late.nodes, early.nodes);
    assert_eq!(late.value_bytes, early.value_bytes);
    assert!(late.tape_bytes <= early.tape_bytes + (64 << 10), "{late:?} after {early:?}");
}

#[test]
fn nodes_that_live_long_do_not_keep_their_neighbours_values() {
    let _alone = alone();
    let x = leaf(&[0.5; 1000]);
    let before = live();
    let kept: Vec<Tensor> = (0..2000)
        .map(|_| {
            x.exp().unwrap().mul(2.0).unwrap().sum(&[], false).unwrap();
            x.sum(&[], false).unwrap()
        })
        .collect();
    let after = live();
    assert_eq!(after.nodes - before.nodes, kept.len());
    // Of the discarded halves 2000 · 8 kB of values would remain otherwise.
    assert!(after.value_bytes - before.value_bytes < 2000 * 256, "{after:?} after {before:?}");
}

#[test]
fn a_node_lives_while_a_tensor_or_a_later_node_holds_it() {
    let _alone = alone();
    let before = live().nodes;
    let count = || live().nodes - before;
    let x = leaf(&[2.0]);
    let y = x.exp().unwrap();
    let z = y.sin().unwrap();
    let other = y.clone();
    assert_eq!(count(), 2);
    drop(y);
    drop(other);
    assert_eq!(count(), 2);
    let node = z.grad_fn().unwrap().unwrap();
    drop(z);
    assert_eq!((count(), node.name()), (2, "SinBackward0".to_string()));
    match &node.next_functions()[..] {
        [NextFunction::Node(exp, 0)] => {
            assert_eq!(exp.name(), "ExpBackward0");
            assert!(exp.order() < node.order());
            assert!(matches!(&exp.next_functions()[..], [NextFunction::Leaf(t)] if t.is(&x)));
        }
        _ => panic!("sin has one input, made by exp"),
    }
    drop(node);
    assert_eq!(count(), 0);
}

#[test]
fn saved_values_go_as_the_sweep_passes() {
    let _alone = alone();
    const BYTES: usize = 4 << 20;
    let x = leaf(&vec![0.0; BYTES / 4]);
    let base = live().value_bytes;
    let held = || (live().value_bytes as f64 - base as f64) / BYTES as f64;
    let y = x.exp().unwrap().exp().unwrap().exp().unwrap().sum(&[], false).unwrap();
    assert_eq!(held().round(), 3.0);
    let options = SweepOptions { retain_graph: true, create_graph: false };
    backward(&[y.clone()], &[None], options, None).unwrap();
    assert_eq!(held().round(), 4.0, "three saved results and the gradient");
    x.set_grad(None).unwrap();
    sweep(&y).unwrap();
    assert_eq!(held().round(), 1.0, "the gradient alone");
    assert!(sweep(&y).unwrap_err().message().contains("a second time"));
}

#[test]
fn what_needs_no_gradient_is_not_recorded() {
    let _alone = alone();
    let before = live().nodes;
    let (x, plain) = (leaf(&[1.0, 2.0]), Tensor::from_f32(&[3.0, 4.0], &[2]).unwrap());
    let untaped = {
        let _off = GradMode::set(false);
        x.mul(&x).unwrap()
    };
    let outputs = [
        untaped,
        plain.exp().unwrap(),
        x.detach().add(1.0).unwrap(),
        x.gt(1.5).unwrap(),
        x.argmax(None, false).unwrap(),
    ];
    assert!(outputs.iter().all(|y| !y.requires_grad() && y.grad_fn().unwrap().is_none()));
    assert_eq!(live().nodes, before);
}

#[test]
fn gradients_of_every_path_add_up() {
    let x = leaf(&[3.0]);
    // x·x, then the square's square beside it: 2x + 4x³ = 114.
    let square = x.mul(&x).unwrap();
    let y = square.add(&square.mul(&square).unwrap()).unwrap();
    sweep(&y).unwrap();
    assert_eq!(gradient(&x), [114.0]);
    let handle = x.grad().unwrap();
    sweep(&x.mul(2.0).unwrap()).unwrap();
    assert_eq!(gradient(&x), [116.0]);
    assert!(x.grad().unwrap().is(&handle), "a gradient is added to where it stands");
}

#[test]
fn one_leaf_under_many_nodes() {
    let _turn = alone();
    let x = leaf(&[1.0]);
    let parts: Vec<Tensor> = (0..10_000).map(|i| x.mul(f64::from(i % 7)).unwrap()).collect();
    let total = Tensor::cat(&parts.iter().collect::<Vec<_>>(), 0).unwrap().sum(&[], false).unwrap();
    sweep(&total).unwrap();
    let expected: i32 = (0..10_000).map(|i| i % 7).sum();
    assert_eq!(gradient(&x), [f64::from(expected)]);
}

#[test]
fn several_roots_are_swept_as_one() {
    let x = leaf(&[2.0]);
    let shared = x.mul(&x).unwrap();
    let (a, b) = (shared.mul(3.0).unwrap(), shared.mul(&x).unwrap());
    let weight = Tensor::from_f32(&[10.0], &[1]).unwrap();
    backward(&[a, b], &[None, Some(weight)], SweepOptions::default(), None).unwrap();
    assert_eq!(gradient(&x), [6.0 * 2.0 + 10.0 * 3.0 * 4.0]);
}

#[test]
fn derivatives_of_derivatives() {
    let x = leaf(&[2.0]);
    let options = SweepOptions { retain_graph: true, create_graph: true };
    let mut y = x.mul(&x).unwrap().mul(&x).unwrap().mul(&x).unwrap();
    for expected in [32.0, 48.0, 48.0, 24.0] {
        y = grad(&[y], &[x.clone()], &[None], options, false).unwrap().pop().flatten().unwrap();
        assert_eq!(y.to_vec_f64().unwrap(), [expected]);
    }
    assert!(x.grad().is_none(), "grad() adds to no .grad");
}

#[test]
fn inputs_bound_what_is_swept() {
    let (x, w) = (leaf(&[2.0]), leaf(&[5.0]));
    let middle = x.mul(&w).unwrap();
    let y = middle.mul(&middle).unwrap();
    let options = SweepOptions { retain_graph: true, create_graph: false };
    backward(&[y.clone()], &[None], options, Some(&[w.clone()])).unwrap();
    assert_eq!((gradient(&w), x.grad().is_none()), (vec![40.0], true));
    let gs = grad(&[y], &[middle, x], &[None], options, false).unwrap();
    let values: Vec<f64> = gs.into_iter().map(|g| g.unwrap().to_vec_f64().unwrap()[0]).collect();
    assert_eq!(values, [20.0, 100.0]);
}
