//! What a viewer counts: frames, switches, delays, what must not be.

use super::*;
use crate::load::vp8::Frame;

fn directory() -> Directory {
    let directory = Directory::new([(0, 0), (1, 0), (2, 1)].into_iter());
    for number in 0..3 {
        directory.joined(number, 100 + number);
    }
    directory
}

fn viewer() -> Viewer {
    let slots = [
        AnswerSlot { mid: "0".into(), audio: true, ssrc: 1, rtx_ssrc: None },
        AnswerSlot { mid: "1".into(), audio: false, ssrc: 2, rtx_ssrc: Some(3) },
    ];
    let mut viewer = Viewer::new(0, &slots, Milestones::default());
    viewer.begin(0);
    viewer
}

struct Feed {
    viewer: Viewer,
    directory: Directory,
    totals: Totals,
    seq: u16,
}

impl Feed {
    fn new() -> Self {
        Self { viewer: viewer(), directory: directory(), totals: Totals::default(), seq: 10 }
    }

    /// A frame of two packets.
    fn frame(&mut self, source: u32, picture: u16, key: bool, at_ms: u64, lose: bool) {
        let frame = Frame { picture, key, size: (320, 180), bytes: 600 };
        let stamp = Stamp { source, key, sent_us: at_ms * 1_000 - 5_000, ..Stamp::default() };
        for i in 0..2 {
            self.seq += 1;
            if lose && i == 0 {
                continue;
            }
            let payload = vp8::payload(&frame, i == 0, 300, &stamp.bytes());
            let packet = Opened {
                arrived_us: at_ms * 1_000,
                seq: self.seq,
                timestamp: at_ms as u32 * 90,
                marker: i == 1,
                csrc: Some(100 + source),
                payload: &payload,
            };
            self.viewer.take(1, &packet, &self.directory, &mut self.totals);
        }
    }
}

#[test]
fn frames_switches_and_delays_are_counted() {
    let mut feed = Feed::new();
    feed.frame(1, 7, true, 1_000, false);
    feed.frame(1, 8, false, 1_050, false);
    feed.directory.speaks(2, 1_000_000);
    feed.frame(2, 9, true, 1_400, false);
    feed.frame(2, 10, false, 1_450, true);
    let record = &feed.viewer.record;
    assert_eq!((record.main(), record.broken, record.bad_starts, record.mislabelled), (3, 1, 0, 0));
    assert_eq!(feed.totals.switch.count(), 1);
    assert!((feed.totals.switch.max_ms().unwrap() - 400.0).abs() < 1.0);
    let delays = |feed: &Feed| feed.totals.picture_delay.each_ref().map(|h| h.count());
    assert_eq!(delays(&feed), [0; 3], "all of it may be from a cache");
    assert_eq!(feed.viewer.times.frame_us, Some(1_000_000));
    assert_eq!(feed.viewer.slots[1].numbers.ask(2_000_000).len(), 1);
    feed.frame(2, 11, false, 4_500, false);
    assert_eq!(delays(&feed), [0, 0, 2]);
    assert!((feed.totals.picture_delay[2].max_ms().unwrap() - 5.0).abs() < 0.1);
}

#[test]
fn a_picture_that_begins_without_a_key_frame_or_jumps_is_noticed() {
    let mut feed = Feed::new();
    feed.frame(1, 7, true, 1_000, false);
    feed.frame(2, 8, false, 1_050, false);
    assert_eq!(feed.viewer.record.bad_starts, 1, "somebody else, no key frame");
    feed.frame(2, 12, false, 1_100, false);
    assert_eq!(feed.viewer.record.bad_starts, 2, "picture ids jump");
}

#[test]
fn a_wrong_label_is_noticed() {
    let mut feed = Feed::new();
    let stamp = Stamp { source: 1, speech: true, sent_us: 1, ..Stamp::default() };
    let mut packet = Opened {
        arrived_us: 10,
        seq: 1,
        timestamp: 1,
        marker: false,
        csrc: Some(102),
        payload: &stamp.bytes(),
    };
    feed.viewer.take(0, &packet, &feed.directory, &mut feed.totals);
    packet.csrc = None;
    packet.seq = 2;
    feed.viewer.take(0, &packet, &feed.directory, &mut feed.totals);
    assert_eq!((feed.viewer.record.mislabelled, feed.viewer.record.strangers), (1, 1));
}
