//! Printing: results to standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write};

use crate::{
    analyze::diff::Difference,
    collect::Coverage,
    model::{Report, heap::Heap, socket_look::Look},
    probe::features::{Check, State},
    render::{self, text::Page},
};

/// Columns where nothing tells.
const COLUMNS: usize = 100;

/// Standard output, which remembers that nobody reads it any more: renderers wrap
/// errors in their own.
struct Pipe<W> {
    out: W,
    is_closed: bool,
}

impl<W: Write> Pipe<W> {
    fn noting<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        self.is_closed |= result.as_ref().is_err_and(is_closed);
        result
    }
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.out.write(bytes);
        self.noting(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.noting(result)
    }
}

/// The one place that prints.
pub struct Printer {
    is_terminal: bool,
    status_lines: std::cell::Cell<usize>,
}

impl Printer {
    /// A printer to this process's standard streams.
    pub fn new() -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            status_lines: std::cell::Cell::new(0),
        }
    }

    /// Width of the terminal.
    pub fn columns(&self) -> usize {
        rustix::termios::tcgetwinsize(io::stderr())
            .map_or(COLUMNS, |size| usize::from(size.ws_col))
            .clamp(40, 200)
    }

    /// A sentence for the user, beside the results.
    pub fn say(&self, text: &str) {
        self.clear_status();
        // Whoever closed standard error does not want to hear it.
        let _ = writeln!(io::stderr(), "memtrace: {}", render::names::sanitize(text));
    }

    /// An error with its causes.
    pub fn error(&self, error: &anyhow::Error) {
        self.say(&format!("error: {error:#}"));
    }

    /// The report as text: to standard output, or beside the output of a
    /// program that owns it.
    pub fn report(&self, report: &Report, beside: bool) {
        self.clear_status();
        let colour = if beside {
            self.is_terminal
        } else {
            io::stdout().is_terminal()
        };
        let text = render::text::render(
            report,
            Page {
                columns: self.columns(),
                colour,
            },
        );
        // A closed pipe (`| head`) ends the printing, not the work.
        let _ = if beside {
            io::stderr().write_all(text.as_bytes())
        } else {
            io::stdout().write_all(text.as_bytes())
        };
    }

    /// One look at a heap, as text.
    pub fn heap(&self, heap: &Heap) {
        let page = Page {
            columns: self.columns(),
            colour: io::stdout().is_terminal(),
        };
        self.text(render::heap::text(heap, page).as_bytes());
    }

    /// One look at sockets, as text.
    pub fn sockets(&self, look: &Look) {
        let page = Page {
            columns: self.columns(),
            colour: io::stdout().is_terminal(),
        };
        self.text(render::sockets::text(look, page).as_bytes());
    }

    /// A text of our own, as it is.
    pub fn text(&self, text: &[u8]) {
        // A closed pipe (`| head`) is no error.
        let _ = io::stdout().write_all(text);
    }

    /// What grew between two recordings, as text.
    pub fn difference(&self, difference: &Difference<'_>) {
        let page = Page {
            columns: self.columns(),
            colour: io::stdout().is_terminal(),
        };
        self.text(render::diff::text::render(difference, page).as_bytes());
    }

    /// A rendered file. Whoever closes the pipe has read enough: no error.
    pub fn file(&self, render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut pipe = Pipe {
            out: io::stdout().lock(),
            is_closed: false,
        };
        let mut buffer = io::BufWriter::with_capacity(1 << 16, &mut pipe);
        let written = render(&mut buffer).and_then(|()| buffer.flush());
        // What is left in it has been tried.
        drop(buffer.into_parts());
        if pipe.is_closed { Ok(()) } else { written }
    }

    /// What `doctor` found.
    pub fn checks(&self, checks: &[Check]) {
        let mut out = io::stdout();
        for check in checks {
            let (mark, without) = match check.state {
                State::Good => ("ok     ", ""),
                State::Limited => ("limited", check.without),
                State::Missing => ("MISSING", check.without),
            };
            let _ = writeln!(out, "{mark}  {:<28} {}", check.name, check.found);
            if !without.is_empty() {
                let _ = writeln!(out, "         {:<28} → {without}", "");
            }
        }
        let works = checks.iter().all(|check| check.state != State::Missing);
        let verdict = if works {
            "memtrace works here"
        } else {
            "memtrace does not work here: see what is MISSING"
        };
        let _ = writeln!(out, "{verdict}");
    }

    /// Which running processes can be traced.
    pub fn coverage(&self, processes: &[Coverage]) {
        let mut out = io::stdout();
        let _ = writeln!(out, "\nprocesses that hold the most memory:");
        for process in processes {
            let (mark, allocators) = match &process.allocators {
                Ok(names) if process.not_covered.is_empty() => ("ok     ", names),
                Ok(names) => ("partly ", names),
                Err(reason) => ("NOT    ", reason),
            };
            let name = format!("{} ({})", process.name, process.pid);
            let _ = writeln!(
                out,
                "{mark}  {:<28} {:>10}  {}",
                render::names::sanitize(&name),
                render::words::bytes(process.resident),
                render::names::sanitize(allocators)
            );
            for what in &process.not_covered {
                let what = render::names::sanitize(what);
                let _ = writeln!(out, "         {:<28} → not covered: {what}", "");
            }
        }
    }

    /// Rewrites the status in place; nothing where there is no terminal.
    pub fn status(&self, text: &str) {
        if self.is_terminal {
            self.clear_status();
            let _ = write!(io::stderr(), "{text}");
            self.status_lines.set(text.lines().count());
        }
    }

    fn clear_status(&self) {
        let lines = self.status_lines.take();
        if lines > 0 {
            let up = if lines > 1 {
                format!("\x1b[{}A", lines - 1)
            } else {
                String::new()
            };
            let _ = write!(io::stderr(), "\r{up}\x1b[J");
        }
    }
}
