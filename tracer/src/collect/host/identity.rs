//! Who a process is: what it runs, and in which group.

use std::{fs, io::Read as _};

use crate::model::Process;

/// Longest name kept, characters. Names are labels of metrics, too.
const NAME_MAX: usize = 64;
/// Longest path kept.
const PATH_MAX: usize = 512;
/// Read of `cmdline`, of which `argv[0]` alone is wanted.
const COMMAND_BYTES: u64 = 4096;
/// Read of `cgroup`.
const GROUP_BYTES: u64 = 16 << 10;

/// Who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// What it runs, such as `node`.
    pub name: String,
    /// Its executable, as it sees it; empty: not to be had.
    pub executable: String,
    /// Its cgroup.
    pub group: String,
}

/// Asks `/proc`; what cannot be read is empty.
#[must_use]
pub fn identity(pid: u32) -> Identity {
    let executable = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let executable = executable.to_string_lossy();
    let executable = executable.strip_suffix(" (deleted)").unwrap_or(&executable);
    let command = bounded_read(&format!("/proc/{pid}/cmdline"), COMMAND_BYTES);
    let first = command.split(|byte| *byte == 0).next().unwrap_or_default();
    Identity {
        name: name(&String::from_utf8_lossy(first), executable),
        executable: executable.chars().take(PATH_MAX).collect(),
        group: group(&bounded_read(&format!("/proc/{pid}/cgroup"), GROUP_BYTES)),
    }
}

fn bounded_read(path: &str, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        // What was read before an error is as good.
        let _ = file.take(most).read_to_end(&mut bytes);
    }
    bytes
}

/// The program. Who has written a title over its arguments (`nginx: worker process`,
/// `postgres: somebody 10.0.0.7 SELECT`) is called by its executable: titles tell of users and
/// secrets.
fn name(command: &str, executable: &str) -> String {
    let is_title = command.chars().any(char::is_whitespace) && !executable.is_empty();
    let process = Process {
        command: if is_title { "" } else { command }.to_owned(),
        executable: executable.to_owned(),
        ..Process::default()
    };
    // A login shell is called `-bash`.
    let name = process.program().trim_start_matches('-');
    let is_clean = |c: &char| !c.is_control();
    name.chars().filter(is_clean).take(NAME_MAX).collect()
}

/// The group that accounts its memory: of the one hierarchy, or where the memory
/// controller has one of its own (cgroups(7)), of that.
fn group(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut unified = "";
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if controllers.split(',').any(|it| it == "memory") {
            return path.chars().take(PATH_MAX).collect();
        }
        if number == "0" && controllers.is_empty() {
            unified = path;
        }
    }
    unified.chars().take(PATH_MAX).collect()
}

/// The same command in the same group.
pub fn is_same(one: &Identity, other: &Identity) -> bool {
    let is_known = !one.executable.is_empty() && !other.executable.is_empty();
    one.name == other.name
        && place(&one.group) == place(&other.group)
        && (!is_known || one.executable == other.executable)
}

/// The group without the id of the container, where a pod tells that it is the same place: each
/// restart of a container of a pod has another id.
fn place(group: &str) -> std::borrow::Cow<'_, str> {
    const DIGITS: usize = 64;
    let is_id = |part: &&str| part.len() == DIGITS && part.bytes().all(|it| it.is_ascii_hexdigit());
    let id = (group.split(['/', '-', '.', ':'])).find(is_id);
    match id {
        Some(id) if group.contains("kubepods") => group.replace(id, "").into(),
        _ => group.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A program is called by what was started, without its path, its arguments, or a title
    /// that holds them.
    #[test]
    fn names_hold_no_arguments() {
        let node = "/usr/local/bin/node";
        for (command, executable, expected) in [
            ("node", node, "node"),
            ("/opt/app/server", "/opt/app/server-1.2", "server"),
            ("", node, "node"),
            ("node app.js --token=secret", node, "node"),
            (
                "postgres: eve 10.0.0.7 SELECT",
                "/usr/lib/postgres",
                "postgres",
            ),
            ("-bash", "/bin/bash", "bash"),
            ("a\x1b[31m", "", "a[31m"),
        ] {
            assert_eq!(name(command, executable), expected);
        }
    }

    /// The memory controller's own hierarchy goes before the unified one.
    #[test]
    fn the_group_is_that_of_memory() {
        assert_eq!(
            group(b"0::/system.slice/web.service\n"),
            "/system.slice/web.service"
        );
        assert_eq!(
            group(b"9:name=systemd:/x\n4:cpu,memory:/docker/ab\n0::/\n"),
            "/docker/ab"
        );
        assert_eq!(group(b"4:memory:/a:b\n"), "/a:b");
        assert_eq!(group(b"nonsense"), "");
    }

    /// A container of a pod that begins again has another id and is the same line; another container
    /// outside of pods is not.
    #[test]
    fn a_pods_container_is_one_place() {
        let (one, other) = ("0".repeat(64), "f".repeat(64));
        let pod =
            |id: &str| format!("/kubepods.slice/kubepods-pod7.slice/cri-containerd-{id}.scope");
        assert_eq!(place(&pod(&one)), place(&pod(&other)));
        let docker = |id: &str| format!("/system.slice/docker-{id}.scope");
        assert_ne!(place(&docker(&one)), place(&docker(&other)));
    }

    proptest! {
        /// No text makes them panic, and names are bounded.
        #[test]
        fn any_text_is_read(command: String, executable: String, bytes: Vec<u8>) {
            prop_assert!(name(&command, &executable).chars().count() <= NAME_MAX);
            let _ = group(&bytes);
        }
    }
}
