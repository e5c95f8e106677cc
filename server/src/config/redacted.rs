//! The output of `maliknode config`: the configuration in force, as TOML that the
//! file could have, with secrets redacted.

use super::model::Config;
use adguard::ListSource;
use std::fmt::{Display, Write};
use store::DatabaseUrl;

impl Config {
    /// Returns all settings as TOML, with passwords redacted.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        let mut line = |key: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{key} = {value}");
        };
        line("# root", text(self.root.display()));
        line("listen", text(self.listen));
        line("base", text(&self.base));
        line("scheme", text(self.scheme));
        line("public_host", text(&self.public_host));
        line("trusted_proxies", list(&self.trusted_proxies));
        match &self.database_url {
            DatabaseUrl::Sqlite(path) => {
                line("database_url", text(format!("sqlite://{}", path.display())));
            }
            DatabaseUrl::Postgres(_) => line("database_url", text("postgres://[redacted]")),
        }
        line(
            "wireguard",
            text(format!("{:?}", self.wireguard).to_lowercase()),
        );
        match &self.docker_host {
            Some(host) => line("docker_host", text(host)),
            None => line(
                "# docker_host",
                "DOCKER_HOST, else Docker's default".to_owned(),
            ),
        }
        line("runtime_dir", text(self.runtime_dir.display()));
        line("site", text(self.site.display()));
        let slots: Vec<String> = self
            .excluded_slots
            .iter()
            .map(|s| s.get().to_string())
            .collect();
        line("excluded_slots", format!("[{}]", slots.join(", ")));
        line("allowed_private", list(&self.allowed_private));
        line("sign_ups_per_hour", self.sign_ups_per_hour.to_string());
        match self.memory_reserve_mb {
            Some(mb) => line("memory_reserve_mb", mb.to_string()),
            None => line(
                "# memory_reserve_mb",
                "a tenth of the machine's, 256 at least".to_owned(),
            ),
        }
        match self.max_tenants {
            Some(n) => line("max_tenants", n.to_string()),
            None => line("# max_tenants", "as many as fit".to_owned()),
        }
        line("\n[addresses]\ntunnels", text(self.addresses.tunnels));
        line("containers", text(self.addresses.containers));
        line("\n[dns]\nupstreams", list(&self.dns.upstreams));
        line("bootstrap", list(&self.dns.bootstrap));
        line("fallback", list(&self.dns.fallback));
        line("image", text(&self.dns.image));
        line("memory_mb", self.dns.memory_mb.to_string());
        for l in &self.dns.lists {
            line("\n[[dns.lists]]\nid", l.id.to_string());
            line("name", text(&l.name));
            match &l.source {
                ListSource::Url(url) => line("url", text(url)),
                ListSource::Path(path) => line("path", text(path.display())),
            }
        }
        out
    }
}

/// Returns a TOML string. TOML's basic strings are escaped as JSON's are, except
/// for one control character that JSON does not escape.
fn text(value: impl Display) -> String {
    let json = serde_json::Value::String(value.to_string()).to_string();
    json.replace('\u{7f}', "\\u007f")
}

fn list<T: Display>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(text).collect();
    format!("[{}]", values.join(", "))
}
