//! Convolution in its three roles and max pooling, against plain loops.

mod arrays;

use arrays::{close, tolerance, Array};
use wengert_cpu::conv::conv;
use wengert_cpu::pool::max_pool;
use wengert_ops::{ConvRole, ConvSpec, DType, Dims, PoolSpec};

/// Everything brought to three spatial dims: calls `f(x position, w position, y position)` for every product.
fn products(spec: &ConvSpec, y_shape: &[usize], mut f: impl FnMut(usize, usize, usize)) {
    let lift = |s: &[usize], fill: usize| -> Vec<usize> { [&vec![fill; 3 - s.len()][..], s].concat() };
    let (x, w, y) = (lift(&spec.x_shape[2..], 1), lift(&spec.w_shape[2..], 1), lift(&y_shape[2..], 1));
    let (stride, padding, dilation) = (lift(&spec.stride, 1), lift(&spec.padding, 0), lift(&spec.dilation, 1));
    let (c, o) = (spec.w_shape[1], spec.w_shape[0] / spec.groups);
    for n in 0..spec.x_shape[0] {
        for oc in 0..spec.w_shape[0] {
            for ic in 0..c {
                for py in 0..y.iter().product() {
                    for pw in 0..w.iter().product() {
                        let at = |p: usize, s: &[usize]| [p / (s[1] * s[2]), p / s[2] % s[1], p % s[2]];
                        let (ay, aw) = (at(py, &y), at(pw, &w));
                        let ax: [Option<usize>; 3] = std::array::from_fn(|d| {
                            (ay[d] * stride[d] + aw[d] * dilation[d]).checked_sub(padding[d]).filter(|&p| p < x[d])
                        });
                        let [Some(a), Some(b), Some(e)] = ax else { continue };
                        let px = (a * x[1] + b) * x[2] + e;
                        let channel = n * spec.x_shape[1] + oc / o * c + ic;
                        f(
                            channel * x.iter().product::<usize>() + px,
                            (oc * c + ic) * w.iter().product::<usize>() + pw,
                            (n * spec.w_shape[0] + oc) * y.iter().product::<usize>() + py,
                        );
                    }
                }
            }
        }
    }
}

fn check(
    dtype: DType,
    x: &[usize],
    w: &[usize],
    stride: &[usize],
    padding: &[usize],
    dilation: &[usize],
    groups: usize,
) {
    let spec = ConvSpec {
        stride: Dims::from_slice(stride),
        padding: Dims::from_slice(padding),
        dilation: Dims::from_slice(dilation),
        groups,
        x_shape: Dims::from_slice(x),
        w_shape: Dims::from_slice(w),
    };
    let mut y = vec![x[0], w[0]];
    for d in 0..stride.len() {
        y.push((x[d + 2] + 2 * padding[d] - dilation[d] * (w[d + 2] - 1) - 1) / stride[d] + 1);
    }
    let (ax, aw, ay) = (Array::noise(dtype, x, 1), Array::noise(dtype, w, 2), Array::noise(dtype, &y, 3));
    let (vx, vw, vy) = (ax.f64s(), aw.f64s(), ay.f64s());
    let (mut wy, mut wx, mut ww) = (vec![0.0; vy.len()], vec![0.0; vx.len()], vec![0.0; vw.len()]);
    products(&spec, &y, |i, j, k| {
        wy[k] += vx[i] * vw[j];
        wx[i] += vy[k] * vw[j];
        ww[j] += vx[i] * vy[k];
    });
    let turned: Vec<usize> = (0..x.len()).rev().collect();
    for (role, a, b, shape, wanted) in [
        (ConvRole::Forward, &ax, &aw, &y[..], wy),
        (ConvRole::Input, &ay, &aw, x, wx),
        (ConvRole::Weight, &ay, &ax, w, ww),
    ] {
        for (a, b) in [(a.view(), b.view()), (a.restride(&turned, 1).view(), b.restride(&turned, 2).view())] {
            let out = Array::of(dtype, shape, &vec![5.0f64; wanted.len()]);
            conv(role, &spec, a, b, out.out()).unwrap();
            close(&out.f64s(), &wanted, tolerance(dtype));
        }
    }
}

#[test]
fn all_roles_over_dims_strides_padding_dilation_and_groups() {
    for dtype in [DType::F32, DType::F64] {
        check(dtype, &[2, 3, 7], &[4, 3, 3], &[1], &[0], &[1], 1);
        check(dtype, &[2, 4, 9], &[6, 2, 3], &[2], &[2], &[2], 2);
        check(dtype, &[2, 3, 7, 5], &[4, 3, 3, 2], &[1, 1], &[1, 1], &[1, 1], 1);
        check(dtype, &[1, 4, 8, 9], &[8, 1, 3, 3], &[2, 3], &[1, 2], &[2, 1], 4);
        check(dtype, &[3, 2, 5, 6], &[5, 2, 1, 1], &[1, 1], &[0, 0], &[1, 1], 1);
        check(dtype, &[2, 2, 4, 5, 6], &[3, 2, 2, 3, 2], &[1, 2, 1], &[0, 1, 1], &[1, 1, 2], 1);
        check(dtype, &[2, 2, 3], &[2, 2, 2], &[1], &[4], &[3], 1);
    }
    check(DType::F16, &[2, 3, 6, 5], &[4, 3, 3, 3], &[1, 1], &[1, 1], &[1, 1], 1);
    check(DType::BF16, &[2, 3, 6], &[4, 3, 3], &[1], &[1], &[1], 1);
    check(DType::I16, &[2, 4, 6, 5], &[4, 2, 3, 3], &[2, 1], &[1, 0], &[1, 2], 2);
    check(DType::I64, &[2, 8, 20, 20], &[8, 8, 3, 3], &[1, 1], &[1, 1], &[1, 1], 1);
}

#[test]
fn integers_wrap_to_their_width() {
    let spec = ConvSpec {
        stride: Dims::from_slice(&[1]),
        padding: Dims::from_slice(&[0]),
        dilation: Dims::from_slice(&[1]),
        groups: 1,
        x_shape: Dims::from_slice(&[1, 1, 2]),
        w_shape: Dims::from_slice(&[1, 1, 2]),
    };
    let (x, w) = (Array::of(DType::I8, &[1, 1, 2], &[100i64, 100]), Array::of(DType::I8, &[1, 1, 2], &[100i64, 3]));
    let y = Array::zeros(DType::I8, &[1, 1, 1]);
    conv(ConvRole::Forward, &spec, x.view(), w.view(), y.out()).unwrap();
    assert_eq!(y.i64s(), [10300 - 40 * 256]);
}

#[test]
fn windows_that_are_read_where_they_lie() {
    for dtype in [DType::F32, DType::F64] {
        check(dtype, &[2, 3, 70], &[13, 3, 5], &[1], &[4], &[2], 1);
        check(dtype, &[2, 6, 9, 33], &[4, 3, 3, 2], &[1, 1], &[0, 1], &[1, 3], 2);
        check(dtype, &[2, 2, 4, 5, 17], &[3, 2, 2, 3, 2], &[1, 1, 1], &[1, 0, 1], &[1, 2, 1], 1);
        check(dtype, &[1, 6, 30, 16], &[6, 1, 3, 3], &[1, 1], &[1, 1], &[1, 1], 6);
        check(dtype, &[2, 4, 7, 5], &[8, 1, 3, 3], &[1, 1], &[2, 0], &[1, 1], 4);
    }
    // Shared out by images, by lines, and by examples for the weight's gradient.
    check(DType::F32, &[9, 8, 16, 31], &[16, 8, 3, 3], &[1, 1], &[1, 1], &[1, 1], 1);
    check(DType::F32, &[1, 16, 50, 40], &[24, 16, 3, 3], &[1, 1], &[1, 1], &[1, 1], 1);
}

#[test]
fn threads_and_several_blocks_of_lines() {
    check(DType::F32, &[3, 8, 80, 80], &[8, 8, 5, 5], &[2, 2], &[2, 2], &[1, 1], 1);
    check(DType::F64, &[1, 16, 120, 100], &[8, 16, 3, 3], &[2, 2], &[1, 1], &[1, 1], 1);
    check(DType::F32, &[3, 8, 40, 40], &[8, 8, 5, 5], &[1, 1], &[2, 2], &[1, 1], 1);
    check(DType::F64, &[1, 16, 60, 50], &[8, 16, 3, 3], &[1, 1], &[1, 1], &[1, 1], 1);
    check(DType::F32, &[2, 16, 70, 70], &[16, 16, 1, 1], &[1, 1], &[0, 0], &[1, 1], 1);
}

#[test]
fn windows_that_are_packed_for_products() {
    for dtype in [DType::F32, DType::F64] {
        // Images shorter than registers, several blocks of rows and of the depth.
        check(dtype, &[4, 120, 7, 7], &[130, 120, 3, 3], &[1, 1], &[1, 1], &[1, 1], 1);
        check(dtype, &[1, 65, 1, 7], &[64, 65, 1, 3], &[1, 1], &[0, 1], &[1, 1], 1);
        check(dtype, &[3, 64, 65], &[130, 64, 3], &[1], &[1], &[1], 1);
        check(dtype, &[2, 64, 63], &[33, 64, 4], &[1], &[3], &[2], 1);
        // Strides: remainders of input positions with many taps, few and none.
        check(dtype, &[3, 17, 9, 11], &[33, 17, 3, 3], &[2, 2], &[1, 1], &[1, 1], 1);
        check(dtype, &[2, 24, 10, 9], &[16, 24, 4, 4], &[2, 2], &[1, 1], &[1, 1], 1);
        check(dtype, &[4, 32, 24, 25], &[64, 16, 3, 2], &[3, 2], &[2, 1], &[2, 3], 2);
        check(dtype, &[4, 12, 21, 19], &[16, 12, 1, 2], &[2, 3], &[0, 1], &[1, 1], 1);
        check(dtype, &[2, 20, 15, 17], &[24, 20, 1, 1], &[2, 2], &[0, 0], &[1, 1], 1);
        check(dtype, &[2, 20, 15, 17], &[24, 20, 1, 1], &[3, 2], &[1, 1], &[1, 1], 1);
        check(dtype, &[2, 16, 9, 9], &[16, 16, 2, 2], &[1, 1], &[3, 4], &[1, 1], 1);
        check(dtype, &[2, 8, 6, 7, 9], &[16, 8, 3, 2, 3], &[1, 2, 2], &[1, 0, 1], &[1, 1, 1], 1);
        check(dtype, &[2, 16, 5, 6, 7], &[16, 16, 1, 3, 3], &[2, 1, 1], &[0, 1, 1], &[1, 1, 2], 1);
    }
    check(DType::F16, &[2, 16, 7, 7], &[16, 16, 3, 3], &[1, 1], &[1, 1], &[1, 1], 1);
    // More columns than a block has, and than a product takes at once.
    check(DType::F32, &[9, 4, 40, 40], &[32, 4, 5, 5], &[2, 2], &[2, 2], &[1, 1], 1);
    check(DType::F32, &[3, 4, 160, 160], &[8, 4, 3, 3], &[2, 2], &[1, 1], &[1, 1], 1);
    check(DType::F32, &[1, 40, 9, 7], &[1030, 40, 1, 1], &[1, 1], &[0, 0], &[1, 1], 1);
}

#[test]
fn padding_of_infinite_weights_and_values_apart() {
    // What lies beside a run in memory must not reach it: one image of NaN and infinity leaves the others alone.
    let (n, c, o, side) = (4, 16, 32, 7);
    let mut values: Vec<f64> = (0..n * c * side * side).map(|i| (i % 7) as f64 - 3.0).collect();
    let (x_shape, w_shape) = ([n, c, side, side], [o, c, 3, 3]);
    let spec = ConvSpec {
        stride: Dims::from_slice(&[1, 1]),
        padding: Dims::from_slice(&[1, 1]),
        dilation: Dims::from_slice(&[1, 1]),
        groups: 1,
        x_shape: Dims::from_slice(&x_shape),
        w_shape: Dims::from_slice(&w_shape),
    };
    let w = Array::noise(DType::F32, &w_shape, 2);
    let forward = |values: &[f64]| {
        let y = Array::zeros(DType::F32, &[n, o, side, side]);
        conv(ConvRole::Forward, &spec, Array::of(DType::F32, &x_shape, values).view(), w.view(), y.out()).unwrap();
        y.f64s()
    };
    let clean = forward(&values);
    let image = c * side * side;
    values[image..2 * image].fill(f64::NAN);
    values[3 * image..].fill(f64::INFINITY);
    let found = forward(&values);
    let image = o * side * side;
    assert_eq!(found[..image], clean[..image]);
    assert_eq!(found[2 * image..3 * image], clean[2 * image..3 * image]);
    assert!(found[image..2 * image].iter().all(|v| v.is_nan()));
    assert!(found[3 * image..].iter().all(|v| !v.is_finite()));
}

#[test]
fn empty_batches_and_misfits() {
    let shape = |v: &[usize]| Dims::from_slice(v);
    let spec = |x: &[usize], w: &[usize]| ConvSpec {
        stride: shape(&[1]),
        padding: shape(&[0]),
        dilation: shape(&[1]),
        groups: 1,
        x_shape: shape(x),
        w_shape: shape(w),
    };
    let (x, w, y) = (
        Array::zeros(DType::F32, &[0, 2, 5]),
        Array::noise(DType::F32, &[3, 2, 2], 1),
        Array::zeros(DType::F32, &[0, 3, 4]),
    );
    let s = spec(&[0, 2, 5], &[3, 2, 2]);
    conv(ConvRole::Forward, &s, x.view(), w.view(), y.out()).unwrap();
    let gw = Array::noise(DType::F32, &[3, 2, 2], 2);
    conv(ConvRole::Weight, &s, y.view(), x.view(), gw.out()).unwrap();
    assert_eq!(gw.f64s(), [0.0; 12]);
    let error = conv(ConvRole::Forward, &spec(&[1, 2, 1], &[3, 2, 2]), x.view(), w.view(), y.out()).unwrap_err();
    assert!(error.message().contains("Kernel size can't be greater than actual input size"));
}

fn pool(x: &Array, out: &[usize], spec: [&[usize]; 4]) -> (Vec<f64>, Vec<i64>) {
    let [kernel, stride, padding, dilation] = spec.map(Dims::from_slice);
    let (y, at) = (Array::zeros(x.dtype, out), Array::zeros(DType::I64, out));
    max_pool(&PoolSpec { kernel, stride, padding, dilation, ceil_mode: false }, x.view(), y.out(), at.out()).unwrap();
    (y.f64s(), at.i64s())
}

#[test]
fn max_pooling_agrees_with_plain_loops() {
    for dtype in [DType::F32, DType::F64, DType::BF16, DType::I32] {
        // The last window of each dim reaches beyond the input, as ceil_mode allows.
        let (shape, out) = ([2, 3, 8, 7], [2, 3, 4, 4]);
        let ([kh, kw], [sh, sw], [ph, pw], [dh, dw]) = ([3, 2], [2, 2], [1, 0], [1, 2]);
        let x = Array::noise(dtype, &shape, 7);
        let v = x.f64s();
        let (mut wanted, mut places) = (vec![], vec![]);
        for plane in 0..6 {
            for p in 0..16 {
                let mut best = (f64::NEG_INFINITY, -1);
                for t in 0..kh * kw {
                    let r = (p / 4 * sh + t / kw * dh) as isize - ph;
                    let c = (p % 4 * sw + t % kw * dw) as isize - pw;
                    if (0..8).contains(&r) && (0..7).contains(&c) {
                        let at = r * 7 + c;
                        let value = v[plane * 56 + at as usize];
                        if value > best.0 {
                            best = (value, at as i64);
                        }
                    }
                }
                wanted.push(best.0);
                places.push(best.1);
            }
        }
        let spec = [&[kh, kw][..], &[sh, sw], &[ph as usize, pw as usize], &[dh, dw]];
        for x in [&x, &x.restride(&[3, 1, 0, 2], 2)] {
            assert_eq!(pool(x, &out, spec), (wanted.clone(), places.clone()), "{dtype}");
        }
    }
}

#[test]
fn max_pooling_of_long_lines() {
    for (width, kernel, stride, padding, dilation) in
        [(200, 2, 2, 0, 1), (67, 3, 2, 1, 1), (131, 3, 1, 1, 2), (140, 4, 3, 2, 1), (64, 2, 1, 0, 1), (129, 2, 2, 1, 3)]
    {
        let out = (width + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
        for dtype in [DType::F32, DType::F64, DType::F16, DType::I64] {
            let mut x = Array::noise(dtype, &[2, width], 9);
            if dtype == DType::F32 {
                let mut values = x.f64s();
                for at in [0, 5, 6, 40, width, 2 * width - 1] {
                    values[at] = f64::NAN;
                }
                values[50..56].fill(f64::NEG_INFINITY);
                x = Array::of(dtype, &[2, width], &values);
            }
            let values = x.f64s();
            let (mut tops, mut places) = (vec![], vec![]);
            for (row, o) in (0..2).flat_map(|row| (0..out).map(move |o| (row, o))) {
                let inside = (0..kernel).filter_map(|k| (o * stride + k * dilation).checked_sub(padding));
                let best = inside.filter(|&at| at < width).reduce(|best, at| {
                    let (v, top) = (values[row * width + at], values[row * width + best]);
                    if v > top || v.is_nan() {
                        at
                    } else {
                        best
                    }
                });
                let best = best.unwrap();
                tops.push(values[row * width + best]);
                places.push(best as i64);
            }
            let spec = [&[kernel][..], &[stride], &[padding], &[dilation]];
            let (found, at) = pool(&x, &[2, out], spec);
            close(&found, &tops, 0.0);
            assert_eq!(at, places, "{dtype} {width} {kernel} {stride} {padding} {dilation}");
        }
    }
}

#[test]
fn max_pooling_of_nan_infinity_and_padding() {
    let x = Array::f64(&[1, 6], &[1.0, f64::NAN, 2.0, f64::NEG_INFINITY, f64::NEG_INFINITY, -5.0]);
    let (y, at) = pool(&x, &[1, 3], [&[2], &[2], &[0], &[1]]);
    close(&y, &[f64::NAN, 2.0, -5.0], 0.0);
    assert_eq!(at, [1, 2, 5]);
    let x = Array::f64(&[1, 2], &[f64::NEG_INFINITY; 2]);
    assert_eq!(pool(&x, &[1, 2], [&[2], &[2], &[1], &[1]]), (vec![f64::NEG_INFINITY; 2], vec![0, 1]));
    let (y, at) = (Array::zeros(DType::F64, &[1, 3]), Array::zeros(DType::I64, &[1, 3]));
    let one = Dims::from_slice(&[1]);
    let spec =
        PoolSpec { kernel: one.clone(), stride: one.clone(), padding: one.clone(), dilation: one, ceil_mode: false };
    let error = max_pool(&spec, Array::f64(&[1, 1], &[1.0]).view(), y.out(), at.out()).unwrap_err();
    assert!(error.message().contains("padding should be at most half"));
}
