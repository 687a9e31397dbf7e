//! What the kernel counts of TCP's closed windows, by network namespace.

use std::fs;

use crate::model::trace_sockets::Events;

/// The counts since the namespace came up (`/proc/PID/net/netstat`).
pub fn windows(pid: u32) -> Option<Events> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/netstat")).ok()?;
    Some(Events {
        zero_windows_sent: count(&text, "TCPToZeroWindowAdv")?,
        zero_windows_ended: count(&text, "TCPFromZeroWindowAdv")?,
        ..Events::default()
    })
}

/// A line of names and a line of numbers, each with the same word before it.
#[must_use]
pub fn count(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
        let place = names.split_ascii_whitespace().position(|it| it == name);
        if let Some(place) = place {
            return numbers.split_ascii_whitespace().nth(place)?.parse().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The number below the name is the count.
    #[test]
    fn counts_stand_below_their_names() {
        let text = "TcpExt: A TCPToZeroWindowAdv B\nTcpExt: 1 22 3\nIpExt: C\nIpExt: 4\n";
        assert_eq!(count(text, "TCPToZeroWindowAdv"), Some(22));
        assert_eq!(count(text, "C"), Some(4));
        assert_eq!(count(text, "D"), None);
    }

    proptest! {
        /// Any text is a count or none.
        #[test]
        fn any_text_is_read(text in "\\PC*\n\\PC*\n\\PC*", name in "\\PC{1,3}") {
            let _ = count(&text, &name);
        }
    }
}
