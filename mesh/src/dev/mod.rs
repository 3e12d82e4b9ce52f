//! `mesh dev`: a whole mesh on one machine.

pub mod wan;
