//! Small arrays for the kernel tests: a buffer with a layout and a dtype.
#![allow(dead_code)]

use wengert_cpu::strided::{load, store, Number};
use wengert_cpu::Buffer;
use wengert_ops::{DType, Dims, Layout, Strides, View, ViewMut};

pub struct Array {
    pub buffer: Buffer,
    pub layout: Layout,
    pub dtype: DType,
}

impl Array {
    pub fn zeros(dtype: DType, shape: &[usize]) -> Array {
        let layout = Layout::contiguous(shape);
        let buffer = Buffer::from_bytes(&vec![0; layout.numel() * dtype.size()]).unwrap();
        Array { buffer, layout, dtype }
    }

    /// Contiguous, converted to the dtype.
    pub fn of<A: Number>(dtype: DType, shape: &[usize], values: &[A]) -> Array {
        let array = Array::zeros(dtype, shape);
        store(values, &array.out());
        array
    }

    pub fn f64(shape: &[usize], values: &[f64]) -> Array {
        Array::of(DType::F64, shape, values)
    }

    /// Reproducible numbers in [−1, 1) on a grid that every float type holds exactly enough.
    pub fn noise(dtype: DType, shape: &[usize], seed: u64) -> Array {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let values: Vec<f64> = (0..shape.iter().product())
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let unit = ((state >> 40) as f64 / (1u64 << 24) as f64) * 2.0 - 1.0;
                if dtype.is_float() {
                    (unit * 64.0).round() / 64.0
                } else {
                    (unit * 9.0).round()
                }
            })
            .collect();
        Array::of(dtype, shape, &values)
    }

    /// The same logical elements with the dims stored in another order and a gap between elements.
    pub fn restride(&self, order: &[usize], gap: usize) -> Array {
        let shape = self.layout.shape();
        let mut strides: Strides = Strides::from_elem(0, shape.len());
        let mut step = gap as isize;
        for &d in order.iter().rev() {
            strides[d] = step;
            step *= shape[d].max(1) as isize;
        }
        let layout = Layout::strided(Dims::from_slice(shape), strides, 3);
        let buffer = Buffer::from_bytes(&vec![0xff; (step as usize + 3 + gap) * self.dtype.size()]).unwrap();
        let array = Array { buffer, layout, dtype: self.dtype };
        if self.dtype.is_float() {
            store(&self.f64s(), &array.out());
        } else {
            store(&self.i64s(), &array.out());
        }
        array
    }

    pub fn view(&self) -> View<'_, Buffer> {
        View { buffer: &self.buffer, layout: &self.layout, dtype: self.dtype }
    }

    pub fn out(&self) -> ViewMut<'_, Buffer> {
        // SAFETY: tests run a kernel at a time on arrays of their own, whose layouts do not overlap themselves.
        unsafe { ViewMut::new(&self.buffer, &self.layout, self.dtype) }
    }

    /// The same buffer under another layout.
    pub fn under<'a>(&'a self, layout: &'a Layout) -> View<'a, Buffer> {
        View { buffer: &self.buffer, layout, dtype: self.dtype }
    }

    pub fn f64s(&self) -> Vec<f64> {
        load(self.view()).unwrap()
    }

    pub fn i64s(&self) -> Vec<i64> {
        load(self.view()).unwrap()
    }
}

/// The largest difference, relative to the largest magnitude (at least 1). NaN must meet NaN.
#[track_caller]
pub fn close(got: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(got.len(), wanted.len());
    let scale = wanted.iter().filter(|v| v.is_finite()).fold(1.0f64, |s, v| s.max(v.abs()));
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        let same = g == w || g.is_nan() && w.is_nan() || (g - w).abs() <= tolerance * scale;
        assert!(same, "element {i}: got {g}, wanted {w} (tolerance {tolerance} of {scale})");
    }
}

/// Tolerance for sums of a few hundred products.
pub fn tolerance(dtype: DType) -> f64 {
    dtype.finfo().map_or(0.0, |f| 8.0 * f.eps)
}

/// Central differences of `Σ g · f(x)`.
pub fn slope(x: &[f64], g: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let h = 1e-6;
    let value = |x: &[f64]| f(x).iter().zip(g).map(|(y, g)| y * g).sum::<f64>();
    (0..x.len())
        .map(|i| {
            let (mut up, mut down) = (x.to_vec(), x.to_vec());
            (up[i], down[i]) = (x[i] + h, x[i] - h);
            (value(&up) - value(&down)) / (2.0 * h)
        })
        .collect()
}
