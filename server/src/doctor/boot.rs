//! Whether containers are without the firewall table at a boot: systemd starts Docker,
//! and Docker the containers, before the server runs.

use super::report::{Check, run};
use domain::Message;
use std::{fs, path::Path};

const NAME: Message = Message::CheckBoot;
const UNIT: &str = "maliknode-firewall.service";

/// Where systemd looks for units (`systemd.unit(5)`).
const UNIT_FOLDERS: [&str; 4] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Returns nothing where systemd does not run or does not start Docker.
pub(super) fn check() -> Option<Check> {
    check_below(Path::new("/"))
}

fn check_below(root: &Path) -> Option<Check> {
    // sd_booted(3).
    let has_systemd = root.join("run/systemd/system").is_dir();
    let mut folders = UNIT_FOLDERS.iter().map(|folder| root.join(folder));
    if !has_systemd || !folders.any(|folder| folder.join("docker.service").exists()) {
        return None;
    }
    Some(match is_enabled(&root.join(UNIT_FOLDERS[0])) {
        true => Check::ok(NAME, Message::BootTableFirst),
        false => Check::warn(
            NAME,
            Message::BootTableLate,
            run(format!(
                "cp deploy/{UNIT} /etc/systemd/system/; systemctl daemon-reload; systemctl enable {UNIT}"
            )),
        ),
    })
}

/// Returns whether `systemctl enable` has linked the unit into another one's folder.
fn is_enabled(units: &Path) -> bool {
    let folders = fs::read_dir(units).into_iter().flatten().flatten();
    folders.map(|folder| folder.path()).any(|folder| {
        let starts_it = folder
            .extension()
            .is_some_and(|e| e == "wants" || e == "requires");
        // The link may point to where the unit was: then it is not started.
        starts_it && folder.join(UNIT).exists()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;
    use std::os::unix::fs::symlink;

    fn make(root: &Path, path: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn only_systemd_with_docker_needs_the_unit() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let state = || check_below(root).map(|c| c.state);
        assert_eq!(state(), None);
        make(root, "usr/lib/systemd/system/docker.service");
        assert_eq!(state(), None, "systemd does not run");
        fs::create_dir_all(root.join("run/systemd/system")).unwrap();
        assert_eq!(state(), Some(State::Warn));
        make(root, "etc/systemd/system/maliknode-firewall.service");
        assert_eq!(state(), Some(State::Warn), "not enabled");
        let wants = root.join("etc/systemd/system/docker.service.wants");
        fs::create_dir_all(&wants).unwrap();
        symlink(
            root.join("etc/systemd/system/maliknode-firewall.service"),
            wants.join(UNIT),
        )
        .unwrap();
        assert_eq!(state(), Some(State::Ok));
        fs::remove_file(root.join("etc/systemd/system/maliknode-firewall.service")).unwrap();
        assert_eq!(state(), Some(State::Warn), "the unit was deleted");
    }
}
