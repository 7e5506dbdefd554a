//! Fresh tensors: copies, conversions and simple sequences.

use crate::buffer::Device;
use crate::devices::Devices;
use crate::dispatch::{apply1, row, Arg};
use crate::tensor::Tensor;
use crate::value::Value;
use wengert_ops::{fail, DType, Layout, Op, Result, Row, Scalar};

/// Elements that are computed in one piece before they are converted.
const BLOCK: usize = 1 << 14;

/// A type of Rust whose values stand in tensors as they are. Any bits are a value of it.
pub trait Native: Copy + Send + Sync {
    const DTYPE: DType;
}

macro_rules! natives {
    ($($t:ty: $dtype:ident,)*) => {
        $(impl Native for $t {
            const DTYPE: DType = DType::$dtype;
        })*
    };
}

natives! { u8: U8, i32: I32, i64: I64, f32: F32, f64: F64, }

impl Tensor {
    /// A scalar on the CPU.
    pub fn scalar(value: impl Into<Scalar>, dtype: DType) -> Result<Tensor> {
        Tensor::full(&[], value.into(), dtype, Device::Cpu)
    }

    /// A tensor of one repeated value.
    pub fn full(shape: &[usize], value: impl Into<Scalar>, dtype: DType, device: Device) -> Result<Tensor> {
        let layout = Layout::checked("full", shape)?;
        Ok(Tensor::from_value(Value::filled(device, layout, dtype, value.into())?))
    }

    /// Zeros.
    pub fn zeros(shape: &[usize], dtype: DType, device: Device) -> Result<Tensor> {
        Tensor::full(shape, Scalar::Int(0), dtype, device)
    }

    /// Unspecified contents.
    pub fn empty(shape: &[usize], dtype: DType, device: Device) -> Result<Tensor> {
        let layout = Layout::checked("empty", shape)?;
        Ok(Tensor::from_value(Value::empty(device, layout, dtype)?))
    }

    /// A CPU tensor from row-major bytes.
    pub fn from_bytes(bytes: &[u8], shape: &[usize], dtype: DType) -> Result<Tensor> {
        let numel = wengert_ops::layout::checked_numel("from_bytes", shape)?;
        if bytes.len() != numel * dtype.size() {
            fail!(
                runtime,
                "from_bytes: {} bytes given, shape {shape:?} of {dtype} needs {}",
                bytes.len(),
                numel * dtype.size()
            );
        }
        Ok(Tensor::from_value(Value::from_bytes(bytes, shape, dtype)?))
    }

    /// A CPU tensor from `f32` values.
    ///
    /// ```
    /// let x = wengert::Tensor::from_f32(&[1.0, 2.0, 3.0], &[3]).unwrap();
    /// assert_eq!(x.to_vec_f64().unwrap(), [1.0, 2.0, 3.0]);
    /// ```
    pub fn from_f32(values: &[f32], shape: &[usize]) -> Result<Tensor> {
        Tensor::from_slice(values, shape)
    }

    /// A CPU tensor from `f64` values.
    pub fn from_f64(values: &[f64], shape: &[usize]) -> Result<Tensor> {
        Tensor::from_slice(values, shape)
    }

    /// A CPU tensor from `i64` values.
    pub fn from_i64(values: &[i64], shape: &[usize]) -> Result<Tensor> {
        Tensor::from_slice(values, shape)
    }

    /// Converts the elements; itself if nothing changes.
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        if self.dtype() == dtype {
            return Ok(self.clone());
        }
        apply1(Op::Cast(dtype), &[self])
    }

    /// A taped copy in fresh memory.
    pub fn clone_(&self) -> Result<Tensor> {
        row(Row::Copy, &[Arg::Tensor(self)])
    }

    /// Itself if row-major, else a row-major copy.
    pub fn contiguous(&self) -> Result<Tensor> {
        if self.layout().is_contiguous() {
            Ok(self.clone())
        } else {
            self.clone_()
        }
    }

    /// Moves to another device; taped, so that the gradient comes back to where this tensor is.
    pub fn to_device(&self, device: Device) -> Result<Tensor> {
        match (self.device(), device) {
            (a, b) if a == b => Ok(self.clone()),
            (_, Device::Meta) => Tensor::empty(&self.shape(), self.dtype(), Device::Meta),
            (Device::Meta, _) => fail!(
                not_implemented,
                "Cannot copy out of meta tensor; no data! Use empty_like(x, device='cpu') to get memory"
            ),
            _ => apply1(Op::To { from: self.device(), to: device }, &[self]),
        }
    }

    /// `0, 1, …, n − 1`.
    pub fn arange(n: usize, dtype: DType) -> Result<Tensor> {
        Tensor::sequence(n, dtype, |i| i as i64)
    }

    /// `at(0), at(1), …, at(n − 1)`, converted where they are written.
    ///
    /// ```
    /// use wengert::{DType, Tensor};
    /// let x = Tensor::sequence(3, DType::F32, |i| 0.5 * i as f64).unwrap();
    /// assert_eq!(x.to_vec_f64().unwrap(), [0.0, 0.5, 1.0]);
    /// ```
    pub fn sequence<T: Native>(n: usize, dtype: DType, at: impl Fn(usize) -> T + Sync) -> Result<Tensor> {
        let fill = |from: usize, to: &mut [T]| to.iter_mut().enumerate().for_each(|(i, x)| *x = at(from + i));
        if dtype == T::DTYPE {
            return Tensor::written(&[n], |all| {
                let all = wengert_cpu::strided::Ptr::from_slice_mut(all);
                // SAFETY: ranges of parts are disjoint and lie in the slice.
                wengert_cpu::nest::parallel(n, 1, |range| unsafe {
                    fill(range.start, all.slice_mut(range.start as isize, range.len()))
                });
            });
        }
        let out = Value::empty(Device::Cpu, Layout::checked("sequence", &[n])?, dtype)?;
        for start in (0..n).step_by(BLOCK) {
            let part = Tensor::written(&[BLOCK.min(n - start)], |block| fill(start, block))?.value();
            let layout = Layout::strided(part.layout.shape().into(), part.layout.strides().into(), start);
            // SAFETY: a part of fresh memory.
            Devices.copy(part.view()?, unsafe { out.with_layout(layout).view_mut()? })?;
        }
        Ok(Tensor::from_value(out))
    }

    /// A tensor whose row-major elements `write` puts in place, all 0 or left from earlier use before.
    pub fn written<T: Native>(shape: &[usize], write: impl FnOnce(&mut [T])) -> Result<Tensor> {
        let value = Value::empty(Device::Cpu, Layout::checked("written", shape)?, T::DTYPE)?;
        // SAFETY: fresh memory of this very type, in which every pattern of bits is a value.
        write(&mut unsafe { value.host()?.slice_mut::<T>() }[..value.layout.numel()]);
        Ok(Tensor::from_value(value))
    }

    /// A tensor from row-major values.
    ///
    /// ```
    /// let x = wengert::Tensor::from_slice(&[1i64, 2, 3], &[3]).unwrap();
    /// assert_eq!(x.to_vec_i64().unwrap(), [1, 2, 3]);
    /// ```
    pub fn from_slice<T: Native>(values: &[T], shape: &[usize]) -> Result<Tensor> {
        let numel = wengert_ops::layout::checked_numel("from_slice", shape)?;
        if values.len() != numel {
            fail!(runtime, "from_slice: {} values given, shape {shape:?} needs {numel}", values.len());
        }
        Tensor::written(shape, |all| all.copy_from_slice(values))
    }

    /// Ones.
    pub fn ones(shape: &[usize], dtype: DType, device: Device) -> Result<Tensor> {
        Tensor::full(shape, 1i64, dtype, device)
    }

    /// A tensor over memory of somebody else, shared in both directions. `strides` and `offset` count elements.
    ///
    /// # Safety
    /// `ptr..ptr + bytes` is valid, and writable, while `owner` lives.
    pub unsafe fn from_foreign(
        ptr: std::ptr::NonNull<u8>,
        bytes: usize,
        layout: Layout,
        dtype: DType,
        owner: Box<dyn std::any::Any + Send + Sync>,
    ) -> Result<Tensor> {
        if layout.numel() > 0 && layout.span().1 * dtype.size() > bytes {
            fail!(value, "the array's shape and strides reach past its memory");
        }
        let buffer =
            crate::buffer::Buffer::wrap(crate::buffer::Data::Cpu(wengert_cpu::Buffer::foreign(ptr, bytes, owner)));
        // Somebody else sees it: it is never swapped for a copy.
        buffer.pins.store(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Tensor::from_value(Value { buffer, layout, dtype }))
    }

    /// Shares the elements with the outside: address of the first element and a guard that must live as long as the
    /// address is used. Writes through it show here, and the other way round.
    pub fn export(&self) -> Result<(*mut u8, Layout, Export)> {
        crate::writable::own_buffer(self)?;
        let value = self.value();
        let host = value.host()?;
        let ptr = host.ptr();
        value.buffer.pins.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let layout = value.layout.clone();
        let at = ptr.wrapping_add(layout.offset() * value.dtype.size());
        Ok((at, layout, Export(value)))
    }

    /// All elements of the storage that this tensor shares with others, flat and off the tape; `None` if it has its own.
    pub fn shared_storage(&self) -> Result<Option<Tensor>> {
        let bytes = {
            let guard = crate::lock::lock();
            let cell = &self.0.state.get(&guard.key).cell;
            match cell.buffer(&guard.key).bytes() {
                Some(bytes) if !cell.is_unshared() => bytes,
                _ => return Ok(None),
            }
        };
        let n = bytes / self.dtype().size();
        Ok(Some(self.detach().as_strided(&[n as isize], &[1], Some(0))?.detach()))
    }

    /// Address of the first element, for identity only.
    pub fn data_ptr(&self) -> usize {
        let value = self.value();
        value.buffer.host().map_or(0, |h| h.ptr() as usize + value.layout.offset() * value.dtype.size())
    }
}

/// Keeps exported memory where it is.
pub struct Export(Value);

impl Drop for Export {
    fn drop(&mut self) {
        self.0.buffer.pins.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}
