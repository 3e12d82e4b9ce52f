//! The client page, embedded into the binary.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use include_dir::{Dir, include_dir};

/// What `npm run build` in `web/` makes; a build without it serves a page that says so.
static DIST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../web/client/dist");

const NOT_BUILT: &str = "<!doctype html><title>mesh</title><p>This binary was built without the client page. \
Build it with <code>make web</code> and build the binary again.";

/// The page and its assets. A page under `/m/` is the same page: the meeting is in the address.
pub(super) fn client_router(region: String) -> Router {
    let page = get(move || std::future::ready(index(&region)));
    Router::new()
        .route("/", page.clone())
        .route("/m/{meeting}", page)
        .route(
            "/assets/{*path}",
            get(|Path(path): Path<String>| std::future::ready(asset(&format!("assets/{path}")))),
        )
        .route("/favicon.svg", get(|| std::future::ready(asset("favicon.svg"))))
}

fn index(region: &str) -> Response {
    let html = DIST.get_file("index.html").and_then(|f| f.contents_utf8()).unwrap_or(NOT_BUILT);
    let region = HeaderValue::from_str(region).unwrap_or(HeaderValue::from_static("unknown"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::HeaderName::from_static("x-mesh-region"), region),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'self'; connect-src 'self' ws: wss:; media-src 'self' blob: mediastream:; \
                 img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; \
                 frame-ancestors 'none'",
            ),
        ),
    ];
    (headers, html.to_owned()).into_response()
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
