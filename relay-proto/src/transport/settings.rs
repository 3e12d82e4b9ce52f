//! quinn-proto's settings, with the reason of each.

use super::channel::ChannelKind;
use super::cids::SeededCids;
use super::congestion::RelayCongestionConfig;
use super::tls::{Tls, ToldClock};
use crate::limits::{MEDIA_STREAMS_MAX, QUIC_DATAGRAM_BUFFER_BYTES};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    AckFrequencyConfig, ClientConfig, ConnectionId, EndpointConfig, IdleTimeout,
    MtuDiscoveryConfig, NoneTokenStore, ServerConfig, TransportConfig, ValidationTokenConfig,
    VarInt,
};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use ring::{hkdf, hmac};
use std::sync::Arc;
use std::time::Duration;

/// First path MTU: any link between data centres takes it; 1,353-byte packets then fit a datagram at once.
const MTU_FIRST: u16 = 1_400;
/// What Ethernet takes: 1,500 - 40 (IPv6) - 8 (UDP).
const MTU_MAX: u16 = 1_452;
/// Backstop only: heartbeats find a dead peer in 1 s.
const IDLE_MS: u32 = 3_000;
/// Only while no heartbeat flows.
const KEEP_ALIVE: Duration = Duration::from_millis(500);
/// An acknowledgement each 8 packets or 5 ms: 5,000 packets a second then cost 625 acknowledgements, not 2,500.
const ACK_THRESHOLD: u32 = 8;
const ACK_DELAY: Duration = Duration::from_millis(5);
/// Datagrams are drained as they come; this only holds what arrives before the hellos are done.
const DATAGRAM_RECEIVE_BYTES: usize = 256 * 1024;
/// Unread control bytes a peer may send: two frames of 64 KiB.
const CONTROL_WINDOW_BYTES: u32 = 128 * 1024;
/// Unread stream bytes of a media connection.
const MEDIA_WINDOW_BYTES: u32 = 1024 * 1024;
/// Control bytes inside quinn; what is over it waits in the backlog, which is counted.
const CONTROL_SEND_BYTES: u64 = 256 * 1024;

/// Everything an endpoint is made with.
pub(crate) struct Settings {
    pub(crate) endpoint: Arc<EndpointConfig>,
    pub(crate) server: Arc<ServerConfig>,
    client: [ClientConfig; 2],
}

impl Settings {
    /// All randomness of the endpoint comes from `seed`, but for TLS keys.
    pub(crate) fn new(tls: &Tls, clock: &Arc<ToldClock>, seed: [u8; 32]) -> Result<Self, String> {
        let mut rng = StdRng::from_seed(seed);
        let mut draw = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            bytes
        };
        let mut endpoint =
            EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &draw())));
        let cid_seed = draw();
        endpoint.cid_generator(move || Box::new(SeededCids::new(cid_seed)));
        endpoint.rng_seed(Some(draw()));
        let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&draw());
        let quic = QuicServerConfig::try_from(tls.server.clone()).map_err(|e| e.to_string())?;
        let mut server = ServerConfig::new(Arc::new(quic), Arc::new(token_key));
        let mut tokens = ValidationTokenConfig::default();
        tokens.sent(0);
        server
            // The server learns the kind of a connection with the client's hello, after these are chosen:
            // so they allow for both.
            .transport_config(Arc::new(transport(None)))
            .migration(false)
            .time_source(clock.clone())
            .validation_token_config(tokens);
        let quic =
            Arc::new(QuicClientConfig::try_from(tls.client.clone()).map_err(|e| e.to_string())?);
        let client = [ChannelKind::Media, ChannelKind::Control].map(|kind| {
            let mut client = ClientConfig::new(quic.clone());
            client
                .transport_config(Arc::new(transport(Some(kind))))
                .token_store(Arc::new(NoneTokenStore));
            client
        });
        Ok(Self { endpoint: Arc::new(endpoint), server: Arc::new(server), client })
    }

    /// For dialling. `first_cid` addresses the first packet: unpredictable, at least 8 bytes (RFC 9000 section 7.2).
    pub(crate) fn client(&self, kind: ChannelKind, first_cid: u64) -> ClientConfig {
        let mut client = self.client[kind as usize].clone();
        let cid = ConnectionId::new(&first_cid.to_be_bytes());
        client.initial_dst_cid_provider(Arc::new(move || cid));
        client
    }
}

fn transport(kind: Option<ChannelKind>) -> TransportConfig {
    let mut config = TransportConfig::default();
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_THRESHOLD))
        .max_ack_delay(Some(ACK_DELAY))
        .reordering_threshold(VarInt::from_u32(3));
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MTU_MAX);
    let (streams, window) = match kind {
        Some(ChannelKind::Control) => (0, CONTROL_WINDOW_BYTES),
        _ => (MEDIA_STREAMS_MAX, MEDIA_WINDOW_BYTES),
    };
    config
        .initial_mtu(MTU_FIRST)
        .mtu_discovery_config(Some(mtu))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .ack_frequency_config(Some(acks))
        .allow_spin(false)
        .send_fairness(false)
        .max_concurrent_bidi_streams(VarInt::from_u32(u32::from(kind != Some(ChannelKind::Media))))
        .max_concurrent_uni_streams(VarInt::from_u32(streams))
        .stream_receive_window(VarInt::from_u32(CONTROL_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(window))
        .send_window(CONTROL_SEND_BYTES)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BYTES))
        .datagram_send_buffer_size(QUIC_DATAGRAM_BUFFER_BYTES)
        .congestion_controller_factory(Arc::new(RelayCongestionConfig));
    config
}
