//! Plain data: what a trace found, as every output tells it. No I/O, no clocks.
//!
//! [`Report`] is `report.json`, schema 1, field for field; the schema file is
//! `docs/report.schema.json`. Within a schema fields are only added, and
//! readers ignore what they do not know.

mod frame;
pub mod growth;
pub mod heap;
pub mod host;
pub mod javascript_heap;
mod loss;
mod mappings;
mod process;
mod report;
mod seconds;
mod site;
pub mod socket_look;
pub mod sockets;
mod stack_end;
pub mod trace_heap;
pub mod trace_sockets;
pub mod utc;
pub mod verdict;
pub mod wide;
pub mod words;

pub use frame::{Frame, JAVASCRIPT};
pub use loss::{Loss, LossCause};
pub use mappings::{Extent, MappingKind, MappingSite, Mappings, ProcessMappings};
pub use process::{Beginning, Exit, Followed, Process};
pub use report::{
    Budget, ENDED_EARLY, Host, Level, Report, SCHEMA, Sampling, Slices, Totals, Window,
};
pub use site::{Counts, Site, Source};
pub use stack_end::StackEnd;
