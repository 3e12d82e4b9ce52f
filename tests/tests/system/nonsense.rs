//! Signalling and tokens that must be refused.

use crate::hostile::Siege;
use crate::stage::Stage;
use edge_sfu::signal::{ErrorCode, SIGNAL_BYTES_MAX, SIGNAL_VERSION, ServerMessage};
use mesh::token::{AUDIENCE, Claims, Grants, Issuer, generate_keys};
use mesh_tests::client::Spec;
use mesh_tests::mesh::NodeInfo;
use mesh_tests::signal::Signal;
use relay_proto::MeetingId;
use serde_json::json;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Sockets that talk nonsense while the call runs.
const SOCKETS: usize = 100;
/// ... again and again for so long.
const LASTS: Duration = Duration::from_secs(4);
/// An answer, or the end of a socket, comes within this time.
const ANSWER: Duration = Duration::from_secs(10);

/// Refused tokens by reason.
const TOKENS: &str = "mesh_tokens_refused_total";
/// Errors told to clients, by code.
const ERRORS: &str = "mesh_signal_errors_total";

/// What a socket is told, and what it is answered.
fn malformed() -> Vec<String> {
    let deep = "[".repeat(50_000);
    vec![
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        deep,
        json!({ "type": "nothing" }).to_string(),
        json!({ "type": "join" }).to_string(),
        json!({ "type": "ping", "id": -1 }).to_string(),
        json!({ "type": "ping", "id": 1, "more": true }).to_string(),
    ]
}

async fn answer(signal: &mut Signal) -> Option<ServerMessage> {
    let next = tokio::time::timeout(ANSWER, signal.next());
    next.await.expect("an answer or the end of the socket").expect("a message of the protocol")
}

/// The codes of what is said until the socket ends.
async fn codes(signal: &mut Signal) -> Vec<ErrorCode> {
    let mut codes = Vec::new();
    while let Some(message) = answer(signal).await {
        if let ServerMessage::Error { code, .. } = message {
            codes.push(code);
        }
    }
    codes
}

/// Malformed: each is answered, the eighth ends the socket.
async fn is_malformed(edge: String) {
    let mut signal = Signal::open(&edge).await.expect("a socket");
    for text in malformed() {
        let _ = signal.say_text(text).await;
    }
    assert_eq!(codes(&mut signal).await, [ErrorCode::Malformed; 8]);
}

/// Out of order: answered; not text, or too long: the socket ends.
async fn is_out_of_order(edge: String) {
    let mut signal = Signal::open(&edge).await.expect("a socket");
    for message in [
        json!({ "type": "mute", "kind": "mic", "muted": true }),
        json!({ "type": "leave" }),
        json!({ "type": "renegotiate", "sdp": "v=0" }),
    ] {
        signal.say_text(message.to_string()).await.expect("it is sent");
        let said = answer(&mut signal).await;
        let code = ErrorCode::OutOfOrder;
        assert!(
            matches!(said, Some(ServerMessage::Error { code: c, .. }) if c == code),
            "{said:?}"
        );
    }
    signal.say_bytes(vec![0; 64]).await.expect("it is sent");
    let said = answer(&mut signal).await;
    assert!(
        matches!(said, Some(ServerMessage::Error { code: ErrorCode::Malformed, .. })),
        "{said:?}"
    );
    // The edge may close before all of it is sent.
    let _ = signal.say_text("x".repeat(SIGNAL_BYTES_MAX + 1)).await;
    assert_eq!(codes(&mut signal).await, []);
}

/// A good token with an offer that is none: refused.
async fn has_no_offer(edge: String, token: String) {
    let offers =
        ["", "v=0", &"a=x\r\n".repeat(4_000), &"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n".repeat(70)];
    for sdp in offers {
        let mut signal = Signal::open(&edge).await.expect("a socket");
        let join = json!({ "type": "join", "version": SIGNAL_VERSION, "token": token, "sdp": sdp });
        signal.say_text(join.to_string()).await.expect("it is sent");
        // The meeting has had its share of joins at this edge: the offer is not even looked at.
        let codes = codes(&mut signal).await;
        assert!(codes == [ErrorCode::Sdp] || codes == [ErrorCode::Busy], "{codes:?}");
    }
}

/// Many sockets at once, many times.
pub(crate) fn signalling(siege: &Siege) {
    let (stage, edge) = siege.edge();
    let before = siege.counted(ERRORS, "code");
    let (began, mut storms) = (Instant::now(), 0);
    while began.elapsed() < LASTS {
        storm(stage, edge);
        storms += SOCKETS as u64;
    }
    println!("bad signalling: {} sockets in {:.1?}", storms * 6, began.elapsed());
    let after = siege.counted(ERRORS, "code");
    // By each of a storm's sockets: 8 malformed and one that is not text, 3 out of order, 4 without an offer.
    let more = |code: &str| after[code] - before[code];
    for (counted, each) in
        [(more("malformed"), 9), (more("out_of_order"), 3), (more("sdp") + more("busy"), 4)]
    {
        assert_eq!(counted, each * storms, "{before:?} {after:?}");
    }
    assert!(more("sdp") > 0 && more("busy") > 0, "{before:?} {after:?}");
}

fn storm(stage: &Stage, edge: &NodeInfo) {
    stage.fleet.block_on(async {
        let tasks: Vec<_> = (0..SOCKETS)
            .flat_map(|_| {
                let (url, token) = (edge.url.clone(), stage.token.clone());
                [
                    tokio::spawn(is_malformed(url.clone())),
                    tokio::spawn(is_out_of_order(url.clone())),
                    tokio::spawn(has_no_offer(url, token)),
                ]
            })
            .collect();
        for task in tasks {
            task.await.expect("the edge answered as it should");
        }
    });
}

/// Wrong, expired and foreign tokens.
pub(crate) fn tokens(siege: &Siege) {
    let (stage, edge) = siege.edge();
    let before = siege.counted(TOKENS, "reason");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a date after 1970");
    let (private, _) = generate_keys().expect("a key");
    let stranger = Issuer::from_pem(private.as_bytes()).expect("an issuer");
    let claims = |aud: &str, exp| Claims {
        aud: aud.to_owned(),
        meeting: stage.meeting,
        sub: String::new(),
        name: None,
        grants: Grants::PARTICIPANT,
        wait: false,
        exp,
    };
    let (later, earlier) = (now.as_secs() + 600, now.as_secs() - 600);
    let own = stage.mesh.issuer();
    let sign = |issuer: &Issuer, claims: &Claims| issuer.sign(claims).expect("a token");
    let mut changed = stage.token.clone().into_bytes();
    let middle = changed.len() / 2;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let refused = [
        ("of a stranger", "signature", sign(&stranger, &claims(AUDIENCE, later))),
        ("expired", "expired", sign(own, &claims(AUDIENCE, earlier))),
        ("for another audience", "audience", sign(own, &claims("another", later))),
        ("changed", "signature", String::from_utf8(changed).expect("text")),
        ("empty", "malformed", String::new()),
        ("too long", "too_long", "x".repeat(5_000)),
    ];
    let mut counted = before;
    for (what, reason, token) in refused {
        *counted.entry(reason.to_owned()).or_default() += 1;
        let refusal = stage.fleet.try_join(&edge.url, &token, Spec::listener("stranger"));
        let text = refusal.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(text.starts_with("Token: "), "a token {what}: {text:?}");
        assert_eq!(siege.counted(TOKENS, "reason"), counted, "a token {what}");
    }
    let nowhere = Claims { meeting: MeetingId(1), ..claims(AUDIENCE, later) };
    let refusal = stage.fleet.try_join(&edge.url, &sign(own, &nowhere), Spec::listener("lost"));
    let text = refusal.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(text.starts_with("NoMeeting: "), "no such meeting: {text:?}");
    println!("7 tokens refused, each with its reason; counted {counted:?}");
}
