//! Sorting keys of 32 bits that stand above positions in order: by one digit after the other, from the last.

use crate::strided::{room, Ptr};
use crate::threads;
use wengert_ops::Result;

const DIGIT: u32 = 8;
const VALUES: usize = 1 << DIGIT;
/// Where keys begin.
const KEY: u32 = 32;

#[inline(always)]
fn digit(key: u64, shift: u32) -> usize {
    (key >> shift) as usize % VALUES
}

/// Sorts by the upper halves; of equal ones the order stays. `parts` threads share the work.
pub(super) fn sort(keys: &mut Vec<u64>, spare: &mut Vec<u64>, parts: usize) -> Result<()> {
    let n = keys.len();
    if spare.len() < n {
        *spare = room(n)?;
    }
    spare.resize(n, 0);
    let first = keys.first().copied().unwrap_or_default();
    // Digits in which all agree need no pass.
    let differing = keys.iter().fold(0, |bits, &key| bits | (key ^ first));
    for shift in (KEY..u64::BITS).step_by(DIGIT as usize) {
        if digit(differing, shift) != 0 {
            pass(keys, spare, shift, parts);
            std::mem::swap(keys, spare);
        }
    }
    Ok(())
}

/// One digit: each part counts its keys of each digit and then moves them to where those of the parts before end.
fn pass(from: &[u64], to: &mut [u64], shift: u32, parts: usize) {
    let n = from.len();
    let part = |p: usize| &from[n * p / parts..n * (p + 1) / parts];
    let mut places = threads::gather(parts, |p| {
        let mut counts = [0usize; VALUES];
        part(p).iter().for_each(|&key| counts[digit(key, shift)] += 1);
        counts
    });
    let mut next = 0;
    for value in 0..VALUES {
        for counts in &mut places {
            next += std::mem::replace(&mut counts[value], next);
        }
    }
    let to = Ptr::from_slice_mut(to);
    threads::share(parts, |p| {
        let mut places = places[p];
        for &key in part(p) {
            let place = &mut places[digit(key, shift)];
            // SAFETY: the counts of all parts and digits make ranges that are disjoint and fill the target.
            unsafe { to.set(*place as isize, key) };
            *place += 1;
        }
    });
}
