//! Whole meshes in virtual time.

#![allow(clippy::disallowed_methods, reason = "a world may begin at any instant")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod determinism;
mod floor;
mod harness;
mod head;
mod outage;
mod regions;
mod scenarios;
mod thousand;
mod three_regions;
mod voices;
