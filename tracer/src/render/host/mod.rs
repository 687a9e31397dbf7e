//! A whole host, for people: the page of `memtrace host`, and what `memtrace host query` tells.

mod happened;
pub mod page;
pub mod query;
