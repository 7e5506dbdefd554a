//! Running extremes, ranks, searches and counts against naive loops, over random layouts and every dtype.

mod common;
use common::*;
use std::cmp::Ordering;
use wengert_cpu::count::count;
use wengert_cpu::running::running;
use wengert_cpu::search::search;
use wengert_cpu::sort::{rank, sort, Rank};
use wengert_ops::{DType, Extremum};

fn low(dtype: DType) -> i64 {
    if dtype.is_signed() {
        -5
    } else {
        0
    }
}

/// NaN equals itself and is greater than everything; zeros are equal.
fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The lines of a shape along a dim: the row-major positions of each line's elements.
fn lines(shape: &[usize], dim: usize) -> Vec<Vec<usize>> {
    let count: usize = shape.iter().product();
    let firsts = (0..count).filter(|&i| coordinates(i, shape)[dim] == 0);
    let inside: usize = shape[dim + 1..].iter().product();
    firsts.map(|i| (0..shape[dim]).map(|k| i + k * inside).collect()).collect()
}

fn solid(rng: &mut Rng) -> Vec<usize> {
    loop {
        let shape = rng.shape(4);
        if !shape.is_empty() && !shape.contains(&0) {
            return shape;
        }
    }
}

fn check_running(rng: &mut Rng, shape: &[usize], dtype: DType) {
    let dim = rng.below(shape.len());
    let nan = dtype.is_float() && rng.flip();
    let x = Tensor::random(rng, shape, dtype, low(dtype), 6, nan, false);
    let kind = if rng.flip() { Extremum::Max } else { Extremum::Min };
    let (values, indices) = (Tensor::new(rng, shape, dtype, true), Tensor::new(rng, shape, DType::I64, true));
    running(kind, x.view(), dim, values.out(), indices.out()).unwrap();
    let data = x.values();
    let (mut wanted, mut places) = (vec![0.0; data.len()], vec![0.0; data.len()]);
    for line in lines(shape, dim) {
        let (mut best, mut place) = (data[line[0]], 0);
        for (k, &i) in line.iter().enumerate() {
            let v = data[i];
            if v.is_nan() || (kind == Extremum::Max && v >= best) || (kind == Extremum::Min && v <= best) {
                (best, place) = (v, k);
            }
            (wanted[i], places[i]) = (best, place as f64);
        }
    }
    let what = format!("{kind:?} of {dtype} {:?} along {dim}", x.layout);
    assert_same(&values.values(), &wanted, &what);
    assert_same(&indices.values(), &places, &what);
}

#[test]
fn running_extremes_agree_with_naive_loops() {
    let rng = &mut Rng(21);
    for round in 0..1500 {
        let shape = solid(rng);
        check_running(rng, &shape, DType::ALL[round % 10]);
    }
    for shape in [vec![400, 401], vec![3, 301, 257], vec![200_001]] {
        for dtype in [DType::F32, DType::F16, DType::I64] {
            check_running(rng, &shape, dtype);
        }
    }
}

fn check_rank(rng: &mut Rng, shape: &[usize], dtype: DType, high: i64) {
    let dim = rng.below(shape.len());
    let nan = dtype.is_float() && rng.flip();
    let x = Tensor::random(rng, shape, dtype, low(dtype), high, nan, false);
    let which = match rng.below(3) {
        0 => Rank::Median,
        1 => Rank::NanMedian,
        _ => Rank::At(rng.below(shape[dim])),
    };
    let mut one = shape.to_vec();
    one[dim] = 1;
    let places = Tensor::new(rng, &one, DType::I64, true);
    rank(x.view(), dim, which, places.out()).unwrap();
    let data = x.values();
    let wanted: Vec<f64> = lines(shape, dim)
        .into_iter()
        .map(|line| {
            let values: Vec<f64> = line.iter().map(|&i| data[i]).collect();
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| compare(values[a], values[b]));
            let numbers = values.iter().filter(|v| !v.is_nan()).count();
            let first_nan = values.iter().position(|v| v.is_nan());
            match (which, first_nan) {
                (Rank::Median, Some(first)) => first as f64,
                (Rank::Median, None) => order[(values.len() - 1) / 2] as f64,
                (Rank::NanMedian, _) => order[numbers.saturating_sub(1) / 2] as f64,
                (Rank::At(k), _) => order[k] as f64,
            }
        })
        .collect();
    assert_same(&places.values(), &wanted, &format!("{which:?} of {dtype} {:?} along {dim}", x.layout));
}

#[test]
fn ranks_agree_with_a_stable_sort() {
    let rng = &mut Rng(22);
    for round in 0..1500 {
        let shape = solid(rng);
        check_rank(rng, &shape, DType::ALL[round % 10], 6);
    }
    // Shared out among threads, alone and in lines; ties in plenty, and hardly any.
    for dtype in [DType::F32, DType::F64, DType::I64, DType::I16] {
        for high in [6, 30_000] {
            check_rank(rng, &[300_001], dtype, high);
            check_rank(rng, &[301, 1000], dtype, high);
        }
    }
}

#[test]
fn a_rank_among_numbers_of_every_size() {
    let values: Vec<i64> = (0..200_000).map(|i| if i % 3 == 0 { i64::MIN + i } else { i64::MAX - i }).collect();
    let x = Tensor::of(&vec![0.0; values.len()], &[values.len()], DType::I64);
    wengert_cpu::strided::store(&values, &x.out());
    let place = Tensor::of(&[0.0], &[1], DType::I64);
    rank(x.view(), 0, Rank::At(100_000), place.out()).unwrap();
    let mut sorted = values.clone();
    sorted.sort();
    assert_eq!(values[place.values()[0] as usize], sorted[100_000]);
    assert!(rank(x.view(), 0, Rank::Median, x.out()).is_err());
}

#[test]
fn integers_far_apart_and_close_are_sorted_alike() {
    for (step, start) in [(1, 0), (1 << 20, -5), (1 << 45, i64::MIN / 2)] {
        for n in [600, 150_000] {
            let values: Vec<i64> =
                (0..n).map(|i| start + (i as u64 * 2_654_435_761 % 100_000 / 3) as i64 * step).collect();
            let x = Tensor::of(&vec![0.0; n], &[n], DType::I64);
            wengert_cpu::strided::store(&values, &x.out());
            for descending in [false, true] {
                let (v, i) = (Tensor::of(&vec![0.0; n], &[n], DType::I64), Tensor::of(&vec![0.0; n], &[n], DType::I64));
                sort(x.view(), 0, descending, v.out(), i.out()).unwrap();
                let mut order: Vec<usize> = (0..n).collect();
                order.sort_by_key(|&i| if descending { !values[i] } else { values[i] });
                let wanted: Vec<f64> = order.iter().map(|&i| i as f64).collect();
                assert_same(&i.values(), &wanted, &format!("{n} numbers {step} apart, descending {descending}"));
                let sorted: Vec<i64> = order.iter().map(|&i| values[i]).collect();
                assert_eq!(wengert_cpu::strided::load::<i64>(v.view()).unwrap(), sorted);
            }
        }
    }
}

fn check_search(rng: &mut Rng, rows: &[usize], count: usize, each: usize, dtype: DType) {
    let batched = rng.flip();
    let nan = dtype.is_float() && rng.flip();
    let mut shape = if batched { rows.to_vec() } else { vec![] };
    shape.push(count);
    let mut wanted_shape = rows.to_vec();
    wanted_shape.push(each);
    let unsorted = Tensor::random(rng, &shape, dtype, low(dtype), 6, nan, false).values();
    let sorted: Vec<f64> = unsorted
        .chunks(count.max(1))
        .flat_map(|row| {
            let mut row = row.to_vec();
            row.sort_by(|&a, &b| compare(a, b));
            row
        })
        .collect();
    let sequences = Tensor::of(&sorted, &shape, dtype);
    let values = Tensor::random(rng, &wanted_shape, dtype, low(dtype), 7, nan, false);
    let out = Tensor::of(&vec![-1.0; wanted_shape.iter().product()], &wanted_shape, DType::I64);
    let right = rng.flip();
    search(sequences.view(), values.view(), right, out.out()).unwrap();
    let wanted: Vec<f64> = values
        .values()
        .iter()
        .enumerate()
        .map(|(i, &v)| {
            let row = if batched { i / each } else { 0 };
            let before = |found: &&f64| match compare(**found, v) {
                Ordering::Less => true,
                Ordering::Equal => right,
                Ordering::Greater => false,
            };
            sorted[row * count..(row + 1) * count].iter().filter(before).count() as f64
        })
        .collect();
    assert_same(&out.values(), &wanted, &format!("{dtype} {wanted_shape:?} in {shape:?}, right {right}, NaN {nan}"));
}

#[test]
fn searches_agree_with_counting() {
    let rng = &mut Rng(23);
    for round in 0..1500 {
        let (count, each) = (rng.below(40), rng.below(50));
        let rows: Vec<usize> = (0..rng.below(3)).map(|_| rng.below(4)).collect();
        check_search(rng, &rows, count, each, DType::ALL[round % 10]);
    }
    check_search(rng, &[], 1000, 70_001, DType::F32);
    check_search(rng, &[301], 129, 257, DType::F64);
    check_search(rng, &[301], 128, 257, DType::I64);
}

#[test]
fn counts_agree_with_naive_loops() {
    let rng = &mut Rng(24);
    for (round, dtype) in DType::ALL.into_iter().filter(|d| d.is_int()).cycle().take(600).enumerate() {
        // Now and then many in several parts, and counters that are too many for one set a part.
        let n = if round % 60 == 0 { 150_001 } else { rng.below(3000) };
        let high = if rng.flip() { 6 } else { 120 };
        let x = Tensor::random(rng, &[n], dtype, 0, high, false, false);
        let least = rng.below(20);
        let counts = count(x.view(), least).unwrap().unwrap();
        let values = x.values();
        let size = values.iter().fold(0.0f64, |a, &b| a.max(b + 1.0)) as usize;
        let mut wanted = vec![0i64; size.max(least)];
        values.iter().for_each(|&v| wanted[v as usize] += 1);
        assert_eq!(counts, wanted, "{dtype} {n}");
    }
    let below = Tensor::of(&[3.0, -1.0], &[2], DType::I64);
    assert!(count(below.view(), 0).unwrap().is_none());
}
