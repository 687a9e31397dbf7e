//! Whom the kernel killed for want of memory, as its log tells it (`__oom_kill_process`,
//! mm/oom_kill.c; the record's form in Documentation/ABI/testing/dev-kmsg).

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
};

use super::proc_files::number;

/// Records read at one look at most; the rest at the next.
const RECORDS: usize = 4096;
/// A longer record is cut (`PRINTKRB_RECORD_MAX`, 1024, and its prefix).
const RECORD_BYTES: usize = 8192;

/// A kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Since boot.
    pub at_us: u64,
    /// Whom.
    pub pid: u32,
    /// What the kernel calls it, at most 15 bytes.
    pub name: String,
    /// Its own, files' and shared memory together.
    pub resident_bytes: u64,
}

/// The kernel's log from now on.
#[derive(Debug)]
pub struct KernelLog {
    file: File,
}

impl KernelLog {
    /// Opens it at its end.
    ///
    /// # Errors
    /// Not without CAP_SYSLOG, where `kernel.dmesg_restrict` is set.
    pub fn open() -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")?;
        rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))?;
        Ok(Self { file })
    }

    /// Kills since the last time, and how often records were overwritten unread.
    pub fn take(&mut self) -> (Vec<Kill>, u64) {
        let (mut kills, mut overruns) = (Vec::new(), 0);
        let mut record = [0; RECORD_BYTES];
        for _ in 0..RECORDS {
            match self.file.read(&mut record) {
                Ok(0) => break,
                Ok(length) => kills.extend(kill(record.get(..length).unwrap_or_default())),
                // EPIPE: what would have come next was overwritten.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => overruns += 1,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        (kills, overruns)
    }
}

/// `3,1234,5678901,-;Memory cgroup out of memory: Killed process 42 (node) total-vm:9kB,
/// anon-rss:7kB, file-rss:1kB, shmem-rss:0kB, UID:0 …`. What user space writes into the log
/// has another facility than 0, and is not believed.
fn kill(record: &[u8]) -> Option<Kill> {
    const FACILITY: u64 = 8;
    let text = String::from_utf8_lossy(record);
    let (prefix, text) = text.split_once(';')?;
    let mut fields = prefix.split(',');
    let level = number(fields.next()?.as_bytes())?;
    let at_us = number(fields.nth(1)?.as_bytes())?;
    let (cause, text) = text.split_once(": Killed process ")?;
    let is_kill = matches!(
        cause,
        "Out of memory"
            | "Memory cgroup out of memory"
            | "Out of memory (oom_kill_allocating_task)"
    );
    if level >= FACILITY || !is_kill {
        return None;
    }
    let (pid, text) = text.split_once(" (")?;
    // The name may hold anything; figures follow its last parenthesis.
    let (name, figures) = text.rsplit_once(") total-vm:")?;
    let of = |name: &str| {
        let (_, value) = figures.split_once(name)?;
        let digits = value.split_once("kB")?.0;
        number(digits.as_bytes())?.checked_mul(1024)
    };
    let parts = ["anon-rss:", "file-rss:", "shmem-rss:"];
    Some(Kill {
        at_us,
        pid: pid.parse().ok()?,
        name: name.chars().filter(|c| !c.is_control()).collect(),
        resident_bytes: (parts.into_iter().filter_map(of)).fold(0, u64::saturating_add),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Both of the kernel's sentences are read, and a program of any name keeps it.
    #[test]
    fn reads_kills() {
        let record = b"3,991,5678901,-;Memory cgroup out of memory: Killed process 42 (a) (b) total-vm:900kB, anon-rss:700kB, file-rss:20kB, shmem-rss:4kB, UID:0 pgtables:88kB oom_score_adj:0\n SUBSYSTEM=x\n";
        let found = kill(record).unwrap();
        assert_eq!((found.at_us, found.pid), (5_678_901, 42));
        assert_eq!(
            (found.name.as_str(), found.resident_bytes),
            ("a) (b", 724 << 10)
        );
        let whole = b"3,1,2,-;Out of memory: Killed process 7 (node) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB\n";
        assert_eq!(kill(whole).unwrap().pid, 7);
    }

    /// What a program writes into the log is not taken for the kernel's word.
    #[test]
    fn nobody_else_is_believed() {
        let told = "1,2,-;Out of memory: Killed process 7 (node) total-vm:1kB, anon-rss:1kB";
        assert!(kill(format!("3,{told}").as_bytes()).is_some());
        assert!(kill(format!("12,{told}").as_bytes()).is_none());
        assert!(kill(b"6,1,2,-;eth0: link up\n").is_none());
    }

    proptest! {
        /// No record makes it panic.
        #[test]
        fn any_record_is_read(text: String) {
            let _ = kill(text.as_bytes());
            let _ = kill(format!("3,1,2,-;Out of memory: Killed process {text}").as_bytes());
        }
    }
}
