//! Tests of precedence and refusals, and that the help and the example agree with
//! the code.

use super::{
    file::parse_toml,
    settings::{described, file_keys},
    *,
};
use clap::{Args, Command, FromArgMatches};
use domain::{AddressPlan, Secret};

fn command() -> Command {
    Flags::augment_args(Command::new("maliknode"))
}

fn flags(args: &[&str]) -> Flags {
    let all = std::iter::once("maliknode").chain(args.iter().copied());
    Flags::from_arg_matches(&command().get_matches_from(all)).unwrap()
}

fn root_with(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("central_api")).unwrap();
    std::fs::write(dir.path().join("central_api").join(name), text).unwrap();
    let root = dir.path().to_str().unwrap().to_owned();
    (dir, root)
}

#[test]
fn defaults_apply_where_nothing_is_set() {
    let config = Config::load(&flags(&["--root", "/nowhere/at/all"])).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8085");
    assert_eq!(config.base.to_string(), "localhost:8085");
    assert_eq!(config.url("admin"), "http://admin.localhost:8085");
    assert_eq!(
        config.database_url.to_string(),
        "SQLite, /nowhere/at/all/central_api/database.sqlite"
    );
    assert_eq!(config.addresses.plan, AddressPlan::default());
    assert_eq!(config.dns.lists, adguard::List::defaults());
}

#[test]
fn a_flag_overrides_the_file_and_the_default() {
    let (_dir, root) = root_with(
        "config.toml",
        "listen = \"127.0.0.1:9000\"\nscheme = \"https\"\nbase = \"file.example\"\n[dns]\nmemory_mb = 300\n",
    );
    let config = Config::load(&flags(&["--root", &root, "--base", "flag.example:444"])).unwrap();
    assert_eq!(config.listen.port(), 9000);
    assert_eq!(config.url("a"), "https://a.flag.example:444");
    assert_eq!(config.public_host, "flag.example");
    assert_eq!(
        (config.dns.memory_mb, config.dns.local_image()),
        (300, "adguard/adguardhome:v0.107.79")
    );
}

#[test]
fn json_works_and_two_files_are_refused() {
    let (dir, root) = root_with(
        "config.json",
        "{\"excluded_slots\": [3], \"dns\": {\"upstreams\": [\"192.0.2.53\"]}}",
    );
    let config = Config::load(&flags(&["--root", &root])).unwrap();
    assert_eq!(config.dns.upstreams, ["192.0.2.53"]);
    assert_eq!(config.excluded_slots.len(), 1);
    std::fs::write(dir.path().join("central_api/config.toml"), "").unwrap();
    let e = Config::load(&flags(&["--root", &root]))
        .unwrap_err()
        .to_string();
    assert!(e.contains("config.json") && e.contains("remove one"), "{e}");
}

#[test]
fn all_unknown_settings_are_named() {
    let text = "lisen = 1\n[dns]\nmemory-mb = 3\nblah_blah = 1\n[[dns.lists]]\nid = 1\nname = \"x\"\nurl = \"y\"\ncolour = 2\n";
    let e = parse_toml("config.toml".into(), text)
        .unwrap_err()
        .to_string();
    assert!(e.contains("\"lisen\" (did you mean listen?)"), "{e}");
    assert!(
        e.contains("\"dns.memory-mb\" (did you mean dns.memory_mb?)"),
        "{e}"
    );
    assert!(
        e.contains("\"dns.blah_blah\"") && e.contains("\"dns.lists.colour\""),
        "{e}"
    );
}

#[test]
fn errors_name_the_setting_and_no_secret() {
    for (text, expected) in [
        ("listen = \n", "line 1"),
        ("\ndatabase_url = \"postgres://u:geheim@h/d\n", "line 2"),
        ("database_url = [\"geheim\"]", "database_url"),
        ("sign_ups_per_hour = \"geheim\"", "sign_ups_per_hour"),
        ("sign_up = \"members\"", "sign_up"),
        ("sleep_after_hours = 9000", "sleep_after_hours"),
        ("time_zone = \"Mars/Olympus\"", "time_zone"),
        ("base = \"127.0.0.1\"", "base: "),
        ("listen = \"8085\"", "listen: "),
        ("scheme = \"ftp\"", "scheme: "),
        ("wireguard = \"yes\"", "wireguard: "),
        ("excluded_slots = [1001]", "excluded_slots: "),
        ("trusted_proxies = [\"x\"]", "trusted_proxies: "),
        ("operator_from = [\"10.0.0.0/33\"]", "operator_from: "),
        ("trusted_proxies = [\"0.0.0.0/0\"]", "is everybody"),
        ("trusted_proxies = [\"::/0\"]", "is everybody"),
        (
            "database_url = \"mysql://u:geheim@h\"",
            "database_url: write",
        ),
        ("public_host = \"a b\"", "public_host: "),
        ("[addresses]\ntunnels = \"10.0.0.0/16\"", "/14"),
        ("[dns]\nupstreams = []", "dns.upstreams: "),
        ("[dns]\nmemory_mb = 10", "dns.memory_mb: "),
        ("[[dns.lists]]\nid = 1\nname = \"a\"", "dns.lists: "),
    ] {
        let (_dir, root) = root_with("config.toml", text);
        let e = Config::load(&flags(&["--root", &root]))
            .unwrap_err()
            .to_string();
        assert!(e.contains(expected), "{text}: {e}");
        assert!(!e.contains("geheim"), "{e}");
    }
}

#[test]
fn a_database_password_does_not_print() {
    let url = "postgres://u:geheim@h/d";
    let flags = flags(&["--root", "/nowhere", "--database-url", url]);
    let settings = flags.apply(Settings::default()).unwrap();
    assert_eq!(settings.database_url, Some(Secret::new(url)));
    assert!(!format!("{settings:?}").contains("geheim"));
    let config = Config::load(&flags).unwrap();
    assert!(!format!("{config:?} {}", config.to_toml()).contains("geheim"));
}

#[test]
fn the_printed_configuration_can_be_parsed_again() {
    let args = [
        "--root",
        "/nowhere",
        "--base",
        "a.example",
        "--trusted-proxies",
        "127.0.0.1,10.0.0.0/8",
        "--public-host",
        "2001:db8::1",
        "--memory-reserve-mb",
        "700",
        "--max-tenants",
        "50",
    ];
    let mut config = Config::load(&flags(&args)).unwrap();
    assert_eq!(config.public_host, "[2001:db8::1]");
    assert_eq!(config.memory_reserve(), Some(700 << 20));
    assert_eq!(config.max_tenants, Some(50));
    let none_allowed = flags(&["--root", "/nowhere", "--max-tenants", "0"]);
    let refused = Config::load(&none_allowed).unwrap_err().to_string();
    assert!(refused.contains("max_tenants"), "{refused}");
    config.docker_host = Some("\u{0}\u{1f}\"\\\u{7f}\u{85}\u{2028}".to_owned());
    let again = parse_toml("x".into(), &config.to_toml()).unwrap();
    let again = Config::resolve("/nowhere".into(), again).unwrap();
    assert_eq!(again.to_toml(), config.to_toml());
}

#[test]
fn the_ports_of_our_pages_are_those_that_people_type() {
    let ports = |text: &str| {
        let settings = parse_toml("x".into(), text).unwrap();
        let config = Config::resolve("/nowhere".into(), settings).unwrap();
        config.web_ports().into_iter().collect::<Vec<_>>()
    };
    let of = |base: &str, scheme: &str| format!("base = \"{base}\"\nscheme = \"{scheme}\"\n");
    assert_eq!(ports(&of("example.org", "https")), [80, 443]);
    assert_eq!(ports(&of("example.org:8443", "https")), [80, 8443]);
    assert_eq!(ports(&of("example.org", "http")), [80]);
    let open = format!("{}listen = \"0.0.0.0:8085\"\n", of("example.org", "http"));
    assert_eq!(ports(&open), [80, 8085]);
    assert_eq!(ports(""), [] as [u16; 0], "from this machine only");
}

#[test]
fn a_privacy_notice_is_the_address_of_a_page() {
    let check = |text: &str| super::check::privacy_notice(Some(text));
    let address = "https://example.org/privacy";
    assert_eq!(check(address).unwrap().as_deref(), Some(address));
    assert_eq!(check("").unwrap(), None);
    for wrong in [
        "javascript:alert(1)",
        "example.org",
        "https://",
        "https://a b",
    ] {
        let refused = check(wrong).unwrap_err().to_string();
        assert!(refused.contains("privacy_notice"), "{wrong}: {refused}");
    }
}

/// Written as a flag, what the help names as the default changes nothing. Where there
/// is no value to write, the help says in words what applies.
#[test]
fn the_help_names_every_default() {
    let in_words = [
        "base",
        "public_host",
        "trusted_proxies",
        "operator_from",
        "database_url",
        "seal_key",
        "docker_host",
        "cli_group",
        "wireguard_unit",
        "nodes.listen",
        "nodes.address",
        "nodes.own_address",
        "names.server",
        "names.zone",
        "names.domain",
        "names.key",
        "addresses.ipv6_prefix",
        "mail.server",
        "mail.from",
        "mail.user",
        "mail.password",
        "mail.password_file",
        "mail.ca_file",
        "metrics.listen",
        "api.cors_origins",
        "privacy_notice",
        "site",
        "excluded_slots",
        "allowed_private",
        "memory_reserve_mb",
        "max_tenants",
    ];
    let help = command().render_long_help().to_string();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for setting in described() {
        let (key, default) = (&setting.key, &setting.default);
        assert!(!default.is_empty(), "{key} has no default in the help");
        assert!(help.contains(&format!("[default: {default}]")), "{key}");
        if !in_words.contains(&key.as_str()) {
            let flag = format!("--{}={default}", key.replace(['.', '_'], "-"));
            let set = flags(&[&flag]).apply(Settings::default());
            assert_eq!(set.unwrap(), Settings::default(), "{key}");
        }
    }
}

#[test]
fn a_setting_is_flag_variable_key_and_printed_value() {
    let config = Config::load(&flags(&["--root", "/nowhere/at/all"])).unwrap();
    for arg in command().get_arguments() {
        let key = arg.get_id().as_str();
        let name = key.replace('.', "_");
        assert_eq!(arg.get_long(), Some(name.replace('_', "-").as_str()));
        let variable = format!("MALIKNODE_{}", name.to_uppercase());
        assert_eq!(arg.get_env().and_then(|v| v.to_str()), Some(&*variable));
        let pointer = format!("/{}", key.replace('.', "/"));
        assert!(config.values().pointer(&pointer).is_some(), "{key}");
        // Of any type: it is known.
        if key != "root" {
            let refused = parse_toml("x".into(), &format!("{key} = {{ x = 1 }}")).unwrap_err();
            assert!(matches!(refused, ConfigError::Form { .. }), "{refused}");
        }
    }
}

#[test]
fn a_null_in_json_leaves_a_setting_unset() {
    let text = "{\"listen\": null, \"dns\": {\"image\": null, \"lists\": null}}";
    let parsed = file::parse("config.json".into(), text).unwrap();
    assert_eq!(parsed, Settings::default());
    let unknown = "{\"lisen\": null, \"dns\": {\"imag\": null}}";
    let refused = file::parse("config.json".into(), unknown).unwrap_err();
    let message = refused.to_string();
    assert!(
        message.contains("listen") && message.contains("dns.image"),
        "{message}"
    );
}

/// Every setting of the example is commented out. Without the comment signs, it
/// is a valid configuration with every setting.
#[test]
fn the_example_has_every_setting_and_is_valid() {
    let example = include_str!("../../../deploy/config.example.toml");
    let parse = |text: &str| parse_toml("example".into(), text);
    assert_eq!(
        parse(example).unwrap(),
        Settings::default(),
        "unchanged, it sets nothing"
    );
    let uncommented: String = example
        .lines()
        .map(|l| {
            l.strip_prefix('#')
                .filter(|l| !l.starts_with(' '))
                .unwrap_or(l)
        })
        .filter(|l| !l.starts_with('#'))
        .fold(String::new(), |all, l| all + l + "\n");
    let config = Config::resolve("/etc/maliknode".into(), parse(&uncommented).unwrap()).unwrap();
    assert_eq!(config.addresses.plan, AddressPlan::default());
    for key in file_keys() {
        let last = key.rsplit('.').next().unwrap();
        assert!(
            uncommented
                .lines()
                .any(|l| l.starts_with(&format!("{last} = "))),
            "{key}"
        );
    }
}

#[test]
fn a_public_base_without_tls_is_reported() {
    let problem = |args: &[&str]| {
        let args = [&["--root", "/nowhere/at/all"], args].concat();
        Config::load(&flags(&args)).unwrap().scheme_problem()
    };
    let base = "vpn.example.org".to_owned();
    let expected = domain::Message::SchemeWithoutTls { base };
    assert_eq!(problem(&["--base", "vpn.example.org"]), Some(expected));
    let https = ["--base", "vpn.example.org", "--scheme", "https"];
    assert_eq!(problem(&https), None);
    assert_eq!(problem(&["--base", "localhost:8085"]), None);
}

#[test]
fn tls_without_a_trusted_proxy_is_reported() {
    let problem = |args: &[&str]| {
        let args = [&["--root", "/nowhere/at/all"], args].concat();
        Config::load(&flags(&args)).unwrap().proxy_problem()
    };
    assert!(problem(&["--scheme", "https"]).is_some_and(|p| p == domain::Message::ProxyUntrusted));
    assert_eq!(
        problem(&["--scheme", "https", "--trusted-proxies", "127.0.0.1"]),
        None
    );
    assert_eq!(problem(&[]), None);
}

#[test]
fn an_origin_is_as_browsers_write_it() {
    let load = |origin: &str| {
        let flag = format!("--api-cors-origins={origin}");
        Config::load(&flags(&["--root", "/nowhere", &flag]))
    };
    for (written, origin) in [
        ("https://status.example.org", "https://status.example.org"),
        (
            "https://Status.Example.org:8443",
            "https://status.example.org:8443",
        ),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://dev.localhost", "http://dev.localhost"),
        ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
        ("http://[::1]:5173", "http://[::1]:5173"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]"),
    ] {
        assert_eq!(load(written).unwrap().api.cors_origins, [origin]);
    }
    for wrong in [
        "*",
        "null",
        "https://*.example.org",
        "http://status.example.org",
        "https://status.example.org/",
        "https://status.example.org:443",
        "https://status.example.org.",
        "https://a:b@status.example.org",
        "https://status.example.org?x",
        "http://localhost:80",
        "http://localhost:x",
        "status.example.org",
        "ftp://localhost",
        "https://",
        "https://[::1",
    ] {
        let refused = load(wrong).unwrap_err().to_string();
        assert!(refused.contains("api.cors_origins"), "{wrong}: {refused}");
    }
    assert!(
        load("https://a.example,https://b.example")
            .unwrap()
            .api
            .cors_origins
            .len()
            == 2
    );
}
