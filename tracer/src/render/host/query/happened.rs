//! Events in sentences.

use crate::{
    analyze::past::Past,
    model::{
        host::{Event, Happening},
        utc,
    },
    render::{names, words},
};

/// What happened, when, and to whom.
pub fn sentence(event: &Event, past: &Past) -> String {
    let when = words::utc(&utc::rfc3339(event.at_ms));
    let line = event.line.and_then(|line| past.lines.get(&line));
    let who = line.map_or_else(String::new, |it| {
        format!("{}: ", names::command(&it.name, it.pid))
    });
    format!("{when}  {who}{}", what(&event.what))
}

fn what(what: &Happening) -> String {
    match what {
        Happening::Restarted {
            old_pid,
            new_pid,
            resident_bytes,
        } => format!(
            "began again: process {old_pid}, last seen with {}, is now {new_pid}",
            words::bytes(*resident_bytes)
        ),
        Happening::OutOfMemory {
            pid,
            name,
            resident_bytes,
        } => format!(
            "{} was killed for want of memory, with {} resident",
            names::command(name, *pid),
            words::bytes(*resident_bytes)
        ),
        Happening::Spike {
            peak_bytes,
            usual_bytes,
        } => format!(
            "was at {} for a short while; usual is {}",
            words::bytes(*peak_bytes),
            words::bytes(*usual_bytes)
        ),
        Happening::Grows { bytes_per_second } => {
            format!(
                "its troughs rise, {}",
                words::growth_per_second(*bytes_per_second)
            )
        }
        Happening::LookBegan => "a closer look began".to_owned(),
        Happening::LookEnded { summary, .. } => {
            format!("a closer look ended: {}", names::sanitize(summary))
        }
        Happening::Gap { ms, why } => format!(
            "nothing is known of {}: {}",
            words::seconds(*ms as f64 / 1000.0),
            names::sanitize(why)
        ),
    }
}
