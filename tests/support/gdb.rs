//! The stacks of a program's calls of the allocator, as gdb sees them.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::{Command, Stdio},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tracer::symbolize::elf;

use super::{Process, programs_dir};

/// A program under gdb.
pub struct Gdb {
    gdb: Process,
    connection: BufReader<UnixStream>,
    _directory: TempDir,
    /// The program.
    pub pid: u32,
}

impl Gdb {
    /// Starts a program and stops it at the function `start`, with its libraries
    /// mapped. Stacks will be told to the root, or to `main`.
    #[must_use]
    pub fn start(program: &Command, start: &str, past_main: bool) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let mut command = Command::new("gdb");
        command
            .args(["-nx", "-q", "-batch", "-x"])
            .arg(programs_dir().join("stacks_gdb.py"))
            .arg("--args")
            .arg(program.get_program())
            .args(program.get_args())
            .env("STACKS_SOCKET", &path)
            .env("STACKS_START", start)
            .env("STACKS_PAST_MAIN", if past_main { "on" } else { "off" })
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        for (name, value) in program.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        if let Some(directory) = program.get_current_dir() {
            command.current_dir(directory);
        }
        let gdb = Process::start(&mut command);
        let (connection, _) = listener.accept().unwrap();
        let mut this = Self {
            gdb,
            connection: BufReader::new(connection),
            _directory: directory,
            pid: 0,
        };
        this.pid = this.hear().as_u64().unwrap() as u32;
        this
    }

    /// Goes on to the call of these functions that comes after so many others.
    pub fn go_to(&mut self, allocator: &HashMap<String, u64>, skip: u32, stops: u32) {
        let functions: Vec<u64> = allocator.values().copied().collect();
        let realloc = allocator.get("realloc");
        self.say(
            &json!({ "allocator": functions, "realloc": realloc, "skip": skip, "stops": stops }),
        );
        assert_eq!(self.hear(), json!(true), "the program ended early");
    }

    /// The return addresses of each further call, from its caller outwards.
    #[must_use]
    pub fn stacks(&mut self) -> Vec<Vec<u64>> {
        self.all_that_is_said("go")
    }

    /// The same with registers and stack.
    #[must_use]
    pub fn recorded(&mut self) -> Vec<RecordedStack> {
        self.all_that_is_said("record")
    }

    fn all_that_is_said<T: DeserializeOwned>(&mut self, command: &str) -> Vec<T> {
        self.say(&json!(command));
        let mut stacks = Vec::new();
        loop {
            match self.hear() {
                Value::Null => return stacks,
                stack => stacks.push(serde_json::from_value(stack).unwrap()),
            }
        }
    }

    fn say(&mut self, what: &Value) {
        let mut line = what.to_string();
        line.push('\n');
        self.connection
            .get_mut()
            .write_all(line.as_bytes())
            .unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        let read = self.connection.read_line(&mut line).unwrap();
        assert!(read > 0, "gdb ended: {}", self.gdb.errors_so_far());
        serde_json::from_str(&line).unwrap()
    }
}

/// A program's stack as it called a function, and as gdb sees it.
#[derive(Debug, Deserialize)]
pub struct RecordedStack {
    /// rsp, at the return address.
    pub stack_pointer: u64,
    /// rbp.
    pub frame_pointer: u64,
    /// The address that the stack's bytes begin with, below rsp.
    pub stack_start: u64,
    /// What stands from there on, in base 64.
    #[serde(deserialize_with = "from_base64")]
    pub stack: Vec<u8>,
    /// Return addresses, from the function's caller outwards.
    pub callers: Vec<u64>,
}

fn from_base64<'de, D: Deserializer<'de>>(text: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(text)?;
    BASE64_STANDARD.decode(text).map_err(D::Error::custom)
}

impl RecordedStack {
    /// A word of it.
    #[must_use]
    pub fn word(&self, address: u64) -> Option<u64> {
        let from = usize::try_from(address.checked_sub(self.stack_start)?).ok()?;
        let word = self.stack.get(from..)?.first_chunk()?;
        Some(u64::from_le_bytes(*word))
    }
}

impl Drop for Gdb {
    fn drop(&mut self) {
        // gdb kills its program.
        let _ = self.connection.get_mut().write_all(b"\"end\"\n");
    }
}

/// A mapping of a file: first address, first behind it, offset in the file, path.
pub type FileMapping = (u64, u64, u64, String);

/// The executable files that a process maps.
#[must_use]
pub fn code_of(pid: u32) -> Vec<FileMapping> {
    let maps = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("maps"));
    let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
    (maps.unwrap().lines())
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [range, flags, offset, _, _, path] = fields[..] else {
                return None;
            };
            let (start, end) = range.split_once('-')?;
            let is_code = flags.contains('x');
            is_code.then(|| (hex(start), hex(end), hex(offset), path.to_owned()))
        })
        .collect()
}

/// The addresses of the functions that are compared, four at most: the
/// processor has no more breakpoints.
#[must_use]
pub fn allocator_of(pid: u32, library: &str) -> HashMap<String, u64> {
    let code = code_of(pid);
    let (_, _, _, path) = code.iter().find(|it| it.3.contains(library)).unwrap();
    let summary = elf::inspect(&std::fs::read(path).unwrap()).unwrap();
    let functions = (summary.functions.iter())
        .filter(|it| ["malloc", "calloc", "realloc", "posix_memalign"].contains(&&*it.name));
    functions
        .map(|function| {
            let inside = |it: &&FileMapping| {
                it.3 == *path && (it.2..it.2 + it.1 - it.0).contains(&function.file_offset)
            };
            let (start, _, offset, _) = code.iter().find(inside).unwrap();
            (function.name.clone(), start + function.file_offset - offset)
        })
        .collect()
}
