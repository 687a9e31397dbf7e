//! The sockets by netlink's `sock_diag` (sock_diag(7)), and `/proc/PID/fd` for whose
//! they are: for kernels without the iterators. Linux 5.4 for all figures. Where the
//! diagnosis is a module (`inet_diag`, `tcp_diag`, `udp_diag`, `unix_diag`) the kernel
//! loads it when it is first asked, as for `ss`.
//!
//! A dump walks tables that change: a socket that is opened or closed meanwhile may
//! be missing. One whose process closes it between the dump and the look at the
//! descriptors is nobody's.

mod dump;
pub mod inet;
mod memory;
pub mod netlink;
mod notes;
mod tcp_info;
pub mod unix;

use std::{collections::HashSet, fs, io};

use self::{dump::dump, inet::Question, notes::Notes};
use super::{SOCKETS_MAX, SocketsError, host, namespaces, owners, places::place};
use crate::model::sockets::{Snapshot, Socket, Source};

/// As the kernel calls it.
const UDP_LITE: &str = "UDP-Lite";

/// What is asked for in each namespace, and its name.
const QUESTIONS: [(&str, Asked); 7] = [
    ("TCP (IPv4)", internet(libc::AF_INET, libc::IPPROTO_TCP)),
    ("TCP (IPv6)", internet(libc::AF_INET6, libc::IPPROTO_TCP)),
    ("UDP (IPv4)", internet(libc::AF_INET, libc::IPPROTO_UDP)),
    ("UDP (IPv6)", internet(libc::AF_INET6, libc::IPPROTO_UDP)),
    (
        "UDP-Lite (IPv4)",
        internet(libc::AF_INET, libc::IPPROTO_UDPLITE),
    ),
    (
        "UDP-Lite (IPv6)",
        internet(libc::AF_INET6, libc::IPPROTO_UDPLITE),
    ),
    ("Unix", Asked::Unix),
];

#[derive(Clone, Copy, Debug)]
enum Asked {
    Internet(Question),
    Unix,
}

const fn internet(family: i32, protocol: i32) -> Asked {
    Asked::Internet(Question {
        family: family as u8,
        protocol: protocol as u8,
    })
}

/// Every socket of the host, of all network namespaces that have a process.
///
/// # Errors
/// `/proc` cannot be read, or the kernel answers no question of any namespace.
pub fn snapshot() -> Result<Snapshot, SocketsError> {
    let namespaces = namespaces::all().map_err(SocketsError::Processes)?;
    let mut collected = Collected::default();
    let mut buffer = vec![0; dump::BUFFER_BYTES];
    for namespace in &namespaces.all {
        let entered = namespaces::within(namespace, || {
            collected.read(namespace.inode, &mut buffer);
        });
        if let Err(error) = entered {
            collected.notes.not_entered(namespace, error);
        }
    }
    let (mut sockets, mut notes) = (collected.sockets, collected.notes);
    if !notes.has_answer() {
        return Err(notes.into_error());
    }
    let owners = owners::read().map_err(SocketsError::Processes)?;
    notes.unreadable(owners.unreadable.max(namespaces.unreadable));
    notes.left_out(namespaces.left_out);
    place(&mut sockets, owners);
    Ok(Snapshot {
        sockets,
        host: host::read(&namespaces.all),
        source: Source::SockDiag,
        notes: notes.into_sentences(),
    })
}

/// What was found so far.
#[derive(Default)]
struct Collected {
    sockets: Vec<Socket>,
    /// Of this namespace: a walk over a table that changes may meet a socket twice.
    cookies: HashSet<u64>,
    notes: Notes,
}

impl Collected {
    /// Reads the namespace of this thread.
    fn read(&mut self, namespace: u32, buffer: &mut [u8]) {
        // Before Linux 5.4 each namespace counts its own.
        self.cookies.clear();
        for (name, asked) in QUESTIONS {
            let dumped = match asked {
                Asked::Internet(question) => dump(&question.body(), buffer, |entry| {
                    let read = question.read(entry, namespace);
                    read.map(|socket| socket.into_iter().for_each(|it| self.add(it)))
                        .is_ok()
                }),
                Asked::Unix => dump(&unix::body(), buffer, |entry| {
                    unix::read(entry, namespace)
                        .map(|socket| self.add(socket))
                        .is_ok()
                }),
            };
            let is_gone = matches!(&dumped, Err(error) if is_not_there(error))
                && name.starts_with(UDP_LITE)
                && !has_udp_lite();
            if !is_gone {
                self.notes.dumped(name, dumped);
            }
        }
    }

    fn add(&mut self, socket: Socket) {
        if socket.cookie != 0 && !self.cookies.insert(socket.cookie) {
            return;
        }
        match self.sockets.len() < SOCKETS_MAX {
            true => self.sockets.push(socket),
            false => self.notes.too_many(&socket.memory),
        }
    }
}

/// Newer kernels have none, so nothing is missing.
fn has_udp_lite() -> bool {
    let protocols = fs::read_to_string("/proc/net/protocols").unwrap_or_default();
    protocols.lines().any(|line| line.starts_with(UDP_LITE))
}

/// Whether the kernel has no such diagnosis, or no such protocol.
fn is_not_there(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    matches!(
        number,
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT)
    )
}

#[cfg(test)]
mod tests;
