//! The least that the same packets can cost: one AES-256-GCM seal each with its receiver's key, a copy, and the cheapest way to send.

use super::pattern::Pattern;
use super::publisher::wait_until;
use quinn_udp::{Transmit, UdpSocketState};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustix::net::{
    MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, addr::SocketAddrArg, sendmmsg,
};
use rustix::time::{ClockId, clock_gettime};
use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Fixed header, CSRC, three extensions: what the edge writes before a payload.
const HEADER: usize = 36;
const TAG: usize = 16;
const SPACE: usize = 1_500;
const BATCH: usize = 64;

struct Viewer {
    key: LessSafeKey,
    sealed: u64,
    to: SocketAddr,
    any: SocketAddrAny,
}

/// Sends to the same receivers as the server.
pub(super) struct Floor {
    socket: UdpSocket,
    state: UdpSocketState,
    viewers: Vec<Viewer>,
    payload: Vec<u8>,
    arena: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Method {
    SendTo,
    SendMmsg,
    Gso,
}

const METHODS: [(Method, &str); 3] =
    [(Method::SendTo, "sendto"), (Method::SendMmsg, "sendmmsg"), (Method::Gso, "GSO")];

fn thread_cpu() -> Duration {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

impl Viewer {
    /// Header, copy and seal; the datagram's length.
    fn write(&mut self, payload: &[u8], out: &mut [u8]) -> usize {
        self.sealed += 1;
        out[..8].copy_from_slice(&self.sealed.to_be_bytes());
        out[8..HEADER].fill(0x90);
        let end = HEADER + payload.len();
        out[HEADER..end].copy_from_slice(payload);
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.sealed.to_be_bytes());
        let (head, rest) = out.split_at_mut(HEADER);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let body = &mut rest[..payload.len()];
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&head[..]), body).unwrap();
        out[end..end + TAG].copy_from_slice(tag.as_ref());
        end + TAG
    }
}

impl Floor {
    pub(super) fn new(addrs: Vec<SocketAddr>) -> Self {
        let socket = UdpSocket::bind((super::LOOPBACK, 0)).unwrap();
        let state = UdpSocketState::new((&socket).into()).unwrap();
        let viewer = |(i, to): (usize, SocketAddr)| {
            let mut key = [7; 32];
            key[..8].copy_from_slice(&(i as u64).to_le_bytes());
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
            Viewer { key, sealed: 0, to, any: to.as_any() }
        };
        Self {
            state,
            socket,
            viewers: addrs.into_iter().enumerate().map(viewer).collect(),
            payload: vec![0x5a; SPACE],
            arena: vec![0; BATCH * SPACE],
        }
    }

    /// The cheapest method and what a datagram costs with it.
    pub(super) fn best(
        &mut self,
        pattern: Pattern,
        interval: Duration,
        time: Duration,
    ) -> (&'static str, f64) {
        let costs =
            METHODS.map(|(method, name)| (name, self.cost(method, pattern, interval, time)));
        costs.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
    }

    /// Nanoseconds of this thread per datagram, at the pace of the server's.
    fn cost(
        &mut self,
        method: Method,
        pattern: Pattern,
        interval: Duration,
        time: Duration,
    ) -> f64 {
        let payloads = pattern.payloads();
        let (begin, mut rounds, mut cpu, mut sent) = (Instant::now(), 0, Duration::ZERO, 0);
        while begin.elapsed() < time || rounds < 3 {
            let parts =
                if pattern.pause().is_some() { payloads.chunks(1) } else { payloads.chunks(64) };
            for (nth, part) in (0..).zip(parts) {
                wait_until(begin + interval * rounds + pattern.pause().unwrap_or_default() * nth);
                let before = thread_cpu();
                match method {
                    Method::SendTo => self.send_to(part),
                    Method::SendMmsg => self.send_mmsg(part),
                    Method::Gso => self.send_gso(part),
                }
                cpu += thread_cpu() - before;
                sent += part.len() * self.viewers.len();
            }
            rounds += 1;
        }
        cpu.as_nanos() as f64 / sent as f64
    }

    fn send_to(&mut self, payloads: &[usize]) {
        for viewer in &mut self.viewers {
            for size in payloads {
                let len = viewer.write(&self.payload[..*size], &mut self.arena);
                let _ = self.socket.send_to(&self.arena[..len], viewer.to);
            }
        }
    }

    fn send_mmsg(&mut self, payloads: &[usize]) {
        let total = payloads.len() * self.viewers.len();
        for first in (0..total).step_by(BATCH) {
            let mut lengths = [(0, 0); BATCH];
            let batch = first..(first + BATCH).min(total);
            for (place, at) in batch.clone().enumerate() {
                let (viewer, size) = (at / payloads.len(), payloads[at % payloads.len()]);
                let out = &mut self.arena[place * SPACE..(place + 1) * SPACE];
                lengths[place] = (viewer, self.viewers[viewer].write(&self.payload[..size], out));
            }
            let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|place| {
                [IoSlice::new(&self.arena[place * SPACE..place * SPACE + lengths[place].1])]
            });
            let mut control: [SendAncillaryBuffer<'_, '_, '_>; BATCH] =
                std::array::from_fn(|_| SendAncillaryBuffer::default());
            let mut messages: Vec<MMsgHdr<'_>> = Vec::with_capacity(BATCH);
            for ((slice, control), (viewer, _)) in
                slices.iter().zip(&mut control).zip(lengths).take(batch.len())
            {
                let to = &self.viewers[viewer].any;
                messages.push(MMsgHdr::new_with_addr(to, slice, control));
            }
            let mut left = &mut messages[..];
            while !left.is_empty() {
                let sent = sendmmsg(&self.socket, left, SendFlags::empty()).unwrap_or(1).max(1);
                left = &mut left[sent..];
            }
        }
    }

    /// Equal datagrams one after the other to one receiver are one send.
    fn send_gso(&mut self, payloads: &[usize]) {
        for viewer in &mut self.viewers {
            for run in payloads.chunk_by(|a, b| a == b) {
                let (mut at, mut segment) = (0, 0);
                for size in run {
                    segment = viewer.write(&self.payload[..*size], &mut self.arena[at..]);
                    at += segment;
                }
                let transmit = Transmit {
                    destination: viewer.to,
                    ecn: None,
                    contents: &self.arena[..at],
                    segment_size: (at > segment).then_some(segment),
                    src_ip: None,
                };
                let _ = self.state.try_send((&self.socket).into(), &transmit);
            }
        }
    }
}
