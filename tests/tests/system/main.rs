//! Whole meshes of real processes. One at a time: each takes both cores.

mod voices;
