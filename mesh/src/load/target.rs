//! The mesh that is loaded: its edges, meetings made for the run, tokens for them.

use super::plan::EdgePlace;
use super::servers::Watched;
use crate::dev::links::{self, LIFETIME};
use crate::token::Grants;
use anyhow::{Context, bail};
use relay_proto::MeetingId;
use std::net::IpAddr;
use std::path::Path;
use topology::model::{MeetingSpec, NodeState, Region, Role};
use topology::service::TopologyClient;

/// The mesh.
pub(crate) struct Target {
    client: TopologyClient,
    pub(super) edges: Vec<EdgePlace>,
    pub(super) nodes: Vec<Watched>,
    /// Where the first edge takes media.
    pub(super) media: IpAddr,
    meetings: Vec<MeetingId>,
    pub(super) tokens: Vec<String>,
}

impl Target {
    /// The online edges of a mesh, those of some regions only where `regions` names any.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(client: TopologyClient, regions: &[String]) -> anyhow::Result<Self> {
        let view = client.view();
        let online = view.nodes.values().filter(|n| n.state == NodeState::Online);
        let (mut edges, mut nodes, mut media) = (Vec::new(), Vec::new(), None);
        for node in online {
            let (record, region) = (&node.record, node.record.region.as_str());
            let edge = record.role == Role::Edge;
            if !record.http_url.is_empty() {
                nodes.push(Watched {
                    name: record.name.clone(),
                    url: record.http_url.clone(),
                    edge,
                });
            }
            if edge && (regions.is_empty() || regions.iter().any(|r| r == region)) {
                media.get_or_insert(record.media.ip());
                edges.push(EdgePlace {
                    name: record.name.clone(),
                    region: region.to_owned(),
                    url: record.http_url.clone(),
                });
            }
        }
        let Some(media) = media else {
            bail!(
                "no edge is online there: look with `mesh dev status`, or choose other --regions"
            );
        };
        Ok(Self { client, edges, nodes, media, meetings: Vec::new(), tokens: Vec::new() })
    }

    /// Makes meetings, and a token for each.
    ///
    /// # Errors
    /// When the topology does not make them, or there is no token key.
    pub(crate) async fn gather(
        &mut self,
        meetings: u32,
        origin: Option<Region>,
        key: Option<&Path>,
    ) -> anyhow::Result<()> {
        let key = key.context("give the private token key with --token-private-key")?;
        for number in 1..=meetings {
            let spec = MeetingSpec {
                name: format!("mesh load {number}"),
                origin_region: origin.clone(),
                ..MeetingSpec::default()
            };
            let meeting = self.client.create_meeting(spec).await?;
            self.meetings.push(meeting.id);
            self.tokens.push(links::token(key, meeting.id, None, Grants::PARTICIPANT, LIFETIME)?);
        }
        Ok(())
    }

    /// Ends the meetings.
    pub(super) async fn end(&self) {
        for meeting in &self.meetings {
            let _ = self.client.end_meeting(*meeting).await;
        }
    }
}
