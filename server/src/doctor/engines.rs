//! The address ranges of container engines that are on this machine and have no link now:
//! the kernel's routes do not show them, and a network that they make later would cut
//! tenants off.

use ipnet::Ipv4Net;
use serde_json::Value;
use std::{fs, path::Path};

/// Where Podman (containers.conf(5), podman-network(1)) and CNI (Kubernetes) keep networks.
const FOLDERS: [&str; 3] = [
    "etc/containers/networks",
    "var/lib/cni/networks-config",
    "etc/cni/net.d",
];
/// Podman's network where its folder names none (podman-network(1)).
const PODMAN: &str = "10.88.0.0/16";
/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Returns the ranges with the files that name them.
pub(super) fn ranges() -> Vec<(String, Ipv4Net)> {
    ranges_below(Path::new("/"))
}

fn ranges_below(root: &Path) -> Vec<(String, Ipv4Net)> {
    let mut all = Vec::new();
    for folder in FOLDERS {
        let files = fs::read_dir(root.join(folder)).into_iter().flatten();
        for file in files.flatten() {
            let is_small = file
                .metadata()
                .is_ok_and(|m| m.is_file() && m.len() <= LARGEST);
            let text = is_small.then(|| fs::read_to_string(file.path()));
            let Some(json) = text
                .and_then(Result::ok)
                .and_then(|text| serde_json::from_str::<Value>(&text).ok())
            else {
                continue;
            };
            let name = format!("/{folder}/{}", file.file_name().to_string_lossy());
            let found = subnets(&json);
            all.extend(found.into_iter().map(|net| (name.clone(), net)));
        }
    }
    let has_podman = ["usr/bin/podman", "usr/local/bin/podman"]
        .iter()
        .any(|program| root.join(program).exists());
    let default = root.join("etc/containers/networks/podman.json");
    let cni = root.join("etc/cni/net.d/87-podman-bridge.conflist");
    if has_podman && !default.exists() && !cni.exists() {
        let net = PODMAN.parse().ok();
        all.extend(net.map(|net| ("podman".to_owned(), net)));
    }
    all
}

/// Returns the values of `subnet`, at whatever depth: the two programs and their versions
/// differ in it.
fn subnets(json: &Value) -> Vec<Ipv4Net> {
    match json {
        Value::Object(object) => {
            let own = object.get("subnet").and_then(Value::as_str);
            let own = own.and_then(|text| text.parse().ok());
            own.into_iter()
                .chain(object.values().flat_map(subnets))
                .collect()
        }
        Value::Array(list) => list.iter().flat_map(subnets).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_podman_and_cni_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let found = || {
            let all = ranges_below(root).into_iter();
            let mut all: Vec<String> = all.map(|(f, net)| format!("{f} {net}")).collect();
            all.sort();
            all
        };
        assert_eq!(found(), [""; 0]);
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("usr/bin/podman", "");
        assert_eq!(found(), ["podman 10.88.0.0/16"]);
        write(
            "etc/containers/networks/podman.json",
            r#"{"name":"podman","subnets":[{"subnet":"10.77.0.0/16","gateway":"10.77.0.1"}]}"#,
        );
        write(
            "etc/cni/net.d/10-flannel.conflist",
            r#"{"plugins":[{"ipam":{"ranges":[[{"subnet":"10.244.0.0/24"}],[{"subnet":"fd00::/64"}]]}}]}"#,
        );
        write("etc/cni/net.d/broken", "{");
        assert_eq!(
            found(),
            [
                "/etc/cni/net.d/10-flannel.conflist 10.244.0.0/24",
                "/etc/containers/networks/podman.json 10.77.0.0/16"
            ]
        );
    }
}
