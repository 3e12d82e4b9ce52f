//! The virtual world around the pure crates: edges and origins as they are, over modelled links, in virtual time.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = std::fs::read_to_string("scenarios/three-regions.toml")?;
//! let scenario = simulator::Scenario::parse(&text)?;
//! let report = simulator::World::builder(std::time::Instant::now()).scenario(scenario).build()?.run();
//! println!("{report}");
//! # Ok(())
//! # }
//! ```

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "a test chooses the instant it starts from")
)]

mod address;
mod builder;
mod control;
mod digest;
pub mod histogram;
pub mod link_model;
mod network;
mod node;
pub mod observe;
mod participant;
mod queue;
mod random;
pub mod regions;
pub mod report;
pub mod rtt_matrix;
pub mod scenario;
pub mod talk;
mod time;
mod wire;
mod world;

pub use builder::{BuildError, Builder};
pub use digest::RunHash;
pub use participant::{CameraCounters, HeardTurn, PictureCounters, Signalled, Spoken, Stage};
pub use report::Report;
pub use scenario::{Scenario, ScenarioError};
pub use time::SimTime;
pub use wire::WireCounters;
pub use world::World;
