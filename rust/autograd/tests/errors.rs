//! Mistakes: the kind of error, words that help, operands left as they were, nothing leaked.

// `&[y.clone()]` is plainer than `std::slice::from_ref(&y)`, and a handle is cheap.
#![allow(clippy::cloned_ref_to_slice_refs)]

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wengert::{
    apply_function, backward, grad, live, set_interrupt_check, BackwardCtx, DType, Device, Error, ErrorKind, Function,
    LossReduction, Result, Row, SweepOptions, Tensor,
};

/// Counts are the process's: tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_f64(values, shape).unwrap()
}

fn leaf(values: &[f64]) -> Tensor {
    tensor(values, &[values.len()]).requiring_grad().unwrap()
}

fn sweep(y: &Tensor) -> Result<()> {
    backward(&[y.clone()], &[None], SweepOptions::default(), None)
}

/// Runs what must fail; checks the error's kind and words, and that no node or value stays behind.
#[track_caller]
fn refused<T>(kind: ErrorKind, words: &[&str], call: impl Fn() -> Result<T>) {
    let attempt = || call().err().expect("this must fail");
    // Names and tables that are made on first use are not leaks.
    attempt();
    let before = live();
    let error = attempt();
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(error.message().contains(word), "{word:?} is not in {:?}", error.message());
    }
    let after = live();
    assert_eq!((after.nodes, after.value_bytes), (before.nodes, before.value_bytes), "left behind by {error}");
}

use ErrorKind::{Index, LinAlg, NotImplemented, Runtime};

#[test]
fn shapes_that_do_not_fit() {
    let _alone = alone();
    let (x, y) = (leaf(&[1.0, 2.0, 3.0]), leaf(&[1.0, 2.0]));
    refused(Runtime, &["size of tensor a (3)", "tensor b (2)"], || x.add(&y));
    refused(Runtime, &["3", "2"], || x.matmul(&y));
    refused(Runtime, &["[2]", "3"], || x.view(&[2]));
    refused(Runtime, &["add", "[2]", "[3]"], || y.row_(Row::Add, &[(&x).into()]));
    let (a, b) = (tensor(&[1.0; 6], &[2, 3]), tensor(&[1.0; 8], &[2, 4]));
    refused(Runtime, &["2x3", "2x4"], || a.matmul(&b));
    refused(Runtime, &["Sizes of tensors must match"], || Tensor::cat(&[&a, &b], 0));
    assert_eq!((x.version(), y.version()), (0, 0));
}

#[test]
fn sizes_and_positions_out_of_range() {
    let _alone = alone();
    let x = leaf(&[1.0, 2.0, 3.0]);
    refused(Index, &["5", "3"], || x.select(0, 5));
    refused(Index, &["Dimension out of range", "[-1, 0]", "2"], || x.sum(&[2], false));
    let far = Tensor::from_i64(&[0, 7], &[2]).unwrap();
    refused(Index, &["7", "3"], || x.index_select(0, &far));
    refused(Runtime, &["7", "3"], || x.gather(0, &far));
    let target = Tensor::from_i64(&[9], &[1]).unwrap();
    let logits = x.view(&[1, 3]).unwrap();
    refused(Index, &["9"], || logits.cross_entropy(&target, LossReduction::Mean, -100));
    let huge = 1usize << 62;
    for shape in [&[huge][..], &[huge, 8], &[1 << 31, 1 << 31, 1 << 31]] {
        assert!(Tensor::zeros(shape, DType::F64, Device::Cpu).is_err(), "{shape:?}");
    }
    refused(Runtime, &["repeated dim"], || x.movedim(&[0, 0], &[0, 0]));
}

#[test]
fn dtypes_and_devices_that_do_not_mix() {
    let _alone = alone();
    let x = leaf(&[1.0, 2.0]);
    let whole = Tensor::from_i64(&[1, 2], &[2]).unwrap();
    let half = tensor(&[1.0, 2.0], &[2]).to_dtype(DType::F32).unwrap();
    refused(Runtime, &["float", "double"], || half.matmul(&x.detach()));
    refused(Runtime, &["floating point"], || whole.clone().requiring_grad());
    refused(Runtime, &["Float", "Long"], || whole.row_(Row::Mul, &[1.5.into()]));
    refused(NotImplemented, &["mean", "Long"], || whole.mean(&[], false));
    let meta = Tensor::zeros(&[2], DType::F64, Device::Meta).unwrap();
    refused(Runtime, &["same device", "cpu", "meta"], || x.add(&meta));
    refused(NotImplemented, &["meta"], || meta.to_vec_f64());
    assert_eq!(whole.to_vec_i64().unwrap(), [1, 2]);
}

#[test]
fn gradients_that_cannot_be() {
    let _alone = alone();
    let (x, unused) = (leaf(&[1.0, 2.0]), leaf(&[1.0]));
    let plain = tensor(&[1.0], &[1]);
    refused(Runtime, &["does not require grad"], || sweep(&plain));
    refused(Runtime, &["scalar outputs", "[2]", "gradient="], || sweep(&x.mul(2.0)?));
    refused(Runtime, &["[3]", "[2]"], || {
        backward(&[x.mul(2.0)?], &[Some(tensor(&[1.0; 3], &[3]))], SweepOptions::default(), None)
    });
    refused(Runtime, &["second time", "retain_graph=True"], || {
        let y = x.mul(&x)?.sum(&[], false)?;
        sweep(&y)?;
        x.set_grad(None)?;
        sweep(&y)
    });
    refused(Runtime, &["appears to not have been used"], || {
        grad(&[x.sum(&[], false)?], &[unused.clone()], &[None], SweepOptions::default(), false)
    });
    refused(Runtime, &["does not require grad"], || {
        grad(&[x.sum(&[], false)?], &[plain.clone()], &[None], SweepOptions::default(), true)
    });
    assert!(unused.grad().is_none());
}

#[test]
fn writes_that_would_lose_history() {
    let _alone = alone();
    let x = leaf(&[1.0, 2.0, 3.0, 4.0]);
    let add = |t: &Tensor| t.row_(Row::Add, &[1.0.into()]);
    refused(Runtime, &["leaf", "in-place", "no_grad"], || add(&x));
    refused(Runtime, &["view of a leaf"], || add(&x.narrow(0, 0, 2)?));
    refused(Runtime, &["multiple views"], || add(&x.mul(1.0)?.unbind(0)?[0]));
    let expanded = tensor(&[1.0], &[1]).expand(&[3]).unwrap();
    refused(Runtime, &["single memory location", "clone()"], || add(&expanded));
    assert_eq!((x.to_vec_f64().unwrap(), x.version()), (vec![1.0, 2.0, 3.0, 4.0], 0));
}

#[test]
fn a_refused_write_changes_nothing() {
    let _alone = alone();
    let x = leaf(&[1.0, 2.0, 3.0]);
    let y = x.mul(&x).unwrap();
    let (node, version) = (y.grad_fn().unwrap().unwrap().order(), y.version());
    let far = Tensor::from_i64(&[9], &[1]).unwrap();
    let value = leaf(&[5.0]);
    refused(Index, &["9", "3"], || y.index_put_(1, &[&far], &value, false));
    assert_eq!((y.grad_fn().unwrap().unwrap().order(), y.version()), (node, version));
    assert_eq!(y.to_vec_f64().unwrap(), [1.0, 4.0, 9.0]);
    sweep(&y.sum(&[], false).unwrap()).unwrap();
    assert_eq!(x.grad().unwrap().to_vec_f64().unwrap(), [2.0, 4.0, 6.0]);
}

#[test]
fn factorizations_that_do_not_exist() {
    let _alone = alone();
    let zero = tensor(&[0.0; 4], &[2, 2]);
    refused(LinAlg, &["cholesky"], || zero.cholesky(false));
    refused(LinAlg, &["singular"], || zero.inverse());
    refused(Runtime, &["2"], || tensor(&[1.0; 6], &[2, 3]).inverse());
}

#[test]
fn a_failing_hook_leaves_every_gradient_as_it_was() {
    let _alone = alone();
    let (x, w) = (leaf(&[1.0]), leaf(&[2.0]));
    w.set_grad(Some(tensor(&[7.0], &[1]))).unwrap();
    x.register_hook(Arc::new(|_| Err(Error::value("out of cheese")))).unwrap();
    refused(ErrorKind::Value, &["out of cheese"], || sweep(&x.mul(&w)?));
    assert!(x.grad().is_none());
    assert_eq!(w.grad().unwrap().to_vec_f64().unwrap(), [7.0]);
}

#[test]
fn a_hook_may_not_change_shape_or_dtype() {
    let _alone = alone();
    let x = leaf(&[1.0, 2.0]);
    let with = |hook: fn(&Tensor) -> Result<Tensor>| {
        let y = x.mul(2.0)?;
        y.register_hook(Arc::new(move |g| hook(g).map(Some)))?;
        sweep(&y.sum(&[], false)?)
    };
    refused(Runtime, &["size", "[2]", "[1]"], || with(|g| g.narrow(0, 0, 1)));
    refused(Runtime, &["type", "float64", "float32"], || with(|g| g.to_dtype(DType::F32)));
    assert!(x.grad().is_none());
}

#[derive(Debug)]
struct Faulty(usize);

impl Function for Faulty {
    fn name(&self) -> &str {
        "FaultyBackward"
    }
    fn forward(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        if self.0 == 0 {
            return Err(Error::value("no forward today"));
        }
        Ok(vec![x[0].mul(2.0)?])
    }
    fn backward(&self, _: &BackwardCtx<'_>, g: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        match self.0 {
            1 => Err(Error::value("no backward today")),
            n => Ok(vec![g[0].clone(); n]),
        }
    }
}

#[test]
fn errors_of_a_users_function_come_out() {
    let _alone = alone();
    let x = leaf(&[1.0]);
    let run = |n| sweep(&apply_function(Arc::new(Faulty(n)), &[&x])?[0]);
    refused(ErrorKind::Value, &["no forward today"], || run(0));
    refused(ErrorKind::Value, &["no backward today"], || run(1));
    // Two gradients for one input.
    assert!(run(2).is_err());
    assert!(x.grad().is_none());
}

thread_local! {
    static STOP: Cell<bool> = const { Cell::new(false) };
}

#[test]
fn a_sweep_can_be_interrupted() {
    let _alone = alone();
    set_interrupt_check(|| if STOP.get() { Err(Error::runtime("stopped")) } else { Ok(()) });
    let x = leaf(&[1.0]);
    let mut y = x.clone();
    for _ in 0..10_000 {
        y = y.mul(1.0).unwrap();
    }
    STOP.set(true);
    assert_eq!(sweep(&y).unwrap_err().message(), "stopped");
    assert!(x.grad().is_none());
    STOP.set(false);
    let mut y = x.clone();
    for _ in 0..10_000 {
        y = y.mul(1.0).unwrap();
    }
    sweep(&y).unwrap();
    assert_eq!(x.grad().unwrap().to_vec_f64().unwrap(), [1.0]);
}
