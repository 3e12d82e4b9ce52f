//! The client page, embedded into the binary.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use include_dir::{Dir, include_dir};
use tokio::sync::watch;

/// What `npm run build` in `web/` makes; a build without it serves a page that says so.
static DIST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../web/client/dist");

const NOT_BUILT: &str = "<!doctype html><title>mesh</title><p>This binary was built without the client page. \
Build it with <code>make web</code> and build the binary again.";

/// Edges that the policy names at most: 64 URLs of 60 bytes, each also as a WebSocket, are less than 8 KB of header.
const EDGES_ALLOWED_MAX: usize = 64;

/// The page and its assets. A page under `/m/` is the same page: the meeting is in the address. `others` are the edges that
/// a refused participant may be sent to.
pub(super) fn client_router(region: String, others: watch::Receiver<Vec<String>>) -> Router {
    let page = get(move || std::future::ready(index(&region, &others.borrow())));
    Router::new()
        .route("/", page.clone())
        .route("/m/{meeting}", page)
        .route(
            "/assets/{*path}",
            get(|Path(path): Path<String>| std::future::ready(asset(&format!("assets/{path}")))),
        )
        .route("/favicon.svg", get(|| std::future::ready(asset("favicon.svg"))))
}

fn index(region: &str, edges: &[String]) -> Response {
    let html = DIST.get_file("index.html").and_then(|f| f.contents_utf8()).unwrap_or(NOT_BUILT);
    let unknown = HeaderValue::from_static("unknown");
    let region = HeaderValue::from_str(region).unwrap_or(unknown);
    let policy = HeaderValue::from_str(&policy(edges))
        .unwrap_or(HeaderValue::from_static("default-src 'self'"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::HeaderName::from_static("x-mesh-region"), region),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, html.to_owned()).into_response()
}

/// The content security policy of the page: everything comes from this edge, and the page talks to the mesh's edges only.
fn policy(edges: &[String]) -> String {
    // One of them with a stranger's characters would change the policy of all.
    let plain = |url: &&String| {
        url.starts_with("http")
            && url.chars().all(|c| c.is_ascii_alphanumeric() || ":/.-_[]".contains(c))
    };
    let named = edges.iter().filter(plain).take(EDGES_ALLOWED_MAX);
    let sockets: String =
        named.map(|url| format!(" {url} {}", url.replacen("http", "ws", 1))).collect();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; \
         connect-src 'self'{sockets}; object-src 'none'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

fn asset(path: &str) -> Response {
    let Some(file) = DIST.get_file(path) else { return StatusCode::NOT_FOUND.into_response() };
    let kind = match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("json" | "map") => "application/json",
        _ => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, file.contents()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_may_talk_to_the_edges_and_to_nobody_else() {
        let edges = ["https://a.example:8443".to_owned(), "http://[::1]:80".to_owned()];
        let policy = policy(&edges);
        let connect = policy.split("; ").find(|d| d.starts_with("connect-src")).unwrap();
        assert_eq!(
            connect,
            "connect-src 'self' https://a.example:8443 wss://a.example:8443 http://[::1]:80 ws://[::1]:80"
        );
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    }

    #[test]
    fn an_edge_cannot_write_policy() {
        let strange = ["http://a; script-src *", "http://a b", "data:x", "http://a,b", "*"];
        let policy = policy(&strange.map(str::to_owned));
        assert!(policy.contains("connect-src 'self'; object-src"), "{policy}");
    }

    #[test]
    fn the_policy_fits_a_header() {
        let edges: Vec<_> =
            (0..1_000).map(|i| format!("https://edge-{i:04}.{}", "x".repeat(40))).collect();
        assert!(policy(&edges).len() < 8 * 1024);
    }
}
