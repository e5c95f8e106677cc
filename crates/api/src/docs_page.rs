//! The description, and the same for people: one page without scripts, made from it.

use crate::{openapi::openapi, state::ApiState};
use axum::{
    Router,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde_json::Value;
use std::{fmt::Write, sync::LazyLock};

/// The page's own style, from this host, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'";

/// Returns the routes of the description and of the page. They are no operations.
pub fn routes() -> Router<ApiState> {
    Router::new()
        .route("/", get(async || Redirect::to("/docs")))
        .route("/v1/openapi.json", get(description))
        .route("/docs", get(page))
        .route("/docs.css", get(style))
}

fn cached(body: impl IntoResponse, kind: &'static str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let hour = HeaderValue::from_static("public, max-age=3600");
    headers.insert(header::CACHE_CONTROL, hour);
    response
}

async fn description() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| openapi().to_string());
    cached(TEXT.as_str(), "application/json")
}

async fn style() -> Response {
    cached(include_str!("docs.css"), "text/css; charset=utf-8")
}

async fn page() -> Response {
    static HTML: LazyLock<String> = LazyLock::new(|| html(openapi()));
    let mut response = cached(Html(HTML.as_str()), "text/html; charset=utf-8");
    let policy = HeaderValue::from_static(POLICY);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Returns a text for HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Returns the members of an object, in order.
fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Makes the page.
fn html(api: &Value) -> String {
    let mut body = String::new();
    let info = &api["info"];
    for paragraph in text(info, "description").split("\n\n") {
        let _ = write!(body, "<p>{}</p>", escaped(paragraph));
    }
    body.push_str("<p><a href=\"/v1/openapi.json\">openapi.json</a></p>");
    let tags = api["tags"].as_array().into_iter().flatten();
    for tag in tags {
        let name = text(tag, "name");
        let _ = write!(
            body,
            "<h2 id=\"{0}\">{0}</h2><p>{1}</p>",
            escaped(name),
            escaped(text(tag, "description"))
        );
        for (path, operations) in members(&api["paths"]) {
            for (method, operation) in members(operations) {
                if operation["tags"][0] == name {
                    operation_html(&mut body, path, method, operation);
                }
            }
        }
    }
    body.push_str("<h2 id=\"schemas\">schemas</h2>");
    for (name, schema) in members(&api["components"]["schemas"]) {
        let json = serde_json::to_string_pretty(schema).unwrap_or_default();
        let _ = write!(
            body,
            "<details id=\"schema-{0}\"><summary>{0}</summary><pre>{1}</pre></details>",
            escaped(name),
            escaped(&json)
        );
    }
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>API · MalikNode</title>\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"/docs.css\"></head>\
         <body><main><h1>MalikNode API</h1>{body}</main></body></html>"
    )
}

fn operation_html(out: &mut String, path: &str, method: &str, operation: &Value) {
    let _ = write!(
        out,
        "<section id=\"{}\"><h3>{}</h3><p><code><b>{}</b> {}</code></p>",
        escaped(text(operation, "operationId")),
        escaped(text(operation, "summary")),
        escaped(&method.to_uppercase()),
        escaped(path)
    );
    if let Some(description) = operation["description"].as_str() {
        let _ = write!(out, "<p>{}</p>", escaped(description));
    }
    let parameters: Vec<_> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    if !parameters.is_empty() {
        out.push_str("<ul>");
        for p in parameters {
            let _ = write!(
                out,
                "<li><code>{}</code> ({}): {}</li>",
                escaped(text(p, "name")),
                escaped(text(p, "in")),
                escaped(text(p, "description"))
            );
        }
        out.push_str("</ul>");
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if let Some(name) = schema_name(body) {
        let _ = write!(out, "<p>Body: {}</p>", link(name));
    }
    for (status, response) in members(&operation["responses"]) {
        let schemas = members(&response["content"]);
        let names = schemas.filter_map(|(_, content)| schema_name(&content["schema"]));
        let links: Vec<_> = names.map(link).collect();
        let _ = write!(
            out,
            "<p>{}: {} {}</p>",
            escaped(status),
            escaped(text(response, "description")),
            links.join(", ")
        );
    }
    let _ = write!(
        out,
        "<pre>{}</pre></section>",
        escaped(&example(path, method, operation))
    );
}

fn schema_name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn link(name: &str) -> String {
    format!("<a href=\"#schema-{0}\">{0}</a>", escaped(name))
}

/// Returns a command that carries the operation out.
fn example(path: &str, method: &str, operation: &Value) -> String {
    let mut command = String::from("curl -sS");
    if method != "get" {
        let _ = write!(command, " -X {}", method.to_uppercase());
    }
    if operation.get("security").is_some() {
        command.push_str(" -H \"Authorization: Bearer $TOKEN\"");
    }
    if operation.get("requestBody").is_some() {
        command.push_str(" -H 'Content-Type: application/json' -d @body.json");
    }
    let _ = write!(command, " \"$API{path}\"");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_operation_and_no_script() {
        let html = html(openapi());
        for (path, operations) in members(&openapi()["paths"]) {
            for (method, operation) in members(operations) {
                let id = format!("id=\"{}\"", text(operation, "operationId"));
                assert!(html.contains(&id), "{method} {path}");
            }
        }
        assert!(!html.contains("<script") && !html.contains("style=") && !html.contains("http:"));
    }
}
