//! The virtual world around the pure crates.
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "a test chooses the instant it starts from"
    )
)]

pub mod link_model;
pub mod rtt_matrix;
