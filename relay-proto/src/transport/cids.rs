//! Connection ids from a seed. quinn-proto's own generators draw from the operating system, which would make runs
//! in virtual time differ.

use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::time::Duration;

const NONCE_BYTES: usize = 5;
const TAG_BYTES: usize = 3;

/// Eight bytes: five drawn, three derived from them and a key, so that packets with a made-up id are dropped without
/// an answer (all but one in 2^24).
pub(super) struct SeededCids {
    rng: StdRng,
    key: u64,
}

impl SeededCids {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let key = rng.next_u64();
        Self { rng, key }
    }

    /// splitmix64's finaliser: not a MAC, only a filter; packets are authenticated later.
    fn tag(&self, nonce: [u8; NONCE_BYTES]) -> [u8; TAG_BYTES] {
        let mut wide = [0; 8];
        wide[..NONCE_BYTES].copy_from_slice(&nonce);
        let mut x = u64::from_le_bytes(wide) ^ self.key;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [a, b, c, ..] = (x ^ (x >> 31)).to_le_bytes();
        [a, b, c]
    }
}

impl ConnectionIdGenerator for SeededCids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut nonce = [0; NONCE_BYTES];
        self.rng.fill_bytes(&mut nonce);
        let mut bytes = [0; NONCE_BYTES + TAG_BYTES];
        bytes[..NONCE_BYTES].copy_from_slice(&nonce);
        bytes[NONCE_BYTES..].copy_from_slice(&self.tag(nonce));
        ConnectionId::new(&bytes)
    }

    fn validate(&self, cid: &ConnectionId) -> Result<(), InvalidCid> {
        let nonce = cid.first_chunk::<NONCE_BYTES>().ok_or(InvalidCid)?;
        if cid.get(NONCE_BYTES..) == Some(&self.tag(*nonce)[..]) { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        NONCE_BYTES + TAG_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
