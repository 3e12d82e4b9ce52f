//! What nodes and the emulated network say of themselves.

use serde::Deserialize;
use std::collections::BTreeMap;

/// `/debug/shard`, as far as the tests look.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shard {
    /// Participants here.
    pub peers: usize,
    /// Counters of its hubs.
    pub counters: Counters,
    /// Its links.
    pub links: Vec<Link>,
    /// Flows it sends.
    pub flows: Vec<Flow>,
}

/// Counters.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Packets taken in.
    pub ingested: u64,
    /// Packets written into slots.
    pub forwarded: u64,
    /// Packets sent over links.
    pub relayed: u64,
    /// Key-frame requests sent toward sources.
    pub key_requests: u64,
    /// Drops by reason.
    pub drops: BTreeMap<String, u64>,
    /// What came through the relay socket and no link took, by reason.
    pub relay_refused: BTreeMap<String, u64>,
}

/// A link.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// The neighbour's number.
    pub node: u32,
    /// The neighbour's region.
    pub region: Option<String>,
    /// Whether it is up.
    pub up: bool,
    /// Round trip.
    pub rtt_us: Option<u64>,
    /// Media datagrams sent.
    pub datagrams_sent: u64,
    /// Media packets received.
    pub packets_received: u64,
    /// Lost ones.
    pub lost: u64,
}

/// A flow that is sent.
#[derive(Clone, Debug, Deserialize)]
pub struct Flow {
    /// Its meeting.
    pub meeting: String,
    /// To whom.
    pub node: u32,
    /// Whose.
    pub participant: u32,
    /// `Mic`, `Camera` or `Screen`.
    pub kind: String,
    /// Which encoding.
    pub rid: String,
    /// Packets so far.
    pub packets: u64,
    /// Sent unasked.
    pub pushed: bool,
}

impl Flow {
    /// A voice.
    #[must_use]
    pub fn is_audio(&self) -> bool {
        self.kind.eq_ignore_ascii_case("mic")
    }
}

#[derive(Deserialize)]
struct WanStatus {
    pairs: Vec<WanPair>,
}

#[derive(Deserialize)]
struct WanPair {
    from: String,
    to: String,
    delivered: u64,
    delivered_bytes: u64,
}

/// Datagrams and bytes between ordered pairs of regions.
#[derive(Clone, Debug, Default)]
pub struct Wan(BTreeMap<(String, String), (u64, u64)>);

impl Wan {
    /// From the emulator's own report.
    ///
    /// # Panics
    /// When it is of another version.
    #[must_use]
    pub fn read(json: &str) -> Self {
        let status: WanStatus =
            serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json}"));
        let pairs = status.pairs.into_iter();
        Self(pairs.map(|p| ((p.from, p.to), (p.delivered, p.delivered_bytes))).collect())
    }

    /// Datagrams and bytes from one region to another.
    #[must_use]
    pub fn between(&self, from: &str, to: &str) -> (u64, u64) {
        self.0.get(&(from.to_owned(), to.to_owned())).copied().unwrap_or_default()
    }

    /// What has passed since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let rest = self.0.iter().map(|((from, to), (packets, bytes))| {
            let (p, b) = before.between(from, to);
            ((from.clone(), to.clone()), (packets - p, bytes - b))
        });
        Self(rest.collect())
    }

    /// All pairs of different regions.
    pub fn far(&self) -> impl Iterator<Item = (&str, &str, u64, u64)> {
        let far = self.0.iter().filter(|((from, to), _)| from != to);
        far.map(|((from, to), (packets, bytes))| (from.as_str(), to.as_str(), *packets, *bytes))
    }
}
