//! `memtrace host`.

use clap::{Args, Subcommand};

mod fleet;
mod query;
mod serve;
mod watch;

pub use fleet::Fleet;
pub use query::{Query, QueryFormat};
pub use serve::Serve;
pub use watch::Watch;

#[derive(Args, Debug)]
// Overriding: a configuration's options stand before the command line's.
#[command(args_conflicts_with_subcommands = true, args_override_self = true)]
pub struct Host {
    #[command(subcommand)]
    pub command: Option<HostCommand>,
    #[command(flatten)]
    pub watch: Watch,
    #[command(flatten)]
    pub serve: Serve,
    #[command(flatten)]
    pub fleet: Fleet,
}

#[derive(Subcommand, Debug)]
pub enum HostCommand {
    /// Read the history, with or without a daemon that runs.
    Query(Query),
}
