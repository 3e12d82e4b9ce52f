//! `mesh meeting`.

use super::operator::{Operator, OperatorArgs, meeting_id};
use super::runtime;
use crate::dev::banner::say;
use crate::dev::links::{self, LIFETIME};
use crate::token::Grants;
use clap::{Args, Subcommand};
use relay_proto::MeetingId;
use serde_json::{Value, json};
use topology::model::{Meeting, MeetingSpec, Region};

/// Arguments.
#[derive(Args, Debug)]
pub(super) struct MeetingArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a meeting and print a link for every region
    Create(CreateArgs),
    /// List meetings
    List(ListArgs),
    /// Show one meeting
    Show(OneArgs),
    /// End a meeting: everybody leaves, nobody joins
    End(OneArgs),
}

#[derive(Args, Debug)]
struct CreateArgs {
    /// A name for people
    #[arg(long, default_value = "")]
    name: String,
    /// Participants at one time [default: as many as a meeting can have]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    max: u32,
    /// The origin must stand here [default: placement chooses]
    #[arg(long, value_name = "REGION", value_parser = Region::new)]
    origin_region: Option<Region>,
    /// Most participants are expected here
    #[arg(long, value_name = "REGION", value_parser = Region::new)]
    hint_region: Option<Region>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Ended meetings, too
    #[arg(long)]
    all: bool,
    /// One line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
}

#[derive(Args, Debug)]
struct OneArgs {
    /// The meeting's id, or a link to it
    #[arg(value_parser = meeting_id)]
    meeting: MeetingId,
    /// One line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
}

pub(super) fn run(args: MeetingArgs) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        match args.action {
            Action::Create(args) => create(args).await,
            Action::List(args) => list(&args).await,
            Action::Show(args) => show(&args).await,
            Action::End(args) => end(&args).await,
        }
    })
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let operator = args.operator.connect().await?;
    let spec = MeetingSpec {
        name: args.name,
        origin_region: args.origin_region,
        hint_region: args.hint_region,
        participants_max: args.max,
        ..MeetingSpec::default()
    };
    let meeting = operator.client.create_meeting(spec).await?;
    print(&operator, &meeting, args.json)
}

async fn show(args: &OneArgs) -> anyhow::Result<()> {
    let operator = args.operator.connect().await?;
    let meeting = operator.client.get_meeting(args.meeting).await?;
    print(&operator, &meeting, args.json)
}

async fn end(args: &OneArgs) -> anyhow::Result<()> {
    let operator = args.operator.connect().await?;
    operator.client.end_meeting(args.meeting).await?;
    let id = args.meeting.to_string();
    say(&if args.json {
        json!({ "meeting": id, "ended": true }).to_string()
    } else {
        format!("meeting {id} has ended")
    });
    Ok(())
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let operator = args.operator.connect().await?;
    let view = operator.client.view();
    let meetings: Vec<_> = view.meetings.values().filter(|m| args.all || !m.ended).collect();
    if args.json {
        let all: Vec<Value> = meetings.iter().map(|m| facts(m)).collect();
        say(&json!(all).to_string());
        return Ok(());
    }
    for meeting in &meetings {
        let ended = if meeting.ended { "  (ended)" } else { "" };
        say(&format!(
            "{}  {:40}  {}{ended}",
            meeting.id,
            operator.node(meeting.origin),
            meeting.name
        ));
    }
    if meetings.is_empty() {
        say("no meetings: create one with `mesh meeting create`");
    }
    Ok(())
}

fn facts(meeting: &Meeting) -> Value {
    json!({
        "meeting": meeting.id.to_string(),
        "name": meeting.name,
        "origin": meeting.origin.0,
        "standby": meeting.standby.map(|n| n.0),
        "epoch": meeting.epoch.0,
        "max": meeting.participants_max,
        "ended": meeting.ended,
    })
}

/// The meeting, and links when people can join.
fn print(operator: &Operator, meeting: &Meeting, as_json: bool) -> anyhow::Result<()> {
    let regions = operator.regions();
    let token = match &operator.token_key {
        Some(key) if !meeting.ended => {
            Some(links::token(key, meeting.id, None, Grants::PARTICIPANT, LIFETIME)?)
        }
        _ => None,
    };
    let links = token.as_ref().map(|token| links::links(meeting.id, token, &regions).links);
    if as_json {
        let mut facts = facts(meeting);
        facts["token"] = json!(token);
        facts["links"] = json!(links.unwrap_or_default());
        say(&facts.to_string());
        return Ok(());
    }
    let ended = if meeting.ended { ", ended" } else { "" };
    say(&format!("meeting {}{ended}", meeting.id));
    if !meeting.name.is_empty() {
        say(&format!("  name     {}", meeting.name));
    }
    say(&format!("  origin   {}", operator.node(meeting.origin)));
    let standby = meeting.standby.map_or_else(|| "none".to_owned(), |n| operator.node(n));
    say(&format!("  standby  {standby}"));
    match links {
        Some(links) => links.iter().for_each(|l| say(&format!("  {:16} {}", l.region, l.url))),
        None if meeting.ended => {}
        None => say("  make a token with `mesh token`, or give --token-private-key to get links"),
    }
    Ok(())
}
