//! A meeting as a program makes it: created, joined, looked at, left and ended over HTTP, with real participants in it.

use crate::stage::{AP, EU, SOON};
use mesh::token::{API_AUDIENCE, ApiClaims, ApiGrants};
use mesh_tests::client::Spec;
use mesh_tests::fleet::{Fleet, Who};
use mesh_tests::http;
use mesh_tests::mesh::{Mesh, NodeInfo};
use serde_json::{Value, json};

/// The API of one edge, as somebody with a token.
fn ask(edge: &str, token: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let url = format!("{}/api/v1/{path}", edge.trim_end_matches('/'));
    let (status, text) = http::ask_as(token, method, &url, body.as_ref()).expect("an answer");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn creator(mesh: &Mesh) -> String {
    let grants = ApiGrants { create: true, admin: false };
    let claims = ApiClaims {
        aud: API_AUDIENCE.to_owned(),
        sub: "ada".to_owned(),
        name: None,
        grants,
        exp: 4_000_000_000,
    };
    mesh.issuer().sign(&claims).expect("a token")
}

/// Joins over HTTP at `edge` and then where that says; who it is, their token, and where they are.
fn join(
    fleet: &Fleet,
    edge: &NodeInfo,
    id: &str,
    invitation: &str,
    name: &str,
) -> (Who, String, String) {
    let body = json!({ "name": name, "password": "open" });
    let path = format!("meetings/{id}/join");
    let (status, joining) = ask(&edge.url, invitation, "POST", &path, Some(body));
    assert_eq!(status, 200, "{joining}");
    let first = &joining["edges"][0];
    assert_eq!(first["region"], edge.region.as_str(), "the nearest comes first: {joining}");
    let token = joining["token"].as_str().expect("a token").to_owned();
    let url = first["url"].as_str().expect("a url").to_owned();
    (fleet.join(&url, &token, Spec::listener("")), token, url)
}

#[test]
fn a_meeting_lives_over_http() {
    let mesh = Mesh::start(&[]);
    let fleet = Fleet::new(mesh.media_ip());
    let (here, there, ada) = (mesh.edge(EU), mesh.edge(AP), creator(&mesh));
    let body = json!({ "name": "standup", "password": "open", "hintRegion": EU });
    let (status, made) = ask(&here.url, &ada, "POST", "meetings", Some(body));
    assert_eq!(status, 201, "{made}");
    let id = made["meeting"]["id"].as_str().expect("an id").to_owned();
    let invitation = made["invitations"][1]["token"].as_str().expect("a token");

    let (eve, own, at) = join(&fleet, &here, &id, invitation, "Eve");
    let (bob, other, far) = join(&fleet, &there, &id, invitation, "Bob");
    let path = format!("meetings/{id}/participants");
    let names = |edge: &str| {
        let (status, shown) = ask(edge, &ada, "GET", &path, None);
        assert_eq!(status, 200, "{shown}");
        let all = shown["participants"].as_array().expect("a list");
        let mut names: Vec<String> = all.iter().map(|p| p["name"].to_string()).collect();
        names.sort();
        names
    };
    fleet.until(SOON, "both edges show both", |_| {
        let shown = [names(&at), names(&far)];
        let both = shown.iter().all(|n| *n == ["\"Bob\"", "\"Eve\""]);
        both.then_some(()).ok_or(format!("{shown:?}"))
    });

    let me = format!("{path}/me");
    let (status, refused) = ask(&at, &other, "DELETE", &me, None);
    assert_eq!(status, 409, "Bob is connected elsewhere: {refused}");
    assert_eq!(ask(&at, &own, "DELETE", &me, None).0, 204);
    fleet.until(SOON, "Eve's socket is closed and Bob sees her gone", |core| {
        let gone = core.get(eve).closed && core.get(bob).roster.len() == 1;
        gone.then_some(()).ok_or(format!("{:?}", core.get(bob).roster))
    });

    // From another edge than it was created at.
    assert_eq!(ask(&far, &ada, "POST", &format!("meetings/{id}/end"), None).0, 204);
    fleet.until(SOON, "Bob is told that it is over", |core| {
        let errors = &core.get(bob).errors;
        errors
            .iter()
            .any(|e| e.contains("ended") || e.contains("over"))
            .then_some(())
            .ok_or(format!("{errors:?}"))
    });
    let (status, refused) =
        ask(&here.url, invitation, "POST", &format!("meetings/{id}/join"), Some(json!({})));
    assert_eq!(status, 410, "{refused}");
}
