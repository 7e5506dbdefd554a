//! Every rule against finite differences along random directions, to third order. A new operation
//! must be named in an exhaustive match, and a name without a case fails here.

#[path = "rules/kinds.rs"]
mod kinds;
#[path = "rules/networks.rs"]
mod networks;

use kinds::{kind, kinds};
use networks::networks;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::sync::Arc;
use wengert::{apply, apply_function, grad, BackwardCtx, Device, Function, SweepOptions, Tensor};
use wengert_ops::rows::Class;
use wengert_ops::*;

type Run = Box<dyn Fn(&[Tensor]) -> Result<Vec<Tensor>>>;

/// A function of some tensors, differentiated by those that are `free`.
struct Case {
    name: String,
    kind: String,
    inputs: Vec<Tensor>,
    free: Vec<usize>,
    run: Run,
}

/// A fixed sequence of numbers in (0, 1).
fn numbers(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        })
        .collect()
}

fn floats(seed: u64, shape: &[usize]) -> Tensor {
    let values: Vec<f64> = numbers(seed, shape.iter().product()).iter().map(|u| 3.0 * u - 1.5).collect();
    Tensor::from_f64(&values, shape).unwrap()
}

fn ints(values: &[i64], shape: &[usize]) -> Tensor {
    Tensor::from_i64(values, shape).unwrap()
}

impl Case {
    fn of(op: Op, inputs: Vec<Tensor>) -> Case {
        let free = (0..inputs.len()).filter(|&i| inputs[i].dtype().is_float()).collect();
        let (name, kind) = (format!("{op:?}"), kind(&op));
        let run = move |x: &[Tensor]| apply(op.clone(), &x.iter().collect::<Vec<_>>()).map(|out| out.into_vec());
        Case { name, kind, inputs, free, run: Box::new(run) }
    }

    /// The op's inputs are functions of the free ones.
    fn via(op: Op, inputs: Vec<Tensor>, run: impl Fn(&[Tensor], &Op) -> Result<Vec<Tensor>> + 'static) -> Case {
        let case = Case::of(op.clone(), inputs);
        Case { run: Box::new(move |x| run(x, &op)), ..case }
    }

    fn view(view: ViewOp, shape: &[usize]) -> Case {
        Case::of(Op::View(Arc::new(view)), vec![floats(41, shape)])
    }

    fn only(self, free: &[usize]) -> Case {
        Case { free: free.to_vec(), ..self }
    }

    /// A scalar that is not linear in the outputs, so that every order asked for exists.
    fn objective(&self, x: &[Tensor]) -> Result<Tensor> {
        let mut total: Option<Tensor> = None;
        for (k, y) in (self.run)(x)?.iter().filter(|y| y.dtype().is_float()).enumerate() {
            let y = y.to_dtype(DType::F64)?;
            let w = floats(900 + k as u64, &y.shape());
            let term = w.mul(&y.add(&y.mul(&y)?.mul(&y.add(1.5)?)?.mul(0.3)?)?)?.sum(&[], false)?;
            total = Some(match total {
                Some(t) => t.add(&term)?,
                None => term,
            });
        }
        Ok(total.unwrap())
    }

    fn direction(&self, order: usize, i: usize) -> Tensor {
        floats(700 + 10 * order as u64 + i as u64, &self.inputs[i].shape())
    }

    /// The `order`-th derivative of the objective, each along its own direction. `create` tapes the last step.
    fn derivative(&self, x: &[Tensor], leaves: &[Tensor], order: usize, create: bool) -> Result<Tensor> {
        if order == 0 {
            return self.objective(x);
        }
        let inner = self.derivative(x, leaves, order - 1, true)?;
        let options = SweepOptions { retain_graph: false, create_graph: create };
        let grads = grad(&[inner], leaves, &[None], options, true)?;
        let mut total = Tensor::zeros(&[], DType::F64, Device::Cpu)?;
        for (g, &i) in grads.iter().zip(&self.free) {
            if let Some(g) = g {
                assert_eq!(g.shape(), self.inputs[i].shape(), "{}: gradient of input {i}", self.name);
                total = total.add(&g.mul(&self.direction(order, i))?.sum(&[], false)?)?;
            }
        }
        Ok(total)
    }

    /// As a number, at the inputs moved by `step` along the next direction.
    fn at(&self, order: usize, step: f64, create: bool) -> Result<f64> {
        let mut x = self.inputs.clone();
        let mut leaves = Vec::new();
        for &i in &self.free {
            let moved = x[i].add(&self.direction(order + 1, i).mul(step)?)?;
            x[i] = moved.requiring_grad()?;
            leaves.push(x[i].clone());
        }
        self.derivative(&x, &leaves, order, create)?.to_vec_f64().map(|v| v[0])
    }

    /// What is wrong with the derivatives up to an order.
    fn problem(&self, orders: usize) -> Result<Option<String>> {
        const STEP: f64 = 1e-5;
        let close = |a: f64, b: f64| (a - b).abs() <= 2e-6 * (1.0 + a.abs().max(b.abs()));
        for order in 1..=orders {
            let slope = (self.at(order - 1, STEP, false)? - self.at(order - 1, -STEP, false)?) / (2.0 * STEP);
            let (plain, taped) = (self.at(order, 0.0, false)?, self.at(order, 0.0, true)?);
            if !close(plain, slope) || !close(plain, taped) {
                return Ok(Some(format!("order {order}: {plain}, {taped} with create_graph, {slope} by differences")));
            }
        }
        Ok(None)
    }
}

fn check(cases: Vec<Case>, orders: usize) {
    let problems: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let problem = case.problem(orders).unwrap_or_else(|e| Some(e.to_string()))?;
            let shapes: Vec<Dims> = case.inputs.iter().map(|x| x.shape()).collect();
            Some(format!("{} of {shapes:?} by {:?}: {problem}", case.name, case.free))
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[derive(Debug)]
struct Cube;

impl Function for Cube {
    fn name(&self) -> &str {
        "CubeBackward"
    }
    fn forward(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![x[0].mul(&x[0])?.mul(&x[0])?])
    }
    fn backward(&self, ctx: &BackwardCtx<'_>, g: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let x = ctx.input(0)?;
        let Some(g) = &g[0] else { return Ok(vec![None]) };
        Ok(vec![Some(g.mul(&x.mul(&x)?)?.mul(3.0)?)])
    }
}

fn layout(shape: &[usize], strides: &[isize], offset: usize) -> Layout {
    Layout::strided(Dims::from_slice(shape), Strides::from_slice(strides), offset)
}

fn shaping() -> Vec<Case> {
    let dims = |d: &[usize]| Dims::from_slice(d);
    let region = |base: Layout, part: Layout| Arc::new(Region { base, part });
    let inner = region(Layout::contiguous(&[3, 4]), layout(&[2, 2], &[4, 2], 1));
    let windows = region(Layout::contiguous(&[6]), layout(&[3, 4], &[1, 1], 0));
    let turned = region(layout(&[3, 4], &[1, 3], 0), layout(&[2, 3], &[3, 1], 3));
    let custom = Case {
        name: "custom".into(),
        kind: "custom op".into(),
        inputs: vec![floats(1, &[3])],
        free: vec![0],
        run: Box::new(|x| apply_function(Arc::new(Cube), &[&x[0]])),
    };
    let strided = ViewOp::AsStrided { shape: dims(&[3, 2]), strides: Strides::from_slice(&[1, 2]), offset: 1 };
    vec![
        custom,
        // Through f32 differences see rounding: a sum of widened f64 values keeps the rule visible.
        Case::via(Op::Cast(DType::F64), vec![floats(2, &[3])], |x, op| {
            Ok(apply(op.clone(), &[&x[0].mul(1.0)?])?.into_vec())
        }),
        Case::view(ViewOp::Permute(dims(&[2, 0, 1])), &[2, 3, 4]),
        Case::view(ViewOp::Expand(dims(&[2, 3, 4])), &[3, 1]),
        Case::view(ViewOp::Reshape(dims(&[3, 2])), &[2, 3]),
        Case::view(ViewOp::Slice { dim: 1, start: 1, step: 1, len: 2 }, &[2, 4]),
        Case::view(ViewOp::Slice { dim: 1, start: 1, step: 2, len: 2 }, &[2, 5]),
        Case::view(ViewOp::Select { dim: 1, index: 2 }, &[2, 4, 2]),
        Case::view(ViewOp::Diagonal { offset: 1, dim1: 0, dim2: 2 }, &[3, 2, 4]),
        Case::view(ViewOp::Unsqueeze(1), &[2, 3]),
        Case::view(ViewOp::Squeeze(0b110), &[2, 1, 3, 1]),
        Case::view(ViewOp::Alias, &[2]),
        Case::view(ViewOp::Unfold { dim: 1, size: 3, step: 2 }, &[2, 7]),
        Case::view(ViewOp::Unfold { dim: 0, size: 2, step: 3 }, &[6, 2]),
        Case::view(strided, &[7]),
        Case::of(Op::Take(inner.clone()), vec![floats(3, &[3, 4])]),
        Case::of(Op::Take(windows), vec![floats(4, &[6])]),
        Case::of(Op::Take(turned.clone()), vec![floats(5, &[3, 4])]),
        Case::of(Op::Put(inner.clone()), vec![floats(6, &[3, 4]), floats(7, &[2, 2])]),
        Case::of(Op::Put(inner.clone()), vec![floats(6, &[3, 4]), floats(7, &[2, 2])]).only(&[0]),
        Case::of(Op::Put(inner), vec![floats(6, &[3, 4]), floats(7, &[2, 2])]).only(&[1]),
        Case::of(Op::Put(turned), vec![floats(8, &[3, 4]), floats(9, &[2, 3])]),
        Case::of(Op::Pad(Arc::from([(1, 0), (2, 1)])), vec![floats(10, &[2, 3])]),
        Case::of(Op::Cat { dim: 1 }, vec![floats(11, &[2, 1]), floats(12, &[2, 3]), floats(13, &[2, 2])]),
        Case::of(Op::Cat { dim: 0 }, vec![floats(11, &[2]), floats(12, &[0]), floats(13, &[3])]).only(&[0, 2]),
        Case::of(Op::Cat { dim: 0 }, vec![floats(11, &[1]), floats(12, &[2]), floats(13, &[3])]).only(&[1]),
    ]
}

fn with_zeros(seed: u64, shape: &[usize], zeros: &[usize]) -> Tensor {
    let mut values = floats(seed, shape).to_vec_f64().unwrap();
    zeros.iter().for_each(|&i| values[i] = 0.0);
    Tensor::from_f64(&values, shape).unwrap()
}

fn folds() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in [Reduction::Sum, Reduction::Prod, Reduction::Max, Reduction::Min] {
        for (dims, keepdim) in [(0b101, false), (0b010, true), (0b111, false), (0, false)] {
            cases.push(Case::of(Op::Reduce { kind, dims, keepdim }, vec![floats(21, &[2, 3, 2])]));
        }
        cases.push(Case::of(Op::Reduce { kind, dims: 0, keepdim: false }, vec![floats(22, &[])]));
    }
    for kind in [ScanKind::Sum, ScanKind::Prod] {
        for (dim, reverse) in [(0, false), (1, true)] {
            cases.push(Case::of(Op::Scan { kind, dim, reverse }, vec![floats(25, &[3, 4])]));
        }
        cases.push(Case::of(Op::Scan { kind, dim: 0, reverse: false }, vec![floats(26, &[])]));
    }
    for (kind, dim, keepdim) in [(Extremum::Max, 1, false), (Extremum::Min, 0, true)] {
        cases.push(Case::of(Op::Extreme { kind, dim, keepdim }, vec![floats(27, &[3, 4])]));
    }
    cases
}

/// Products of factors some of which are zero.
fn products() -> Vec<Case> {
    let mut cases = Vec::new();
    for zeros in [&[1][..], &[0, 4], &[0, 1, 2], &[3, 5, 7, 2]] {
        let op = Op::Reduce { kind: Reduction::Prod, dims: 0b101, keepdim: false };
        cases.push(Case::of(op, vec![with_zeros(23, &[2, 2, 2], zeros)]));
        for reverse in [false, true] {
            let op = Op::Scan { kind: ScanKind::Prod, dim: 1, reverse };
            cases.push(Case::of(op, vec![with_zeros(24, &[2, 4], zeros)]));
        }
    }
    cases
}

fn positions() -> Vec<Case> {
    let index = || ints(&[2, 0, 1, 1], &[2, 2]);
    let distinct = || ints(&[2, 0, 1, 2], &[2, 2]);
    let x = || floats(31, &[3, 4]);
    let mut cases = vec![
        Case::of(Op::Gather { dim: 0 }, vec![x(), index()]),
        Case::of(Op::Gather { dim: 1 }, vec![x(), index()]),
        Case::of(Op::Gather { dim: 0 }, vec![floats(32, &[]), ints(&[0], &[1])]),
        Case::of(Op::Gather { dim: 0 }, vec![floats(32, &[3]), ints(&[1], &[])]),
        Case::of(Op::Index { dims: 0b01 }, vec![x(), index()]),
        Case::of(Op::Index { dims: 0b11 }, vec![x(), ints(&[2, 2], &[2, 1]), ints(&[0, 3, 0], &[3])]),
        Case::of(Op::Index { dims: 0b101 }, vec![floats(33, &[2, 3, 2]), ints(&[1, 1], &[2]), ints(&[0, 1], &[2])]),
        Case::of(Op::Sort { dim: 1, descending: false }, vec![x()]),
        Case::of(Op::Sort { dim: 0, descending: true }, vec![x()]),
        Case::of(Op::Sort { dim: 0, descending: true }, vec![floats(34, &[])]),
        Case::of(Op::TopK { k: 2, dim: 1, largest: true, sorted: true }, vec![x()]),
        Case::of(Op::TopK { k: 1, dim: 0, largest: false, sorted: false }, vec![x()]),
    ];
    for mode in [ScatterMode::Set, ScatterMode::Add] {
        for free in [&[0][..], &[2], &[0, 2]] {
            // A source that is larger than the index: the rest of it is not read.
            let inputs = vec![x(), distinct(), floats(35, &[2, 3])];
            cases.push(Case::of(Op::Scatter { dim: 0, mode }, inputs).only(free));
        }
    }
    for accumulate in [false, true] {
        for free in [&[0][..], &[1], &[0, 1]] {
            let op = Op::IndexPut { dims: 0b01, accumulate };
            cases.push(Case::of(op, vec![x(), floats(36, &[2, 4]), ints(&[2, 0], &[2])]).only(free));
            let op = Op::IndexPut { dims: 0b11, accumulate };
            let inputs = vec![x(), floats(37, &[]), ints(&[2, 0], &[2]), ints(&[1, 3], &[2])];
            cases.push(Case::of(op, inputs).only(free));
        }
    }
    let repeated = vec![x(), floats(38, &[3, 4]), ints(&[2, 2, 0], &[3])];
    cases.push(Case::of(Op::IndexPut { dims: 0b01, accumulate: true }, repeated));
    cases
}

fn eye(n: usize) -> Tensor {
    let values: Vec<f64> = (0..n * n).map(|p| if p % (n + 1) == 0 { 1.0 } else { 0.0 }).collect();
    Tensor::from_f64(&values, &[n, n]).unwrap()
}

fn matrices() -> Vec<Case> {
    let l = Op::Linalg;
    let run = |op: &Op, x: &Tensor| apply(op.clone(), &[x]).map(|out| out.into_vec());
    let mut cases = Vec::new();
    for flag in [false, true] {
        let definite = move |x: &[Tensor], op: &Op| run(op, &x[0].matmul(&x[0].mt()?)?.add(&eye(3))?);
        cases.push(Case::via(l(Linalg::Cholesky { upper: flag }), vec![floats(71, &[2, 3, 3])], definite));
        let symmetric = |x: &[Tensor]| x[0].add(&x[0].mt()?)?.add(&eye(3).mul(&Tensor::arange(3, DType::F64)?)?);
        let eigh = l(Linalg::Eigh { upper: flag });
        cases.push(Case::via(eigh.clone(), vec![floats(72, &[3, 3])], move |x, op| run(op, &symmetric(x)?)));
        for k in 0..2 {
            let one = move |x: &[Tensor], op: &Op| Ok(vec![run(op, &symmetric(x)?)?.swap_remove(k)]);
            cases.push(Case::via(eigh.clone(), vec![floats(72, &[3, 3])], one));
        }
        for (shape, complete) in [(&[4, 2][..], false), (&[2, 3, 3], flag), (&[2, 4], flag)] {
            let op = l(Linalg::Qr { complete });
            cases.push(Case::of(op.clone(), vec![floats(73, shape)]));
            for k in 0..2 {
                let one = move |x: &[Tensor], op: &Op| Ok(vec![run(op, &x[0])?.swap_remove(k)]);
                cases.push(Case::via(op.clone(), vec![floats(73, shape)], one));
            }
        }
        for shape in [&[4, 2][..], &[2, 3, 3], &[2, 4]] {
            // Of full factors only the first columns are functions of the input.
            let thin = move |x: &[Tensor], op: &Op| {
                let mut out = run(op, &x[0])?;
                let k = out[1].shape()[out[1].rank() - 1] as isize;
                out[0] = out[0].narrow(-1, 0, k)?;
                out[2] = out[2].narrow(-2, 0, k)?;
                Ok(out)
            };
            let op = l(Linalg::Svd { full: flag });
            cases.push(Case::via(op.clone(), vec![floats(74, shape)], thin));
            for k in 0..3 {
                let one = move |x: &[Tensor], op: &Op| Ok(vec![thin(x, op)?.swap_remove(k)]);
                cases.push(Case::via(op.clone(), vec![floats(74, shape)], one));
            }
        }
        for (unit, free) in [(false, &[0, 1][..]), (true, &[0, 1]), (false, &[0]), (false, &[1])] {
            let op = l(Linalg::SolveTriangular { upper: flag, unit });
            let shifted =
                |x: &[Tensor], op: &Op| Ok(apply(op.clone(), &[&x[0].add(&eye(3).mul(3.0)?)?, &x[1]])?.into_vec());
            cases.push(Case::via(op, vec![floats(75, &[2, 3, 3]), floats(76, &[2, 3, 2])], shifted).only(free));
        }
    }
    for free in [&[0, 1][..], &[0], &[1]] {
        cases.push(Case::of(l(Linalg::Solve), vec![floats(77, &[3, 3]), floats(78, &[3, 2])]).only(free));
        let batches = vec![floats(77, &[3, 3]), floats(78, &[2, 3, 2])];
        cases.push(Case::of(l(Linalg::Solve), batches).only(free));
        let batches = vec![floats(77, &[2, 1, 2, 2]), floats(78, &[3, 2, 1])];
        cases.push(Case::of(l(Linalg::Solve), batches).only(free));
    }
    for shape in [&[3, 3][..], &[2, 2, 2], &[1, 1]] {
        for op in [Linalg::Inverse, Linalg::Det, Linalg::SlogDet] {
            cases.push(Case::of(l(op), vec![floats(79, shape)]));
        }
    }
    let rank_one = [1.0, 2.0, 3.0, 2.0, 4.0, 6.0, -1.0, -2.0, -3.0];
    let rank_two = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 5.0, 7.0, 9.0];
    for singular in [rank_one, rank_two, [0.0; 9]] {
        cases.push(Case::of(l(Linalg::Det), vec![Tensor::from_f64(&singular, &[3, 3]).unwrap()]));
    }
    cases
}

/// Every differentiable row, by each set of operands whose partial the table states.
fn rows() -> Vec<Case> {
    let mut cases = Vec::new();
    for &row in Row::ALL.iter().filter(|r| r.info().differentiable) {
        let info = row.info();
        let mut inputs: Vec<Vec<f64>> = vec![Vec::new(); row.arity()];
        // Points away from the kinks.
        for seed in 1.. {
            let u = numbers(100 + seed, row.arity());
            let point: Vec<f64> = u.iter().zip(info.domain).map(|(u, (lo, hi))| lo + u * (hi - lo)).collect();
            if info.kinks.is_none_or(|f| f(&point).abs() > 0.02) {
                point.iter().zip(&mut inputs).for_each(|(&v, list)| list.push(v));
            }
            if inputs[0].len() == 4 {
                break;
            }
            assert!(seed < 10_000, "{}: no points away from the kinks", row.name());
        }
        let select = info.class == Class::Select;
        let tensors: Vec<Tensor> = inputs
            .iter()
            .enumerate()
            .map(|(i, v)| match select && i == 0 {
                true => Tensor::from_bytes(&[1, 0, 1, 0], &[4], DType::Bool).unwrap(),
                false => Tensor::from_f64(v, &[4]).unwrap(),
            })
            .collect();
        let free: Vec<usize> = (0..row.arity()).filter(|&i| !(select && i == 0) && row.needs(i).defined).collect();
        let run = move |x: &[Tensor]| {
            let args: SmallVec<[wengert::Arg<'_>; 3]> = x.iter().map(|t| t.into()).collect();
            Ok(vec![wengert::row(row, &args)?])
        };
        cases.push(Case { name: row.name().into(), kind: "row".into(), inputs: tensors, free, run: Box::new(run) });
    }
    cases
}

fn inert() -> Vec<Case> {
    let x = || vec![floats(91, &[2, 3])];
    vec![
        Case::of(Op::Reduce { kind: Reduction::Any, dims: 1, keepdim: false }, x()),
        Case::of(Op::Reduce { kind: Reduction::All, dims: 1, keepdim: false }, x()),
        Case::of(Op::ArgReduce { kind: Extremum::Max, dim: Some(1), keepdim: false }, x()),
        Case::of(Op::ArgReduce { kind: Extremum::Min, dim: Some(1), keepdim: false }, x()),
    ]
}

fn all_cases() -> Vec<Case> {
    [shaping(), folds(), positions(), networks(), matrices(), rows()].into_iter().flatten().collect()
}

#[test]
fn every_operation_has_a_case() {
    let have: BTreeSet<String> = all_cases().into_iter().chain(inert()).map(|c| c.kind).collect();
    assert_eq!(have, kinds());
}

#[test]
fn shaping_rules() {
    check(shaping(), 3);
}

#[test]
fn reduction_rules() {
    check(folds(), 3);
    // Differences of the next order would divide by the step that moves the zeros.
    check(products(), 2);
}

#[test]
fn position_rules() {
    check(positions(), 3);
}

#[test]
fn network_rules() {
    check(networks(), 3);
}

#[test]
fn matrix_rules() {
    check(matrices(), 2);
}

#[test]
fn row_rules() {
    check(rows(), 2);
}

#[test]
fn operations_without_gradients_are_not_taped() {
    for case in inert() {
        let x = case.inputs[0].detach().requiring_grad().unwrap();
        for y in (case.run)(&[x]).unwrap() {
            assert!(!y.requires_grad(), "{}", case.name);
        }
    }
}

fn gradient(f: impl Fn(&Tensor) -> Result<Tensor>, x: &[f64], shape: &[usize]) -> Result<Vec<f64>> {
    let x = Tensor::from_f64(x, shape)?.requiring_grad()?;
    let y = f(&x)?.sum(&[], false)?;
    let g = grad(&[y], &[x], &[None], SweepOptions::default(), false)?;
    g[0].as_ref().unwrap().to_vec_f64()
}

#[test]
fn ties_share_and_first_extremum_wins() {
    let x = [1.0, 3.0, 3.0, 0.0];
    assert_eq!(gradient(|x| x.amax(&[], false), &x, &[4]).unwrap(), [0.0, 0.5, 0.5, 0.0]);
    assert_eq!(gradient(|x| Ok(x.max_dim(0, false)?.0), &x, &[4]).unwrap(), [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn casts_pass_gradients_in_the_input_dtype() {
    let x = Tensor::from_f32(&[1.5, 2.5], &[2]).unwrap().requiring_grad().unwrap();
    let y = x.to_dtype(DType::F64).unwrap().mul(&Tensor::from_f64(&[2.0, 3.0], &[2]).unwrap()).unwrap();
    let g = grad(&[y.sum(&[], false).unwrap()], &[x], &[None], SweepOptions::default(), false).unwrap();
    let g = g[0].as_ref().unwrap();
    assert_eq!((g.dtype(), g.to_vec_f64().unwrap()), (DType::F32, vec![2.0, 3.0]));
}

#[test]
fn joins_know_the_sizes_of_constants() {
    let (a, b) = (floats(95, &[1]), floats(96, &[2]));
    let x = floats(97, &[2]).requiring_grad().unwrap();
    let y = Tensor::cat(&[&a, &x, &b], 0).unwrap().mul(&Tensor::arange(5, DType::F64).unwrap()).unwrap();
    let g = grad(&[y.sum(&[], false).unwrap()], &[x], &[None], SweepOptions::default(), false).unwrap();
    assert_eq!(g[0].as_ref().unwrap().to_vec_f64().unwrap(), [1.0, 2.0]);
}

#[test]
fn refusals_are_in_pytorchs_words() {
    let e = gradient(|x| Ok(x.qr(true)?.0), &[1.0, 2.0, 3.0, 5.0, 8.0, 0.0], &[3, 2]).unwrap_err();
    assert_eq!(e.message(), "The QR decomposition is not differentiable when mode='complete' and nrows > ncols.");
}

#[test]
fn singular_logarithms_have_no_slope() {
    let g = gradient(|x| Ok(x.slogdet()?.1), &[0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 4.0], &[2, 2, 2]).unwrap();
    assert!(g[..4].iter().all(|v| v.is_nan()));
    assert_eq!(g[4..], [0.5, 0.0, 0.0, 0.25]);
}

#[test]
fn ignored_targets_get_no_gradient() {
    let target = ints(&[-100, -100], &[2]);
    let loss = |x: &Tensor| x.cross_entropy(&target, LossReduction::Mean, -100);
    assert_eq!(gradient(loss, &[1.0, 2.0, 3.0, 4.0], &[2, 2]).unwrap(), [0.0; 4]);
}
