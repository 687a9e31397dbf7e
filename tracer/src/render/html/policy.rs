//! What the page may do: nothing over a network, and no script but its own.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

/// By which inferno's pictures begin (`<svg onload=…>`).
const ON_LOAD: &str = "init(evt)";

/// Runs before a flame graph's own script, which remembers its state in the address: a
/// document without one of its own may not.
pub const SHIM: &str = "history.replaceState=function(){};";

/// The Content-Security-Policy: frames inherit it (HTML, "requires a policy container"),
/// so that it lists the scripts of the flame graphs too.
pub fn policy(script: &str, of_frames: &[&str]) -> String {
    let mut hashes: Vec<String> = [script, SHIM, ON_LOAD]
        .into_iter()
        .chain(of_frames.iter().copied())
        .map(hash)
        .collect();
    hashes.sort();
    hashes.dedup();
    format!(
        "default-src 'none'; script-src 'unsafe-hashes' {}; style-src 'unsafe-inline'; \
         base-uri 'none'; form-action 'none'",
        hashes.join(" ")
    )
}

fn hash(script: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script)))
}
