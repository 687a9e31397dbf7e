//! Closer looks in the history: a line of JSON and a recording each.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    model::{
        Report,
        host::{CloserLook, LineId, LookId},
    },
    store::recording,
};

use super::{
    HistoryError,
    directory::{Directory, read_all},
    name::{LOOK, PART, RECORDING, look_stem},
};

/// Larger ones are none of ours.
const LOOK_MAX: u64 = 64 << 20;

/// What `ID.look` has.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The age clock when it was kept.
    aged_ms: u64,
    look: CloserLook,
}

/// What the writer knows of a look.
#[derive(Clone, Copy, Debug)]
pub struct KeptLook {
    /// `None`: it cannot be read; it goes first.
    pub line: Option<LineId>,
    /// The age clock when it was kept.
    pub aged_ms: u64,
    /// Of both files.
    pub bytes: u64,
}

/// What there is of looks.
pub struct Listed {
    /// All that are told of.
    pub looks: Vec<(LookId, KeptLook)>,
    /// Recordings of none, which a crash left.
    pub left: Vec<String>,
}

/// See there.
pub fn list(directory: &Directory) -> io::Result<Listed> {
    let names = directory.names()?;
    let looks: Vec<LookId> = (names.iter())
        .filter_map(|name| name.strip_suffix(LOOK))
        .map(|stem| LookId(stem.to_owned()))
        .filter(|id| look_stem(id).is_some())
        .collect();
    let is_left = |name: &&String| {
        let stem = name.strip_suffix(RECORDING);
        stem.is_some_and(|stem| {
            let id = LookId(stem.to_owned());
            look_stem(&id).is_some() && !looks.contains(&id)
        })
    };
    let left = names.iter().filter(is_left).cloned().collect();
    let looks = looks.into_iter().map(|id| {
        let read = read(directory, &id).ok();
        let kept = KeptLook {
            line: read.as_ref().map(|it| it.look.line),
            aged_ms: read.map_or(0, |it| it.aged_ms),
            bytes: directory.length(&format!("{}{LOOK}", id.0))
                + directory.length(&format!("{}{RECORDING}", id.0)),
        };
        (id, kept)
    });
    Ok(Listed {
        looks: looks.collect(),
        left,
    })
}

fn read(directory: &Directory, id: &LookId) -> io::Result<Kept> {
    let stem = look_stem(id).ok_or(io::ErrorKind::InvalidInput)?;
    let file = directory.open_file(&format!("{stem}{LOOK}"))?;
    let mut text = Vec::new();
    file.take(LOOK_MAX).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Every look that can be read, newest first.
pub fn all(directory: &Directory) -> io::Result<Vec<CloserLook>> {
    let listed = list(directory)?;
    let read = listed
        .looks
        .iter()
        .filter_map(|(id, _)| read(directory, id).ok());
    // What a file says that its name is does not lead to another.
    let mut looks: Vec<CloserLook> = (read.map(|it| it.look))
        .filter(|look| look_stem(&look.id).is_some())
        .collect();
    looks.sort_by(|a, b| (b.start_ms, &b.id).cmp(&(a.start_ms, &a.id)));
    Ok(looks)
}

/// The report of one.
pub fn report(directory: &Directory, id: &LookId) -> Result<Report, HistoryError> {
    let none = || HistoryError::NoLook(id.clone());
    let stem = look_stem(id).ok_or_else(none)?;
    let file = match directory.open_file(&format!("{stem}{RECORDING}")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(none()),
        opened => opened.map_err(|source| directory.failed(source))?,
    };
    let bytes = read_all(&file).map_err(|source| directory.failed(source))?;
    recording::read(&bytes).map_err(|source| HistoryError::Recording {
        look: id.clone(),
        source: Box::new(source),
    })
}

/// Takes in a recording, then tells of it: who sees the one sees the other.
pub fn keep(
    directory: &Directory,
    look: &CloserLook,
    recording: &Path,
    aged_ms: u64,
) -> io::Result<KeptLook> {
    let stem = look_stem(&look.id).ok_or(io::ErrorKind::InvalidInput)?;
    let (told, recorded) = (format!("{stem}{LOOK}"), format!("{stem}{RECORDING}"));
    take_in(directory, recording, &recorded)?;
    let kept = Kept {
        aged_ms,
        look: look.clone(),
    };
    let text = serde_json::to_vec(&kept)?;
    write(directory, &told, &mut text.as_slice())?;
    Ok(KeptLook {
        line: Some(look.line),
        aged_ms,
        bytes: text.len() as u64 + directory.length(&recorded),
    })
}

/// Length of a file that is to be kept.
pub fn length(recording: &Path) -> io::Result<u64> {
    Ok(open(recording)?.metadata()?.size())
}

fn open(recording: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags)
        .open(recording)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// Moved; copied where it is on another file system, or is somebody else's.
fn take_in(directory: &Directory, recording: &Path, name: &str) -> io::Result<()> {
    let mut file = match open(recording) {
        // An earlier try has brought it here and went no further.
        Err(error) if error.kind() == io::ErrorKind::NotFound && directory.length(name) > 0 => {
            return Ok(());
        }
        opened => opened?,
    };
    let is_ours = file.metadata()?.uid() == rustix::process::geteuid().as_raw();
    if is_ours {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        if directory.take_in(recording, name).is_ok() {
            return Ok(());
        }
    }
    write(directory, name, &mut file)?;
    std::fs::remove_file(recording)
}

/// A file, whole or not at all.
fn write(directory: &Directory, name: &str, from: &mut impl io::Read) -> io::Result<()> {
    let part = format!("{name}{PART}");
    let mut file = directory.create_anew(&part)?;
    let whole = io::copy(from, &mut file)
        .and_then(|_| file.flush())
        .and_then(|()| file.sync_data())
        .and_then(|()| directory.rename(&part, name));
    if whole.is_err() {
        let _ = directory.remove(&part);
    }
    whole
}

/// Removes one: what tells of it first.
pub fn remove(directory: &Directory, id: &LookId) -> io::Result<()> {
    let stem = look_stem(id).ok_or(io::ErrorKind::InvalidInput)?;
    for name in [format!("{stem}{LOOK}"), format!("{stem}{RECORDING}")] {
        match directory.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
