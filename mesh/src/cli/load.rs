//! `mesh load`.

use super::operator::OperatorArgs;
use super::runtime;
use crate::load::{LoadOptions, Ramp, Target, Wanted, participants_max, run};
use anyhow::bail;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use topology::model::Region;

/// Participants on the async `webrtc` crate, unless told otherwise: they cost ten times what thin ones do.
const FULL_DEFAULT: u32 = 20;

/// Arguments.
#[derive(Args, Debug)]
pub(super) struct LoadArgs {
    /// Participants in all
    #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=participants_max()))]
    participants: u32,
    /// Those of them with microphone and camera
    #[arg(short = 'p', long, default_value_t = 10)]
    publishers: u32,
    /// Those of them on the async `webrtc` crate, who only watch [default: 20, or a fifth of a small run]
    #[arg(long, value_name = "N")]
    full: Option<u32>,
    /// Meetings they are spread over
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    meetings: u32,
    /// How long is measured
    #[arg(short = 'd', long, default_value = "30s", value_parser = duration, value_name = "TIME")]
    duration: Duration,
    /// From the last arrival to the beginning of the measurement
    #[arg(long, default_value = "3s", value_parser = duration, value_name = "TIME")]
    settle: Duration,
    /// Joins a second
    #[arg(long, default_value_t = 50.0, value_name = "PER-SECOND", value_parser = rate)]
    join_rate: f64,
    /// All join at once
    #[arg(long, conflicts_with = "join_rate")]
    storm: bool,
    /// Step by step, FROM participants and STEP more each time, up to --participants, until something gives way
    #[arg(long, value_name = "FROM:STEP", value_parser = ramp)]
    ramp: Option<Ramp>,
    /// People who speak at any time, in each meeting
    #[arg(long, default_value_t = 1, value_name = "N")]
    talkers: usize,
    /// Shortest and longest turn
    #[arg(long, default_value = "3s:6s", value_parser = span, value_name = "TIME:TIME")]
    turn: (Duration, Duration),
    /// Play the turns of a recorded meeting instead (AMI corpus), such as ES2004a
    #[arg(long, value_name = "MEETING")]
    recorded: Option<String>,
    /// Voices that each can hear
    #[arg(long, default_value_t = 3, value_name = "SLOTS")]
    voices: usize,
    /// Pictures that each can see; the first is the main one
    #[arg(long, default_value_t = 1, value_name = "SLOTS")]
    pictures: usize,
    /// What each wants to receive at most, kbit/s; 0: all that the edge gives. Below 750 the main picture is q
    #[arg(long, default_value_t = 450, value_name = "KBPS")]
    max_kbps: u32,
    /// Frames a second of each camera
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60))]
    fps: u32,
    /// Regions whose edges are joined [default: all]
    #[arg(long, value_delimiter = ',', value_name = "REGION")]
    regions: Vec<String>,
    /// Where the origin stands [default: placement chooses]
    #[arg(long, value_name = "REGION", value_parser = Region::new)]
    origin_region: Option<Region>,
    /// Decides who speaks when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The report as one line of JSON
    #[arg(long)]
    json: bool,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    report_json: Option<PathBuf>,
    /// Write the report as a page
    #[arg(long, value_name = "FILE")]
    report_html: Option<PathBuf>,
    /// No progress bar
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    operator: OperatorArgs,
}

pub(super) fn run_load(args: LoadArgs) -> anyhow::Result<()> {
    let options = options(&args)?;
    let wanted = Wanted {
        json: args.json,
        quiet: args.quiet,
        json_file: args.report_json,
        html_file: args.report_html,
    };
    let carried = runtime()?.block_on(async {
        let operator = args.operator.connect().await?;
        let mut target = Target::find(operator.client, &args.regions)?;
        target.gather(options.meetings, args.origin_region, operator.token_key.as_deref()).await?;
        run(&target, options, args.ramp, &wanted).await
    })?;
    if !carried {
        bail!("the load was not carried, or the run is void: see the report");
    }
    Ok(())
}

fn options(args: &LoadArgs) -> anyhow::Result<LoadOptions> {
    if args.publishers > args.participants {
        bail!(
            "{} publishers of {} participants: raise --participants",
            args.publishers,
            args.participants
        );
    }
    Ok(LoadOptions {
        participants: args.participants,
        publishers: args.publishers,
        full: args.full.unwrap_or((args.participants / 5).min(FULL_DEFAULT)),
        meetings: args.meetings,
        talkers: args.talkers,
        turn: args.turn,
        recorded: args.recorded.clone(),
        voices: args.voices,
        pictures: args.pictures,
        max_bps: (args.max_kbps > 0).then_some(args.max_kbps.saturating_mul(1_000)),
        fps: args.fps,
        joins_per_second: (!args.storm).then_some(args.join_rate),
        duration: args.duration,
        settle: args.settle,
        seed: args.seed,
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "write a number and a unit, such as 500ms, 30s or 5m".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        _ => return Err(bad()),
    };
    let ms = digits.parse::<f64>().map_err(|_| bad())? * unit_ms;
    if (1.0..=86_400_000.0).contains(&ms) {
        Ok(Duration::from_millis(ms as u64))
    } else {
        Err("choose 1 ms to 24 h".to_owned())
    }
}

fn span(text: &str) -> Result<(Duration, Duration), String> {
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    let (from, to) = (duration(from)?, duration(to)?);
    if from <= to { Ok((from, to)) } else { Err("the shorter one comes first".to_owned()) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|r| (0.1..=10_000.0).contains(r));
    rate.ok_or_else(|| "write joins a second, 0.1 to 10000".to_owned())
}

fn ramp(text: &str) -> Result<Ramp, String> {
    let bad = || "write two numbers of participants, such as 100:50".to_owned();
    let (from, step) = text.split_once(':').ok_or_else(bad)?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(bad);
    Ok(Ramp { from: number(from)?, step: number(step)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_rates_and_ramps_are_read() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(span("3s:6s"), Ok((Duration::from_secs(3), Duration::from_secs(6))));
        assert_eq!(span("2m"), Ok((Duration::from_secs(120), Duration::from_secs(120))));
        assert!(ramp("100:50").is_ok_and(|r| (r.from, r.step) == (100, 50)));
        for bad in ["", "5", "x", "0s", "25h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(span("6s:3s").is_err() && rate("0").is_err());
        assert!(ramp("100").is_err() && ramp("0:5").is_err());
    }
}
