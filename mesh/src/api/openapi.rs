//! The OpenAPI document: made of the handlers and types themselves.

use super::problem::{KindPage, PROBLEM_JSON, Problem};
use super::{join, meetings, participants};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, ObjectBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder, Type,
};
use utoipa::{IntoResponses, Modify, OpenApi};

/// What a status means, whatever was asked for.
fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be read",
        401 => "No good token",
        403 => "The token does not allow this, or the password is missing or wrong",
        404 => "No such meeting, or none that the token is for",
        409 => {
            "Another edge has it, the same request is being worked on, or no origin takes the meeting"
        }
        410 => "The meeting is over",
        413 => "The body is too long",
        415 => "The body is no JSON",
        422 => "A value is not allowed, or the Idempotency-Key was used for another request",
        429 => "Too many: come back after Retry-After",
        _ => "Not now, or not at this edge",
    }
}

fn problem(status: u16) -> RefOr<Response> {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let mut response =
        ResponseBuilder::new().description(meaning(status)).content(PROBLEM_JSON, content);
    if matches!(status, 429 | 503) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let header =
            HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds")).build();
        response = response.header("Retry-After", header);
    }
    response.build().into()
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident: [$($status:literal),*];)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$($status),*].into_iter().map(|s: u16| (s.to_string(), problem(s))).collect()
            }
        }
    )*};
}

problems! {
    /// Of a creation.
    CreateProblems: [400, 401, 403, 409, 413, 415, 422, 429, 503];
    /// Of a list of meetings.
    ListProblems: [400, 401, 403, 503];
    /// Of a meeting.
    GetProblems: [401, 404, 503];
    /// Of an invitation.
    InviteProblems: [400, 401, 403, 404, 410, 413, 415, 422, 503];
    /// Of an end.
    EndProblems: [401, 403, 404, 503];
    /// Of a join.
    JoinProblems: [400, 401, 403, 404, 410, 413, 415, 422, 429, 503];
    /// Of a list of participants.
    ParticipantsProblems: [400, 401, 403, 404, 409, 410, 503];
    /// Of a leave.
    LeaveProblems: [401, 403, 404, 409, 503];
    /// Of a page about problems.
    PageProblems: [404];
}

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(
                "An API token of the operator (audience mesh-api), an invitation (mesh-invite) or a join token (mesh-join), \
                 signed with Ed25519",
            ));
        if let Some(components) = &mut document.components {
            components.add_security_scheme("bearer", SecurityScheme::Http(scheme.build()));
        }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "mesh",
        version = "1",
        description = "Meetings of an SFU mesh: create them, invite to them, join them. Every edge that has the private token key \
                       serves it.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(
        meetings::create,
        meetings::list,
        meetings::get,
        meetings::end,
        meetings::invite,
        join::join,
        participants::list,
        participants::leave,
        super::kind_page,
        super::document
    ),
    components(schemas(Problem, KindPage)),
    modifiers(&Bearer)
)]
struct Api;

/// The document as JSON, as it is served and committed.
#[must_use]
pub fn openapi_json() -> String {
    // It is made of constants; a test parses it.
    let mut document = serde_json::to_value(Api::openapi()).unwrap_or_default();
    describe_in_place(&mut document);
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

/// A field's description is written beside the schema it refers to, in an `allOf` whose other part says "an object" whatever
/// the schema is; nothing but an object would fit both. The description goes into the schema.
fn describe_in_place(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(describe_in_place),
        Value::Object(fields) => {
            fields.values_mut().for_each(describe_in_place);
            if let Some(Value::Array(parts)) = fields.get("allOf")
                && let [Value::Object(schema), Value::Object(note)] = &parts[..]
                && note.keys().all(|key| key == "type" || key == "description")
            {
                let mut whole = schema.clone();
                if let Some(description) = note.get("description") {
                    whole.insert("description".to_owned(), description.clone());
                }
                fields.remove("allOf");
                fields.extend(whole);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_that_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let (made, committed) = (openapi_json(), std::fs::read_to_string(path).unwrap_or_default());
        if made != committed {
            std::fs::write(path, &made).unwrap();
            panic!("docs/openapi.json was stale: it is new now, commit it");
        }
    }

    #[test]
    fn the_document_is_openapi_3_1_and_every_operation_is_named() {
        let document: serde_json::Value = serde_json::from_str(&openapi_json()).unwrap();
        assert!(
            document["openapi"].as_str().unwrap().starts_with("3.1"),
            "{}",
            document["openapi"]
        );
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                assert!(operation["operationId"].is_string(), "{method} {path}");
            }
        }
    }
}
