//! `--check`: each program by itself, untraced: whether its resident set (or the kernel's
//! sockets) does what the program says of itself. Its truth is what the verdicts are judged by.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{
    build::Workplace,
    case::{Case, Place},
    scenario::Scenario,
};

const STEP: Duration = Duration::from_millis(200);
const MEBIBYTE: f64 = 1048576.0;
/// A place of a healthy program may rise by so much from trough to trough, and a twentieth.
const QUIET: f64 = 16.0 * MEBIBYTE;

/// The places of the traced processes together, at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    anonymous: f64,
    files: f64,
    shared: f64,
    tcp: f64,
}

impl Figures {
    fn take(pids: &[u32]) -> anyhow::Result<Self> {
        let mut sum = Self {
            tcp: tcp_bytes()?,
            ..Self::default()
        };
        for pid in pids {
            // One that was restarted is gone.
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
                number.map_or(0.0, |kibibytes: f64| kibibytes * 1024.0)
            };
            sum.anonymous += field("RssAnon:");
            sum.files += field("RssFile:");
            sum.shared += field("RssShmem:");
        }
        Ok(sum)
    }

    fn at(&self, place: Place) -> f64 {
        match place {
            Place::Anonymous => self.anonymous,
            Place::Files => self.files,
            Place::Shared => self.shared,
            Place::Tcp => self.tcp,
        }
    }
}

fn tcp_bytes() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    let line = text
        .lines()
        .find(|line| line.starts_with("TCP:"))
        .context("no TCP")?;
    let pages = line.split_whitespace().last().context("no mem")?;
    Ok(pages.parse::<f64>()? * 4096.0)
}

/// Waits until the queues of the case before are gone, as far as that comes.
fn wait_for_quiet_sockets() -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while tcp_bytes()? > QUIET / 4.0 && Instant::now() < deadline {
        sleep(STEP);
    }
    Ok(())
}

/// Runs a case for its window; whether it does what it says, and the line that tells.
pub fn check(place: &Workplace, case: &Case, seed: u64) -> anyhow::Result<(bool, String)> {
    if case.alone {
        wait_for_quiet_sockets()?;
    }
    let directory = tempfile::tempdir()?;
    let mut scenario = Scenario::start(place.command(case)?, seed, directory.path())?;
    let mut pids = scenario.ready()?;
    let start = now_ns();
    scenario.go()?;
    let end = Instant::now() + Duration::from_secs(case.seconds.into());
    let mut figures = vec![Figures::take(&pids)?];
    scenario.wait_for("end of the window", Duration::from_secs(180), |scenario| {
        sleep(STEP);
        // Who tells the truth may have been restarted.
        if let Some(pid) = scenario.truth()?.pid_at(u64::MAX) {
            let pid = u32::try_from(pid)?;
            if pids[0] != pid {
                pids[0] = pid;
                figures.clear();
            }
        }
        figures.push(Figures::take(&pids)?);
        Ok((Instant::now() >= end).then_some(()))
    })?;
    let truth = scenario.truth()?;
    let told = case.bytes.as_ref();
    let told = told
        .map(|bytes| truth.rise(bytes, start, now_ns()))
        .transpose()?;
    Ok(judged(case, told, &figures))
}

fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn judged(case: &Case, told: Option<f64>, figures: &[Figures]) -> (bool, String) {
    let (first, last) = (figures[0], figures[figures.len() - 1]);
    let mib = |bytes: f64| bytes / MEBIBYTE;
    let mut text = format!("{:<24}", case.name);
    let is_right = match (case.rises, told) {
        (Some(place), Some(told)) => {
            let rise = last.at(place) - first.at(place);
            text += &format!(
                " {place:?} rose by {:.1} MiB, told {:.1}",
                mib(rise),
                mib(told)
            );
            (0.7..1.6).contains(&(rise / told))
        }
        (Some(place), None) => {
            let rise = last.at(place) - first.at(place);
            text += &format!(" {place:?} rose by {:.1} MiB", mib(rise));
            rise > QUIET
        }
        (None, _) => {
            let mut is_quiet = true;
            for place in [Place::Anonymous, Place::Files, Place::Shared, Place::Tcp] {
                let (rise, swing) = drift(figures, place);
                is_quiet &= rise <= QUIET.max(last.at(Place::Anonymous) / 20.0);
                if swing > MEBIBYTE {
                    text += &format!(
                        " {place:?} swings {:.1} drifts {:+.1} MiB",
                        mib(swing),
                        mib(rise)
                    );
                }
            }
            is_quiet
        }
    };
    let headline = if is_right { "right" } else { "WRONG" };
    (is_right, format!("{headline}  {text}"))
}

/// The rise from the trough of the middle third to that of the last, and the whole swing. In
/// the first third a healthy program may still fill its caches.
fn drift(figures: &[Figures], place: Place) -> (f64, f64) {
    let third = figures.len() / 3;
    let values: Vec<f64> = figures.iter().map(|figures| figures.at(place)).collect();
    let trough = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let peak = values.iter().copied().fold(0.0, f64::max);
    let rise = trough(&values[2 * third..]) - trough(&values[third..2 * third]);
    (rise, peak - trough(&values))
}
