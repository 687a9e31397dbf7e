//! `memtrace sockets [-p PID]`: one look at the memory of sockets.

use std::process::ExitCode;

use super::{arguments, printer::Printer};
use crate::{
    analyze,
    collect::{
        CollectError,
        sockets::{Reader, Way, about, check},
    },
    probe::features::is_in_first_pid_namespace,
};

pub fn run(arguments: &arguments::Sockets, printer: &Printer) -> anyhow::Result<ExitCode> {
    let mut pids = arguments.pid.clone();
    pids.sort_unstable();
    pids.dedup();
    if !is_in_first_pid_namespace() {
        return Err(CollectError::PidNamespace.into());
    }
    for pid in &pids {
        check(*pid)?;
    }
    let way = match arguments.sock_diag {
        true => Way::SockDiag,
        false => Way::Best,
    };
    let snapshot = Reader::new(way)?.snapshot()?;
    let look = analyze::sockets::look(&snapshot, &pids, &about);
    if arguments.json {
        let mut text = serde_json::to_vec_pretty(&look)?;
        text.push(b'\n');
        printer.text(&text);
    } else {
        printer.sockets(&look);
    }
    Ok(ExitCode::SUCCESS)
}
