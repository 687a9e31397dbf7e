//! What happened, in sentences.

use crate::{
    model::host::Happening,
    render::{names, words},
};

/// What happened, without when and to whom.
pub fn sentence(what: &Happening) -> String {
    match what {
        Happening::Restarted {
            old_pid,
            new_pid,
            resident_bytes,
        } => format!(
            "restarted: process {old_pid}, last seen with {}, is now {new_pid}",
            words::bytes(*resident_bytes)
        ),
        Happening::OutOfMemory {
            pid,
            name,
            resident_bytes,
        } => format!(
            "killed for want of memory: {}, with {} resident",
            names::command(name, *pid),
            words::bytes(*resident_bytes)
        ),
        Happening::Spike {
            peak_bytes,
            usual_bytes,
        } => format!(
            "spike to {}, usually {}",
            words::bytes(*peak_bytes),
            words::bytes(*usual_bytes)
        ),
        Happening::Grows { bytes_per_second } => {
            format!("grows: {}", words::growth_per_time(*bytes_per_second))
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
