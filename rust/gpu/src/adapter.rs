//! The machine's adapters, and which of them a device number means.

use crate::cooperative::Cooperative;
use crate::wait::block_on;
use std::sync::OnceLock;
use wengert_ops::{Error, Result};

/// What is known of a device before it is opened.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    pub name: String,
    pub vendor: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    pub driver: String,
    /// The largest single allocation, in bytes.
    pub max_buffer: u64,
    /// The largest part of one that a shader sees at once, in bytes.
    pub max_binding: u64,
    /// Whether it has cooperative matrices for products of float16, as far as wgpu and this library use them.
    pub cooperative: bool,
    /// Whether a processor plays the GPU.
    pub software: bool,
}

/// Asks for the software rasteriser to be counted among the devices.
pub const ALLOW_SOFTWARE: &str = "WENGERT_ALLOW_SOFTWARE_GPU";
/// Chooses the adapter: a part of its name, its number, or `off`.
pub const CHOICE: &str = "WENGERT_GPU";

pub(crate) struct Found {
    pub adapter: wgpu::Adapter,
    pub info: DeviceInfo,
}

fn vendor(id: u32) -> String {
    // PCI numbers, and Khronos' number for Mesa's software.
    match id {
        0x1002 => "AMD",
        0x106b => "Apple",
        0x10de => "NVIDIA",
        0x13b5 => "ARM",
        0x1414 => "Microsoft",
        0x5143 => "Qualcomm",
        0x8086 => "Intel",
        0x10005 => "Mesa",
        other => return format!("{other:#06x}"),
    }
    .to_owned()
}

fn described(adapter: &wgpu::Adapter) -> DeviceInfo {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    DeviceInfo {
        vendor: vendor(info.vendor),
        backend: info.backend.to_str().to_owned(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        max_buffer: limits.max_buffer_size,
        max_binding: limits.max_storage_buffer_binding_size,
        cooperative: Cooperative::of(adapter, adapter.features()).is_some(),
        software: info.device_type == wgpu::DeviceType::Cpu,
        name: info.name,
    }
}

/// What the drivers report, real hardware first. Asked once a process; no driver is no error but an empty list.
fn adapters() -> &'static [Found] {
    static FOUND: OnceLock<Vec<Found>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::PRIMARY,
            flags: wgpu::InstanceFlags::empty(),
            memory_budget_thresholds: wgpu::MemoryBudgetThresholds {
                for_resource_creation: None,
                for_device_loss: None,
            },
            backend_options: Default::default(),
            display: None,
        });
        let mut found: Vec<Found> = block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY))
            .into_iter()
            .map(|adapter| Found { info: described(&adapter), adapter })
            .collect();
        found.sort_by_key(|f| (f.info.software, f.adapter.get_info().device_type != wgpu::DeviceType::DiscreteGpu));
        found
    })
}

/// Which adapters may be used, in the order of their device numbers.
///
/// Choosing is a function of the list and the two variables, so that it can be tested without hardware.
fn chosen(infos: &[DeviceInfo], choice: Option<&str>, software: bool) -> Result<Vec<usize>> {
    let usable = || infos.iter().enumerate().filter(|(_, i)| software || !i.software);
    let listed = || match infos {
        [] => "there is no GPU driver here".to_owned(),
        _ => format!("there is {}", infos.iter().map(|i| format!("'{}'", i.name)).collect::<Vec<_>>().join(", ")),
    };
    let choice = match choice.map(str::trim) {
        None | Some("") => return Ok(usable().map(|(n, _)| n).collect()),
        Some("off") => return Ok(Vec::new()),
        Some(choice) => choice,
    };
    if let Ok(number) = choice.parse::<usize>() {
        return match infos.get(number) {
            // Named outright, a software device needs no second permission.
            Some(_) => Ok(vec![number]),
            None => Err(Error::runtime(format!("{CHOICE}={choice}: no such GPU; {}", listed()))),
        };
    }
    let wanted = choice.to_lowercase();
    let matching: Vec<usize> =
        infos.iter().enumerate().filter(|(_, i)| i.name.to_lowercase().contains(&wanted)).map(|(n, _)| n).collect();
    if matching.is_empty() {
        return Err(Error::runtime(format!("{CHOICE}={choice}: no GPU of that name; {}", listed())));
    }
    Ok(matching)
}

/// The adapters that the environment lets us use.
pub(crate) fn usable() -> Result<Vec<&'static Found>> {
    let choice = std::env::var(CHOICE).ok();
    if choice.as_deref().map(str::trim) == Some("off") {
        return Ok(Vec::new());
    }
    let software = std::env::var(ALLOW_SOFTWARE).is_ok_and(|v| !matches!(v.as_str(), "" | "0"));
    let found = adapters();
    let infos: Vec<DeviceInfo> = found.iter().map(|f| f.info.clone()).collect();
    Ok(chosen(&infos, choice.as_deref(), software)?.into_iter().map(|n| &found[n]).collect())
}

/// The GPUs of this machine that may be used; opens none of them.
///
/// # Errors
/// `WENGERT_GPU` names a GPU that is not there.
pub fn devices() -> Result<Vec<DeviceInfo>> {
    Ok(usable()?.into_iter().map(|f| f.info.clone()).collect())
}

/// Why there is no device of this number, for the user to act on.
pub(crate) fn missing(index: usize) -> Error {
    let found = adapters();
    let have = usable().map_or(0, |u| u.len());
    let why = if std::env::var(CHOICE).is_ok_and(|v| v.trim() == "off") {
        format!("{CHOICE}=off forbids it")
    } else if have > 0 {
        format!("there {} {have}: see wengert.gpu.devices()", if have == 1 { "is" } else { "are" })
    } else if let Some(f) = found.iter().find(|f| f.info.software) {
        format!("only the software device '{}' is here; set {ALLOW_SOFTWARE}=1 to use it", f.info.name)
    } else {
        "no Vulkan, Metal or DirectX 12 driver reports one; install your GPU's driver, or use device 'cpu'".to_owned()
    };
    Error::runtime(format!("gpu:{index}: no such GPU; {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, software: bool) -> DeviceInfo {
        DeviceInfo {
            name: name.into(),
            vendor: String::new(),
            backend: "vulkan".into(),
            driver: String::new(),
            max_buffer: 0,
            max_binding: 0,
            cooperative: false,
            software,
        }
    }

    #[test]
    fn software_devices_are_used_only_when_asked_for() {
        let all = [info("Radeon", false), info("Arc", false), info("llvmpipe (LLVM 15)", true)];
        assert_eq!(chosen(&all, None, false).unwrap(), [0, 1]);
        assert_eq!(chosen(&all, None, true).unwrap(), [0, 1, 2]);
        assert_eq!(chosen(&all[2..], None, false).unwrap(), []);
        assert_eq!(chosen(&all, Some("off"), true).unwrap(), []);
        assert_eq!(chosen(&all, Some("1"), false).unwrap(), [1]);
        assert_eq!(chosen(&all, Some("LLVM"), false).unwrap(), [2]);
        let unknown = chosen(&all, Some("geforce"), false).unwrap_err().to_string();
        assert!(unknown.contains("geforce") && unknown.contains("'Radeon'"), "{unknown}");
        assert!(chosen(&all, Some("7"), false).is_err());
        assert!(chosen(&[], Some("0"), false).unwrap_err().to_string().contains("no GPU driver"));
    }
}
