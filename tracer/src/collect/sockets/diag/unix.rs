//! Unix sockets: `struct unix_diag_req` asks, `struct unix_diag_msg` answers
//! (include/uapi/linux/unix_diag.h).
//!
//! The kernel leaves out sockets without an inode (`sk_diag_dump`,
//! net/unix/diag.c): the ends that nobody has accepted yet. They hold nothing, what
//! was sent to them counts with its sender.

use super::{
    inet::Malformed,
    memory::memory,
    netlink::{attributes, u32_at},
};
use crate::model::sockets::{Kind, Memory, Place, Socket, State};

/// `UNIX_DIAG_PEER`.
const PEER: u16 = 2;
/// `UNIX_DIAG_MEMINFO`.
const MEMORY: u16 = 5;
/// `UDIAG_SHOW_PEER | UDIAG_SHOW_MEMINFO`.
const SHOW: u32 = 0x04 | 0x20;
/// `sizeof(struct unix_diag_msg)`.
const ENTRY: usize = 16;
const ESTABLISHED: u8 = 1;

/// The body of the request: all states.
pub fn body() -> Vec<u8> {
    let mut body = vec![libc::AF_UNIX as u8, 0, 0, 0];
    // States, inode, what to show, cookie.
    for number in [u32::MAX, 0, SHOW, 0, 0] {
        body.extend(number.to_ne_bytes());
    }
    body
}

/// A socket.
pub fn read(entry: &[u8], namespace: u32) -> Result<Socket, Malformed> {
    read_entry(entry, namespace).ok_or(Malformed)
}

fn read_entry(entry: &[u8], namespace: u32) -> Option<Socket> {
    let (header, rest) = entry.split_first_chunk::<ENTRY>()?;
    let [_family, _type, state, ..] = *header;
    let (mut memory_of, mut has_peer) = (Memory::default(), false);
    for (number, value) in attributes(rest) {
        match number {
            MEMORY => memory_of = memory(value, Kind::Unix),
            PEER => has_peer = true,
            _ => {}
        }
    }
    Some(Socket {
        cookie: u64::from(u32_at(header, 8)?) | u64::from(u32_at(header, 12)?) << 32,
        inode: u32_at(header, 4)?.into(),
        namespace,
        kind: Kind::Unix,
        // A connected datagram socket is in no such state before Linux 5.15.
        state: match has_peer || state == ESTABLISHED {
            true => State::Established,
            false => State::Close,
        },
        place: Place::Unknown,
        local: None,
        peer: None,
        memory: memory_of,
        tcp: None,
        listener: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An entry as Linux 6.18 writes it: inode, cookie and memory are found, and a
    /// datagram socket with a peer is connected whatever its state.
    #[test]
    fn reads_an_entry() {
        let mut entry = vec![1, 2, 7, 0];
        for number in [4711_u32, 0x11, 0x22, 8 | 2 << 16, 99, 40 | 5 << 16] {
            entry.extend(number.to_le_bytes());
        }
        for number in [0_u32, 212_992, 768, 212_992, 0, 0, 0, 0, 3] {
            entry.extend(number.to_le_bytes());
        }
        let socket = read(&entry, 5).expect("a socket");
        assert_eq!((socket.inode, socket.cookie), (4711, 0x22_0000_0011));
        assert_eq!((socket.namespace, socket.state), (5, State::Established));
        assert_eq!((socket.memory.send_bytes, socket.memory.drops), (768, 3));
        assert_eq!(read(&entry[..16], 5).map(|it| it.state), Ok(State::Close));
        assert_eq!(read(&entry[..15], 5), Err(Malformed));
    }

    proptest! {
        /// No bytes make it panic.
        #[test]
        fn any_entry_is_read(entry in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _ = read(&entry, 0);
        }
    }
}
