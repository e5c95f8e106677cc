//! The configuration file: TOML, or JSON if it begins with a brace.
//!
//! - The output of `maliknode config` is accepted again and means the same.
//! - Every slot has its addresses inside the accepted ranges.
//! - The password in `database_url` is in no error and in no output, whatever
//!   else the file contains and wherever it is wrong.

use domain::Slot;
use server::config::{Config, ConfigError};

/// A password that must not appear in any output.
const PASSWORD: &str = "geheim4711";

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let json = text.trim_start().starts_with('{');
    if let Ok(config) = read(text, json) {
        accepted(&config);
    }
    if text.contains(PASSWORD) {
        return;
    }
    for value in [
        format!("\"postgres://maliknode:{PASSWORD}@db/maliknode\""),
        format!("\"postgress://maliknode:{PASSWORD}@db/maliknode\""),
        format!("[\"{PASSWORD}\"]"),
    ] {
        let text = match json {
            true => format!(
                "{{\"database_url\": {value}, {}",
                text.trim_start().replacen('{', "", 1)
            ),
            false => format!("database_url = {value}\n{text}"),
        };
        match read(&text, json) {
            Ok(config) => {
                let shown = format!("{}{config:?}", config.to_toml());
                assert!(!shown.contains(PASSWORD), "the password is shown");
            }
            Err(e) => assert!(
                !format!("{e}{e:?}").contains(PASSWORD),
                "the password is in the error: {e}"
            ),
        }
    }
}

fn read(text: &str, json: bool) -> Result<Config, ConfigError> {
    let file = if json {
        "/c/config.json"
    } else {
        "/c/config.toml"
    };
    Config::from_text("/etc/maliknode".into(), file.into(), text)
}

fn accepted(config: &Config) {
    let shown = config.to_toml();
    let again =
        read(&shown, false).unwrap_or_else(|e| panic!("refused the second time: {e}\n{shown}"));
    // A PostgreSQL address is shown without its password, and differs.
    assert_eq!(again.to_toml(), shown);
    let plan = config.addresses.plan;
    for slot in [Slot::FIRST, Slot::LAST] {
        assert!(plan.tunnels.contains(&plan.subnet(slot)));
        assert!(plan.subnet(slot).contains(&plan.device(slot, 254)));
        assert!(plan.containers.contains(&plan.container(slot)));
        assert!(!plan.tunnels.contains(&plan.container(slot)));
    }
    assert!(
        config
            .public_host
            .bytes()
            .all(|c| c.is_ascii_graphic() && c != b'#')
    );
    assert!(!config.dns.upstreams.is_empty());
}
