//! `mesh token`.

use super::operator::meeting_id;
use crate::dev::banner::say;
use crate::dev::record::DevRecord;
use crate::dev::{Layout, links};
use crate::token::{
    API_AUDIENCE, AUDIENCE, ApiClaims, ApiGrants, Claims, Grants, INVITE_AUDIENCE, InviteClaims,
    InviteRole, draw_sub,
};
use anyhow::{Context, bail};
use clap::{ArgAction, Args, ValueEnum};
use relay_proto::MeetingId;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments.
#[derive(Args, Debug)]
pub(super) struct TokenArgs {
    /// For what: to join a meeting, to be sent to somebody who then may join, or to create meetings with the HTTP API
    #[arg(long, value_enum, default_value_t = Kind::Join)]
    kind: Kind,
    /// The meeting's id, or a link to it (join, invite)
    #[arg(long, value_parser = meeting_id, value_name = "ID", required_if_eq_any([("kind", "join"), ("kind", "invite")]))]
    meeting: Option<MeetingId>,
    /// Private token key, PEM [default: that of the running `mesh dev`]
    #[arg(long, env = "MESH_TOKEN_PRIVATE_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// State directory of the `mesh dev`
    #[arg(long, env = "MESH_DEV_STATE_DIR", default_value = ".dev", value_name = "DIR")]
    state_dir: PathBuf,
    /// Who it is for, as you know them; whoever has it is this one participant [default: drawn]
    #[arg(long, value_name = "ID", required_if_eq("kind", "api"))]
    sub: Option<String>,
    /// Display name; wins over what the participant says
    #[arg(long)]
    name: Option<String>,
    /// May send microphone, camera and screen (join)
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = true, default_missing_value = "true")]
    publish: bool,
    /// May receive (join)
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = true, default_missing_value = "true")]
    subscribe: bool,
    /// May chat (join)
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = true, default_missing_value = "true")]
    chat: bool,
    /// May act as host (join)
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = false, default_missing_value = "true")]
    host: bool,
    /// Must be admitted by a host (join)
    #[arg(long)]
    wait: bool,
    /// As what they are invited (invite)
    #[arg(long, value_enum, default_value_t = Role::Participant)]
    role: Role,
    /// May see, join and end everybody's meetings (api)
    #[arg(long)]
    admin: bool,
    /// How long it is good, such as 90s, 30m, 12h or 7d
    #[arg(long, default_value = "12h", value_parser = duration)]
    lifetime: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Join,
    Invite,
    Api,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    Host,
    Participant,
    Attendee,
}

impl From<Role> for InviteRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Host => Self::Host,
            Role::Participant => Self::Participant,
            Role::Attendee => Self::Attendee,
        }
    }
}

pub(super) fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let key = match &args.key {
        Some(key) => key.clone(),
        None => Layout::of(&DevRecord::read(&args.state_dir)?.state_dir).token_key(),
    };
    let (issuer, exp) = (links::issuer(&key)?, links::expiry(args.lifetime)?);
    let meeting = || args.meeting.context("say which meeting: --meeting ID");
    let token = match args.kind {
        Kind::Join => issuer.sign(&join(args, meeting()?, exp)?)?,
        Kind::Invite => issuer.sign(&InviteClaims {
            aud: INVITE_AUDIENCE.to_owned(),
            meeting: meeting()?,
            role: args.role.into(),
            sub: args.sub.clone(),
            name: args.name.clone(),
            exp,
        })?,
        Kind::Api => issuer.sign(&api(args, exp)?)?,
    };
    say(&token);
    Ok(())
}

fn join(args: &TokenArgs, meeting: MeetingId, exp: u64) -> anyhow::Result<Claims> {
    Ok(Claims {
        aud: AUDIENCE.to_owned(),
        meeting,
        sub: args.sub.clone().map_or_else(draw_sub, Ok)?,
        name: args.name.clone(),
        grants: Grants {
            publish: args.publish,
            subscribe: args.subscribe,
            chat: args.chat,
            host: args.host,
        },
        wait: args.wait,
        exp,
    })
}

fn api(args: &TokenArgs, exp: u64) -> anyhow::Result<ApiClaims> {
    let sub = args.sub.clone().unwrap_or_default();
    if sub.is_empty() || sub.len() > topology::limits::CREATOR_BYTES_MAX {
        bail!("--sub: name the person in 1 to {} bytes", topology::limits::CREATOR_BYTES_MAX);
    }
    let grants = ApiGrants { create: true, admin: args.admin };
    Ok(ApiClaims { aud: API_AUDIENCE.to_owned(), sub, name: args.name.clone(), grants, exp })
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
