//! This machine: where a trace was made, and what may be had of it.

use crate::model::Host;

/// Processors that this process may run on.
pub fn processors() -> u32 {
    let known = std::thread::available_parallelism();
    known.map_or(1, |it| u32::try_from(it.get()).unwrap_or(u32::MAX))
}

/// Lets this process hold as many files open as it may, within reason.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const ENOUGH: u64 = 1 << 16;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH, |it| it.min(ENOUGH));
    if current.is_none_or(|it| it >= wanted) {
        return;
    }
    // Without it fewer are held open.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(wanted),
            maximum,
        },
    );
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
