//! Unwind tables on disk, so that a program's are built once: by a hash of
//! what they are made from, which no other file can claim.
//!
//! In `$CACHE_DIRECTORY` (as systemd sets it) or `/var/cache/memtrace`, under
//! `unwind`, for root only. A cache that cannot be had is none: tables are built.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    time::SystemTime,
};

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::symbolize::unwind_table::{MAX_ROWS, UnwindTable};

/// Above this the oldest tables go.
const MAX_CACHE_BYTES: u64 = 256 << 20;
const MAX_TABLE_BYTES: u64 = MAX_ROWS as u64 * 4 + (1 << 20);

/// A directory of tables.
#[derive(Debug)]
pub struct TableCache {
    directory: File,
    path: PathBuf,
}

impl TableCache {
    /// Opens the cache; `None` where there is none that only this user can write.
    #[must_use]
    pub fn open() -> Option<Self> {
        let base = std::env::var_os("CACHE_DIRECTORY")
            .map_or_else(|| PathBuf::from("/var/cache/memtrace"), PathBuf::from);
        Self::open_at(base.join("unwind"))
    }

    fn open_at(path: PathBuf) -> Option<Self> {
        if !path.is_absolute() {
            return None;
        }
        let owner = Mode::RWXU;
        if let Some(parent) = path.parent() {
            let _ = rustix::fs::mkdir(parent, owner);
        }
        let _ = rustix::fs::mkdir(&path, owner);
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let directory = File::from(rustix::fs::open(&path, flags, Mode::empty()).ok()?);
        let it = directory.metadata().ok()?;
        let is_ours = it.uid() == rustix::process::geteuid().as_raw() && it.mode() & 0o022 == 0;
        is_ours.then_some(Self { directory, path })
    }

    /// The table of this name.
    #[must_use]
    pub fn get(&self, digest: &str) -> Option<UnwindTable> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.directory, digest, flags, Mode::empty()).ok()?;
        let mut bytes = Vec::new();
        let mut file = File::from(file).take(MAX_TABLE_BYTES);
        file.read_to_end(&mut bytes).ok()?;
        UnwindTable::from_bytes(&bytes)
    }

    /// Keeps a table under this name, if it can.
    pub fn put(&self, digest: &str, table: &UnwindTable) {
        let bytes = table.to_bytes();
        self.make_room(bytes.len() as u64);
        let new = format!("{digest}.{}", std::process::id());
        let written = self.write(&new, &bytes);
        let placed =
            written && rustix::fs::renameat(&self.directory, &new, &self.directory, digest).is_ok();
        if !placed {
            let _ = rustix::fs::unlinkat(&self.directory, &new, AtFlags::empty());
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> bool {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR);
        file.is_ok_and(|file| File::from(file).write_all(bytes).is_ok())
    }

    /// Takes the oldest tables away until this many bytes fit.
    fn make_room(&self, bytes: u64) {
        let Ok(entries) = std::fs::read_dir(&self.path) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let it = entry.metadata().ok()?;
                Some((it.modified().ok()?, it.len(), entry.path()))
            })
            .collect();
        files.sort_unstable();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if total.saturating_add(bytes) <= MAX_CACHE_BYTES {
                break;
            }
            let _ = std::fs::remove_file(path);
            total -= length;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn table() -> UnwindTable {
        UnwindTable {
            pages: vec![2],
            rows: vec![0x4001, 0x0010_8002],
            specials: vec![Default::default()],
            ..UnwindTable::default()
        }
    }

    /// A table comes back as it went in, and what was cut or is a link does not
    /// come back at all.
    #[test]
    fn keeps_whole_tables() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache/unwind");
        let cache = TableCache::open_at(path.clone()).unwrap();
        assert_eq!(cache.get("aa"), None);
        cache.put("aa", &table());
        assert_eq!(cache.get("aa"), Some(table()));
        let bytes = std::fs::read(path.join("aa")).unwrap();
        std::fs::write(path.join("aa"), &bytes[..bytes.len() - 4]).unwrap();
        assert_eq!(cache.get("aa"), None);
        std::os::unix::fs::symlink("/etc/passwd", path.join("bb")).unwrap();
        assert_eq!(cache.get("bb"), None);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2);
    }

    /// A directory that others can write to is not trusted.
    #[test]
    fn refuses_what_others_can_write() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("unwind");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(TableCache::open_at(path).is_none());
        assert!(TableCache::open_at(PathBuf::from("relative")).is_none());
    }
}
