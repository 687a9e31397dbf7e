//! How a trace is to take the stacks of who sends.

use crate::model::trace_sockets::Probes;

/// Which probes a trace puts on sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The best that this kernel has.
    #[default]
    Auto,
    /// These, or the trace does not begin.
    Only(Probes),
}
