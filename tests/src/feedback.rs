//! Key-frame requests: they reach the participant (`rtc` keeps RTCP to itself unless somebody marks it), and it makes some.

use crate::client::Client;
use rtc::interceptor::{Attribute, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use std::collections::VecDeque;
use std::time::Instant;

impl Client {
    /// Asks for a key frame of every picture it receives, `times` times over.
    pub fn ask_for_key_frames(&mut self, times: usize) {
        let pictures = self.record.slots.iter().filter(|(_, slot)| !slot.audio);
        let pictures: Vec<u32> = pictures.map(|(ssrc, _)| *ssrc).collect();
        let receiver = self.pc.get_receivers().next();
        let Some(mut receiver) = receiver.and_then(|id| self.pc.rtp_receiver(id)) else { return };
        for _ in 0..times {
            for media_ssrc in &pictures {
                let pli = PictureLossIndication { sender_ssrc: 1, media_ssrc: *media_ssrc };
                let _ = receiver.write_rtcp(Instant::now(), vec![Box::new(pli)]);
            }
        }
    }
}

/// Where it stands in the chain: after everything that reads RTCP.
pub const SLOT: usize = 14_000;

/// Marks RTCP with key-frame requests in it.
#[derive(Default)]
pub struct KeyframeRequests {
    inward: VecDeque<TaggedPacket>,
    outward: VecDeque<TaggedPacket>,
}

fn asks(packets: &[Box<dyn rtc::rtcp::Packet>]) -> bool {
    packets.iter().any(|p| {
        let any = p.as_any();
        any.is::<PictureLossIndication>() || any.is::<FullIntraRequest>()
    })
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for KeyframeRequests {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut message: TaggedPacket) -> Result<(), Error> {
        if matches!(&message.message.packet, Packet::Rtcp(packets) if asks(packets)) {
            message.message.add(Attribute::DeliverToApplication);
        }
        self.inward.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inward.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Error> {
        self.outward.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outward.pop_front()
    }

    fn handle_timeout(&mut self, _: Instant) -> Result<(), Error> {
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        None
    }
}

impl Interceptor for KeyframeRequests {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
