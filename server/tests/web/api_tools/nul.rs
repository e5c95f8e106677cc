//! A text with NUL in every place of every operation, which PostgreSQL cannot store.

use super::FastClock;
use crate::{
    api_client::{Call, Reply},
    api_table::{Holder, Objects, operations},
    stack::Stack,
};
use serde_json::Value;
use std::time::Duration;

const TEXT: &str = "a\0b";
const IN_ADDRESS: &str = "a%00b";

/// Returns the requests that have such a text in one place: a string of the body, a parameter of
/// the query, the end of the path.
fn variations(call: &Call, queries: &[String]) -> Vec<Call> {
    let mut all = Vec::new();
    if let Some(Value::Object(body)) = &call.body {
        let texts = body.iter().filter(|(_, value)| value.is_string());
        for (key, _) in texts {
            let mut changed = call.clone();
            let body = changed.body.as_mut().unwrap();
            body[key] = TEXT.into();
            all.push(changed.clone());
            // Tenants' names have a form that excludes it; operators' names are looked up.
            changed.body.as_mut().unwrap()["account"] = "operator".into();
            all.push(changed);
        }
    }
    let (path, _) = call.path.split_once('?').unwrap_or((&call.path, ""));
    for name in queries {
        let mut changed = call.clone();
        changed.path = format!("{path}?{name}={IN_ADDRESS}");
        all.push(changed);
    }
    let mut changed = call.clone();
    let (parent, _) = path.rsplit_once('/').unwrap();
    changed.path = format!("{parent}/{IN_ADDRESS}");
    all.push(changed);
    all
}

/// Returns the names of the parameters that an operation takes in its query.
fn queries(id: &str) -> Vec<String> {
    let description = api::openapi();
    let items = description["paths"].as_object().unwrap().values();
    let mut all = items.flat_map(|item| item.as_object().unwrap().values());
    let operation = all.find(|o| o["operationId"] == id).unwrap();
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let in_query = parameters.filter(|p| p["in"] == "query");
    in_query
        .map(|p| p["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Sends a request; once more, an hour later by the clock, if the address has to wait.
async fn send(call: Call, s: &Stack, clock: &FastClock) -> Reply {
    let reply = call.clone().send(s).await;
    if reply.status.as_u16() != 429 {
        return reply;
    }
    clock.skip(3_600);
    call.send(s).await
}

/// Returns the requests with such a text that the server could not answer.
pub async fn unanswered(s: &Stack, clock: &FastClock) -> Vec<String> {
    let alice = s.sign_up("nul-alice").await;
    let session = s.api_session(&alice.name, "write").await;
    let operator = s.api_operator().await;
    let objects = Objects {
        session: s.other_session(&alice.name, &session.access).await,
        device: s.add_device(&alice, "phone").await,
        token: s.api_token(&session.access, "read").await.0,
        name: alice.name.clone(),
        tenant: s.tenant_id(&alice).await,
    };
    let mut unanswered = Vec::new();
    let mut all = operations(&objects);
    // The clock is put forward for what needs no token: tokens may have expired after that.
    all.sort_by_key(|o| (o.holder == Holder::Anyone, o.id == "sign_out"));
    for operation in all {
        for call in variations(&operation.call, &queries(&operation.id)) {
            let call = match operation.holder {
                Holder::Anyone => call,
                Holder::Tenant | Holder::Both => call.by(&session.access),
                Holder::Operator => call.by(&operator.access),
            };
            let asked = format!("{} {} {:?}", call.method, call.path, call.body);
            // A stream has no end: that it began is its answer.
            let reply = tokio::time::timeout(Duration::from_secs(40), send(call, s, clock));
            let Ok(reply) = reply.await else { continue };
            if reply.status.is_server_error() {
                unanswered.push(format!("{asked}: {} {}", reply.status, reply.text));
            }
        }
    }
    unanswered
}
