//! Creating, listing and ending meetings.

use super::harness::World;
use crate::token::{Bearer, InviteRole};
use axum::http::Method;
use serde_json::{Value, json};

async fn end(world: &World, id: &str, token: &str) -> super::harness::Answer {
    world.ask(Method::POST, &format!("meetings/{id}/end"), token, &[], Value::Null).await
}

#[tokio::test]
async fn a_meeting_is_created_seen_listed_and_ended() {
    let world = World::start().await;
    let ada = world.creator("ada");
    let body = json!({ "name": "stand\u{7}up", "kind": "webinar", "maxParticipants": 50,
        "originRegion": "eu", "password": "open", "waitingRoom": true });
    let made = world.post("meetings", &ada, body).await;
    assert_eq!(made.status, 201);
    let location = made.headers["location"].to_str().unwrap().to_owned();
    let made: Value = made.json();
    let id = made["meeting"]["id"].as_str().unwrap();
    assert_eq!(location, format!("/api/v1/meetings/{id}"));
    let roles: Vec<_> = made["invitations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["host", "participant", "attendee"]);

    let seen: Value = world.get(&format!("meetings/{id}"), &ada).await.json();
    assert_eq!(seen, made["meeting"]);
    let expected = json!({ "id": id, "name": "standup", "kind": "webinar", "maxParticipants": 50,
        "hintRegion": "eu", "passwordRequired": true, "waitingRoom": true,
        "createdMs": seen["createdMs"], "ended": false });
    assert_eq!(seen, expected);
    assert!(!made.to_string().contains("argon2"), "{made}");

    let (other, _) = world.meeting(&world.creator("bob"), json!({})).await;
    let listed: Value = world.get("meetings", &ada).await.json();
    assert_eq!(listed["meetings"], json!([seen]), "not that of bob, {other}");

    assert_eq!(end(&world, id, &ada).await.status, 204);
    assert_eq!(end(&world, id, &ada).await.status, 204, "again");
    let seen: Value = world.get(&format!("meetings/{id}"), &ada).await.json();
    assert_eq!(seen["ended"], true);
    let listed: Value = world.get("meetings", &ada).await.json();
    assert_eq!(listed, json!({ "meetings": [] }));
    let listed: Value = world.get("meetings?ended=true", &ada).await.json();
    assert_eq!(listed["meetings"][0]["id"], id);
    let host = made["invitations"][0]["token"].as_str().unwrap();
    let join = world.post(&format!("meetings/{id}/join"), host, json!({})).await;
    join.problem("ended");
}

#[tokio::test]
async fn a_list_has_pages() {
    let world = World::start().await;
    let ada = world.creator("ada");
    for _ in 0..5 {
        world.meeting(&ada, json!({})).await;
    }
    let (mut ids, mut path) = (Vec::new(), "meetings?limit=2".to_owned());
    for pages in 1.. {
        let page: Value = world.get(&path, &ada).await.json();
        ids.extend(page["meetings"].as_array().unwrap().iter().map(|m| m["id"].to_string()));
        let Some(next) = page["next"].as_str() else {
            assert_eq!(pages, 3);
            break;
        };
        path = format!("meetings?limit=2&after={next}");
    }
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((ids.len(), &sorted), (5, &ids));
}

#[tokio::test]
async fn ten_meetings_an_hour_and_the_headers_count_them() {
    let mut world = World::start().await;
    let ada = world.creator("ada");
    for n in 0..10 {
        if n == 5 {
            world.go_to_another_edge(true).await;
        }
        let made = world.post("meetings", &ada, json!({})).await;
        assert_eq!(made.status, 201);
        assert_eq!(made.headers["ratelimit-policy"], "\"create\";q=10;w=3600");
        let left = made.headers["ratelimit"].to_str().unwrap();
        assert!(left.starts_with(&format!("\"create\";r={};t=3", 9 - n)), "{left}");
    }
    let refused = world.post("meetings", &ada, json!({})).await;
    let problem = refused.problem("too-many");
    assert_eq!(problem.status, 429);
    assert!((3_000..=3_600).contains(&problem.retry_after.unwrap()), "{problem:?}");
    assert!(problem.detail.contains("10 meetings in an hour"), "{problem:?}");
    assert!(refused.headers["ratelimit"].to_str().unwrap().contains("r=0"));
    world.meeting(&world.creator("bob"), json!({})).await;
}

#[tokio::test]
async fn the_same_key_has_the_same_answer_at_every_edge() {
    let mut world = World::start().await;
    let ada = world.creator("ada");
    let key = [("idempotency-key", "5d1c")];
    let create = async |world: &World, token: &str, key: &[(&str, &str)], body: Value| {
        world.ask(Method::POST, "meetings", token, key, body).await
    };
    let first = create(&world, &ada, &key, json!({ "name": "a" })).await;
    let again = create(&world, &ada, &key, json!({ "name": "a" })).await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    let quoted = [("idempotency-key", "\"5d1c\"")];
    assert_eq!(create(&world, &ada, &quoted, json!({ "name": "a" })).await.body, first.body);
    create(&world, &ada, &key, json!({ "name": "b" })).await.problem("key-reused");

    let bob: Value =
        create(&world, &world.creator("bob"), &key, json!({ "name": "a" })).await.json();
    let first: Value = first.json();
    assert_ne!(bob["meeting"]["id"], first["meeting"]["id"], "another person, another key");

    world.go_to_another_edge(true).await;
    create(&world, &ada, &key, json!({ "name": "b" })).await.problem("key-reused");
    let there: Value = create(&world, &ada, &key, json!({ "name": "a" })).await.json();
    assert_eq!(there["meeting"], first["meeting"]);
    let listed: Value = world.get("meetings", &ada).await.json();
    assert_eq!(listed["meetings"].as_array().unwrap().len(), 1);
    create(&world, &ada, &[("idempotency-key", "a b")], json!({})).await.problem("malformed");
}

#[tokio::test]
async fn requests_with_one_key_at_the_same_time_make_one_meeting() {
    let world = World::start().await;
    let ada = world.creator("ada");
    let ask = || {
        let body = json!({ "password": "x" });
        world.ask(Method::POST, "meetings", &ada, &[("idempotency-key", "k")], body)
    };
    let answers = futures_util::future::join_all((0..8).map(|_| ask())).await;
    let mut ids: Vec<String> = Vec::new();
    for answer in answers {
        if answer.status == 201 {
            ids.push(answer.json::<Value>()["meeting"]["id"].to_string());
        } else {
            assert_eq!(answer.problem("in-progress").retry_after, Some(1));
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let listed: Value = world.get("meetings", &ada).await.json();
    assert_eq!(listed["meetings"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_host_invites_by_name() {
    let world = World::start().await;
    let ada = world.creator("ada");
    let (id, tokens) = world.meeting(&ada, json!({})).await;
    let path = format!("meetings/{id}/invitations");
    let made = world.post(&path, &ada, json!({ "role": "participant", "name": "Eve" })).await;
    assert_eq!(made.status, 201);
    let invitation: Value = made.json();
    let token = invitation["token"].as_str().unwrap();
    let Ok(Bearer::Invite(claims)) = world.verifier.verify_any(token) else {
        panic!("{invitation}")
    };
    assert_eq!((claims.role, claims.name.as_deref()), (InviteRole::Participant, Some("Eve")));
    let (first, _) = world.join(&id, token, json!({ "name": "Mallory" })).await;
    let (again, _) = world.join(&id, token, json!({})).await;
    assert_eq!((first.name.as_deref(), &first.sub), (Some("Eve"), &again.sub));

    let guest = tokens["participant"].as_str().unwrap();
    world.post(&path, guest, json!({ "role": "host" })).await.problem("forbidden");
    let host = tokens["host"].as_str().unwrap();
    assert_eq!(world.post(&path, host, json!({ "role": "attendee" })).await.status, 201);
}
