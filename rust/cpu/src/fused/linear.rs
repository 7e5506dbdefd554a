//! `x @ wᵀ + b` in one pass: the bias is what the product adds to.

use super::{output, Real};
use crate::buffer::Buffer;
use crate::matmul::{product, worth_threads, Matrix};
use crate::strided::{Nest, Ptr};
use wengert_ops::layout::numel;
use wengert_ops::{fail, Result, View, ViewMut};

/// x `[…, k]` of any strides, w `[n, k]`, b `[n]` → `[…, n]`.
pub(super) fn forward<T: Real>(
    x: View<'_, Buffer>,
    w: View<'_, Buffer>,
    b: Option<View<'_, Buffer>>,
    y: &ViewMut<'_, Buffer>,
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
    let y = unsafe { output::<T>(y, rows * n)? };
    if let Some(b) = b {
        let (bias, step) = (Ptr::<T>::of(b.buffer), b.layout.strides()[0]);
        let start = b.layout.offset() as isize;
        for line in y.chunks_exact_mut(n) {
            for (j, y) in line.iter_mut().enumerate() {
                // SAFETY: the position comes from the bias's layout.
                *y = unsafe { bias.get(start + j as isize * step) };
            }
        }
    }
    let (px, pw) = (Ptr::<T>::of(x.buffer), Ptr::<T>::of(w.buffer));
    let (sw, sx) = (w.layout.strides(), x.layout.strides());
    let weights = Matrix { at: pw.at(w.layout.offset() as isize) as *const T, row: sw[1], col: sw[0] };
    let y = Ptr::new(y.as_mut_ptr());
    let mut done = 0;
    // Rows that lie regularly are one matrix; otherwise each regular run of them is.
    Nest::new(lead, [&sx[..lead.len()]], [x.layout.offset()]).rows(|[at], [step], m| {
        let x = Matrix { at: px.at(at) as *const T, row: step, col: sx[lead.len()] };
        // SAFETY: all positions come from the layouts; the output's rows are used one run after another.
        unsafe {
            let y = y.at((done * n) as isize);
            product(m, k, n, x, weights, y, n as isize, b.is_some(), worth_threads(m * k * n));
        }
        done += m;
    });
    Ok(true)
}
