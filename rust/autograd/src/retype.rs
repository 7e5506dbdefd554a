//! `view(dtype)`: one storage seen as elements of another dtype.

use crate::lock::lock;
use crate::tape::node::Edge;
use crate::tensor::{flag, Cell, Tensor};
use crate::views::share;
use wengert_ops::{fail, infer, DType, Result};

impl Tensor {
    /// The bytes of the elements as elements of another dtype: the same storage, off the tape.
    ///
    /// ```
    /// use wengert::{DType, Tensor};
    /// let x = Tensor::from_f32(&[1.0, -0.0], &[2]).unwrap();
    /// assert_eq!(x.view_dtype(DType::I32).unwrap().to_vec_i64().unwrap(), [0x3f80_0000, i32::MIN as i64]);
    /// ```
    pub fn view_dtype(&self, dtype: DType) -> Result<Tensor> {
        let mut guard = lock();
        let state = self.0.state.get(&guard.key);
        let layout = infer::retype(&state.layout, self.0.dtype(), dtype)?;
        if let Some(host) = state.cell.buffer(&guard.key).host() {
            // Memory of others may lie anywhere.
            if !(host.ptr() as usize).is_multiple_of(dtype.size()) {
                fail!(
                    runtime,
                    "view(dtype): the memory that this tensor shares is not aligned to elements of {dtype}; make a copy \
                     with .clone() first"
                );
            }
        }
        let storage = share(self, &mut guard.key);
        let flags = self.0.state.get(&guard.key).flags & flag::INFERENCE;
        Ok(Tensor::made((dtype, self.0.device()), Cell::Shared(storage), layout, Edge::None, flags, None))
    }
}
