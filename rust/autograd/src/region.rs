//! A part of a base, seen as a part of a row-major copy of the base: what gradients of views, and of writes through
//! views, work on.
//!
//! Both layouts of a [`Region`] are over the buffer, and the part may lie anywhere in it (`as_strided`): nothing here
//! takes for granted that the base has the part's elements.

use smallvec::SmallVec;
use wengert_ops::layout::contiguous_strides;
use wengert_ops::{fail, Layout, Region, Result, Strides};

/// First and last position of a layout that is not empty. User's strides may be anything, hence the wide numbers.
fn reach(l: &Layout) -> (i128, i128) {
    let mut ends = (l.offset() as i128, l.offset() as i128);
    for (&n, &s) in l.shape().iter().zip(l.strides()) {
        let far = (n as i128 - 1) * s as i128;
        if far < 0 {
            ends.0 += far
        } else {
            ends.1 += far
        }
    }
    ends
}

/// The part as a layout over a row-major copy of the base at offset 0. `None` where some of its elements are not
/// the base's, where elements of the base lie on each other, and where no layout says it.
pub(crate) fn relative(region: &Region) -> Option<Layout> {
    let (base, part) = (&region.base, &region.part);
    if part.numel() == 0 {
        return Some(part.fresh());
    }
    if base.is_contiguous() {
        let (low, high) = reach(part);
        let start = base.offset() as i128;
        if low < start || high >= start + base.numel() as i128 {
            return None;
        }
        let (shape, strides) = (SmallVec::from_slice(part.shape()), SmallVec::from_slice(part.strides()));
        return Some(Layout::strided(shape, strides, part.offset() - base.offset()));
    }
    if base.self_overlaps() {
        return None;
    }
    if base == part {
        return Some(part.fresh());
    }
    let steps = contiguous_strides(base.shape());
    let mut order: SmallVec<[usize; 4]> = (0..base.rank()).filter(|&d| base.shape()[d] > 1).collect();
    order.sort_by_key(|&d| std::cmp::Reverse(base.strides()[d].unsigned_abs()));
    // A distance in the buffer as numbers of steps along the base's dims.
    let along = |distance: i128| -> Option<SmallVec<[i128; 4]>> {
        let mut rest = distance;
        let mut counts: SmallVec<[i128; 4]> = SmallVec::from_elem(0, base.rank());
        for &d in &order {
            let stride = base.strides()[d] as i128;
            counts[d] = rest / stride;
            rest %= stride;
        }
        (rest == 0).then_some(counts)
    };
    let sum = |counts: &[i128]| counts.iter().zip(&steps).map(|(&c, &s)| c * s as i128).sum::<i128>();
    let start = along(part.offset() as i128 - base.offset() as i128)?;
    let (mut low, mut high) = (start.clone(), start.clone());
    let mut strides = Strides::new();
    for (&n, &s) in part.shape().iter().zip(part.strides()) {
        if n == 1 {
            strides.push(0);
            continue;
        }
        let counts = along(s as i128)?;
        for (d, &c) in counts.iter().enumerate() {
            let far = c.checked_mul(n as i128 - 1)?;
            if far < 0 {
                low[d] += far
            } else {
                high[d] += far
            }
        }
        strides.push(sum(&counts) as isize);
    }
    // While no index leaves its dim, the steps add up to the base's own positions.
    let inside = (0..base.rank()).all(|d| low[d] >= 0 && high[d] < base.shape()[d] as i128);
    inside.then(|| Layout::strided(SmallVec::from_slice(part.shape()), strides, sum(&start) as usize))
}

/// Where the elements of any region stand, one by one.
pub(crate) struct Places {
    /// For each element of the part, row-major: the number of the base's element there, or the base's count of
    /// elements where it has none.
    pub of_part: Vec<i64>,
    /// Whether the part has elements that the base has not.
    pub outside: bool,
    /// Where elements of the base lie on each other: for each the number of the first one there, and how many do.
    pub shared: Option<(Vec<i64>, Vec<f64>)>,
}

/// Positions of all elements, row-major.
fn positions(l: &Layout) -> Vec<i128> {
    let mut out = Vec::with_capacity(l.numel());
    if l.numel() == 0 {
        return out;
    }
    let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, l.rank());
    let mut at = l.offset() as i128;
    loop {
        out.push(at);
        let mut d = l.rank();
        loop {
            if d == 0 {
                return out;
            }
            d -= 1;
            index[d] += 1;
            at += l.strides()[d] as i128;
            if index[d] < l.shape()[d] {
                break;
            }
            at -= index[d] as i128 * l.strides()[d] as i128;
            index[d] = 0;
        }
    }
}

/// For regions that [`relative`] cannot express: a search for each element.
pub(crate) fn places(region: &Region) -> Places {
    let count = region.base.numel();
    let mut all: Vec<(i128, i64)> = positions(&region.base).into_iter().zip(0..).collect();
    all.sort_unstable();
    let (mut firsts, mut counts) = (vec![0; count], vec![1.0; count]);
    let mut distinct: Vec<(i128, i64)> = Vec::with_capacity(count);
    for same in all.chunk_by(|a, b| a.0 == b.0) {
        for &(_, element) in same {
            firsts[element as usize] = same[0].1;
            counts[element as usize] = same.len() as f64;
        }
        distinct.push(same[0]);
    }
    let mut outside = false;
    let of_part = positions(&region.part)
        .into_iter()
        .map(|at| match distinct.binary_search_by_key(&at, |d| d.0) {
            Ok(found) => distinct[found].1,
            Err(_) => {
                outside = true;
                count as i64
            }
        })
        .collect();
    Places { of_part, outside, shared: (distinct.len() < count).then_some((firsts, counts)) }
}

/// The places of a part that is written or read as a part of the base: it must have no other elements.
pub(crate) fn places_inside(region: &Region) -> Result<Places> {
    let places = places(region);
    if places.outside || places.shared.is_some() {
        fail!(
            runtime,
            "gradients cannot pass through an in-place write of a view with shape {:?}, strides {:?} and offset {} to a base with \
             shape {:?}, strides {:?} and offset {}: {}; write to a view of the whole storage, or clone() the base first",
            region.part.shape(),
            region.part.strides(),
            region.part.offset(),
            region.base.shape(),
            region.base.strides(),
            region.base.offset(),
            if places.outside {
                "the view reaches outside its base"
            } else {
                "more than one element of the base refers to a single memory location"
            }
        );
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shape: &[usize], strides: &[isize], offset: usize) -> Layout {
        Layout::strided(SmallVec::from_slice(shape), SmallVec::from_slice(strides), offset)
    }

    /// Wherever a layout is given, it names the very elements that a search finds; it is withheld where elements
    /// are missing.
    #[test]
    fn layouts_agree_with_the_search() {
        let bases = [
            layout(&[2, 3, 2], &[6, 2, 1], 4),
            layout(&[3, 4], &[1, 3], 2),
            layout(&[4, 3], &[4, 1], 1),
            layout(&[2, 2, 2], &[2, 8, 1], 0),
            layout(&[3, 2], &[0, 1], 3),
            layout(&[6], &[-2], 12),
            layout(&[], &[], 5),
        ];
        let (mut told, mut kept) = (0, 0);
        for base in &bases {
            for offset in 0..8 {
                for strides in [[1, 1], [2, 1], [3, 2], [4, 1], [6, 2], [8, 3], [0, 5]] {
                    for shape in [[1, 1], [2, 1], [1, 3], [2, 2], [3, 2], [2, 4]] {
                        let region = Region { base: base.clone(), part: layout(&shape, &strides, offset) };
                        let found = places(&region);
                        let Some(direct) = relative(&region) else {
                            kept += 1;
                            continue;
                        };
                        told += 1;
                        let said: Vec<i64> = positions(&direct).into_iter().map(|p| p as i64).collect();
                        assert!(!found.outside, "{region:?}");
                        assert_eq!(said, found.of_part, "{region:?}");
                    }
                }
            }
        }
        assert!(told > 100 && kept > 100, "{told} {kept}");
    }

    #[test]
    fn nothing_outside_the_base_has_a_place() {
        let base = layout(&[2], &[1], 2);
        for offset in [0, 1, 3, 4, 1 << 40] {
            let region = Region { base: base.clone(), part: layout(&[2], &[1], offset) };
            assert!(relative(&region).is_none());
            assert!(places_inside(&region).is_err());
        }
        let gap = Region { base: layout(&[4, 3], &[4, 1], 0), part: layout(&[2], &[3], 0) };
        assert!(relative(&gap).is_none(), "element 3 is not the base's");
        assert_eq!(places(&gap).of_part, [0, 12]);
        let endless = Region { base, part: layout(&[2, 2], &[isize::MAX, isize::MAX], 2) };
        assert!(relative(&endless).is_none());
    }

    #[test]
    fn elements_on_each_other_are_counted() {
        let places = places(&Region { base: layout(&[2, 2], &[0, 1], 1), part: layout(&[3], &[1], 0) });
        assert_eq!(places.of_part, [4, 0, 1]);
        assert_eq!(places.shared, Some((vec![0, 1, 0, 1], vec![2.0; 4])));
    }
}
