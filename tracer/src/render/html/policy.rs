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
    format!(
        "default-src 'none'; script-src {}; style-src 'unsafe-inline'; \
         base-uri 'none'; form-action 'none'",
        hashes(&[script], of_frames)
    )
}

/// The same for a page of ours that is served: it may ask its server for what is new, and
/// send its form there.
pub fn of_server(scripts: &[&str], of_frames: &[&str]) -> String {
    format!(
        "default-src 'none'; script-src {}; style-src 'unsafe-inline'; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        hashes(scripts, of_frames)
    )
}

fn hashes(scripts: &[&str], of_frames: &[&str]) -> String {
    let mut hashes: Vec<String> = (scripts.iter().chain([&SHIM]))
        .chain(of_frames)
        .map(|it| hash(it))
        .collect();
    hashes.sort();
    hashes.dedup();
    hashes.join(" ")
}

fn hash(script: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script)))
}
