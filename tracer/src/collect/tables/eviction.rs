//! Which tables go when there is no room, and which come back.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tracer_common::unwind::code::Page;

use super::{Cooling, State, Tables, VDSO, give_back_all};
use crate::probe::{Kernel, ProbeError};

/// How long a program may yet read what was taken away: far longer than one runs.
const COOLING: Duration = Duration::from_secs(1);
/// What was used since then is not sent away for what was sent away before.
const IN_USE_MS: u32 = 10_000;
/// How often it is found out which tables are used, while some are away.
const ASK_AGAIN_MS: u32 = 2_000;

impl Tables {
    /// Makes room for a table that needs so many chunks: it gets it when what
    /// went has cooled down.
    pub(super) fn send_away(
        &mut self,
        wanted: (u64, u64),
        chunks: usize,
        kernel: &mut Kernel,
        idle_ms: u32,
    ) -> Result<(), ProbeError> {
        let cooling: usize = self.cooling.iter().map(|it| it.chunks.len()).sum();
        let mut free = self.chunks.left() + cooling;
        let mut unused = Vec::new();
        for (identity, entry) in &self.files {
            if matches!(entry.state, State::Placed(_)) && *identity != VDSO {
                unused.push((kernel.table_use(entry.number)?, *identity));
            }
        }
        unused.sort_unstable();
        if chunks > self.capacity {
            // Nor would it with all others away.
            unused.clear();
        }
        let latest = unused.last().map_or(0, |(mark, _)| *mark);
        let path = self
            .files
            .get(&wanted)
            .map_or_else(String::new, |entry| entry.path.clone());
        for (mark, identity) in unused {
            if free >= chunks || mark.saturating_add(idle_ms) > latest.max(idle_ms) {
                break;
            }
            let Some(entry) = self.files.get_mut(&identity) else {
                continue;
            };
            let State::Placed(placed) = std::mem::replace(&mut entry.state, State::None) else {
                continue;
            };
            kernel.set_pages(
                placed.pages.start,
                &vec![Page::default(); placed.pages.len()],
            )?;
            free += placed.chunks.len();
            entry.state = State::Away(placed.table);
            self.notes.insert(format!(
                "The unwind table of {} went to make room for that of {path}: stacks through it were approximate then. More room: --unwind-memory.",
                entry.path
            ));
            self.cooling.push(Cooling {
                since: Instant::now(),
                pages: placed.pages,
                chunks: placed.chunks,
            });
            self.changes += 1;
        }
        if free < chunks {
            self.notes.insert(format!(
                "The unwind table of {path} did not fit: stacks through it follow frame pointers and are marked approximate. More room: --unwind-memory."
            ));
        }
        Ok(())
    }

    /// Forgets the tables of all files but these: they are built again, or read from
    /// the cache on disk, when somebody asks for them.
    pub fn keep_only(
        &mut self,
        files: &HashSet<(u64, u64)>,
        kernel: &mut Kernel,
    ) -> Result<(), ProbeError> {
        let gone: Vec<(u64, u64)> = (self.files.iter())
            .filter(|(identity, entry)| {
                let is_building = matches!(entry.state, State::Building);
                !is_building && **identity != VDSO && !files.contains(identity)
            })
            .map(|(identity, _)| *identity)
            .collect();
        for identity in gone {
            let Some(entry) = self.files.remove(&identity) else {
                continue;
            };
            self.numbers.give_back(entry.number..entry.number + 1);
            if let State::Placed(placed) = entry.state {
                kernel.set_pages(
                    placed.pages.start,
                    &vec![Page::default(); placed.pages.len()],
                )?;
                self.cooling.push(Cooling {
                    since: Instant::now(),
                    pages: placed.pages,
                    chunks: placed.chunks,
                });
            }
        }
        self.cool_down();
        Ok(())
    }

    /// What programs can read no more is free again.
    pub(super) fn cool_down(&mut self) {
        let (cool, cooling) = std::mem::take(&mut self.cooling)
            .into_iter()
            .partition(|it| it.since.elapsed() > COOLING);
        self.cooling = cooling;
        for Cooling { pages, chunks, .. } in Vec::from_iter::<Vec<_>>(cool) {
            self.pages.give_back(pages);
            give_back_all(&mut self.chunks, chunks);
        }
    }

    /// Brings back what was used again after it was sent away, and what found
    /// no room, if others are idle.
    pub fn bring_back(&mut self, kernel: &mut Kernel, now_mark: u32) -> Result<(), ProbeError> {
        self.cool_down();
        let away: Vec<((u64, u64), u32)> = (self.files.iter())
            .filter(|(_, entry)| matches!(entry.state, State::Away(_)))
            .map(|(identity, entry)| (*identity, entry.number))
            .collect();
        if !away.is_empty() && now_mark.saturating_sub(self.asked_who_is_used) > ASK_AGAIN_MS {
            // Programs mark a table when they search it, not when they recall a
            // rule: with new entries for the address spaces they search again.
            self.asked_who_is_used = now_mark;
            self.changes += 1;
        }
        for (identity, number) in away {
            if kernel.table_use(number)?.saturating_add(IN_USE_MS) >= now_mark {
                self.place(identity, kernel, IN_USE_MS)?;
            }
        }
        Ok(())
    }
}
