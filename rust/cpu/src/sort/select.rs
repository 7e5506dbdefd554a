//! The first few of a line in order, and the one at a rank, without sorting the rest.

use super::keys::{Bits, Ordered, Packed};
use crate::strided::{room, vectorised, GRAIN};
use crate::threads::{self, Failed};
use std::ops::Range;
use wengert_ops::Result;

/// Elements that are looked at together; a block without any that is wanted takes no more than that look.
const BLOCK: usize = 32;

vectorised! {
    fn any_before<T: Ordered>(block: &[T], limit: u64, descending: bool) -> bool = any_before_body
}

#[inline(always)]
fn any_before_body<T: Ordered>(block: &[T], limit: u64, descending: bool) -> bool {
    let limit = Bits::of(limit);
    // Without an early way out: a vector loop.
    block.iter().fold(false, |any, &x| any | (x.key(descending) < limit))
}

/// The `count` (above 0) first of `line`, whose first position is `start`, into `keys`, in any order.
fn first_of_part<T: Ordered>(line: &[T], start: usize, descending: bool, count: usize, keys: &mut Vec<T::Packed>) {
    let pack = |(i, &x): (usize, &T)| T::Packed::pack(x.key(descending).wide(), start + i);
    let most = capacity(count).min(line.len());
    keys.clear();
    keys.extend(line[..most].iter().enumerate().map(pack));
    let keep = |keys: &mut Vec<T::Packed>| -> u64 {
        let limit = keys.select_nth_unstable(count - 1).1.key();
        keys.truncate(count);
        limit
    };
    if line.len() <= count {
        return;
    }
    // What comes later and is equal to the last of those kept comes after it.
    let mut limit = keep(keys);
    for (block, at) in line[most..].chunks(BLOCK).zip((most..).step_by(BLOCK)) {
        if !any_before(block, limit, descending) {
            continue;
        }
        for (i, x) in block.iter().enumerate() {
            if x.key(descending).wide() < limit {
                keys.push(pack((at + i, x)));
            }
        }
        if keys.len() + BLOCK > capacity(count) {
            limit = keep(keys);
        }
    }
    keep(keys);
}

/// Room for so many candidates that sorting them out is seldom.
fn capacity(count: usize) -> usize {
    2 * count + 2 * BLOCK
}

/// The `count` first of a line into `keys`, in any order; a long line is shared out if it is `alone`.
pub(super) fn first<T: Ordered>(
    line: &[T],
    descending: bool,
    count: usize,
    alone: bool,
    keys: &mut Vec<T::Packed>,
) -> Result<()> {
    let parts = parts(line.len());
    if keys.capacity() < capacity(count) {
        *keys = room(capacity(count))?;
    }
    if !alone || parts == 1 || count > line.len() / parts / 8 {
        first_of_part(line, 0, descending, count, keys);
        return Ok(());
    }
    let failed = Failed::default();
    let found = threads::gather(parts, |p| {
        let range = part(line.len(), parts, p);
        let mut keys = failed.keep(room(capacity(count))).unwrap_or_default();
        if keys.capacity() > 0 {
            first_of_part(&line[range.clone()], range.start, descending, count, &mut keys);
        }
        keys
    });
    failed.result()?;
    *keys = found.concat();
    keys.select_nth_unstable(count - 1);
    keys.truncate(count);
    Ok(())
}

/// Into how many parts a line is cut.
fn parts(len: usize) -> usize {
    (len / GRAIN).clamp(1, 2 * threads::count())
}

fn part(len: usize, parts: usize, p: usize) -> Range<usize> {
    len * p / parts..len * (p + 1) / parts
}

vectorised! {
    fn range_of<T: Ordered>(line: &[T]) -> [u64; 2] = range_of_body
}

/// The least and the greatest key.
#[inline(always)]
fn range_of_body<T: Ordered>(line: &[T]) -> [u64; 2] {
    let start = [u64::MAX, 0];
    line.iter().map(|x| x.key(false).wide()).fold(start, |[low, high], key| [low.min(key), high.max(key)])
}

/// The least and the greatest key of a line, which is shared out if it is `alone`.
pub(super) fn range<T: Ordered>(line: &[T], alone: bool) -> [u64; 2] {
    let parts = if alone { parts(line.len()) } else { 1 };
    let ranges = threads::gather(parts, |p| range_of(&line[part(line.len(), parts, p)]));
    ranges.into_iter().fold([u64::MAX, 0], |[low, high], range| [low.min(range[0]), high.max(range[1])])
}

/// Counters of a histogram of keys.
const BINS: usize = 1 << 12;

/// Where the element of a rank (below the line's length) stands: the rank counts as a stable sort would order them.
pub(super) fn at_rank<T: Ordered>(line: &[T], rank: usize, alone: bool, keys: &mut Vec<T::Packed>) -> Result<usize> {
    let parts = if alone { parts(line.len()) } else { 1 };
    let pack = |(i, x): (usize, &T)| T::Packed::pack(x.key(false).wide(), i);
    if parts == 1 {
        if keys.capacity() < line.len() {
            *keys = room(line.len())?;
        }
        keys.clear();
        keys.extend(line.iter().enumerate().map(pack));
        return Ok(keys.select_nth_unstable(rank).1.position());
    }
    // A histogram tells which bin has the rank; only what lies in it is then put in order.
    let [low, high] = range(line, true);
    let shift = (u64::BITS - (high - low).leading_zeros()).saturating_sub(BINS.ilog2());
    let bin = |x: &T| ((x.key(false).wide() - low) >> shift) as usize;
    let counts = threads::gather(parts, |p| {
        let mut counts = vec![0usize; BINS];
        line[part(line.len(), parts, p)].iter().for_each(|x| counts[bin(x) % BINS] += 1);
        counts
    });
    let (mut rank, mut wanted) = (rank, 0);
    loop {
        let here: usize = counts.iter().map(|counts| counts[wanted]).sum();
        if rank < here {
            break;
        }
        (rank, wanted) = (rank - here, wanted + 1);
    }
    let failed = Failed::default();
    let found = threads::gather(parts, |p| {
        let Some(mut found) = failed.keep(room(counts[p][wanted])) else { return Vec::new() };
        let range = part(line.len(), parts, p);
        found.extend(range.clone().zip(&line[range]).filter(|(_, x)| bin(x) == wanted).map(pack));
        found
    });
    failed.result()?;
    let mut found = found.concat();
    Ok(found.select_nth_unstable(rank).1.position())
}
