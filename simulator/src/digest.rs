//! The hash of a run: what was decided, what was delivered, and when.
//!
//! Bytes of QUIC never enter it: TLS draws its own entropy. Their sizes and times do.

use crate::time::SimTime;
use sha2::{Digest, Sha256};

/// What a part of the hash covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Floor, slots, roles, joins, links up and down.
    Decisions = 0,
    /// Headers of the packets that participants received.
    Media = 1,
    /// Size and time of every datagram between nodes.
    Relay = 2,
}

/// Three running hashes, so that a difference says where to look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprint([Sha256; 3]);

impl Fingerprint {
    /// Something happened at `at` to `whom`.
    pub(crate) fn note(&mut self, part: Part, at: SimTime, whom: usize, what: &[u8]) {
        let hash = &mut self.0[part as usize];
        let mut head = [0; 20];
        head[..8].copy_from_slice(&at.0.to_be_bytes());
        head[8..16].copy_from_slice(&(whom as u64).to_be_bytes());
        head[16..].copy_from_slice(&(what.len() as u32).to_be_bytes());
        hash.update(head);
        hash.update(what);
    }

    pub(crate) fn finish(&self) -> RunHash {
        let parts = self.0.clone().map(|h| hex(&h.finalize()));
        let [decisions, media, relay] = parts;
        let all = hex(&Sha256::digest(format!("{decisions}{media}{relay}")));
        RunHash { all, decisions, media, relay }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{b:02x}"));
        text
    })
}

/// SHA-256 over a run. Two runs of one scenario and seed have equal ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHash {
    /// Over the three parts.
    pub all: String,
    /// Floor, slots, roles, joins, links up and down, each with its time.
    pub decisions: String,
    /// Plaintext RTP headers as participants received them, each with its time.
    pub media: String,
    /// Size and arrival of every datagram between nodes.
    pub relay: String,
}
