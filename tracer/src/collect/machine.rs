//! Where a trace was made.

use crate::model::Host;

/// Processors that this process may run on.
pub fn processors() -> u32 {
    let known = std::thread::available_parallelism();
    known.map_or(1, |it| u32::try_from(it.get()).unwrap_or(u32::MAX))
}

/// This host, as the report tells it.
pub fn host() -> Host {
    let uname = rustix::system::uname();
    Host {
        kernel: uname.release().to_string_lossy().into_owned(),
        boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        processor: uname.machine().to_string_lossy().into_owned(),
    }
}
