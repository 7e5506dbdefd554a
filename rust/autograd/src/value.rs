//! A value without history: elements of a buffer under a layout.

use crate::buffer::{Buffer, Data, Device};
use crate::devices::{no_data, Devices};
use wengert_cpu as cpu;
use wengert_ops::counted::Counted;
use wengert_ops::{Backend, DType, Error, Layout, Result, Scalar, View, ViewMut};

/// An array on a device. Cloning shares the elements.
#[derive(Clone)]
pub struct Value {
    pub(crate) buffer: Counted<Buffer>,
    pub(crate) layout: Layout,
    pub(crate) dtype: DType,
}

#[cold]
pub(crate) fn too_large(e: Error, layout: &Layout, dtype: DType) -> Error {
    match e.kind() {
        wengert_ops::ErrorKind::Memory => {
            e.context(&format!("a tensor of shape {:?} and dtype {dtype}", layout.shape()))
        }
        _ => e,
    }
}

impl Value {
    /// Unspecified contents under a contiguous layout.
    // Left to itself the compiler makes a call of it in every operation, or not, as the crate's other functions change.
    #[inline(always)]
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
        if device.has_memory() {
            // SAFETY: fresh, nobody else sees it.
            Devices.fill(value, unsafe { v.view_mut()? })?;
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
        let Some(bytes) = self.buffer.bytes() else { return false };
        let size = self.dtype.size();
        if self.layout.numel() * size == bytes {
            return false;
        }
        let (low, high) = self.layout.span();
        (high - low) * size < bytes
    }

    #[inline]
    pub(crate) fn host(&self) -> Result<&cpu::Buffer> {
        match &self.buffer.data {
            Data::Cpu(host) => Ok(host),
            Data::Gpu(_) => Err(Error::type_(format!(
                "can't convert {} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.",
                self.device()
            ))),
            Data::Meta => Err(no_data()),
        }
    }

    #[inline]
    pub(crate) fn view(&self) -> Result<View<'_, Data>> {
        Ok(View { buffer: self.data()?, layout: &self.layout, dtype: self.dtype })
    }

    /// The bytes, wherever they are.
    #[inline]
    pub(crate) fn data(&self) -> Result<&Data> {
        match &self.buffer.data {
            Data::Meta => Err(no_data()),
            data => Ok(data),
        }
    }

    /// # Safety
    /// As for [`ViewMut::new`].
    #[inline]
    pub(crate) unsafe fn view_mut(&self) -> Result<ViewMut<'_, Data>> {
        Ok(ViewMut::new(self.data()?, &self.layout, self.dtype))
    }

    /// As [`Value::view_mut`], of host memory.
    ///
    /// # Safety
    /// As for [`ViewMut::new`].
    #[inline]
    pub(crate) unsafe fn host_mut(&self) -> Result<ViewMut<'_, cpu::Buffer>> {
        Ok(ViewMut::new(self.host()?, &self.layout, self.dtype))
    }

    /// The same elements under another layout.
    pub(crate) fn with_layout(&self, layout: Layout) -> Value {
        Value { buffer: self.buffer.clone(), layout, dtype: self.dtype }
    }

    /// A fresh contiguous copy, converted.
    pub(crate) fn copied(&self, dtype: DType) -> Result<Value> {
        let out = Value::empty(self.device(), self.layout.fresh(), dtype)?;
        if self.device().has_memory() {
            // SAFETY: `out` is fresh.
            Devices.copy(self.view()?, unsafe { out.view_mut()? })?;
        }
        Ok(out)
    }

    /// A contiguous copy on another device.
    pub(crate) fn moved(&self, to: Device) -> Result<Value> {
        let v = self.contiguous()?;
        let layout = self.layout.fresh();
        let bytes = v.layout.numel() * v.dtype.size();
        // An empty array may begin past its buffer's end.
        let at = if bytes == 0 { 0 } else { v.layout.offset() * v.dtype.size() };
        let buffer = match (v.data()?, to) {
            (_, Device::Meta) => Buffer::wrap(Data::Meta),
            (Data::Cpu(host), Device::Gpu(n)) => {
                // SAFETY: the caller reads, so by the leases nobody writes; bytes have no invalid pattern.
                let host = &unsafe { host.slice::<u8>() }[at..at + bytes];
                Buffer::wrap(Data::Gpu(wengert_gpu::Gpu::open(n as usize)?.upload(host)?))
            }
            (from, _) => {
                let mut host = cpu::strided::filled(0, bytes)?;
                Devices.download(from, at, &mut host)?;
                match to {
                    Device::Gpu(n) => Buffer::wrap(Data::Gpu(wengert_gpu::Gpu::open(n as usize)?.upload(&host)?)),
                    _ => Buffer::wrap(Data::Cpu(cpu::Cpu.upload(&host)?)),
                }
            }
        };
        Ok(Value { buffer, layout, dtype: self.dtype })
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
            Devices.download(v.data()?, v.layout.offset() * v.dtype.size(), &mut out)?;
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
