//! What a tensor alone keeps alive is shown to a host's collector, and nothing that is shared.

use std::sync::Arc;
use wengert::{apply_function, BackwardCtx, Function, Part, Payload, Result, Tensor};

fn leaf() -> Tensor {
    Tensor::from_f32(&[1.0, 2.0], &[2]).unwrap().requiring_grad().unwrap()
}

/// The numbers behind payloads, and how many functions, that `t` shows.
fn shown(t: &Tensor) -> (Vec<i32>, usize) {
    let (mut numbers, mut functions) = (Vec::new(), 0);
    t.visit_sole(|part| match part {
        Part::Payload(p) => numbers.extend((**p).downcast_ref::<i32>()),
        Part::Function(_) => functions += 1,
        Part::Object(_) => {}
    });
    (numbers, functions)
}

fn hooked(number: i32) -> Tensor {
    let x = leaf();
    let payload: Payload = Arc::new(number);
    x.register_known_hook(Arc::new(|_| Ok(None)), Some(payload)).unwrap();
    x
}

#[derive(Debug)]
struct Same;

impl Function for Same {
    fn name(&self) -> &str {
        "SameBackward"
    }
    fn forward(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![x[0].clone_()?])
    }
    fn backward(&self, _: &BackwardCtx<'_>, g: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![g[0].clone()])
    }
}

#[test]
fn hooks_are_shown_by_the_only_handle() {
    let x = hooked(7);
    assert_eq!(shown(&x), (vec![7], 0));
    let other = x.clone();
    assert_eq!(shown(&x), (vec![], 0));
    drop(other);
    assert_eq!(shown(&x), (vec![7], 0));
}

#[test]
fn a_leaf_is_shown_by_what_alone_depends_on_it() {
    let x = hooked(3);
    let y = x.exp().unwrap();
    assert_eq!((shown(&x).0, shown(&y).0), (vec![], vec![]));
    drop(x);
    assert_eq!(shown(&y).0, [3]);
    let z = y.exp().unwrap();
    assert_eq!((shown(&y).0, shown(&z).0), (vec![], vec![]));
    drop(y);
    assert_eq!(shown(&z).0, [3]);
    let w = z.mul(&z).unwrap();
    drop(z);
    assert_eq!(shown(&w).0, Vec::<i32>::new(), "reached on two ways");
}

#[test]
fn gradients_and_bases_are_shown() {
    let x = leaf();
    x.set_grad(Some(hooked(5))).unwrap();
    assert_eq!(shown(&x).0, [5]);
    let held = x.grad();
    assert_eq!(shown(&x).0, Vec::<i32>::new());
    drop(held);
    let base = hooked(9);
    let view = {
        let _off = wengert::GradMode::set(false);
        base.view(&[2, 1]).unwrap()
    };
    assert_eq!(shown(&view).0, Vec::<i32>::new());
    drop(base);
    assert_eq!(shown(&view).0, [9]);
}

#[test]
fn functions_are_shown_and_cleared_hooks_are_not() {
    let y = apply_function(Arc::new(Same), &[&leaf()]).unwrap().remove(0);
    assert_eq!(shown(&y), (vec![], 1));
    let handle = y.clone();
    assert_eq!(shown(&y), (vec![], 0));
    drop(handle);
    let x = hooked(1);
    x.clear_hooks();
    assert_eq!(shown(&x), (vec![], 0));
}

#[test]
fn a_weak_handle_does_not_keep_its_tensor() {
    let x = leaf();
    let weak = x.downgrade();
    assert!(weak.upgrade().is_some_and(|t| t.is(&x)));
    drop(x);
    assert!(weak.upgrade().is_none());
}
