//! Matrix factorizations, solves and determinants over batches: through faer, with an LU of our own for
//! small and for singular matrices, which faer's does not promise to survive.

use crate::buffer::Buffer;
use crate::matmul::Float;
use crate::strided::{dense_mut, packed, room};
use faer::linalg::triangular_solve as triangular;
use faer::traits::RealField;
use faer::{MatMut, MatRef, Par, Side};
use wengert_ops::{fail, DType, Error, Linalg, Result, View, ViewMut};

/// An element type that faer factorizes.
trait Field: Float + RealField {}
impl Field for f32 {}
impl Field for f64 {}

/// Runs one routine on each matrix of a batch. Outputs stand in the order that [`Linalg`] documents.
pub fn linalg(op: Linalg, inputs: &[View<'_, Buffer>], outputs: &[ViewMut<'_, Buffer>]) -> Result<()> {
    match inputs.first().map(|x| x.dtype) {
        Some(DType::F32) => run::<f32>(op, inputs, outputs),
        Some(DType::F64) => run::<f64>(op, inputs, outputs),
        Some(dtype) => {
            fail!(runtime, "{}: expected a float32 or float64 tensor, but got {dtype}; convert it first", name(op))
        }
        None => fail!(internal, "linalg: {op:?} without an input"),
    }
}

/// The public name that errors start with.
fn name(op: Linalg) -> &'static str {
    match op {
        Linalg::Cholesky { .. } => "linalg.cholesky",
        Linalg::Qr { .. } => "linalg.qr",
        Linalg::Eigh { .. } => "linalg.eigh",
        Linalg::Svd { .. } => "linalg.svd",
        Linalg::Solve => "torch.linalg.solve",
        Linalg::SolveTriangular { .. } => "linalg.solve_triangular",
        Linalg::SlogDet => "linalg.slogdet",
        Linalg::Det => "linalg.det",
        Linalg::Inverse => "linalg.inv",
    }
}

fn run<T: Field>(op: Linalg, inputs: &[View<'_, Buffer>], outputs: &[ViewMut<'_, Buffer>]) -> Result<()> {
    let wanted = match op {
        Linalg::Svd { .. } => (1, 3),
        Linalg::Qr { .. } | Linalg::Eigh { .. } | Linalg::SlogDet => (1, 2),
        Linalg::Solve | Linalg::SolveTriangular { .. } => (2, 1),
        _ => (1, 1),
    };
    let shape = inputs[0].layout.shape();
    if (inputs.len(), outputs.len()) != wanted || shape.len() < 2 || inputs.iter().any(|x| x.dtype != T::DTYPE) {
        fail!(internal, "{}: kernel called with {} inputs and {} outputs", name(op), inputs.len(), outputs.len());
    }
    // Of no matrix, or of matrices without elements: there may be any number of those.
    if inputs[0].layout.numel() == 0 && outputs.iter().all(|out| out.layout().numel() == 0) {
        return Ok(());
    }
    let (lead, matrix) = shape.split_at(shape.len() - 2);
    let batch: usize = lead.iter().product();
    let size =
        Size { m: matrix[0], n: matrix[1], k: inputs.get(1).map_or(0, |b| *b.layout.shape().last().unwrap_or(&0)) };
    if size.m != size.n && !matches!(op, Linalg::Qr { .. } | Linalg::Svd { .. }) {
        fail!(
            runtime,
            "{}: A must be batches of square matrices, but they are {} by {} matrices",
            name(op),
            size.m,
            size.n
        );
    }
    // SAFETY: the dtypes were checked; the outputs share no elements with the inputs or each other.
    let (a, b) = unsafe { (packed::<T>(inputs[0])?, inputs.get(1).map(|&b| packed::<T>(b)).transpose()?) };
    let mut outs: Vec<&mut [T]> = Vec::with_capacity(3);
    for (i, out) in outputs.iter().enumerate() {
        // SAFETY: as above.
        match unsafe { dense_mut::<T>(out) } {
            Some(slice) if slice.len() == batch * size.output(op, i) && out.dtype() == T::DTYPE => outs.push(slice),
            _ => fail!(internal, "{}: output {i} is {:?} for an input of shape {shape:?}", name(op), out.layout()),
        }
    }
    if b.as_ref().is_some_and(|b| b.len() != batch * size.n * size.k) {
        fail!(internal, "{}: right-hand side {:?} for {shape:?}", name(op), inputs[1].layout.shape());
    }
    // The factorizations take memory without asking: where there is not enough for some copies, none begins.
    let copies = (0..outputs.len()).fold(size.m * size.n, |sum, j| sum.saturating_add(size.output(op, j)));
    if copies > 1 << 16 {
        room::<T>(copies.saturating_mul(4))?;
    }
    for i in 0..batch {
        let a = &a[i * size.m * size.n..][..size.m * size.n];
        let b = b.as_ref().map_or(&[][..], |b| &b[i * size.n * size.k..][..size.n * size.k]);
        let mut parts = outs.iter_mut().enumerate().map(|(j, out)| {
            let len = size.output(op, j);
            &mut out[i * len..(i + 1) * len]
        });
        let mut next = || parts.next().unwrap_or_default();
        let (first, second, third) = (next(), next(), next());
        one(op, size, a, b, [first, second, third]).map_err(|problem| {
            let element = if lead.is_empty() { String::new() } else { format!(" (Batch element {i}):") };
            Error::linalg(format!("{}:{element} {problem}", name(op)))
        })?;
    }
    Ok(())
}

/// `m × n` matrices, with right-hand sides of `k` columns.
#[derive(Clone, Copy)]
struct Size {
    m: usize,
    n: usize,
    k: usize,
}

impl Size {
    /// Elements of the i-th output for one matrix.
    fn output(self, op: Linalg, i: usize) -> usize {
        let Size { m, n, k } = self;
        let r = m.min(n);
        match (op, i) {
            (Linalg::Cholesky { .. } | Linalg::Inverse, _) => n * n,
            (Linalg::Qr { complete }, 0) => m * if complete { m } else { r },
            (Linalg::Qr { complete }, _) => n * if complete { m } else { r },
            (Linalg::Eigh { .. }, 0) => n,
            (Linalg::Eigh { .. }, _) => n * n,
            (Linalg::Svd { full }, 0) => m * if full { m } else { r },
            (Linalg::Svd { .. }, 1) => r,
            (Linalg::Svd { full }, _) => n * if full { n } else { r },
            (Linalg::Solve | Linalg::SolveTriangular { .. }, _) => n * k,
            (Linalg::SlogDet | Linalg::Det, _) => 1,
        }
    }
}

/// One matrix. The error is the message without the op's name.
fn one<T: Field>(op: Linalg, size: Size, a: &[T], b: &[T], out: [&mut [T]; 3]) -> Result<(), String> {
    let Size { m, n, k } = size;
    let [first, second, third] = out;
    match op {
        Linalg::Cholesky { upper } => cholesky(upper, n, a, first)?,
        Linalg::Qr { complete } => qr(complete, m, n, a, first, second),
        Linalg::Eigh { upper } => eigh(upper, n, a, first, second)?,
        Linalg::Svd { full } => svd(full, m, n, a, [first, second, third])?,
        Linalg::Solve => {
            let lu = Lu::new(n, a);
            if lu.first_zero().is_some() {
                return Err("The solver failed because the input matrix is singular.".into());
            }
            lu.solve(b, k, first);
        }
        Linalg::SolveTriangular { upper, unit } => {
            first.copy_from_slice(b);
            if n * k > 0 {
                let a = MatRef::from_row_major_slice(a, n, n);
                let x = MatMut::from_row_major_slice_mut(first, n, k);
                match (upper, unit) {
                    (false, false) => triangular::solve_lower_triangular_in_place(a, x, Par::Seq),
                    (false, true) => triangular::solve_unit_lower_triangular_in_place(a, x, Par::Seq),
                    (true, false) => triangular::solve_upper_triangular_in_place(a, x, Par::Seq),
                    (true, true) => triangular::solve_unit_upper_triangular_in_place(a, x, Par::Seq),
                }
            }
        }
        Linalg::SlogDet => (first[0], second[0]) = Lu::new(n, a).slogdet(),
        Linalg::Det => first[0] = Lu::new(n, a).det(),
        Linalg::Inverse => {
            let lu = Lu::new(n, a);
            if let Some(i) = lu.first_zero() {
                return Err(format!(
                    "The diagonal element {} is zero, the inversion could not be completed because the input matrix \
                     is singular.",
                    i + 1
                ));
            }
            let mut identity = vec![T::ZERO; n * n];
            identity.iter_mut().step_by(n + 1).for_each(|x| *x = T::ONE);
            lu.solve(&identity, n, first);
        }
    }
    Ok(())
}

/// Copies a faer matrix into row-major memory.
fn write<T: Field>(from: MatRef<'_, T>, to: &mut [T]) {
    let n = from.ncols();
    for (i, row) in to.chunks_exact_mut(n.max(1)).enumerate() {
        for (j, y) in row.iter_mut().enumerate() {
            *y = from[(i, j)];
        }
    }
}

/// Sets the first columns of a row-major matrix of `n` columns to those of the identity.
fn write_identity<T: Field>(n: usize, to: &mut [T]) {
    to.fill(T::ZERO);
    to.iter_mut().step_by(n + 1).for_each(|x| *x = T::ONE);
}

fn cholesky<T: Field>(upper: bool, n: usize, a: &[T], out: &mut [T]) -> Result<(), String> {
    let not_definite = |order: usize| {
        format!(
            "The factorization could not be completed because the input is not positive-definite (the leading minor \
             of order {order} is not positive-definite)."
        )
    };
    if n == 0 {
        return Ok(());
    }
    let entry = |i: usize, j: usize| if upper { a[j * n + i] } else { a[i * n + j] };
    // A NaN spoils the first leading minor that holds it; faer is not shown it.
    if let Some(i) = (0..n).find(|&i| (0..=i).any(|j| entry(i, j).is_nan())) {
        return Err(not_definite(i + 1));
    }
    let side = if upper { Side::Upper } else { Side::Lower };
    match MatRef::from_row_major_slice(a, n, n).llt(side) {
        Ok(factor) => {
            let l = factor.L();
            write(if upper { l.transpose() } else { l }, out);
            match (0..n).find(|&i| l[(i, i)].is_nan()) {
                Some(i) => Err(not_definite(i + 1)),
                None => Ok(()),
            }
        }
        Err(faer::linalg::cholesky::llt::factor::LltError::NonPositivePivot { index }) => Err(not_definite(index + 1)),
    }
}

/// Householder QR with LAPACK's signs.
fn qr<T: Field>(complete: bool, m: usize, n: usize, a: &[T], q: &mut [T], r: &mut [T]) {
    let rank = m.min(n);
    if rank == 0 {
        return write_identity(if complete { m } else { rank }, q);
    }
    let factor = MatRef::from_row_major_slice(a, m, n).qr();
    if complete {
        write(factor.compute_Q().as_ref(), q);
    } else {
        write(factor.compute_thin_Q().as_ref(), q);
    }
    r.fill(T::ZERO);
    write(factor.thin_R(), &mut r[..rank * n]);
}

fn eigh<T: Field>(upper: bool, n: usize, a: &[T], values: &mut [T], vectors: &mut [T]) -> Result<(), String> {
    if n == 0 {
        return Ok(());
    }
    let read = |i: usize, j: usize| if upper { j >= i } else { j <= i };
    if (0..n * n).any(|p| read(p / n, p % n) && !finite(a[p])) {
        // As LAPACK leaves it, and no iteration could do better.
        values.fill(T::from_f64(f64::NAN));
        vectors.fill(T::from_f64(f64::NAN));
        return Ok(());
    }
    let side = if upper { Side::Upper } else { Side::Lower };
    let factor = MatRef::from_row_major_slice(a, n, n)
        .self_adjoint_eigen(side)
        .map_err(|_| "The algorithm failed to converge.".to_string())?;
    let s = factor.S().column_vector();
    values.iter_mut().enumerate().for_each(|(i, v)| *v = s[i]);
    write(factor.U(), vectors);
    Ok(())
}

fn svd<T: Field>(full: bool, m: usize, n: usize, a: &[T], [u, s, vt]: [&mut [T]; 3]) -> Result<(), String> {
    if a.iter().any(|&x| !finite(x)) {
        return Err("The algorithm failed to converge because the input matrix contained non-finite values.".into());
    }
    if m.min(n) == 0 {
        write_identity(if full { m } else { 0 }, u);
        write_identity(if full { n } else { 0 }, vt);
        return Ok(());
    }
    let a = MatRef::from_row_major_slice(a, m, n);
    let factor =
        if full { a.svd() } else { a.thin_svd() }.map_err(|_| "The algorithm failed to converge.".to_string())?;
    let values = factor.S().column_vector();
    s.iter_mut().enumerate().for_each(|(i, v)| *v = values[i]);
    write(factor.U(), u);
    write(factor.V().transpose(), vt);
    Ok(())
}

fn finite<T: Field>(x: T) -> bool {
    x.to_f64().is_finite()
}

/// `P a = L U` with partial pivoting: L below the diagonal, U on and above it, row-major.
struct Lu<T> {
    n: usize,
    lu: Vec<T>,
    /// Row i of P a is row `rows[i]` of a.
    rows: Vec<usize>,
}

/// From this size on faer's blocked factorization is tried first.
const BLOCKED: usize = 48;

impl<T: Field> Lu<T> {
    fn new(n: usize, a: &[T]) -> Lu<T> {
        if n >= BLOCKED {
            if let Some(lu) = Lu::blocked(n, a) {
                return lu;
            }
        }
        let mut lu = a.to_vec();
        let mut rows: Vec<usize> = (0..n).collect();
        for k in 0..n {
            let mut p = k;
            for i in k + 1..n {
                if magnitude(lu[i * n + k]) > magnitude(lu[p * n + k]) {
                    p = i;
                }
            }
            if p != k {
                rows.swap(p, k);
                let (top, bottom) = lu.split_at_mut(p * n);
                top[k * n..(k + 1) * n].swap_with_slice(&mut bottom[..n]);
            }
            let (top, rest) = lu.split_at_mut((k + 1) * n);
            let pivot = &top[k * n..];
            // A column of zeros is left alone, as LAPACK does: U's diagonal then says that a is singular.
            if magnitude(pivot[k]) == 0.0 {
                continue;
            }
            for row in rest.chunks_exact_mut(n) {
                let factor = divide(row[k], pivot[k]);
                row[k] = factor;
                for (x, &p) in row[k + 1..].iter_mut().zip(&pivot[k + 1..]) {
                    *x = x.plus(minus(factor.times(p)));
                }
            }
        }
        Lu { n, lu, rows }
    }

    /// faer's factorization, unless a zero or a non-finite number makes its result doubtful.
    fn blocked(n: usize, a: &[T]) -> Option<Lu<T>> {
        if !a.iter().all(|&x| finite(x)) {
            return None;
        }
        let factor = MatRef::from_row_major_slice(a, n, n).partial_piv_lu();
        let (l, u) = (factor.L(), factor.U());
        let mut lu = vec![T::ZERO; n * n];
        for (p, x) in lu.iter_mut().enumerate() {
            let (i, j) = (p / n, p % n);
            *x = if j < i { l[(i, j)] } else { u[(i, j)] };
        }
        let sound = lu.iter().all(|&x| finite(x)) && (0..n).all(|i| magnitude(lu[i * (n + 1)]) != 0.0);
        sound.then(|| Lu { n, lu, rows: factor.P().arrays().0.to_vec() })
    }

    fn diagonal(&self) -> impl Iterator<Item = T> + '_ {
        self.lu.iter().step_by(self.n + 1).copied()
    }

    /// Position of the first zero on U's diagonal.
    fn first_zero(&self) -> Option<usize> {
        self.diagonal().position(|x| magnitude(x) == 0.0)
    }

    /// Determinant of the permutation.
    fn sign(&self) -> T {
        let (mut seen, mut odd) = (vec![false; self.n], false);
        for start in 0..self.n {
            let mut i = start;
            while !seen[i] {
                seen[i] = true;
                i = self.rows[i];
                odd ^= i != start;
            }
        }
        if odd {
            minus(T::ONE)
        } else {
            T::ONE
        }
    }

    fn det(&self) -> T {
        self.diagonal().fold(self.sign(), |d, x| d.times(x))
    }

    /// Sign (0 for a singular matrix) and the logarithm of the determinant's magnitude.
    fn slogdet(&self) -> (T, T) {
        let (mut sign, mut log) = (self.sign(), 0.0);
        for x in self.diagonal() {
            let v = x.to_f64();
            sign = sign.times(T::from_f64(if v == 0.0 || v.is_nan() { 0.0 } else { v.signum() }));
            log += v.abs().ln();
        }
        (sign, T::from_f64(log))
    }

    /// `x` with `a x = b` for `k` right-hand sides.
    fn solve(&self, b: &[T], k: usize, x: &mut [T]) {
        let n = self.n;
        if n * k == 0 {
            return;
        }
        for (line, &row) in x.chunks_exact_mut(k).zip(&self.rows) {
            line.copy_from_slice(&b[row * k..(row + 1) * k]);
        }
        let lu = MatRef::from_row_major_slice(&self.lu[..], n, n);
        let mut x = MatMut::from_row_major_slice_mut(x, n, k);
        triangular::solve_unit_lower_triangular_in_place(lu, x.as_mut(), Par::Seq);
        triangular::solve_upper_triangular_in_place(lu, x.as_mut(), Par::Seq);
    }
}

fn magnitude<T: Field>(x: T) -> f64 {
    x.to_f64().abs()
}

fn minus<T: Field>(x: T) -> T {
    x.times(T::from_f64(-1.0))
}

/// The quotient in T's own precision (f64 division of two f32 rounds to the same number).
fn divide<T: Field>(a: T, b: T) -> T {
    T::from_f64(a.to_f64() / b.to_f64())
}
