//! Where numbers would go in sorted sequences.

use crate::buffer::Buffer;
use crate::strided::{dense_mut, dispatch, packed, parallel, vectorised, Element};
use wengert_ops::{contract, fail, Result, View, ViewMut};

/// For each of `values` `[…, m]` its place in the last dim of `sequences`, which has the same dims before or no others:
/// before what is equal to it, or behind if `right`. NaN is greater than all numbers. `out` has the values' shape.
pub fn search(
    sequences: View<'_, Buffer>,
    values: View<'_, Buffer>,
    right: bool,
    out: ViewMut<'_, Buffer>,
) -> Result<()> {
    contract::same_dtypes("search", sequences.dtype, values.dtype)?;
    contract::int64("search", &out.as_view())?;
    let (shape, wanted) = (sequences.layout.shape(), values.layout.shape());
    let Some((&count, before)) = shape.split_last() else { fail!(internal, "search: a sequence without a dim") };
    // The values of each sequence.
    let each = if before.is_empty() { values.layout.numel() } else { wanted.last().copied().unwrap_or(1) };
    let fits = before.is_empty() || wanted.split_last().is_some_and(|(_, dims)| dims == before);
    if !fits || out.layout().shape() != wanted {
        fail!(internal, "search: values {wanted:?} and places {:?} for sequences {shape:?}", out.layout().shape());
    }
    if values.layout.numel() == 0 {
        return Ok(());
    }
    dispatch!(values.dtype, T => {
        // SAFETY (all): T is the dtype's type; nobody writes the inputs, and nobody else uses the output.
        let (sequences, values) = unsafe { (packed::<T>(sequences)?, packed::<T>(values)?) };
        let Some(places) = (unsafe { dense_mut::<i64>(&out) }) else { fail!(internal, "search: strided places") };
        let places = crate::strided::Ptr::from_slice_mut(places);
        parallel(values.len(), count.max(1).ilog2() as usize + 1, |range| {
            let mut at = range.start;
            while at < range.end {
                let (row, end) = (at / each, range.end.min((at / each + 1) * each));
                let row = &sequences[row * count..][..count];
                // SAFETY: parts are disjoint.
                search_in(row, &values[at..end], right, unsafe { places.slice_mut(at as isize, end - at) });
                at = end;
            }
        });
    });
    Ok(())
}

vectorised! {
    fn search_in<T: Element>(row: &[T], values: &[T], right: bool, places: &mut [i64]) = search_in_body
}

/// Searches that go on side by side: each step waits for memory.
const SIDE: usize = 16;

#[inline(always)]
fn search_in_body<T: Element>(row: &[T], values: &[T], right: bool, places: &mut [i64]) {
    let count = row.len();
    for (values, places) in values.chunks(SIDE).zip(places.chunks_mut(SIDE)) {
        let wanted: [T::Cmp; SIDE] = std::array::from_fn(|k| values[k.min(values.len() - 1)].cast());
        let (mut low, mut high) = ([0; SIDE], [count; SIDE]);
        for _ in 0..usize::BITS - count.leading_zeros() {
            for k in 0..SIDE {
                let middle = (low[k] + high[k]) / 2;
                let (found, wanted): (T::Cmp, T::Cmp) = (row[middle.min(count - 1)].cast(), wanted[k]);
                let (less, equal) = (found < wanted, found == wanted);
                let nan = wanted.is_nan() & (right | !found.is_nan());
                let before = (less | (equal & right) | nan) & (low[k] < high[k]);
                (low[k], high[k]) = if before { (middle + 1, high[k]) } else { (low[k], middle) };
            }
        }
        places.iter_mut().zip(low).for_each(|(place, low)| *place = low as i64);
    }
}
