//! Who speaks: loudness of each voice, the voices that pass, the ranking an edge reports, the floor the origin elects.
//!
//! DESIGN section 6. Voices and the main picture are decided apart: a voice passes with its first loud packet
//! ([`VoiceGate`]), the picture follows when the origin has elected ([`FloorElection`]).

pub mod digest;
pub mod floor;
pub mod loudness;
pub mod push;
pub mod voices;

pub use digest::DigestSource;
pub use floor::FloorElection;
pub use loudness::Loudness;
pub use push::{Push, PushTimer};
pub use voices::{Verdict, VoiceGate, pick_for_listener};
