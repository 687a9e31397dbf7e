//! Every process of the host and its resident set, at one read each.
//!
//! Of a process that is known `statm` is held open: such a file is of that process and not
//! of its number, so that it ends with it, and a number that another process has by
//! now is told apart without a look at when it began (`proc_pid`, fs/proc/base.c).

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
};

use super::proc_files;
use crate::collect::sockets::processes;

/// Files held open at most: each takes some 5 KiB of kernel memory, most of it the page
/// that the kernel writes into.
const DESCRIPTORS: usize = 2048;
/// `stat` and `statm` are shorter.
const FILE_BYTES: usize = 1024;

/// A process at a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub pid: u32,
    /// When it began, ns since boot.
    pub start_time: u64,
    /// Resident.
    pub resident_bytes: u64,
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Look {
    /// Processes with memory of their own.
    pub seen: Vec<Seen>,
    /// Those that were there the last time and are not any more: pid and start.
    pub ended: Vec<(u32, u64)>,
    /// Those whose files may not be read.
    pub unreadable: u64,
}

/// All that are known.
#[derive(Debug)]
pub struct Processes {
    known: HashMap<u32, Known>,
    held: usize,
    /// That may be held.
    most: usize,
    look: u64,
    ns_per_tick: u64,
    page: u64,
}

#[derive(Debug)]
struct Known {
    start_time: u64,
    is_kernel_thread: bool,
    statm: Option<File>,
    /// At which look it was seen last.
    look: u64,
}

/// How it stands with one.
enum State {
    Resident(u64),
    Kernel,
    Ended,
}

impl Default for Processes {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            held: 0,
            most: most_descriptors(),
            look: 0,
            ns_per_tick: 1_000_000_000 / procfs::ticks_per_second().max(1),
            page: procfs::page_size(),
        }
    }
}

impl Processes {
    /// Looks at all of them.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn look(&mut self) -> io::Result<Look> {
        self.look += 1;
        let mut found = Look::default();
        for pid in processes()? {
            match self.state(pid, &mut found.ended) {
                Ok((start_time, State::Resident(resident_bytes))) => found.seen.push(Seen {
                    pid,
                    start_time,
                    resident_bytes,
                }),
                Ok((_, State::Kernel)) => {}
                // It has ended, or waits for its parent to take notice.
                Ok((_, State::Ended)) => self.forget(pid, &mut found.ended),
                Err(error) => {
                    found.unreadable += u64::from(error.kind() == io::ErrorKind::PermissionDenied);
                    self.forget(pid, &mut found.ended);
                }
            }
        }
        let now = self.look;
        let gone = |it: &(&u32, &Known)| it.1.look != now;
        let gone: Vec<u32> = (self.known.iter()).filter(gone).map(|it| *it.0).collect();
        for pid in gone {
            self.forget(pid, &mut found.ended);
        }
        Ok(found)
    }

    /// The resident set of one that is known, between two looks; `None`: it has ended.
    #[must_use]
    pub fn resident(&self, pid: u32, start_time: u64) -> Option<u64> {
        let known = (self.known.get(&pid)).filter(|it| it.start_time == start_time)?;
        let mut buffer = [0; FILE_BYTES];
        let pages = match &known.statm {
            Some(file) => pages_of(file, &mut buffer).ok()??,
            None => resident_pages(pid, &mut buffer).ok()??,
        };
        (pages > 0).then(|| pages.saturating_mul(self.page))
    }

    fn state(&mut self, pid: u32, ended: &mut Vec<(u32, u64)>) -> io::Result<(u64, State)> {
        let mut buffer = [0; FILE_BYTES];
        if let Some(known) = self.known.get_mut(&pid)
            && let Some(file) = &known.statm
        {
            if let Ok(Some(pages)) = pages_of(file, &mut buffer) {
                known.look = self.look;
                let bytes = pages.saturating_mul(self.page);
                return Ok((known.start_time, state_of(known.is_kernel_thread, bytes)));
            }
            // It has ended, and another may have its number.
            self.forget(pid, ended);
        }
        self.first_sight(pid, ended)
    }

    /// One that is not known, or of which no file is held open.
    fn first_sight(&mut self, pid: u32, ended: &mut Vec<(u32, u64)>) -> io::Result<(u64, State)> {
        let mut buffer = [0; FILE_BYTES];
        // Opened first: what `stat` then says of another process, later, is found by
        // the file, which is of the one that was there before and then has ended.
        let statm = File::open(format!("/proc/{pid}/statm"))?;
        let text = read(&File::open(format!("/proc/{pid}/stat"))?, &mut buffer)?;
        let stat = proc_files::stat(text).ok_or(io::ErrorKind::InvalidData)?;
        let start_time = stat.start_ticks.saturating_mul(self.ns_per_tick);
        let pages = pages_of(&statm, &mut buffer)?.unwrap_or(0);
        if (self.known.get(&pid)).is_some_and(|known| known.start_time != start_time) {
            self.forget(pid, ended);
        }
        let known = self.known.entry(pid).or_insert(Known {
            start_time,
            is_kernel_thread: stat.is_kernel_thread,
            statm: None,
            look: 0,
        });
        known.look = self.look;
        if self.held < self.most {
            known.statm = Some(statm);
            self.held += 1;
        }
        let bytes = pages.saturating_mul(self.page);
        Ok((start_time, state_of(stat.is_kernel_thread, bytes)))
    }

    fn forget(&mut self, pid: u32, ended: &mut Vec<(u32, u64)>) {
        if let Some(known) = self.known.remove(&pid) {
            self.held -= usize::from(known.statm.is_some());
            if !known.is_kernel_thread {
                ended.push((pid, known.start_time));
            }
        }
    }
}

/// Half of what may be open is left for others.
fn most_descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let half = limit.map_or(usize::MAX, |it| {
        usize::try_from(it / 2).unwrap_or(usize::MAX)
    });
    half.min(DESCRIPTORS)
}

/// A process without memory that is none of the kernel's has ended and is not yet buried.
/// So does one look whose first thread alone has ended: it cannot be told how much it has.
const fn state_of(is_kernel_thread: bool, bytes: u64) -> State {
    match (is_kernel_thread, bytes) {
        (true, _) => State::Kernel,
        (false, 0) => State::Ended,
        (false, bytes) => State::Resident(bytes),
    }
}

/// `Ok(None)`: it says nothing that could be read.
fn pages_of(file: &File, buffer: &mut [u8]) -> io::Result<Option<u64>> {
    let length = file.read_at(buffer, 0)?;
    let text = buffer.get(..length).unwrap_or_default();
    Ok(proc_files::resident_pages(text))
}

fn resident_pages(pid: u32, buffer: &mut [u8]) -> io::Result<Option<u64>> {
    pages_of(&File::open(format!("/proc/{pid}/statm"))?, buffer)
}

fn read<'a>(mut file: &File, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let length = file.read(buffer)?;
    Ok(buffer.get(..length).unwrap_or_default())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn cat() -> Child {
        let mut cat = Command::new("cat");
        cat.stdin(Stdio::piped()).stdout(Stdio::null());
        cat.spawn().unwrap()
    }

    /// A process is seen with its resident set as long as it lives, also when nobody has
    /// buried it yet it counts as ended, and it ends once.
    #[test]
    fn a_process_is_seen_until_it_ends() {
        let mut child = cat();
        let pid = child.id();
        let mut processes = Processes::default();
        let of = |look: &Look| look.seen.iter().find(|it| it.pid == pid).copied();
        let first = of(&processes.look().unwrap()).unwrap();
        let again = of(&processes.look().unwrap()).unwrap();
        assert_eq!(first.start_time, again.start_time);
        assert!(again.resident_bytes > 100 << 10);
        assert!(processes.resident(pid, first.start_time).is_some());
        assert_eq!(processes.resident(pid, first.start_time + 1), None);
        child.kill().unwrap();
        let pidfd = rustix::process::pidfd_open(
            rustix::process::Pid::from_child(&child),
            rustix::process::PidfdFlags::empty(),
        )
        .unwrap();
        let mut ended = [rustix::event::PollFd::new(
            &pidfd,
            rustix::event::PollFlags::IN,
        )];
        rustix::event::poll(&mut ended, None).unwrap();
        let look = processes.look().unwrap();
        assert_eq!(of(&look), None);
        assert!(look.ended.contains(&(pid, first.start_time)));
        child.wait().unwrap();
        assert!(
            !processes
                .look()
                .unwrap()
                .ended
                .contains(&(pid, first.start_time))
        );
    }

    /// What is held open of a process is never of another one that has its number now.
    #[test]
    fn a_number_used_again_is_another_process() {
        let mut child = cat();
        let pid = child.id();
        let mut processes = Processes::default();
        processes.look().unwrap();
        let began = processes.known.get(&pid).unwrap().start_time;
        // As if it had been seen before another process of that number began.
        let mut old = cat();
        let file = File::open(format!("/proc/{}/statm", old.id())).unwrap();
        old.kill().unwrap();
        old.wait().unwrap();
        let known = processes.known.get_mut(&pid).unwrap();
        known.statm = Some(file);
        known.start_time = began - 1;
        let look = processes.look().unwrap();
        assert!(look.ended.contains(&(pid, began - 1)));
        let seen = look.seen.iter().find(|it| it.pid == pid).unwrap();
        assert_eq!(seen.start_time, began);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
