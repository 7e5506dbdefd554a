//! Where values live: a name, no more.

/// Where values live.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Device {
    Cpu,
    /// The GPU of this number, among those that may be used.
    Gpu(u8),
    /// Shapes and dtypes without memory.
    Meta,
}

impl Device {
    /// Whether there are elements to compute.
    #[inline]
    pub fn has_memory(self) -> bool {
        self != Device::Meta
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Gpu(n) => write!(f, "gpu:{n}"),
            Device::Meta => f.write_str("meta"),
        }
    }
}
