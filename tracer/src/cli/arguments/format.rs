//! What `memtrace report` can be asked for alone.

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Stacks and bytes as text, for flame graph tools.
    Folded,
    /// A page for people: report.html.
    Html,
    /// Everything: report.json.
    Json,
    /// A profile for pprof, compressed: profile.pb.gz.
    Pprof,
    /// A flame graph.
    Svg,
}

/// `--which`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Picture {
    /// What was allocated and not freed.
    #[default]
    Live,
    /// What outlives the window and keeps growing.
    Leak,
    /// What is free and resident all the same.
    Fragmentation,
    /// What was mapped and is resident.
    Mappings,
    /// What JavaScript functions were seen to allocate.
    Javascript,
    /// What is in the queues of sockets.
    Sockets,
}
