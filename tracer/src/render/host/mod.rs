//! A whole host, for people: the page of `memtrace host`, and what `memtrace host query` tells.

pub mod page;
pub mod query;
