//! Joining.

use super::harness::World;
use crate::token::{ApiGrants, Grants};
use axum::http::Method;
use serde_json::{Value, json};

fn edges(joining: &Value) -> Vec<&str> {
    joining["edges"].as_array().unwrap().iter().map(|e| e["region"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_joiner_gets_a_token_of_their_own_and_the_nearest_edges() {
    let world = World::start().await;
    let (id, tokens) = world.meeting(&world.creator("ada"), json!({})).await;
    let invitation = tokens["participant"].as_str().unwrap();
    let (one, here) = world.join(&id, invitation, json!({ "name": "Bob" })).await;
    let (two, _) = world.join(&id, invitation, json!({})).await;
    assert_eq!((one.name.as_deref(), two.name), (Some("Bob"), None));
    assert_eq!(
        (one.meeting.to_string(), one.grants, one.wait),
        (id.clone(), Grants::PARTICIPANT, false)
    );
    assert!(!one.sub.is_empty() && one.sub != two.sub);
    assert_eq!(here["sub"], one.sub);
    assert_eq!(here["expiresAt"], one.exp);
    assert_eq!(edges(&here), ["eu", "us", "ap"], "as this edge sees it");
    assert_eq!(here["edges"][1]["rttMs"], 80.0);
    assert_eq!(here["edges"][0]["signalUrl"], "ws://edge-2.test/v1/signal");
    let (_, there) = world.join(&id, invitation, json!({ "region": "ap" })).await;
    assert_eq!(edges(&there), ["ap", "eu", "us"]);
    let ice = &here["iceServers"][0];
    assert_eq!(ice["urls"], json!(["turn:turn.test:3478"]));
    assert_eq!(ice["username"], format!("{}:{}", one.exp, one.sub));
    assert_eq!(here["limits"]["maxParticipants"], 1 << 20);
}

#[tokio::test]
async fn what_a_joiner_may_follows_from_the_invitation() {
    let world = World::start().await;
    let ada = world.creator("ada");
    let body = json!({ "kind": "webinar", "waitingRoom": true });
    let (id, tokens) = world.meeting(&ada, body).await;
    let as_role =
        async |role: &str| world.join(&id, tokens[role].as_str().unwrap(), json!({})).await;
    let (host, joining) = as_role("host").await;
    assert_eq!(
        (host.grants, host.wait, joining["role"].as_str()),
        (Grants::HOST, false, Some("host"))
    );
    let (panelist, _) = as_role("participant").await;
    assert_eq!((panelist.grants, panelist.wait), (Grants::PARTICIPANT, true));
    let (attendee, joining) = as_role("attendee").await;
    assert_eq!((attendee.grants, attendee.wait), (Grants::ATTENDEE, true));
    assert_eq!(
        (joining["waits"].as_bool(), joining["role"].as_str()),
        (Some(true), Some("attendee"))
    );

    let (creator, _) = world.join(&id, &ada, json!({})).await;
    assert_eq!((creator.sub.as_str(), creator.grants), ("ada", Grants::HOST));
    assert_eq!(creator.name.as_deref(), Some("ADA"));
    let path = format!("meetings/{id}/join");
    world.post(&path, &world.creator("bob"), json!({})).await.problem("not-found");
    let admin = world.api_token("root", ApiGrants { create: false, admin: true });
    assert_eq!(world.join(&id, &admin, json!({})).await.0.sub, "root");
}

#[tokio::test]
async fn a_join_token_is_renewed_for_the_same_participant() {
    let world = World::start().await;
    let body = json!({ "password": "open", "waitingRoom": true });
    let (id, tokens) = world.meeting(&world.creator("ada"), body).await;
    let invitation = tokens["participant"].as_str().unwrap();
    let (first, joining) =
        world.join(&id, invitation, json!({ "name": "Bob", "password": "open" })).await;
    let (again, _) = world.join(&id, joining["token"].as_str().unwrap(), json!({})).await;
    assert!(again.exp >= first.exp);
    assert_eq!(crate::token::Claims { exp: first.exp, ..again }, first);
}

#[tokio::test]
async fn a_password_is_asked_of_all_but_hosts_and_guesses_are_few() {
    let world = World::start().await;
    let (id, tokens) = world.meeting(&world.creator("ada"), json!({ "password": "open" })).await;
    let (path, guest) = (format!("meetings/{id}/join"), tokens["participant"].as_str().unwrap());
    world.join(&id, tokens["host"].as_str().unwrap(), json!({})).await;
    let without = world.post(&path, guest, json!({})).await.problem("password");
    assert!(without.detail.contains("`password`"), "{without:?}");
    world.join(&id, guest, json!({ "password": "open" })).await;
    for _ in 0..5 {
        world.post(&path, guest, json!({ "password": "Open" })).await.problem("password");
    }
    let refused = world.post(&path, guest, json!({ "password": "Open" })).await;
    assert!(refused.problem("too-many").retry_after.unwrap() <= 12);
    world.join(&id, guest, json!({ "password": "open" })).await;
    let elsewhere = [("x-forwarded-for", "198.51.100.7")];
    let body = json!({ "password": "Open" });
    world.ask(Method::POST, &path, guest, &elsewhere, body).await.problem("password");
}

#[tokio::test]
async fn joins_from_one_address_have_a_rate() {
    let world = World::start().await;
    let (id, tokens) = world.meeting(&world.creator("ada"), json!({})).await;
    let (path, guest) = (format!("meetings/{id}/join"), tokens["participant"].as_str().unwrap());
    let from = async |address: &str| {
        let headers = [("x-forwarded-for", address)];
        world.ask(Method::POST, &path, guest, &headers, json!({})).await
    };
    let mut refused = None;
    // 300 at once, and 30 more each second that this takes.
    for _ in 0..3_000 {
        let answer = from("2001:db8:0:1::5").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let problem = refused.expect("a limit").problem("too-many");
    assert!(problem.detail.contains("address"), "{problem:?}");
    from("2001:db8:0:1:ffff::6").await.problem("too-many");
    assert_eq!(from("2001:db8:0:2::5").await.status, 200, "another network");
}
