//! Requests to the router, and their answers.

use crate::{stack::Stack, table::Route};
use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use std::time::Duration;
use tower::ServiceExt;

/// An open event stream.
pub struct Stream(pub Body);

impl Stream {
    /// Reads until this text arrives, and returns everything that was read.
    pub async fn wait_for(&mut self, text: &str, timeout: Duration) -> String {
        let mut all = String::new();
        let read = async {
            while !all.contains(text) {
                let frame = self.0.frame().await.expect("the stream continues").unwrap();
                let data = frame.into_data().unwrap_or_default();
                all += &String::from_utf8_lossy(&data);
            }
        };
        let arrived = tokio::time::timeout(timeout, read).await.is_ok();
        assert!(arrived, "no {text:?} in {all}");
        all
    }

    /// Returns whether the stream ends in time.
    pub async fn ends(&mut self, timeout: Duration) -> bool {
        let drain = async { while let Some(Ok(_)) = self.0.frame().await {} };
        tokio::time::timeout(timeout, drain).await.is_ok()
    }
}

/// An answer, with its body as text.
pub struct Answer {
    pub status: StatusCode,
    pub location: Option<String>,
    pub cookie: Option<String>,
    pub signs_in: bool,
    pub headers: HeaderMap,
    body: String,
}

impl Answer {
    pub fn contains(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    /// Returns a cookie that the answer sets, as a browser sends it back.
    pub fn set_cookie(&self, name: &str) -> Option<String> {
        let all = self.headers.get_all(header::SET_COOKIE).iter();
        let mut all = all.filter_map(|v| v.to_str().ok()?.split(';').next());
        let set = all.find(|c| {
            c.split_once('=')
                .is_some_and(|(n, v)| n == name && !v.is_empty())
        });
        set.map(str::to_owned)
    }

    /// Returns where the body contains this text first.
    pub fn find(&self, text: &str) -> Option<usize> {
        self.body.find(text)
    }

    /// Returns the body from there on.
    pub fn text_from(&self, at: usize) -> &str {
        &self.body[at..]
    }

    /// Returns how often the body contains this text.
    pub fn count(&self, text: &str) -> usize {
        self.body.matches(text).count()
    }

    /// Returns whether the body is this text.
    pub fn is(&self, text: &str) -> bool {
        self.body == text
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.body.chars().take(300).collect();
        write!(f, "{} to {:?}, {body}", self.status, self.location)
    }
}

impl Stack {
    async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.web.router.clone().oneshot(request).await.unwrap();
        let (parts, mut body) = answer.into_parts();
        let text = |name| {
            parts
                .headers
                .get(name)
                .and_then(|v: &axum::http::HeaderValue| v.to_str().ok())
                .map(str::to_owned)
        };
        let all = parts.headers.get_all(header::SET_COOKIE).iter();
        let cookie = all
            .filter_map(|v| v.to_str().ok())
            .find(|c| c.starts_with("mn_session="))
            .map(str::to_owned);
        // A stream never ends: what arrives within 2 s is enough.
        let mut all = Vec::new();
        let read = async {
            while let Some(Ok(frame)) = body.frame().await {
                all.extend_from_slice(frame.data_ref().map_or(&[][..], |d| &d[..]));
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
        Answer {
            status: parts.status,
            location: text(header::LOCATION),
            signs_in: cookie
                .as_deref()
                .is_some_and(|c| !c.starts_with("mn_session=;")),
            cookie,
            body: String::from_utf8_lossy(&all).into_owned(),
            headers: parts.headers,
        }
    }

    /// Sends the request that a page of that host would send.
    pub async fn request(&self, route: &Route, host: &str, cookie: Option<&str>) -> Answer {
        let origin = format!("http://{host}");
        self.request_from(route, host, cookie, Some(&origin)).await
    }

    pub async fn request_from(
        &self,
        route: &Route,
        host: &str,
        cookie: Option<&str>,
        origin: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(route.method.clone())
            .uri(&route.url)
            .header("host", host);
        // A server function answers a script with a status, a form with a redirect.
        let accept = if route.path.starts_with("/do/") {
            "application/json"
        } else {
            "text/html"
        };
        request = request.header("accept", accept);
        if route.method != Method::GET {
            request = request.header("content-type", "application/x-www-form-urlencoded");
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
        }
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        self.send(request.body(Body::from(route.body.clone())).unwrap())
            .await
    }

    /// Sends a request without a form, from a page of that origin.
    pub async fn send_from(
        &self,
        method: Method,
        host: &str,
        uri: &str,
        cookie: Option<&str>,
        origin: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        request = request.header("host", host).header("accept", "text/html");
        for (name, value) in [("cookie", cookie), ("origin", origin)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Opens an event stream.
    pub async fn open(&self, host: &str, url: &str, cookie: &str) -> Stream {
        let request = Request::builder()
            .uri(url)
            .header("host", host)
            .header("cookie", cookie);
        let request = request.body(Body::empty()).unwrap();
        let answer = self.web.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Stream(answer.into_body())
    }

    pub async fn get(&self, host: &str, url: &str, cookie: Option<&str>) -> Answer {
        self.plain(Method::GET, host, url, "", cookie, "text/html")
            .await
    }

    pub async fn post(&self, host: &str, url: &str, body: &str, cookie: Option<&str>) -> Answer {
        self.plain(Method::POST, host, url, body, cookie, "text/html")
            .await
    }

    /// Posts as JavaScript does.
    pub async fn call(&self, host: &str, url: &str, body: &str, cookie: Option<&str>) -> Answer {
        self.plain(Method::POST, host, url, body, cookie, "application/json")
            .await
    }

    async fn plain(
        &self,
        method: Method,
        host: &str,
        url: &str,
        body: &str,
        cookie: Option<&str>,
        accept: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("host", host)
            .header("origin", format!("http://{host}"))
            .header("accept", accept)
            .header("content-length", body.len())
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }
}
