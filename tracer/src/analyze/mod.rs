//! From numbers to whose doing they are. Pure functions of the model: no I/O, no
//! clock.

pub mod diff;
pub mod fragmentation;
pub mod gate;
pub mod growth;
pub mod host;
pub mod leak_weight;
pub mod past;
pub mod sockets;
pub mod verdict;
