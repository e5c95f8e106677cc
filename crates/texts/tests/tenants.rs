//! What tenants can read contains no path, no command and no name of a container.
// A test that cannot continue panics.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, path::Path};

/// The files whose messages answer what a tenant or a visitor does. Of problems and events, a
/// tenant reads only what is named after the code or the kind.
const OF_REQUESTS: &[&str] = &[
    "account-security.ftl",
    "accounts.ftl",
    "devices.ftl",
    "requests.ftl",
    "sign-up.ftl",
];

/// Messages in these files that only operators or the command line are shown.
const OF_OPERATORS: &[&str] = &[
    "command-line-tokens",
    "socket-refused",
    "server-not-running",
    "operator-unknown",
    "tenant-unknown",
    "network-asleep",
    "network-awake",
];

/// Parts of a text that are a path, a command, or the machine's own name of something.
const OF_THE_MACHINE: &[&str] = &[
    "/etc",
    "/var",
    "/run",
    "/proc",
    "/sys",
    "/dev",
    "/usr",
    "/opt",
    ".toml",
    ".sqlite",
    ".sock",
    ".service",
    "`",
    "docker ",
    "systemctl",
    "journalctl",
    "maliknode ",
    "modprobe",
    "sudo",
    " nft ",
    " ip link",
    "adguard_",
    "wg-userspace",
    "$path",
    "$log",
    "$socket",
    "$container",
    "$file",
];

/// Returns the entries of a file as (id, text).
fn entries(file: &Path) -> Vec<(String, String)> {
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in fs::read_to_string(file).unwrap().lines() {
        match line.split_once(" =") {
            Some((id, text)) if !line.starts_with([' ', '#', '}']) => {
                entries.push((id.to_owned(), text.to_owned()));
            }
            _ if line.starts_with(' ') => {
                let (_, text) = entries
                    .last_mut()
                    .expect("an indented line continues an entry");
                text.push_str(line);
            }
            _ => {}
        }
    }
    entries
}

#[test]
fn tenants_read_no_path_command_or_container() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("locales/en");
    let mut read = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for (id, text) in entries(&path) {
            let by_code = id.starts_with("tenant-event-") || id.starts_with("code-");
            let of_code = id.starts_with("tenant-") && name == "tenants.ftl";
            let of_request = OF_REQUESTS.contains(&name.as_str());
            if !(by_code || of_code || of_request) || OF_OPERATORS.contains(&id.as_str()) {
                continue;
            }
            read += 1;
            for part in OF_THE_MACHINE {
                assert!(!text.contains(part), "{name}: {id} names {part:?}: {text}");
            }
        }
    }
    assert!(read > 200, "{read} texts");
}
