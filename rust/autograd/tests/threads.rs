//! Sweeps at once, sweeps within sweeps, and writers beside readers.

// `&[y.clone()]` is plainer than `std::slice::from_ref(&y)`, and a handle is cheap.
#![allow(clippy::cloned_ref_to_slice_refs)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use wengert::{backward, is_grad_enabled, optim, set_grad_enabled, GradMode, Result, Row, SweepOptions, Tensor};

fn leaf(values: &[f64]) -> Tensor {
    Tensor::from_f64(values, &[values.len()]).unwrap().requiring_grad().unwrap()
}

fn sweep(y: &Tensor) -> Result<()> {
    backward(&[y.clone()], &[None], SweepOptions::default(), None)
}

fn gradient(x: &Tensor) -> Vec<f64> {
    x.grad().unwrap().to_vec_f64().unwrap()
}

/// Runs `body` on several threads that begin together.
fn together(threads: usize, body: impl Fn(usize) + Sync) {
    let start = Barrier::new(threads);
    std::thread::scope(|scope| {
        for i in 0..threads {
            let (start, body) = (&start, &body);
            scope.spawn(move || {
                start.wait();
                body(i);
            });
        }
    });
}

#[test]
fn two_threads_sweep_graphs_of_their_own_at_once() {
    together(2, |i| {
        for round in 0..200 {
            let start = 1.0 + (i * 200 + round) as f64 / 400.0;
            let x = leaf(&[start]);
            let mut y = x.clone();
            for _ in 0..50 {
                y = y.mul(&x).unwrap();
            }
            sweep(&y).unwrap();
            let (got, expected) = (gradient(&x)[0], 51.0 * start.powi(50));
            assert!((got - expected).abs() < 1e-9 * expected, "{got} instead of {expected}");
        }
    });
}

#[test]
fn two_threads_sweep_through_one_graph() {
    let x = leaf(&[2.0]);
    let shared = x.mul(&x).unwrap();
    let results: Vec<AtomicUsize> = (0..2).map(|_| AtomicUsize::new(0)).collect();
    together(2, |i| {
        let options = SweepOptions { retain_graph: true, create_graph: false };
        for _ in 0..500 {
            let y = shared.mul((i + 1) as f64).unwrap();
            let g = wengert::grad(&[y], &[x.clone()], &[None], options, false).unwrap();
            results[i].fetch_add(g[0].as_ref().unwrap().to_vec_f64().unwrap()[0] as usize, Ordering::Relaxed);
        }
    });
    assert_eq!(results.iter().map(|r| r.load(Ordering::Relaxed)).collect::<Vec<_>>(), [500 * 4, 500 * 8]);
}

#[test]
fn no_gradient_is_lost_where_two_threads_add_to_one_leaf() {
    let x = leaf(&[1.0; 4]);
    together(2, |_| {
        for _ in 0..500 {
            sweep(&x.mul(1.0).unwrap().sum(&[], false).unwrap()).unwrap();
        }
    });
    assert_eq!(gradient(&x), [1000.0; 4]);
}

#[test]
fn a_hook_may_sweep() {
    let (x, w) = (leaf(&[3.0]), leaf(&[2.0]));
    let y = x.mul(&x).unwrap();
    let inner = w.clone();
    // The gradient that arrives at y (5) is itself put through another graph: w gets 5.
    y.register_hook(Arc::new(move |g| {
        // A sweep is untaped unless its graph is wanted, and so are its hooks.
        let _on = GradMode::set(true);
        sweep(&inner.mul(&g.detach())?)?;
        Ok(Some(g.mul(inner.detach().item()?.as_f64())?))
    }))
    .unwrap();
    sweep(&y.mul(5.0).unwrap()).unwrap();
    assert_eq!((gradient(&w), gradient(&x)), (vec![5.0], vec![5.0 * 2.0 * 6.0]));
}

#[test]
fn a_hook_may_sweep_the_graph_that_is_being_swept() {
    let x = leaf(&[3.0]);
    let y = x.mul(&x).unwrap();
    let z = y.mul(&y).unwrap();
    let (again, depth) = (y.clone(), Arc::new(AtomicUsize::new(0)));
    let count = depth.clone();
    z.register_hook(Arc::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let options = SweepOptions { retain_graph: true, create_graph: false };
        backward(&[again.clone()], &[None], options, None)?;
        Ok(None)
    }))
    .unwrap();
    sweep(&z).unwrap();
    // 2x from the hook and 4x³ from the sweep itself.
    assert_eq!((gradient(&x), depth.load(Ordering::Relaxed)), (vec![6.0 + 108.0], 1));
}

#[test]
fn a_hook_may_drop_the_graph_and_remove_itself() {
    let x = leaf(&[1.0]);
    let y = x.exp().unwrap();
    let slot = Arc::new(std::sync::Mutex::new(Some(y.clone())));
    let held = slot.clone();
    let id = y.register_hook(Arc::new(move |_| {
        let gone = held.lock().unwrap().take();
        drop(gone);
        Ok(None)
    }));
    let id = id.unwrap();
    sweep(&y.mul(2.0).unwrap()).unwrap();
    y.remove_hook(id);
    assert!(slot.lock().unwrap().is_none());
    assert!((gradient(&x)[0] - 2.0 * 1f64.exp()).abs() < 1e-12);
}

#[test]
fn readers_never_see_half_a_write() {
    let x = Tensor::from_f64(&vec![0.0; 50_000], &[50_000]).unwrap();
    let done = AtomicBool::new(false);
    together(2, |i| {
        if i == 0 {
            for round in 1..300 {
                x.fill_(f64::from(round)).unwrap();
            }
            done.store(true, Ordering::Release);
        } else {
            while !done.load(Ordering::Acquire) {
                let seen = x.to_vec_f64().unwrap();
                assert!(seen.iter().all(|v| *v == seen[0]), "torn between {} and {}", seen[0], seen[49_999]);
            }
        }
    });
}

#[test]
fn no_write_is_lost_where_two_threads_add_to_one_tensor() {
    for n in [1, 5000] {
        let x = Tensor::from_f64(&vec![0.0; n], &[n]).unwrap();
        together(2, |_| {
            for _ in 0..300 {
                x.row_(Row::Add, &[1.0.into()]).unwrap();
            }
        });
        assert_eq!(x.to_vec_f64().unwrap(), vec![600.0; n]);
    }
}

#[test]
fn a_graph_made_here_is_swept_and_dropped_there() {
    let x = leaf(&[0.5]);
    let mut y = x.clone();
    for _ in 0..10_000 {
        y = y.mul(1.0).unwrap();
    }
    std::thread::spawn(move || {
        sweep(&y).unwrap();
        drop(y);
    })
    .join()
    .unwrap();
    assert_eq!(gradient(&x), [1.0]);
}

#[test]
fn taping_is_a_threads_own_choice() {
    let was = set_grad_enabled(false);
    assert!(std::thread::spawn(is_grad_enabled).join().unwrap());
    assert!(!is_grad_enabled());
    set_grad_enabled(was);
}

#[test]
fn optimizer_steps_beside_readers() {
    let p = leaf(&[0.0; 256]);
    p.set_grad(Some(Tensor::from_f64(&[1.0; 256], &[256]).unwrap())).unwrap();
    let sgd =
        optim::Sgd { lr: 1.0, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, maximize: false };
    together(2, |i| {
        for _ in 0..300 {
            if i == 0 {
                optim::sgd_step(&[p.clone()], &mut [None], &sgd).unwrap();
            } else {
                let seen = p.to_vec_f64().unwrap();
                assert!(seen.iter().all(|v| *v == seen[0]), "{} beside {}", seen[0], seen[255]);
            }
        }
    });
    assert_eq!(p.to_vec_f64().unwrap(), [-300.0; 256]);
}
