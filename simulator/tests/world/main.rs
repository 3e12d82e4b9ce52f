//! Whole meshes in virtual time.

mod determinism;
mod floor;
mod harness;
mod regions;
mod scenarios;
mod three_regions;
mod voices;
