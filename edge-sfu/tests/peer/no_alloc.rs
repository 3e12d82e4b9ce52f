//! The packet path allocates nothing, in either direction.

use crate::harness::*;
use edge_sfu::peer::{PeerEvent, PeerSink, SlotIndex};
use relay_proto::machine::Net;
use sfu_core::{DropReason, Packet};

#[derive(Default)]
struct Count(usize, usize);

impl PeerSink for Count {
    fn packet(&mut self, _: Packet<'_>) {
        self.0 += 1;
    }

    fn event(&mut self, _: PeerEvent<'_>) {
        self.1 += 1;
    }

    fn dropped(&mut self, reason: DropReason) {
        panic!("{reason:?}");
    }
}

#[test]
fn packets_and_feedback_pass_without_allocating() {
    let mut pair = Pair::connected();
    let ids: [(u8, &[u8]); 2] = [(MID, b"1"), (RID, b"h")];
    let nack = {
        let ssrc = pair.peer.slots()[3].ssrc.to_be_bytes();
        let mut bytes = vec![0x81, 205, 0, 3, 0, 0, 0, 1];
        bytes.extend(ssrc);
        bytes.extend([0, 1, 0, 7]);
        bytes
    };
    pair.send(&Sent::new(VP8, 50, 1, KEY).with(&ids));
    let mut up = Net::new();
    for seq in [2, 3, 5, 6] {
        pair.client.send(&mut up, &Sent::new(VP8, 50, seq, DELTA).bytes()).unwrap();
    }
    pair.client.send(&mut up, &Sent::new(OPUS, MIC_SSRC, 1, &[1]).bytes()).unwrap();
    pair.client.send(&mut up, &nack).unwrap();
    let mut arriving = datagrams(&up);
    let (mut net, mut sink) = (Net::new(), Count::default());
    let now = pair.now;
    // The first of each kind may make room once: the mic's first packet, the first missing packet.
    let first = arriving.split_off(2);
    let mut run = |arriving: Vec<Vec<u8>>, seqs: std::ops::Range<u16>| {
        let mut arriving = arriving;
        let (peer, net, sink) = (&mut pair.peer, &mut net, &mut sink);
        let allocated = allocation_counter::measure(|| {
            for data in &mut arriving {
                peer.handle_datagram(now, addr(1), data, net, sink);
            }
            for seq in seqs {
                peer.write_rtp(now, SlotIndex(3), &picture(seq), net).unwrap();
                peer.write_rtp(now, SlotIndex(0), &voice(seq), net).unwrap();
            }
        });
        allocated.count_total
    };
    run(first, 1..5);
    assert_eq!(run(arriving, 5..30), 0);
    assert_eq!((sink.0, sink.1), (5, 2), "packets; the mic became active, and a NACK");
}
