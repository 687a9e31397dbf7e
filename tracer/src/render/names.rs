//! Names of frames and processes for display. Each was chosen by the traced
//! process, or by whoever wrote the recording, and is made harmless here.

use std::borrow::Cow;

use crate::model::{Frame, JAVASCRIPT, Process, Report};

/// What stands for a character that must not be displayed.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Names are cut here, in characters; C++ templates reach kilobytes, and a
/// hostile file has no limit. `report.json` keeps names whole.
const NAME_MAX: usize = 1000;

/// What a site without frames shows in their place.
pub const STACK_LOST: &str = "[stack lost]";

/// The text with one `U+FFFD` for each character that would break a line, move
/// the cursor, hide or reorder its neighbours, or be illegal in XML 1.0; cut
/// at a thousand characters.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let long = text.len() > NAME_MAX && text.chars().nth(NAME_MAX).is_some();
    if !long && !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean: String = text
        .chars()
        .take(NAME_MAX)
        .map(|c| if is_harmful(c) { REPLACEMENT } else { c })
        .collect();
    if long {
        clean.push('…');
    }
    Cow::Owned(clean)
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' // soft hyphen: invisible
            | '\u{61c}' | '\u{200e}'..='\u{200f}' // marks of direction
            | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' // no width
            | '\u{2028}'..='\u{2029}' // separators of lines and paragraphs
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' // overrides of direction
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' // byte order mark, annotations
            | '\u{fffe}'..='\u{ffff}' // not characters, and illegal in XML
            | '\u{e0000}'..='\u{e0fff}' // tags: invisible
        )
}

/// The last component of a path; the text itself where it has none.
#[must_use]
pub fn basename(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit('/').next() {
        Some(name) if !name.is_empty() => name,
        _ => path,
    }
}

/// Name of a frame's function, else `module+0xoffset`.
#[must_use]
pub fn frame(frame: &Frame) -> String {
    if let Some(builtin) = builtin(frame) {
        return format!("{} [V8 builtin]", sanitize(builtin));
    }
    match frame.function.as_deref() {
        Some(function) if !function.trim().is_empty() => sanitize(function).into_owned(),
        _ => format!("{}+{:#x}", module(frame), frame.offset),
    }
}

/// The name of a function of V8's own, as it is written in V8's sources.
#[must_use]
pub fn builtin(frame: &Frame) -> Option<&str> {
    let name = frame.function.as_deref()?.strip_prefix("Builtins_")?;
    (!name.trim().is_empty()).then_some(name)
}

/// A frame in few words: of a JavaScript function with its place.
#[must_use]
pub fn brief(frame: &Frame) -> String {
    let name = self::frame(frame);
    if frame.module == JAVASCRIPT && frame.file.is_some() {
        return format!("{name} {}", place(frame));
    }
    name
}

/// Frames of a program's own script that are named where a runtime's stand before.
const OWN_FRAMES: usize = 3;

/// The first frames of a stack in a line, from the allocator's caller outwards. Where
/// these are all a JavaScript runtime's, the last ones are the script's own.
#[must_use]
pub fn callers(frames: &[Frame], most: usize) -> String {
    if frames.is_empty() {
        return STACK_LOST.to_owned();
    }
    let names = |frames: &[Frame]| {
        let names: Vec<String> = frames.iter().map(short).collect();
        names.join(" < ")
    };
    match frames.iter().position(is_script) {
        Some(own) if own >= most && most > OWN_FRAMES => {
            let before = frames.get(..most - OWN_FRAMES).unwrap_or_default();
            let after = frames.get(own..).unwrap_or_default();
            let after = after.get(..OWN_FRAMES).unwrap_or(after);
            format!("{} < … < {}", names(before), names(after))
        }
        _ => names(frames.get(..most).unwrap_or(frames)),
    }
}

/// Whether a frame is JavaScript of the program's own, not node's.
fn is_script(frame: &Frame) -> bool {
    let file = frame.file.as_deref().unwrap_or("node:");
    frame.module == JAVASCRIPT && !file.starts_with("node:")
}

/// Without the types of its arguments, and of its path the last two parts; of what only
/// adjusts `this` the function that it goes on to.
fn short(frame: &Frame) -> String {
    let name = self::frame(frame).replace("(anonymous namespace)::", "");
    let name = behind_thunk(&name);
    let end = name.find(['(', '<']).filter(|end| *end > 0);
    let name = &name[..end.unwrap_or(name.len())];
    let parts: Vec<&str> = name.rsplitn(3, "::").take(2).collect();
    match parts[..] {
        [last, before] => format!("{before}::{last}"),
        _ => name.to_owned(),
    }
}

/// `f` of `{virtual override thunk({offset(-8)}, f)}`, as cpp_demangle writes it; other
/// names as they are.
fn behind_thunk(name: &str) -> &str {
    let within = name.strip_prefix("{virtual override thunk(");
    let Some(mut rest) = within.and_then(|it| it.strip_suffix(")}")) else {
        return name;
    };
    while let Some((_, after)) = (rest.split_once("}, ")).filter(|_| rest.starts_with('{')) {
        rest = after;
    }
    rest
}

/// Last component of the path of a frame's module.
#[must_use]
pub fn module(frame: &Frame) -> Cow<'_, str> {
    match basename(&frame.module).trim() {
        "" => Cow::Borrowed("[unknown]"),
        name => sanitize(name),
    }
}

/// Where a frame's code stands: `file:line`, else its module.
#[must_use]
pub fn place(frame: &Frame) -> Cow<'_, str> {
    match (frame.file.as_deref(), frame.line) {
        (Some(file), Some(line)) if !file.is_empty() => {
            Cow::Owned(format!("{}:{line}", sanitize(file)))
        }
        (Some(file), None) if !file.is_empty() => sanitize(file),
        _ => module(frame),
    }
}

/// A process as `node (4242)`.
#[must_use]
pub fn process(process: &Process) -> String {
    format!("{} ({})", program(process), process.pid)
}

/// What a process runs: `node`.
#[must_use]
pub fn program(process: &Process) -> Cow<'_, str> {
    program_of(process.program())
}

/// A process that is known by its command only.
#[must_use]
pub fn command(command: &str, pid: u32) -> String {
    format!("{} ({pid})", program_of(command))
}

fn program_of(path: &str) -> Cow<'_, str> {
    match basename(path).trim() {
        "" => Cow::Borrowed("process"),
        name => sanitize(name),
    }
}

/// The process with this [`Process::id`], as [`process`] writes it.
#[must_use]
pub fn process_of(report: &Report, id: u32) -> String {
    report
        .processes
        .iter()
        .find(|process| process.id == id)
        .map_or_else(|| format!("[process {id}]"), process)
}

/// All traced processes in a few words: `node (4242) and 3 more`. The one that the first
/// verdict is about stands for all: verdicts come by how much they matter.
#[must_use]
pub fn processes(report: &Report) -> String {
    let judged = report.verdicts.first().map(|it| it.process);
    let is_judged = |it: &&Process| Some(it.id) == judged;
    let first = (report.processes.iter().find(is_judged)).or_else(|| report.processes.first());
    match (first, report.processes.len()) {
        (None, _) => "no process".to_owned(),
        (Some(only), 1) => process(only),
        (Some(first), all) => format!("{} and {} more", process(first), all - 1),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each kind of character that can forge or break an output is replaced, one for one.
    #[test]
    fn replaces_what_can_break_an_output() {
        let hostile = [
            '\n',
            '\r',
            '\t',
            '\0',
            '\u{1b}',
            '\u{7f}',
            '\u{9b}',
            '\u{85}',
            '\u{2028}',
            '\u{202e}',
            '\u{2066}',
            '\u{200b}',
            '\u{feff}',
            '\u{ffff}',
            '\u{e0041}',
        ];
        for c in hostile {
            assert_eq!(sanitize(&format!("a{c}b")), "a\u{fffd}b", "{c:?}");
        }
    }

    /// Names that do no harm stay as they are, in every script, without a copy.
    #[test]
    fn keeps_ordinary_names() {
        for name in [
            "operator new(unsigned long)",
            "<[u8; 8] as T>::f",
            "größe",
            "関数",
            "a%20b&<",
        ] {
            assert!(matches!(sanitize(name), Cow::Borrowed(same) if same == name));
        }
    }

    /// A name of any length is cut to a length an output can hold.
    #[test]
    fn cuts_endless_names() {
        let clean = sanitize(&"é".repeat(5_000_000)).into_owned();
        assert_eq!(clean.chars().count(), NAME_MAX + 1);
        assert!(clean.ends_with('…'));
        assert_eq!(sanitize(&"é".repeat(NAME_MAX)).chars().count(), NAME_MAX);
    }

    /// Frames without a name show module and offset, so that they can be told apart and looked up.
    #[test]
    fn names_frames() {
        let mut sample = Frame {
            module: "/usr/lib/lib\nz.so.1/".to_owned(),
            offset: 0x1f0,
            ..Frame::default()
        };
        assert_eq!(frame(&sample), "lib\u{fffd}z.so.1+0x1f0");
        sample.function = Some("deflate".to_owned());
        sample.approximate = true;
        assert_eq!(frame(&sample), "deflate");
        sample.module.clear();
        sample.function = Some(" ".to_owned());
        assert_eq!(frame(&sample), "[unknown]+0x1f0");
    }

    /// In a line of callers a function is named without its arguments, and what is called
    /// by way of a thunk as itself, however a demangler writes that.
    #[test]
    fn names_are_short() {
        let short = |function: &str| {
            callers(
                &[Frame {
                    function: Some(function.to_owned()),
                    ..Frame::default()
                }],
                1,
            )
        };
        // The name is that in Debian's node: nm -C.
        let mangled = "_ZThn40_N4node15LibuvStreamWrap10DoTryWriteEPP8uv_buf_tPm";
        let demangled = cpp_demangle::Symbol::new(mangled)
            .unwrap()
            .demangle()
            .unwrap();
        assert!(
            demangled.starts_with("{virtual override thunk("),
            "{demangled}"
        );
        assert_eq!(short(&demangled), "LibuvStreamWrap::DoTryWrite");
        let covariant = cpp_demangle::Symbol::new("_ZTchn8_h16_N1a1b1cEv").unwrap();
        assert_eq!(short(&covariant.demangle().unwrap()), "b::c");
        assert_eq!(short("node::f(int, char)"), "node::f");
        assert_eq!(short("{virtual override thunk("), "{virtual override thunk");
        assert_eq!(short("{virtual override thunk(x)}"), "x");
        assert_eq!(short("{lambda()#1}"), "{lambda");
    }

    /// The place of a frame is its line where that is known, else its module.
    #[test]
    fn names_places() {
        let mut sample = Frame {
            module: "/opt/app".to_owned(),
            ..Frame::default()
        };
        assert_eq!(place(&sample), "app");
        sample.line = Some(7);
        assert_eq!(place(&sample), "app");
        sample.file = Some("src/a\u{1b}.c".to_owned());
        assert_eq!(place(&sample), "src/a\u{fffd}.c:7");
        sample.line = None;
        assert_eq!(place(&sample), "src/a\u{fffd}.c");
    }

    proptest! {
        /// Whatever comes in, one printable line comes out, and cleaning it again changes nothing.
        #[test]
        fn sanitizes_anything(text in any::<String>()) {
            let once = sanitize(&text).into_owned();
            prop_assert!(!once.contains(is_harmful));
            prop_assert_eq!(sanitize(&once), once.as_str());
        }
    }
}
