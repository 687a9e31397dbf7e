//! `/proc/PID/maps`: the kernel writes it, but a target chooses the paths in it.

use procfs::{FromRead as _, process::MemoryMaps};

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

pub fn run(bytes: &[u8]) {
    if let Ok(maps) = MemoryMaps::from_read(bytes) {
        assert!(maps.0.len() <= bytes.len());
    }
}
