//! The report as text.

use super::Report;
use crate::histogram::Delays;
use crate::participant::Stage;
use std::fmt;
use std::time::Duration;

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

/// `mean/p50/p95/max` in milliseconds.
fn delays(d: &Delays) -> String {
    if d.count() == 0 {
        return "-".to_owned();
    }
    format!(
        "{:.1}/{:.1}/{:.1}/{:.1}",
        ms(d.mean()),
        ms(d.quantile(0.5)),
        ms(d.quantile(0.95)),
        ms(d.max())
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.seconds();
        writeln!(
            f,
            "scenario {}, seed {}: {seconds:.1} s, {} events",
            self.name, self.seed, self.events
        )?;
        self.write_nodes(f)?;
        self.write_paths(f)?;
        self.write_participants(f)?;
        self.write_floor(f)?;
        writeln!(
            f,
            "hash {} (decisions {:.8} media {:.8} relay {:.8})",
            self.hash.all, self.hash.decisions, self.hash.media, self.hash.relay
        )
    }
}

impl Report {
    fn write_nodes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<12} {:<16} {:>6} {:>9} {:>9} {:>9} {:>6}",
            "node", "region", "peers", "in", "to slots", "to links", "keys"
        )?;
        for n in &self.nodes {
            let c = &n.shard.counters;
            let (peers, keys) = (n.shard.peers, c.key_requests);
            writeln!(
                f,
                "{:<12} {:<16} {peers:>6} {:>9} {:>9} {:>9} {keys:>6}",
                n.name, n.region, c.ingested, c.forwarded, c.relayed
            )?;
            for (reason, count) in c.drops.iter().filter(|(_, count)| *count > 0) {
                writeln!(f, "    dropped {count:>8}  {reason:?}")?;
            }
        }
        Ok(())
    }

    fn write_paths(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = ["path", "one-way ms", "datagrams", "kbit/s", "lost", "voices"];
        writeln!(
            f,
            "\n{:<26} {:>10} {:>10} {:>9} {:>7} {:>7}",
            heading[0], heading[1], heading[2], heading[3], heading[4], heading[5]
        )?;
        for p in &self.paths {
            let name = format!("{} -> {}", self.nodes[p.from].name, self.nodes[p.to].name);
            let kbps = p.counters.arrived_bytes as f64 * 8e-3 / self.time.seconds().max(1e-9);
            let lost = p.counters.model.offered - p.counters.model.delivered;
            let voices = self.log.voices_max.get(&(p.from, p.to)).copied().unwrap_or(0);
            let one_way = p.params.delay_us as f64 / 1e3;
            let offered = p.counters.model.offered;
            writeln!(
                f,
                "{name:<26} {one_way:>10.1} {offered:>10} {kbps:>9.1} {lost:>7} {voices:>7}"
            )?;
        }
        Ok(())
    }

    fn write_participants(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nby edge; delays are mean/p50/p95/max in ms from capture to arrival")?;
        for (edge, node) in self.nodes.iter().enumerate() {
            let here: Vec<_> = self.participants.iter().filter(|p| p.edge == edge).collect();
            if here.is_empty() {
                continue;
            }
            let (mut voice, mut picture, mut capture) =
                (Delays::default(), Delays::default(), Delays::default());
            let (mut gaps, mut frames, mut decodable, mut keys, mut switches, mut freezes) =
                (0, 0, 0, 0, 0, 0);
            for p in &here {
                voice.merge(&p.voice_delays);
                picture.merge(&p.pictures.delays);
                capture.merge(&p.capture_error);
                gaps += p.heard.values().map(|h| u64::from(h.missing)).sum::<u64>();
                frames += p.pictures.complete + p.pictures.incomplete;
                decodable += p.pictures.decodable;
                keys += p.pictures.key_frames;
                switches += p.pictures.switches;
                freezes += p.pictures.freezes;
            }
            let connected = here.iter().filter(|p| p.stage == Stage::Connected).count();
            writeln!(f, "{}: {connected} of {} connected", node.name, here.len())?;
            writeln!(
                f,
                "    voice    {} packets, {gaps} missing, delay {}",
                voice.count(),
                delays(&voice)
            )?;
            writeln!(
                f,
                "    picture  {decodable} of {frames} frames decodable, {keys} key, {switches} switches, {freezes} freezes, delay {}",
                delays(&picture)
            )?;
            writeln!(f, "    capture time wrong by {}", delays(&capture))?;
        }
        for p in &self.participants {
            for said in p.problems.iter().chain(&p.notices) {
                writeln!(f, "{}: {said}", p.name)?;
            }
        }
        Ok(())
    }

    fn write_floor(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let floor = self.floor_delays();
        let mut took = Delays::default();
        floor.iter().for_each(|d| took.add(d.took));
        let late = floor.iter().filter(|d| d.took > d.bound).count();
        let turns = self.turns.len();
        writeln!(
            f,
            "\n{turns} turns; floor at the edges after {} ms from onset, {late} later than the bound",
            delays(&took)
        )
    }
}
