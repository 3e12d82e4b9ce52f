//! Datagrams that no honest participant or node would send, many and fast.

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Different datagrams of a kind; they are sent in turn.
const VARIANTS: usize = 997;
/// After a pause of the machine so many are sent at once, not all that are late.
const BURST_MAX: u64 = 256;
/// Addresses they come from.
const ADDRESSES: usize = 8;

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Datagrams that the kernel took.
    pub datagrams: u64,
    /// In this time.
    pub within: Duration,
}

impl Sent {
    /// Datagrams a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.datagrams as f64 / self.within.as_secs_f64()
    }
}

/// A kind of datagram.
pub struct Flood {
    datagrams: Vec<Vec<u8>>,
    sockets: Vec<Arc<UdpSocket>>,
}

impl Flood {
    /// Datagrams as `make` makes them, from fresh addresses.
    ///
    /// # Panics
    /// When there are no sockets.
    #[must_use]
    pub fn new(ip: IpAddr, mut make: impl FnMut(&mut SmallRng) -> Vec<u8>) -> Self {
        let mut rng = SmallRng::seed_from_u64(7);
        let datagrams = (0..VARIANTS).map(|_| make(&mut rng)).collect();
        let socket = |_| Arc::new(UdpSocket::bind((ip, 0)).expect("a free port"));
        Self { datagrams, sockets: (0..ADDRESSES).map(socket).collect() }
    }

    /// These datagrams, from the address of a participant.
    #[must_use]
    pub fn again(datagrams: Vec<Vec<u8>>, socket: Arc<UdpSocket>) -> Self {
        Self { datagrams, sockets: vec![socket] }
    }

    /// Sends `count` at `rate` a second.
    #[must_use]
    pub fn send(&self, to: SocketAddr, count: u64, rate: f64) -> Sent {
        let began = Instant::now();
        let (mut tried, mut datagrams) = (0, 0);
        while tried < count {
            let due = ((began.elapsed().as_secs_f64() * rate) as u64).min(count);
            for _ in 0..(due - tried).min(BURST_MAX) {
                let at = tried as usize;
                let data = &self.datagrams[at % self.datagrams.len()];
                let socket = &self.sockets[at % self.sockets.len()];
                datagrams += u64::from(socket.send_to(data, to).is_ok());
                tried += 1;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Sent { datagrams, within: began.elapsed() }
    }
}

fn random(rng: &mut SmallRng, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// A binding request for `ufrag` whose integrity does not verify (RFC 8489), its fingerprint right.
pub fn stun(rng: &mut SmallRng, ufrag: &str) -> Vec<u8> {
    let user = format!("{ufrag}:peer");
    let mut body = Vec::new();
    let attribute = |body: &mut Vec<u8>, kind: u16, value: &[u8]| {
        body.extend(kind.to_be_bytes());
        body.extend((value.len() as u16).to_be_bytes());
        body.extend(value);
        body.resize(body.len().next_multiple_of(4), 0);
    };
    attribute(&mut body, 0x0006, user.as_bytes());
    attribute(&mut body, 0x0024, &[0x6e, 0x00, 0x01, 0xff]);
    attribute(&mut body, 0x802a, &random(rng, 8));
    attribute(&mut body, 0x0025, &[]);
    attribute(&mut body, 0x0008, &random(rng, 20));
    let mut message = vec![0x00, 0x01];
    message.extend((body.len() as u16 + 8).to_be_bytes());
    message.extend([0x21, 0x12, 0xa4, 0x42]);
    message.extend(random(rng, 12));
    message.extend(body);
    let fingerprint = crc32(&message) ^ 0x5354_554e;
    message.extend([0x80, 0x28, 0x00, 0x04]);
    message.extend(fingerprint.to_be_bytes());
    message
}

/// ISO 3309, as STUN's fingerprint is.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// A DTLS record with the beginning of a client hello and nonsense after it; some with a wrong length.
pub fn dtls(rng: &mut SmallRng) -> Vec<u8> {
    let body = rng.random_range(30..300);
    let mut record = vec![22, 0xfe, 0xfd, 0, 0];
    record.extend(random(rng, 6));
    let claimed = if rng.random_bool(0.2) { body * 3 } else { body };
    record.extend((claimed as u16).to_be_bytes());
    record.push(1);
    record.extend(random(rng, body - 1));
    record
}

/// An RTP packet of `ssrc`, sealed with nothing.
pub fn rtp(rng: &mut SmallRng, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 111];
    packet.extend(random(rng, 6));
    packet.extend(ssrc.to_be_bytes());
    let len = rng.random_range(20..1_100);
    packet.extend(random(rng, len));
    packet
}

/// A datagram of QUIC cut short: a real first flight, or what looks like a packet of a connection.
pub fn cut_quic(rng: &mut SmallRng, first_flights: &[Vec<u8>]) -> Vec<u8> {
    let mut datagram = if rng.random_bool(0.5) && !first_flights.is_empty() {
        first_flights[rng.random_range(0..first_flights.len())].clone()
    } else {
        let len = rng.random_range(2..1_400);
        let mut short = random(rng, len);
        short[0] = 0x40 | short[0] & 0x3f;
        short
    };
    let keep = rng.random_range(1..datagram.len());
    datagram.truncate(keep);
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_books() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn hostile_stun_differs_from_honest_in_its_integrity_only() {
        let message = stun(&mut SmallRng::seed_from_u64(1), "abcd");
        let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
        assert_eq!((message.len(), message.len() % 4), (length + 20, 0));
    }
}
