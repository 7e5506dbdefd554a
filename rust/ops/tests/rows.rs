//! Every row of the table: partials against finite differences, readings against each other.

use std::collections::HashSet;
use wengert_ops::rows::{Class, Expr, Node, Wgsl};
use wengert_ops::{DType, Row};

/// A small generator: the tests need spread, not quality.
struct Draw(u64);

impl Draw {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A point of the row's domain, away from its kinks.
    fn point(&mut self, row: Row) -> Vec<f64> {
        let info = row.info();
        loop {
            let point: Vec<f64> = info.domain.iter().map(|&(lo, hi)| lo + (hi - lo) * self.unit()).collect();
            if info.kinks.is_none_or(|kink| kink(&point).abs() > 1e-3) {
                return point;
            }
        }
    }
}

#[test]
fn partials_agree_with_finite_differences() {
    let mut draw = Draw(1);
    let mut checked = 0;
    for &row in Row::ALL {
        for (which, partial) in row.expr().partials.iter().enumerate() {
            for _ in 0..50 {
                let x = draw.point(row);
                let h = 1e-5;
                let moved = |d: f64| {
                    let mut x = x.clone();
                    x[which] += d;
                    row.eval(&x)
                };
                // Fourth order, so that curvature does not show.
                let numeric = (8.0 * (moved(h) - moved(-h)) - (moved(2.0 * h) - moved(-2.0 * h))) / (12.0 * h);
                let stated = partial.eval(&x, row.eval(&x));
                let scale = stated.abs().max(row.eval(&x).abs()).max(1.0);
                assert!(
                    (numeric - stated).abs() < 1e-7 * scale,
                    "{row:?} by {which} at {x:?}: {stated}, really {numeric}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 5000, "{checked}");
}

/// The derivative of an expression by an input, built from the table as the tape would build it.
fn derivative(e: Expr, input: u8, y: Expr) -> Expr {
    match e.node() {
        Node::Arg(i) => Expr::constant((*i == input) as u8 as f64),
        Node::Y => derivative(y, input, y),
        Node::Const(_) => Expr::constant(0.0),
        Node::Call(row, args) => {
            let mut sum = Expr::constant(0.0);
            for (arg, partial) in args.iter().zip(&row.expr().partials) {
                let inner = derivative(*arg, input, y);
                if inner.as_constant() != Some(0.0) {
                    sum = sum + partial.substitute(args, e) * inner;
                }
            }
            sum
        }
    }
}

#[test]
fn second_order_through_taped_partials() {
    let mut draw = Draw(2);
    for &row in Row::ALL {
        let value = Expr::call(row, &(0..row.arity() as u8).map(Expr::arg).collect::<Vec<_>>());
        for (which, partial) in row.expr().partials.iter().enumerate() {
            for input in 0..row.arity() as u8 {
                let second = derivative(*partial, input, value);
                for _ in 0..5 {
                    let x = draw.point(row);
                    let h = 1e-5;
                    let moved = |d: f64| {
                        let mut x = x.clone();
                        x[input as usize] += d;
                        partial.eval(&x, row.eval(&x))
                    };
                    let numeric = (8.0 * (moved(h) - moved(-h)) - (moved(2.0 * h) - moved(-2.0 * h))) / (12.0 * h);
                    let stated = second.eval(&x, row.eval(&x));
                    let scale = stated.abs().max(moved(0.0).abs()).max(1.0);
                    assert!(
                        (numeric - stated).abs() < 1e-6 * scale,
                        "{row:?} by {which}, {input} at {x:?}: {stated}, really {numeric}"
                    );
                }
            }
        }
    }
}

#[test]
fn symbols_evaluate_to_the_value() {
    let mut draw = Draw(3);
    for &row in Row::ALL {
        for _ in 0..20 {
            let mut x = draw.point(row);
            if row.info().class == Class::Bit {
                x.iter_mut().for_each(|v| *v = v.trunc());
            }
            let (symbolic, plain) = (row.expr().value.eval(&x, f64::NAN), row.eval(&x));
            assert!((symbolic - plain).abs() <= 1e-12 * plain.abs().max(1.0), "{row:?} at {x:?}: {symbolic} {plain}");
        }
    }
}

#[test]
fn the_registry_is_complete() {
    let mut names = HashSet::new();
    for (i, &row) in Row::ALL.iter().enumerate() {
        let info = row.info();
        assert_eq!(row as usize, i);
        assert!(names.insert(info.name), "{} stands twice", info.name);
        assert_eq!(Row::from_name(info.name), Some(row));
        assert_eq!(info.domain.len(), row.arity(), "{row:?}");
        assert!(info.doc.ends_with('.') && !info.label.is_empty(), "{row:?}");
        assert_eq!(info.differentiable, !row.expr().partials.is_empty());
        assert_eq!(info.differentiable, row.needs(0).defined);
        let args: Vec<&str> = info.args.to_vec();
        for ty in [Wgsl::F32, Wgsl::F64, Wgsl::I32, Wgsl::I64] {
            assert!(!row.expr().value.wgsl(ty, &args, "y").is_empty());
        }
        for partial in &row.expr().partials {
            assert!(!partial.wgsl(Wgsl::F32, &args, "y").is_empty() && !partial.latex(&args, "y").is_empty());
        }
    }
    assert_eq!(Row::from_name("where"), Some(Row::Where));
    assert_eq!(Row::from_name("no such row"), None);
}

#[test]
fn what_partials_read() {
    let add = Row::Add.needs(0);
    assert_eq!((add.constant, add.inputs, add.output), (Some(1.0), 0, false));
    assert_eq!(Row::Sub.needs(1).constant, Some(-1.0));
    let mul = Row::Mul.needs(0);
    assert_eq!((mul.inputs, mul.output, mul.constant), (0b10, false, None));
    let tanh = Row::Tanh.needs(0);
    assert_eq!((tanh.inputs, tanh.output), (0, true));
    let div = Row::Div.needs(1);
    assert_eq!((div.inputs, div.output), (0b10, true));
    assert!(Row::Relu.needs(0).mask && Row::Where.needs(1).mask && !Row::Mul.needs(0).mask);
    assert!(!Row::Heaviside.needs(0).defined && !Row::Eq.needs(0).defined);
}

#[test]
fn ties_and_corners_follow_pytorch() {
    let at = |row: Row, which: usize, x: &[f64]| row.expr().partials[which].eval(x, row.eval(x));
    assert_eq!((at(Row::Maximum, 0, &[1.0, 1.0]), at(Row::Maximum, 1, &[1.0, 1.0])), (0.5, 0.5));
    assert_eq!((at(Row::Relu, 0, &[0.0]), at(Row::Abs, 0, &[0.0])), (0.0, 0.0));
    assert_eq!((at(Row::Clamp, 0, &[1.0, 0.0, 1.0]), at(Row::Clamp, 0, &[0.5, 0.0, 1.0])), (0.0, 1.0));
    assert_eq!((at(Row::ClampTensor, 0, &[1.0, 0.0, 1.0]), at(Row::ClampTensor, 2, &[1.0, 0.0, 1.0])), (0.5, 0.5));
    assert_eq!((at(Row::Hardtanh, 0, &[1.0, -1.0, 1.0]), at(Row::Hardtanh, 0, &[f64::NAN, -1.0, 1.0])), (0.0, 1.0));
    assert_eq!((at(Row::Fmax, 0, &[f64::NAN, 1.0]), at(Row::Fmax, 1, &[f64::NAN, 1.0])), (0.0, 1.0));
    assert_eq!((at(Row::Relu, 0, &[f64::NAN]), at(Row::Elu, 0, &[f64::NAN, 1.0])), (1.0, 1.0));
    assert_eq!((at(Row::Hardswish, 0, &[-3.0]), at(Row::Hardswish, 0, &[3.0])), (0.0, 1.0));
    assert_eq!(at(Row::Remainder, 1, &[-5.0, f64::INFINITY]), 1.0);
    assert_eq!(at(Row::Pow, 0, &[0.0, 0.0]), 0.0);
    assert_eq!(at(Row::Pow, 1, &[0.0, 2.0]), 0.0);
    assert!(Row::Maximum.eval(&[f64::NAN, 1.0]).is_nan() && Row::Maximum.eval(&[1.0, f64::NAN]).is_nan());
    assert!(Row::Relu.eval(&[f64::NAN]).is_nan() && Row::Clamp.eval(&[f64::NAN, 0.0, 1.0]).is_nan());
    assert_eq!((Row::Fmax.eval(&[f64::NAN, 1.0]), Row::Fmin.eval(&[2.0, f64::NAN])), (1.0, 2.0));
    assert_eq!((Row::Round.eval(&[0.5]), Row::Round.eval(&[1.5])), (0.0, 2.0));
    assert_eq!((Row::Remainder.eval(&[-3.0, 2.0]), Row::Fmod.eval(&[-3.0, 2.0])), (1.0, -1.0));
    assert_eq!((Row::FloorDivide.eval(&[-3.0, 2.0]), Row::TruncDivide.eval(&[-3.0, 2.0])), (-2.0, -1.0));
    assert_eq!(Row::FloorDivide.eval(&[1.0, 0.0]), f64::INFINITY);
    assert_eq!(Row::BitwiseLeftShift.eval(&[1.0, 64.0]), 0.0);
    assert_eq!(Row::BitwiseRightShift.eval(&[-8.0, 100.0]), -1.0);
    assert_eq!((Row::Gcd.eval(&[12.0, -18.0]), Row::Lcm.eval(&[4.0, 6.0])), (6.0, 12.0));
}

#[test]
fn dtype_rules() {
    use DType::*;
    let rule = |row: Row, dtype| row.info().class.result(dtype, F32, row);
    assert_eq!(rule(Row::Add, Bool).unwrap(), (Bool, Bool));
    assert_eq!(rule(Row::Square, Bool).unwrap(), (I64, I64));
    assert_eq!(rule(Row::Div, I64).unwrap(), (F32, F32));
    assert_eq!(rule(Row::Sqrt, F16).unwrap(), (F16, F16));
    assert_eq!(rule(Row::Isnan, F64).unwrap(), (F64, Bool));
    assert!(rule(Row::Sub, Bool).unwrap_err().message().contains("`logical_xor()`"));
    assert!(rule(Row::BitwiseAnd, F32).unwrap_err().message().contains("not implemented for 'Float'"));
    assert!(rule(Row::Gelu, I64).unwrap_err().message().contains("'Long'"));
    assert_eq!(rule(Row::BitwiseNot, Bool).unwrap(), (Bool, Bool));
    assert!(rule(Row::Gcd, Bool).is_err());
}
