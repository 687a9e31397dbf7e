//! Opening to write: what a crash left behind is removed, completed or mended.

use std::{collections::BTreeMap, io, sync::Arc};

use super::{
    Bounds, Counts, HistoryError,
    clock::AgeClock,
    directory::{Directory, read_all, read_end, read_start},
    looks,
    name::{Level, PART, SegmentName, in_order},
    segment::{END, Reader, START, Start, Summary, Within, check_start},
    segment_file::SegmentFile,
    writer::{Complete, Writer},
};

/// See the module. Within bounds it may not be yet.
pub fn open(directory: Arc<Directory>, bounds: Bounds) -> Result<Writer, HistoryError> {
    let lock = directory.lock()?;
    let failed = |source| directory.failed(source);
    let mut writer = Writer {
        _lock: lock,
        bounds,
        complete: BTreeMap::new(),
        live: None,
        next: 1,
        clock: AgeClock::default(),
        job: None,
        rest_until_ms: 0,
        looks: BTreeMap::new(),
        untold: 0,
        counts: Counts::default(),
        directory: Arc::clone(&directory),
    };
    for name in directory.names().map_err(failed)? {
        if name.ends_with(PART) {
            directory.remove(&name).map_err(failed)?;
        }
    }
    let (names, replaced) = in_order(directory.segments().map_err(failed)?);
    for name in replaced {
        directory.remove(&name.to_string()).map_err(failed)?;
    }
    let last = names.last().copied();
    for name in names {
        writer.next = name.last.saturating_add(1);
        take_in(&mut writer, name, Some(name) == last)?;
    }
    let listed = looks::list(&directory).map_err(failed)?;
    writer.looks = listed.looks.into_iter().collect();
    for name in listed.left {
        directory.remove(&name).map_err(failed)?;
    }
    let segments = writer.complete.values().map(|it| it.summary.aged_ms);
    let live = writer.live.iter().map(|(_, file)| file.summary.aged_ms);
    let looks = writer.looks.values().map(|it| it.aged_ms);
    let newest = segments.chain(live).chain(looks).max();
    writer.clock = AgeClock::from(newest.unwrap_or(0));
    Ok(writer)
}

/// Takes in a segment: the last one to go on with, if it was not completed.
fn take_in(writer: &mut Writer, name: SegmentName, is_last: bool) -> Result<(), HistoryError> {
    let directory = Arc::clone(&writer.directory);
    let failed = |source: io::Error| directory.failed(source);
    let file = directory.open_to_write(&name.to_string()).map_err(failed)?;
    if check_start(&read_start(&file, START).map_err(failed)?) == Start::Newer {
        return Err(HistoryError::Newer);
    }
    let end = read_end(&file, END).map_err(failed)?;
    if let Some(summary) = Summary::of_end(&end) {
        let bytes = directory.length(&name.to_string());
        writer.complete.insert(name, Complete { bytes, summary });
        return Ok(());
    }
    let bytes = read_all(&file).map_err(failed)?;
    let is_torn_at_start = bytes.len() < START;
    let mut reader = Reader::new(bytes);
    while reader.next(Within::All).is_some() {}
    writer.counts.torn_bytes += reader.torn() as u64;
    writer.counts.damaged += reader.damaged();
    if is_torn_at_start || reader.summary.intervals == 0 {
        return directory.remove(&name.to_string()).map_err(failed);
    }
    let mut file = SegmentFile::resume(file, &reader).map_err(failed)?;
    // A table of stacks with holes must not be gone on with: their places would be given again.
    if is_last && name.level == Level::Fine && reader.damaged() == 0 {
        writer.live = Some((name, file));
        return Ok(());
    }
    // On a full disk it is read from its beginning each time.
    if file.end().is_err() {
        writer.counts.failed += 1;
    }
    let (bytes, summary) = (file.bytes(), file.summary);
    writer.complete.insert(name, Complete { bytes, summary });
    Ok(())
}
