//! The replicated truth: nodes, meetings, and one deterministic `apply`.
//!
//! The single-node service and the Raft group put commands in order; [`State::apply`] gives them meaning. It reads no
//! clock (commands carry the time), draws no random number (commands carry ids), and counts in integers, so the same
//! commands give the same state everywhere.

mod command;
mod meeting;
mod meetings;
mod members;
mod node;
mod nodes;
mod placement;
mod region;
mod repair;
mod requests;
mod rtt;
mod state;

pub use command::{ApplyError, Command, CommandKind, Reply, RequestId, Status};
pub use meeting::{Meeting, MeetingSpec, Occupancy, OccupancyReport};
pub use members::{ServiceMember, ServiceStatus};
pub use node::{Load, Node, NodeRecord, NodeState, Role};
pub use placement::{Candidate, Demand, Placement, RegionDemand, place};
pub use region::{BadRegion, Region};
pub use rtt::RttTable;
pub use state::{Change, State};
