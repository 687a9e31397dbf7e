//! Stacks against gdb's, frame by frame, of the same calls in the same run: gdb
//! stops a program that nobody here wrote at each call of its allocator and
//! tells the stack; memtrace, attached meanwhile, must have seen the same
//! stacks, each as often.

use std::{collections::HashMap, path::PathBuf, process::Command};

use tests::{
    Build, FileMapping, Gdb, Memtrace, allocator_of, build_with, code_of, is_prebuilt,
    needs_program, needs_tracing, program_path, programs_dir, run_tool,
};
use tracer::model::Site;

/// Calls compared.
const CALLS: u32 = 1200;
/// Of these at least so many must be identical.
const SHARE: f64 = 0.995;

/// File and offset of each frame, from the allocator's caller outwards.
type Stack = Vec<(String, u64)>;

/// A stack of gdb's, where it lies in files; to the first frame that does not.
fn placed(addresses: &[u64], code: &[FileMapping]) -> Stack {
    let place = |address: &u64| {
        let inside = |it: &&FileMapping| it.0 < *address && *address <= it.1;
        let (start, _, offset, path) = code.iter().find(inside)?;
        Some((path.clone(), address - start + offset))
    };
    addresses.iter().map_while(place).collect()
}

/// Where a program's stacks are compared.
struct Compared<'a> {
    /// As it is printed.
    name: &'a str,
    /// Of the file that has the allocator.
    library: &'a str,
    /// The function at which its libraries are there.
    start: &'a str,
    /// Calls before those compared.
    skip: u32,
    /// Frames are compared up to this function, which gdb does not leave.
    outermost: Option<&'a str>,
}

impl Compared<'_> {
    fn assert_as_gdb_sees_them(&self, program: &Command) {
        let mut gdb = Gdb::start(program, self.start, self.outermost.is_none());
        let allocator = allocator_of(gdb.pid, self.library);
        gdb.go_to(&allocator, self.skip, CALLS);
        let memtrace = Memtrace::attach(gdb.pid, &["--no-mappings"]);
        let stacks = gdb.stacks();
        let code = code_of(gdb.pid);
        let report = memtrace.end().report();
        let mut traced: HashMap<Stack, u64> = HashMap::new();
        let mut approximate = 0;
        for site in &report.sites {
            *traced.entry(self.physical(site)).or_default() += site.counts.allocated_blocks;
            let is_approximate = site.frames.iter().any(|frame| frame.approximate);
            approximate += u64::from(is_approximate) * site.counts.allocated_blocks;
        }
        let (mut identical, mut frames) = (0, 0);
        let mut different = Vec::new();
        for stack in &stacks {
            let stack = placed(stack, &code);
            frames += stack.len();
            let mut same = traced.get_mut(&stack).filter(|left| **left > 0);
            if same.is_none() && ends_in_library(&stack) {
                let mut longer = traced
                    .iter_mut()
                    .filter(|(it, left)| **left > 0 && it.starts_with(&stack));
                same = longer.next().map(|(_, left)| left);
            }
            match same {
                Some(left) => {
                    *left -= 1;
                    identical += 1;
                }
                None => different.push(stack),
            }
        }
        let share = identical as f64 / stacks.len() as f64;
        println!(
            "{}: {identical} of {} stacks identical to gdb's ({:.2}%), {:.1} frames on average, {approximate} marked approximate",
            self.name,
            stacks.len(),
            share * 100.0,
            frames as f64 / stacks.len() as f64
        );
        if let Some(stack) = different.first() {
            let left = traced.iter().filter(|(_, left)| **left > 0);
            let nearest = left.max_by_key(|(other, _)| common(stack, other));
            println!("gdb: {stack:#x?}\nmemtrace: {nearest:#x?}");
        }
        assert!(stacks.len() >= 1000, "only {} calls", stacks.len());
        assert!(share >= SHARE, "{}: {share}", self.name);
    }
}

impl Compared<'_> {
    /// A stack of memtrace's: a frame for each function, not for what was inlined.
    fn physical(&self, site: &Site) -> Stack {
        let last = site.frames.iter().position(|frame| {
            self.outermost.is_some() && frame.function.as_deref() == self.outermost
        });
        let frames = &site.frames[..last.map_or(site.frames.len(), |last| last + 1)];
        let real = frames.iter().filter(|frame| !frame.inlined);
        real.map(|frame| (frame.module.clone(), frame.offset))
            .collect()
    }
}

/// Whether a stack of gdb's is cut short. It hears of libraries where memtrace's
/// probe is too, and so not of those that are loaded later: it ends in them,
/// where memtrace goes on as soon as it has their tables.
fn ends_in_library(stack: &Stack) -> bool {
    let last = stack.last().map_or("", |(module, _)| module);
    last.contains(".so") && !last.contains("libc.so")
}

fn common(a: &Stack, b: &Stack) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

const OF_LIBC: Compared<'static> = Compared {
    name: "",
    library: "libc.so.6",
    start: "__libc_start_main",
    skip: 2000,
    outermost: None,
};

/// A program in C++ as it is shipped: optimised, without frame pointers.
pub fn optimised_containers() -> PathBuf {
    build_with(&Build {
        name: "containers",
        variant: "-O2",
        flags: &[
            "-O2",
            "-fomit-frame-pointer",
            "-foptimize-sibling-calls",
            "-g0",
        ],
    })
}

/// C++ as it is shipped.
#[test]
fn cpp() {
    needs_tracing!();
    needs_program!("gdb");
    let program = optimised_containers();
    Compared {
        name: "C++",
        ..OF_LIBC
    }
    .assert_as_gdb_sees_them(&Command::new(program));
}

/// Python's interpreter.
#[test]
fn python() {
    needs_tracing!();
    needs_program!("gdb");
    needs_program!("python3");
    let python = run_tool("python3", &["-c", "import sys; print(sys.executable)"]);
    let mut command = Command::new(python.trim());
    command.arg(programs_dir().join("workload.py"));
    Compared {
        name: "python3",
        ..OF_LIBC
    }
    .assert_as_gdb_sees_them(&command);
}

/// git, showing the changes of a history.
#[test]
fn git() {
    needs_tracing!();
    needs_program!("gdb");
    needs_program!("git");
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().to_str().unwrap();
    let _ = run_tool("git", &["-C", at, "init", "-q"]);
    for round in 0..20 {
        let text: String = (0..200)
            .map(|line| format!("{}\n", line * (line % 7 + round)))
            .collect();
        std::fs::write(directory.path().join(format!("file{}", round % 5)), text).unwrap();
        let _ = run_tool("git", &["-C", at, "add", "."]);
        let user = ["-c", "user.name=suite", "-c", "user.email=suite@localhost"];
        let commit = ["commit", "-q", "-m", "a change"];
        let _ = run_tool("git", &[&["-C", at][..], &user, &commit].concat());
    }
    let real = run_tool("git", &["--exec-path"]);
    let in_exec_path = std::path::Path::new(real.trim()).join("git");
    let mut command = Command::new(if in_exec_path.exists() {
        in_exec_path
    } else {
        "git".into()
    });
    command.args(["-C", at, "--no-pager", "log", "-p", "--stat"]);
    Compared {
        name: "git",
        skip: 500,
        ..OF_LIBC
    }
    .assert_as_gdb_sees_them(&command);
}

/// sqlite3, in tables, indexes and JSON.
#[test]
fn sqlite() {
    needs_tracing!();
    needs_program!("gdb");
    needs_program!("sqlite3");
    let mut command = Command::new("sqlite3");
    command.args([
        ":memory:",
        "create table t(a integer primary key, b text, c json);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 500)
         insert into t select i, printf('%050d', i * 7919 % 500), json_object('k', i, 'l', json_array(i, i)) from n;
         create index u on t(b);
         select count(distinct b), sum(json_extract(c, '$.l[1]')), max(upper(b)) from t where b like '%7%';
         select group_concat(b, ',') from (select b from t order by c desc limit 50);",
    ]);
    Compared {
        name: "sqlite3",
        skip: 300,
        ..OF_LIBC
    }
    .assert_as_gdb_sees_them(&command);
}

/// nginx, reading a large configuration.
#[test]
fn nginx() {
    needs_tracing!();
    needs_program!("gdb");
    needs_program!("nginx");
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    let servers: String = (0..1500)
        .map(|n| format!("server {{ listen 127.0.0.1:{}; server_name s{n}.local ~^r{n}; location /a{n} {{ return 204; }} location ~ ^/b{n} {{ root /tmp; }} }}\n", 20_000 + n % 50))
        .collect();
    let config = format!(
        "pid {at}/pid; error_log {at}/error; events {{}} http {{ access_log off; server_names_hash_bucket_size 128; server_names_hash_max_size 8192; {servers} }}"
    );
    std::fs::write(directory.path().join("nginx.conf"), config).unwrap();
    let mut command = Command::new("nginx");
    command
        .arg("-t")
        .arg("-c")
        .arg(directory.path().join("nginx.conf"));
    Compared {
        name: "nginx",
        skip: 100,
        ..OF_LIBC
    }
    .assert_as_gdb_sees_them(&command);
}

/// A Rust program as cargo releases it: memtrace's own tests, in a thread.
#[test]
fn rust() {
    needs_tracing!();
    needs_program!("gdb");
    needs_program!("rustc");
    let program = program_path("rust_depths");
    if !is_prebuilt(&program) {
        let source = programs_dir().join("rust_depths.rs");
        let to = program.to_str().unwrap();
        let _ = run_tool(
            "rustc",
            &[
                "-O",
                "--edition",
                "2024",
                "-o",
                to,
                source.to_str().unwrap(),
            ],
        );
    }
    Compared {
        name: "Rust",
        skip: 50,
        ..OF_LIBC
    }
    .assert_as_gdb_sees_them(&Command::new(program));
}

/// A static program over musl, whose libc has no unwind tables: gdb is asked for
/// what is the program's own.
#[test]
fn musl_static() {
    needs_tracing!();
    needs_program!("gdb");
    needs_program!("musl-gcc");
    let program = program_path("depths-musl-static");
    if !is_prebuilt(&program) {
        let source = programs_dir().join("depths.c");
        let flags = ["-static", "-O2", "-fomit-frame-pointer", "-g", "-o"];
        let files = [program.to_str().unwrap(), source.to_str().unwrap()];
        let _ = run_tool("musl-gcc", &[&flags[..], &files].concat());
    }
    Compared {
        name: "musl, static",
        library: "depths-musl-static",
        start: "main",
        skip: 50,
        outermost: Some("main"),
    }
    .assert_as_gdb_sees_them(&Command::new(program));
}

/// node, with its JavaScript: native frames on both sides of it.
#[test]
fn node() {
    needs_tracing!();
    needs_program!("gdb");
    needs_program!("node");
    let mut command = Command::new("node");
    command.arg(programs_dir().join("workload.js"));
    Compared {
        name: "node",
        skip: 40_000,
        ..OF_LIBC
    }
    .assert_as_gdb_sees_them(&command);
}
