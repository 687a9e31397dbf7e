//! Reading who did what to the sockets of targets.

use aya::maps::{HashMap, Map, MapError};
use tracer_common::socket::SocketCalls;

use crate::probe::{ProbeError, kernel::map_fd, object::chain, sys};

const NAME: &str = "SOCKETS";

/// The map, by cookie or inode.
#[derive(Debug)]
pub struct CallsMap(Map);

impl CallsMap {
    pub(in crate::probe) const fn new(map: Map) -> Self {
        Self(map)
    }

    /// Every entry; approximate while calls run.
    ///
    /// # Errors
    /// [`ProbeError::Map`].
    pub fn read(&self, mut each: impl FnMut(u64, &SocketCalls)) -> Result<(), ProbeError> {
        let fd =
            map_fd(&self.0).ok_or_else(|| failed(&MapError::InvalidMapType { map_type: 0 }))?;
        sys::read_hash_map(fd, |key, calls| each(*key, calls)).map_err(|error| failed(&error))
    }

    /// Forgets a socket.
    ///
    /// # Errors
    /// [`ProbeError::Map`].
    pub fn forget(&mut self, key: u64) -> Result<(), ProbeError> {
        let map = HashMap::<_, u64, SocketCalls>::try_from(&mut self.0);
        match map.and_then(|mut map| map.remove(&key)) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}

fn failed(error: &dyn std::error::Error) -> ProbeError {
    ProbeError::Map {
        map: NAME,
        reason: chain(error),
    }
}
