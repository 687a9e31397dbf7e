//! What the page may do: nothing over a network, and no script but its own.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

/// Runs before a flame graph's own script, which takes it for granted that it can be seen
/// and has an address: it begins when its frame is first unfolded, hears of no size while
/// it is folded, and remembers its state nowhere.
pub const SHIM: &str = include_str!("frame.js");

/// The Content-Security-Policy: frames inherit it (HTML, "requires a policy container"),
/// so that it lists the scripts of the flame graphs too.
pub fn policy(script: &str, of_frames: &[&str]) -> String {
    let mut hashes: Vec<String> = [script, SHIM]
        .into_iter()
        .chain(of_frames.iter().copied())
        .map(hash)
        .collect();
    hashes.sort();
    hashes.dedup();
    format!(
        "default-src 'none'; script-src {}; style-src 'unsafe-inline'; \
         base-uri 'none'; form-action 'none'",
        hashes.join(" ")
    )
}

fn hash(script: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script)))
}
