//! `/proc/PID/maps`: the kernel writes it, but a target chooses the paths in it.

use tracer::collect::maps::lines;

pub const WORDS: &[&str] = &[
    "\n",
    "-",
    " ",
    "r-xp",
    "[vdso]",
    "[anon:",
    "[stack:",
    "(deleted)",
    "08:01",
    "/SYSV",
    "\\012",
];

pub fn seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    let maps = "55d0c0000000-55d0c0001000 r-xp 00001000 08:01 131 /srv/a b\\012c (deleted)\n\
                7f0000000000-7f0000010000 rw-p 00000000 00:00 0 \n\
                7f0000020000-7f0000030000 rw-s 00000000 00:01 7 /SYSV00000001 (deleted)\n\
                7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0 [stack]\n\
                ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";
    Ok(vec![maps.as_bytes().to_vec()])
}

/// What is in a path changes no other line, and nothing of its own but the path.
pub fn run(bytes: &[u8]) {
    assert!(lines(bytes).count() <= bytes.split(|byte| *byte == b'\n').count());
    let path: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| *byte != b'\n')
        .collect();
    let text = [
        b"1000-2000 r-xp 00003000 08:01 131 /".as_slice(),
        &path,
        b"\n2000-3000 rw-p 0 00:00 0 \n",
    ]
    .concat();
    let read: Vec<_> = lines(&text).collect();
    assert_eq!(read.len(), 2);
    assert_eq!(
        (read[0].start, read[0].end, read[0].offset, read[0].inode),
        (0x1000, 0x2000, 0x3000, 131)
    );
    assert_eq!(read[0].path, [b"/", &path[..]].concat());
    assert_eq!((read[1].start, read[1].executable), (0x2000, false));
}
