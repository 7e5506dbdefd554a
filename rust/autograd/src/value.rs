//! A value without history: elements of a buffer under a layout.

use crate::buffer::{Buffer, Data, Device};
use std::sync::Arc;
use wengert_cpu as cpu;
use wengert_ops::{Backend, DType, Error, Layout, Result, Scalar, View, ViewMut};

/// An array on a device. Cloning shares the elements.
#[derive(Clone)]
pub struct Value {
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) layout: Layout,
    pub(crate) dtype: DType,
}

#[cold]
fn no_data() -> Error {
    Error::not_implemented(
        "Cannot copy out of meta tensor; no data! It has a shape and a dtype but no elements; make it on a real device",
    )
}

#[cold]
fn too_large(e: Error, layout: &Layout, dtype: DType) -> Error {
    match e.kind() {
        wengert_ops::ErrorKind::Memory => {
            e.context(&format!("a tensor of shape {:?} and dtype {dtype}", layout.shape()))
        }
        _ => e,
    }
}

impl Value {
    /// Unspecified contents under a contiguous layout.
    #[inline]
    pub(crate) fn empty(device: Device, layout: Layout, dtype: DType) -> Result<Value> {
        debug_assert!(layout.offset() == 0);
        let Some(bytes) = layout.numel().checked_mul(dtype.size()) else {
            return Err(too_large(Error::memory("too many elements"), &layout, dtype));
        };
        let buffer = match Buffer::allocate(device, bytes) {
            Ok(buffer) => buffer,
            Err(e) => return Err(too_large(e, &layout, dtype)),
        };
        Ok(Value { buffer, layout, dtype })
    }

    pub(crate) fn filled(device: Device, layout: Layout, dtype: DType, value: Scalar) -> Result<Value> {
        let v = Value::empty(device, layout, dtype)?;
        if device == Device::Cpu {
            // SAFETY: fresh, nobody else sees it.
            cpu::Cpu.fill(value, unsafe { v.view_mut()? })?;
        }
        Ok(v)
    }

    pub(crate) fn from_bytes(bytes: &[u8], shape: &[usize], dtype: DType) -> Result<Value> {
        let buffer = Buffer::wrap(Data::Cpu(cpu::Cpu.upload(bytes)?));
        let layout = crate::lock::lock().layouts.contiguous("from_bytes", shape)?;
        Ok(Value { buffer, layout, dtype })
    }

    #[inline]
    pub(crate) fn device(&self) -> Device {
        self.buffer.device()
    }

    /// Whether the elements are less than the buffer.
    #[inline]
    pub(crate) fn is_part(&self) -> bool {
        let Some(host) = self.buffer.host() else { return false };
        let size = self.dtype.size();
        if self.layout.numel() * size == host.len() {
            return false;
        }
        let (low, high) = self.layout.span();
        (high - low) * size < host.len()
    }

    #[inline]
    pub(crate) fn host(&self) -> Result<&cpu::Buffer> {
        self.buffer.host().ok_or_else(no_data)
    }

    #[inline]
    pub(crate) fn view(&self) -> Result<View<'_, cpu::Buffer>> {
        Ok(View { buffer: self.host()?, layout: &self.layout, dtype: self.dtype })
    }

    /// # Safety
    /// As for [`ViewMut::new`].
    #[inline]
    pub(crate) unsafe fn view_mut(&self) -> Result<ViewMut<'_, cpu::Buffer>> {
        Ok(ViewMut::new(self.host()?, &self.layout, self.dtype))
    }

    /// The same elements under another layout.
    pub(crate) fn with_layout(&self, layout: Layout) -> Value {
        Value { buffer: self.buffer.clone(), layout, dtype: self.dtype }
    }

    /// A fresh contiguous copy, converted.
    pub(crate) fn copied(&self, dtype: DType) -> Result<Value> {
        let out = Value::empty(self.device(), self.layout.fresh(), dtype)?;
        if self.device() == Device::Cpu {
            // SAFETY: `out` is fresh.
            cpu::Cpu.copy(self.view()?, unsafe { out.view_mut()? })?;
        }
        Ok(out)
    }

    /// Itself if contiguous, else a contiguous copy.
    pub(crate) fn contiguous(&self) -> Result<Value> {
        if self.layout.is_contiguous() {
            Ok(self.clone())
        } else {
            self.copied(self.dtype)
        }
    }

    /// The elements, row-major, as bytes.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let v = self.contiguous()?;
        let mut out = cpu::strided::filled(0, v.layout.numel() * v.dtype.size())?;
        if !out.is_empty() {
            cpu::Cpu.download(v.host()?, v.layout.offset() * v.dtype.size(), &mut out)?;
        }
        Ok(out)
    }
}

/// The element at the layout's start. Nobody may be writing the buffer: call it under the lock.
pub(crate) fn first(buffer: &Buffer, layout: &Layout, dtype: DType) -> Result<Scalar> {
    let host = buffer.host().ok_or_else(no_data)?;
    let at = layout.offset();
    macro_rules! read {
        ($t:ty) => {
            // SAFETY: `at` lies in the buffer, as checked above, and nobody writes meanwhile.
            unsafe { *host.ptr().cast::<$t>().add(at) }
        };
    }
    if (at + 1) * dtype.size() > host.len() {
        return Err(Error::internal("a layout reaches past its buffer"));
    }
    Ok(match dtype {
        DType::Bool => Scalar::Bool(read!(u8) != 0),
        DType::U8 => Scalar::Int(read!(u8) as i64),
        DType::I8 => Scalar::Int(read!(i8) as i64),
        DType::I16 => Scalar::Int(read!(i16) as i64),
        DType::I32 => Scalar::Int(read!(i32) as i64),
        DType::I64 => Scalar::Int(read!(i64)),
        DType::F16 => Scalar::Float(read!(half::f16).to_f64()),
        DType::BF16 => Scalar::Float(read!(half::bf16).to_f64()),
        DType::F32 => Scalar::Float(read!(f32) as f64),
        DType::F64 => Scalar::Float(read!(f64)),
    })
}
