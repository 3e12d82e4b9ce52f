//! The roster, and leaving.

use super::harness::World;
use edge_sfu::signal::{MemberJson, MemberRoleJson, ServerMessage};
use serde_json::{Value, json};

fn member(id: u32) -> MemberJson {
    let name = format!("member {id}");
    MemberJson {
        id,
        name,
        edge: 2,
        mic_muted: id == 1,
        camera_off: false,
        role: MemberRoleJson::Panelist,
        hand: None,
    }
}

#[tokio::test]
async fn the_roster_is_what_this_edge_tells_its_sockets() {
    let world = World::start().await;
    let ada = world.creator("ada");
    let (id, tokens) = world.meeting(&ada, json!({})).await;
    let guest = tokens["participant"].as_str().unwrap();
    let (claims, joining) = world.join(&id, guest, json!({})).await;
    let (own, path) = (joining["token"].as_str().unwrap(), format!("meetings/{id}/participants"));
    let nobody = world.get(&path, own).await.problem("elsewhere");
    assert_eq!(nobody.edges, ["http://edge-3.test", "http://edge-4.test"]);
    world.get(&path, guest).await.problem("forbidden");

    let (socket, _queue) = world.sockets.open();
    world.sockets.joins(socket, claims.meeting, claims.sub);
    let put = [1, 2, 3].map(member).to_vec();
    world.sockets.send(
        &[socket],
        &ServerMessage::Roster { seq: 3, snapshot: true, put, removed: vec![], attendees: None },
    );
    let shown: Value = world.get(&path, own).await.json();
    assert_eq!(
        (shown["total"].as_u64(), shown["participants"].as_array().unwrap().len()),
        (Some(3), 3)
    );
    let first = json!({ "id": 1, "name": "member 1", "edge": 2, "micMuted": true, "cameraOff": false, "publisher": true });
    assert_eq!(shown["participants"][0], first);
    let page: Value = world.get(&format!("{path}?limit=2"), &ada).await.json();
    assert_eq!(page["next"], 2);
    let page: Value = world.get(&format!("{path}?limit=2&after=2"), &ada).await.json();
    assert_eq!((page["participants"][0]["id"].as_u64(), page["next"].as_u64()), (Some(3), None));

    let (stranger, _) = world.meeting(&world.creator("bob"), json!({})).await;
    world.get(&format!("meetings/{stranger}/participants"), own).await.problem("not-found");
    world.post(&format!("meetings/{id}/end"), &ada, Value::Null).await;
    world.get(&path, own).await.problem("ended");
}

#[tokio::test]
async fn a_participant_leaves_with_their_token_and_with_no_other() {
    let world = World::start().await;
    let ada = world.creator("ada");
    let (id, tokens) = world.meeting(&ada, json!({})).await;
    let guest = tokens["participant"].as_str().unwrap();
    let (claims, joining) = world.join(&id, guest, json!({})).await;
    let (_, other) = world.join(&id, guest, json!({})).await;
    let path = format!("meetings/{id}/participants/me");
    let (socket, _queue) = world.sockets.open();
    world.sockets.joins(socket, claims.meeting, claims.sub);
    world.delete(&path, guest).await.problem("forbidden");
    world.delete(&path, other["token"].as_str().unwrap()).await.problem("elsewhere");
    assert_eq!(world.sockets.len(), 1);
    let own = joining["token"].as_str().unwrap();
    assert_eq!(world.delete(&path, own).await.status, 204);
    assert!(world.sockets.is_empty());
    world.delete(&path, own).await.problem("elsewhere");
}
