//! `mesh token`.

use super::operator::meeting_id;
use crate::dev::banner::say;
use crate::dev::record::DevRecord;
use crate::dev::{Layout, links};
use crate::token::Grants;
use clap::{ArgAction, Args};
use relay_proto::MeetingId;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments.
#[derive(Args, Debug)]
pub(super) struct TokenArgs {
    /// The meeting's id, or a link to it
    #[arg(long, value_parser = meeting_id, value_name = "ID")]
    meeting: MeetingId,
    /// Private token key, PEM [default: that of the running `mesh dev`]
    #[arg(long, env = "MESH_TOKEN_PRIVATE_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// State directory of the `mesh dev`
    #[arg(long, env = "MESH_DEV_STATE_DIR", default_value = ".dev", value_name = "DIR")]
    state_dir: PathBuf,
    /// Display name; wins over what the participant says
    #[arg(long)]
    name: Option<String>,
    /// May send microphone, camera and screen
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = true, default_missing_value = "true")]
    publish: bool,
    /// May receive
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = true, default_missing_value = "true")]
    subscribe: bool,
    /// May chat
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = true, default_missing_value = "true")]
    chat: bool,
    /// May act as host
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = false, default_missing_value = "true")]
    host: bool,
    /// How long it is good, such as 90s, 30m, 12h or 7d
    #[arg(long, default_value = "12h", value_parser = duration)]
    lifetime: Duration,
}

pub(super) fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let key = match &args.key {
        Some(key) => key.clone(),
        None => Layout::of(&DevRecord::read(&args.state_dir)?.state_dir).token_key(),
    };
    let grants = Grants {
        publish: args.publish,
        subscribe: args.subscribe,
        chat: args.chat,
        host: args.host,
    };
    say(&links::token(&key, args.meeting, args.name.clone(), grants, args.lifetime)?);
    Ok(())
}

fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "write a number and a unit, such as 90s, 30m, 12h or 7d".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    let seconds = number.checked_mul(unit).filter(|s| (1..=366 * 86_400).contains(s));
    seconds.map(Duration::from_secs).ok_or_else(|| "a token is good for 1 s to 366 d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_a_unit_and_an_end() {
        assert_eq!(duration("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        for bad in ["", "12", "h", "0s", "9999d", "1x", "-1h", "99999999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
