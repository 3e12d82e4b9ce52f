//! `mesh load`: many participants against a mesh, and figures on what they received.
//!
//! Participants are *thin*: connectivity checks, DTLS and SRTP by the `rtc` crates, then packets in and out without a media stack,
//! so that a thousand fit beside the servers. Some are *full*: the async `webrtc` crate, an implementation that shares nothing with
//! the edge. One thread ([`fleet`]) owns all thin participants; a tokio runtime holds their WebSockets ([`join`]).

mod camera;
mod clock;
mod continuity;
mod directory;
mod feedback;
mod fleet;
mod full;
mod histogram;
mod join;
mod limits;
mod mic;
mod plan;
mod progress;
mod publisher;
mod record;
mod report;
mod rtp;
mod run;
mod sdp;
mod secure;
mod servers;
mod socket;
mod stamp;
mod target;
mod thin;
mod totals;
mod turns;
mod twcc;
mod viewer;
mod vp8;

pub(crate) use limits::participants_max;
pub(crate) use plan::LoadOptions;
pub(crate) use run::{Ramp, Wanted, run};
pub(crate) use target::Target;
