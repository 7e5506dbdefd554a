//! What a tensor is (sizes, strides, device) and the conversions between kinds; copies and fills.

use crate::args::{index, need_tensor};
use crate::class::tensor_class;
use crate::creation::number;
use crate::error::Raise;
use crate::tensor::{fresh, PyTensor};
use crate::types::{extract_device, extract_dtype, size_of, type_name, PyDType, PyDevice};
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use wengert::{layout, DType, Device, GradMode, Tensor};

/// What `to` was asked for.
#[derive(Default)]
struct Target {
    dtype: Option<DType>,
    device: Option<Device>,
    copy: bool,
}

impl Target {
    fn read(args: &Bound<'_, PyTuple>, named: Option<&Bound<'_, PyDict>>) -> PyResult<Target> {
        let mut target = Target::default();
        let mut flags = 0;
        for arg in args.iter() {
            if let Ok(t) = arg.cast::<PyTensor>() {
                target.like(&t.get().inner);
            } else if arg.is_instance_of::<PyDType>() || arg.is_instance_of::<PyType>() {
                target.dtype = Some(extract_dtype(&arg)?);
            } else if arg.is_instance_of::<PyDevice>() || arg.is_instance_of::<PyString>() {
                target.device = Some(extract_device(&arg)?);
            } else if arg.is_none() {
            } else if let Ok(flag) = arg.extract::<bool>() {
                // The first flag is non_blocking, the second copy.
                flags += 1;
                target.copy = flags == 2 && flag;
            } else {
                return Err(PyTypeError::new_err(format!(
                    "to() received an invalid combination of arguments - got ({}); pass a dtype, a device or a tensor",
                    type_name(&arg)
                )));
            }
        }
        let Some(named) = named else { return Ok(target) };
        for (key, value) in named.iter() {
            let key = key.cast::<PyString>()?;
            match key.to_str()? {
                "dtype" | "device" | "other" if value.is_none() => {}
                "dtype" => target.dtype = Some(extract_dtype(&value)?),
                "device" => target.device = Some(extract_device(&value)?),
                "other" => target.like(need_tensor("to", "other", &value)?),
                "copy" => target.copy = value.is_truthy()?,
                "non_blocking" | "memory_format" => {}
                other => {
                    return Err(PyTypeError::new_err(format!("to() got an unexpected keyword argument '{other}'")))
                }
            }
        }
        Ok(target)
    }

    fn like(&mut self, other: &Tensor) {
        self.dtype = Some(other.dtype());
        self.device = Some(other.device());
    }

    /// The converted tensor; the object itself if nothing changes.
    fn apply<'py>(&self, slf: &Bound<'py, PyTensor>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let x = &slf.get().inner;
        let (dtype, device) = (self.dtype.unwrap_or(x.dtype()), self.device.unwrap_or(x.device()));
        if dtype == x.dtype() && device == x.device() {
            if !self.copy {
                return Ok(slf.clone().into_any());
            }
            let copied = x.clone_().raise()?;
            copied.relabel("ToCopy");
            return fresh(py, copied).map(|o| o.into_bound(py));
        }
        // Converted on the host where it comes from or goes to that: not every device knows every dtype.
        let moved = match x.device() {
            Device::Cpu => x.to_dtype(dtype).and_then(|t| t.to_device(device)),
            _ => x.to_device(device).and_then(|t| t.to_dtype(dtype)),
        };
        let moved = moved.raise()?;
        fresh(py, moved).map(|o| o.into_bound(py))
    }
}

fn convert<'py>(slf: &Bound<'py, PyTensor>, dtype: DType) -> PyResult<Bound<'py, PyAny>> {
    Target { dtype: Some(dtype), ..Target::default() }.apply(slf)
}

/// What PyTorch calls "torch.LongTensor"; "torch.Tensor" is the default type.
fn named_type(name: &str) -> PyResult<DType> {
    if name.starts_with("torch.cuda.") {
        return Err(PyRuntimeError::new_err(format!(
            "type(): wengert has no CUDA types; use .to(\"gpu\") for the GPU of any vendor instead of {name}"
        )));
    }
    let short = name.strip_prefix("torch.").and_then(|n| n.strip_suffix("Tensor"));
    let found = match short {
        Some("") => Some(wengert::default_float()),
        _ => DType::ALL.into_iter().find(|d| Some(d.scalar_name()) == short),
    };
    found.ok_or_else(|| PyValueError::new_err(format!("invalid type: '{name}'; use one like 'torch.LongTensor'")))
}

macro_rules! conversions {
    ($($name:ident $dtype:ident;)*) => {
        #[pymethods]
        impl PyTensor {
            $(
                /// This tensor converted to another dtype; itself if it has that dtype.
                #[pyo3(signature = (memory_format=None))]
                fn $name<'py>(slf: &Bound<'py, PyTensor>, memory_format: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
                    let _ = memory_format;
                    convert(slf, DType::$dtype)
                }
            )*
        }
    };
}

conversions! {
    float F32; double F64; half F16; bfloat16 BF16; int I32; long I64; short I16; char I8; byte U8; bool Bool;
}

#[pymethods]
impl PyTensor {
    /// This tensor with another dtype or on another device: `to(dtype)`, `to(device, dtype)`, `to(other)`.
    #[pyo3(signature = (*args, **options), text_signature = "($self, *args, dtype=None, device=None, non_blocking=False, copy=False)")]
    fn to<'py>(
        slf: &Bound<'py, PyTensor>,
        args: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Target::read(args, options)?.apply(slf)
    }
    /// This tensor in host memory.
    #[pyo3(signature = (memory_format=None))]
    fn cpu<'py>(slf: &Bound<'py, PyTensor>, memory_format: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let _ = memory_format;
        Target { device: Some(Device::Cpu), ..Target::default() }.apply(slf)
    }
    /// This tensor on a GPU: by default the first.
    #[pyo3(signature = (device=None, non_blocking=false, memory_format=None))]
    fn gpu<'py>(
        slf: &Bound<'py, PyTensor>,
        device: Option<&Bound<'py, PyAny>>,
        non_blocking: bool,
        memory_format: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = (non_blocking, memory_format);
        let device = match device.filter(|d| !d.is_none()) {
            None => Device::Gpu(0),
            Some(number) if number.is_instance_of::<pyo3::types::PyInt>() => Device::Gpu(number.extract()?),
            Some(device) => match extract_device(device)? {
                gpu @ Device::Gpu(_) => gpu,
                other => {
                    return Err(PyValueError::new_err(format!(
                        "gpu(): a GPU is wanted, not device '{other}'; use .to()"
                    )))
                }
            },
        };
        Target { device: Some(device), ..Target::default() }.apply(slf)
    }
    /// Refuses: wengert reaches every vendor's GPU as device 'gpu'.
    #[pyo3(signature = (device=None, non_blocking=false, memory_format=None))]
    fn cuda(
        &self,
        device: Option<&Bound<'_, PyAny>>,
        non_blocking: bool,
        memory_format: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (device, non_blocking, memory_format);
        Err(PyRuntimeError::new_err("cuda(): wengert reaches the GPUs of every vendor as device 'gpu'; use .gpu()"))
    }
    /// This tensor with the dtype and device of `other`.
    fn type_as<'py>(slf: &Bound<'py, PyTensor>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let mut target = Target::default();
        target.like(need_tensor("type_as", "other", other)?);
        target.apply(slf)
    }
    /// Without an argument PyTorch's name of the type, else like `to(dtype)`.
    #[pyo3(signature = (dtype=None, non_blocking=false))]
    fn r#type<'py>(
        slf: &Bound<'py, PyTensor>,
        dtype: Option<&Bound<'py, PyAny>>,
        non_blocking: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = non_blocking;
        let Some(dtype) = dtype.filter(|d| !d.is_none()) else {
            let x = &slf.get().inner;
            let place = if matches!(x.device(), Device::Gpu(_)) { "gpu." } else { "" };
            let name = format!("torch.{place}{}Tensor", x.dtype().scalar_name());
            return Ok(PyString::new(slf.py(), &name).into_any());
        };
        if let Ok(name) = dtype.cast::<PyString>() {
            return convert(slf, named_type(name.to_str()?)?);
        }
        if let Ok(class) = dtype.cast::<PyType>() {
            if class.is(tensor_class(slf.py())?) {
                return convert(slf, wengert::default_float());
            }
            // LongTensor and its like know their dtype.
            return match class.getattr("dtype") {
                Ok(dtype) => convert(slf, extract_dtype(&dtype)?),
                Err(_) => Err(PyValueError::new_err(format!("invalid type: '{}'", class.name()?))),
            };
        }
        convert(slf, extract_dtype(dtype)?)
    }

    /// The shape, or the size of one dim.
    #[pyo3(signature = (dim=None))]
    fn size<'py>(&self, py: Python<'py>, dim: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let shape = self.inner.shape();
        match dim.filter(|d| !d.is_none()) {
            None => size_of(py, &shape),
            Some(dim) => {
                let dim = one_dim("size", dim, shape.len())?;
                Ok(shape[dim].into_pyobject(py)?.into_any())
            }
        }
    }
    /// Elements between neighbours, in every dim or one.
    #[pyo3(signature = (dim=None))]
    fn stride<'py>(&self, py: Python<'py>, dim: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let layout = self.inner.layout();
        match dim.filter(|d| !d.is_none()) {
            None => Ok(PyTuple::new(py, layout.strides())?.into_any()),
            Some(dim) => {
                let dim = one_dim("stride", dim, layout.rank())?;
                Ok(layout.strides()[dim].into_pyobject(py)?.into_any())
            }
        }
    }
    fn dim(&self) -> usize {
        self.inner.rank()
    }
    fn ndimension(&self) -> usize {
        self.inner.rank()
    }
    fn numel(&self) -> usize {
        self.inner.numel()
    }
    fn nelement(&self) -> usize {
        self.inner.numel()
    }
    fn storage_offset(&self) -> usize {
        self.inner.layout().offset()
    }
    fn element_size(&self) -> usize {
        self.inner.element_size()
    }
    #[getter]
    fn itemsize(&self) -> usize {
        self.inner.element_size()
    }
    #[getter]
    fn nbytes(&self) -> usize {
        self.inner.numel() * self.inner.element_size()
    }
    #[pyo3(signature = (memory_format=None))]
    fn is_contiguous(&self, memory_format: Option<&Bound<'_, PyAny>>) -> bool {
        let _ = memory_format;
        self.inner.layout().is_contiguous()
    }
    /// Address of the first element.
    fn data_ptr(&self) -> usize {
        self.inner.data_ptr()
    }
    /// Whether both see the same elements in the same way.
    fn is_set_to(&self, tensor: &Bound<'_, PyAny>) -> PyResult<bool> {
        let other = need_tensor("is_set_to", "tensor", tensor)?;
        Ok(self.inner.shares_storage(other) && self.inner.layout().same(&other.layout()))
    }
    fn is_floating_point(&self) -> bool {
        self.inner.dtype().is_float()
    }
    fn is_complex(&self) -> bool {
        false
    }
    fn is_signed(&self) -> bool {
        self.inner.dtype().is_signed()
    }
    fn is_conj(&self) -> bool {
        false
    }
    fn is_neg(&self) -> bool {
        false
    }
    #[pyo3(signature = (device=None))]
    fn is_pinned(&self, device: Option<&Bound<'_, PyAny>>) -> bool {
        let _ = device;
        false
    }
    #[getter]
    fn is_meta(&self) -> bool {
        self.inner.device() == Device::Meta
    }
    #[getter]
    fn is_cpu(&self) -> bool {
        self.inner.device() == Device::Cpu
    }
    #[getter]
    fn is_gpu(&self) -> bool {
        matches!(self.inner.device(), Device::Gpu(_))
    }
    #[getter]
    fn is_cuda(&self) -> bool {
        false
    }
    #[getter]
    fn is_sparse(&self) -> bool {
        false
    }
    #[getter]
    fn is_quantized(&self) -> bool {
        false
    }
    #[getter]
    fn layout(&self, py: Python<'_>) -> PyResult<Py<crate::types::PyLayout>> {
        crate::types::strided(py)
    }
    #[pyo3(name = "get_device")]
    fn device_number(&self) -> i64 {
        -1
    }

    /// A copy in memory of its own, through which gradients flow.
    #[pyo3(signature = (*, memory_format=None))]
    fn clone(&self, py: Python<'_>, memory_format: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let _ = memory_format;
        fresh(py, self.inner.clone_().raise()?)
    }
    /// Itself if its elements lie in row-major order, else such a copy.
    #[pyo3(signature = (memory_format=None))]
    fn contiguous<'py>(
        slf: &Bound<'py, PyTensor>,
        memory_format: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = memory_format;
        let x = &slf.get().inner;
        if x.layout().is_contiguous() {
            return Ok(slf.clone().into_any());
        }
        Ok(fresh(slf.py(), x.contiguous().raise()?)?.into_bound(slf.py()))
    }
    /// Overwrites every element with a number.
    fn fill_<'py>(slf: Bound<'py, PyTensor>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTensor>> {
        if let Ok(t) = value.cast::<PyTensor>() {
            let (t, x) = (&t.get().inner, &slf.get().inner);
            if t.rank() > 0 {
                return Err(PyRuntimeError::new_err(format!(
                    "fill_ only supports 0-dimension value tensor but got tensor with {} dimensions.",
                    t.rank()
                )));
            }
            x.copy_(t).raise()?;
            return Ok(slf);
        }
        let value = number("fill_", "value", value)?;
        slf.get().inner.fill_(value).raise()?;
        Ok(slf)
    }
    /// Overwrites every element with 0.
    fn zero_(slf: Bound<'_, PyTensor>) -> PyResult<Bound<'_, PyTensor>> {
        slf.get().inner.zero_().raise()?;
        Ok(slf)
    }
    /// Overwrites the elements with those of `src`, broadcast and converted.
    #[pyo3(signature = (src, non_blocking=false))]
    fn copy_<'py>(
        slf: Bound<'py, PyTensor>,
        src: &Bound<'py, PyAny>,
        non_blocking: bool,
    ) -> PyResult<Bound<'py, PyTensor>> {
        let _ = non_blocking;
        let src = need_tensor("copy_", "other", src)?;
        slf.get().inner.copy_(src).raise()?;
        Ok(slf)
    }
    /// Takes over the value and history of what an in-place composed function computed.
    fn _assign_<'py>(slf: Bound<'py, PyTensor>, result: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTensor>> {
        let result = need_tensor("_assign_", "result", result)?;
        slf.get().inner.assign_(result).raise()?;
        Ok(slf)
    }
    /// Takes over storage, layout and shape of `source`.
    #[pyo3(signature = (source=None))]
    fn set_<'py>(slf: Bound<'py, PyTensor>, source: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyTensor>> {
        let x = &slf.get().inner;
        let source = match source.filter(|s| !s.is_none()) {
            Some(s) => need_tensor("set_", "source", s)?.clone(),
            None => Tensor::empty(&[0], x.dtype(), x.device()).raise()?,
        };
        x.set_data(&source).raise()?;
        Ok(slf)
    }
    /// Gives this tensor another shape; its first elements stay.
    #[pyo3(signature = (*sizes, memory_format=None))]
    fn resize_<'py>(
        slf: Bound<'py, PyTensor>,
        sizes: &Bound<'py, PyTuple>,
        memory_format: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTensor>> {
        let _ = memory_format;
        let x = &slf.get().inner;
        if x.requires_grad() {
            return Err(PyRuntimeError::new_err("cannot resize variables that require grad"));
        }
        let shape = crate::args::sizes("resize_", &crate::args::varargs("resize_", "size", sizes)?)?;
        if shape[..] == x.shape()[..] {
            return Ok(slf);
        }
        let _off = GradMode::set(false);
        let grown = Tensor::empty(&shape, x.dtype(), x.device()).raise()?;
        let keep = grown.numel().min(x.numel()) as isize;
        if keep > 0 && x.device().has_memory() {
            let old = x.reshape(&[-1]).and_then(|t| t.narrow(0, 0, keep)).raise()?;
            grown.view(&[-1]).and_then(|t| t.narrow(0, 0, keep)).and_then(|t| t.copy_(&old)).raise()?;
        }
        x.set_data(&grown).raise()?;
        Ok(slf)
    }
}

fn one_dim(op: &str, dim: &Bound<'_, PyAny>, rank: usize) -> PyResult<usize> {
    let dim = index(op, "dim", dim)?;
    let wrapped = layout::wrap_dim(op, dim, rank).raise()?;
    if rank == 0 {
        return Err(PyIndexError::new_err(format!("Dimension specified as {dim} but tensor has no dimensions")));
    }
    Ok(wrapped)
}

macro_rules! questions {
    ($($name:ident $doc:literal $answer:expr;)*) => {
        $(
            #[doc = $doc]
            #[pyfunction]
            fn $name(input: &Bound<'_, PyAny>) -> PyResult<bool> {
                let answer: fn(&Tensor) -> bool = $answer;
                need_tensor(stringify!($name), "input", input).map(answer)
            }
        )*
    };
}

questions! {
    is_floating_point "Whether the dtype is a floating-point one." |t| t.dtype().is_float();
    is_complex "Whether the dtype is a complex one: there is none." |_| false;
    is_signed "Whether the dtype has negative numbers." |t| t.dtype().is_signed();
    is_inference "Whether the tensor was made in inference mode." |t| t.is_inference();
}

/// The number of elements.
#[pyfunction]
fn numel(input: &Bound<'_, PyAny>) -> PyResult<usize> {
    need_tensor("numel", "input", input).map(|t| t.numel())
}

/// A copy in memory of its own, through which gradients flow.
#[pyfunction]
#[pyo3(signature = (input, *, memory_format=None))]
fn clone(py: Python<'_>, input: &Bound<'_, PyAny>, memory_format: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
    let _ = memory_format;
    fresh(py, need_tensor("clone", "input", input)?.clone_().raise()?)
}

/// The same elements, off the tape.
#[pyfunction]
fn detach(py: Python<'_>, input: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    fresh(py, need_tensor("detach", "input", input)?.detach())
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(is_floating_point, m)?)?;
    m.add_function(wrap_pyfunction!(is_complex, m)?)?;
    m.add_function(wrap_pyfunction!(is_signed, m)?)?;
    m.add_function(wrap_pyfunction!(is_inference, m)?)?;
    m.add_function(wrap_pyfunction!(numel, m)?)?;
    m.add_function(wrap_pyfunction!(clone, m)?)?;
    m.add_function(wrap_pyfunction!(detach, m)?)?;
    Ok(())
}
