//! Error pages: inside the app, and as plain HTML for answers without the app (an
//! unknown host, a refused request, a panic).

#[cfg(feature = "ssr")]
pub mod page;
#[cfg(feature = "ssr")]
mod status;

#[cfg(feature = "ssr")]
pub use status::{heading, status};

#[cfg(feature = "ssr")]
use crate::ui::format::escape;

/// Returns a complete error page as HTML, for the server's middleware. It depends
/// only on two static files and works under the policy
/// `default-src 'none'; style-src 'self'; img-src 'self'`.
///
/// `status` is the HTTP status of the answer; `id`, if any, identifies the entry
/// in the log, for the user to quote. All texts are escaped here.
#[cfg(feature = "ssr")]
pub fn standalone_page(status: u16, title: &str, message: &str, id: Option<&str>) -> String {
    let id = id.map_or(String::new(), |id| {
        format!(
            "<p class=\"id\">If you ask for help, quote <code>{}</code>.</p>",
            escape(id)
        )
    });
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} · MalikNode</title>\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"/error.css\"></head>\
         <body><main><p class=\"brand\">MalikNode</p><p class=\"status\">{status}</p>\
         <h1>{title}</h1><p>{message}</p>{id}</main></body></html>",
        title = escape(title),
        message = escape(message),
    )
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let html = standalone_page(421, "<b>", "Host \"<script>\" & more", Some("a'b"));
        assert!(!html.contains("<script>") && !html.contains("<b>"));
        assert!(html.contains("&lt;script&gt;&quot; &amp; more") && html.contains("a&#39;b"));
        assert!(html.contains("421"));
    }
}
