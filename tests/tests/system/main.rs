//! Whole meshes of real processes. One mesh at a time (see [`mesh_tests::mesh::Mesh`]): each takes both cores.

mod crowd;
mod edges;
mod pictures;
mod region;
mod stage;
mod voices;
