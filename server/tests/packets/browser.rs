//! A browser without JavaScript: pages, forms, cookies per host, redirects. It
//! sends what a real browser would send, so the tests depend on the HTTP
//! interface only.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

const FORM: &str = "application/x-www-form-urlencoded";

/// A response.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    /// Headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The URL of the request.
    pub url: String,
}

impl Page {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// See the module.
#[derive(Clone, Default)]
pub struct Browser {
    port: u16,
    cookies: HashMap<(String, String), String>,
}

/// Splits `http://host:port/path`.
fn split(url: &str) -> (String, String) {
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("not an absolute URL: {url}"));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    (authority.to_owned(), format!("/{path}"))
}

/// Encodes a form field (WHATWG URL, application/x-www-form-urlencoded).
fn encode(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| {
            if keep(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

impl Browser {
    /// Creates a browser that resolves every name to loopback at this port.
    pub fn new(port: u16) -> Self {
        Self {
            port,
            cookies: HashMap::new(),
        }
    }

    /// Sends one request without following redirects.
    pub fn request(&mut self, method: &str, url: &str, form: Option<&[(&str, &str)]>) -> Page {
        let body = form.map(|f| {
            let pairs = f
                .iter()
                .map(|(k, v)| format!("{}={}", encode(k), encode(v)));
            pairs.collect::<Vec<_>>().join("&")
        });
        self.send(method, url, body.as_deref().map(|b| (FORM, b)))
            .unwrap_or_else(|e| panic!("{method} {url}: {e}"))
    }

    /// Returns the head of a request, without the empty line at its end.
    fn head(&self, method: &str, url: &str) -> String {
        let (authority, path) = split(url);
        let host = authority.split(':').next().unwrap_or_default();
        let cookies = self.cookies.iter().filter(|((h, _), _)| h == host);
        let cookies: Vec<String> = cookies.map(|((_, k), v)| format!("{k}={v}")).collect();
        let mut head =
            format!("{method} {path} HTTP/1.0\r\nHost: {authority}\r\nAccept: text/html\r\n");
        if !cookies.is_empty() {
            head += &format!("Cookie: {}\r\n", cookies.join("; "));
        }
        head
    }

    /// Requests a page that does not end, and returns the connection on which it
    /// arrives.
    ///
    /// # Errors
    /// The server does not listen.
    pub fn open(&self, url: &str) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let head = self.head("GET", url);
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        Ok(stream)
    }

    /// Sends one request with a body of this type, without following redirects.
    /// It uses HTTP/1.0: one connection, which ends with the body.
    ///
    /// # Errors
    /// The server does not listen, or ended before it had answered.
    pub fn send(
        &mut self,
        method: &str,
        url: &str,
        content: Option<(&str, &str)>,
    ) -> io::Result<Page> {
        let (authority, _) = split(url);
        let host = authority.split(':').next().unwrap_or_default().to_owned();
        let mut head = self.head(method, url);
        if let Some((kind, body)) = content {
            head += &format!(
                "Origin: http://{authority}\r\nReferer: http://{authority}/\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n",
                body.len()
            );
        }
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let body = content.map_or("", |(_, body)| body);
        stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw)?;
        let text = String::from_utf8_lossy(&raw).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines
            .next()
            .and_then(|l| l.split(' ').nth(1))
            .and_then(|s| s.parse().ok())
            .ok_or_else(|| io::Error::other(format!("incomplete response: {text:?}")))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|l| l.split_once(':'))
            .map(|(n, v)| (n.to_lowercase(), v.trim().to_owned()))
            .collect();
        for (_, cookie) in headers.iter().filter(|(n, _)| n == "set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((k, v)) = pair.split_once('=') {
                self.cookies
                    .insert((host.clone(), k.to_owned()), v.to_owned());
            }
        }
        Ok(Page {
            status,
            headers,
            body: body.to_owned(),
            url: url.to_owned(),
        })
    }

    /// Posts a form without following redirects, to a server that may end
    /// meanwhile.
    ///
    /// # Errors
    /// See [`send`](Self::send).
    pub fn try_post(&mut self, url: &str, form: &[(&str, &str)]) -> io::Result<Page> {
        let pairs = form
            .iter()
            .map(|(k, v)| format!("{}={}", encode(k), encode(v)));
        let body = pairs.collect::<Vec<_>>().join("&");
        self.send("POST", url, Some((FORM, &body)))
    }

    fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..8 {
            let Some(to) = page
                .header("location")
                .filter(|_| (300..400).contains(&page.status))
            else {
                return page;
            };
            let to = if to.starts_with('/') {
                format!("http://{}{to}", split(&page.url).0)
            } else {
                to.to_owned()
            };
            page = self.request("GET", &to, None);
        }
        panic!("too many redirects: {}", page.url);
    }

    /// Gets a page, following redirects.
    pub fn get(&mut self, url: &str) -> Page {
        let page = self.request("GET", url, None);
        self.follow(page)
    }

    /// Posts a form, following redirects.
    pub fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Page {
        let page = self.request("POST", url, Some(form));
        self.follow(page)
    }
}
