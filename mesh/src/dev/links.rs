//! Meeting links: a region's page, the meeting, and a token in the fragment, which browsers do not send.

use super::record::{MeetingLinks, RegionUrl};
use crate::token::{AUDIENCE, Claims, Grants, Issuer};
use relay_proto::MeetingId;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a token of a link is good, unless told otherwise.
pub(crate) const LIFETIME: Duration = Duration::from_secs(12 * 3_600);

/// A token, now, for a link that many may use: it names nobody, or a role given to one of them would be everybody's.
pub(crate) fn token(
    key: &Path,
    meeting: MeetingId,
    name: Option<String>,
    grants: Grants,
    lifetime: Duration,
) -> anyhow::Result<String> {
    let (aud, sub, exp) = (AUDIENCE.to_owned(), String::new(), expiry(lifetime)?);
    Ok(issuer(key)?.sign(&Claims { aud, meeting, sub, name, grants, wait: false, exp })?)
}

/// Who signs with the private key in this file.
pub(crate) fn issuer(key: &Path) -> anyhow::Result<Issuer> {
    let pem = std::fs::read(key).map_err(|e| {
        anyhow::anyhow!("cannot read {}: {e}: give the private token key with --key", key.display())
    })?;
    Ok(Issuer::from_pem(&pem)?)
}

/// Seconds since 1970 at which something ends that begins now.
pub(crate) fn expiry(lifetime: Duration) -> anyhow::Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(now.saturating_add(lifetime).as_secs())
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
