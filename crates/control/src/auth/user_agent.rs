//! The names of the browser and the system in a `User-Agent` header (RFC 9110, 10.1.5). They
//! help to recognise a session; nothing is decided by them.

/// The longest header that is read, in bytes.
const MAX_BYTES: usize = 512;

/// What a header contains, and the name of the browser or program. The first one that is found
/// counts: most browsers also name those that they are compatible with.
const BROWSERS: [(&str, &str); 18] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("python-requests/", "Python"),
    ("Python-urllib/", "Python"),
    ("Go-http-client/", "Go"),
    ("maliknode/", "MalikNode"),
];

const SYSTEMS: [(&str, &str); 8] = [
    ("Windows", "Windows"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
    ("FreeBSD", "FreeBSD"),
];

/// Returns the names of browser and system; empty where they are not known.
pub(super) fn names(agent: &str) -> (&'static str, &'static str) {
    let agent = &agent[..agent.floor_char_boundary(MAX_BYTES)];
    let find = |table: &'static [(&str, &str)]| {
        let found = table.iter().find(|(part, _)| agent.contains(part));
        found.map_or("", |(_, name)| *name)
    };
    (find(&BROWSERS), find(&SYSTEMS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_not_taken_for_one_it_is_compatible_with() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                ("Edge", "Windows"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/140.0.0.0 Mobile Safari/537.36",
                ("Chrome", "Android"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                ("Safari", "iOS"),
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                ("Firefox", "Linux"),
            ),
            ("curl/8.5.0", ("curl", "")),
            ("", ("", "")),
            ("<script>", ("", "")),
        ] {
            assert_eq!(names(agent), expected, "{agent}");
        }
        assert_eq!(names(&"ä".repeat(1_000)), ("", ""));
    }
}
