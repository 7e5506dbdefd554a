//! Optimizer steps, one call over all parameters.

use crate::args::tensors;
use crate::error::Raise;
use crate::tensor::{fresh, PyTensor};
use crate::types::type_name;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use wengert::optim::{adam_step, clip_grad_norm, sgd_step, zero_grad, Adam, AdamState, Sgd};
use wengert::{Row, Tensor};

fn optional_tensors(op: &str, name: &str, obj: &Bound<'_, PyAny>) -> PyResult<Vec<Option<Tensor>>> {
    obj.try_iter()?
        .map(|o| {
            let o = o?;
            if o.is_none() {
                return Ok(None);
            }
            match o.cast::<PyTensor>() {
                Ok(t) => Ok(Some(t.get().inner.clone())),
                Err(_) => Err(PyTypeError::new_err(format!(
                    "{op}(): '{name}' must be Tensors or None, not {}",
                    type_name(&o)
                ))),
            }
        })
        .collect()
}

fn same_length(op: &str, params: usize, name: &str, n: usize) -> PyResult<()> {
    if params == n {
        return Ok(());
    }
    Err(PyValueError::new_err(format!("{op}(): {params} parameters, but {n} {name}; give one for each parameter")))
}

/// One step of stochastic gradient descent over the parameters that have a gradient.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn _sgd_step(
    py: Python<'_>,
    params: &Bound<'_, PyAny>,
    momentum_buffers: &Bound<'_, PyAny>,
    lr: f64,
    momentum: f64,
    dampening: f64,
    weight_decay: f64,
    nesterov: bool,
    maximize: bool,
) -> PyResult<()> {
    let params = tensors("_sgd_step", "params", params)?;
    let mut buffers = optional_tensors("_sgd_step", "momentum_buffers", momentum_buffers)?;
    same_length("_sgd_step", params.len(), "momentum_buffers", buffers.len())?;
    let settings = Sgd { lr, momentum, dampening, weight_decay, nesterov, maximize };
    py.detach(|| sgd_step(&params, &mut buffers, &settings)).raise()
}

/// One step of Adam or AdamW over the parameters that have a gradient; `steps` are 0-d tensors, counted up here.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn _adam_step(
    py: Python<'_>,
    params: &Bound<'_, PyAny>,
    exp_avgs: &Bound<'_, PyAny>,
    exp_avg_sqs: &Bound<'_, PyAny>,
    max_exp_avg_sqs: &Bound<'_, PyAny>,
    steps: &Bound<'_, PyAny>,
    lr: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    weight_decay: f64,
    decoupled: bool,
    amsgrad: bool,
    maximize: bool,
) -> PyResult<()> {
    let op = "_adam_step";
    let params = tensors(op, "params", params)?;
    let means = tensors(op, "exp_avgs", exp_avgs)?;
    let squares = tensors(op, "exp_avg_sqs", exp_avg_sqs)?;
    let largest = optional_tensors(op, "max_exp_avg_sqs", max_exp_avg_sqs)?;
    let steps = tensors(op, "steps", steps)?;
    for (name, n) in [
        ("exp_avgs", means.len()),
        ("exp_avg_sqs", squares.len()),
        ("max_exp_avg_sqs", largest.len()),
        ("steps", steps.len()),
    ] {
        same_length(op, params.len(), name, n)?;
    }
    let settings = Adam { lr, beta1, beta2, eps, weight_decay, decoupled, amsgrad, maximize };
    py.detach(|| {
        let mut active = Vec::with_capacity(params.len());
        let mut states = Vec::with_capacity(params.len());
        for ((((p, mean), square), largest), step) in
            params.into_iter().zip(means).zip(squares).zip(largest).zip(&steps)
        {
            if p.grad().is_none() {
                continue;
            }
            step.row_(Row::Add, &[1i64.into()])?;
            states.push(AdamState {
                exp_avg: mean,
                exp_avg_sq: square,
                max_exp_avg_sq: largest,
                step: step.item()?.as_f64(),
            });
            active.push(p);
        }
        adam_step(&active, &states, &settings)
    })
    .raise()
}

/// Removes the gradients of parameters, or zeroes them.
#[pyfunction]
#[pyo3(signature = (params, set_to_none=true))]
fn _zero_grad(params: &Bound<'_, PyAny>, set_to_none: bool) -> PyResult<()> {
    zero_grad(&tensors("_zero_grad", "params", params)?, set_to_none).raise()
}

/// Scales gradients so that their joint norm is at most `max_norm`; the norm before is returned.
#[pyfunction]
fn _clip_grad_norm(py: Python<'_>, params: &Bound<'_, PyAny>, max_norm: f64, norm_type: f64) -> PyResult<Py<PyAny>> {
    let params = tensors("_clip_grad_norm", "params", params)?;
    fresh(py, py.detach(|| clip_grad_norm(&params, max_norm, norm_type)).raise()?)
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_sgd_step, m)?)?;
    m.add_function(wrap_pyfunction!(_adam_step, m)?)?;
    m.add_function(wrap_pyfunction!(_zero_grad, m)?)?;
    m.add_function(wrap_pyfunction!(_clip_grad_norm, m)?)?;
    Ok(())
}
