//! What `ss` and `/proc` say of sockets: a count made by somebody else.

use std::{collections::BTreeMap, fs, net::SocketAddr};

use tracer::model::sockets::Memory;

use super::run_tool;

/// A TCP socket as `ss -tmie` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// As it writes it: `ESTAB`, `FIN-WAIT-1`.
    pub state: String,
    /// `Recv-Q`.
    pub receive_queue: u64,
    /// `Send-Q`.
    pub send_queue: u64,
    /// Its own address.
    pub local: Option<SocketAddr>,
    /// The other end's.
    pub peer: Option<SocketAddr>,
    /// 0 without a file.
    pub inode: u64,
    /// Its cookie.
    pub cookie: u64,
    /// `skmem`.
    pub memory: Memory,
    /// `notsent`, 0 where it is not shown.
    pub not_sent: u64,
    /// `cwnd`.
    pub congestion_window: u64,
    /// `mss`.
    pub segment_bytes: u64,
    /// `snd_wnd`.
    pub peer_window: u64,
    /// `rwnd_limited`, ms.
    pub receiver_limited_ms: u64,
    /// `busy`, ms.
    pub busy_ms: u64,
    /// `bytes_received`: 0 where it is not shown, as of none.
    pub bytes_received: u64,
}

impl Seen {
    /// From a line of `ss -tmineHO`; `None`: it is none.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let state = words.next()?.to_owned();
        let mut seen = Self {
            state,
            receive_queue: words.next()?.parse().ok()?,
            send_queue: words.next()?.parse().ok()?,
            local: words.next()?.parse().ok(),
            peer: words.next()?.parse().ok(),
            ..Self::default()
        };
        for word in words {
            let Some((name, value)) = word.split_once(':') else {
                continue;
            };
            let number = leading(value);
            match name {
                "ino" => seen.inode = number,
                "sk" => seen.cookie = u64::from_str_radix(value, 16).ok()?,
                "skmem" => seen.memory = memory(value)?,
                "notsent" => seen.not_sent = number,
                "cwnd" => seen.congestion_window = number,
                "mss" => seen.segment_bytes = number,
                "snd_wnd" => seen.peer_window = number,
                "rwnd_limited" => seen.receiver_limited_ms = number,
                "busy" => seen.busy_ms = number,
                "bytes_received" => seen.bytes_received = number,
                _ => {}
            }
        }
        Some(seen)
    }

    /// Without what grows by itself.
    #[must_use]
    pub fn at_rest(&self) -> Self {
        Self {
            receiver_limited_ms: 0,
            busy_ms: 0,
            ..self.clone()
        }
    }

    /// Both queues.
    #[must_use]
    pub const fn buffers(&self) -> u64 {
        self.memory.buffers()
    }

    /// Whether it has no file and is connected: it was not accepted yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.inode == 0 && self.state == "ESTAB"
    }

    /// Whether its process has closed it.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        self.inode == 0 && self.state.starts_with("FIN-WAIT")
    }
}

/// The number that a word begins with.
fn leading(word: &str) -> u64 {
    let end = word.find(|c: char| !c.is_ascii_digit());
    word[..end.unwrap_or(word.len())].parse().unwrap_or(0)
}

/// `(r0,rb131072,t0,tb2626560,f0,w0,o0,bl0,d0)`.
fn memory(text: &str) -> Option<Memory> {
    let text = text.strip_prefix('(')?.strip_suffix(')')?;
    let fields: BTreeMap<&str, u64> = (text.split(','))
        .filter_map(|field| {
            let digits = field.find(|c: char| c.is_ascii_digit())?;
            Some((&field[..digits], field[digits..].parse().ok()?))
        })
        .collect();
    Some(Memory {
        receive_bytes: *fields.get("r")?,
        receive_limit: *fields.get("rb")?,
        send_bytes: *fields.get("w")?,
        transmit_bytes: *fields.get("t")?,
        send_limit: *fields.get("tb")?,
        forward_bytes: *fields.get("f")?,
        option_bytes: *fields.get("o")?,
        backlog_bytes: *fields.get("bl")?,
        drops: *fields.get("d")?,
    })
}

fn ss(pid: u32, arguments: &[&str]) -> String {
    let namespace = format!("--net=/proc/{pid}/ns/net");
    run_tool("nsenter", &[&[&namespace[..], "ss"], arguments].concat())
}

/// The TCP connections with one end at a port, by cookie, in a process's network
/// namespace.
#[must_use]
pub fn connections(pid: u32, port: u64) -> BTreeMap<u64, Seen> {
    let filter = format!("( sport = :{port} or dport = :{port} )");
    let text = ss(pid, &["-tmineHO", &filter]);
    let seen = text.lines().filter_map(Seen::parse);
    seen.map(|seen| (seen.cookie, seen)).collect()
}

/// What UDP sockets (`-u`) or Unix sockets (`-x`) in a process's network namespace
/// hold in both directions; of those whose line has one of these words.
#[must_use]
pub fn datagram_bytes(pid: u32, kind: &str, words: &[String]) -> u64 {
    let text = ss(pid, &[kind, "-amneHO"]);
    let is_meant = |line: &&str| {
        line.split_whitespace()
            .any(|word| words.iter().any(|wanted| wanted == word))
    };
    text.lines()
        .filter(is_meant)
        .filter_map(|line| {
            line.split_whitespace()
                .find_map(|it| it.strip_prefix("skmem:"))
        })
        .filter_map(memory)
        .map(|memory| memory.receive_bytes + memory.transmit_bytes)
        .sum()
}

/// TCP's memory as the kernel accounts it (`/proc/net/sockstat`), bytes.
#[must_use]
pub fn tcp_accounted_bytes() -> u64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap();
    let line = text.lines().find(|line| line.starts_with("TCP:")).unwrap();
    let mut words = line.split_whitespace().skip_while(|word| *word != "mem");
    words.nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// What that leaves out: so many pages a processor.
#[must_use]
pub fn tcp_unaccounted_bytes() -> u64 {
    // A constant of 1 MiB before it could be set (include/net/sock.h, Linux 6.0).
    let pages = fs::read_to_string("/proc/sys/net/core/mem_pcpu_rsv");
    let pages: u64 = pages.map_or(256, |text| text.trim().parse().unwrap());
    let processors = fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    let last = processors.trim().rsplit(['-', ',']).next().unwrap();
    (last.parse::<u64>().unwrap() + 1) * pages * 4096
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field that is compared is read from where it stands.
    #[test]
    fn line_of_ss() {
        let line = "FIN-WAIT-1 12  2571264 127.0.0.1:21743 127.0.0.7:39466 timer:(persist,1.1sec,0) \
             ino:7 sk:1a2b cgroup:/ <-> skmem:(r1,rb2,t3,tb4,f5,w6,o7,bl8,d9) ts sack bbr \
             wscale:10,10 rto:204 mss:32768 cwnd:10 bytes_sent:9 bytes_acked:8 bytes_received:700 busy:2ms rwnd_limited:1ms(99.9%) \
             notsent:2571264 minrtt:0.004 snd_wnd:4608  ";
        let seen = Seen::parse(line).unwrap();
        assert_eq!((seen.receive_queue, seen.send_queue), (12, 2_571_264));
        assert_eq!(seen.local, "127.0.0.1:21743".parse().ok());
        assert_eq!(seen.peer, "127.0.0.7:39466".parse().ok());
        assert_eq!((seen.inode, seen.cookie), (7, 0x1a2b));
        let all = seen.memory;
        assert_eq!((all.receive_bytes, all.receive_limit), (1, 2));
        assert_eq!((all.transmit_bytes, all.send_limit), (3, 4));
        assert_eq!((all.forward_bytes, all.send_bytes), (5, 6));
        assert_eq!((all.option_bytes, all.backlog_bytes, all.drops), (7, 8, 9));
        assert_eq!((seen.not_sent, seen.peer_window), (2_571_264, 4608));
        assert_eq!((seen.congestion_window, seen.segment_bytes), (10, 32768));
        assert_eq!((seen.busy_ms, seen.receiver_limited_ms), (2, 1));
        assert_eq!(seen.bytes_received, 700);
        assert!(!seen.is_waiting() && !seen.is_orphan());
    }
}
