//! Random tensors under random layouts, and their elements read one by one.
#![allow(dead_code)] // each test file uses its own part

use wengert_cpu::strided::{load, store};
use wengert_cpu::Buffer;
use wengert_ops::{DType, Dims, Layout, Strides, View, ViewMut};

/// A small deterministic generator (splitmix64).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    pub fn flip(&mut self) -> bool {
        self.next() & 1 == 1
    }
    /// Sizes with many ones, some zeros and now and then one that crosses the block sizes of kernels.
    pub fn shape(&mut self, max_rank: usize) -> Vec<usize> {
        let rank = self.below(max_rank + 1);
        let large = self.below(3 * rank.max(1));
        (0..rank)
            .map(|d| match self.below(16) {
                0 => 0,
                1 | 2 => 1,
                _ if d == large => 20 + self.below(700),
                _ => 1 + self.below(5),
            })
            .collect()
    }
}

pub struct Tensor {
    pub buffer: Buffer,
    pub layout: Layout,
    pub dtype: DType,
}

/// Permuted, gapped, negative, expanded (unless for writing) or contiguous.
pub fn layout(rng: &mut Rng, shape: &[usize], writable: bool) -> (Layout, usize) {
    if rng.below(4) == 0 {
        let layout = Layout::contiguous(shape);
        let n = layout.numel();
        return (layout, n);
    }
    let mut order: Vec<usize> = (0..shape.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, rng.below(i + 1));
    }
    let mut strides: Strides = Strides::from_elem(0, shape.len());
    let (mut step, mut offset) = (1 + rng.below(2), rng.below(4));
    for &d in &order {
        if !writable && rng.below(6) == 0 {
            continue;
        }
        strides[d] = step as isize;
        step *= shape[d].max(1);
        if rng.below(4) == 0 {
            step += rng.below(3);
        }
        if rng.below(4) == 0 {
            offset += shape[d].saturating_sub(1) * strides[d] as usize;
            strides[d] = -strides[d];
        }
    }
    let layout = Layout::strided(Dims::from_slice(shape), strides, offset);
    let len = layout.span().1 + rng.below(3);
    (layout, len)
}

impl Tensor {
    pub fn new(rng: &mut Rng, shape: &[usize], dtype: DType, writable: bool) -> Tensor {
        let (layout, len) = layout(rng, shape, writable);
        let buffer = Buffer::new(len * dtype.size()).unwrap();
        Tensor { buffer, layout, dtype }
    }
    pub fn of(values: &[f64], shape: &[usize], dtype: DType) -> Tensor {
        let layout = Layout::contiguous(shape);
        let tensor = Tensor { buffer: Buffer::new(values.len() * dtype.size()).unwrap(), layout, dtype };
        store(values, &tensor.out());
        tensor
    }
    /// Small integers (some NaN if asked for), in every element that the layout touches.
    pub fn random(
        rng: &mut Rng,
        shape: &[usize],
        dtype: DType,
        low: i64,
        high: i64,
        nan: bool,
        writable: bool,
    ) -> Tensor {
        let t = Tensor::new(rng, shape, dtype, writable);
        t.set_all(&mut || {
            if nan && rng.below(12) == 0 {
                return f64::NAN;
            }
            (low + rng.below((high - low) as usize) as i64) as f64
        });
        t
    }
    fn set_all(&self, value: &mut dyn FnMut() -> f64) {
        let n = self.buffer.len() / self.dtype.size();
        let whole = Layout::contiguous(&[n]);
        let values: Vec<f64> = (0..n).map(|_| value()).collect();
        // SAFETY: the test owns the buffer.
        store(&values, &unsafe { ViewMut::new(&self.buffer, &whole, self.dtype) });
    }
    pub fn view(&self) -> View<'_, Buffer> {
        View { buffer: &self.buffer, layout: &self.layout, dtype: self.dtype }
    }
    pub fn out(&self) -> ViewMut<'_, Buffer> {
        // SAFETY: the test owns the buffer and passes it to one call at a time.
        unsafe { ViewMut::new(&self.buffer, &self.layout, self.dtype) }
    }
    /// Row-major values.
    pub fn values(&self) -> Vec<f64> {
        load(self.view()).unwrap()
    }
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }
    /// All bytes, to see that nothing outside the layout changed.
    pub fn bytes(&self) -> Vec<u8> {
        // SAFETY: nobody writes meanwhile.
        unsafe { self.buffer.slice::<u8>() }.to_vec()
    }
}

/// Coordinates of the row-major index `i`.
pub fn coordinates(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (c, &n) in at.iter_mut().zip(shape).rev() {
        *c = i % n;
        i /= n;
    }
    at
}

/// The row-major index of coordinates.
pub fn linear(at: &[usize], shape: &[usize]) -> usize {
    at.iter().zip(shape).fold(0, |i, (&c, &n)| i * n + c)
}

/// Equality that takes NaN for itself.
pub fn assert_same(got: &[f64], wanted: &[f64], what: &str) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        assert!(g == w || (g.is_nan() && w.is_nan()), "{what}: element {i} is {g}, not {w}");
    }
}
