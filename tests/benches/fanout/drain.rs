//! Subscribers: a socket each, all drained by one thread. After the handshake only a sample is decrypted.

use super::child::Child;
use super::thin::{Identity, Thin};
use edge_sfu::transport::Opened;
use rustix::event::epoll;
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Joins under way at a time.
const UNDER_WAY: usize = 64;
/// Every so many-th subscriber opens what it gets.
const SAMPLE: usize = 100;
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// A socket gives so many datagrams before the next one has its turn.
const TURN: usize = 8;
/// The longest wait for datagrams before what was told is looked at.
const WAIT: Duration = Duration::from_millis(5);
/// Datagrams this long are of the picture f.
const F_LEN: usize = 1_000;

/// What came since the last reset.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) received: u64,
    /// From the first to the last receiver of each frame's last packet.
    pub(super) spreads_ms: Vec<f64>,
    opened: u64,
}

enum Tell {
    Calibrate,
    Reset,
    Report(Sender<Seen>),
    Stop,
}

struct Person {
    socket: UdpSocket,
    thin: Thin,
    /// Timestamp of the calibrating frame.
    base: Option<u32>,
}

struct Crowd {
    people: Vec<Person>,
    epoll: OwnedFd,
    server: SocketAddr,
    seen: Seen,
    frames: BTreeMap<u32, (Instant, Instant, usize)>,
    calibrating: bool,
    checked: Instant,
    /// Timers of handshakes.
    looked: Instant,
}

/// The subscribers, from outside.
pub(super) struct Drain {
    addrs: Vec<SocketAddr>,
    tell: Sender<Tell>,
    thread: JoinHandle<()>,
}

impl Drain {
    /// Joins `count` subscribers; returns when all are connected.
    pub(super) fn join(count: usize, child: &mut Child, identity: &Arc<Identity>) -> Self {
        let mut crowd = Crowd {
            people: Vec::new(),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).unwrap(),
            server: child.media,
            seen: Seen::default(),
            frames: BTreeMap::new(),
            calibrating: false,
            checked: Instant::now(),
            looked: Instant::now(),
        };
        let (mut asked, begin) = (0, Instant::now());
        loop {
            let connected = crowd.people.iter().filter(|p| p.thin.is_connected()).count();
            if connected == count {
                break;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{connected} of {count} connected");
            while asked < count && asked < connected + UNDER_WAY {
                child.join(asked as u64, &identity.attendee, Vec::new());
                asked += 1;
            }
            while let Ok((_, sdp)) = child.joined.try_recv() {
                crowd.add(identity, &sdp);
            }
            crowd.turn(Duration::from_millis(1));
        }
        let addrs = crowd.people.iter().map(|p| p.socket.local_addr().unwrap()).collect();
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || crowd.run(&told));
        Self { addrs, tell, thread }
    }

    pub(super) fn len(&self) -> usize {
        self.addrs.len()
    }

    pub(super) fn addrs(&self) -> Vec<SocketAddr> {
        self.addrs.clone()
    }

    /// The next frame is the one from which timestamps are counted.
    pub(super) fn calibrate(&self) {
        self.tell.send(Tell::Calibrate).unwrap();
        std::thread::sleep(WAIT * 2);
    }

    pub(super) fn reset(&self) {
        self.tell.send(Tell::Reset).unwrap();
        std::thread::sleep(WAIT * 2);
    }

    pub(super) fn report(&self) -> Seen {
        let (say, told) = channel();
        self.tell.send(Tell::Report(say)).unwrap();
        told.recv().unwrap()
    }

    pub(super) fn stop(self) {
        let _ = self.tell.send(Tell::Stop);
        self.thread.join().unwrap();
    }
}

impl Crowd {
    fn add(&mut self, identity: &Identity, sdp: &str) {
        let socket = UdpSocket::bind((super::LOOPBACK, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 256 * 1024).unwrap();
        let data = epoll::EventData::new_u64(self.people.len() as u64);
        epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN).unwrap();
        let mut thin = Thin::new(super::now(), identity, &identity.attendee, sdp);
        let _ = socket.send_to(thin.check(), self.server);
        for record in thin.handshake(super::now()) {
            let _ = socket.send_to(&record, self.server);
        }
        self.people.push(Person { socket, thin, base: None });
    }

    fn run(mut self, told: &Receiver<Tell>) {
        loop {
            match told.try_recv() {
                Ok(Tell::Calibrate) => {
                    self.people.iter_mut().for_each(|p| p.base = None);
                    self.calibrating = true;
                }
                Ok(Tell::Reset) => {
                    self.calibrating = false;
                    (self.seen, self.frames) = (Seen::default(), BTreeMap::new());
                }
                Ok(Tell::Report(say)) => {
                    let mut seen = std::mem::take(&mut self.seen);
                    let whole =
                        self.frames.values().filter(|(_, _, n)| *n * 10 >= self.people.len() * 9);
                    let ms = |(a, b, _): &(Instant, Instant, usize)| (*b - *a).as_secs_f64() * 1e3;
                    seen.spreads_ms = whole.map(ms).collect();
                    assert!(seen.opened > 0, "the sample opened nothing");
                    let _ = say.send(seen);
                }
                Ok(Tell::Stop) | Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                Err(std::sync::mpsc::TryRecvError::Empty) => {}
            }
            self.turn(WAIT);
        }
    }

    fn turn(&mut self, wait: Duration) {
        let mut events = Vec::with_capacity(256);
        let wait = rustix::event::Timespec::try_from(wait).ok();
        let buffer = rustix::buffer::spare_capacity(&mut events);
        let _ = epoll::wait(&self.epoll, buffer, wait.as_ref());
        for event in &events {
            self.drain(event.data.u64() as usize);
        }
        if self.checked.elapsed() >= CHECK_EVERY {
            self.checked = Instant::now();
            for person in &self.people {
                let _ = person.socket.send_to(person.thin.check(), self.server);
            }
        }
        if self.looked.elapsed() >= Duration::from_millis(100) {
            self.looked = Instant::now();
            for person in self.people.iter_mut().filter(|p| !p.thin.is_connected()) {
                for record in person.thin.handshake(super::now()) {
                    let _ = person.socket.send_to(&record, self.server);
                }
            }
        }
    }

    fn drain(&mut self, index: usize) {
        let (mut buffer, mut answers) = ([0; 2_048], Vec::new());
        let person = &mut self.people[index];
        for _ in 0..TURN {
            let Ok((len, from)) = person.socket.recv_from(&mut buffer) else { break };
            if from != self.server {
                continue;
            }
            let is_rtp = matches!(buffer[..2], [128..=191, kind] if !(192..=223).contains(&kind));
            self.seen.received += 1;
            if is_rtp {
                if buffer[1] & 0x80 != 0 && len >= F_LEN {
                    let timestamp =
                        u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]);
                    if self.calibrating {
                        person.base.get_or_insert(timestamp);
                    } else if let Some(base) = person.base {
                        let now = Instant::now();
                        let frame = timestamp.wrapping_sub(base);
                        let entry = self.frames.entry(frame).or_insert((now, now, 0));
                        (entry.1, entry.2) = (now, entry.2 + 1);
                    }
                }
            } else if person.thin.is_connected() {
                continue;
            }
            if !is_rtp || index.is_multiple_of(SAMPLE) {
                match person.thin.handle(&mut buffer[..len], &mut answers) {
                    Opened::Rtp(_) => self.seen.opened += 1,
                    Opened::Dropped(reason) => panic!("subscriber {index}: {reason:?}"),
                    _ => {}
                }
            }
        }
        for answer in answers {
            let _ = person.socket.send_to(&answer, self.server);
        }
    }
}
