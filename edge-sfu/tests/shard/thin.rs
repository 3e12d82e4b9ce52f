//! A participant as thin as can be: checks, a DTLS handshake by dimpl, then packets sealed and opened by our own SRTP (whose
//! oracle is `rtc-srtp`). A thousand of them fit beside a server. Also used by the benches of `mesh-tests`.

use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};
use edge_sfu::signal::{PublishLine, TrackKindJson};
use edge_sfu::transport::srtp::{KeyOwner, Profile, SrtpSession};
use edge_sfu::transport::{ClearClient, Fingerprint, FingerprintHash, LocalIce, Opened};
use relay_proto::machine::Net;
use relay_proto::{Encoding, Now};
use sfu_core::rtp::{HeaderFields, RtpWriter};
use std::net::SocketAddr;
use std::sync::Arc;

/// Offers of the SDK in Chromium: who publishes microphone, camera (simulcast) and screen and watches 17 slots, and who only watches.
pub const PUBLISHER: &str = include_str!("../fixtures/chromium_sdk.sdp");
/// See [`PUBLISHER`].
pub const ATTENDEE: &str = include_str!("../fixtures/chromium_attendee.sdp");

const OPUS: u8 = 111;
const VP8: u8 = 96;
const LEVEL: u8 = 1;
const TRANSPORT_SEQUENCE: u8 = 3;
const MID: u8 = 4;
const RID: u8 = 10;
/// The microphone's SSRC, which the fixture announces.
const MIC_SSRC: u32 = 2_307_650_693;
/// The camera's SSRCs: q, h and f are the next three.
const CAMERA_SSRC: u32 = 0x5000_0000;
/// Extended VP8 descriptor: picture id of 15 bits, TL0PICIDX, TID.
const DESCRIPTOR: usize = 6;

/// The certificate that all thin participants of a process share, and the offers that name it.
pub struct Identity {
    certificate: DtlsCertificate,
    config: Arc<dimpl::Config>,
    /// What a publisher offers.
    pub publisher: String,
    /// What an attendee offers.
    pub attendee: String,
}

impl Identity {
    /// Makes the certificate.
    pub fn generate() -> Self {
        let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
        let fingerprint = Fingerprint::of(FingerprintHash::Sha256, &certificate.certificate);
        let offer = |fixture: &str| -> String {
            let line = |line: &str| match line.strip_prefix("a=fingerprint:") {
                Some(_) => format!("a=fingerprint:{fingerprint}\r\n"),
                None => format!("{line}\r\n"),
            };
            fixture.lines().map(line).collect()
        };
        Self {
            publisher: offer(PUBLISHER),
            attendee: offer(ATTENDEE),
            certificate,
            config: Arc::new(dimpl::Config::default()),
        }
    }
}

/// What the publisher's m-lines are.
pub fn published() -> Vec<PublishLine> {
    let kinds = [TrackKindJson::Mic, TrackKindJson::Camera, TrackKindJson::Screen];
    kinds.into_iter().zip(0..).map(|(kind, i)| PublishLine { mid: i.to_string(), kind }).collect()
}

/// One participant.
pub struct Thin {
    dtls: Option<Box<Dtls>>,
    srtp: Option<SrtpSession>,
    /// A check that may be repeated: the edge answers it anew every time.
    check: Vec<u8>,
}

impl Thin {
    /// After `offer` was answered by `sdp`.
    pub fn new(now: Now, identity: &Identity, offer: &str, sdp: &str) -> Self {
        let value = |key: &str| {
            let line = sdp.lines().find_map(|l| l.strip_prefix(key));
            line.unwrap_or_else(|| panic!("no {key} in the answer")).trim().to_owned()
        };
        let local = LocalIce { ufrag: value("a=ice-ufrag:"), pwd: value("a=ice-pwd:") };
        let own = offer.lines().find_map(|l| l.strip_prefix("a=ice-ufrag:"));
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut net = Net::new();
        ClearClient::new(now, nobody, own.unwrap_or_default(), &local).on_deadline(now, &mut net);
        let check = net.transmits().next().map(|(_, bytes)| bytes.to_vec()).unwrap_or_default();
        let (config, certificate) = (identity.config.clone(), identity.certificate.clone());
        let mut dtls = Dtls::new_12(config, certificate, now.mono);
        dtls.set_active(true);
        dtls.handle_timeout(now.mono).unwrap();
        Self { dtls: Some(Box::new(dtls)), srtp: None, check }
    }

    /// A connectivity check; again every few seconds, or the edge takes the participant for gone.
    pub fn check(&self) -> &[u8] {
        &self.check
    }

    /// Whether packets may flow.
    pub fn is_connected(&self) -> bool {
        self.dtls.is_none()
    }

    /// Lets handshake timers run; then the handshake's next datagrams.
    pub fn handshake(&mut self, now: Now) -> Vec<Vec<u8>> {
        let Some(dtls) = &mut self.dtls else { return Vec::new() };
        let _ = dtls.handle_timeout(now.mono);
        self.poll()
    }

    fn poll(&mut self) -> Vec<Vec<u8>> {
        let Some(dtls) = &mut self.dtls else { return Vec::new() };
        let (mut records, mut buffer, mut connected) = (Vec::new(), [0; 2_048], false);
        loop {
            match dtls.poll_output(&mut buffer) {
                Output::Packet(record) => records.push(record.to_vec()),
                Output::Connected => connected = true,
                Output::KeyingMaterial(keying, profile) => {
                    assert_eq!(profile, SrtpProfile::AEAD_AES_256_GCM);
                    self.srtp = SrtpSession::new(Profile::Gcm256, &keying, KeyOwner::Client);
                }
                Output::Timeout(_) => break,
                _ => {}
            }
        }
        if connected {
            // The last flight is the server's: nothing will have to be repeated.
            self.dtls = None;
        }
        records
    }

    /// Takes a datagram. Handshake records are worked through, packets opened in place.
    pub fn handle(&mut self, data: &mut [u8], answers: &mut Vec<Vec<u8>>) -> Opened {
        match (data.first(), &mut self.dtls, &mut self.srtp) {
            (Some(20..=63), Some(dtls), _) => {
                let _ = dtls.handle_packet(data);
                answers.extend(self.poll());
                Opened::Nothing
            }
            (Some(128..=191), _, Some(srtp)) => {
                let rtcp = matches!(data.get(1), Some(192..=223));
                let opened = if rtcp { srtp.open_rtcp(data) } else { srtp.open_rtp(data) };
                match opened {
                    Ok(len) if rtcp => Opened::Rtcp(len),
                    Ok(len) => Opened::Rtp(len),
                    Err(reason) => Opened::Dropped(reason),
                }
            }
            _ => Opened::Nothing,
        }
    }

    /// Seals a plaintext packet.
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut data = plaintext.to_vec();
        data.resize(plaintext.len() + Profile::Gcm256.rtp_overhead(), 0);
        let len = self.srtp.as_mut().unwrap().seal_rtp(&mut data, plaintext.len()).unwrap();
        data.truncate(len);
        data
    }
}

/// Microphone and camera of a publisher: plaintext packets as Chromium writes them.
#[derive(Default)]
pub struct Media {
    transport_seq: u16,
    mic_seq: u16,
    camera: [Camera; Encoding::MAX_PER_TRACK],
}

#[derive(Clone, Copy, Default)]
struct Camera {
    seq: u16,
    frame: u32,
    key_wanted: bool,
}

impl Media {
    fn header(&mut self, fields: &HeaderFields, names: &[(u8, &[u8])], payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 64 + payload.len()];
        let mut writer = RtpWriter::begin(&mut bytes, fields).unwrap();
        writer.extension(TRANSPORT_SEQUENCE, &self.transport_seq.to_be_bytes()).unwrap();
        for (id, value) in names {
            writer.extension(*id, value).unwrap();
        }
        let head = writer.finish().unwrap();
        bytes[head..head + payload.len()].copy_from_slice(payload);
        bytes.truncate(head + payload.len());
        self.transport_seq = self.transport_seq.wrapping_add(1);
        bytes
    }

    /// 20 ms of voice at `level` (-dBov).
    pub fn voice(&mut self, level: u8) -> Vec<u8> {
        self.mic_seq = self.mic_seq.wrapping_add(1);
        let fields = HeaderFields {
            marker: false,
            payload_type: OPUS,
            seq: self.mic_seq,
            timestamp: u32::from(self.mic_seq).wrapping_mul(960),
            ssrc: MIC_SSRC,
            csrc: None,
        };
        self.header(&fields, &[(LEVEL, &[0x80 | level]), (MID, b"0")], &[0x5a; 80])
    }

    /// A picture of `packets` packets with `bytes` of payload each.
    pub fn frame(&mut self, encoding: Encoding, packets: usize, bytes: usize) -> Vec<Vec<u8>> {
        let place = usize::from(encoding.0);
        let camera = self.camera[place];
        let key = camera.frame == 0 || camera.key_wanted;
        let picture = 0x8000 | camera.frame as u16 & 0x7fff;
        let mut payload = vec![0x5a; bytes.max(DESCRIPTOR + 4)];
        let frame = (0..packets).map(|i| {
            let first = if i == 0 { 0x90 } else { 0x80 };
            payload[..DESCRIPTOR].copy_from_slice(&[
                first,
                0xe0,
                (picture >> 8) as u8,
                picture as u8,
                camera.frame as u8,
                0,
            ]);
            payload[DESCRIPTOR] = u8::from(!key);
            let fields = HeaderFields {
                marker: i + 1 == packets,
                payload_type: VP8,
                seq: camera.seq.wrapping_add(i as u16),
                timestamp: camera.frame.wrapping_mul(3_000),
                ssrc: CAMERA_SSRC + u32::from(encoding.0),
                csrc: None,
            };
            self.header(&fields, &[(MID, b"1"), (RID, encoding.rid().as_bytes())], &payload)
        });
        let frame = frame.collect();
        self.camera[place] = Camera {
            seq: camera.seq.wrapping_add(packets as u16),
            frame: camera.frame.wrapping_add(1),
            key_wanted: false,
        };
        frame
    }

    /// Takes an opened RTCP compound: a PLI makes the next frame a key frame.
    pub fn feedback(&mut self, mut rtcp: &[u8]) {
        while let [first, kind, high, low, ..] = *rtcp {
            let len = 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
            let media = rtcp.get(8..12).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
            let camera = media.map_or(usize::MAX, |m| m.wrapping_sub(CAMERA_SSRC) as usize);
            if let (206, 1, Some(camera)) = (kind, first & 31, self.camera.get_mut(camera)) {
                camera.key_wanted = true;
            }
            rtcp = rtcp.get(len..).unwrap_or_default();
        }
    }
}
