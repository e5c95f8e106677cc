//! Requests to the REST interface.

use crate::{
    second_factor::Codes,
    stack::{PASSWORD, Stack},
};
use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

pub const API: &str = "api.localhost:8085";

/// An answer with its body as JSON; `null` for a body that is none.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub json: Value,
    pub text: String,
}

impl Reply {
    /// Returns the code of a problem document.
    pub fn code(&self) -> &str {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        assert_eq!(self.json["status"], self.status.as_u16(), "{self:?}");
        assert!(!self.json["detail"].as_str().unwrap().is_empty());
        self.json["code"].as_str().unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|v| v.to_str().unwrap());
        value.unwrap_or_default()
    }

    /// Asserts the status, and returns the body.
    pub fn expect(&self, status: u16) -> &Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        &self.json
    }
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub token: Option<String>,
    pub body: Option<Value>,
    pub headers: Vec<(&'static str, String)>,
}

impl Call {
    pub fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            token: None,
            body: None,
            headers: Vec::new(),
        }
    }

    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn post(path: &str, body: Value) -> Self {
        Self::new(Method::POST, path).body(body)
    }

    pub fn patch(path: &str, body: Value) -> Self {
        Self::new(Method::PATCH, path).body(body)
    }

    pub fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub fn by(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub async fn send(self, s: &Stack) -> Reply {
        self.send_to(s, API).await
    }

    pub async fn send_to(self, s: &Stack, host: &str) -> Reply {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        request = request.header("host", host);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let body = match &self.body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        raw(s, request.body(body).unwrap()).await
    }
}

/// Sends a request as it is.
pub async fn raw(s: &Stack, request: Request<Body>) -> Reply {
    let answer = s.web.router.clone().oneshot(request).await.unwrap();
    let (parts, mut body) = answer.into_parts();
    // A stream never ends: what arrives within 2 s is enough.
    let mut bytes = Vec::new();
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |d| &d[..]));
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), read).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Reply {
        status: parts.status,
        headers: parts.headers,
        json: serde_json::from_str(&text).unwrap_or_default(),
        text,
    }
}

/// The tokens of a session.
#[derive(Clone, Debug)]
pub struct Session {
    pub access: String,
    pub refresh: String,
}

impl Session {
    pub fn of(reply: &Reply) -> Self {
        let body = reply.expect(200);
        assert_eq!(body["step"], "done");
        let token = |name: &str| body["tokens"][name].as_str().unwrap_or_default().to_owned();
        Self {
            access: token("access_token"),
            refresh: token("refresh_token"),
        }
    }
}

impl Stack {
    /// Signs a tenant in to the interface.
    pub async fn api_session(&self, name: &str, access: &str) -> Session {
        let body = json!({
            "grant": "password", "name": name, "password": PASSWORD, "access": access,
        });
        Session::of(&Call::post("/v1/auth/token", body).send(self).await)
    }

    /// Signs the operator in to the interface.
    pub async fn api_operator(&self) -> Session {
        let body = json!({
            "grant": "password", "account": "operator", "name": "admin",
            "password": self.operator_password(),
        });
        let asked = Call::post("/v1/auth/token", body).send(self).await;
        self.second_step(&asked, self.operator_codes()).await
    }

    /// Does the second step of a sign-in to the interface.
    pub async fn second_step(&self, asked: &Reply, codes: &Codes) -> Session {
        let asked = asked.expect(200);
        assert_eq!(asked["step"], "second_factor");
        let body = json!({
            "grant": "second_factor", "pending": asked["pending"], "code": codes.next(),
        });
        Session::of(&Call::post("/v1/auth/token", body).send(self).await)
    }

    /// Begins another session of a tenant. Returns how lists of its own name it.
    pub async fn other_session(&self, name: &str, by: &str) -> String {
        self.api_session(name, "write").await;
        let call = Call::get("/v1/account/sessions").by(by);
        let listed = call.send(self).await;
        let sessions = listed.expect(200)["items"].as_array().unwrap().clone();
        let mut others = sessions
            .iter()
            .filter(|s| s["kind"] == "api" && s["current"] == false);
        others.next().unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Uses a refresh token.
    pub async fn api_refresh(&self, token: &str) -> Reply {
        let body = json!({ "grant": "refresh_token", "refresh_token": token });
        Call::post("/v1/auth/token", body).send(self).await
    }

    /// Makes an API token. Returns its id and secret.
    pub async fn api_token(&self, by: &str, access: &str) -> (String, String) {
        let body = json!({ "name": "script", "access": access, "days": 30 });
        let reply = Call::post("/v1/tokens", body).by(by).send(self).await;
        let made = reply.expect(201);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("id"), text("secret"))
    }
}
