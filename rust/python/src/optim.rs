//! Optimizer steps, one call over all parameters.

use crate::args::{need_tensor, tensors};
use crate::class::tensor_of;
use crate::error::Raise;
use crate::tensor::fresh;
use crate::types::type_name;
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use wengert::optim::{adam_step, clip_grad_norm, sgd_step, total_norm, zero_grad, Adam, AdamState, Sgd};
use wengert::Tensor;

fn optional_tensors(op: &str, name: &str, obj: &Bound<'_, PyAny>) -> PyResult<Vec<Option<Tensor>>> {
    obj.try_iter()?
        .map(|o| {
            let o = o?;
            if o.is_none() {
                return Ok(None);
            }
            match tensor_of(&o) {
                Some(t) => Ok(Some(t.clone())),
                None => Err(PyTypeError::new_err(format!(
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
    let work = params.iter().map(|p| p.numel()).sum();
    run(py, work, || sgd_step(&params, &mut buffers, &settings))
}

fn option<'py>(group: &Bound<'py, PyDict>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    group.get_item(name)?.ok_or_else(|| PyKeyError::new_err(name.clone().unbind()))
}

/// One step of Adam or AdamW over the parameters of a group that have a gradient. `state` maps a parameter to its dict
/// of tensors, which `start(param)` makes at its first step; "step" is counted up.
#[pyfunction]
fn _adam_step(
    py: Python<'_>,
    group: &Bound<'_, PyDict>,
    state: &Bound<'_, PyDict>,
    start: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let number = |name| option(group, name)?.extract::<f64>();
    let flag = |name| option(group, name)?.is_truthy();
    let betas = option(group, intern!(py, "betas"))?;
    let amsgrad = flag(intern!(py, "amsgrad"))?;
    let settings = Adam {
        lr: number(intern!(py, "lr"))?,
        beta1: betas.get_item(0)?.extract()?,
        beta2: betas.get_item(1)?.extract()?,
        eps: number(intern!(py, "eps"))?,
        weight_decay: number(intern!(py, "weight_decay"))?,
        decoupled: flag(intern!(py, "decoupled_weight_decay"))?,
        amsgrad,
        maximize: flag(intern!(py, "maximize"))?,
    };
    let params = option(group, intern!(py, "params"))?;
    let (mut active, mut states) = (Vec::new(), Vec::new());
    let mut work = 0;
    for p in params.try_iter()? {
        let p = p?;
        let inner = need_tensor("_adam_step", "params", &p)?;
        if !inner.has_grad() {
            continue;
        }
        let entry = match state.get_item(&p)? {
            Some(entry) if entry.is_truthy()? => entry,
            _ => start.call1((&p,))?,
        };
        let entry = entry.cast_into::<PyDict>()?;
        let part = |name: &Bound<'_, PyString>| -> PyResult<Tensor> {
            match entry.get_item(name)? {
                Some(part) => match tensor_of(&part) {
                    Some(t) => Ok(t.clone()),
                    None => need_tensor("Adam", name.to_str()?, &part).cloned(),
                },
                None => Err(PyKeyError::new_err(name.clone().unbind())),
            }
        };
        states.push(AdamState {
            exp_avg: part(intern!(py, "exp_avg"))?,
            exp_avg_sq: part(intern!(py, "exp_avg_sq"))?,
            max_exp_avg_sq: if amsgrad { Some(part(intern!(py, "max_exp_avg_sq"))?) } else { None },
            step: part(intern!(py, "step"))?,
        });
        work += inner.numel();
        active.push(inner.clone());
    }
    run(py, work, || adam_step(&active, &states, &settings))
}

/// Small steps are over before another thread could have taken the interpreter.
fn run<T: Send>(py: Python<'_>, work: usize, f: impl FnOnce() -> wengert::Result<T> + Send) -> PyResult<T> {
    if work > 4096 { crate::owned::detached(py, f) } else { f() }.raise()
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
    fresh(py, crate::owned::detached(py, || clip_grad_norm(&params, max_norm, norm_type)).raise()?)
}

/// The norm of order `norm_type` of all elements of the tensors taken together.
#[pyfunction]
fn _total_norm(py: Python<'_>, tensors: &Bound<'_, PyAny>, norm_type: f64) -> PyResult<Py<PyAny>> {
    let all = self::tensors("_total_norm", "tensors", tensors)?;
    fresh(py, crate::owned::detached(py, || total_norm(&all, norm_type)).raise()?)
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_sgd_step, m)?)?;
    m.add_function(wrap_pyfunction!(_adam_step, m)?)?;
    m.add_function(wrap_pyfunction!(_zero_grad, m)?)?;
    m.add_function(wrap_pyfunction!(_clip_grad_norm, m)?)?;
    m.add_function(wrap_pyfunction!(_total_norm, m)?)?;
    Ok(())
}
