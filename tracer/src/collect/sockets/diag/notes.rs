//! What is missing in a snapshot, counted on the way and said at its end.

use std::{collections::BTreeMap, io};

use super::{super::namespaces::Namespace, SocketsError, dump::Flaws, is_not_there};
use crate::model::sockets::Memory;

/// What went wrong, and how often.
#[derive(Debug, Default)]
pub struct Notes {
    /// Dumps that went to their end.
    answers: u64,
    /// By what was asked for: how often it failed, and how first.
    failed: BTreeMap<&'static str, (u64, io::Error)>,
    malformed: u64,
    interrupted: u64,
    not_entered: u64,
    first_not_entered: Option<(u32, io::Error)>,
    unreadable: usize,
    left_out: usize,
    too_many: u64,
    too_many_bytes: u64,
}

impl Notes {
    /// How a dump went.
    pub fn dumped(&mut self, name: &'static str, dumped: io::Result<Flaws>) {
        match dumped {
            Ok(flaws) => {
                self.answers += 1;
                self.malformed += flaws.malformed;
                self.interrupted += u64::from(flaws.is_interrupted);
            }
            Err(error) => self.failed.entry(name).or_insert((0, error)).0 += 1,
        }
    }

    /// A namespace could not be entered.
    pub fn not_entered(&mut self, namespace: &Namespace, error: io::Error) {
        self.not_entered += 1;
        self.first_not_entered.get_or_insert((namespace.pid, error));
    }

    /// A socket more than are kept.
    pub fn too_many(&mut self, memory: &Memory) {
        self.too_many += 1;
        self.too_many_bytes = self.too_many_bytes.saturating_add(memory.accounted());
    }

    /// Processes that may not be looked at.
    pub fn unreadable(&mut self, processes: usize) {
        self.unreadable = processes;
    }

    /// Namespaces more than are looked at.
    pub fn left_out(&mut self, namespaces: usize) {
        self.left_out = namespaces;
    }

    /// Whether any question was answered.
    pub fn has_answer(&self) -> bool {
        self.answers > 0
    }

    /// Why none was.
    pub fn into_error(self) -> SocketsError {
        let failed = self.failed.into_values().next().map(|(_, error)| error);
        let error = failed.or(self.first_not_entered.map(|(_, error)| error));
        match error {
            Some(error) if is_not_there(&error) => SocketsError::NoDiagnosis(error),
            Some(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                SocketsError::NotPermitted(error)
            }
            Some(error) => SocketsError::Netlink(error),
            None => SocketsError::Unreadable("no network namespace has a process".to_owned()),
        }
    }

    /// All of it, a sentence each.
    pub fn into_sentences(self) -> Vec<String> {
        let mut sentences = Vec::new();
        for (name, (times, error)) in self.failed {
            sentences.push(match is_not_there(&error) {
                true => format!(
                    "{name} sockets are not seen: the kernel has no diagnosis of them (modules \
                     inet_diag, tcp_diag, udp_diag, unix_diag)"
                ),
                false => format!(
                    "{name} sockets are incomplete: reading them failed {times} times, first \
                     with: {error}"
                ),
            });
        }
        if let Some((pid, error)) = self.first_not_entered {
            sentences.push(format!(
                "the sockets of {} network namespaces are not seen: they cannot be entered, \
                 first that of process {pid}: {error}",
                self.not_entered
            ));
        }
        let counted = [
            (
                self.malformed,
                "answers of the kernel could not be read: as many sockets or more are missing",
            ),
            (
                self.interrupted,
                "lists of sockets changed while they were read: some may be missing",
            ),
            (
                self.unreadable as u64,
                "of the processes may not be looked at: sockets of theirs are nobody's. It takes root with CAP_SYS_PTRACE",
            ),
            (
                self.left_out as u64,
                "network namespaces are left out: there are too many",
            ),
        ];
        let counted = counted.into_iter().filter(|(number, _)| *number > 0);
        sentences.extend(counted.map(|(number, what)| format!("{number} {what}")));
        if self.too_many > 0 {
            sentences.push(format!(
                "{} sockets are left out, with {} bytes: there are too many",
                self.too_many, self.too_many_bytes
            ));
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(number: i32) -> io::Result<Flaws> {
        Err(io::Error::from_raw_os_error(number))
    }

    /// What is missing is said once each, however often, and what was well is not.
    #[test]
    fn says_what_is_missing() {
        let mut notes = Notes::default();
        notes.dumped("TCP (IPv4)", Ok(Flaws::default()));
        notes.dumped("Unix", failed(libc::ENOENT));
        notes.dumped("Unix", failed(libc::ENOENT));
        notes.dumped("UDP (IPv4)", failed(libc::ENOBUFS));
        let flaws = Flaws {
            malformed: 3,
            is_interrupted: true,
        };
        notes.dumped("UDP (IPv6)", Ok(flaws));
        notes.too_many(&Memory {
            receive_bytes: 4096,
            ..Memory::default()
        });
        assert!(notes.has_answer());
        let sentences = notes.into_sentences();
        let said = |part: &str| sentences.iter().filter(|it| it.contains(part)).count();
        for part in [
            "Unix sockets are not seen",
            "UDP (IPv4) sockets are incomplete: reading them failed 1 times",
            "3 answers of the kernel could not be read",
            "1 lists of sockets changed",
            "1 sockets are left out, with 4096 bytes",
        ] {
            assert_eq!(said(part), 1, "{part}: {sentences:?}");
        }
        assert_eq!(sentences.len(), 5);
        assert_eq!(Notes::default().into_sentences(), Vec::<String>::new());
    }

    /// Where nothing is answered the error says what to do: load modules, or be root.
    #[test]
    fn tells_why_there_is_nothing() {
        let error = |number| {
            let mut notes = Notes::default();
            notes.dumped("Unix", failed(number));
            assert!(!notes.has_answer());
            notes.into_error()
        };
        assert!(matches!(error(libc::ENOENT), SocketsError::NoDiagnosis(_)));
        assert!(matches!(error(libc::EACCES), SocketsError::NotPermitted(_)));
        assert!(matches!(error(libc::ENOBUFS), SocketsError::Netlink(_)));
        assert!(matches!(
            Notes::default().into_error(),
            SocketsError::Unreadable(_)
        ));
    }
}
