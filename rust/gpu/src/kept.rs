//! What is kept on disk from one process to the next: compiled kernels, as far as the driver gives them out, and which
//! tiles were measured to be fast. It may be deleted at any time; nothing depends on it but time.

use crate::context::Context;
use crate::tuning::Tuned;
use std::ffi::OsString;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The folder of kept files, or `off`.
pub const CACHE: &str = "WENGERT_CACHE";

/// Files begin with this, and the sum of what follows.
const MARK: &[u8; 8] = b"wengert1";
/// Larger collections of kernels are not kept: drivers never take anything out of them.
const MOST: usize = 64 << 20;

/// The folder, by a function that looks variables up: what [`CACHE`] says, else where the system's users keep such.
fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let given = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    match given(CACHE) {
        Some(path) if path.as_os_str() == "off" => return None,
        Some(path) => return Some(path),
        None => {}
    }
    let base = if cfg!(windows) {
        given("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        given("HOME").map(|home| home.join("Library/Caches"))
    } else {
        given("XDG_CACHE_HOME").filter(|p| p.is_absolute()).or_else(|| given("HOME").map(|home| home.join(".cache")))
    };
    base.map(|base| base.join("wengert"))
}

/// The FNV-1a sum: enough to tell a file that was cut short or damaged.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What was written to a file, if it is all there.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(path).ok()?;
    let head = MARK.len() + 8;
    let known = bytes.get(MARK.len()..head)?.try_into().map(u64::from_le_bytes).ok()?;
    let whole = bytes.starts_with(MARK) && sum(&bytes[head..]) == known;
    bytes.drain(..head);
    whole.then_some(bytes)
}

/// Puts a whole file in place of what is there.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let outcome = std::fs::write(&part, [MARK, &sum(bytes).to_le_bytes()[..], bytes].concat())
        .and_then(|()| std::fs::rename(&part, path));
    if outcome.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    outcome
}

/// What a device keeps.
pub(crate) struct Kept {
    /// Its files without their extension; none where nothing is kept.
    place: Option<PathBuf>,
    pub kernels: Option<wgpu::PipelineCache>,
    /// The sum of what the kernels' file has.
    written: AtomicU64,
    pub tuned: Tuned,
}

impl Kept {
    /// What earlier processes have left for a device.
    pub fn open(adapter: &wgpu::AdapterInfo, device: &wgpu::Device) -> Kept {
        let driver = format!("{} {} {}", adapter.name, adapter.driver, adapter.driver_info);
        let name =
            format!("{}-{:x}-{:x}-{:016x}", adapter.backend, adapter.vendor, adapter.device, sum(driver.as_bytes()));
        let place = folder(|name| std::env::var_os(name)).map(|folder| folder.join(name));
        let found = |kind: &str| place.as_ref().and_then(|place| read(&place.with_extension(kind)));
        let data = found("kernels");
        let written = data.as_deref().map_or(0, sum);
        let kernels = (place.is_some() && device.features().contains(wgpu::Features::PIPELINE_CACHE)).then(|| {
            let descriptor = wgpu::PipelineCacheDescriptor { label: None, data: data.as_deref(), fallback: true };
            // SAFETY: the bytes are what `get_data` has given, as their sum tells; wgpu and the driver compare versions.
            unsafe { device.create_pipeline_cache(&descriptor) }
        });
        let tuned = Tuned::parse(&found("tiles").and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default());
        Kept { place, kernels, written: AtomicU64::new(written), tuned }
    }
}

impl Context {
    /// Writes what is new. Where that fails it is made again by the next process, and nobody needs to know.
    pub fn keep(&self) {
        let Some(place) = &self.kept.place else { return };
        if self.check().is_err() {
            return;
        }
        if let Some(kernels) = &self.kept.kernels {
            let data = catch_unwind(AssertUnwindSafe(|| kernels.get_data())).ok().flatten();
            if let Some(data) = data.filter(|data| data.len() <= MOST) {
                let now = sum(&data);
                if self.kept.written.swap(now, Ordering::Relaxed) != now {
                    let _ = write(&place.with_extension("kernels"), &data);
                }
            }
        }
        if let Some(text) = self.kept.tuned.news() {
            let _ = write(&place.with_extension("tiles"), text.as_bytes());
        }
    }
}

/// Writes what the devices in use have to keep. For the end of a process, which must not wait for anybody: while a device
/// is being opened nothing is written.
pub fn keep() {
    let open = crate::context::OPEN.try_lock().map(|open| open.clone()).unwrap_or_default();
    open.into_iter().flatten().for_each(Context::keep);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_what_the_user_says_or_the_systems() {
        let with = |pairs: &'static [(&str, &str)]| {
            folder(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value)))
        };
        assert_eq!(with(&[(CACHE, "off"), ("HOME", "/h")]), None);
        assert_eq!(with(&[(CACHE, "/there"), ("HOME", "/h")]), Some("/there".into()));
        assert_eq!(with(&[]), None);
        if cfg!(target_os = "linux") {
            assert_eq!(with(&[("HOME", "/h"), (CACHE, "")]), Some("/h/.cache/wengert".into()));
            assert_eq!(with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Some("/x/wengert".into()));
            // A relative one is to be ignored, says its specification.
            assert_eq!(with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "x")]), Some("/h/.cache/wengert".into()));
        }
    }

    #[test]
    fn only_whole_files_are_read() {
        let folder = std::env::temp_dir().join(format!("wengert-kept-{}", std::process::id()));
        let path = folder.join("deep").join("file.kernels");
        assert_eq!(read(&path), None);
        write(&path, b"some bytes").unwrap();
        assert_eq!(read(&path).unwrap(), b"some bytes");
        let all = std::fs::read(&path).unwrap();
        for damaged in [&all[..all.len() - 1], &all[..10], &[], b"something else altogether"] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(read(&path), None);
        }
        write(&path, b"").unwrap();
        assert_eq!(read(&path).unwrap(), b"");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        // What cannot be written leaves nothing behind.
        assert!(write(&path.join("under a file"), b"x").is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
