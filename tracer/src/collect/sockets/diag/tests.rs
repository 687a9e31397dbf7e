//! Against sockets of our own, and what the kernel says of each when it is asked by
//! its descriptor (`SO_MEMINFO`, Linux 4.12).

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd, AsRawFd as _},
        unix::net::UnixDatagram,
    },
    time::{Duration, Instant},
};

use super::*;
use crate::{
    collect::sockets::namespaces::tests::Other,
    model::sockets::{Kind, Memory, Owner, Place, State},
};

/// Since Linux 4.12; not in libc.
const SO_MEMINFO: i32 = 55;

/// What the kernel says of a descriptor's memory.
fn asked(socket: &impl AsFd, kind: Kind) -> Memory {
    let mut values = [0_u8; 36];
    let mut length = 36;
    // SAFETY: the kernel writes at most `length` bytes of `values`, and `length`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    assert_eq!((result, length), (0, 36));
    memory::memory(&values, kind)
}

fn inode(socket: &impl AsFd) -> u64 {
    rustix::fs::fstat(socket).expect("it is open").st_ino
}

fn of_inode(snapshot: &Snapshot, inode: u64) -> &Socket {
    let mut found = snapshot.sockets.iter().filter(|it| it.inode == inode);
    let socket = found.next().expect("it is in the snapshot");
    assert_eq!(found.next(), None);
    socket
}

/// A stalled peer: both ends are ours, with the memory the kernel says they have,
/// and what was written is in the two queues, some of it not sent.
#[test]
fn a_stalled_connection_is_told_to_the_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
    let (server, _) = listener.accept().expect("accepts");
    client.set_nonblocking(true).expect("is open");
    let mut written = 0;
    while let Ok(bytes) = client.write(&[0; 16384]) {
        written += bytes as u64;
    }
    // The last acknowledgements may be delayed.
    let deadline = Instant::now() + Duration::from_secs(10);
    let (mut snapshot, mut queues) = (Snapshot::default(), 0);
    while queues != written {
        assert!(Instant::now() < deadline, "{queues} bytes of {written}");
        let before = (asked(&client, Kind::Tcp), asked(&server, Kind::Tcp));
        snapshot = super::snapshot().expect("can be read");
        if before == (asked(&client, Kind::Tcp), asked(&server, Kind::Tcp)) {
            let sending = of_inode(&snapshot, inode(&client));
            let receiving = of_inode(&snapshot, inode(&server));
            assert_eq!((sending.memory, receiving.memory), before);
            queues = sending.tcp.map_or(0, |tcp| tcp.send_queue)
                + receiving.tcp.map_or(0, |tcp| tcp.receive_queue);
        }
    }
    let sending = of_inode(&snapshot, inode(&client));
    let from = sending.tcp.expect("TCP");
    assert!(from.not_sent > 0 && from.not_sent <= from.send_queue);
    assert_eq!(sending.local, client.local_addr().ok());
    assert_eq!(sending.peer, listener.local_addr().ok());
    assert_eq!(sending.state, State::Established);
    let owner = |descriptor: i32| Place::Open {
        owners: vec![Owner {
            pid: std::process::id(),
            descriptor: descriptor.cast_unsigned(),
        }],
    };
    assert_eq!(sending.place, owner(client.as_raw_fd()));
    let cookie = rustix::net::sockopt::socket_cookie(&client);
    assert_eq!(cookie, Ok(sending.cookie));
}

/// What nobody has accepted is in its listener's queue, and what was closed with
/// bytes still to be sent is an orphan that has them.
#[test]
fn queues_and_orphans_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound");
    let mut closed = TcpStream::connect(port).expect("connects");
    closed.set_nonblocking(true).expect("is open");
    while closed.write(&[0; 16384]).is_ok() {}
    let closed_from = closed.local_addr().expect("connected");
    drop(closed);
    let snapshot = snapshot().expect("can be read");
    let between = |local: SocketAddr, peer: SocketAddr| {
        let is_it = |it: &&Socket| it.local == Some(local) && it.peer == Some(peer);
        snapshot.sockets.iter().find(is_it).expect("it is there")
    };
    let queue = of_inode(&snapshot, inode(&listener));
    assert_eq!(queue.listener.map(|it| it.queued), Some(1));
    let waiting = between(port, closed_from);
    let listener = Some(queue.cookie);
    assert_eq!(waiting.place, Place::AcceptQueue { listener });
    assert!(waiting.memory.receive_bytes > 0);
    let orphan = between(closed_from, port);
    assert_eq!(orphan.place, Place::Orphan { had: None });
    assert!(orphan.memory.send_bytes > 0);
}

/// A datagram that nobody reads counts with its receiver for UDP, with its sender for
/// Unix sockets.
#[test]
fn datagrams_are_whose_they_are() {
    let udp = UdpSocket::bind("[::1]:0").expect("a port");
    let to = udp.local_addr().expect("bound");
    assert_eq!(udp.send_to(&[0; 3000], to).ok(), Some(3000));
    let (sender, _receiver) = UnixDatagram::pair().expect("a pair");
    assert_eq!(sender.send(&[0; 3000]).ok(), Some(3000));
    let snapshot = snapshot().expect("can be read");
    let found = of_inode(&snapshot, inode(&udp));
    assert_eq!((found.kind, found.state), (Kind::Udp, State::Close));
    assert_eq!((found.local, found.peer), (Some(to), None));
    assert_eq!(found.memory, asked(&udp, Kind::Udp));
    assert!(found.memory.receive_bytes >= 3000);
    let found = of_inode(&snapshot, inode(&sender));
    assert_eq!((found.kind, found.state), (Kind::Unix, State::Established));
    assert_eq!(found.memory, asked(&sender, Kind::Unix));
    assert!(found.memory.send_bytes >= 3000);
}

/// A connection by IPv4 to a listener of IPv6 is in its queue, with a mapped
/// address.
#[test]
fn a_mapped_address_is_of_the_ipv6_listener() {
    let listener = TcpListener::bind("[::]:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let client = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    let snapshot = snapshot().expect("can be read");
    let queue = of_inode(&snapshot, inode(&listener));
    let at = format!("[::ffff:127.0.0.1]:{port}").parse().ok();
    let is_it = |it: &&Socket| it.local == at && it.inode == 0;
    let waiting = snapshot.sockets.iter().find(is_it).expect("it is there");
    let listener = Some(queue.cookie);
    assert_eq!(waiting.place, Place::AcceptQueue { listener });
    let peer = waiting.peer.map(|peer| peer.port());
    assert_eq!(peer, client.local_addr().map(|it| it.port()).ok());
}

/// A socket of another namespace is found, told to be there, and is of the process
/// that has it wherever that is.
#[test]
fn other_namespaces_are_read() {
    let Some(other) = Other::new() else {
        return;
    };
    let bound = namespaces::within(&other.namespace, || TcpListener::bind("0.0.0.0:0"));
    let listener = bound.expect("can be entered").expect("a port");
    let snapshot = snapshot().expect("can be read");
    let found = of_inode(&snapshot, inode(&listener));
    assert_eq!(found.namespace, other.namespace.inode);
    let owners = vec![Owner {
        pid: std::process::id(),
        descriptor: listener.as_raw_fd().cast_unsigned(),
    }];
    assert_eq!(found.place, Place::Open { owners });
}

/// No socket is there twice, and each has its namespace.
#[test]
fn each_socket_is_there_once() {
    let snapshot = snapshot().expect("can be read");
    let mut cookies = HashSet::new();
    assert!(snapshot.sockets.iter().all(|it| cookies.insert(it.cookie)));
    assert!(snapshot.sockets.iter().all(|it| it.namespace != 0));
}
