//! HTTP with a node, as little as the tests need.

use anyhow::{Context, bail};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A node answers in this time, or it is not well.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks, and returns status and body.
///
/// # Errors
/// When there is no answer.
pub fn ask(method: &str, url: &str, json: Option<&Value>) -> anyhow::Result<(u16, String)> {
    ask_as("", method, url, json)
}

/// The same, with a token if it is not empty.
///
/// # Errors
/// When there is no answer.
pub fn ask_as(
    token: &str,
    method: &str,
    url: &str,
    json: Option<&Value>,
) -> anyhow::Result<(u16, String)> {
    let bearer = match token {
        "" => String::new(),
        token => format!("authorization: Bearer {token}\r\n"),
    };
    let rest = url.strip_prefix("http://").context("not an http:// URL")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let addr = host.to_socket_addrs()?.find(|a| a.is_ipv4()).context("no IPv4 address")?;
    let mut stream = TcpStream::connect_timeout(&addr, LIMIT).with_context(|| url.to_owned())?;
    stream.set_read_timeout(Some(LIMIT))?;
    let body = json.map(Value::to_string).unwrap_or_default();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         {bearer}content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| url.to_owned())?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the HTTP header")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok((status, if chunked { unchunked(body)? } else { body.to_owned() }))
}

fn unchunked(mut body: &str) -> anyhow::Result<String> {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16)?;
        if size == 0 {
            break;
        }
        whole.push_str(rest.get(..size).context("a chunk is cut short")?);
        body = rest.get(size + 2..).unwrap_or_default();
    }
    Ok(whole)
}

/// The body of a good answer.
///
/// # Errors
/// When there is none.
pub fn get(url: &str) -> anyhow::Result<String> {
    match ask("GET", url, None)? {
        (200, body) => Ok(body),
        (status, body) => bail!("{url}: {status}: {body}"),
    }
}

/// The body of a good answer, read as JSON.
///
/// # Errors
/// When there is none.
pub fn get_json(url: &str) -> anyhow::Result<Value> {
    serde_json::from_str(&get(url)?).with_context(|| url.to_owned())
}
