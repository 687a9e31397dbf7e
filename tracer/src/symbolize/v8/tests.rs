//! A heap of V8's made by hand: what is told of it is what was put into it, and
//! no memory makes this code fail or go on without end.

mod code;
mod encoder;
mod exit;
mod heap;
mod hostile;
mod layout;
mod memory;
mod names;
mod positions;
mod script;
