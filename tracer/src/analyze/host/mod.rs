//! What the recent past of a line says: whether it grows, whether it had a spike, and what can
//! be told without a closer look. Pure.

pub mod budget;
pub mod judge;
pub mod recent;
pub mod spike;
pub mod thresholds;
pub mod trend;

pub use budget::Ledger;
pub use judge::Queues;
pub use recent::Recent;
pub use spike::{Spike, Spikes};
pub use trend::{Quantity, Trend, trend};
