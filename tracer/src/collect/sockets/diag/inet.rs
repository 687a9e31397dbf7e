//! TCP, UDP and UDP-Lite: `struct inet_diag_req_v2` asks, `struct inet_diag_msg`
//! answers (include/uapi/linux/inet_diag.h).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::{
    super::received::Received,
    memory::memory,
    netlink::{attributes, u32_at},
    tcp_info::{bytes_received, tcp},
};
use crate::model::sockets::{Kind, Listener, Memory, Place, Socket, State, Tcp};

/// `INET_DIAG_INFO`.
const INFO: u16 = 2;
/// `INET_DIAG_SKMEMINFO`.
const MEMORY: u16 = 7;
/// `INET_DIAG_ULP_INFO` (Linux 5.4): there is something above TCP in the kernel.
const UPPER_LAYER: u16 = 19;
/// `sizeof(struct inet_diag_msg)`.
const ENTRY: usize = 72;
/// `sizeof(struct inet_diag_req_v2)`.
const REQUEST: usize = 56;
/// `idiag_timer` of one that waits out its time, whatever its state.
const TIME_WAIT_TIMER: u8 = 3;
/// All states but `TIME_WAIT`, which may be many and have no buffers, and
/// `BOUND_INACTIVE` (6.8), which have none yet. 12 is a connection request.
const TCP_STATES: u32 = 0x1ffe & !(1 << 6);

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// `AF_INET` or `AF_INET6`.
    pub family: u8,
    /// `IPPROTO_*`.
    pub protocol: u8,
}

impl Question {
    /// The body of the request.
    pub fn body(self) -> [u8; REQUEST] {
        let is_tcp = self.kind() == Kind::Tcp;
        let extensions = 1 << (MEMORY - 1) | u8::from(is_tcp) << (INFO - 1);
        let states = if is_tcp { TCP_STATES } else { u32::MAX };
        let [a, b, c, d] = states.to_ne_bytes();
        let mut body = [0; REQUEST];
        for (to, from) in body.iter_mut().zip([
            self.family,
            self.protocol,
            extensions,
            0, // padding
            a,
            b,
            c,
            d,
        ]) {
            *to = from;
        }
        body
    }

    fn kind(self) -> Kind {
        match i32::from(self.protocol) {
            libc::IPPROTO_TCP => Kind::Tcp,
            _ => Kind::Udp,
        }
    }

    /// A socket; `Err` if the entry is none, `None` if it is one that only waits out
    /// its time.
    pub fn read(self, entry: &[u8], namespace: u32) -> Result<Option<Socket>, Malformed> {
        read(entry, self.kind(), namespace)
            .ok_or(Malformed)
            .map(|(socket, timer)| (timer != TIME_WAIT_TIMER).then_some(socket))
    }
}

/// An entry that is too short, of an unknown family or in an unknown state.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

fn read(entry: &[u8], kind: Kind, namespace: u32) -> Option<(Socket, u8)> {
    let (header, rest) = entry.split_first_chunk::<ENTRY>()?;
    let [family, state, timer, _retransmits, ..] = *header;
    let state = match kind {
        Kind::Tcp => State::from_number(u32::from(state))?,
        _ if state == 1 => State::Established,
        _ => State::Close,
    };
    let (mut memory_of, mut tcp_of) = (Memory::default(), Tcp::default());
    let (mut received, mut has_upper_layer) = (None, false);
    for (number, value) in attributes(rest) {
        match number {
            MEMORY => memory_of = memory(value, kind),
            INFO => (tcp_of, received) = (tcp(value), bytes_received(value)),
            UPPER_LAYER => has_upper_layer = true,
            _ => {}
        }
    }
    let (receive_queue, send_queue) = (u32_at(header, 56)?.into(), u32_at(header, 60)?.into());
    let is_listener = state == State::Listen;
    let received = Received {
        bytes: received,
        queued: receive_queue,
        state,
        has_upper_layer,
    };
    let device = u32_at(header, 40)?;
    let socket = Socket {
        cookie: u64::from(u32_at(header, 44)?) | u64::from(u32_at(header, 48)?) << 32,
        inode: u32_at(header, 68)?.into(),
        namespace,
        kind,
        state,
        place: Place::Unknown,
        local: Some(address(family, header, 4, 8, device)?),
        // None has port 0 but who has no other end.
        peer: Some(address(family, header, 6, 24, device)?).filter(|peer| peer.port() != 0),
        memory: memory_of,
        tcp: (kind == Kind::Tcp && !is_listener).then_some(Tcp {
            receive_queue,
            send_queue,
            read_bytes: received.read(),
            ..tcp_of
        }),
        listener: is_listener.then_some(Listener {
            queued: receive_queue,
            queue_limit: send_queue,
        }),
    };
    Some((socket, timer))
}

/// An address in network byte order; IPv4 in IPv6 stays as it is, as in `ss`.
fn address(
    family: u8,
    header: &[u8; ENTRY],
    port: usize,
    at: usize,
    device: u32,
) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(*header.get(port..)?.first_chunk()?);
    match i32::from(family) {
        libc::AF_INET => {
            let bytes: [u8; 4] = *header.get(at..)?.first_chunk()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(bytes)), port))
        }
        libc::AF_INET6 => {
            let bytes: [u8; 16] = *header.get(at..)?.first_chunk()?;
            let address = Ipv6Addr::from(bytes);
            // Other addresses are the same on every link.
            let scope = match address.is_unicast_link_local() {
                true => device,
                false => 0,
            };
            Some(SocketAddrV6::new(address, port, 0, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
