//! What the host says of its socket memory: `/proc/net/sockstat`
//! (`sockstat_seq_show`, net/ipv4/proc.c), `/proc/slabinfo`, sysctls.

use std::fs;

use super::namespaces::{Namespace, within};
use crate::model::sockets::Host;

/// `SK_MEMORY_PCPU_RESERVE` (include/net/sock.h), the default of
/// `net.core.mem_pcpu_rsv`: a processor may hold so many pages back since Linux 6.0,
/// and the sysctl came with 6.4. Before 6.0 nothing is held back; the larger allowance
/// does no harm.
const RESERVED_PAGES: u64 = 256;

/// Reads it. The memory is the whole host's whichever namespace one asks; sockets
/// that wait out their time are counted namespace by namespace. What cannot be read
/// is 0: `tcp_limits_bytes` are only to be seen from the host's own network namespace.
#[must_use]
pub fn read(namespaces: &[Namespace]) -> Host {
    let page = rustix::param::page_size() as u64;
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let here = sockstat(&text("/proc/net/sockstat"));
    let processors = aya::util::online_cpus().map_or(1, |online| online.len() as u64);
    let reserved = text("/proc/sys/net/core/mem_pcpu_rsv");
    let reserved = reserved.trim().parse().unwrap_or(RESERVED_PAGES);
    Host {
        tcp_accounted_bytes: here.tcp_pages.saturating_mul(page),
        tcp_unaccounted_bytes: processors.saturating_mul(reserved).saturating_mul(page),
        tcp_limits_bytes: limits(&text("/proc/sys/net/ipv4/tcp_mem"))
            .map(|pages| pages.saturating_mul(page)),
        udp_accounted_bytes: here.udp_pages.saturating_mul(page),
        time_wait: (namespaces.iter().map(time_wait)).fold(0, u64::saturating_add),
        slab_bytes_per_socket: slab_bytes(&text("/proc/slabinfo")),
    }
}

fn time_wait(namespace: &Namespace) -> u64 {
    let seen = fs::read_to_string(format!("/proc/{}/net/sockstat", namespace.pid));
    // The process may have ended.
    let seen = seen.or_else(|_| {
        within(namespace, || {
            fs::read_to_string("/proc/thread-self/net/sockstat")
        })?
    });
    sockstat(&seen.unwrap_or_default()).time_wait
}

/// What is taken from `/proc/net/sockstat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sockstat {
    /// `mem` of TCP, in pages.
    pub tcp_pages: u64,
    /// The same of UDP.
    pub udp_pages: u64,
    /// `tw` of TCP: sockets.
    pub time_wait: u64,
}

/// Reads it; 0 for what is not there.
#[must_use]
pub fn sockstat(text: &str) -> Sockstat {
    // `TCP: inuse 1 orphan 0 tw 2 alloc 1 mem 368`
    let figure = |protocol: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(protocol))?;
        let mut words = line.split_ascii_whitespace();
        words.find(|word| *word == name)?;
        words.next()?.parse().ok()
    };
    Sockstat {
        tcp_pages: figure("TCP:", "mem").unwrap_or(0),
        udp_pages: figure("UDP:", "mem").unwrap_or(0),
        time_wait: figure("TCP:", "tw").unwrap_or(0),
    }
}

/// `287901 383868 575802`, with tabs; 0 where there is no number.
#[must_use]
pub fn limits(text: &str) -> [u64; 3] {
    let mut pages = text
        .split_ascii_whitespace()
        .map_while(|word| word.parse().ok())
        .fuse();
    [(); 3].map(|()| pages.next().unwrap_or(0))
}

/// What a TCP socket's own structures take. A cache that the kernel has merged with
/// another has no line and is left out; 0 without TCP's own.
#[must_use]
pub fn slab_bytes(text: &str) -> u64 {
    let size = |cache: &str| {
        let mut lines = text.lines().map(str::split_ascii_whitespace);
        lines.find_map(|mut line| {
            let is_it = line.next()? == cache;
            // <active_objs> <num_objs> <objsize>
            is_it.then(|| line.nth(2)?.parse::<u64>().ok())?
        })
    };
    let Some(socket) = size("TCP").or_else(|| size("TCPv6")) else {
        return 0;
    };
    let beside = ["sock_inode_cache", "filp", "dentry"];
    (beside.into_iter().filter_map(size)).fold(socket, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each figure is found by its protocol and its name, not by its place.
    #[test]
    fn reads_sockstat() {
        let text = "sockets: used 16\nTCP: inuse 1 orphan 0 tw 7 alloc 1 mem 368\n\
                    UDP: inuse 0 mem 5\nUDPLITE: inuse 0\nFRAG: inuse 0 memory 9\n";
        let expected = Sockstat {
            tcp_pages: 368,
            udp_pages: 5,
            time_wait: 7,
        };
        assert_eq!(sockstat(text), expected);
        assert_eq!(sockstat("TCP: mem\nUDP: mem -1\n"), Sockstat::default());
    }

    /// Object sizes are added up; caches of similar names are others.
    #[test]
    fn adds_up_slabs() {
        let text = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize>\n\
                    tw_sock_TCP 80 160 256 16 1\nTCPv6 26 26 2496 13 8\nTCP 92 143 2368 13 8\n\
                    sock_inode_cache 185 247 832 19 4\nfilp 570 609 192 21 1\ndentry 4 4 200 21 1\n";
        assert_eq!(slab_bytes(text), 2368 + 832 + 192 + 200);
        assert_eq!(slab_bytes("TCPv6 1 1 2496\nfilp 1 1 192\n"), 2496 + 192);
        assert_eq!(slab_bytes("filp 1 1 192\n"), 0);
    }

    /// Three numbers, and zeros where they are not to be had.
    #[test]
    fn reads_limits() {
        assert_eq!(
            limits("287901\t383868\t575802\n"),
            [287_901, 383_868, 575_802]
        );
        assert_eq!(limits("1 x 3"), [1, 0, 0]);
    }

    /// What this very host says is taken over: its limits rise, and it has
    /// processors.
    #[test]
    fn reads_this_host() {
        let host = read(&[]);
        assert!(host.tcp_unaccounted_bytes > 0);
        assert!(host.tcp_limits_bytes.is_sorted());
    }

    proptest! {
        /// No text makes them panic, nor figures that do not fit.
        #[test]
        fn any_text_is_read(text: String, number: u128) {
            let _ = (sockstat(&text), limits(&text), slab_bytes(&text));
            let text = format!("TCP: mem {number}{text}\nTCP 1 2 {number}\nfilp 1 1 {number}\n");
            let _ = (sockstat(&text), limits(&text), slab_bytes(&text));
        }
    }
}
