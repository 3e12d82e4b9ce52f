//! Whole meshes of real processes. One mesh at a time (see [`mesh_tests::mesh::Mesh`]): each takes both cores.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a test prints its figures, and fails where something is missing"
)]

mod api;
mod crowd;
mod edges;
mod flooded;
mod hostile;
mod load;
mod nonsense;
mod pictures;
mod region;
mod stage;
mod voices;
