//! One dump of `sock_diag`: asked, and its answer handed on entry by entry.

use std::{io, time::Duration};

use rustix::{
    io::{Errno, retry_on_intr},
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
        socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use super::netlink::{Content, messages, request};

/// The kernel fills 32 KiB at most (`netlink_recvmsg`, net/netlink/af_netlink.c).
pub const BUFFER_BYTES: usize = 64 << 10;
/// A dump is made while it is received: nobody waits, unless something is wrong.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const SEQUENCE: u32 = 1;

/// What was not as it should be in a dump that went to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaws {
    /// Messages that could not be read.
    pub malformed: u64,
    /// What was dumped changed meanwhile.
    pub is_interrupted: bool,
}

/// Dumps what a request asks for, of the network namespace of this thread.
/// `tell` says whether it could read an entry.
///
/// # Errors
/// The kernel's: `ENOENT` and the like where it has no such diagnosis. Entries may
/// have been told before.
pub fn dump(
    body: &[u8],
    buffer: &mut [u8],
    mut tell: impl FnMut(&[u8]) -> bool,
) -> io::Result<Flaws> {
    let protocol = Some(netlink::SOCK_DIAG);
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        protocol,
    )?;
    set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_MAX))?;
    retry_on_intr(|| send(&socket, &request(SEQUENCE, body), SendFlags::empty()))?;
    let mut flaws = Flaws::default();
    loop {
        let (kept, length) = retry_on_intr(|| recv(&socket, &mut *buffer, RecvFlags::TRUNC))?;
        let datagram = buffer.get(..kept).unwrap_or_default();
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // What was cut off is a message that does not fit.
        flaws.malformed += u64::from(length > kept);
        for message in messages(datagram) {
            flaws.is_interrupted |= message.is_interrupted;
            match message.content {
                Content::Malformed => flaws.malformed += 1,
                _ if message.sequence != SEQUENCE => {}
                Content::Entry(entry) => flaws.malformed += u64::from(!tell(entry)),
                Content::End(0) => return Ok(flaws),
                Content::End(error) => return Err(Errno::from_raw_os_error(error).into()),
            }
        }
    }
}
