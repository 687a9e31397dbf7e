//! Lines' source of truth: `/proc`.

use std::{fs::File, io::Read as _};

use super::{
    identity::{Identity, identity},
    lines::Source,
    proc_files::{self, Status},
};

/// `/proc/PID/status` is shorter, but for who is in more than ten thousand groups.
const STATUS_BYTES: usize = 64 << 10;

/// Asks `/proc`.
pub struct Proc {
    buffer: Vec<u8>,
    path: String,
}

impl Default for Proc {
    fn default() -> Self {
        Self {
            buffer: vec![0; STATUS_BYTES],
            path: String::new(),
        }
    }
}

impl Source for Proc {
    fn identity(&mut self, pid: u32) -> Identity {
        identity(pid)
    }

    fn status(&mut self, pid: u32, status: &mut Status) -> bool {
        use std::fmt::Write as _;
        self.path.clear();
        let _ = write!(self.path, "/proc/{pid}/status");
        let Ok(mut file) = File::open(&self.path) else {
            return false;
        };
        let mut length = 0;
        // One read has it all, but for the few whose lists of groups are long.
        while let Some(rest) = self.buffer.get_mut(length..).filter(|it| !it.is_empty()) {
            match file.read(rest) {
                Ok(0) | Err(_) => break,
                Ok(read) => length += read,
            }
        }
        let text = self.buffer.get(..length).unwrap_or_default();
        proc_files::status(text, status)
    }
}
