//! Talking to a traced program: the barriers, and the truth it tells.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use serde_json::Value;
use tracer::model::Counts;

use super::process::DEADLINE;

/// The two ends of a program's standard streams.
pub struct Talk {
    pid: Pid,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// What a program counted itself.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// By name of the function that called the allocator.
    pub sites: BTreeMap<String, Counts>,
    /// Other numbers, by name.
    pub values: BTreeMap<String, u64>,
}

impl Truth {
    /// Sums over all sites.
    #[must_use]
    pub fn total(&self) -> Counts {
        self.sites.values().fold(Counts::default(), |mut sum, one| {
            sum += *one;
            sum
        })
    }

    /// A number that the program told.
    #[must_use]
    pub fn value(&self, name: &str) -> u64 {
        *self
            .values
            .get(name)
            .unwrap_or_else(|| panic!("the program does not tell {name}"))
    }

    fn add(&mut self, line: &Value) {
        let number = |key: &str| line[key].as_u64().unwrap();
        if let Some(name) = line["value"].as_str() {
            self.values.insert(name.to_owned(), number("is"));
        } else if let Some(name) = line["site"].as_str() {
            let counts = Counts::new(
                number("allocated_blocks"),
                number("allocated_bytes"),
                number("freed_blocks"),
                number("freed_bytes"),
            );
            self.sites.insert(name.to_owned(), counts);
        }
    }
}

impl Talk {
    /// Takes over the streams of a child, which must be pipes.
    pub(super) fn new(child: &mut Child) -> Self {
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            pid: Pid::from_child(child),
            input: child.stdin.take(),
            lines,
        }
    }

    /// Waits for the program's next line.
    pub fn line(&mut self) -> String {
        self.lines.recv_timeout(*DEADLINE).unwrap_or_else(|error| {
            panic!("the program says nothing: {error}; {}", self.how_it_is())
        })
    }

    /// Whether the program lives, or how it ended. It can still be waited for.
    fn how_it_is(&self) -> String {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let mut looks = 0;
        loop {
            match waitid(WaitId::Pid(self.pid), options) {
                // Its streams are closed a moment before its end is told.
                Ok(None) if looks < 100 => std::thread::sleep(Duration::from_millis(10)),
                Ok(None) => return "it lives".to_owned(),
                Ok(Some(ended)) => {
                    let (status, signal) = (ended.exit_status(), ended.terminating_signal());
                    return format!("it ended: exit status {status:?}, signal {signal:?}");
                }
                Err(error) => return format!("how it ended is not known: {error}"),
            }
            looks += 1;
        }
    }

    /// Everything that is still to come, to the end of the stream.
    pub fn rest(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(*DEADLINE) {
            rest.push(line);
        }
        rest
    }

    /// Waits until the program stands at its barrier.
    pub fn wait_until_ready(&mut self) {
        assert_eq!(self.line(), "{\"event\":\"ready\"}");
    }

    /// Lets it go on from a barrier.
    pub fn go(&mut self) {
        self.say("go");
    }

    /// Sends it a line.
    pub fn say(&mut self, line: &str) {
        // In one write: a program may take each for a line. One that is gone is noticed by who waits
        // for what it says.
        let line = format!("{line}\n");
        let _ = self.input.as_mut().unwrap().write_all(line.as_bytes());
    }

    /// Ends its standard input.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// Waits for the whole truth.
    pub fn truth(&mut self) -> Truth {
        let mut truth = Truth::default();
        loop {
            let line = self.line();
            let value: Value = serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("{line:?} is not JSON: {error}"));
            match value["event"].as_str() {
                Some("truth") => return truth,
                Some(other) => panic!("the program gave up: {other}"),
                None => truth.add(&value),
            }
        }
    }
}
