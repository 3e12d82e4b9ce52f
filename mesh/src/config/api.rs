//! The settings of the HTTP API, and of TLS in front of it.

use super::flags::ApiFlags;
use super::settle::{Picker, shown};
use crate::api::limits::CREATES_PER_HOUR_DEFAULT;
use crate::node::ApiOptions;
use node_io::http::TlsFiles;
use std::net::IpAddr;

impl Picker<'_> {
    /// What the API needs.
    pub(super) fn api(&mut self, flags: &ApiFlags) -> anyhow::Result<ApiOptions> {
        let key = flags.token_private_key.clone();
        let token_private_key = self.path("token_private_key", key, |s| &s.token_private_key);
        let creates_per_hour = self.or_default(
            "creates_per_hour",
            flags.creates_per_hour,
            |s| &s.creates_per_hour,
            shown,
            || CREATES_PER_HOUR_DEFAULT,
        );
        let urls = |urls: &Vec<String>| urls.join(",");
        let turn_urls = self.optional("turn_urls", flags.turn_urls.clone(), |s| &s.turn_urls, urls);
        let turn_urls = turn_urls.unwrap_or_default();
        let secret = flags.turn_secret.clone();
        let turn_secret = self.path("turn_secret", secret, |s| &s.turn_secret);
        let is_turn = |url: &String| url.starts_with("turn:") || url.starts_with("turns:");
        if let Some(url) = turn_urls.iter().find(|url| !is_turn(url)) {
            let problem =
                format!("{url:?} is no TURN URL: write one such as turn:turn.example.net:3478");
            return Err(self.wrong("turn_urls", |s| &s.turn_urls, problem));
        }
        let problem = "`turn_urls` and `turn_secret` need each other: give both, or none";
        match (turn_urls.is_empty(), turn_secret.is_none()) {
            (false, true) => return Err(self.wrong("turn_urls", |s| &s.turn_urls, problem)),
            (true, false) => return Err(self.wrong("turn_secret", |s| &s.turn_secret, problem)),
            _ => {}
        }
        let ips =
            |ips: &Vec<IpAddr>| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let proxies = flags.trusted_proxies.clone();
        let proxies = self.optional("trusted_proxies", proxies, |s| &s.trusted_proxies, ips);
        Ok(ApiOptions {
            token_private_key,
            creates_per_hour,
            turn_urls,
            turn_secret,
            trusted_proxies: proxies.unwrap_or_default(),
        })
    }

    /// Certificate and key of `http`.
    pub(super) fn tls(&mut self, flags: &ApiFlags) -> anyhow::Result<Option<TlsFiles>> {
        let cert = self.path("tls_cert", flags.tls_cert.clone(), |s| &s.tls_cert);
        let key = self.path("tls_key", flags.tls_key.clone(), |s| &s.tls_key);
        let problem = "`tls_cert` and `tls_key` need each other: give both, or none";
        match (cert, key) {
            (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(self.wrong("tls_cert", |s| &s.tls_cert, problem)),
            (None, Some(_)) => Err(self.wrong("tls_key", |s| &s.tls_key, problem)),
        }
    }
}
