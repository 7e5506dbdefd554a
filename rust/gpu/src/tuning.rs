//! Which form of a kernel is fastest for products of like sizes on this device: measured once they have come several
//! times, and kept.
//!
//! Only forms are compared that add up in the same order, so that a product's bits do not depend on what was measured.

use crate::context::locked;
use crate::shader::Num;
use crate::tiling::{Form, Patch, Sizes, Tile};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::time::Duration;
use wengert_ops::Result;

/// Products that come so often are measured.
const SIGHTINGS: u32 = 3;
/// Products of fewer multiplications are not worth it; of more would keep the user waiting, longer where a processor
/// plays the GPU.
const LEAST: usize = 1 << 25;
const MOST: usize = 1 << 34;
const MOST_ON_SOFTWARE: usize = 1 << 27;
/// Classes that are remembered.
const CLASSES: usize = 4096;

static ON: AtomicBool = AtomicBool::new(true);

/// Whether products are measured.
pub fn autotune() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Sets whether products are measured; what was measured before is used in any case.
pub fn set_autotune(on: bool) {
    ON.store(on, Ordering::Relaxed);
}

/// Products of one kind and like sizes: family, number type, order in memory, and sizes by powers of two.
pub(crate) type Class = [u8; 7];

pub(crate) fn class(family: &str, num: Num, inner_first: [bool; 2], sizes: &Sizes) -> Class {
    let log = |n: usize| n.next_power_of_two().trailing_zeros() as u8;
    let order = u8::from(inner_first[0]) + 2 * u8::from(inner_first[1]);
    // Enough of the name to tell families apart.
    [family.as_bytes()[0], num as u8, order, log(sizes.batch), log(sizes.m), log(sizes.k), log(sizes.n)]
}

/// Whether a product is of a size to be measured.
pub(crate) fn is_worth(software: bool, sizes: &Sizes) -> bool {
    let most = if software { MOST_ON_SOFTWARE } else { MOST };
    (LEAST..=most).contains(&multiplications(sizes))
}

fn multiplications(sizes: &Sizes) -> usize {
    [sizes.m, sizes.k, sizes.n].iter().fold(sizes.batch, |all, n| all.saturating_mul(*n))
}

/// How many products are timed together: so many that what a submission costs does not count.
pub(crate) fn together(software: bool, sizes: &Sizes) -> u32 {
    let few = software || multiplications(sizes) > MOST >> 4;
    if few {
        1
    } else {
        8
    }
}

enum Met {
    Times(u32),
    Chosen(Form),
}

#[derive(Default)]
struct Table {
    met: HashMap<Class, Met>,
    measured: usize,
    news: bool,
}

/// What a device knows of products.
#[derive(Default)]
pub(crate) struct Tuned(Mutex<Table>);

impl Tuned {
    /// The form for a product: the first of those possible, or that which was the fastest.
    pub fn form(&self, class: Class, forms: &[Form], time: impl FnMut(Form) -> Result<Duration>) -> Form {
        {
            let mut table = locked(&self.0);
            if table.met.len() >= CLASSES {
                table.met.retain(|_, met| matches!(met, Met::Chosen(_)));
            }
            match table.met.entry(class).or_insert(Met::Times(0)) {
                // A file may name what this version or device has not.
                Met::Chosen(form) if forms.contains(form) => return *form,
                Met::Chosen(_) => return forms[0],
                Met::Times(times) => *times += 1,
            }
            let often = matches!(table.met.get(&class), Some(Met::Times(times)) if *times >= SIGHTINGS);
            if !often || !autotune() {
                return forms[0];
            }
        }
        // Where there is no room to measure there may still be room to compute.
        let fastest = fastest(forms, time).unwrap_or(forms[0]);
        let mut table = locked(&self.0);
        table.met.insert(class, Met::Chosen(fastest));
        (table.news, table.measured) = (true, table.measured + 1);
        fastest
    }

    /// How many were measured by this process.
    pub fn measured(&self) -> usize {
        locked(&self.0).measured
    }

    /// A line for each class of which the best form is known.
    pub fn parse(text: &str) -> Tuned {
        let mut table = Table::default();
        for line in text.lines() {
            let numbers = |text: &str| text.split(' ').map(str::parse).collect::<std::result::Result<Vec<usize>, _>>();
            let Some((class, form)) = line.split_once(": ") else { continue };
            let (Ok(class), Ok(form)) = (numbers(class), numbers(form)) else { continue };
            let class: Option<Class> = class.iter().map(|n| *n as u8).collect::<Vec<_>>().try_into().ok();
            let form = match form[..] {
                [side, depth, own, ahead] => Form::Tiles(Tile { side, depth, own, ahead: ahead == 1 }),
                [rows, cols, across, down, together] => {
                    Form::Registers(Patch { rows, cols, across, down, together: together == 1 })
                }
                _ => continue,
            };
            if let (Some(class), true) = (class, table.met.len() < CLASSES) {
                table.met.insert(class, Met::Chosen(form));
            }
        }
        Tuned(Mutex::new(table))
    }

    /// All that is known as [`Tuned::parse`] reads it, if there is more than when this was asked last.
    pub fn news(&self) -> Option<String> {
        let mut table = locked(&self.0);
        if !std::mem::take(&mut table.news) {
            return None;
        }
        let mut text = String::new();
        for (class, met) in &table.met {
            let form: Vec<usize> = match met {
                Met::Chosen(Form::Tiles(t)) => vec![t.side, t.depth, t.own, usize::from(t.ahead)],
                Met::Chosen(Form::Registers(p)) => vec![p.rows, p.cols, p.across, p.down, usize::from(p.together)],
                _ => continue,
            };
            let line = |numbers: Vec<String>| numbers.join(" ");
            let _ = writeln!(
                text,
                "{}: {}",
                line(class.iter().map(u8::to_string).collect()),
                line(form.iter().map(usize::to_string).collect())
            );
        }
        Some(text)
    }
}

/// The form of the least time. One that is far behind at once is not tried again.
fn fastest(forms: &[Form], mut time: impl FnMut(Form) -> Result<Duration>) -> Result<Form> {
    const ROUNDS: usize = 2;
    let mut best: Option<(Form, Duration)> = None;
    for &form in forms {
        // The first run compiles the kernel.
        time(form)?;
        let mut least = Duration::MAX;
        for _ in 0..ROUNDS {
            least = least.min(time(form)?);
            if best.is_some_and(|(_, known)| 2 * least > 3 * known) {
                break;
            }
        }
        // Nearly as good is no reason to leave the usual form.
        if best.is_none_or(|(_, known)| least.as_secs_f64() < 0.97 * known.as_secs_f64()) {
            best = Some((form, least));
        }
    }
    Ok(best.map_or(forms[0], |(form, _)| form))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Form = Form::Tiles(Tile { side: 64, depth: 16, own: 4, ahead: true });
    const B: Form = Form::Registers(Patch { rows: 16, cols: 8, across: 8, down: 1, together: true });

    fn time(form: Form) -> Result<Duration> {
        Ok(Duration::from_millis(if form == A { 5 } else { 3 }))
    }

    #[test]
    fn the_fastest_is_taken_from_the_third_time_on_and_kept() {
        let sizes = Sizes { batch: 1, m: 500, k: 512, n: 512 };
        let class = class("matmul", Num::F32, [true, false], &sizes);
        assert_eq!(class, [b'm', Num::F32 as u8, 1, 0, 9, 9, 9]);
        let tuned = Tuned::default();
        for turn in 1..5 {
            let chosen = tuned.form(class, &[A, B], time);
            assert!(chosen == if turn < SIGHTINGS { A } else { B });
        }
        assert_eq!(tuned.measured(), 1);
        let text = tuned.news().expect("something new");
        assert!(tuned.news().is_none());
        let read = Tuned::parse(&text);
        assert!(read.form(class, &[A, B], |_| unreachable!()) == B);
        // What is not possible here is not taken from a file.
        assert!(read.form(class, &[A], |_| unreachable!()) == A);
    }

    #[test]
    fn damaged_lines_are_skipped() {
        let tuned = Tuned::parse("what\n1 2 3: 4\n0 0 0 0 9 9 9: 64 16 4 \n: \n0 0 0 0 9 9 9: 1 2 3\n");
        assert!(locked(&tuned.0).met.is_empty());
    }

    #[test]
    fn where_nothing_can_be_measured_the_best_guess_stays() {
        let (tuned, class) = (Tuned::default(), [0; 7]);
        for _ in 0..5 {
            let failing = |_| Err(wengert_ops::Error::memory("none left"));
            assert!(tuned.form(class, &[A, B], failing) == A);
        }
    }

    #[test]
    fn a_small_gain_is_no_reason_to_change() {
        let close = |form: Form| Ok(Duration::from_micros(if form == A { 1000 } else { 990 }));
        assert!(fastest(&[A, B], close).unwrap() == A);
    }

    #[test]
    fn only_products_worth_it_are_measured() {
        let cube = |n| Sizes { batch: 1, m: n, k: n, n };
        assert!(!is_worth(true, &cube(64)) && is_worth(true, &cube(512)) && !is_worth(true, &cube(2048)));
        assert!(is_worth(false, &cube(2048)) && !is_worth(false, &cube(usize::MAX)));
    }
}
