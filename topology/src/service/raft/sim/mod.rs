//! The group in virtual time: real Raft, real log and snapshots over disks that lose power, ways that are cut, and
//! clients whose histories are judged. A seed decides everything.
//!
//! `TOPOLOGY_SEEDS=1000 cargo nextest run -p topology simulated` runs that many; `TOPOLOGY_SEED=7` runs one.

mod dice;
mod history;
mod net;
mod platter;
mod run;
mod storage;
mod world;
