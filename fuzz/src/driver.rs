//! Feeding a target for a bounded time, in a child: a panic, an abort, a stack
//! that overflows, memory without end and an endless loop all end the child.
//!
//! The child notes the number of each input before it tries it. Inputs follow
//! from their number, so the supervisor can make the fatal one again and keep it.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{Target, input::Inputs};

/// An input that takes longer counts as endless.
const INPUT_TIME_MAX: Duration = Duration::from_secs(20);
/// Address space of the child, as the file worker's: more is a defect.
const ADDRESS_SPACE_MAX: u64 = 4 << 30;

/// Feeds a target in this process, noting the number of the input in hand.
///
/// # Errors
/// The seeds cannot be made or the number not be noted.
pub fn feed(target: &Target, seed: u64, time: Duration, note: &Path) -> anyhow::Result<()> {
    setrlimit(
        Resource::As,
        Rlimit {
            current: Some(ADDRESS_SPACE_MAX),
            maximum: Some(ADDRESS_SPACE_MAX),
        },
    )?;
    let inputs = Inputs::new(target, seed)?;
    let note = File::create(note)?;
    let end = Instant::now() + time;
    let mut number = 0_u64;
    // The first ones are the seeds themselves: they are tried however short the time.
    while number < inputs.seeds() || Instant::now() < end {
        note.write_at(&number.to_le_bytes(), 0)?;
        (target.run)(&inputs.get(number));
        number += 1;
    }
    println!("{}: {number} inputs", target.name);
    Ok(())
}

/// Feeds a target in a child; false if an input ended it. That input is kept.
///
/// # Errors
/// There is no child to be had, or the input cannot be kept.
pub fn supervise(target: &Target, seed: u64, time: Duration) -> anyhow::Result<bool> {
    let directory = tempfile::tempdir()?;
    let note = directory.path().join("number");
    let mut child = Command::new(std::env::current_exe()?)
        .arg(target.name)
        .args(["--seed", &seed.to_string()])
        .args(["--seconds-each", &time.as_secs().to_string()])
        .arg("--feed")
        .arg(&note)
        .spawn()?;
    let ended = wait(&mut child, &note)?;
    if ended.as_deref() == Some("exit status: 0") {
        return Ok(true);
    }
    let how = ended.unwrap_or_else(|| format!("no end after {INPUT_TIME_MAX:?}"));
    let number = noted(&note).with_context(|| format!("{}: no input was tried", target.name))?;
    let fatal = Inputs::new(target, seed)?.get(number);
    let kept = format!("target/fuzz/{}-{seed}-{number}", target.name);
    fs::create_dir_all("target/fuzz")?;
    fs::write(&kept, fatal)?;
    println!(
        "{}: {how} at input {number}; to see it again:\n  cargo run --profile fuzz -p fuzz -- {} --input {kept}",
        target.name, target.name
    );
    Ok(false)
}

/// How the child ended; `None` if an input took too long, and it was killed.
fn wait(child: &mut Child, note: &Path) -> anyhow::Result<Option<String>> {
    let mut last = (None, Instant::now());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.to_string()));
        }
        let number = noted(note).ok();
        if number != last.0 {
            last = (number, Instant::now());
        } else if last.1.elapsed() > INPUT_TIME_MAX {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn noted(note: &Path) -> anyhow::Result<u64> {
    let bytes = fs::read(note)?;
    ensure!(bytes.len() == 8, "no number was noted");
    Ok(u64::from_le_bytes(bytes.as_slice().try_into()?))
}
