use proptest::prelude::*;

use super::*;
use crate::render::sample;

fn recording(report: &Report) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(report, &mut bytes).unwrap();
    bytes
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

/// A recording of this version around any content, its checksum right.
fn sealed(version: u32, content: &[u8]) -> Vec<u8> {
    [&envelope(version, content), content].concat()
}

/// The format is what its description says, byte for byte: old recordings stay readable.
#[test]
fn keeps_the_format() {
    let bytes = recording(&sample::small());
    assert_eq!(&bytes[..12], b"\x89MTR\r\n\x1a\n\x01\0\0\0");
    let length = u64::from_le_bytes(bytes[12..20].try_into().unwrap());
    assert_eq!(length, bytes.len() as u64 - 24);
    let checksum = crc32fast::hash(&[&bytes[8..20], &bytes[24..]].concat());
    assert_eq!(bytes[20..24], checksum.to_le_bytes());
    let mut text = String::new();
    DeflateDecoder::new(&bytes[24..])
        .read_to_string(&mut text)
        .unwrap();
    let report: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(report, sample::small());
}

/// Every way in which a file is no good recording is told apart, with what to do.
#[test]
fn tells_what_is_wrong() {
    let good = recording(&sample::small());
    for other in [
        &b""[..],
        b"{\"schema\": 1}",
        b"\x7fELF",
        &good[1..],
        b"\x89PNG\r\n\x1a\n",
    ] {
        let error = read(other).unwrap_err();
        assert!(matches!(error, RecordingError::NotARecording), "{error:?}");
        assert!(error.to_string().contains("give the recording.memtrace"));
    }
    for cut in [1, 8, 23, 24, good.len() - 1] {
        let error = read(&good[..cut]).unwrap_err();
        let RecordingError::Truncated { found, expected } = error else {
            panic!("{cut}: {error:?}");
        };
        assert_eq!(found, cut as u64);
        assert_eq!(expected, if cut < 24 { 24 } else { good.len() as u64 });
    }
    let longer = [&good[..], b"\0"].concat();
    let mut flipped = good.clone();
    flipped[40] ^= 4;
    let old = sealed(0, &good[24..]);
    let nonsense = sealed(1, &packed(b"{\"schema\": 1}"));
    for damaged in [longer, flipped, old, nonsense, sealed(1, b"not deflate")] {
        let error = read(&damaged).unwrap_err();
        assert!(matches!(error, RecordingError::Corrupt(_)), "{error:?}");
        assert!(error.to_string().contains("copy it again"));
    }
}

/// A newer format, or a newer report in this format, asks for a newer memtrace.
#[test]
fn tells_newer_recordings() {
    let newer_report = packed(b"{\"schema\": 2, \"sites\": {}}");
    for newer in [sealed(2, b"who knows"), sealed(1, &newer_report)] {
        let error = read(&newer).unwrap_err();
        assert!(matches!(error, RecordingError::Newer), "{error:?}");
        assert!(error.to_string().contains("newer memtrace"));
    }
    // A damaged version number is damage, not news.
    let mut damaged = recording(&sample::small());
    damaged[9] = 1;
    assert!(matches!(
        read(&damaged).unwrap_err(),
        RecordingError::Corrupt(None)
    ));
}

/// A small file that unpacks without end is stopped at the limit.
#[test]
fn stops_at_the_limit() {
    let mut text = serde_json::to_vec(&sample::small()).unwrap();
    let limit = text.len() as u64;
    assert_eq!(unpack(&packed(&text), limit).unwrap(), sample::small());
    text.push(b' ');
    let error = unpack(&packed(&text), limit - 1).unwrap_err();
    assert!(
        matches!(error, RecordingError::TooLarge { .. }),
        "{error:?}"
    );
    let bomb = packed(&vec![b' '; 1 << 24]);
    assert!(bomb.len() < 1 << 17);
    let error = unpack(&bomb, 1 << 20).unwrap_err();
    assert!(
        matches!(
            error,
            RecordingError::TooLarge {
                limit: 0x10_0000,
                ..
            }
        ),
        "{error:?}"
    );
}

/// Files are read from disk; what is no file is refused without waiting on it.
#[test]
fn reads_files_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recording.memtrace");
    let error = read_recording(&path).unwrap_err();
    assert!(
        matches!(error, RecordingError::Unreadable { .. }),
        "{error:?}"
    );
    std::fs::write(&path, recording(&sample::troubled())).unwrap();
    assert_eq!(read_recording(&path).unwrap(), sample::troubled());
    let pipe = directory.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from(0o600)).unwrap();
    for other in [pipe.as_path(), directory.path(), Path::new("/dev/zero")] {
        let error = read_recording(other).unwrap_err();
        assert!(matches!(error, RecordingError::NotAFile(_)), "{error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every report comes back as it was.
    #[test]
    fn round_trip(report in sample::any_report()) {
        prop_assert_eq!(read(&recording(&report)).unwrap(), report);
    }

    /// Changed bytes never pass for a report and never panic.
    #[test]
    fn detects_corruption(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..=255), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let good = recording(&sample::small());
        let mut bytes = good.clone();
        for (place, change) in changes {
            let place = place.index(bytes.len());
            bytes[place] ^= change;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        prop_assume!(bytes != good);
        prop_assert!(read(&bytes).is_err());
    }

    /// Content that was made, not damaged, is read or refused, never a panic.
    #[test]
    fn survives_hostile_content(bytes in any::<Vec<u8>>(), text in "[{}\\[\\]\",:0-9a-z]{0,60}") {
        let _ = read(&bytes);
        let _ = read(&sealed(1, &bytes));
        let _ = read(&sealed(1, &packed(text.as_bytes())));
    }
}
