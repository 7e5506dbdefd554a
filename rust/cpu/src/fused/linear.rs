//! `x @ wᵀ + b` in one pass: the bias is what the product adds to. An activation follows block by block, while a block is in a
//! near cache.

use super::{output, Real};
use crate::buffer::Buffer;
use crate::elementwise::Kernel;
use crate::gemm::Then;
use crate::matmul::{product_then, worth_threads, Matrix};
use crate::strided::{Nest, Ptr};
use wengert_ops::layout::numel;
use wengert_ops::{fail, Result, Row, View, ViewMut};

/// x `[…, k]` of any strides, w `[n, k]`, b `[n]` → sums `[…, n]`, and of these a row, there or in an array of its own.
pub(super) fn forward<T: Real>(
    x: View<'_, Buffer>,
    w: View<'_, Buffer>,
    b: Option<View<'_, Buffer>>,
    sums: &ViewMut<'_, Buffer>,
    then: Option<(Row, Option<&ViewMut<'_, Buffer>>)>,
) -> Result<bool> {
    let (&[n, k], Some((&k_x, lead))) = (w.layout.shape(), x.layout.shape().split_last()) else { return Ok(false) };
    if k != k_x || w.dtype != T::DTYPE || b.is_some_and(|b| b.dtype != T::DTYPE || b.layout.shape() != [n]) {
        fail!(internal, "linear: kernel called with {:?} @ {:?}ᵀ", x.layout.shape(), w.layout.shape());
    }
    let rows = numel(lead);
    if rows * n == 0 {
        return Ok(true);
    }
    // SAFETY: the dtype was matched to T, and the output shares no elements with the inputs.
    let y = unsafe { output::<T>(sums, rows * n)? };
    let then = match then {
        Some((row, apart_from)) => {
            let Kernel::Value { apart, over } = T::row(row) else {
                fail!(internal, "linear: {} has no values of {}", row.name(), T::DTYPE);
            };
            let to = match apart_from {
                // SAFETY: as above.
                Some(to) => Some(Ptr::new(unsafe { output::<T>(to, rows * n)? }.as_mut_ptr())),
                None => None,
            };
            Some(Then { apart, over, from: y.as_ptr(), to })
        }
        None => None,
    };
    if let Some(b) = b {
        let (bias, step) = (Ptr::<T>::of(b.buffer), b.layout.strides()[0]);
        let start = b.layout.offset() as isize;
        for (y, j) in y[..n].iter_mut().zip(0..) {
            // SAFETY: the position comes from the bias's layout.
            *y = unsafe { bias.get(start + j * step) };
        }
        repeat(y, n);
    }
    let (px, pw) = (Ptr::<T>::of(x.buffer), Ptr::<T>::of(w.buffer));
    let (sw, sx) = (w.layout.strides(), x.layout.strides());
    let weights = Matrix { at: pw.at(w.layout.offset() as isize) as *const T, row: sw[1], col: sw[0] };
    let y = Ptr::new(y.as_mut_ptr());
    let mut done = 0;
    let mut run = |at: isize, step: isize, m: usize| {
        let x = Matrix { at: px.at(at) as *const T, row: step, col: sx[lead.len()] };
        // SAFETY: all positions come from the layouts; the output's rows are used one run after another.
        unsafe {
            let y = y.at((done * n) as isize);
            product_then(m, k, n, x, weights, y, n as isize, b.is_some(), worth_threads(m * k * n), then);
        }
        done += m;
    };
    if let &[m] = lead {
        run(x.layout.offset() as isize, sx[0], m);
    } else {
        // Rows that lie regularly are one matrix; otherwise each regular run of them is.
        Nest::new(lead, [&sx[..lead.len()]], [x.layout.offset()]).rows(|[at], [step], m| run(at, step, m));
    }
    Ok(true)
}

/// Copies the first `n` elements over all that follow, as many at once as stay in a near cache.
fn repeat<T: Copy>(y: &mut [T], n: usize) {
    let (mut done, block) = (n, y.len().min((1 << 12) / n * n).max(n));
    while done < block {
        let more = done.min(block - done);
        y.copy_within(..more, done);
        done += more;
    }
    let (first, rest) = y.split_at_mut(done);
    rest.chunks_mut(done).for_each(|part| part.copy_from_slice(&first[..part.len()]));
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_row_gets_the_first() {
        for (n, rows) in [(1, 1), (3, 1), (3, 2), (3, 5000), (4096, 3), (5000, 2)] {
            let mut y = vec![0; n * rows];
            y[..n].iter_mut().zip(1..).for_each(|(y, i)| *y = i);
            super::repeat(&mut y, n);
            assert!(y.iter().zip((1..=n).cycle()).all(|(&y, i)| y == i), "{n} {rows}");
        }
    }
}
