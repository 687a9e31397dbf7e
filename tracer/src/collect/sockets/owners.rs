//! Which processes have which sockets open: `/proc/PID/fd` of all of them.
//!
//! Threads that have descriptors of their own (no `CLONE_FILES`), descriptors on
//! their way in `SCM_RIGHTS` and files held by `io_uring` are not seen.

use std::{collections::HashMap, io, mem::MaybeUninit};

use rustix::{
    fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw},
    io::Errno,
};

use super::processes::processes;
use crate::model::sockets::Owner;

/// Entries of a directory are read by so much at once.
const DIRECTORY_BYTES: usize = 32 << 10;
/// `socket:[` and twenty digits and `]`; what is longer is no socket.
const LINK_BYTES: usize = 32;

/// Who has what open.
#[derive(Debug, Default)]
pub struct Owners {
    /// By the socket's inode: each process once, by pid.
    pub by_inode: HashMap<u64, Vec<Owner>>,
    /// Processes whose descriptors may not be seen.
    pub unreadable: usize,
}

/// Looks at the descriptors of every process.
///
/// # Errors
/// `/proc` cannot be read.
pub fn read() -> io::Result<Owners> {
    let mut owners = Owners::default();
    let mut buffer = vec![MaybeUninit::uninit(); DIRECTORY_BYTES];
    for pid in processes()? {
        let read = read_process(pid, &mut buffer, &mut owners.by_inode);
        // Any other error: it has ended meanwhile.
        if let Err(Errno::ACCESS | Errno::PERM) = read {
            owners.unreadable += 1;
        }
    }
    for owners in owners.by_inode.values_mut() {
        owners.sort_unstable();
    }
    Ok(owners)
}

fn read_process(
    pid: u32,
    buffer: &mut [MaybeUninit<u8>],
    by_inode: &mut HashMap<u64, Vec<Owner>>,
) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, format!("/proc/{pid}/fd"), flags, Mode::empty())?;
    let mut entries = RawDir::new(&directory, buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let Some(descriptor) = decimal(entry.file_name().to_bytes()) else {
            continue;
        };
        let mut link = [MaybeUninit::uninit(); LINK_BYTES];
        let link = match readlinkat_raw(&directory, entry.file_name(), &mut link) {
            Ok((link, _)) => link,
            // Reading the directory takes less rights than its links.
            Err(error @ (Errno::ACCESS | Errno::PERM)) => return Err(error),
            // It has been closed meanwhile.
            Err(_) => continue,
        };
        if let Some(inode) = inode(link) {
            let owners = by_inode.entry(inode).or_default();
            add(
                owners,
                Owner {
                    pid,
                    descriptor: u32::try_from(descriptor).unwrap_or(u32::MAX),
                },
            );
        }
    }
    Ok(())
}

/// Processes come one after another, descriptors of each in any order.
fn add(owners: &mut Vec<Owner>, owner: Owner) {
    match owners.last_mut() {
        Some(last) if last.pid == owner.pid => {
            last.descriptor = last.descriptor.min(owner.descriptor);
        }
        _ => owners.push(owner),
    }
}

/// `socket:[12345]` (`sockfs_dname`, net/socket.c).
fn inode(link: &[u8]) -> Option<u64> {
    decimal(link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        let number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
        (digit < 10).then_some(number)
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::{
        net::UdpSocket,
        os::fd::AsRawFd as _,
        process::{Command, Stdio},
    };

    use proptest::prelude::*;

    use super::*;

    /// A socket that two processes have, one of them twice: each process once, by
    /// pid, with its lowest descriptor.
    #[test]
    fn finds_every_process_once() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let again = socket.try_clone().unwrap();
        let to_child = socket.try_clone().unwrap();
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stderr(std::os::fd::OwnedFd::from(to_child))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It has executed when it answers.
        io::Write::write_all(child.stdin.as_mut().unwrap(), b".").unwrap();
        let mut said = [0];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        let owners = read().unwrap();
        let inode = rustix::fs::fstat(&socket).unwrap().st_ino;
        let lowest = socket.as_raw_fd().min(again.as_raw_fd());
        let mut expected = vec![
            Owner {
                pid: std::process::id(),
                descriptor: u32::try_from(lowest).unwrap(),
            },
            Owner {
                pid: child.id(),
                descriptor: 2,
            },
        ];
        expected.sort_unstable();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(owners.by_inode.get(&inode), Some(&expected));
    }

    /// Only a socket's link is one.
    #[test]
    fn knows_a_sockets_link() {
        assert_eq!(inode(b"socket:[18446744073709551615]"), Some(u64::MAX));
        for other in [
            &b"socket:[18446744073709551616]"[..],
            b"socket:[]",
            b"socket:[+1]",
            b"socket:[1",
            b"pipe:[1]",
            b"/tmp/socket:[1]",
        ] {
            assert_eq!(inode(other), None);
        }
    }

    proptest! {
        /// No link makes it panic, and a number is read as it is written.
        #[test]
        fn any_link_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..40), number: u64) {
            let _ = inode(&bytes);
            prop_assert_eq!(inode(format!("socket:[{number}]").as_bytes()), Some(number));
        }
    }
}
