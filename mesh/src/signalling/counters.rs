//! What clients were refused, as metrics.

use crate::token::TokenError;
use edge_sfu::signal::ErrorCode;
use node_io::metrics::{Metrics, MetricsError};
use prometheus::{IntCounter, IntCounterVec};

/// Label values of `mesh_tokens_refused_total`: those of [`TokenError::label`], and a good token that grants nothing.
const TOKEN_REASONS: [&str; 7] =
    ["too_long", "malformed", "signature", "expired", "audience", "key", GRANTS_NOTHING];
const GRANTS_NOTHING: &str = "grants_nothing";

const CODES: [ErrorCode; 10] = [
    ErrorCode::Malformed,
    ErrorCode::OutOfOrder,
    ErrorCode::Version,
    ErrorCode::Token,
    ErrorCode::Forbidden,
    ErrorCode::NoMeeting,
    ErrorCode::Sdp,
    ErrorCode::Busy,
    ErrorCode::Unavailable,
    ErrorCode::TooMany,
];

/// Label values of `mesh_signal_errors_total`.
fn code_label(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Malformed => "malformed",
        ErrorCode::OutOfOrder => "out_of_order",
        ErrorCode::Version => "version",
        ErrorCode::Token => "token",
        ErrorCode::Forbidden => "forbidden",
        ErrorCode::NoMeeting => "no_meeting",
        ErrorCode::Sdp => "sdp",
        ErrorCode::Busy => "busy",
        ErrorCode::Unavailable => "unavailable",
        ErrorCode::TooMany => "too_many",
    }
}

/// Counts what clients were refused. Cloning gives the same counters.
#[derive(Clone, Debug)]
pub struct SignalCounters {
    errors: IntCounterVec,
    tokens: IntCounterVec,
    slow: IntCounter,
}

impl SignalCounters {
    /// Counters that begin at nothing; each reason is shown from the start.
    ///
    /// # Errors
    /// When the registry has them already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let errors = metrics.counter_vec(
            "mesh_signal_errors_total",
            "Errors told to clients, by code",
            &["code"],
        )?;
        let tokens = metrics.counter_vec(
            "mesh_tokens_refused_total",
            "Join tokens that were refused, by reason",
            &["reason"],
        )?;
        let slow = metrics.counter(
            "mesh_signal_slow_sockets_total",
            "Sockets closed because their client read too slowly",
        )?;
        CODES.iter().for_each(|code| errors.with_label_values(&[code_label(*code)]).inc_by(0));
        TOKEN_REASONS.iter().for_each(|label| tokens.with_label_values(&[*label]).inc_by(0));
        Ok(Self { errors, tokens, slow })
    }

    /// A client was told of an error.
    pub(super) fn error(&self, code: ErrorCode) {
        self.errors.with_label_values(&[code_label(code)]).inc();
    }

    /// A token was refused.
    pub(super) fn token(&self, error: &TokenError) {
        self.tokens.with_label_values(&[error.label()]).inc();
    }

    /// A good token grants nothing.
    pub(super) fn grants_nothing(&self) {
        self.tokens.with_label_values(&[GRANTS_NOTHING]).inc();
    }

    /// A socket lost its place.
    pub(super) fn slow(&self) {
        self.slow.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sockets;
    use super::*;
    use edge_sfu::signal::ServerMessage;

    #[test]
    fn every_error_told_and_every_token_refused_is_counted_by_its_reason() {
        let metrics = Metrics::new(&[]).unwrap();
        let counters = SignalCounters::new(&metrics).unwrap();
        let sockets = Sockets::new(counters.clone());
        let (id, _queue) = sockets.open();
        let error = |code| ServerMessage::Error {
            code,
            message: String::new(),
            fatal: true,
            retry_after_ms: None,
            edges: Vec::new(),
        };
        sockets.send(&[id], &error(ErrorCode::NoMeeting));
        sockets.send(&[id, id], &error(ErrorCode::Busy));
        counters.token(&TokenError::Expired);
        counters.grants_nothing();
        let text = metrics.render();
        for line in [
            "mesh_signal_errors_total{code=\"no_meeting\"} 1",
            "mesh_signal_errors_total{code=\"busy\"} 2",
            "mesh_signal_errors_total{code=\"sdp\"} 0",
            "mesh_tokens_refused_total{reason=\"expired\"} 1",
            "mesh_tokens_refused_total{reason=\"grants_nothing\"} 1",
            "mesh_tokens_refused_total{reason=\"signature\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_socket_that_is_not_read_is_closed_and_counted() {
        let metrics = Metrics::new(&[]).unwrap();
        let sockets = Sockets::new(SignalCounters::new(&metrics).unwrap());
        let (id, _queue) = sockets.open();
        for _ in 0..1_000 {
            sockets.send(&[id], &ServerMessage::Pong { id: 1 });
        }
        assert!(sockets.is_empty());
        assert!(metrics.render().contains("mesh_signal_slow_sockets_total 1"));
    }
}
