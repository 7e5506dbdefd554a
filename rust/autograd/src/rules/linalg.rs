//! Rules of matrix factorizations and solves, over batches in the last two dims. Gradients of symmetric
//! inputs are symmetric, as in PyTorch.

use super::shaping::broadcast_batch;
use super::{Ctx, Grads, Saves};
use crate::buffer::Device;
use crate::dispatch::apply1;
use crate::tensor::Tensor;
use smallvec::smallvec;
use wengert_ops::{fail, DType, Linalg, Op, Result, Scalar, ScanKind};

pub(super) fn saves(l: Linalg, needs: u64) -> Saves {
    match l {
        _ if needs == 0 => Saves::NONE,
        Linalg::Cholesky { .. } | Linalg::Inverse => Saves::outputs(1),
        Linalg::Qr { .. } | Linalg::Eigh { .. } => Saves::outputs(0b11),
        Linalg::Svd { .. } => Saves::outputs(0b111),
        Linalg::Solve | Linalg::SolveTriangular { .. } => Saves { inputs: 1, outputs: needs & 1 },
        Linalg::Det => Saves { inputs: 1, outputs: 1 },
        Linalg::SlogDet => Saves { inputs: 1, outputs: 1 << 1 },
    }
}

pub(super) fn vjp(ctx: &Ctx<'_>, l: Linalg, grads: &[Option<Tensor>]) -> Result<Grads> {
    let grad = |k: usize| grads.get(k).and_then(|g| g.as_ref());
    let ga = match (l, grad(0)) {
        (Linalg::Cholesky { upper }, Some(g)) => cholesky(&ctx.output(0)?, g, upper)?,
        (Linalg::Inverse, Some(g)) => {
            let yt = ctx.output(0)?.mt()?;
            product(&product(&yt, g)?, &yt)?.neg()?
        }
        (Linalg::Det, Some(g)) => det(ctx, g)?,
        (Linalg::SlogDet, _) => match grad(1) {
            Some(g) => slogdet(ctx, g)?,
            // The sign is constant where it is differentiable.
            None => return Ok(Grads::new()),
        },
        (Linalg::Solve, Some(g)) => {
            let gb = solve(&ctx.input(0)?.mt()?, g, Linalg::Solve)?;
            let ga = if ctx.needs(0) { Some(product(&gb, &ctx.output(0)?.mt()?)?.neg()?) } else { None };
            return Ok(smallvec![ga, Some(gb)]);
        }
        (Linalg::SolveTriangular { upper, unit }, Some(g)) => {
            let gb = solve(&ctx.input(0)?.mt()?, g, Linalg::SolveTriangular { upper: !upper, unit })?;
            let ga = if ctx.needs(0) {
                let full = product(&gb, &ctx.output(0)?.mt()?)?.neg()?;
                // A unit diagonal is not read.
                let k = unit as isize;
                Some(if upper { full.triu(k)? } else { full.tril(-k)? })
            } else {
                None
            };
            return Ok(smallvec![ga, Some(gb)]);
        }
        (Linalg::Qr { complete }, q) => qr(ctx, complete, q, grad(1))?,
        (Linalg::Eigh { .. }, values) => eigh(ctx, values, grad(1))?,
        (Linalg::Svd { .. }, u) => svd(ctx, u, grad(1), grad(2))?,
        (_, None) => return Ok(Grads::new()),
    };
    Ok(smallvec![Some(ga)])
}

fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    apply1(Op::Matmul, &[a, b])
}

fn solve(a: &Tensor, b: &Tensor, how: Linalg) -> Result<Tensor> {
    let (a, b) = broadcast_batch(a, b)?;
    apply1(Op::Linalg(how), &[&a, &b])
}

/// `x` with `x a = b` for triangular a.
fn solve_right(a: &Tensor, b: &Tensor, upper: bool) -> Result<Tensor> {
    solve(&a.mt()?, &b.mt()?, Linalg::SolveTriangular { upper: !upper, unit: false })?.mt()
}

fn add(a: Option<Tensor>, b: Tensor) -> Result<Tensor> {
    match a {
        Some(a) => a.add(&b),
        None => Ok(b),
    }
}

/// The identity as conditions, `[n, n]`, where `like` is.
fn diagonal(n: usize, like: &Tensor) -> Result<Tensor> {
    let mut bytes = vec![0u8; n * n];
    bytes.iter_mut().step_by(n + 1).for_each(|b| *b = 1);
    Tensor::from_bytes(&bytes, &[n, n], DType::Bool)?.to_device(like.device())
}

fn skew(x: &Tensor) -> Result<Tensor> {
    x.sub(&x.mt()?)
}

/// Half of `L⁻ᵀ (P + Pᵀ) L⁻¹`, P the lower triangle of `Lᵀ g` with half its diagonal.
fn cholesky(factor: &Tensor, g: &Tensor, upper: bool) -> Result<Tensor> {
    let (l, g) = if upper { (factor.mt()?, g.mt()?) } else { (factor.clone(), g.clone()) };
    let phi = product(&l.mt()?, &g)?;
    let p = phi.tril(0)?.add(&phi.tril(-1)?)?.mul(0.25)?;
    let s = p.add(&p.mt()?)?;
    let left = solve(&l.mt()?, &s, Linalg::SolveTriangular { upper: true, unit: false })?;
    solve_right(&l, &left, false)
}

fn qr(ctx: &Ctx<'_>, complete: bool, gq: Option<&Tensor>, gr: Option<&Tensor>) -> Result<Tensor> {
    let (q, r) = (ctx.output(0)?, ctx.output(1)?);
    let (m, n) = (q.shape()[q.rank() - 2], r.shape()[r.rank() - 1]);
    if complete && m > n {
        fail!(runtime, "The QR decomposition is not differentiable when mode='complete' and nrows > ncols.");
    }
    if m >= n {
        return qr_tall(&q, &r, gq, gr);
    }
    // A = [Q R₁, Q R₂]: the right part is a product with Q, the left part is square.
    let part = |x: &Tensor, right: bool| {
        if right {
            x.narrow(-1, m as isize, (n - m) as isize)
        } else {
            x.narrow(-1, 0, m as isize)
        }
    };
    let Some(gr) = gr else {
        let left = qr_tall(&q, &part(&r, false)?, gq, None)?;
        let mut amounts = vec![(0, 0); left.rank()];
        amounts[left.rank() - 1] = (0, n - m);
        return left.pad(&amounts);
    };
    let gr_right = part(gr, true)?;
    let through = product(&product(&q, &part(&r, true)?)?, &gr_right.mt()?)?;
    let gq = add(gq.cloned(), through)?;
    let left = qr_tall(&q, &part(&r, false)?, Some(&gq), Some(&part(gr, false)?))?;
    Tensor::cat(&[&left, &product(&q, &gr_right)?], -1)
}

/// `(gQ + Q sym(triu(gR Rᵀ − Qᵀ gQ))) R⁻ᵀ`, where sym mirrors the upper triangle.
fn qr_tall(q: &Tensor, r: &Tensor, gq: Option<&Tensor>, gr: Option<&Tensor>) -> Result<Tensor> {
    let mut m = match gr {
        Some(gr) => Some(product(gr, &r.mt()?)?),
        None => None,
    };
    if let Some(gq) = gq {
        let projected = product(&q.mt()?, gq)?.neg()?;
        m = Some(add(m, projected)?);
    }
    let Some(m) = m else { fail!(internal, "the rule of qr was called without a gradient") };
    let mirrored = m.triu(0)?.add(&m.triu(1)?.mt()?)?;
    let mut total = product(q, &mirrored)?;
    if let Some(gq) = gq {
        total = total.add(gq)?;
    }
    solve_right(&r.mt()?, &total, false)
}

/// `V (diag(gλ) + skew(Vᵀ gV) / (2 (λⱼ − λᵢ))) Vᵀ`.
fn eigh(ctx: &Ctx<'_>, g_values: Option<&Tensor>, gv: Option<&Tensor>) -> Result<Tensor> {
    let (values, v) = (ctx.output(0)?, ctx.output(1)?);
    let vt = v.mt()?;
    let Some(gv) = gv else {
        let Some(g) = g_values else { fail!(internal, "the rule of eigh was called without a gradient") };
        return product(&v.mul(&g.unsqueeze(-2)?)?, &vt);
    };
    let diagonal = diagonal(values.shape()[values.rank() - 1], &values)?;
    let gaps = values.unsqueeze(-2)?.sub(&values.unsqueeze(-1)?)?.mul(2.0)?;
    let inner = skew(&product(&vt, gv)?)?.div(&diagonal.where_(1.0, &gaps)?)?;
    let inner = match g_values {
        Some(g) => diagonal.where_(&g.unsqueeze(-1)?, &inner)?,
        None => inner,
    };
    product(&product(&v, &inner)?, &vt)
}

fn svd(ctx: &Ctx<'_>, gu: Option<&Tensor>, gs: Option<&Tensor>, gvh: Option<&Tensor>) -> Result<Tensor> {
    let (u, s, vh) = (ctx.output(0)?, ctx.output(1)?, ctx.output(2)?);
    let (m, n) = (u.shape()[u.rank() - 2], vh.shape()[vh.rank() - 1]);
    let k = s.shape()[s.rank() - 1];
    // Of full matrices the further columns are arbitrary: only the first k carry a gradient.
    let first = |x: &Tensor, dim: isize| x.narrow(dim, 0, k as isize);
    let (u, vh) = (first(&u, -1)?, first(&vh, -2)?);
    let (row, column) = (s.unsqueeze(-2)?, s.unsqueeze(-1)?);
    if gu.is_none() && gvh.is_none() {
        let Some(gs) = gs else { fail!(internal, "the rule of svd was called without a gradient") };
        return product(&u.mul(&gs.unsqueeze(-2)?)?, &vh);
    }
    let gu = gu.map(|g| first(g, -1)).transpose()?;
    let gvh = gvh.map(|g| first(g, -2)).transpose()?;
    let (ut, v) = (u.mt()?, vh.mt()?);
    let diagonal = diagonal(k, &s)?;
    // (sⱼ − sᵢ)(sⱼ + sᵢ) keeps the digits that the difference of squares loses.
    let gaps = diagonal.where_(1.0, &row.sub(&column)?.mul(&row.add(&column)?)?)?;
    let mut inner = None;
    if let Some(g) = &gu {
        inner = Some(skew(&product(&ut, g)?)?.div(&gaps)?.mul(&row)?);
    }
    if let Some(g) = &gvh {
        let turned = skew(&product(&vh, &g.mt()?)?)?.div(&gaps)?;
        inner = Some(add(inner, column.mul(&turned)?)?);
    }
    let Some(mut inner) = inner else { fail!(internal, "the rule of svd lost its gradients") };
    if let Some(gs) = gs {
        inner = diagonal.where_(&gs.unsqueeze(-1)?, &inner)?;
    }
    let mut total = product(&product(&u, &inner)?, &vh)?;
    // What leaves the spaces that U and V span.
    if let (Some(g), true) = (&gu, m > k) {
        let outside = g.sub(&product(&u, &product(&ut, g)?)?)?.div(&row)?;
        total = total.add(&product(&outside, &vh)?)?;
    }
    if let (Some(g), true) = (&gvh, n > k) {
        let outside = g.sub(&product(&product(g, &v)?, &vh)?)?.div(&column)?;
        total = total.add(&product(&u, &outside)?)?;
    }
    Ok(total)
}

/// As matrices of scalars: `[…]` to `[…, 1, 1]`.
fn per_matrix(g: &Tensor) -> Result<Tensor> {
    g.unsqueeze(-1)?.unsqueeze(-1)
}

/// Beyond this size singular matrices are differentiated through their singular values.
const MINORS: usize = 32;

/// g · cofactors: `det(a) a⁻ᵀ` where a is safely invertible.
fn det(ctx: &Ctx<'_>, g: &Tensor) -> Result<Tensor> {
    let (a, d) = (ctx.input(0)?, ctx.output(0)?);
    let n = a.shape()[a.rank() - 1];
    let g = per_matrix(g)?;
    if n < 2 {
        return g.expand_to(&a.shape());
    }
    if !nearly_singular(&a, &d, ctx.create)? {
        // The inverse of a itself: its pivots are those of the determinant, which are not zero.
        return g.mul(&per_matrix(&d)?)?.mul(&a.inverse()?.mt()?);
    }
    g.mul(&if n <= MINORS { minors(&a, n)? } else { cofactors(&a, n)? })
}

/// Higher orders cancel large numbers near singular matrices, so they ask for more distance.
fn nearly_singular(a: &Tensor, d: &Tensor, strict: bool) -> Result<bool> {
    if a.device() == Device::Meta {
        return Ok(false);
    }
    let d = d.detach().abs()?;
    let small = if strict {
        let a = a.detach();
        let bound = a.mul(&a)?.sum(&[-1], false)?.sqrt()?.prod(&[-1], false)?;
        let eps = if a.dtype() == DType::F64 { 1e-11 } else { 1e-5 };
        d.le(&bound.mul(eps)?)?
    } else {
        d.eq(0.0)?
    };
    Ok(small.any(&[], false)?.item()? == Scalar::Bool(true))
}

/// All signed minors at once, as determinants of one batch: exact to any order, at any rank.
fn minors(a: &Tensor, n: usize) -> Result<Tensor> {
    let k = n - 1;
    let (mut rows, mut columns, mut signs) = (Vec::new(), Vec::new(), Vec::new());
    for p in 0..n * n {
        let (i, j) = (p / n, p % n);
        signs.push(if (i + j) % 2 == 0 { 1.0 } else { -1.0 });
        rows.extend((0..n as i64).filter(|&r| r != i as i64));
        columns.extend((0..n as i64).filter(|&c| c != j as i64));
    }
    let rank = a.rank();
    let rows = Tensor::from_i64(&rows, &[n * n, k, 1])?.to_device(a.device())?;
    let columns = Tensor::from_i64(&columns, &[n * n, 1, k])?.to_device(a.device())?;
    let batch = a.index(0b11 << (rank - 2), &[&rows, &columns])?;
    let signs = Tensor::from_f64(&signs, &[n * n])?.to_dtype(a.dtype())?.to_device(a.device())?;
    apply1(Op::Linalg(Linalg::Det), &[&batch])?.mul(&signs)?.reshape_to(&a.shape())
}

/// `det(U) det(V) U diag(Π of the other s) Vᵀ`.
fn cofactors(a: &Tensor, n: usize) -> Result<Tensor> {
    let (u, s, vh) = a.svd(false)?;
    let turn = u.detach().det()?.mul(&vh.detach().det()?)?;
    let d = s.rank() as isize - 1;
    let mut one = s.shape();
    one[d as usize] = 1;
    let ones = Tensor::ones(&one, s.dtype(), s.device())?;
    let before = s.narrow(d, 0, n as isize - 1)?.cumprod(d)?;
    let backwards = Op::Scan { kind: ScanKind::Prod, dim: d as u8, reverse: true };
    let after = apply1(backwards, &[&s.narrow(d, 1, n as isize - 1)?])?;
    let others = Tensor::cat(&[&ones, &before], d)?.mul(&Tensor::cat(&[&after, &ones], d)?)?;
    let scaled = u.mul(&others.mul(&turn.unsqueeze(-1)?)?.unsqueeze(-2)?)?;
    product(&scaled, &vh)
}

/// `g a⁻ᵀ`; NaN for singular matrices, whose logarithm has no slope.
fn slogdet(ctx: &Ctx<'_>, g: &Tensor) -> Result<Tensor> {
    let (a, log) = (ctx.input(0)?, ctx.output(1)?);
    let n = a.shape()[a.rank() - 1];
    let singular = per_matrix(&log.detach().eq(f64::NEG_INFINITY)?)?;
    let identity = diagonal(n, &a)?.to_dtype(a.dtype())?;
    let safe = singular.where_(&identity, &a)?;
    let ga = per_matrix(g)?.mul(&safe.inverse()?.mt()?)?;
    singular.where_(f64::NAN, &ga)
}
