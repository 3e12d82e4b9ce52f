//! A participant's transport: connectivity checks and DTLS by `rtc-ice` and `rtc-dtls`, SRTP by `rtc-srtp`. Nothing of it is the
//! edge's code.

use super::sdp::Answer;
use super::socket::Place;
use anyhow::Context as _;
use bytes::BytesMut;
use rtc::crypto::{HashAlgorithm, RTCCryptoProvider};
use rtc::dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc::dtls::crypto::Certificate;
use rtc::dtls::endpoint::{Endpoint, EndpointEvent};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::dtls::state::State;
use rtc::ice::Event;
use rtc::ice::agent::Agent;
use rtc::ice::agent::agent_config::AgentConfig;
use rtc::ice::candidate::candidate_host::CandidateHostConfig;
use rtc::ice::candidate::{Candidate, CandidateConfig};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::ice::state::ConnectionState;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use rtc::srtp::config::{Config, LABEL_EXTRACTOR_DTLS_SRTP};
use rtc::srtp::context::Context;
use rtc::srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc::srtp::protection_profile::ProtectionProfile;
use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Checks follow each other at this distance until the path stands.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// ... and then, as consent (RFC 7675), at this one: the edge gives up after 5 s.
const CONSENT_EVERY: Duration = Duration::from_secs(2);
/// An edge that does not answer for so long is gone.
const CONSENT_LOST: Duration = Duration::from_secs(15);
/// Replay window: 200 ms of 5,000 packets/s.
const REPLAY_WINDOW: usize = 1_024;

/// What all participants of a run share: certificate, and settings of the handshake with each edge.
pub(super) struct Identity {
    provider: Arc<dyn RTCCryptoProvider>,
    certificate: Certificate,
    /// SHA-256 of the certificate, as SDP writes it.
    pub(super) fingerprint: String,
    configs: Mutex<BTreeMap<String, Arc<HandshakeConfig>>>,
}

fn fingerprint(provider: &dyn RTCCryptoProvider, der: &[u8]) -> anyhow::Result<String> {
    let hash = provider.crypto().hash(HashAlgorithm::Sha256, der).map_err(anyhow::Error::msg)?;
    Ok(hash.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":"))
}

impl Identity {
    /// A new certificate.
    ///
    /// # Errors
    /// When there is no entropy.
    pub(super) fn generate() -> anyhow::Result<Self> {
        let provider: Arc<dyn RTCCryptoProvider> =
            Arc::new(rtc::crypto::providers::RingProvider::new());
        let certificate =
            Certificate::generate_self_signed(vec!["load".to_owned()], provider.crypto())?;
        let der = certificate.certificate.first().context("an empty certificate")?;
        let fingerprint = fingerprint(provider.as_ref(), der.as_ref())?;
        Ok(Self { provider, certificate, fingerprint, configs: Mutex::default() })
    }

    /// The handshake with an edge of this fingerprint.
    fn handshake(&self, expected: &str) -> anyhow::Result<Arc<HandshakeConfig>> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(expected) {
            return Ok(config.clone());
        }
        let (provider, wanted) = (self.provider.clone(), expected.to_owned());
        let verify = move |chain: &[Vec<u8>], _: &[rustls_pki_types::CertificateDer<'static>]| {
            let der = chain.first().ok_or(Error::ErrNonCertificate)?;
            let found =
                fingerprint(provider.as_ref(), der).map_err(|e| Error::Other(e.to_string()))?;
            if found.eq_ignore_ascii_case(&wanted) {
                Ok(())
            } else {
                Err(Error::ErrNoMatchingCertificateFingerprint)
            }
        };
        let config = ConfigBuilder::default()
            .with_crypto_provider(self.provider.clone())
            .with_certificates(vec![self.certificate.clone()])
            // What browsers offer, less the one without GCM.
            .with_srtp_protection_profiles(vec![
                SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
                SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            ])
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            // There is no authority to verify against: the fingerprint of the answer is what counts.
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(verify)))
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .build(true, None)?;
        let config = Arc::new(config);
        configs.insert(expected.to_owned(), config.clone());
        Ok(config)
    }
}

/// Keys in force.
struct Keys {
    ours: Context,
    theirs: Context,
}

/// One participant's transport.
pub(super) struct Transport {
    agent: Agent,
    dtls: Option<Endpoint>,
    config: Arc<HandshakeConfig>,
    provider: Arc<dyn RTCCryptoProvider>,
    keys: Option<Box<Keys>>,
    place: SocketAddr,
    remote: SocketAddr,
    /// Why it failed.
    pub(super) failed: Option<String>,
}

fn candidate(addr: SocketAddrV4) -> anyhow::Result<Candidate> {
    let base_config = CandidateConfig {
        network: "udp".to_owned(),
        address: addr.ip().to_string(),
        port: addr.port(),
        component: 1,
        ..CandidateConfig::default()
    };
    Ok(CandidateHostConfig { base_config, ..CandidateHostConfig::default() }
        .new_candidate_host()?)
}

impl Transport {
    /// Begins the checks after `answer` has come.
    ///
    /// # Errors
    /// What the libraries do not take.
    pub(super) fn new(
        now: Instant,
        identity: &Identity,
        place: &Place,
        credentials: (String, String),
        answer: &Answer,
    ) -> anyhow::Result<Self> {
        let config = AgentConfig {
            local_ufrag: credentials.0,
            local_pwd: credentials.1,
            multicast_dns_mode: MulticastDnsMode::Disabled,
            check_interval: CHECK_EVERY,
            keepalive_interval: Some(CONSENT_EVERY),
            disconnected_timeout: Some(CONSENT_LOST),
            host_acceptance_min_wait: Some(Duration::ZERO),
            is_controlling: true,
            ..AgentConfig::default()
        };
        let mut agent = Agent::new(now, Arc::new(config), identity.provider.clone())?;
        agent.add_local_candidate(candidate(place.addr)?)?;
        agent.add_remote_candidate(candidate(answer.remote)?)?;
        agent.start_connectivity_checks(now, true, answer.ufrag.clone(), answer.pwd.clone())?;
        Ok(Self {
            agent,
            dtls: None,
            config: identity.handshake(&answer.fingerprint)?,
            provider: identity.provider.clone(),
            keys: None,
            place: SocketAddr::V4(place.addr),
            remote: SocketAddr::V4(answer.remote),
            failed: None,
        })
    }

    /// Whether packets may flow.
    pub(super) fn is_connected(&self) -> bool {
        self.keys.is_some()
    }

    /// A STUN or DTLS datagram.
    pub(super) fn handle(&mut self, now: Instant, data: &[u8], send: &mut dyn FnMut(&[u8])) {
        let message = BytesMut::from(data);
        if matches!(data.first(), Some(0..=3)) {
            let transport = TransportContext {
                local_addr: self.place,
                peer_addr: self.remote,
                ecn: None,
                transport_protocol: TransportProtocol::UDP,
            };
            let _ = self.agent.handle_read(TaggedBytesMut { now, transport, message });
        } else if let Some(dtls) = &mut self.dtls {
            match dtls.read(now, self.remote, None, message) {
                Ok(events) => {
                    let done = |e: &EndpointEvent| matches!(e, EndpointEvent::HandshakeComplete);
                    if events.iter().any(done) {
                        self.complete();
                    }
                }
                Err(error) => self.fail(format!("DTLS: {error}")),
            }
        }
        self.flush(now, send);
    }

    fn fail(&mut self, why: String) {
        self.failed.get_or_insert(why);
    }

    fn complete(&mut self) {
        let state = self.dtls.as_ref().and_then(|d| d.get_connection_state(self.remote));
        match state.context("no state").and_then(|s| keys(s, self.provider.as_ref())) {
            Ok(keys) => self.keys = Some(Box::new(keys)),
            Err(error) => self.fail(format!("SRTP keys: {error:#}")),
        }
    }

    /// Lets timers run.
    pub(super) fn on_deadline(&mut self, now: Instant, send: &mut dyn FnMut(&[u8])) {
        if self.agent.poll_timeout().is_some_and(|at| at <= now) {
            let _ = self.agent.handle_timeout(now);
        }
        if let Some(dtls) = &mut self.dtls
            && let Err(error) = dtls.handle_timeout(self.remote, now)
        {
            self.fail(format!("DTLS: {error}"));
        }
        self.flush(now, send);
    }

    /// When [`Self::on_deadline`] is due.
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        let dtls = self.dtls.as_ref().and_then(|d| d.poll_timeout(&self.remote));
        [self.agent.poll_timeout(), dtls].into_iter().flatten().min()
    }

    fn flush(&mut self, now: Instant, send: &mut dyn FnMut(&[u8])) {
        while let Some(tagged) = self.agent.poll_event() {
            match tagged.event {
                Event::ConnectionStateChange(ConnectionState::Connected) if self.dtls.is_none() => {
                    self.greet(now);
                }
                Event::ConnectionStateChange(
                    ConnectionState::Failed | ConnectionState::Disconnected,
                ) => {
                    self.fail("the edge does not answer checks any more".to_owned());
                }
                _ => {}
            }
        }
        while let Some(out) = self.agent.poll_write() {
            send(&out.message);
        }
        while let Some(out) = self.dtls.as_mut().and_then(Endpoint::poll_transmit) {
            send(&out.message);
        }
    }

    /// The path stands: the first flight of the handshake.
    fn greet(&mut self, now: Instant) {
        let mut endpoint = Endpoint::new(self.place, TransportProtocol::UDP, None);
        if let Err(error) = endpoint.connect(now, self.remote, self.config.clone(), None) {
            self.fail(format!("DTLS: {error}"));
        }
        self.dtls = Some(endpoint);
    }

    /// Opens a packet: header and payload in clear.
    pub(super) fn open_rtp(&mut self, data: &[u8]) -> Option<BytesMut> {
        self.keys.as_mut()?.theirs.decrypt_rtp(data).ok()
    }

    /// Opens a control packet.
    pub(super) fn open_rtcp(&mut self, data: &[u8]) -> Option<BytesMut> {
        self.keys.as_mut()?.theirs.decrypt_rtcp(data).ok()
    }

    /// Seals a packet.
    pub(super) fn seal_rtp(&mut self, data: &[u8]) -> Option<BytesMut> {
        self.keys.as_mut()?.ours.encrypt_rtp(data).ok()
    }

    /// Seals a control packet.
    pub(super) fn seal_rtcp(&mut self, data: &[u8]) -> Option<BytesMut> {
        self.keys.as_mut()?.ours.encrypt_rtcp(data).ok()
    }
}

fn keys(state: &State, provider: &dyn RTCCryptoProvider) -> anyhow::Result<Keys> {
    let profile = match state.srtp_protection_profile() {
        SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm => ProtectionProfile::AeadAes256Gcm,
        other => anyhow::bail!("the edge chose {other:?}"),
    };
    let mut config = Config { profile, ..Config::default() };
    let material = state.export_keying_material(
        LABEL_EXTRACTOR_DTLS_SRTP,
        &[],
        config.keying_material_len(),
    )?;
    config.set_session_keys_from_keying_material(material.as_ref(), true)?;
    let k = &config.keys;
    let crypto = provider.crypto();
    let ours =
        Context::new(&k.local_master_key, &k.local_master_salt, profile, None, None, crypto)?;
    let theirs = Context::new(
        &k.remote_master_key,
        &k.remote_master_salt,
        profile,
        Some(srtp_replay_protection(REPLAY_WINDOW)),
        Some(srtcp_replay_protection(REPLAY_WINDOW)),
        crypto,
    )?;
    Ok(Keys { ours, theirs })
}
