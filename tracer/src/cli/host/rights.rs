//! Giving up every capability that watching does not need (capabilities(7)).

use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, capabilities, capability_is_in_bounding_set,
        remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
    },
};

/// What is kept, and why.
const KEPT: [(CapabilitySet, &str); 13] = [
    (
        CapabilitySet::SYS_PTRACE,
        "other users' /proc/PID/exe, fd and memory",
    ),
    (CapabilitySet::DAC_READ_SEARCH, "files of targets"),
    (
        CapabilitySet::DAC_OVERRIDE,
        "a history in a directory of another user",
    ),
    (CapabilitySet::BPF, "closer looks"),
    (CapabilitySet::PERFMON, "closer looks"),
    (
        CapabilitySet::SYS_ADMIN,
        "uprobes, and /proc/PID/map_files; sockets of other namespaces",
    ),
    (CapabilitySet::NET_ADMIN, "sockets"),
    (CapabilitySet::SYS_RESOURCE, "limits of maps on old kernels"),
    (CapabilitySet::SYSLOG, "the kernel's log"),
    (CapabilitySet::SETUID, "the file worker becomes nobody"),
    (CapabilitySet::SETGID, "the same"),
    (CapabilitySet::KILL, "and has to be ended"),
    (CapabilitySet::CHECKPOINT_RESTORE, "/proc/PID/map_files"),
];

/// The highest that may come (`CAP_LAST_CAP` is 40 in Linux 6.18).
const HIGHEST: u32 = 63;

/// Gives up the others for good, in this process and all that it starts. To be called with
/// one thread. Says what is left.
pub fn drop_others() -> Result<String, String> {
    let failed = |what: &str, error: Errno| format!("{what}: {error}");
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads > 1 {
        return Err(format!("{threads} threads have them"));
    }
    let kept = KEPT
        .iter()
        .fold(CapabilitySet::empty(), |all, it| all | it.0);
    let bounded = bound_to(kept);
    let mut sets = capabilities(None).map_err(|error| failed("capget", error))?;
    sets.permitted &= kept;
    sets.effective = sets.permitted;
    sets.inheritable = CapabilitySet::empty();
    set_capabilities(None, sets).map_err(|error| failed("capset", error))?;
    set_no_new_privs(true).map_err(|error| failed("no_new_privs", error))?;
    // Last: who may not change it gives up all else.
    bounded.map_err(|error| failed("the bounding set", error))?;
    let names = sets.permitted.iter_names().map(|(name, _)| name);
    let names: Vec<&str> = names.collect();
    Ok(names.join(", "))
}

/// Takes the others from the bounding set (needs `CAP_SETPCAP`).
fn bound_to(kept: CapabilitySet) -> Result<(), Errno> {
    for number in 0..=HIGHEST {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(one) {
            continue;
        }
        // It ends with the first that the kernel does not know.
        match capability_is_in_bounding_set(one) {
            Ok(true) => remove_capability_from_bounding_set(one)?,
            Ok(false) => {}
            Err(_) => break,
        }
    }
    Ok(())
}
