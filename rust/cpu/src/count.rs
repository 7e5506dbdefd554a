//! How often each of the numbers 0, 1, … occurs.

use crate::buffer::Buffer;
use crate::strided::{dispatch, filled, packed, vectorised, Element, GRAIN};
use crate::threads;
use wengert_ops::{Error, Result, View};

/// The counts, at least `least` of them, of integers none of which is below 0: else there are none.
pub fn count(x: View<'_, Buffer>, least: usize) -> Result<Option<Vec<i64>>> {
    dispatch!(x.dtype, T => {
        // SAFETY: T is the dtype's type, and nobody writes meanwhile.
        count_slice::<T>(&*unsafe { packed(x)? }, least)
    })
}

fn count_slice<T: Element>(xs: &[T], least: usize) -> Result<Option<Vec<i64>>> {
    if xs.is_empty() {
        return filled(0, least).map(Some);
    }
    let parts = (2 * xs.len() / GRAIN).clamp(1, threads::count());
    let part = |p: usize| &xs[xs.len() * p / parts..xs.len() * (p + 1) / parts];
    let ranges = threads::gather(parts, |p| range(part(p)));
    let [low, high] = ranges.into_iter().fold([0, 0], |a, b| [a[0].min(b[0]), a[1].max(b[1])]);
    if low < 0 {
        return Ok(None);
    }
    let size = usize::try_from(high).ok().and_then(|n| n.checked_add(1)).map(|n| n.max(least));
    let mut totals = filled(0, size.ok_or_else(|| Error::memory("the result is too large"))?)?;
    let size = totals.len();
    // What many counters cost must be little beside the elements.
    if size > xs.len() / (4 * SIDE * parts) {
        xs.iter().for_each(|x| totals[x.to_i64() as usize] += 1);
        return Ok(Some(totals));
    }
    for counts in threads::gather(parts, |p| count_part(part(p), size)) {
        counts.chunks(size).for_each(|side| totals.iter_mut().zip(side).for_each(|(a, b)| *a += b));
    }
    Ok(Some(totals))
}

/// Counters of each number: neighbours that are equal need not wait for each other.
const SIDE: usize = 4;

fn count_part<T: Element>(xs: &[T], size: usize) -> Vec<i64> {
    let mut counts = vec![0; SIDE * size];
    let (chunks, rest) = xs.as_chunks::<SIDE>();
    for chunk in chunks {
        for (k, x) in chunk.iter().enumerate() {
            counts[k * size + x.to_i64() as usize] += 1;
        }
    }
    rest.iter().for_each(|x| counts[x.to_i64() as usize] += 1);
    counts
}

vectorised! {
    fn range<T: Element>(xs: &[T]) -> [i64; 2] = range_body
}

#[inline(always)]
fn range_body<T: Element>(xs: &[T]) -> [i64; 2] {
    xs.iter().fold([0, 0], |[low, high], x| [low.min(x.to_i64()), high.max(x.to_i64())])
}
