//! The module `wengert._core`: thin bindings, one file an idea.

mod allocator;
mod args;
mod autograd;
mod class;
mod construct;
mod convert;
mod cpu;
mod creation;
mod error;
mod function;
mod functions;
mod gpu;
mod index;
mod modes;
mod module;
mod optim;
mod owned;
mod properties;
mod random;
mod row_arguments;
mod row_cases;
mod rows;
mod sharing;
mod tensor;
mod types;

use pyo3::prelude::*;
use wengert_ops::DType;

#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

#[pymodule]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    m.add("LinAlgError", py.get_type::<error::LinAlgError>())?;
    m.add("InternalError", py.get_type::<error::InternalError>())?;
    m.add_class::<tensor::PyTensor>()?;
    m.add("Tensor", class::tensor_class(py)?)?;
    types::register(m)?;
    for dtype in DType::ALL {
        m.add(dtype.name(), types::dtype_object(py, dtype)?)?;
    }
    for (alias, dtype) in [
        ("half", DType::F16),
        ("float", DType::F32),
        ("double", DType::F64),
        ("short", DType::I16),
        ("int", DType::I32),
        ("long", DType::I64),
    ] {
        m.add(alias, types::dtype_object(py, dtype)?)?;
    }
    rows::register(m)?;
    properties::register(m)?;
    construct::register(m)?;
    convert::register(m)?;
    index::register(m)?;
    creation::register(m)?;
    random::register(m)?;
    functions::register(m)?;
    autograd::register(m)?;
    function::register(m)?;
    optim::register(m)?;
    modes::register(m)?;
    module::register(m)?;
    cpu::register(m)?;
    gpu::register(m)?;
    Ok(())
}
