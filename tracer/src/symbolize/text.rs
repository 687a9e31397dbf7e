//! Names as they leave this room: valid UTF-8 of bounded length, demangled
//! where they are C++ or Rust. Escaping for an output is that output's work.

use std::fmt;

/// Longest name or path given out, in bytes; longer ones end in `…`.
pub const MAX_TEXT_BYTES: usize = 1024;

/// Mangled names longer than this are not demangled: substitutions make the
/// demangled form grow exponentially.
const MAX_MANGLED_BYTES: usize = 4096;

const CUT: &str = "…";

/// The name of a function as a reader knows it; what cannot be demangled comes
/// back as it is.
#[must_use]
pub fn function_name(raw: &[u8]) -> String {
    demangle(raw).unwrap_or_else(|| bounded(raw))
}

/// Any other text, such as a path, made valid and cut to [`MAX_TEXT_BYTES`].
#[must_use]
pub fn bounded(raw: &[u8]) -> String {
    let mut sink = Bounded::default();
    // Each byte becomes three at most, so this much always fills the sink.
    let enough = &raw[..raw.len().min(MAX_TEXT_BYTES + 4)];
    let _full = fmt::Write::write_str(&mut sink, &String::from_utf8_lossy(enough));
    sink.text
}

fn demangle(raw: &[u8]) -> Option<String> {
    if raw.len() > MAX_MANGLED_BYTES || !(raw.starts_with(b"_Z") || raw.starts_with(b"_R")) {
        return None;
    }
    let mangled = str::from_utf8(raw).ok()?;
    if let Ok(rust) = rustc_demangle::try_demangle(mangled) {
        return written(|sink| fmt::Write::write_fmt(sink, format_args!("{rust:#}")));
    }
    let symbol = cpp_demangle::BorrowedSymbol::new(raw).ok()?;
    let options = cpp_demangle::DemangleOptions::new().no_return_type();
    written(|sink| symbol.structured_demangle(sink, &options))
}

/// What `write` writes. A sink that is full is a success: its text is cut.
fn written(write: impl FnOnce(&mut Bounded) -> fmt::Result) -> Option<String> {
    let mut sink = Bounded::default();
    let outcome = write(&mut sink);
    let usable = outcome.is_ok() || sink.full;
    (usable && !sink.text.is_empty()).then_some(sink.text)
}

/// A text that takes [`MAX_TEXT_BYTES`] and refuses the rest, so that a writer
/// stops early.
#[derive(Default)]
struct Bounded {
    text: String,
    full: bool,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.full {
            return Err(fmt::Error);
        }
        if self.text.len() + piece.len() <= MAX_TEXT_BYTES {
            self.text.push_str(piece);
            return Ok(());
        }
        let room = MAX_TEXT_BYTES - CUT.len();
        self.text.push_str(piece);
        self.text.truncate(self.text.floor_char_boundary(room));
        self.text.push_str(CUT);
        self.full = true;
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Both Rust manglings and C++ come out as their compilers' own tools show
    /// them (`rustfilt`, `c++filt`), without the hash.
    #[test]
    fn rust_and_cpp_names_are_demangled() {
        for (mangled, expected) in [
            (
                "_ZN4core3ptr13drop_in_place17h0123456789abcdefE",
                "core::ptr::drop_in_place",
            ),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            (
                "_ZN2v88internal4Heap11AllocateRawEi",
                "v8::internal::Heap::AllocateRaw(int)",
            ),
            (
                "_ZN4node15AllocatedBuffer8AllocateEm.cold",
                "node::AllocatedBuffer::Allocate(unsigned long) [clone .cold]",
            ),
            ("_Znwm", "operator new(unsigned long)"),
            ("main", "main"),
            ("_Zno such name", "_Zno such name"),
        ] {
            assert_eq!(function_name(mangled.as_bytes()), expected);
        }
    }

    /// A name a page long must not fill a report; a cut one shows that it is cut.
    #[test]
    fn long_names_are_cut_at_a_character() {
        let name = function_name("é".repeat(5000).as_bytes());
        assert!(name.len() <= MAX_TEXT_BYTES && name.len() > MAX_TEXT_BYTES - 5);
        assert!(name.ends_with("é…"));
    }

    /// Nested substitutions (`S_`, `S0_`…) double the text at each level: the
    /// demangler is stopped, not waited for.
    #[test]
    fn exponential_names_stay_bounded() {
        let mut mangled = String::from("_Z1fIiE");
        for level in 0..60 {
            let reference = if level == 0 {
                "S_".into()
            } else {
                format!("S{}_", level - 1)
            };
            mangled.push_str(&format!("1gI{reference}{reference}E"));
        }
        let name = function_name(format!("{mangled}vv").as_bytes());
        assert!(name.len() <= MAX_TEXT_BYTES);
    }

    proptest! {
        /// Names come from a target's file: any bytes give a bounded text.
        #[test]
        fn arbitrary_names_are_bounded(
            prefix in prop::sample::select(vec!["", "_Z", "_ZN", "_R"]),
            rest in proptest::collection::vec(any::<u8>(), 0..2000),
        ) {
            let name = [prefix.as_bytes(), &rest].concat();
            prop_assert!(function_name(&name).len() <= MAX_TEXT_BYTES);
            prop_assert!(bounded(&name).len() <= MAX_TEXT_BYTES);
        }
    }
}
