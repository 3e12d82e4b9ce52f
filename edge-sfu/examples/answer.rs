//! Answers the SDP offer on standard input, to look at the answer or to feed it to a browser:
//! `cargo run --example answer -- 0=mic 1=camera 2=screen < offer.sdp`.

#![allow(clippy::disallowed_methods, reason = "a tool for people: the clock is theirs")]

use edge_sfu::peer::{Peer, PeerConfig};
use edge_sfu::signal::{PublishLine, TrackKindJson};
use edge_sfu::transport::TransportConfig;
use rand::SeedableRng;
use relay_proto::{NodeId, Now, NtpTime, ParticipantId};
use std::io::Read;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut offer = String::new();
    std::io::stdin().read_to_string(&mut offer)?;
    let publish = std::env::args().skip(1).filter_map(|arg| {
        let (mid, kind) = arg.split_once('=')?;
        let kind = match kind {
            "mic" => TrackKindJson::Mic,
            "camera" => TrackKindJson::Camera,
            "screen" => TrackKindJson::Screen,
            _ => return None,
        };
        Some(PublishLine { mid: mid.to_owned(), kind })
    });
    let publish: Vec<_> = publish.collect();
    let config = PeerConfig { transport: TransportConfig::clear(vec!["127.0.0.1:9".parse()?]) };
    let now = Now { mono: std::time::Instant::now(), wall: NtpTime::default() };
    let participant = ParticipantId::new(NodeId(1), 1);
    let mut rng = rand::rngs::StdRng::seed_from_u64(1);
    let (_, answer) = Peer::accept(now, &config, participant, &offer, &publish, true, &mut rng)?;
    use std::io::Write;
    std::io::stdout().write_all(answer.sdp.as_bytes())?;
    Ok(())
}
