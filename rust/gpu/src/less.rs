//! Playing a poorer adapter, to see what a program does on other people's: `WENGERT_GPU_LESS` names what a device is
//! opened without, such as `f64, bindings=8`. wgpu itself then enforces it.

use wengert_ops::{Error, Result};
use wgpu::{Features, Limits};

/// Names the features that devices are opened without, and the limits that are lowered.
pub const LESS: &str = "WENGERT_GPU_LESS";

/// Features by the names they have in [`LESS`].
const FEATURES: [(&str, Features); 4] = [
    ("f64", Features::SHADER_F64),
    ("int64", Features::SHADER_INT64),
    ("subgroup", Features::SUBGROUP),
    ("immediates", Features::IMMEDIATES),
];

/// Bytes below which a binding's offset might not be aligned.
const LEAST_BINDING: u64 = 256;

/// Takes from an adapter's features and limits what the text names.
fn lessen(text: &str, features: &mut Features, limits: &mut Limits) -> Result<()> {
    let wrong = |part: &str| {
        let names: Vec<&str> = FEATURES.iter().map(|f| f.0).collect();
        Error::value(format!(
            "{LESS}: '{part}' is none of {}, bindings=NUMBER, binding=BYTES (at least {LEAST_BINDING}), buffer=BYTES",
            names.join(", ")
        ))
    };
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        if let Some((_, feature)) = FEATURES.iter().find(|f| f.0 == part) {
            features.remove(*feature);
            continue;
        }
        let Some((name, Ok(value))) = part.split_once('=').map(|(n, v)| (n.trim(), v.trim().parse::<u64>())) else {
            return Err(wrong(part));
        };
        match name {
            "bindings" => {
                let most = &mut limits.max_storage_buffers_per_shader_stage;
                *most = u64::from(*most).min(value) as u32;
            }
            "binding" if value >= LEAST_BINDING => {
                limits.max_storage_buffer_binding_size = limits.max_storage_buffer_binding_size.min(value);
            }
            "buffer" => limits.max_buffer_size = limits.max_buffer_size.min(value),
            _ => return Err(wrong(part)),
        }
    }
    Ok(())
}

/// What an adapter has, less what the environment takes from it.
pub(crate) fn remaining(adapter: &wgpu::Adapter) -> Result<(Features, Limits)> {
    let (mut features, mut limits) = (adapter.features(), adapter.limits());
    if let Ok(text) = std::env::var(LESS) {
        lessen(&text, &mut features, &mut limits)?;
    }
    Ok((features, limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_taken_and_nothing_is_added() {
        let (mut features, mut limits) = (Features::all(), Limits::default());
        lessen("f64, bindings = 4,,binding=4096, buffer=99999999999999", &mut features, &mut limits).unwrap();
        assert!(!features.contains(Features::SHADER_F64) && features.contains(Features::SHADER_INT64));
        let standard = Limits::default();
        assert_eq!(limits.max_storage_buffers_per_shader_stage, 4);
        assert_eq!(limits.max_storage_buffer_binding_size, 4096);
        assert_eq!(limits.max_buffer_size, standard.max_buffer_size);
        for bad in ["f16", "bindings", "bindings=many", "binding=16", "threads=1"] {
            let error = lessen(bad, &mut features, &mut limits).unwrap_err().to_string();
            assert!(error.contains(LESS) && error.contains(bad) && error.contains("subgroup"), "{error}");
        }
    }
}
