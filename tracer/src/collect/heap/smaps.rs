//! The resident set by what is behind it: `/proc/PID/smaps` (`show_smap` in
//! fs/proc/task_mmu.c), mapping by mapping.

use crate::collect::maps;

/// What one mapping has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weighed {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// What is behind its pages that are not the process's own.
    pub backing: Backing,
    /// V8 has named it as its own (`[anon:v8]`, where the kernel keeps such names).
    pub is_javascript: bool,
    /// Resident.
    pub resident_bytes: u64,
    /// Of these, the process's own pages, of no file.
    pub anonymous_bytes: u64,
    /// In swap.
    pub swapped_bytes: u64,
    /// Given back by `MADV_FREE`: resident until the kernel wants them.
    pub lazily_freed_bytes: u64,
    /// In huge pages.
    pub huge_bytes: u64,
}

/// What is behind a mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backing {
    #[default]
    Nothing,
    File,
    /// Shared memory: of no file on a disk.
    Shared,
}

/// All mappings, by address.
pub fn parse(text: &[u8]) -> Vec<Weighed> {
    let mut mappings: Vec<Weighed> = Vec::new();
    for text in text.split(|byte| *byte == b'\n') {
        if let Some(line) = maps::lines(text).next() {
            mappings.push(Weighed {
                start: line.start,
                end: line.end,
                backing: backing(&line),
                is_javascript: line.path.starts_with(b"[anon:v8"),
                ..Weighed::default()
            });
        } else if let Some(mapping) = mappings.last_mut()
            && let Some((name, bytes)) = field(text)
        {
            let place = match name {
                b"Rss" => &mut mapping.resident_bytes,
                b"Anonymous" => &mut mapping.anonymous_bytes,
                b"Swap" => &mut mapping.swapped_bytes,
                b"LazyFree" => &mut mapping.lazily_freed_bytes,
                b"AnonHugePages" => &mut mapping.huge_bytes,
                _ => continue,
            };
            *place = bytes;
        }
    }
    mappings
}

fn backing(line: &maps::Line<'_>) -> Backing {
    let is_memory = [
        &b"/dev/zero (deleted)"[..],
        b"/memfd:",
        b"/SYSV",
        b"/dev/shm/",
    ];
    if line.inode == 0 {
        Backing::Nothing
    } else if is_memory.iter().any(|name| line.path.starts_with(name)) {
        Backing::Shared
    } else {
        Backing::File
    }
}

/// `Rss:                 123 kB`
fn field(line: &[u8]) -> Option<(&[u8], u64)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, rest) = line.split_at(colon);
    let number = rest.get(1..)?.trim_ascii().strip_suffix(b" kB")?;
    let number: u64 = str::from_utf8(number).ok()?.trim().parse().ok()?;
    Some((name, number.saturating_mul(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each mapping has its own figures, and no path can pass for a figure.
    #[test]
    fn reads_what_the_kernel_writes() {
        let text = b"1000-3000 rw-p 00000000 00:00 0    [anon:v8]\n\
            Size:                  8 kB\nRss:                   8 kB\nAnonymous:             8 kB\n\
            LazyFree:              4 kB\nAnonHugePages:         0 kB\nSwap:                 12 kB\n\
            VmFlags: rd wr mr mw me ac sd \n\
            5000-6000 r--s 00000000 00:01 7    /memfd:Rss:    9 kB (deleted)\n\
            Rss:                   4 kB\nAnonymous:             0 kB\n\
            7000-9000 r--p 00000000 08:01 7    /lib/libc.so.6\nRss:  bad kB\n";
        let mappings = parse(text);
        let figures: Vec<_> = (mappings.iter())
            .map(|it| (it.start, it.backing, it.resident_bytes, it.anonymous_bytes))
            .collect();
        assert_eq!(
            figures,
            [
                (0x1000, Backing::Nothing, 8192, 8192),
                (0x5000, Backing::Shared, 4096, 0),
                (0x7000, Backing::File, 0, 0),
            ]
        );
        let first = mappings.first().cloned().unwrap_or_default();
        assert!(first.is_javascript);
        assert_eq!(
            (first.swapped_bytes, first.lazily_freed_bytes),
            (12288, 4096)
        );
    }
}
