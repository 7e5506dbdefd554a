//! Gather, scatter, advanced indexing and nonzero against naive loops, over random layouts and every dtype.

mod common;
use common::*;
use wengert_cpu::indexing::{gather, index, index_put, nonzero, scatter};
use wengert_ops::{DType, ErrorKind, ScatterMode};

/// No zero sizes where something must be pointed at.
fn solid(rng: &mut Rng, min_rank: usize, max_rank: usize) -> Vec<usize> {
    loop {
        let shape = rng.shape(max_rank);
        if shape.len() >= min_rank && !shape.contains(&0) {
            return shape;
        }
    }
}

fn low(dtype: DType) -> i64 {
    if dtype.is_signed() {
        -9
    } else {
        0
    }
}

/// What a sum stores in a type: bools saturate, narrow values stay exact.
fn stored(dtype: DType, v: f64) -> f64 {
    match dtype {
        DType::Bool => (v != 0.0) as u8 as f64,
        DType::U8 => (v as i64 as u8) as f64,
        DType::I8 => (v as i64 as i8) as f64,
        DType::BF16 => half::bf16::from_f64(v).to_f64(),
        DType::F16 => half::f16::from_f64(v).to_f64(),
        _ => v,
    }
}

#[test]
fn gathers_agree_with_naive_loops() {
    let rng = &mut Rng(7);
    for round in 0..2000 {
        let dtype = DType::ALL[round % 10];
        let shape = solid(rng, 0, 4);
        let dim = rng.below(shape.len());
        let x = Tensor::random(rng, &shape, dtype, low(dtype), 9, dtype.is_float(), false);
        let mut picked: Vec<usize> = shape.iter().map(|&n| if rng.flip() { n } else { rng.below(n + 1) }).collect();
        if let Some(n) = picked.get_mut(dim) {
            *n = rng.below(9);
        }
        let size = shape.get(dim).copied().unwrap_or(1);
        let picks = Tensor::random(rng, &picked, DType::I64, 0, size as i64, false, false);
        let out = Tensor::new(rng, &picked, dtype, true);
        gather(x.view(), dim, picks.view(), out.out()).unwrap();
        let (data, at_dim) = (x.values(), picks.values());
        let wanted: Vec<f64> = (0..at_dim.len())
            .map(|i| {
                let mut at = coordinates(i, &picked);
                if let Some(c) = at.get_mut(dim) {
                    *c = at_dim[i] as usize;
                }
                data[linear(&at, &shape)]
            })
            .collect();
        assert_same(&out.values(), &wanted, &format!("gather {dtype} {:?} along {dim}", x.layout));
    }
}

fn check_scatter(rng: &mut Rng, shape: &[usize], picked: &[usize], dtype: DType, dim: usize) {
    let mode = if rng.flip() { ScatterMode::Set } else { ScatterMode::Add };
    let out = Tensor::random(rng, shape, dtype, 0, 5, false, true);
    let size = shape.get(dim).copied().unwrap_or(1);
    let picks = Tensor::random(rng, picked, DType::I64, 0, size as i64, false, false);
    let larger: Vec<usize> = picked.iter().map(|n| n + rng.below(3)).collect();
    let src = Tensor::random(rng, &larger, dtype, 0, 4, false, false);
    let mut wanted = out.values();
    scatter(mode, dim, picks.view(), src.view(), out.out()).unwrap();
    let (at_dim, source) = (picks.values(), src.values());
    for (i, pick) in at_dim.iter().enumerate() {
        let mut at = coordinates(i, picked);
        let v = source[linear(&at, &larger)];
        if let Some(c) = at.get_mut(dim) {
            *c = *pick as usize;
        }
        let slot = &mut wanted[linear(&at, shape)];
        *slot = stored(dtype, if mode == ScatterMode::Add { *slot + v } else { v });
    }
    assert_same(&out.values(), &wanted, &format!("scatter {mode:?} {dtype} {:?} along {dim}", out.layout));
}

#[test]
fn scatters_agree_with_naive_loops() {
    let rng = &mut Rng(8);
    for round in 0..2000 {
        let shape = solid(rng, 0, 4);
        let dim = rng.below(shape.len());
        let mut picked: Vec<usize> = shape.iter().map(|&n| if rng.flip() { n } else { rng.below(n + 1) }).collect();
        if let Some(n) = picked.get_mut(dim) {
            *n = rng.below(9);
        }
        check_scatter(rng, &shape, &picked, DType::ALL[round % 10], dim);
    }
    for _ in 0..4 {
        check_scatter(rng, &[300, 400], &[500, 400], DType::F32, 0);
        check_scatter(rng, &[300, 400], &[300, 700], DType::I32, 1);
    }
}

/// Random dims of `shape` with index tensors of one shape, some indices negative.
fn random_indices(rng: &mut Rng, shape: &[usize]) -> (u64, Vec<Tensor>, Vec<usize>) {
    let mut dims = 0;
    while dims == 0 {
        dims = rng.next() & ((1 << shape.len()) - 1);
    }
    let tuple = rng.shape(2);
    let indices = (0..shape.len())
        .filter(|d| dims >> d & 1 == 1)
        .map(|d| Tensor::random(rng, &tuple, DType::I64, -(shape[d] as i64), shape[d] as i64, false, false))
        .collect();
    (dims, indices, tuple)
}

/// The indexed shape, and for each of its elements the row-major index into x.
fn naive_index(shape: &[usize], dims: u64, indices: &[Tensor], tuple: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let named: Vec<usize> = (0..shape.len()).filter(|d| dims >> d & 1 == 1).collect();
    let rest: Vec<usize> = (0..shape.len()).filter(|d| dims >> d & 1 == 0).collect();
    let adjacent = named.windows(2).all(|w| w[1] == w[0] + 1);
    let lead = if adjacent { named[0] } else { 0 };
    let mut result: Vec<usize> = rest[..lead].iter().map(|&d| shape[d]).collect();
    result.extend(tuple);
    result.extend(rest[lead..].iter().map(|&d| shape[d]));
    let picks: Vec<Vec<f64>> = indices.iter().map(|i| i.values()).collect();
    let sources = (0..result.iter().product())
        .map(|i| {
            let at = coordinates(i, &result);
            let t = linear(&at[lead..lead + tuple.len()], tuple);
            let mut x = vec![0; shape.len()];
            for (k, &d) in rest.iter().enumerate() {
                x[d] = at[if k < lead { k } else { k + tuple.len() }];
            }
            for (k, &d) in named.iter().enumerate() {
                let i = picks[k][t];
                x[d] = if i < 0.0 { (i + shape[d] as f64) as usize } else { i as usize };
            }
            linear(&x, shape)
        })
        .collect();
    (result, sources)
}

fn check_index(rng: &mut Rng, shape: &[usize], dtype: DType, given: Option<(u64, Vec<Tensor>, Vec<usize>)>) {
    let (dims, indices, tuple) = given.unwrap_or_else(|| random_indices(rng, shape));
    let views: Vec<_> = indices.iter().map(|i| i.view()).collect();
    let (result, sources) = naive_index(shape, dims, &indices, &tuple);
    let what = format!("{dtype} {shape:?} at {dims:b} by {tuple:?}");

    let x = Tensor::random(rng, shape, dtype, low(dtype), 9, dtype.is_float(), false);
    let out = Tensor::new(rng, &result, dtype, true);
    index(x.view(), dims, &views, out.out()).unwrap();
    let data = x.values();
    assert_same(&out.values(), &sources.iter().map(|&s| data[s]).collect::<Vec<_>>(), &what);

    let accumulate = rng.flip();
    let base = Tensor::random(rng, shape, dtype, 0, 5, false, true);
    let values = Tensor::random(rng, &result, dtype, 0, 4, false, false);
    let mut wanted = base.values();
    index_put(dims, &views, values.view(), accumulate, base.out()).unwrap();
    for (s, v) in sources.into_iter().zip(values.values()) {
        wanted[s] = stored(dtype, if accumulate { wanted[s] + v } else { v });
    }
    assert_same(&base.values(), &wanted, &format!("put into {what}, accumulate {accumulate}"));
}

#[test]
fn advanced_indexing_agrees_with_naive_loops() {
    let rng = &mut Rng(9);
    for round in 0..2500 {
        let shape = solid(rng, 1, 4);
        check_index(rng, &shape, DType::ALL[round % 10], None);
    }
}

#[test]
fn large_tables_are_shared_out() {
    let rng = &mut Rng(10);
    for shape in [vec![50, 300], vec![3, 50, 300], vec![200_000], vec![40, 20, 5, 30]] {
        for dtype in [DType::Bool, DType::F32, DType::I64] {
            let d = if shape.len() == 3 { 1 } else { 0 };
            let n = shape[d] as i64;
            let tuple = vec![40, 30];
            let picks = Tensor::random(rng, &tuple, DType::I64, -n, n, false, false);
            check_index(rng, &shape, dtype, Some((1 << d, vec![picks], tuple)));
        }
    }
}

#[test]
fn bad_indices_change_nothing() {
    let picks = Tensor::of(&[0.0, 1.0, 5.0], &[3], DType::I64);
    let below = Tensor::of(&[0.0, -4.0], &[2], DType::I64);
    let base = Tensor::of(&[1.0, 2.0, 3.0], &[3], DType::F32);
    let src = Tensor::of(&[9.0, 9.0, 9.0], &[3], DType::F32);
    let before = base.bytes();
    let wanted = "index 5 is out of bounds for dimension 0 with size 3";
    for accumulate in [false, true] {
        let error = index_put(1, &[picks.view()], src.view(), accumulate, base.out()).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Index, wanted));
    }
    for mode in [ScatterMode::Set, ScatterMode::Add] {
        assert_eq!(scatter(mode, 0, picks.view(), src.view(), base.out()).unwrap_err().message(), wanted);
        // Unlike indexing, these take no negative indices.
        let error = scatter(mode, 0, below.view(), src.view(), base.out()).unwrap_err();
        assert_eq!(error.message(), "index -4 is out of bounds for dimension 0 with size 3");
    }
    assert_eq!(gather(src.view(), 0, picks.view(), base.out()).unwrap_err().message(), wanted);
    assert_eq!(index(src.view(), 1, &[picks.view()], base.out()).unwrap_err().message(), wanted);
    let two = Tensor::of(&[0.0; 2], &[2], DType::F32);
    assert_eq!(
        index(src.view(), 1, &[below.view()], two.out()).unwrap_err().message(),
        "index -4 is out of bounds for dimension 0 with size 3"
    );
    assert_eq!(base.bytes(), before);
}

#[test]
fn dtypes_and_shapes_that_do_not_fit_are_errors() {
    let x = Tensor::of(&[1.0; 6], &[2, 3], DType::F32);
    let wide = Tensor::of(&[0.0; 4], &[1, 4], DType::I64);
    let out = Tensor::of(&[0.0; 4], &[1, 4], DType::F32);
    assert!(gather(x.view(), 0, wide.view(), out.out()).unwrap_err().message().contains("no larger than input [2, 3]"));
    let int = Tensor::of(&[0.0; 4], &[1, 4], DType::I32);
    assert_eq!(gather(x.view(), 1, int.view(), out.out()).unwrap_err().kind(), ErrorKind::Type);
    let double = Tensor::of(&[0.0; 4], &[1, 4], DType::F64);
    assert!(scatter(ScatterMode::Add, 1, wide.view(), double.view(), x.out())
        .unwrap_err()
        .message()
        .contains("src.dtype"));
    let short = Tensor::of(&[0.0; 3], &[1, 3], DType::F32);
    assert!(scatter(ScatterMode::Add, 1, wide.view(), short.view(), x.out())
        .unwrap_err()
        .message()
        .contains("src [1, 3]"));
    let pick = Tensor::of(&[0.0], &[1], DType::I64);
    assert!(index_put(1, &[pick.view()], double.view(), false, x.out()).unwrap_err().message().contains("got Float"));
    assert!(index_put(1, &[pick.view()], out.view(), false, x.out()).unwrap_err().message().contains("[1, 3]"));
}

#[test]
fn nonzero_lists_coordinates_in_order() {
    let rng = &mut Rng(11);
    for round in 0..1500 {
        let shape = rng.shape(4);
        let dtype = DType::ALL[round % 10];
        let x = Tensor::random(rng, &shape, dtype, 0, 2, dtype.is_float(), false);
        let (buffer, count) = nonzero(x.view()).unwrap();
        let wanted: Vec<i64> = x
            .values()
            .iter()
            .enumerate()
            .filter(|(_, v)| **v != 0.0)
            .flat_map(|(i, _)| coordinates(i, &shape).into_iter().map(|c| c as i64))
            .collect();
        assert_eq!(count, x.values().iter().filter(|v| **v != 0.0).count());
        // SAFETY: the buffer is fresh and holds i64.
        assert_eq!(unsafe { &buffer.slice::<i64>()[..wanted.len()] }, &wanted[..], "{dtype} {:?}", x.layout);
    }
}

#[test]
fn many_nonzero_elements_are_shared_out() {
    let rng = &mut Rng(12);
    for (shape, low) in [(vec![300_001], 0), (vec![401, 700], 0), (vec![100_003, 3], -9), (vec![31, 100, 101], -1)] {
        for dtype in [DType::I64, DType::F32] {
            let x = Tensor::random(rng, &shape, dtype, low, 2, false, false);
            let dense = Tensor::of(&x.values(), &shape, dtype);
            let (buffer, count) = nonzero(dense.view()).unwrap();
            let values = dense.values();
            let found: Vec<usize> = (0..values.len()).filter(|&i| values[i] != 0.0).collect();
            let wanted: Vec<i64> = found.iter().flat_map(|&i| coordinates(i, &shape)).map(|c| c as i64).collect();
            assert_eq!(count, found.len());
            // SAFETY: the buffer is fresh and holds i64.
            assert!(unsafe { &buffer.slice::<i64>()[..wanted.len()] } == &wanted[..], "{dtype} {shape:?}");
        }
    }
}

#[test]
fn vectors_are_picked_from_in_parts() {
    let rng = &mut Rng(13);
    for (n, count) in [(7, 200_001), (100_000, 150_000), (1, 100)] {
        let x = Tensor::random(rng, &[n], DType::F32, -9, 9, false, false);
        let values = x.values();
        let picks: Vec<f64> = (0..count).map(|_| rng.below(2 * n) as f64 - n as f64).collect();
        let at = Tensor::of(&picks, &[count], DType::I64);
        let out = Tensor::of(&vec![0.0; count], &[count], DType::F32);
        index(x.view(), 1, &[at.view()], out.out()).unwrap();
        let wanted: Vec<f64> = picks.iter().map(|&i| values[if i < 0.0 { i + n as f64 } else { i } as usize]).collect();
        assert_same(&out.values(), &wanted, &format!("{count} of {n}"));
        for wrong in [n as f64, -1.0 - n as f64] {
            let mut picks = picks.clone();
            picks[count / 2] = wrong;
            let at = Tensor::of(&picks, &[count], DType::I64);
            let error = index(x.view(), 1, &[at.view()], out.out()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Index, "{error}");
        }
    }
}

#[test]
fn columns_are_picked_in_parts() {
    let rng = &mut Rng(14);
    for (rows, columns, count) in [(700, 20, 301), (3, 50, 100_000), (9, 4, 2)] {
        let x = Tensor::random(rng, &[rows, columns], DType::I16, -9, 9, false, false);
        let (values, picks) = (x.values(), Tensor::random(rng, &[count], DType::I64, -4, 4, false, false));
        let out = Tensor::new(rng, &[rows, count], DType::I16, true);
        index(x.view(), 2, &[picks.view()], out.out()).unwrap();
        let picks: Vec<usize> = picks.values().iter().map(|&i| (i + columns as f64) as usize % columns).collect();
        let wanted: Vec<f64> =
            (0..rows).flat_map(|r| picks.iter().map(move |&i| (r, i))).map(|(r, i)| values[r * columns + i]).collect();
        assert_same(&out.values(), &wanted, &format!("{count} of {columns} in {rows} rows"));
    }
}
