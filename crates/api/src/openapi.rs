//! The description of the interface (OpenAPI 3.1), made from the operations.

use crate::{http::problem::Problem, routes};
use serde_json::Value;
use std::sync::LazyLock;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// The description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "MalikNode",
        version = "1",
        description = "Devices, traffic, DNS and accounts of a MalikNode installation.\n\n\
            What version 1 says today stays: new operations, members and codes are added, and \
            none is taken away. A client therefore ignores members and codes that it does not \
            know.\n\n\
            A refusal is a problem document (RFC 9457): compare `code`, show `detail`.\n\n\
            An operator acts for a tenant with the header `Maliknode-Tenant: NAME` and the \
            tenant's operations; the audit log names the operator.",
        license(name = "AGPL-3.0-or-later", identifier = "AGPL-3.0-or-later")
    ),
    tags(
        (name = "access", description = "Tokens: what a request shows."),
        (name = "sign-up", description = "Becoming a tenant."),
        (name = "account", description = "A tenant's account."),
        (name = "security", description = "How the own account is protected: sessions, password, second factor, recovery codes."),
        (name = "devices", description = "A tenant's devices."),
        (name = "traffic", description = "Graphs of past traffic."),
        (name = "events", description = "What happened to a tenant's network."),
        (name = "dns", description = "A tenant's DNS filter."),
        (name = "tokens", description = "API tokens of one's own."),
        (name = "operator", description = "What an operator may do."),
        (name = "published", description = "The two calls of the published design.")
    ),
    components(schemas(Problem)),
    modifiers(&Bearer)
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(
                "An access token (`POST /v1/auth/token`), or an API token itself.",
            ))
            .build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// Returns the description as JSON.
pub fn openapi() -> &'static Value {
    static JSON: LazyLock<Value> = LazyLock::new(|| {
        let mut all = Description::openapi();
        for router in [routes::granted(), routes::open(), routes::published()] {
            all.merge(router.into_openapi());
        }
        let mut json = serde_json::to_value(all).unwrap_or_default();
        close_requests(&mut json);
        describe_answers(&mut json);
        json
    });
    &JSON
}

/// Says of each form of a body that it has no further members, as `Body` refuses them. The
/// derive says it of structs only.
fn close_requests(api: &mut Value) {
    let paths = api["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(_, item)| item.as_object().into_iter().flatten());
    let name = |(_, operation): (_, &Value)| {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let name = schema["$ref"].as_str()?.rsplit('/').next()?;
        Some(name.to_owned())
    };
    let names: Vec<String> = operations.filter_map(name).collect();
    for name in names {
        let schema = &mut api["components"]["schemas"][name];
        let forms = schema.get_mut("oneOf").and_then(Value::as_array_mut);
        for form in forms.into_iter().flatten() {
            if form["type"] == "object" {
                form["additionalProperties"] = false.into();
            }
        }
    }
}

/// Gives each answer the description that OpenAPI demands: that of what it holds.
fn describe_answers(api: &mut Value) {
    let schemas = api["components"]["schemas"].clone();
    let paths = api["paths"].as_object_mut().into_iter().flatten();
    let operations = paths.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten());
    for (_, operation) in operations {
        let answers = operation["responses"].as_object_mut().into_iter().flatten();
        for (_, answer) in answers {
            let described = answer["description"]
                .as_str()
                .is_some_and(|d| !d.is_empty());
            if described {
                continue;
            }
            let content = answer["content"].as_object();
            let schema = content
                .and_then(|c| c.values().next())
                .map(|c| &c["schema"]);
            let name = schema.and_then(|s| s["$ref"].as_str()?.rsplit('/').next());
            let text = name.and_then(|n| schemas[n]["description"].as_str());
            answer["description"] = text.unwrap_or("What was asked for.").into();
        }
    }
}
