//! How much of V8's heap is resident: its pages looked for, and weighed.

use std::{collections::HashSet, fs, io};

use super::pages::{self, Found, Header, Kind, PAGE, Page, WORDS};
use crate::{
    collect::{
        mapped::residency::{self, Residency},
        maps,
    },
    model::javascript_heap::HeapMoment,
    probe::remote_memory::{self, Range},
};

/// Pages of one process that are looked at: 16 GiB. Of more, as many are weighed.
const PAGES_MAX: usize = 1 << 16;
/// Headers that are read at once.
const BATCH: usize = 1024;
const HEADER: usize = WORDS * 8;

/// Weighs V8's heap in a process.
///
/// # Errors
/// The process is gone.
pub fn look(pid: u32) -> io::Result<HeapMoment> {
    let text = fs::read(format!("/proc/{pid}/maps"))?;
    let mut residency = Residency::open(pid, true)?;
    let mut found = HeapMoment::default();
    let code = executable(&text);
    let mut seen = HashSet::new();
    let mut candidates: Vec<u64> = candidates(&text).collect();
    // Pages side by side are one mapping: behind each that is found there may be another.
    while !candidates.is_empty() && seen.len() < PAGES_MAX {
        candidates.truncate(PAGES_MAX - seen.len());
        // A header was written: to look at what was not would make a page of it.
        candidates.retain(|at| {
            seen.insert(*at)
                && residency
                    .bytes(*at, at + residency::PAGE)
                    .is_ok_and(|it| it > 0)
        });
        let pages = pages_at(pid, &candidates);
        candidates.clear();
        for mut page in pages {
            if is_executable(&code, &page) {
                page.kind = Kind::Code;
            }
            let bytes = residency.bytes(page.start, page.start + page.size)?;
            let sum = match page.kind {
                Kind::Young => &mut found.young_bytes,
                Kind::Old => &mut found.old_bytes,
                Kind::Large => &mut found.large_bytes,
                Kind::Code => &mut found.code_bytes,
            };
            *sum = sum.saturating_add(bytes);
            candidates.push((page.start + page.size).next_multiple_of(PAGE));
        }
    }
    Ok(found)
}

/// Where pages may begin.
fn candidates(text: &[u8]) -> impl Iterator<Item = u64> {
    let is_it = |line: &maps::Line<'_>| {
        let is_anonymous =
            line.inode == 0 && (line.path.is_empty() || line.path.starts_with(b"[anon:"));
        line.usable && (line.writable || line.executable) && is_anonymous && !line.shared
    };
    maps::lines(text)
        .filter(is_it)
        .map(|line| line.start)
        .filter(|start| start.is_multiple_of(PAGE))
}

/// Anonymous memory in which code can run, in its order.
fn executable(text: &[u8]) -> Vec<(u64, u64)> {
    maps::lines(text)
        .filter(|line| line.executable && line.inode == 0)
        .map(|line| (line.start, line.end))
        .collect()
}

/// Whether code can run on a page; its header stands apart from that.
fn is_executable(code: &[(u64, u64)], page: &Page) -> bool {
    let before = code.partition_point(|(_, end)| *end <= page.start);
    (code.get(before)).is_some_and(|(start, _)| *start < page.start + page.size)
}

fn pages_at(pid: u32, candidates: &[u64]) -> Vec<Page> {
    let mut found = Vec::new();
    for starts in candidates.chunks(BATCH) {
        let headers = read(pid, starts);
        let mut more = Vec::new();
        for (start, header) in starts.iter().zip(&headers) {
            let Some(header) = header else {
                continue;
            };
            match pages::look(*start, header) {
                Found::Page(page) => found.push(page),
                Found::Metadata(at) => more.push((*start, header, at)),
                Found::Nothing => {}
            }
        }
        let at: Vec<u64> = more.iter().map(|(_, _, at)| *at).collect();
        for ((start, header, _), metadata) in more.iter().zip(read(pid, &at)) {
            let page = metadata.and_then(|it| pages::look_again(*start, header, &it));
            found.extend(page);
        }
    }
    found
}

/// The words at each of these addresses; `None` where they cannot be read.
fn read(pid: u32, addresses: &[u64]) -> Vec<Option<Header>> {
    let mut words = Vec::with_capacity(addresses.len());
    let mut bytes = vec![0; addresses.len() * HEADER];
    while words.len() < addresses.len() {
        let ranges: Vec<Range> = (addresses.iter().skip(words.len()).enumerate())
            .map(|(index, from)| Range {
                from: *from,
                to: index * HEADER,
                length: HEADER,
            })
            .collect();
        let copied = remote_memory::copy(pid, &ranges, &mut bytes).unwrap_or(0);
        let whole = bytes.chunks_exact(HEADER).take(copied / HEADER);
        words.extend(whole.map(|bytes| Some(header(bytes))));
        if words.len() < addresses.len() {
            // The copy ends at what cannot be read: it has gone meanwhile.
            words.push(None);
        }
    }
    words
}

fn header(bytes: &[u8]) -> Header {
    let mut header = [0; WORDS];
    let (chunks, _) = bytes.as_chunks::<8>();
    for (word, bytes) in header.iter_mut().zip(chunks) {
        *word = u64::from_ne_bytes(*bytes);
    }
    header
}
