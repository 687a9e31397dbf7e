//! What parent and file worker say to each other: a length, then JSON; a
//! request brings its file along as a descriptor, and an unwind table follows
//! its answer as a message of plain bytes.
//!
//! The worker may have been taken over by a file: the parent takes messages of
//! bounded length only, and no descriptors.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, send, sendmsg,
};
use serde::{Deserialize, Serialize};

use super::v8::{Described, Layout, Script, ScriptLines, SeenFunction};
use super::{ObjectSummary, PerfMapNames, Symbol};

/// Longest message in bytes, either way.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of the length before each message, little-endian.
const LENGTH_BYTES: usize = 4;

/// Asked of the worker, with a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Inspect,
    /// Of what an unwind table would be made.
    UnwindDigest,
    UnwindTable,
    /// File offsets.
    Symbolize(Vec<u64>),
    /// File offsets, to be told as the object's own addresses.
    Addresses(Vec<u64>),
    /// Addresses of the object that the file has the debug information of.
    SymbolizeAddresses(Vec<u64>),
    /// Addresses.
    PerfMap(Vec<u64>),
    /// Functions of V8's; the file is the memory of the process of this number.
    Functions(u32, Layout, Vec<SeenFunction>),
    /// A script of V8's, likewise.
    ScriptLines(u32, Layout, Script),
}

/// Told by the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Sandboxed, waiting for the first request.
    Ready,
    Object(ObjectSummary),
    /// Hexadecimal.
    Digest(String),
    /// As [`super::unwind_table::UnwindTable::to_bytes`] has it.
    UnwindTable(#[serde(skip)] Vec<u8>),
    /// For each offset, innermost first.
    Symbols(Vec<Vec<Symbol>>),
    /// For each offset.
    Addresses(Vec<Option<u64>>),
    Names(PerfMapNames),
    /// For each function.
    Functions(Vec<Option<Described>>),
    ScriptLines(Option<ScriptLines>),
    /// The file cannot be read so, and why.
    Refused(String),
}

/// Sends a message, with a file if there is one.
pub(super) fn send_message(
    socket: &UnixStream,
    message: &impl Serialize,
    file: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    send_bytes(socket, &serde_json::to_vec(message)?, file)
}

/// Sends an answer.
pub(super) fn send_answer(socket: &UnixStream, answer: &Answer) -> io::Result<()> {
    send_message(socket, answer, None)?;
    match answer {
        Answer::UnwindTable(table) => send_bytes(socket, table, None),
        _ => Ok(()),
    }
}

fn send_bytes(socket: &UnixStream, message: &[u8], file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let length = u32::try_from(message.len())
        .ok()
        .filter(|_| message.len() <= MAX_MESSAGE_BYTES)
        .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?
        .to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = file.as_slice();
    if !files.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(files));
    }
    let sent = sendmsg(
        socket,
        &[IoSlice::new(&length)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    send_all(socket, &length[sent..])?;
    send_all(socket, message)
}

fn send_all(socket: &UnixStream, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match send(socket, rest, SendFlags::NOSIGNAL) {
            Ok(sent) => rest = &rest[sent..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Receives a request and its file; `None` when the parent is gone.
pub(super) fn receive_request(
    socket: &UnixStream,
) -> io::Result<Option<(Request, Option<OwnedFd>)>> {
    let mut length = [0; LENGTH_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut buffer = [IoSliceMut::new(&mut length)];
        match recvmsg(socket, &mut buffer, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            result => break result?.bytes,
        }
    };
    if received == 0 {
        return Ok(None);
    }
    let file = control
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => Some(files.next()),
            _ => None,
        })
        .flatten();
    let mut reader: &UnixStream = socket;
    reader.read_exact(&mut length[received..])?;
    let request = read_body(&mut reader, length)?;
    Ok(Some((serde_json::from_slice(&request)?, file)))
}

/// Reads an answer; descriptors that came with it are dropped by the kernel.
pub(super) fn read_answer(reader: &mut impl Read) -> io::Result<Answer> {
    let answer = read_bytes(reader)?;
    match serde_json::from_slice(&answer)? {
        Answer::UnwindTable(_) => Ok(Answer::UnwindTable(read_bytes(reader)?)),
        answer => Ok(answer),
    }
}

fn read_bytes(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; LENGTH_BYTES];
    reader.read_exact(&mut length)?;
    read_body(reader, length)
}

fn read_body(reader: &mut impl Read, length: [u8; LENGTH_BYTES]) -> io::Result<Vec<u8>> {
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_MESSAGE_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // Grows as bytes arrive: a length alone takes no memory.
    let mut message = Vec::new();
    reader.take(length as u64).read_to_end(&mut message)?;
    if message.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(message)
}
