use super::*;
use crate::model::sockets::{Memory, Owner};

fn socket(cookie: u64, inode: u64, state: State, local: &str) -> Socket {
    Socket {
        cookie,
        inode,
        namespace: 1,
        kind: Kind::Tcp,
        state,
        place: Place::Unknown,
        local: local.parse().ok(),
        peer: None,
        memory: Memory::default(),
        tcp: None,
        listener: None,
    }
}

fn owners(owned: &[(u64, &[u32])]) -> Owners {
    let owner = |pid: &u32| Owner {
        pid: *pid,
        descriptor: 3,
    };
    Owners {
        by_inode: (owned.iter())
            .map(|(inode, pids)| (*inode, pids.iter().map(owner).collect()))
            .collect(),
        unreadable: 0,
    }
}

/// Where a connection to an address comes to stand, with these listeners.
fn queue(listeners: &[(&str, &[u32])], to: &str) -> Place {
    let mut sockets = vec![socket(100, 0, State::Established, to)];
    let mut owned = Vec::new();
    for (number, (at, pids)) in (1..).zip(listeners) {
        sockets.push(socket(number, number, State::Listen, at));
        owned.push((number, *pids));
    }
    place(&mut sockets, owners(&owned));
    sockets.swap_remove(0).place
}

const fn queue_of(listener: u64) -> Place {
    Place::AcceptQueue {
        listener: Some(listener),
    }
}

/// A connection is in the queue of the listener at its own address, else of the one
/// at every address of its family: those of IPv4 with a mapped address are IPv6's.
#[test]
fn the_best_fitting_listener_has_it() {
    let listeners: [(&str, &[u32]); 4] = [
        ("[::]:80", &[1]),
        ("0.0.0.0:80", &[2]),
        ("10.0.0.1:80", &[3]),
        ("[2001:db8::1]:80", &[4]),
    ];
    for (to, expected) in [
        ("10.0.0.1:80", queue_of(3)),
        ("10.0.0.2:80", queue_of(2)),
        ("[::ffff:10.0.0.1]:80", queue_of(1)),
        ("[2001:db8::1]:80", queue_of(4)),
        ("[2001:db8::2]:80", queue_of(1)),
        ("10.0.0.1:81", Place::Unknown),
    ] {
        assert_eq!(queue(&listeners, to), expected, "{to}");
    }
    assert_eq!(queue(&listeners[..1], "10.0.0.2:80"), queue_of(1));
    assert_eq!(queue(&listeners[2..], "10.0.0.2:80"), Place::Unknown);
}

/// Of several listeners at one address one process's first stands for all; those of
/// several processes leave it open.
#[test]
fn shared_addresses_are_not_guessed_at() {
    let at = "0.0.0.0:80";
    let one: [(&str, &[u32]); 2] = [(at, &[1, 2]), (at, &[1, 2])];
    assert_eq!(queue(&one, "10.0.0.1:80"), queue_of(1));
    let several: [(&str, &[u32]); 2] = [(at, &[1]), (at, &[2])];
    let open = Place::AcceptQueue { listener: None };
    assert_eq!(queue(&several, "10.0.0.1:80"), open);
    let unseen: [(&str, &[u32]); 2] = [(at, &[]), (at, &[])];
    assert_eq!(queue(&unseen, "10.0.0.1:80"), open);
}

/// A socket with an inode is its owners', or nobody's that is seen; one without is by
/// its state in a queue or an orphan, and another namespace's listener has none of it.
#[test]
fn inode_and_state_decide() {
    let mut sockets = vec![
        socket(1, 1, State::Listen, "0.0.0.0:80"),
        socket(2, 2, State::FinWait1, "10.0.0.1:80"),
        socket(3, 0, State::FinWait1, "10.0.0.1:80"),
        socket(4, 0, State::LastAck, "10.0.0.1:80"),
        socket(5, 0, State::CloseWait, "10.0.0.1:80"),
        socket(6, 0, State::SynSent, "10.0.0.1:80"),
        Socket {
            namespace: 2,
            ..socket(7, 0, State::Established, "10.0.0.1:80")
        },
        Socket {
            kind: Kind::Udp,
            ..socket(8, 0, State::Established, "10.0.0.1:80")
        },
    ];
    place(&mut sockets, owners(&[(1, &[5, 9])]));
    let of_both = |pid| Owner { pid, descriptor: 3 };
    let orphan = Place::Orphan { had: None };
    let expected = [
        Place::Open {
            owners: vec![of_both(5), of_both(9)],
        },
        Place::Unknown,
        orphan.clone(),
        orphan,
        queue_of(1),
        Place::Unknown,
        Place::Unknown,
        Place::Unknown,
    ];
    let places: Vec<_> = sockets.into_iter().map(|it| it.place).collect();
    assert_eq!(places, expected);
}
