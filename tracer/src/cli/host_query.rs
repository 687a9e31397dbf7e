//! `memtrace host query`: the history, with or without a daemon that runs.

use std::{
    io::{self, IsTerminal as _, Write},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};

use super::{
    arguments::{Query, QueryFormat},
    outcome,
    printer::Printer,
};
use crate::{
    analyze::past::{Filter, Past},
    model::{host::Interval, utc},
    render::{host::query, text::Page, words},
    store::history::History,
};

pub fn run(arguments: &Query, printer: &Printer) -> anyhow::Result<ExitCode> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let from_ms = arguments.since.ms(now_ms);
    let to_ms = arguments.until.map_or(u64::MAX, |until| until.ms(now_ms));
    if from_ms >= to_ms {
        bail!("--until is not after --since");
    }
    let history = History::read(&arguments.directory).with_context(advice)?;
    let mut asked = Asked::begin(arguments, &history, from_ms, to_ms)?;
    match &arguments.output {
        Some(path) => {
            let written = outcome::write_file(path, |file| asked.write(arguments, printer, file));
            let written = asked.told(written)?;
            printer.say(&format!("wrote {}", written.display()));
        }
        None => {
            let written = printer.file(|mut out| asked.write(arguments, printer, &mut out));
            asked.told(written.context("the result could not be written to standard output"))?;
        }
    }
    let damaged = asked.intervals.damaged();
    if damaged > 0 {
        let damaged = words::counted(damaged, "stretch").replace("stretchs", "stretches");
        printer.say(&format!(
            "{damaged} of the history cannot be read: the disk or memory may be failing"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn advice() -> &'static str {
    "`memtrace host` writes it, as root: run this with sudo, and name its directory with \
     --directory if it is another"
}

/// A query under way.
struct Asked {
    intervals: crate::store::history::Intervals,
    filter: Filter,
    /// Read to know that there is one, before anything is written.
    first: Option<Interval>,
    /// An output can only fail with its own errors.
    failed: Option<anyhow::Error>,
}

impl Asked {
    fn begin(
        arguments: &Query,
        history: &History,
        from_ms: u64,
        to_ms: u64,
    ) -> anyhow::Result<Self> {
        let mut asked = Self {
            intervals: history.stream(from_ms, to_ms)?,
            filter: Filter {
                process: arguments.process.clone(),
                group: arguments.group.clone(),
            },
            first: None,
            failed: None,
        };
        let is_filtered = arguments.process.is_some() || arguments.group.is_some();
        let mut has_any = false;
        while let Some(interval) = asked.intervals.next() {
            has_any = true;
            let mut interval = interval?;
            asked.filter.apply(&mut interval);
            if !is_filtered || !interval.lines.is_empty() {
                asked.first = Some(interval);
                return Ok(asked);
            }
        }
        let at = |ms| words::utc(&utc::rfc3339(ms));
        match history.span()? {
            _ if has_any => bail!("no program in that time is of that name, process id or group"),
            Some((start, end)) => bail!(
                "the history has nothing of that time; it goes from {} to {}",
                at(start),
                at(end)
            ),
            None => bail!("the history is empty: `memtrace host` has written nothing there yet"),
        }
    }

    fn told<T>(&mut self, written: anyhow::Result<T>) -> anyhow::Result<T> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => written,
        }
    }

    fn next(&mut self) -> io::Result<Option<Interval>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        match self.intervals.next() {
            None => Ok(None),
            Some(Ok(mut interval)) => {
                self.filter.apply(&mut interval);
                Ok(Some(interval))
            }
            Some(Err(error)) => {
                self.failed = Some(error.into());
                Err(io::ErrorKind::Other.into())
            }
        }
    }

    fn past(&mut self) -> io::Result<Past> {
        let mut past = Past::default();
        while let Some(interval) = self.next()? {
            past.take(interval);
        }
        Ok(past)
    }

    fn write(
        &mut self,
        arguments: &Query,
        printer: &Printer,
        to: &mut impl Write,
    ) -> io::Result<()> {
        match arguments.format {
            QueryFormat::Table => {
                let page = Page {
                    columns: printer.columns(),
                    colour: arguments.output.is_none() && io::stdout().is_terminal(),
                };
                let text = query::table(&self.past()?, arguments.top, page);
                to.write_all(text.as_bytes())
            }
            QueryFormat::Json => {
                while let Some(interval) = self.next()? {
                    query::write_json(&interval, to)?;
                }
                Ok(())
            }
            QueryFormat::Csv => {
                query::write_csv_heading(to)?;
                while let Some(interval) = self.next()? {
                    query::write_csv(&interval, to)?;
                }
                Ok(())
            }
            QueryFormat::Folded => query::write_folded(&self.past()?, to),
            QueryFormat::Svg => query::write_svg(&self.past()?, to),
        }
    }
}
