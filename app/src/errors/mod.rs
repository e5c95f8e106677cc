//! Error pages: inside the app, and as plain HTML for where there is no app
//! (a host we do not serve, a refused request, a panic).

#[cfg(feature = "ssr")]
pub mod page;

#[cfg(feature = "ssr")]
use crate::ui::format::escape;

/// A whole error page as text, for the server's middleware. It depends on
/// nothing but two static files and works under the policy
/// `default-src 'none'; style-src 'self'; img-src 'self'`.
///
/// `status` is the HTTP status it goes out with; `id`, if any, is what the
/// person quotes and the log has. All texts are escaped here.
#[cfg(feature = "ssr")]
pub fn page(status: u16, title: &str, sentence: &str, id: Option<&str>) -> String {
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
         <h1>{title}</h1><p>{sentence}</p>{id}</main></body></html>",
        title = escape(title),
        sentence = escape(sentence),
    )
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let html = page(421, "<b>", "Host \"<script>\" & more", Some("a'b"));
        assert!(!html.contains("<script>") && !html.contains("<b>"));
        assert!(html.contains("&lt;script&gt;&quot; &amp; more") && html.contains("a&#39;b"));
        assert!(html.contains("421"));
    }
}
