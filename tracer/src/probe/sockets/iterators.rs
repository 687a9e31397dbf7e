//! Reading what the iterators over sockets write (Linux 5.12).
//!
//! An iterator over TCP sees the network namespace of the thread that made it; that
//! over files sees every process of its pid namespace.

use std::{
    fs::File,
    io::{self, Read},
};

use aya::{Ebpf, EbpfLoader, programs::Iter};
use tracer_common::socket::{
    AcceptRecord, OwnerRecord, RECORD_ACCEPT, RECORD_OWNER, RECORD_SOCKET, SocketRecord,
};

use super::SocketGlobals;
use crate::probe::{
    ProbeError,
    btf::KernelTypes,
    object::{self, Rounds, chain},
};

const TCP: &str = "sockets_tcp";
const ACCEPT: &str = "sockets_accept";
const ACCEPT_BOUNDED: &str = "sockets_accept_bounded";
const FILES: &str = "sockets_files";

/// The kernel fills 32 KiB at most (`bpf_seq_read`, kernel/bpf/bpf_iter.c).
const BUFFER_BYTES: usize = 64 << 10;
/// As often is read at most: of a hundred million sockets. More is an error.
const READS_MAX: u32 = 1 << 20;

/// The maps are not used here; the object cannot be loaded without.
const UNUSED_MAPS: [&str; 21] = [
    "LEDGER",
    "SITES",
    "THREADS",
    "TARGETS",
    "SPACES",
    "SPACE_SETTINGS",
    "SPACE_CODE",
    "PAGES",
    "ROWS",
    "SPECIALS",
    "TABLE_USES",
    "FUNCTIONS",
    "SOCKETS",
    "READERS_SEEN",
    "SENDERS_SEEN",
    "ACCOUNTING",
    "NEW_THREAD",
    "NEW_SOCKET",
    "FAULT_CPUS",
    "FAULT_SCRATCH",
    "FAULT_SPACES",
];
const UNUSED_RINGS: [&str; 4] = ["EVENTS", "MAPPING_EVENTS", "FUNCTIONS_SEEN", "FAULTS"];
const PAGE: u32 = 4096;

/// What an iterator told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A socket.
    Socket(SocketRecord),
    /// Who has one open.
    Owner(OwnerRecord),
    /// One that waits in an accept queue.
    Accept(AcceptRecord),
}

/// The iterators, loaded.
pub struct SocketIterators {
    ebpf: Ebpf,
    accept: &'static str,
}

impl SocketIterators {
    /// Loads them.
    ///
    /// # Errors
    /// [`ProbeError`]; on kernels before 5.12 one of the verifier's.
    pub fn load(types: &KernelTypes) -> Result<Self, ProbeError> {
        let globals = SocketGlobals::of(types);
        object::lift_memory_limit();
        let bytes = object::object()?;
        let mut loader = EbpfLoader::new();
        globals.set(&mut loader);
        loader.btf(None);
        for map in UNUSED_MAPS {
            loader.map_max_entries(map, 1);
        }
        for ring in UNUSED_RINGS {
            loader.map_max_entries(ring, PAGE);
        }
        let [tgid] = types.offsets("task_struct", ["tgid"])?;
        loader.override_global("TGID_OFFSET", &tgid, true);
        let mut ebpf = loader.load(&bytes).map_err(object::load_error)?;
        let accept = match Rounds::of_this_kernel() {
            Rounds::Loop => ACCEPT,
            Rounds::Bounded => ACCEPT_BOUNDED,
        };
        let types = types.of_aya()?;
        for (name, iterates) in [(TCP, "tcp"), (accept, "tcp"), (FILES, "task_file")] {
            let program: &mut Iter = object::program(&mut ebpf, name)?;
            (program.load(iterates, types))
                .map_err(|error| ProbeError::Load(format!("{name}: {}", chain(&error))))?;
        }
        // The programs do without.
        for map in UNUSED_MAPS.iter().chain(&UNUSED_RINGS) {
            drop(ebpf.take_map(map));
        }
        Ok(Self { ebpf, accept })
    }

    /// Of the current thread's network namespace: every TCP socket, to be read anywhere.
    ///
    /// # Errors
    /// [`ProbeError::Attach`].
    pub fn tcp(&mut self) -> Result<File, ProbeError> {
        self.open(TCP)
    }

    /// Of the current thread's network namespace: what waits in accept queues. Only of
    /// sockets that were iterated over before it is known which they are.
    ///
    /// # Errors
    /// [`ProbeError::Attach`].
    pub fn accept_queues(&mut self) -> Result<File, ProbeError> {
        self.open(self.accept)
    }

    /// Of the pid namespace: every open socket.
    ///
    /// # Errors
    /// [`ProbeError::Attach`].
    pub fn files(&mut self) -> Result<File, ProbeError> {
        self.open(FILES)
    }

    fn open(&mut self, name: &'static str) -> Result<File, ProbeError> {
        let failed = |reason: String| ProbeError::Attach {
            what: name.to_owned(),
            reason,
        };
        let program: &mut Iter = object::program(&mut self.ebpf, name)?;
        let link = program.attach().map_err(|error| failed(chain(&error)))?;
        let link = program
            .take_link(link)
            .map_err(|error| failed(chain(&error)))?;
        link.into_file().map_err(|error| failed(chain(&error)))
    }
}

/// Tells what an iterator writes, record by record; keeps none of it.
///
/// # Errors
/// Those of reading; `InvalidData` for what is no record, or without end;
/// `UnexpectedEof` for a record that is cut off. Others may have been told before.
pub fn read(mut iterator: impl Read, mut tell: impl FnMut(Record)) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    // The beginning of a record whose end is still to be read.
    let mut kept = 0;
    for _ in 0..READS_MAX {
        let length = match iterator.read(buffer.get_mut(kept..).unwrap_or_default()) {
            Ok(0) if kept == 0 => return Ok(()),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            // Would block: a million files of which none is a socket
            // (`MAX_ITER_OBJECTS`, kernel/bpf/bpf_iter.c). It goes on where it was.
            Err(error) if is_to_be_repeated(error.kind()) => continue,
            Err(error) => return Err(error),
        };
        let filled = buffer.len().min(kept + length);
        let mut rest = buffer.get(..filled).unwrap_or_default();
        while let Some((record, length)) = parse(rest)? {
            tell(record);
            rest = rest.get(length..).unwrap_or_default();
        }
        kept = rest.len();
        buffer.copy_within(filled - kept..filled, 0);
    }
    Err(io::ErrorKind::InvalidData.into())
}

const fn is_to_be_repeated(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The record at the beginning, and its length; `None`: more bytes belong to it.
fn parse(bytes: &[u8]) -> io::Result<Option<(Record, usize)>> {
    let Some(kind) = bytes.first_chunk() else {
        return Ok(None);
    };
    Ok(match u32::from_ne_bytes(*kind) {
        RECORD_SOCKET => value(bytes, Record::Socket),
        RECORD_OWNER => value(bytes, Record::Owner),
        RECORD_ACCEPT => value(bytes, Record::Accept),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    })
}

fn value<T: aya::Pod>(bytes: &[u8], record: fn(T) -> Record) -> Option<(Record, usize)> {
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: as many bytes as the type has, which is valid for any.
    let value = unsafe { bytes.as_ptr().cast::<T>().read_unaligned() };
    Some((record(value), bytes.len()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives as many bytes at once as it is told to, or an error of which reading is
    /// to be repeated.
    struct Pieces<'a>(&'a [u8], &'a [Option<usize>]);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let (piece, rest) = self.1.split_first().unwrap_or((&Some(usize::MAX), &[]));
            self.1 = rest;
            let piece = piece.ok_or(io::ErrorKind::WouldBlock)?;
            let length = piece.min(into.len()).min(self.0.len());
            let (now, later) = self.0.split_at(length);
            into[..length].copy_from_slice(now);
            self.0 = later;
            Ok(length)
        }
    }

    fn owner(pid: u32) -> (Record, Vec<u8>) {
        let owner = OwnerRecord {
            record: RECORD_OWNER,
            pid,
            descriptor: 3,
            reserved: 0,
            inode: 9,
            cookie: 11,
        };
        let words = [RECORD_OWNER, pid, 3, 0, 9, 0, 11, 0];
        let bytes = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        (Record::Owner(owner), bytes)
    }

    proptest! {
        /// Whatever stands there is records, or an error.
        #[test]
        fn arbitrary_bytes_do_not_panic(kind in 0u32..5, mut bytes in proptest::collection::vec(any::<u8>(), 4..400)) {
            bytes[..4].copy_from_slice(&kind.to_ne_bytes());
            let mut records = 0;
            let read = read(bytes.as_slice(), |_| records += 1);
            prop_assert!(records <= bytes.len() / size_of::<AcceptRecord>());
            prop_assert!(read.is_err() || records > 0);
        }

        /// However a stream of records is cut, each is told once and in order.
        #[test]
        fn cuts_do_not_matter(count in 1_u32..50, pieces in proptest::collection::vec(proptest::option::of(1_usize..80), 0..60)) {
            let (records, bytes): (Vec<_>, Vec<_>) = (0..count).map(owner).unzip();
            let bytes = bytes.concat();
            let mut told = Vec::new();
            read(Pieces(&bytes, &pieces), |record| told.push(record)).unwrap();
            prop_assert_eq!(&told, &records);
            told.clear();
            let error = read(&bytes[..bytes.len() - 1], |record| told.push(record));
            prop_assert_eq!(error.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            prop_assert_eq!(told.len(), records.len() - 1);
        }
    }
}
