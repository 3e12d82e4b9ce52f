//! Frames.

use proptest::prelude::*;
use topology::limits::FRAME_BYTES_MAX;
use topology::protocol::*;

#[test]
fn the_bytes_of_a_frame_are_pinned() {
    // Length 1, version 2, variant 10 of Request.
    assert_eq!(encode(&Request::Status).unwrap(), [0, 0, 0, 1, 2, 10]);
    let beat = Request::Heartbeat {
        instance: 300,
        load: topology::model::Load { used_permille: 250, carried: 7 },
    };
    // bincode: 251 announces 16 bits, little endian; smaller numbers are one byte.
    assert_eq!(encode(&beat).unwrap(), [0, 0, 0, 6, 2, 1, 251, 44, 1, 250, 7]);
}

#[test]
fn too_long_frames_and_other_versions_are_refused() {
    let max = FRAME_BYTES_MAX;
    assert_eq!(body_length([0, 0, 0, 1, 2], max), Ok(1));
    assert_eq!(body_length([0, 0, 0, 1, 1], max), Err(FrameError::Version(1)));
    assert!(matches!(body_length([255, 0, 0, 0, 2], max), Err(FrameError::TooLong { .. })));
    assert!(matches!(decode::<Request>(&[10, 0]), Err(FrameError::Body(_))), "bytes left over");
}

proptest! {
    #[test]
    fn any_bytes_decode_to_something_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode::<Request>(&bytes);
        let _ = decode::<Response>(&bytes);
        let _ = decode::<WatchItem>(&bytes);
    }
}
