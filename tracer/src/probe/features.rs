//! What this kernel and these rights allow: features are tried, not guessed
//! from versions.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use aya::{programs::ProgramType, sys::is_helper_supported};
use aya_obj::generated::bpf_func_id;

use super::{Kernel, KernelTypes, Limits, ProbeError, Uprobes, canary, sockets::SocketIterators};
use crate::model::trace_sockets::Probes;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What it costs to be without it, or what to do.
    pub without: &'static str,
}

/// The check whose failing lets processes under seccomp be refused.
pub const RETURN_PROBES_UNDER_SECCOMP: &str = "return probes under seccomp";

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Good.
    Good,
    /// memtrace works, but less well.
    Limited,
    /// memtrace does not work.
    Missing,
}

/// Looks at everything.
#[must_use]
pub fn examine() -> Vec<Check> {
    let mut checks = vec![rights(), pid_namespace(), lockdown()];
    let types = KernelTypes::of_this_kernel();
    checks.push(btf(&types));
    checks.push(seccomp_filter());
    match &types {
        Ok(types) => checks.extend(programs(types)),
        Err(_) => checks.push(socket_iterators(false)),
    }
    checks.push(helper(
        "typed task",
        bpf_func_id::BPF_FUNC_get_current_task_btf,
        "60 ns more a call (Linux 5.11)",
    ));
    checks.push(helper(
        "bpf_loop",
        bpf_func_id::BPF_FUNC_loop,
        "stacks of 40 frames at most, not 127, and no names for JavaScript functions (Linux 5.17)",
    ));
    checks.push(map_files());
    checks
}

/// What is loaded, attached and tried.
fn programs(types: &KernelTypes) -> Vec<Check> {
    let missing = |name, error: ProbeError| Check {
        name,
        state: State::Missing,
        found: error.to_string(),
        without: "nothing can be traced",
    };
    let mut kernel = match Kernel::load(types, &Limits::default(), true) {
        Ok(kernel) => kernel,
        Err(error) => return vec![missing("eBPF programs", error)],
    };
    let mut checks = vec![
        Check {
            name: "eBPF programs",
            state: State::Good,
            found: "load".to_owned(),
            without: "",
        },
        uprobes(kernel.uprobes()),
        socket_iterators(SocketIterators::load(types).is_ok()),
        socket_probes(types, &mut kernel),
    ];
    match canary::examine(&mut kernel) {
        Ok(findings) => checks.extend(of_canary(&findings, kernel.uprobes() == Uprobes::Multi)),
        Err(error) => checks.push(missing("probes", error)),
    }
    checks
}

/// Whether pids here are those that the kernel side sees: the first pid
/// namespace has a fixed inode (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
#[must_use]
pub fn is_in_first_pid_namespace() -> bool {
    const FIRST: u64 = 0xEFFF_FFFC;
    fs::metadata("/proc/self/ns/pid").is_ok_and(|namespace| namespace.ino() == FIRST)
}

fn pid_namespace() -> Check {
    let first = is_in_first_pid_namespace();
    Check {
        name: "pid namespace",
        state: if first { State::Good } else { State::Missing },
        found: if first { "the host's" } else { "a container's" }.to_owned(),
        without: "run on the host, or with the host's pid namespace (docker run --pid=host)",
    }
}

fn rights() -> Check {
    let is_root = rustix::process::geteuid().is_root();
    let effective = fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            status.lines().find_map(|line| {
                line.strip_prefix("CapEff:")
                    .map(|value| value.trim().to_owned())
            })
        })
        .and_then(|value| u64::from_str_radix(&value, 16).ok())
        .unwrap_or(0);
    // include/uapi/linux/capability.h
    let needed = [
        (19, "CAP_SYS_PTRACE"),
        (21, "CAP_SYS_ADMIN"),
        (38, "CAP_PERFMON"),
        (39, "CAP_BPF"),
    ];
    let missing: Vec<&str> = needed
        .iter()
        .filter(|(bit, _)| effective >> bit & 1 == 0)
        .map(|(_, name)| *name)
        .collect();
    Check {
        name: "rights",
        state: if missing.is_empty() {
            State::Good
        } else {
            State::Missing
        },
        found: match (missing.is_empty(), is_root) {
            (true, true) => "root".to_owned(),
            (true, false) => "all capabilities needed".to_owned(),
            (false, _) => format!("without {}", missing.join(", ")),
        },
        without: "run with sudo; nothing can be traced without these capabilities",
    }
}

fn lockdown() -> Check {
    let text = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    let mode = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or("none", |(mode, _)| mode);
    Check {
        name: "kernel lockdown",
        state: if mode == "confidentiality" {
            State::Missing
        } else {
            State::Good
        },
        found: mode.to_owned(),
        without: "lockdown=confidentiality forbids reading memory from eBPF: boot without it",
    }
}

fn btf(types: &Result<KernelTypes, ProbeError>) -> Check {
    let found = match types {
        Ok(types) => types
            .offsets("task_struct", ["mm", "tgid"])
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Check {
        name: "kernel types (BTF)",
        state: if found.is_ok() {
            State::Good
        } else {
            State::Missing
        },
        found: found.map_or_else(|error| error, |_| "/sys/kernel/btf/vmlinux".to_owned()),
        without: "nothing can be traced: use a kernel built with CONFIG_DEBUG_INFO_BTF",
    }
}

fn seccomp_filter() -> Check {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mode = status
        .lines()
        .find_map(|line| line.strip_prefix("Seccomp:"))
        .map_or("?", str::trim);
    Check {
        name: "seccomp on memtrace",
        state: if mode == "0" {
            State::Good
        } else {
            State::Limited
        },
        found: if mode == "0" {
            "none".to_owned()
        } else {
            format!("mode {mode}")
        },
        without: "a container's filter may refuse bpf and perf_event_open: allow them, or run on the host",
    }
}

fn uprobes(uprobes: Uprobes) -> Check {
    Check {
        name: "uprobes",
        state: match uprobes {
            Uprobes::Multi => State::Good,
            Uprobes::Single | Uprobes::SingleWithoutCookies => State::Limited,
        },
        found: match uprobes {
            Uprobes::Multi => "multi links",
            Uprobes::Single => "single ones",
            Uprobes::SingleWithoutCookies => "single ones, without cookies: programs are copied",
        }
        .to_owned(),
        without: "detaching takes some seconds instead of 0.2 s (multi links: Linux 6.6)",
    }
}

fn of_canary(findings: &canary::Findings, multi: bool) -> Vec<Check> {
    let mut checks = vec![
        Check {
            name: RETURN_PROBES_UNDER_SECCOMP,
            state: if findings.seccomp_safe {
                State::Good
            } else {
                State::Limited
            },
            found: if findings.seccomp_safe {
                "safe"
            } else {
                "they kill the process"
            }
            .to_owned(),
            without: "processes under a seccomp filter (most containers, Chromium) are refused; some kernels from 6.11 on, mended later",
        },
        Check {
            name: "cost of a probe",
            state: State::Good,
            found: format!(
                "{:.0} ns at an entry, {:.0} ns more at a return",
                findings.traps.entry_ns, findings.traps.return_ns
            ),
            without: "",
        },
    ];
    if multi {
        checks.push(Check {
            name: "multi links see threads",
            state: if findings.sees_threads {
                State::Good
            } else {
                State::Limited
            },
            found: if findings.sees_threads {
                "yes"
            } else {
                "no: single probes are used"
            }
            .to_owned(),
            without: "detaching takes some seconds instead of 0.2 s (Linux 6.10)",
        });
    }
    checks
}

fn helper(name: &'static str, helper: bpf_func_id, without: &'static str) -> Check {
    let has = is_helper_supported(ProgramType::KProbe, helper).unwrap_or(false);
    Check {
        name,
        state: if has { State::Good } else { State::Limited },
        found: if has { "yes" } else { "no" }.to_owned(),
        without,
    }
}

fn socket_iterators(load: bool) -> Check {
    Check {
        name: "iterators over sockets",
        state: if load { State::Good } else { State::Limited },
        found: if load { "yes" } else { "no" }.to_owned(),
        without: "sockets are read by sock_diag, which tells less of accept queues and of what a connection waits for (Linux 5.12)",
    }
}

/// They are attached for a moment; the gate is shut.
fn socket_probes(types: &KernelTypes, kernel: &mut Kernel) -> Check {
    let attached = kernel.attach_sockets(types, None);
    let (state, found) = match attached.probes {
        Probes::Fentry => (State::Good, "at TCP's allocators, by fentry"),
        Probes::Kprobe => (State::Good, "at TCP's allocators, by kprobe"),
        Probes::Tracepoints => (State::Good, "tracepoints of send and receive"),
        Probes::None => (State::Limited, "none"),
    };
    Check {
        name: "who fills sockets' queues",
        state,
        found: found.to_owned(),
        without: "how much is in the queues is told, whose doing it is not: fentry, kprobes or Linux 6.5 are needed",
    }
}

fn map_files() -> Check {
    let readable = fs::read_dir("/proc/self/map_files")
        .ok()
        .and_then(|mut entries| entries.next()?.ok())
        .is_some_and(|entry| {
            fs::metadata(entry.path()).is_ok() && Path::new("/proc/1/map_files").exists()
        });
    Check {
        name: "/proc/PID/map_files",
        state: if readable {
            State::Good
        } else {
            State::Missing
        },
        found: if readable { "readable" } else { "not readable" }.to_owned(),
        without: "mapped files cannot be opened: CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE is needed",
    }
}
