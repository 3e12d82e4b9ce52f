//! What a world is made of, as a TOML file says it.

mod check;
mod error;

pub use error::ScenarioError;

use crate::link_model::{LinkParams, Loss, Queue};
use serde::Deserialize;
use toml::Spanned;

/// A scenario file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// Decides everything that is drawn.
    #[serde(default)]
    pub seed: u64,
    /// Virtual time that is simulated.
    pub duration_s: f64,
    /// From a question to the topology to its answer.
    #[serde(default = "default_control_ms")]
    pub control_delay_ms: u64,
    /// Jitter of every path between nodes.
    #[serde(default)]
    pub path_jitter_us: u64,
    /// Nodes: one origin, and edges.
    #[serde(default)]
    pub node: Vec<NodeSpec>,
    /// Participants.
    #[serde(default)]
    pub group: Vec<GroupSpec>,
    /// Who speaks when.
    #[serde(default)]
    pub talk: TalkSpec,
    /// Paths between nodes that are not as the table of round trips says.
    #[serde(default)]
    pub path: Vec<PathSpec>,
}

fn default_control_ms() -> u64 {
    40
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// Participants' peers below, links up.
    Edge,
    /// The meeting's controller.
    Origin,
}

/// A node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: NodeRole,
    /// Where it is: a region of the table.
    pub region: Spanned<String>,
}

/// Participants who have much in common.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// Prefix of their names.
    pub name: String,
    /// Where they are: a region of the table.
    pub region: Spanned<String>,
    /// Edges they join at, in turn; empty: those of their region.
    #[serde(default)]
    pub edges: Vec<Spanned<String>>,
    /// How many.
    pub count: usize,
    /// How many of them have a camera: the first ones.
    #[serde(default)]
    pub cameras: usize,
    /// The others are attendees of a webinar: they have no microphone, and watch.
    #[serde(default)]
    pub watch: bool,
    /// When the first one joins.
    #[serde(default)]
    pub join_at_s: f64,
    /// And the others, one after the other.
    #[serde(default)]
    pub join_every_ms: u64,
    /// Strip pictures asked for; unset: as many as the edge gives.
    #[serde(default)]
    pub strip: Option<u32>,
    /// Rate they want to receive at most; unset: the edge's assumption.
    #[serde(default)]
    pub max_bitrate_bps: Option<u32>,
    /// Receive slots for pictures, the screen's included.
    #[serde(default = "default_video_slots")]
    pub video_slots: usize,
    /// The last mile, each way; its delay comes on top of the path to the edge's region.
    #[serde(default)]
    pub access: LinkParams,
}

fn default_video_slots() -> usize {
    14
}

/// Who may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// Everybody.
    #[default]
    All,
    /// Those with a camera.
    Cameras,
    /// Nobody.
    Nobody,
}

/// Who speaks when.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TalkSpec {
    /// Who may speak.
    pub who: Who,
    /// When the first turn begins.
    pub from_s: f64,
    /// Shortest and longest turn.
    pub turn_ms: [u64; 2],
    /// Shortest and longest pause between two turns.
    pub gap_ms: [u64; 2],
    /// A recorded meeting of `data/ami_segments_a.csv` instead.
    pub recorded: Option<Spanned<String>>,
    /// Where in the recording to begin.
    pub recorded_from_s: f64,
}

impl Default for TalkSpec {
    fn default() -> Self {
        Self {
            who: Who::All,
            from_s: 5.0,
            turn_ms: [2_000, 5_000],
            gap_ms: [100, 500],
            recorded: None,
            recorded_from_s: 0.0,
        }
    }
}

/// A path between two nodes, in one direction or both.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathSpec {
    /// Name of a node.
    pub from: Spanned<String>,
    /// Name of a node.
    pub to: Spanned<String>,
    /// Whether the way back is so too.
    #[serde(default)]
    pub both: bool,
    /// Delay, instead of half the round trip of the table.
    #[serde(default)]
    pub delay_us: Option<u64>,
    /// Jitter, instead of the scenario's.
    #[serde(default)]
    pub jitter_us: Option<u64>,
    /// What is lost.
    #[serde(default)]
    pub loss: Loss,
    /// Bottleneck; 0: none.
    #[serde(default)]
    pub rate_bps: u64,
    /// What may wait for it.
    #[serde(default)]
    pub queue: Queue,
}

impl Scenario {
    /// Reads and checks a scenario.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(|e| ScenarioError::syntax(text, &e))?;
        check::check(&scenario)
            .map_err(|(span, problem)| ScenarioError::at(text, span, problem))?;
        Ok(scenario)
    }

    /// The place of a node.
    #[must_use]
    pub fn node_index(&self, name: &str) -> Option<usize> {
        self.node.iter().position(|n| n.name == name)
    }

    /// The place of the origin.
    #[must_use]
    pub fn origin_index(&self) -> Option<usize> {
        self.node.iter().position(|n| n.role == NodeRole::Origin)
    }
}
