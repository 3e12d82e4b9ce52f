//! Meeting links: a region's page, the meeting, and a token in the fragment, which browsers do not send.

use super::record::{MeetingLinks, RegionUrl};
use crate::token::{Grants, Issuer};
use relay_proto::MeetingId;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a token of a link is good, unless told otherwise.
pub(crate) const LIFETIME: Duration = Duration::from_secs(12 * 3_600);

/// A token, now.
pub(crate) fn token(
    key: &Path,
    meeting: MeetingId,
    name: Option<String>,
    grants: Grants,
    lifetime: Duration,
) -> anyhow::Result<String> {
    let pem = std::fs::read(key).map_err(|e| {
        anyhow::anyhow!("cannot read {}: {e}: give the private token key with --key", key.display())
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Issuer::from_pem(&pem)?.issue(meeting, name, grants, now, lifetime)?)
}

/// One link a region.
pub(crate) fn links(meeting: MeetingId, token: &str, regions: &[RegionUrl]) -> MeetingLinks {
    let link = |region: &RegionUrl| RegionUrl {
        region: region.region.clone(),
        url: format!("{}/m/{meeting}#token={token}", region.url.trim_end_matches('/')),
    };
    MeetingLinks {
        id: meeting.to_string(),
        token: token.to_owned(),
        links: regions.iter().map(link).collect(),
    }
}
