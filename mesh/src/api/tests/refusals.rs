//! What is refused, and how.

use super::harness::World;
use crate::api::{Kind, openapi_json};
use crate::token::{ApiGrants, Grants, Issuer, generate_keys};
use axum::body::Body;
use axum::http::{Method, Request};
use relay_proto::MeetingId;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn without_a_good_token_nothing_is_done() {
    let world = World::start().await;
    let (id, tokens) = world.meeting(&world.creator("ada"), json!({})).await;
    let stranger = Issuer::from_pem(generate_keys().unwrap().0.as_bytes()).unwrap();
    let hour = Duration::from_secs(3_600);
    let meeting: MeetingId = id.parse().unwrap();
    let now = Duration::from_secs(3_900_000_000);
    let forged = stranger.issue(meeting, None, Grants::HOST, now, hour).unwrap();
    let old = world.issuer.issue(meeting, None, Grants::HOST, hour, hour).unwrap();
    let list = json!({ "aud": ["mesh-api"], "sub": "ada", "grants": { "create": true }, "exp": 4_000_000_000u64 });
    let list = world.issuer.sign(&list).unwrap();
    for token in ["", "x", &forged, &old, &list, &"a".repeat(5_000)] {
        let answer = world.get(&format!("meetings/{id}"), token).await;
        answer.problem("unauthenticated");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    // A good one of another kind opens only its own door.
    let guest = tokens["participant"].as_str().unwrap();
    world.post("meetings", guest, json!({})).await.problem("forbidden");
    world.get("meetings", guest).await.problem("forbidden");
    world.post(&format!("meetings/{id}/end"), guest, Value::Null).await.problem("forbidden");
    let reader = world.api_token("ada", ApiGrants::default());
    world.post("meetings", &reader, json!({})).await.problem("forbidden");
    let nobody = world.api_token("", ApiGrants { create: true, admin: false });
    world.post("meetings", &nobody, json!({})).await.problem("forbidden");
    assert_eq!(world.get(&format!("meetings/{id}"), guest).await.status, 200);
}

#[tokio::test]
async fn a_guessed_id_teaches_nothing() {
    let world = World::start().await;
    let (id, _) = world.meeting(&world.creator("ada"), json!({})).await;
    let (_, own) = world.meeting(&world.creator("eve"), json!({})).await;
    let (eve, invited) = (world.creator("eve"), own["host"].as_str().unwrap());
    for token in [&eve, invited] {
        let bodies = [&id, "0000000000001", "nonsense"].map(|id| format!("meetings/{id}"));
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for path in &bodies {
            let answer = world.get(path, token).await;
            answer.problem("not-found");
            seen.push(answer.body);
        }
        assert!(seen.iter().all(|body| *body == seen[0]));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let world = World::start().await;
    let ada = world.creator("ada");
    let send = async |kind: &str, body: String| {
        let request = Request::post(format!("{}/api/v1/meetings", world.url))
            .header("authorization", format!("Bearer {ada}"))
            .header("content-type", kind);
        world.send(request.body(Body::from(body)).unwrap()).await
    };
    let json = "application/json";
    send(json, "{".into()).await.problem("malformed");
    send("text/plain", "{}".into()).await.problem("media-type");
    send(json, format!("{{\"name\":\"{}\"}}", "x".repeat(9_000))).await.problem("too-large");
    let wrong = [
        json!({ "nmae": "a" }),
        json!({ "name": "x".repeat(65) }),
        json!({ "kind": "party" }),
        json!({ "maxParticipants": 0 }),
        json!({ "maxParticipants": 1.5 }),
        json!({ "maxParticipants": 2_000_000 }),
        json!({ "originRegion": "Mars!" }),
        json!({ "password": "" }),
        json!({ "password": "x".repeat(129) }),
        json!([]),
    ];
    for body in wrong {
        let problem = send(json, body.to_string()).await.problem("invalid");
        assert_eq!(problem.status, 422, "{body}");
    }
    send(json, "{\"name\":\"a\",\"name\":\"b\"}".into()).await.problem("invalid");
    let nowhere = send(json, json!({ "originRegion": "mars" }).to_string()).await;
    assert!(nowhere.problem("no-origin").detail.contains("mars"));
    for query in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "limt=1", "after=x"] {
        world.get(&format!("meetings?{query}"), &ada).await.problem("malformed");
    }
    assert_eq!(world.post("meetings", &ada, json!({})).await.status, 201, "none of it counted");
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_problems_too() {
    let world = World::start().await;
    world.get("metings", "").await.problem("not-found");
    let answer = world.ask(Method::PATCH, "meetings", "", &[], Value::Null).await;
    answer.problem("method");
    let allowed = answer.headers["allow"].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    for kind in Kind::ALL {
        let page: Value = world.get(&format!("problems/{}", kind.name()), "").await.json();
        assert_eq!(page["type"], format!("/api/v1/problems/{}", kind.name()));
    }
    world.get("problems/none", "").await.problem("not-found");
}

#[tokio::test]
async fn an_edge_without_the_key_says_so_and_still_describes() {
    let mut world = World::start().await;
    let ada = world.creator("ada");
    world.go_to_another_edge(false).await;
    let off = world.post("meetings", &ada, json!({})).await.problem("off");
    assert!(off.status == 503 && off.detail.contains("--token-private-key"), "{off:?}");
    world.get("meetings/0000000000001", &ada).await.problem("off");
    let document = world.get("openapi.json", "").await;
    assert_eq!(document.headers["content-type"], "application/json");
    assert_eq!(String::from_utf8(document.body).unwrap(), openapi_json());
}

#[tokio::test]
async fn without_the_topology_it_says_when_to_come_back() {
    let mut world = World::start().await;
    let (ada, bob) = (world.creator("ada"), world.creator("bob"));
    let (id, tokens) = world.meeting(&ada, json!({})).await;
    world.service.take().unwrap().stop().await.unwrap();
    let down = world.post("meetings", &bob, json!({})).await.problem("unavailable");
    assert_eq!((down.status, down.retry_after), (503, Some(2)));
    // What is known is answered, and the meeting can be joined: media survives the loss of topology.
    assert_eq!(world.get(&format!("meetings/{id}"), &ada).await.status, 200);
    let (_, joining) = world.join(&id, tokens["participant"].as_str().unwrap(), json!({})).await;
    assert_eq!(joining["edges"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn requests_are_counted_by_outcome() {
    let world = World::start().await;
    world.meeting(&world.creator("ada"), json!({})).await;
    world.post("meetings", "", json!({})).await;
    world.get("meetings/nonsense", &world.creator("ada")).await;
    let text = world.metrics.render();
    for line in [
        "mesh_api_requests_total{method=\"POST\",outcome=\"done\",path=\"/api/v1/meetings\"} 1",
        "mesh_api_requests_total{method=\"POST\",outcome=\"unauthenticated\",path=\"/api/v1/meetings\"} 1",
        "mesh_api_requests_total{method=\"GET\",outcome=\"not-found\",path=\"/api/v1/meetings/{meeting}\"} 1",
        "mesh_api_requests_total{method=\"POST\",outcome=\"off\",path=\"/api/v1/meetings\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
}
