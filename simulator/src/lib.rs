//! The virtual world around the pure crates.

pub mod link_model;
pub mod rtt_matrix;
