//! Reading what the iterators over sockets write (Linux 5.12).
//!
//! An iterator over TCP sees the network namespace of the thread that made it; that
//! over files sees every process of its pid namespace.

use std::{
    fs::File,
    io::{self, Read as _},
};

use aya::{Btf, Ebpf, EbpfLoader, programs::Iter};
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

/// What is read at most: of two million sockets. More is an error.
const BYTES_MAX: u64 = 512 << 20;

/// The maps are not used here; the object cannot be loaded without.
const UNUSED_MAPS: [&str; 18] = [
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
];
const UNUSED_RINGS: [&str; 3] = ["EVENTS", "MAPPING_EVENTS", "FUNCTIONS_SEEN"];
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
    pub fn load() -> Result<Self, ProbeError> {
        let types = KernelTypes::of_this_kernel()?;
        let globals = SocketGlobals::of(&types);
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
        let types = Btf::from_sys_fs().map_err(|error| ProbeError::Load(chain(&error)))?;
        for (name, iterates) in [(TCP, "tcp"), (accept, "tcp"), (FILES, "task_file")] {
            let program: &mut Iter = object::program(&mut ebpf, name)?;
            (program.load(iterates, &types))
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

/// Everything an iterator tells.
///
/// # Errors
/// Those of reading; `InvalidData` for more than there can be.
pub fn read(mut iterator: File) -> io::Result<Vec<Record>> {
    let mut bytes = Vec::new();
    (&mut iterator).take(BYTES_MAX).read_to_end(&mut bytes)?;
    let mut rest = bytes.as_slice();
    let mut records = Vec::with_capacity(bytes.len() / size_of::<SocketRecord>());
    while !rest.is_empty() {
        let (record, length) = parse(rest).ok_or(io::ErrorKind::InvalidData)?;
        records.push(record);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(records)
}

fn parse(bytes: &[u8]) -> Option<(Record, usize)> {
    let kind = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    Some(match kind {
        RECORD_SOCKET => (Record::Socket(value(bytes)?), size_of::<SocketRecord>()),
        RECORD_OWNER => (Record::Owner(value(bytes)?), size_of::<OwnerRecord>()),
        RECORD_ACCEPT => (Record::Accept(value(bytes)?), size_of::<AcceptRecord>()),
        _ => return None,
    })
}

fn value<T: aya::Pod>(bytes: &[u8]) -> Option<T> {
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: as many bytes as the type has, which is valid for any.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever stands there is a record or none.
        #[test]
        fn arbitrary_bytes_do_not_panic(kind in 0u32..5, mut bytes in proptest::collection::vec(any::<u8>(), 4..400)) {
            bytes[..4].copy_from_slice(&kind.to_ne_bytes());
            if let Some((_, length)) = parse(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }

    /// A record is read as it was written.
    #[test]
    fn records_are_read() {
        let owner = OwnerRecord {
            record: RECORD_OWNER,
            pid: 7,
            descriptor: 3,
            reserved: 0,
            inode: 9,
            cookie: 11,
        };
        let words = [RECORD_OWNER, 7, 3, 0, 9, 0, 11, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(parse(&bytes).unwrap(), (Record::Owner(owner), 32));
    }
}
