//! The composition root: roles, configuration, `mesh dev`.

pub mod dev;
