//! `x[…]`, read and written: views for numbers, slices and None, gathers for index tensors and masks.

use crate::args::scalar;
use crate::construct::from_data;
use crate::error::Raise;
use crate::tensor::{done, fresh, PyTensor};
use crate::types::type_name;
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyInt, PyIterator, PyList, PySlice, PyTuple};
use smallvec::SmallVec;
use wengert::{Tensor, ViewOp};
use wengert_ops::{DType, Dims, Error, Layout};

/// What an index comes to: a view, and perhaps index tensors over some of its dims.
struct Resolved {
    view: Tensor,
    dims: u64,
    indices: SmallVec<[Tensor; 2]>,
}

fn bound_of(obj: &Bound<'_, PyAny>) -> PyResult<Option<isize>> {
    if obj.is_none() {
        return Ok(None);
    }
    if let Ok(t) = obj.cast::<PyTensor>() {
        return Ok(Some(t.get().inner.item().raise()?.as_i64() as isize));
    }
    let index = obj
        .call_method0("__index__")
        .map_err(|_| PyTypeError::new_err("slice indices must be integers or None or have an __index__ method"))?;
    // Out-of-range integers clip, as Python's own slices do.
    Ok(Some(match index.extract::<isize>() {
        Ok(i) => i,
        Err(_) if index.lt(0)? => isize::MIN / 2,
        Err(_) => isize::MAX / 2,
    }))
}

/// One index of a dim, as PyTorch words the error.
fn select(x: &Tensor, dim: usize, index: isize) -> PyResult<Tensor> {
    let op = |layout: &Layout| {
        let rank = layout.rank();
        let Some(&n) = layout.shape().get(dim) else {
            return Err(Error::index(if rank == 0 {
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim tensor to a number"
                    .to_owned()
            } else {
                format!("too many indices for tensor of dimension {rank}")
            }));
        };
        let size = n as isize;
        if index < -size || index >= size {
            return Err(Error::index(format!("index {index} is out of bounds for dimension {dim} with size {n}")));
        }
        Ok(ViewOp::Select { dim, index: if index < 0 { index + size } else { index } as usize })
    };
    x.view_made(op).raise()
}

fn slice(x: &Tensor, dim: usize, s: &Bound<'_, PySlice>) -> PyResult<Tensor> {
    let shape = x.shape();
    let step = bound_of(&s.getattr("step")?)?.unwrap_or(1);
    if step <= 0 {
        return Err(PyValueError::new_err("step must be greater than zero"));
    }
    let (start, stop) = (bound_of(&s.getattr("start")?)?, bound_of(&s.getattr("stop")?)?);
    if start.is_none() && stop.is_none() && step == 1 {
        return Ok(x.clone());
    }
    let (start, step, len) = wengert::infer::slice_range(start, stop, step, shape[dim]).raise()?;
    x.view_op(ViewOp::Slice { dim, start, step, len }).raise()
}

/// An index that is a tensor, or that becomes one.
fn as_index(obj: &Bound<'_, PyAny>) -> PyResult<Option<Tensor>> {
    if let Ok(t) = obj.cast::<PyTensor>() {
        return Ok(Some(t.get().inner.clone()));
    }
    if obj.is_instance_of::<PyList>() || obj.is_instance_of::<PyTuple>() {
        let t = from_data(obj, None, wengert::Device::Cpu)?;
        return Ok(Some(if t.numel() == 0 { t.to_dtype(DType::I64).raise()? } else { t }));
    }
    if obj.hasattr("__array__")? || obj.hasattr("__len__")? {
        return from_data(obj, None, wengert::Device::Cpu).map(Some);
    }
    Ok(None)
}

fn resolve(x: &Tensor, key: &Bound<'_, PyAny>) -> PyResult<Resolved> {
    let single;
    let items: &Bound<'_, PyTuple> = match key.cast::<PyTuple>() {
        Ok(t) => t,
        Err(_) => {
            single = PyTuple::new(key.py(), [key])?;
            &single
        }
    };
    // How many dims the index names, so that `...` knows how many it stands for.
    let mut named = 0;
    let mut parsed: SmallVec<[(Bound<'_, PyAny>, Option<Tensor>); 4]> = SmallVec::new();
    for item in items.iter() {
        let simple = item.is_none()
            || item.is_instance_of::<PyBool>()
            || item.is_instance_of::<PyEllipsis>()
            || item.is_instance_of::<PySlice>()
            || item.is_instance_of::<PyInt>();
        let tensor = if simple { None } else { as_index(&item)? };
        named += match &tensor {
            Some(t) if matches!(t.dtype(), DType::Bool | DType::U8) => t.rank(),
            _ if item.is_none() || item.is_instance_of::<PyEllipsis>() || item.is_instance_of::<PyBool>() => 0,
            _ => 1,
        };
        parsed.push((item, tensor));
    }
    let rank = x.rank();
    if named > rank {
        return Err(PyIndexError::new_err(if rank == 0 {
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim tensor to a number"
                .to_owned()
        } else {
            format!("too many indices for tensor of dimension {rank}")
        }));
    }
    let mut r = Resolved { view: x.clone(), dims: 0, indices: SmallVec::new() };
    let mut dim = 0;
    for (item, tensor) in &parsed {
        match tensor {
            None if item.is_none() => {
                r.view = r.view.view_op(ViewOp::Unsqueeze(dim)).raise()?;
                dim += 1;
            }
            None if item.is_instance_of::<PyEllipsis>() => dim += rank - named,
            None if item.is_instance_of::<PyBool>() => {
                r.view = r.view.view_op(ViewOp::Unsqueeze(dim)).raise()?;
                let index: &[i64] = if item.is_truthy()? { &[0] } else { &[] };
                r.dims |= 1 << dim;
                r.indices.push(Tensor::from_i64(index, &[index.len()]).raise()?);
                dim += 1;
            }
            None => {
                if let Ok(s) = item.cast::<PySlice>() {
                    r.view = slice(&r.view, dim, s)?;
                    dim += 1;
                } else if item.is_instance_of::<PyInt>() || item.hasattr("__index__")? {
                    let i = item
                        .extract::<isize>()
                        .map_err(|_| PyIndexError::new_err("index is too large for a tensor"))?;
                    r.view = select(&r.view, dim, i)?;
                } else {
                    return Err(PyIndexError::new_err(format!(
                        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {})",
                        type_name(item)
                    )));
                }
            }
            Some(t) => advanced(&mut r, &mut dim, t)?,
        }
    }
    // Indices of the host may name elements of any device.
    for index in r.indices.iter_mut().filter(|i| i.device() == wengert::Device::Cpu) {
        *index = index.to_device(x.device()).raise()?;
    }
    Ok(r)
}

fn advanced(r: &mut Resolved, dim: &mut usize, t: &Tensor) -> PyResult<()> {
    match t.dtype() {
        DType::Bool | DType::U8 => {
            let (mask, shape) = (t.shape(), r.view.shape());
            if mask.is_empty() {
                r.view = r.view.view_op(ViewOp::Unsqueeze(*dim)).raise()?;
                let on = t.item().raise()?.as_bool();
                let index: &[i64] = if on { &[0] } else { &[] };
                r.dims |= 1 << *dim;
                r.indices.push(Tensor::from_i64(index, &[index.len()]).raise()?);
                *dim += 1;
                return Ok(());
            }
            for (k, &n) in mask.iter().enumerate() {
                if shape.get(*dim + k) != Some(&n) {
                    return Err(PyIndexError::new_err(format!(
                        "The shape of the mask {:?} at index {k} does not match the shape of the indexed tensor {:?} at index {}",
                        &mask[..],
                        &shape[..],
                        *dim + k
                    )));
                }
            }
            let places = t.nonzero().raise()?;
            for k in 0..mask.len() {
                r.dims |= 1 << *dim;
                r.indices.push(places.select(1, k as isize).raise()?);
                *dim += 1;
            }
        }
        d if d.is_int() => {
            if t.rank() == 0 {
                r.view = select(&r.view, *dim, t.item().raise()?.as_i64() as isize)?;
                return Ok(());
            }
            r.dims |= 1 << *dim;
            r.indices.push(t.to_dtype(DType::I64).raise()?);
            *dim += 1;
        }
        d => {
            return Err(PyIndexError::new_err(format!(
                "tensors used as indices must be long, int, byte or bool tensors, got {d}"
            )))
        }
    }
    Ok(())
}

impl Resolved {
    fn read(self, x: &Tensor) -> wengert::Result<Tensor> {
        if self.indices.is_empty() {
            return if self.view.is(x) { x.view_op(ViewOp::Alias) } else { Ok(self.view) };
        }
        self.view.index(self.dims, &self.indices.iter().collect::<SmallVec<[&Tensor; 2]>>())
    }

    fn write(self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let number = if value.is_instance_of::<PyTensor>() { None } else { scalar(value)? };
        if self.indices.is_empty() {
            return match number {
                Some(s) => self.view.fill_(s).raise(),
                None => {
                    let v = self.value(value, &self.view.shape())?;
                    self.view.copy_(&v).raise()
                }
            };
        }
        let mut metas = vec![wengert_ops::Meta::new(&self.view.shape(), self.view.dtype())];
        metas.extend(self.indices.iter().map(|i| wengert_ops::Meta::new(&i.shape(), i.dtype())));
        let target = wengert::infer::infer(&wengert::Op::Index { dims: self.dims }, &metas).raise()?;
        let v = match number {
            Some(s) => Tensor::scalar(s, self.view.dtype()).and_then(|t| t.to_device(self.view.device())).raise()?,
            None => match self.value(value, &target[0].shape)? {
                // As a number would be; of others PyTorch asks for the same dtype.
                v if v.rank() == 0 => v.to_dtype(self.view.dtype()).raise()?,
                v => v,
            },
        };
        self.view.index_put_(self.dims, &self.indices.iter().collect::<SmallVec<[&Tensor; 2]>>(), &v, false).raise()
    }

    /// The value as a tensor, without the leading 1s that it has more than its target.
    fn value(&self, value: &Bound<'_, PyAny>, target: &Dims) -> PyResult<Tensor> {
        let mut v = match value.cast::<PyTensor>() {
            Ok(t) => t.get().inner.clone(),
            Err(_) => {
                return Err(PyTypeError::new_err(format!(
                    "can't assign a {} to a {} tensor; assign a number or a tensor, as in x[i] = torch.tensor(…)",
                    type_name(value),
                    self.view.dtype()
                )));
            }
        };
        while v.rank() > target.len() && v.shape()[0] == 1 {
            v = v.select(0, 0).raise()?;
        }
        if v.rank() == 0 && v.device() == wengert::Device::Cpu {
            return v.to_device(self.view.device()).raise();
        }
        Ok(v)
    }
}

/// The elements of a vector where a mask of its length holds.
pub fn chosen(x: &Tensor, mask: &Tensor) -> wengert::Result<Tensor> {
    x.index(1, &[&mask.nonzero()?.select(1, 0)?])
}

/// `x[key]`.
pub fn read(py: Python<'_>, x: &Tensor, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if key.is_exact_instance_of::<PyInt>() {
        if let Ok(i) = key.extract::<isize>() {
            return fresh(py, select(x, 0, i)?);
        }
    }
    if let Ok(mask) = key.cast::<PyTensor>() {
        let mask = &mask.get().inner;
        let host = x.device() == wengert::Device::Cpu && mask.device() == wengert::Device::Cpu;
        if host
            && x.rank() > 1
            && mask.dtype() == DType::Bool
            && mask.shape() == x.shape()
            && x.layout().is_contiguous()
        {
            // Places in one row take less than coordinates.
            return done(py, x.reshape(&[-1]).and_then(|flat| chosen(&flat, &mask.reshape(&[-1])?)));
        }
    }
    done(py, resolve(x, key)?.read(x))
}

#[pymethods]
impl PyTensor {
    fn __getitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        read(py, &self.inner, key)
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        resolve(&self.inner, key)?.write(value)
    }

    fn __delitem__(&self, _key: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyTypeError::new_err("Tensor does not support deleting items"))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        if self.inner.rank() == 0 {
            return Err(PyTypeError::new_err("iteration over a 0-d tensor"));
        }
        let parts = self.inner.unbind(0).raise()?;
        let list = parts.into_iter().map(|t| fresh(py, t)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, list)?.try_iter()
    }

    fn __contains__(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(operand) = crate::args::operand(value)? else {
            return Err(PyTypeError::new_err(format!(
                "Tensor.__contains__ only supports Tensor or scalar, but you passed in a {}.",
                type_name(value)
            )));
        };
        let hit = wengert::row(wengert::Row::Eq, &[(&self.inner).into(), operand.arg()])
            .and_then(|m| m.any(&[], false))
            .raise()?;
        Ok(hit.item().raise()?.as_bool())
    }
}

pub fn register(_m: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
