//! Who speaks: loudness of each voice, the voices that pass, the ranking an edge reports, the floor the origin elects.
//!
//! ARCHITECTURE section 6. Voices and the main picture are decided apart: a voice passes with its first loud packet
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

#[cfg(test)]
pub(crate) mod testing {
    use relay_proto::{Now, NtpTime};
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    /// `ms` milliseconds after the beginning of the test run (an hour is added: code may look back).
    pub(crate) fn at(ms: u64) -> Now {
        static BASE: OnceLock<Instant> = OnceLock::new();
        let base = *BASE.get_or_init(Instant::now);
        Now { mono: base + Duration::from_secs(3_600), wall: NtpTime::default() }
            .plus(Duration::from_millis(ms))
    }

    pub(crate) fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }
}
