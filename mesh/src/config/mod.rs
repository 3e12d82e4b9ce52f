//! Where a node's settings come from: flags over environment over file over defaults.

mod address;
mod api;
mod file;
mod flags;
mod settle;
mod suggest;

pub(crate) use address::default_route_ip;
pub(crate) use file::File;
pub(crate) use flags::{NodeFlags, TopologyFlags};
pub(crate) use settle::{LogSettings, Row, settle_node, settle_topology};
pub(crate) use suggest::nearest;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RoleName {
    /// Participants connect to it.
    Edge,
    /// Meetings' origins.
    Origin,
    /// The topology service.
    Topology,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Plain,
    /// One JSON object a line.
    Json,
}
