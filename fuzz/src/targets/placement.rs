//! Where a probe goes: on an instruction of the function, emulated or at its entry.

use iced_x86::{Decoder, DecoderOptions};
use tracer::probe::placement::place;

pub fn seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    Ok(vec![
        // glibc 2.36: free, malloc, posix_memalign's flag; then endbr64.
        b"\x48\x85\xff\x0f\x84\xbf\0\0\0\x55\x48\x8d\x77\xf0\x53\xc3".to_vec(),
        b"\x41\x54\x55\x53\x48\x89\xfb\xe8\x10\0\0\0\xc3".to_vec(),
        b"\x80\x3d\x10\x20\x30\0\0\x74\x08\x48\x89\xf8\xeb\xf0".to_vec(),
        b"\xf3\x0f\x1e\xfa\x48\x85\xff\x74\x10\xc3".to_vec(),
    ])
}

pub fn run(code: &[u8]) {
    for address in [0, 0x9_8ef0, u64::MAX - 16] {
        for arguments in [0, 1, 3, 7] {
            let placement = place(code, address, arguments);
            let offset = placement.offset_from_entry as usize;
            if offset == 0 {
                continue;
            }
            assert!(placement.emulated && offset < code.len());
            let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
            while decoder.position() < offset {
                let _instruction = decoder.decode();
            }
            assert_eq!(decoder.position(), offset, "in an instruction's middle");
        }
    }
}
