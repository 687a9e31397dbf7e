//! A traced program that was started by the suite.

use std::{
    ops::{Deref, DerefMut},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use super::{Process, Talk, Truth, build};

/// A running program of `programs/`.
pub struct Program {
    process: Process,
    /// Its standard streams.
    pub talk: Talk,
}

impl Program {
    /// Builds and starts a program, and waits until it stands at its barrier.
    #[must_use]
    pub fn ready(name: &str, arguments: &[&str]) -> Self {
        Self::ready_at(&build(name), arguments)
    }

    /// The same with a program that is built.
    #[must_use]
    pub fn ready_at(path: &Path, arguments: &[&str]) -> Self {
        Self::ready_as(Command::new(path).args(arguments))
    }

    /// The same with any command.
    #[must_use]
    pub fn ready_as(command: &mut Command) -> Self {
        let mut program = Self::start(command);
        program.talk.wait_until_ready();
        program
    }

    /// Starts any command with its standard streams taken.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let talk = Talk::new(process.child());
        Self { process, talk }
    }

    /// Lets it work and tell.
    pub fn work(&mut self) -> Truth {
        self.talk.go();
        self.talk.truth()
    }

    /// Has it carry out a command, and takes what it tells of it.
    pub fn ask(&mut self, command: &str) -> Truth {
        self.talk.say(command);
        self.talk.truth()
    }

    /// Lets it end from its last barrier.
    pub fn end(&mut self) -> ExitStatus {
        self.talk.go();
        self.process.wait()
    }
}

impl Deref for Program {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
