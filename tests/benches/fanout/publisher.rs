//! Publishers: one socket each.

use super::child::Child;
use super::thin::{Identity, Media, Thin, published};
use edge_sfu::transport::Opened;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Sockets of publishers are numbered from here.
const FIRST: u64 = 1_000_000;
const CHECK_EVERY: Duration = Duration::from_secs(2);

pub(super) struct Publisher {
    thin: Thin,
    pub(super) media: Media,
    socket: UdpSocket,
    checked: Instant,
    /// Datagrams that came: a publisher is a viewer too.
    pub(super) received: u64,
}

/// Sleeps until shortly before, then looks at the clock.
pub(super) fn wait_until(at: Instant) {
    let slack = Duration::from_micros(200);
    loop {
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > slack {
            std::thread::sleep(left - slack);
        } else {
            std::hint::spin_loop();
        }
    }
}

impl Publisher {
    pub(super) fn join(child: &mut Child, identity: &Identity, index: usize) -> Self {
        child.join(FIRST + index as u64, &identity.publisher, published());
        let (_, sdp) = child.joined.recv_timeout(Duration::from_secs(5)).unwrap();
        let socket = UdpSocket::bind((super::LOOPBACK, 0)).unwrap();
        socket.connect(child.media).unwrap();
        socket.set_nonblocking(true).unwrap();
        let thin = Thin::new(super::now(), identity, &identity.publisher, &sdp);
        let _ = socket.send(thin.check());
        let media = Media::default();
        let mut publisher = Self { thin, media, socket, checked: Instant::now(), received: 0 };
        while !publisher.thin.is_connected() {
            for record in publisher.thin.handshake(super::now()) {
                let _ = publisher.socket.send(&record);
            }
            publisher.listen();
            std::thread::sleep(Duration::from_millis(1));
        }
        publisher
    }

    /// Takes what the edge sent: requests for key frames.
    pub(super) fn listen(&mut self) {
        let (mut buffer, mut answers) = ([0; 2_048], Vec::new());
        while let Ok(len) = self.socket.recv(&mut buffer) {
            self.received += 1;
            if let Opened::Rtcp(len) = self.thin.handle(&mut buffer[..len], &mut answers) {
                self.media.feedback(&buffer[..len]);
            }
        }
        if self.checked.elapsed() >= CHECK_EVERY {
            self.checked = Instant::now();
            answers.push(self.thin.check().to_vec());
        }
        for answer in answers {
            let _ = self.socket.send(&answer);
        }
    }

    /// Sends packets, sealed before the first leaves.
    pub(super) fn send(&mut self, packets: &[Vec<u8>], pause: Option<Duration>) {
        let sealed: Vec<Vec<u8>> = packets.iter().map(|p| self.thin.seal(p)).collect();
        let begin = Instant::now();
        for (nth, packet) in (0..).zip(sealed) {
            wait_until(begin + pause.unwrap_or_default() * nth);
            let _ = self.socket.send(&packet);
        }
    }
}
