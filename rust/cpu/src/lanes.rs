//! Folds of slices in lanes side by side, which the compiler turns into vectors.
//!
//! To be inlined into functions that are compiled for an instruction set (see `strided::vectorised`).

/// Partial results of a long fold.
pub(crate) const LANES: usize = 32;
/// Of its last steps.
const FEW: usize = 8;

/// Lanes joined to eight.
#[inline(always)]
fn few<A: Copy>(lanes: [A; LANES], join: &impl Fn(A, A) -> A) -> [A; FEW] {
    let few = std::array::from_fn(|k| join(join(lanes[k], lanes[k + 8]), join(lanes[k + 16], lanes[k + 24])));
    // Else the compiler shapes the long loop after these last steps: in vectors of two, three times slower.
    std::hint::black_box(few)
}

#[inline(always)]
fn one<A: Copy>(lanes: [A; FEW], join: &impl Fn(A, A) -> A) -> A {
    let pair = |k| join(join(lanes[k], lanes[k + 4]), join(lanes[k + 2], lanes[k + 6]));
    join(pair(0), pair(1))
}

/// Folds a slice: `step` takes an element in, `join` two partial results together.
#[inline(always)]
pub(crate) fn fold<T: Copy, A: Copy>(xs: &[T], start: A, step: impl Fn(A, T) -> A, join: impl Fn(A, A) -> A) -> A {
    fold2(xs, xs, start, |a, x, _| step(a, x), join)
}

/// Folds two slices of one length.
#[inline(always)]
pub(crate) fn fold2<T: Copy, U: Copy, A: Copy>(
    xs: &[T],
    ys: &[U],
    start: A,
    step: impl Fn(A, T, U) -> A,
    join: impl Fn(A, A) -> A,
) -> A {
    let ys = &ys[..xs.len()];
    let whole = xs.len() - xs.len() % LANES;
    let mut lanes = [start; FEW];
    if whole > 0 {
        let mut many = [start; LANES];
        for (x, y) in xs[..whole].chunks_exact(LANES).zip(ys[..whole].chunks_exact(LANES)) {
            for k in 0..LANES {
                many[k] = step(many[k], x[k], y[k]);
            }
        }
        lanes = few(many, &join);
    }
    let (xs, ys) = (xs[whole..].chunks_exact(FEW), ys[whole..].chunks_exact(FEW));
    let (last_x, last_y) = (xs.remainder(), ys.remainder());
    for (x, y) in xs.zip(ys) {
        for k in 0..FEW {
            lanes[k] = step(lanes[k], x[k], y[k]);
        }
    }
    for (lane, (&x, &y)) in lanes.iter_mut().zip(last_x.iter().zip(last_y)) {
        *lane = step(*lane, x, y);
    }
    one(lanes, &join)
}

/// Two folds of a slice in one pass.
#[inline(always)]
pub(crate) fn fold_both<T: Copy, A: Copy, B: Copy>(
    xs: &[T],
    start: (A, B),
    step: (impl Fn(A, T) -> A, impl Fn(B, T) -> B),
    join: (impl Fn(A, A) -> A, impl Fn(B, B) -> B),
) -> (A, B) {
    let chunks = xs.chunks_exact(LANES);
    let rest = chunks.remainder();
    let last = (fold(rest, start.0, &step.0, &join.0), fold(rest, start.1, &step.1, &join.1));
    if xs.len() < LANES {
        return last;
    }
    let (mut first, mut second) = ([start.0; LANES], [start.1; LANES]);
    for chunk in chunks {
        for k in 0..LANES {
            first[k] = step.0(first[k], chunk[k]);
            second[k] = step.1(second[k], chunk[k]);
        }
    }
    (join.0(one(few(first, &join.0), &join.0), last.0), join.1(one(few(second, &join.1), &join.1), last.1))
}

/// Writes `f` of each element of `xs`, or of `out` itself without one, and folds what is written.
#[inline(always)]
pub(crate) fn map_fold<T: Copy>(
    xs: Option<&[T]>,
    out: &mut [T],
    start: T,
    f: impl Fn(T) -> T,
    join: impl Fn(T, T) -> T,
) -> T {
    #[inline(always)]
    fn step<T: Copy, const N: usize>(
        (xs, out, at): (Option<&[T]>, &mut [T], usize),
        lanes: &mut [T; N],
        f: impl Fn(T) -> T,
        join: impl Fn(T, T) -> T,
    ) {
        let y = &mut out[at..at + N];
        let x: [T; N] = match xs {
            Some(xs) => std::array::from_fn(|k| xs[at..at + N][k]),
            None => std::array::from_fn(|k| y[k]),
        };
        for k in 0..N {
            y[k] = f(x[k]);
            lanes[k] = join(lanes[k], y[k]);
        }
    }
    let n = out.len();
    let (mut lanes, mut at) = ([start; FEW], 0);
    if n >= LANES {
        let mut many = [start; LANES];
        while at + LANES <= n {
            step((xs, out, at), &mut many, &f, &join);
            at += LANES;
        }
        lanes = few(many, &join);
    }
    while at + FEW <= n {
        step((xs, out, at), &mut lanes, &f, &join);
        at += FEW;
    }
    let mut last = one(lanes, &join);
    for k in at..n {
        out[k] = f(xs.map_or(out[k], |xs| xs[k]));
        last = join(last, out[k]);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_counts_once() {
        for n in [0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 1000] {
            let x: Vec<u64> = (1..=n).collect();
            let sum = n * (n + 1) / 2;
            assert_eq!(fold(&x, 0, |a, v| a + v, |a, b| a + b), sum);
            assert_eq!(fold2(&x, &x, 0, |a, v, w| a + v * w, |a, b| a + b), sum * (2 * n + 1) / 3);
            let both = fold_both(&x, (0, 0), (|a, v| a + v, |b, v| b.max(v)), (|a, b| a + b, u64::max));
            assert_eq!(both, (sum, n));
            let mut y = vec![0; x.len()];
            assert_eq!(map_fold(Some(&x), &mut y, 0, |v| 2 * v, |a, b| a + b), 2 * sum);
            assert_eq!(map_fold(None, &mut y, 0, |v| 2 * v, |a, b| a + b), 4 * sum);
            assert!(x.iter().zip(&y).all(|(v, w)| 4 * v == *w));
        }
    }
}
