//! A mesh, a meeting in it, and the participants.

use mesh_tests::client::Spec;
use mesh_tests::fleet::{Fleet, Who};
use mesh_tests::mesh::{Mesh, NodeInfo};
use mesh_tests::record::Stream;
use mesh_tests::report::Flow;
use relay_proto::MeetingId;
use std::time::Duration;

pub(crate) const US: &str = "us-east-1";
pub(crate) const EU: &str = "eu-west-1";
pub(crate) const AP: &str = "ap-southeast-1";
/// Everything that is awaited comes much sooner; only a failing test waits for it.
pub(crate) const SOON: Duration = Duration::from_secs(15);
/// A voice's packets a second.
pub(crate) const VOICE_PPS: f64 = 50.0;

pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) meeting: MeetingId,
    pub(crate) token: String,
    pub(crate) mesh: Mesh,
}

impl Stage {
    /// Three regions, and a meeting with its origin in `region`.
    pub(crate) fn with_origin_in(region: &str) -> Self {
        let mesh = Mesh::start(&[]);
        let meeting = mesh.meeting(region);
        let fleet = Fleet::new(mesh.media_ip());
        Self { fleet, meeting, token: mesh.token(meeting), mesh }
    }

    pub(crate) fn join(&self, edge: &NodeInfo, spec: Spec) -> Who {
        self.fleet.join(&edge.url, &self.token, spec)
    }

    pub(crate) fn join_all(&self, wishes: Vec<(NodeInfo, Spec)>) -> Vec<Who> {
        let wishes = wishes.into_iter().map(|(e, s)| (e.url, self.token.clone(), s));
        self.fleet.join_all(wishes.collect())
    }

    /// A participant's id in the meeting.
    pub(crate) fn id(&self, who: Who) -> u32 {
        self.fleet.lock().get(who).participant
    }

    /// Waits until `listener` has heard that many more packets of a voice.
    pub(crate) fn until_heard(&self, listener: Who, voice: u32, packets: u64) {
        let heard = |core: &mut mesh_tests::fleet::Core| {
            core.get(listener).record.voice(voice).map(|s| s.packets).sum::<u64>()
        };
        let before = heard(&mut self.fleet.lock());
        self.fleet.until(SOON, "a voice is heard", |core| {
            let now = heard(core) - before;
            let client = core.get(listener);
            let name = &client.spec.name;
            if now >= packets {
                Ok(())
            } else {
                Err(format!("{name} heard {now} of {packets} packets: {:?}", client.errors))
            }
        });
    }

    /// The flows of this meeting that a node sends.
    pub(crate) fn flows(&self, node: &NodeInfo) -> Vec<Flow> {
        let mut flows = self.mesh.shard(node).flows;
        flows.retain(|f| f.meeting == self.meeting.to_string());
        flows
    }

    /// Forgets all that was received.
    pub(crate) fn clear(&self) {
        self.fleet.lock().iter_mut().for_each(|c| c.record.clear());
    }
}

/// The one stream of a voice that a listener heard.
pub(crate) fn only<'a>(mut streams: impl Iterator<Item = &'a Stream>) -> &'a Stream {
    let found = streams.next().expect("the voice is heard");
    assert!(streams.next().is_none(), "a voice stays in one slot");
    found
}
