//! Limits of one hub, with their arithmetic.

/// Tracks of one meeting: 1,000 participants with a microphone, 100 cameras and 100 screens, rounded up.
pub const TRACKS_MAX: usize = 2_048;

/// Ports of one hub: 1,000 peers on one shard and their edge's links, rounded up.
pub const PORTS_MAX: usize = 2_048;

/// Layouts computed in one turn: about 5 us each, so 32 cost less than the 250 us of a slice.
pub const LAYOUTS_PER_TURN: usize = 32;

/// Video slots of one viewer: a gallery of 25 and the main picture.
pub const VIDEO_SLOTS_MAX: usize = 26;
