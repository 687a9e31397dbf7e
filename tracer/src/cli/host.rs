//! `memtrace host`: watch the whole host.

mod config;
mod notify;
mod rights;
mod serving;

use std::{
    future::pending,
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    arguments::{self, HostCommand, Watch},
    host_query,
    printer::Printer,
};
use crate::{
    collect::{
        host::{Command, FaultSource, STOP, Sampling, Settings, Watcher, clean},
        machine,
    },
    model::host::View,
    probe::features::{self, State, is_in_first_pid_namespace},
    serve::{Sources, push},
    store::history::{Bounds, History},
};
use notify::Notify;
use serving::Serving;

pub fn run(arguments: arguments::Host, printer: &Printer) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Some(HostCommand::Query(query)) => host_query::run(query, printer),
        None => watch_host(config::with_file(arguments)?, printer),
    }
}

fn watch_host(arguments: arguments::Host, printer: &Printer) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        is_in_first_pid_namespace(),
        crate::collect::CollectError::PidNamespace
    );
    // A file is held open for each process.
    machine::raise_open_files();
    let watch = &arguments.watch;
    let destinations = arguments.fleet.options()?;
    let bounds = Bounds {
        bytes: watch.history_bytes,
        age: watch.history_age,
    };
    let history = Arc::new(History::open(&watch.directory, bounds)?);
    clean(&watch.directory);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let serving = Serving::begin(&arguments.serve, &runtime)?;
    // A port may have taken more; and whatever begins from here on, threads too, has no others.
    let kept = rights::drop_others();
    let mut gaps = gaps();
    if let Err(error) = &kept {
        gaps.push(format!("Not all rights could be given up: {error}."));
    }
    let faults = sampling(&mut gaps);
    let (shown, view) = watch::channel(Arc::new(View::default()));
    let watcher = Watcher::new(
        settings(watch),
        Arc::clone(&history),
        shown,
        faults,
        gaps.clone(),
    );
    let pushes = push::Status::default();
    let lost = pushes.clone();
    let watcher = watcher.telling(Box::new(move || lost.losses()));
    let place = serving.as_ref().map(|serving| serving.place.as_str());
    say_first(watch, place, &gaps, kept, printer);
    let (commands, orders) = mpsc::channel();
    let watching = thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || watcher.run(&orders))
        .context("no thread can be had")?;
    let ended = runtime.block_on(async {
        let sources = Sources {
            view: view.clone(),
            history,
        };
        let pushing = push::run(sources.clone(), destinations, pushes.clone(), pending());
        if let Some(serving) = serving {
            // It ends with the runtime.
            tokio::spawn(serving.run(sources, pushes, pending()));
        }
        tokio::select! {
            ended = tend(&arguments, view, &commands, printer) => ended,
            failed = pushing => failed.map_err(Into::into),
        }
    });
    // Nobody is there to hear it if the watcher has ended by itself.
    let _ = commands.send(Command::Stop);
    let stopping = Instant::now();
    while !watching.is_finished() && stopping.elapsed() < STOP {
        thread::park_timeout(Duration::from_millis(5));
    }
    // What runs on the runtime ends with it, whatever it is at.
    runtime.shutdown_background();
    ended?;
    if watching.is_finished() && watching.join().is_err() {
        anyhow::bail!("the watch has failed");
    }
    Ok(ExitCode::SUCCESS)
}

/// Does what signals ask for, until that is to end.
async fn tend(
    arguments: &arguments::Host,
    mut view: watch::Receiver<Arc<View>>,
    commands: &mpsc::Sender<Command>,
    printer: &Printer,
) -> anyhow::Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let notify = Notify::from_environment();
    // Three looks that do not come, and the service manager may start another.
    let patience = arguments.watch.every * 3 + Duration::from_secs(60);
    let mut is_ready = false;
    loop {
        tokio::select! {
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
            _ = hung_up.recv() => match config::again() {
                Ok(again) => {
                    let _ = commands.send(Command::Settings(settings(&again.watch)));
                    printer.say("the configuration was read again");
                }
                Err(error) => printer.say(&format!("the configuration stays as it was: {error:#}")),
            },
            changed = timeout(patience, view.changed()) => match changed {
                Ok(Ok(())) => {
                    if !is_ready {
                        notify.ready();
                        is_ready = true;
                    }
                    notify.alive();
                    if arguments.watch.say {
                        let mut text = serde_json::to_vec(&**view.borrow_and_update())?;
                        text.push(b'\n');
                        printer.text(&text);
                    }
                }
                Ok(Err(_)) => anyhow::bail!("the watch has ended by itself"),
                // The service manager is not told that all is well.
                Err(_) => printer.say("no look has come for long"),
            },
        }
    }
    notify.stopping();
    Ok(())
}

fn settings(watch: &Watch) -> Settings {
    Settings {
        every: watch.every,
        budget: watch.budget,
        looks: !watch.no_looks,
        looks_at: watch.looks_at.clone(),
        look_for: watch.look_for,
        min_rss: watch.min_rss,
        directory: watch.directory.clone(),
    }
}

/// Samples page faults, if that can be had.
fn sampling(gaps: &mut Vec<String>) -> Option<Box<dyn FaultSource>> {
    match Sampling::start() {
        Ok(sampling) => Some(Box::new(sampling)),
        Err(error) => {
            gaps.push(format!(
                "page faults: {:#}. Whose code makes a process larger is told by closer looks alone.",
                anyhow::Error::from(error)
            ));
            None
        }
    }
}

/// What this kernel and these rights do not allow, in `doctor`'s words.
fn gaps() -> Vec<String> {
    let checks = features::examine().into_iter();
    let lacking = checks.filter(|check| check.state != State::Good);
    lacking
        .map(|check| format!("{}: {}. {}", check.name, check.found, check.without))
        .collect()
}

/// One screen: what it does, what it cannot do, and what it may.
fn say_first(
    watch: &Watch,
    place: Option<&str>,
    gaps: &[String],
    kept: Result<String, String>,
    printer: &Printer,
) {
    let looks = match watch.no_looks {
        true => "no closer looks".to_owned(),
        false => format!(
            "closer looks at what grows, for {}% of a processor",
            watch.budget * 100.0
        ),
    };
    printer.say(&format!(
        "watching every process each {:?}, {looks}",
        watch.every
    ));
    printer.say(&format!(
        "history in {}, at most {}",
        watch.directory.display(),
        crate::model::words::bytes(watch.history_bytes)
    ));
    if let Some(place) = place {
        printer.say(&format!("the page is at {place}"));
    }
    for gap in gaps {
        printer.say(&format!("not available: {gap}"));
    }
    if let Ok(kept) = kept {
        printer.say(&format!("rights kept: {kept}"));
    }
}
