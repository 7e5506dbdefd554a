//! Kernels of the CPU alone, without history: what they give is composed of other functions elsewhere, by Python.

use crate::tensor::Tensor;
use crate::value::Value;
use wengert_cpu as cpu;
use wengert_ops::layout::{dim_mask, wrap_dim};
use wengert_ops::{DType, Dims, Extremum, Layout, Result, View};

fn host_view(value: &Value) -> Result<View<'_, cpu::Buffer>> {
    Ok(View { buffer: value.host()?, layout: &value.layout, dtype: value.dtype })
}

impl Tensor {
    /// Values and positions of the running extremum along a dim: of equal elements the last, NaN before all.
    ///
    /// ```
    /// use wengert::{Extremum, Tensor};
    /// let x = Tensor::from_f32(&[1.0, 3.0, 2.0], &[3]).unwrap();
    /// let (values, places) = x.running(Extremum::Max, 0).unwrap();
    /// assert_eq!(values.to_vec_f64().unwrap(), [1.0, 3.0, 3.0]);
    /// assert_eq!(places.to_vec_i64().unwrap(), [0, 1, 1]);
    /// ```
    pub fn running(&self, kind: Extremum, dim: isize) -> Result<(Tensor, Tensor)> {
        let x = self.value();
        let dim = wrap_dim("running", dim, x.layout.rank())?;
        let values = Value::empty(x.device(), x.layout.fresh(), x.dtype)?;
        let places = Value::empty(x.device(), x.layout.fresh(), DType::I64)?;
        // SAFETY: both are fresh.
        cpu::running::running(kind, host_view(&x)?, dim, unsafe { values.host_mut()? }, unsafe { places.host_mut()? })?;
        Ok((Tensor::from_value(values), Tensor::from_value(places)))
    }

    /// Where the element of a rank stands along a dim, which stays with size 1.
    ///
    /// ```
    /// use wengert::{Rank, Tensor};
    /// let x = Tensor::from_f32(&[4.0, 3.0, 1.0, 2.0], &[4]).unwrap();
    /// assert_eq!(x.place_of_rank(Rank::At(3), 0).unwrap().to_vec_i64().unwrap(), [0]);
    /// assert_eq!(x.place_of_rank(Rank::Median, 0).unwrap().to_vec_i64().unwrap(), [3]);
    /// ```
    pub fn place_of_rank(&self, rank: cpu::sort::Rank, dim: isize) -> Result<Tensor> {
        let x = self.value();
        let dim = wrap_dim("rank", dim, x.layout.rank())?;
        let mut shape = Dims::from_slice(x.layout.shape());
        shape.iter_mut().skip(dim).take(1).for_each(|n| *n = 1);
        let places = Value::empty(x.device(), Layout::checked("rank", &shape)?, DType::I64)?;
        // SAFETY: fresh.
        cpu::sort::rank(host_view(&x)?, dim, rank, unsafe { places.host_mut()? })?;
        Ok(Tensor::from_value(places))
    }

    /// Where values of the same dtype would go in this tensor, sorted along its last dim: before equal elements, or behind
    /// if `right`. Other dims than the last are those of the values, or there are none.
    ///
    /// ```
    /// let x = wengert::Tensor::from_i64(&[1, 3, 5], &[3]).unwrap();
    /// let values = wengert::Tensor::from_i64(&[3, 6], &[2]).unwrap();
    /// assert_eq!(x.search_sorted(&values, false).unwrap().to_vec_i64().unwrap(), [1, 3]);
    /// ```
    pub fn search_sorted(&self, values: &Tensor, right: bool) -> Result<Tensor> {
        let (sequences, values) = (self.value(), values.value());
        let places = Value::empty(values.device(), values.layout.fresh(), DType::I64)?;
        // SAFETY: fresh.
        cpu::search::search(host_view(&sequences)?, host_view(&values)?, right, unsafe { places.host_mut()? })?;
        Ok(Tensor::from_value(places))
    }

    /// How often each number 0, 1, … occurs, `least` of them or more; nothing where a number is below 0.
    ///
    /// ```
    /// let x = wengert::Tensor::from_i64(&[0, 2, 2], &[3]).unwrap();
    /// assert_eq!(x.counts(0).unwrap().unwrap().to_vec_i64().unwrap(), [1, 0, 2]);
    /// ```
    pub fn counts(&self, least: usize) -> Result<Option<Tensor>> {
        let x = self.value();
        let counts = cpu::count::count(host_view(&x)?, least)?;
        counts.map(|counts| Tensor::from_i64(&counts, &[counts.len()])).transpose()
    }

    /// The sums of squares over dims, in one pass.
    ///
    /// ```
    /// let x = wengert::Tensor::from_f32(&[3.0, 4.0], &[1, 2]).unwrap();
    /// assert_eq!(x.square_sums(&[1], false).unwrap().to_vec_f64().unwrap(), [25.0]);
    /// ```
    pub fn square_sums(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        let x = self.value();
        let mask = dim_mask("sum", dims, x.layout.rank())?;
        let shape = x.layout.shape().iter().enumerate();
        let shape: Dims = match keepdim {
            true => shape.map(|(d, &n)| if mask >> d & 1 == 1 { 1 } else { n }).collect(),
            false => shape.filter(|(d, _)| mask >> d & 1 == 0).map(|(_, &n)| n).collect(),
        };
        let out = Value::empty(x.device(), Layout::checked("sum", &shape)?, x.dtype)?;
        // SAFETY: fresh.
        cpu::reduce::square_sums(host_view(&x)?, mask, unsafe { out.host_mut()? })?;
        Ok(Tensor::from_value(out))
    }

    /// Weighted sums along a dim: element k is the sum over t of the elements at `places[t][k]` times `weights[t][k]`.
    ///
    /// ```
    /// use wengert::Tensor;
    /// let x = Tensor::from_f32(&[1.0, 3.0], &[2]).unwrap();
    /// let places = Tensor::from_i64(&[0, 1, 1], &[3]).unwrap();
    /// let weights = Tensor::from_f32(&[1.0, 0.5, 2.0], &[3]).unwrap();
    /// assert_eq!(x.blend(0, &[&places], &[&weights]).unwrap().to_vec_f64().unwrap(), [1.0, 1.5, 6.0]);
    /// ```
    pub fn blend(&self, dim: isize, places: &[&Tensor], weights: &[&Tensor]) -> Result<Tensor> {
        let x = self.value().contiguous()?;
        let dim = wrap_dim("blend", dim, x.layout.rank())?;
        let dense = |all: &[&Tensor]| all.iter().map(|t| t.value().contiguous()).collect::<Result<Vec<_>>>();
        let (places, weights) = (dense(places)?, dense(weights)?);
        let mut shape = Dims::from_slice(x.layout.shape());
        let count = places.first().map_or(0, |p| p.layout.numel());
        shape.iter_mut().skip(dim).take(1).for_each(|n| *n = count);
        let out = Value::empty(x.device(), Layout::checked("blend", &shape)?, x.dtype)?;
        let places = places.iter().map(host_view).collect::<Result<Vec<_>>>()?;
        let weights = weights.iter().map(host_view).collect::<Result<Vec<_>>>()?;
        // SAFETY: fresh.
        cpu::blend::blend(host_view(&x)?, dim, &places, &weights, unsafe { out.host_mut()? })?;
        Ok(Tensor::from_value(out))
    }
}
