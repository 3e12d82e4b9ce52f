//! The little that a client reads of an answer.

use std::collections::BTreeMap;

/// One m-line of the answer.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Its mid.
    pub mid: String,
    /// Sound, not pictures.
    pub audio: bool,
    /// The edge sends here.
    pub sends: bool,
    /// SSRC the edge sends with.
    pub ssrc: Option<u32>,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Header extension ids by URI.
    pub extensions: BTreeMap<String, u8>,
    /// Payload types by codec name.
    pub payload_types: BTreeMap<String, u8>,
    /// The edge's ICE user name.
    pub ufrag: String,
    /// The m-lines.
    pub lines: Vec<Line>,
}

impl Answer {
    /// Reads it.
    #[must_use]
    pub fn read(sdp: &str) -> Self {
        let mut answer = Self::default();
        for text in sdp.lines() {
            answer.take(text.trim_end());
        }
        answer
    }

    fn take(&mut self, text: &str) {
        if let Some(media) = text.strip_prefix("m=") {
            self.lines.push(Line { audio: media.starts_with("audio"), ..Line::default() });
        } else if let Some((id, uri)) =
            text.strip_prefix("a=extmap:").and_then(|v| v.split_once(' '))
        {
            if let Ok(id) = id.parse() {
                self.extensions.insert(uri.to_owned(), id);
            }
        } else if let Some((pt, codec)) =
            text.strip_prefix("a=rtpmap:").and_then(|v| v.split_once(' '))
        {
            let name = codec.split('/').next().unwrap_or_default().to_ascii_lowercase();
            if let Ok(pt) = pt.parse() {
                self.payload_types.entry(name).or_insert(pt);
            }
        } else if let Some(ufrag) = text.strip_prefix("a=ice-ufrag:") {
            ufrag.clone_into(&mut self.ufrag);
        } else if let Some(line) = self.lines.last_mut() {
            if let Some(mid) = text.strip_prefix("a=mid:") {
                line.mid = mid.to_owned();
            } else if text == "a=sendonly" {
                line.sends = true;
            } else if let Some(ssrc) = text.strip_prefix("a=ssrc:") {
                // The first one is the media's, the second its retransmissions'.
                let ssrc = ssrc.split(' ').next().and_then(|s| s.parse().ok());
                line.ssrc = line.ssrc.or(ssrc);
            }
        }
    }

    /// The id of an extension.
    #[must_use]
    pub fn extension(&self, uri: &str) -> Option<u8> {
        self.extensions.get(uri).copied()
    }
}
