//! Places in a stream of random numbers, from which several threads, and later the backward pass, draw again what one
//! thread would have drawn at once: to keep places takes less memory than to keep what is drawn.

use super::{below, bound, fill_from_words, Generator, PLACE};
use wengert_ops::{Result, STREAM_ROWS};

/// Words that a draw of one or zero takes.
const WORDS: usize = 2;

/// Passes over the draws of `entries` matrices of `[rows, cols]` ones and zeros; gives, row by row of a matrix `[streams,
/// PLACE]`, where the draws begin for each [`STREAM_ROWS`] rows of an entry.
pub fn streams(generator: &mut Generator, entries: usize, rows: usize, cols: usize) -> Result<Vec<i32>> {
    let count = entries.saturating_mul(rows.div_ceil(STREAM_ROWS));
    let mut places = crate::strided::room(count.saturating_mul(PLACE))?;
    for _ in 0..entries {
        for first in (0..rows).step_by(STREAM_ROWS) {
            places.extend(generator.place().map(|word| word as i32));
            generator.skip((STREAM_ROWS.min(rows - first) * cols) as u64 * WORDS as u64);
        }
    }
    Ok(places)
}

/// Draws ones with the probability `keep`, else zeros, from a place on.
pub(crate) fn kept(place: &[u32; PLACE], keep: f64, flags: &mut [u8]) {
    fill_from_words(&mut Generator::at(place), flags, WORDS, |words, y| below(words, bound(keep), y));
}
