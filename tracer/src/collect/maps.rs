//! `/proc/PID/maps`, read line by line (format: `show_map_vma` in
//! <https://elixir.bootlin.com/linux/v6.12/source/fs/proc/task_mmu.c>).
//!
//! Pure over its text. The kernel writes it, but the target chooses the paths
//! in it: no path can make a line unreadable, let alone the rest.

/// A mapping, as its line tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'text> {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// Whether it can be written.
    pub writable: bool,
    /// Whether code in it can run.
    pub executable: bool,
    /// Whether it may be touched at all (not `PROT_NONE`).
    pub usable: bool,
    /// Whether it is shared (`MAP_SHARED`).
    pub shared: bool,
    /// Of its start in the file.
    pub offset: u64,
    /// Major and minor number.
    pub device: (u32, u32),
    /// 0 where there is no file.
    pub inode: u64,
    /// As the kernel writes it: a line feed as `\012`, ` (deleted)` behind a
    /// file that is gone; `[vdso]` and the like; empty for anonymous memory.
    pub path: &'text [u8],
}

/// The mappings, in their order; lines that are none are passed over.
pub fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    text.split(|byte| *byte == b'\n').filter_map(line)
}

fn line(text: &[u8]) -> Option<Line<'_>> {
    let (addresses, rest) = field(text, b' ')?;
    let (permissions, rest) = field(rest, b' ')?;
    let (offset, rest) = field(rest, b' ')?;
    let (device, rest) = field(rest, b' ')?;
    let (inode, path) = field(rest, b' ').unwrap_or((rest, b""));
    let (start, end) = field(addresses, b'-')?;
    let (major, minor) = field(device, b':')?;
    Some(Line {
        start: hexadecimal(start)?,
        end: hexadecimal(end)?,
        writable: permissions.get(1) == Some(&b'w'),
        executable: permissions.get(2) == Some(&b'x'),
        usable: !permissions.starts_with(b"---"),
        shared: permissions.get(3) == Some(&b's'),
        offset: hexadecimal(offset)?,
        device: (
            hexadecimal(major)?.try_into().ok()?,
            hexadecimal(minor)?.try_into().ok()?,
        ),
        inode: str::from_utf8(inode).ok()?.parse().ok()?,
        path: path.trim_ascii_start(),
    })
}

fn field(text: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == end)?;
    Some((&text[..at], &text[at + 1..]))
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Each kind of line, with paths that a target may choose: `/SYSV1` made
    /// another parser panic, spaces and a bracket belong to the path.
    #[test]
    fn reads_what_the_kernel_writes() {
        let text = b"55d0c0000000-55d0c0001000 r-xp 00001000 fd:1f 131                        /srv/a b\\012 [x] (deleted)\n\
                     7f0000000000-7f0000010000 rw-p 00000000 00:00 0 \n\
                     7f0000020000-7f0000030000 r-xs 00000000 00:01 7    /SYSV1\n\
                     7ffd00000000-7ffd00021000 r-xp 00000000 00:00 0    [vdso]\n";
        let read: Vec<_> = lines(text)
            .map(|line| {
                (
                    line.start,
                    line.executable,
                    line.device,
                    line.inode,
                    line.path,
                )
            })
            .collect();
        type Read = (u64, bool, (u32, u32), u64, &'static [u8]);
        let expected: [Read; 4] = [
            (
                0x55d0_c000_0000,
                true,
                (0xfd, 0x1f),
                131,
                b"/srv/a b\\012 [x] (deleted)",
            ),
            (0x7f00_0000_0000, false, (0, 0), 0, b""),
            (0x7f00_0002_0000, true, (0, 1), 7, b"/SYSV1"),
            (0x7ffd_0000_0000, true, (0, 0), 0, b"[vdso]"),
        ];
        assert_eq!(read, expected);
    }

    /// All mappings of this very process are read, and the code that runs is in one.
    #[test]
    fn reads_our_own() {
        let text = std::fs::read("/proc/self/maps").unwrap();
        let count = text.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines(&text).count(), count);
        let here = reads_our_own as fn() as usize as u64;
        let holds = |line: &Line<'_>| line.executable && (line.start..line.end).contains(&here);
        assert_eq!(lines(&text).filter(holds).count(), 1);
    }
}
