//! What a connection is for, said in the TLS server name, so that it is known before the first byte.

use crate::ids::Lane;
use std::fmt;
use std::str::FromStr;

/// The two connections of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelKind {
    /// Datagrams, and unidirectional streams for what no datagram takes.
    Media = 0,
    /// One bidirectional stream of frames.
    Control = 1,
}

/// Written as `c-03-0000002a.node.mesh`: kind, lane and pair in hexadecimal. All names have one length, so that
/// packet sizes do not depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Media or control.
    pub kind: ChannelKind,
    /// The lane.
    pub lane: Lane,
    /// Drawn by the dialler for each attempt: the connections with one number belong together.
    pub pair: u32,
}

const SUFFIX: &str = ".node.mesh";

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ChannelKind::Media => 'm',
            ChannelKind::Control => 'c',
        };
        write!(f, "{kind}-{:02x}-{:08x}{SUFFIX}", self.lane.0, self.pair)
    }
}

impl FromStr for Channel {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let name = name.strip_suffix(SUFFIX).ok_or(())?;
        let parts: Vec<&str> = name.split('-').collect();
        let [kind, lane, pair] = parts[..] else { return Err(()) };
        let kind = match kind {
            "m" => ChannelKind::Media,
            "c" => ChannelKind::Control,
            _ => return Err(()),
        };
        if lane.len() != 2 || pair.len() != 8 {
            return Err(());
        }
        let lane = u8::from_str_radix(lane, 16).ok().filter(|l| *l < Lane::COUNT).ok_or(())?;
        let pair = u32::from_str_radix(pair, 16).map_err(|_| ())?;
        Ok(Self { kind, lane: Lane(lane), pair })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_reads_back_and_has_one_length() {
        for (kind, lane, pair) in [(ChannelKind::Media, 0, 0), (ChannelKind::Control, 15, u32::MAX)]
        {
            let channel = Channel { kind, lane: Lane(lane), pair };
            assert_eq!(channel.to_string().parse(), Ok(channel));
            assert_eq!(channel.to_string().len(), 23);
        }
        for name in [
            "x-00-00000000.node.mesh",
            "m-10-00000000.node.mesh",
            "m-00-0.node.mesh",
            "node.mesh",
            "",
        ] {
            assert_eq!(name.parse::<Channel>(), Err(()), "{name}");
        }
    }
}
