//! Where else it is told.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Args;

use crate::{
    cli::arguments::values::duration,
    serve::push::{Destination, OTLP_PATH, Options, PYROSCOPE_PATH},
};

/// What is pushed to other systems. Tokens are in files, never on the command line, which every
/// process can read.
#[derive(Args, Debug)]
#[command(next_help_heading = "Other systems")]
pub struct Fleet {
    /// Push profiles to Pyroscope: whose page faults made programs larger, and each closer look.
    #[arg(long, value_name = "URL")]
    pub push_pyroscope: Option<String>,
    /// Headers for it, a file of lines `Name: value`, read anew for each request.
    #[arg(long, value_name = "FILE", requires = "push_pyroscope")]
    pub pyroscope_header_file: Option<PathBuf>,
    /// Push the same profiles to an OpenTelemetry collector, by OTLP over HTTP (v1development).
    #[arg(long, value_name = "URL")]
    pub push_otlp: Option<String>,
    /// Headers for it.
    #[arg(long, value_name = "FILE", requires = "push_otlp")]
    pub otlp_header_file: Option<PathBuf>,
    /// How often profiles are pushed.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = every)]
    pub push_every: Duration,
    /// Post an alert as JSON when a program begins to grow, is judged, or is killed for want of
    /// memory.
    #[arg(long, value_name = "URL")]
    pub webhook: Option<String>,
    /// The webhook's URL, in the first line of a file: for one that is itself a secret.
    #[arg(long, value_name = "FILE", conflicts_with = "webhook")]
    pub webhook_url_file: Option<PathBuf>,
    /// Headers for the webhook.
    #[arg(long, value_name = "FILE")]
    pub webhook_header_file: Option<PathBuf>,
}

impl Fleet {
    /// Checked: URLs are such, and files are there.
    ///
    /// # Errors
    /// The first that is wrong, and of which argument.
    pub fn options(&self) -> anyhow::Result<Options> {
        let pushed = |url: &Option<String>, path, headers: &Option<PathBuf>, argument| {
            let destination = |url: &String| Destination::new(url, path, headers.clone());
            let made = url.as_ref().map(destination).transpose();
            made.context(argument)
        };
        let headers = &self.webhook_header_file;
        let webhook = match &self.webhook_url_file {
            Some(file) => {
                Some(Destination::of_file(file, headers.clone()).context("--webhook-url-file")?)
            }
            None => pushed(&self.webhook, "", headers, "--webhook")?,
        };
        if webhook.is_none() && headers.is_some() {
            anyhow::bail!("--webhook-header-file: there is no webhook");
        }
        Ok(Options {
            pyroscope: pushed(
                &self.push_pyroscope,
                PYROSCOPE_PATH,
                &self.pyroscope_header_file,
                "--push-pyroscope",
            )?,
            otlp: pushed(
                &self.push_otlp,
                OTLP_PATH,
                &self.otlp_header_file,
                "--push-otlp",
            )?,
            webhook,
            every: self.push_every,
        })
    }
}

/// Not faster than the history's intervals, nor so slow that a backend calls it too old.
fn every(text: &str) -> Result<Duration, String> {
    let bounds = Duration::from_secs(10)..=Duration::from_secs(3600);
    let every = duration(text)?;
    let is_within = bounds.contains(&every);
    is_within
        .then_some(every)
        .ok_or_else(|| "from 10s to 1h".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        fleet: Fleet,
    }

    fn options(line: &[&str]) -> anyhow::Result<Options> {
        let line = Line::try_parse_from([&["memtrace"], line].concat())?;
        line.fleet.options()
    }

    /// Without arguments nothing is pushed; what is given goes where it says; what is wrong is
    /// refused before anything starts, and told by which argument.
    #[test]
    fn arguments_are_checked() {
        let none = options(&[]).unwrap();
        assert!(none.pyroscope.is_none() && none.otlp.is_none() && none.webhook.is_none());
        assert_eq!(none.every, Duration::from_secs(60));
        let all = [
            "--push-pyroscope=http://p:4040",
            "--push-otlp=https://c:4318",
        ];
        let made = options(&[&all[..], &["--webhook=http://w/x", "--push-every=10s"]].concat());
        let made = made.unwrap();
        assert_eq!(format!("{:?}", made.otlp), "Some(https://c:4318)");
        assert_eq!(made.every, Duration::from_secs(10));
        for wrong in [
            &["--push-otlp=collector"][..],
            &["--push-pyroscope=http://user:secret@p"],
            &["--push-otlp=http://c", "--otlp-header-file=/nonexistent"],
            &["--webhook-url-file=/nonexistent"],
            &["--webhook-header-file=/etc/hostname"],
        ] {
            let error = format!("{:#}", options(wrong).unwrap_err());
            assert!(
                error.starts_with("--") && !error.contains("secret"),
                "{error}"
            );
        }
        for wrong in [
            &["--push-every=1s"][..],
            &["--push-every=2h"],
            &["--otlp-header-file=/etc/hostname"],
            &["--webhook=http://w", "--webhook-url-file=/etc/hostname"],
        ] {
            assert!(options(wrong).is_err(), "{wrong:?}");
        }
    }
}
