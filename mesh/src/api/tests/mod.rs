//! The API over real HTTP, in front of a real topology service.

mod create;
mod harness;
mod join;
mod participants;
mod refusals;
