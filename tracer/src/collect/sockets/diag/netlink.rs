//! Netlink's framing (include/uapi/linux/netlink.h): messages in a datagram,
//! attributes in a message. Pure over bytes: what does not fit ends the walk.
//!
//! `netlink-packet-sock-diag` 0.5 would do, at a price: each attribute becomes a
//! value of its own on the heap, 9 ms for 20,000 sockets that these views read in
//! less than 1 ms, and one of an unexpected length loses its whole message.

/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// `NLM_F_DUMP_INTR`.
const INTERRUPTED: u16 = 0x10;
/// `sizeof(struct nlmsghdr)`.
const HEADER: usize = 16;
/// `sizeof(struct nlattr)`.
const ATTRIBUTE_HEADER: usize = 4;
/// `NLA_TYPE_MASK`.
const TYPE_MASK: u16 = 0x3fff;

/// A message of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'bytes> {
    /// Number of the request that it answers.
    pub sequence: u32,
    /// What was dumped changed meanwhile: some of it may be missing, or there twice.
    pub is_interrupted: bool,
    /// What it says.
    pub content: Content<'bytes>,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'bytes> {
    /// One thing of what was asked for.
    Entry(&'bytes [u8]),
    /// The end; an error number where the dump failed, else 0.
    End(i32),
    /// A message that cannot be read, and with it the rest of the datagram.
    Malformed,
}

/// The messages of a datagram.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let message = message(bytes);
        // Each takes its header at least, so this ends.
        let length = message.map_or(bytes.len(), |(length, _)| length);
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some(message.map_or(
            Message {
                sequence: 0,
                is_interrupted: false,
                content: Content::Malformed,
            },
            |(_, message)| message,
        ))
    })
}

fn message(bytes: &[u8]) -> Option<(usize, Message<'_>)> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let (kind, flags) = (u16_at(bytes, 4)?, u16_at(bytes, 6)?);
    let sequence = u32_at(bytes, 8)?;
    let payload = bytes.get(HEADER..length)?;
    let content = match kind {
        // A dump that fails half way ends with DONE and the error.
        ERROR | DONE => Content::End(u32_at(payload, 0)?.cast_signed().wrapping_neg()),
        _ => Content::Entry(payload),
    };
    let message = Message {
        sequence,
        is_interrupted: flags & INTERRUPTED != 0,
        content,
    };
    Some((length, message))
}

/// Attributes, by number; one that does not fit ends them.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(ATTRIBUTE_HEADER..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A request to dump (`NLM_F_REQUEST | NLM_F_DUMP`) by family
/// (`SOCK_DIAG_BY_FAMILY`).
pub fn request(sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(20_u16.to_ne_bytes());
    bytes.extend(0x301_u16.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    // From whom: the kernel fills it in.
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(body);
    bytes
}

/// Both messages and attributes begin at multiples of four.
const fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// Numbers in the machine's byte order.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The same of 32 bits.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The same of 64 bits.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A dump that fails at once and one that fails at its end tell the same error,
    /// and one that ends well tells none.
    #[test]
    fn tells_errors_of_both_kinds() {
        let ended = |kind: u16, error: i32| {
            let mut bytes = request(7, &error.to_ne_bytes());
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            bytes[6..8].copy_from_slice(&0x10_u16.to_ne_bytes());
            bytes
        };
        for (kind, error, expected) in [(ERROR, -2, 2), (DONE, -95, 95), (DONE, 0, 0)] {
            let bytes = ended(kind, error);
            let expected = Message {
                sequence: 7,
                is_interrupted: true,
                content: Content::End(expected),
            };
            assert_eq!(messages(&bytes).collect::<Vec<_>>(), [expected]);
        }
    }

    /// Lengths that are no multiple of four are padded, between messages and
    /// between attributes; a length that is too long ends the walk and is told.
    #[test]
    fn walks_what_is_padded() {
        let mut bytes = request(1, b"\x05\x00\x01\x00a\0\0\0\x06\x00\x02\x80bc");
        bytes.extend(*b"\0\0");
        bytes.extend(request(2, b""));
        bytes.extend(4096_u32.to_ne_bytes());
        let read: Vec<_> = messages(&bytes).map(|it| it.content).collect();
        let [
            Content::Entry(first),
            Content::Entry(b""),
            Content::Malformed,
        ] = read[..]
        else {
            panic!("{read:?}");
        };
        let read: Vec<_> = attributes(first).collect();
        assert_eq!(read, [(1, &b"a"[..]), (2, b"bc")]);
    }

    proptest! {
        /// No bytes make the walks panic or go on for ever.
        #[test]
        fn any_bytes_are_walked(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(messages(&bytes).count() <= bytes.len());
            prop_assert!(attributes(&bytes).count() <= bytes.len());
        }

        /// Nor do small lengths, of which random bytes have few.
        #[test]
        fn small_lengths_are_walked(lengths in proptest::collection::vec(0_u32..64, 0..64)) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|it| it.to_ne_bytes()).collect();
            prop_assert!(messages(&bytes).count() <= bytes.len());
            prop_assert!(attributes(&bytes).count() <= bytes.len());
        }
    }
}
