//! `mesh dev`: a whole mesh on one machine.

pub mod wan;

pub(crate) mod banner;
mod child;
pub(crate) mod control;
mod files;
mod fronts;
pub(crate) mod http;
mod layout;
pub(crate) mod links;
pub(crate) mod pki;
mod ports;
mod prepare;
pub(crate) mod record;
pub(crate) mod state;
mod supervisor;

pub(crate) use files::OPERATOR;
pub(crate) use state::Layout;
pub(crate) use supervisor::run;

use std::path::PathBuf;

/// What `mesh dev` is told.
#[derive(Clone, Debug)]
pub(crate) struct DevOptions {
    /// Where everything lies.
    pub(crate) state_dir: PathBuf,
    /// First HTTP port; 0 takes free ones.
    pub(crate) http_base: u16,
    /// The regions, in order.
    pub(crate) regions: Vec<String>,
    /// Whether distances between regions are emulated.
    pub(crate) wan: bool,
    /// Test knob: clocks of nodes, by name, in milliseconds.
    pub(crate) wall_skew: Vec<(String, i64)>,
    /// What the children log.
    pub(crate) log_level: Option<String>,
    /// Whether children that die are started again.
    pub(crate) restart: bool,
    /// The banner as one line of JSON.
    pub(crate) json: bool,
}
