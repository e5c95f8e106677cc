//! Cases about the machine: which WireGuard is detected, and the reserved ports.

use crate::{
    bed::{Side, TestBed},
    case,
};
use domain::ErrorCode;
use std::fs;
use testkit::wireguard_contract::Tally;
use wireguard::{Choice, Implementation, Settings, detect, examine, reserve_ports};

pub async fn run(bed: &TestBed, filter: &str, tally: &mut Tally) {
    let name = "the_right_wireguard_is_detected";
    case(tally, filter, name, detected(bed)).await;
    let name = "other_reserved_ports_stay_reserved";
    case(tally, filter, name, reserved()).await;
}

async fn detected(bed: &TestBed) {
    let settings = |choice| Settings {
        choice,
        exe: std::env::current_exe().expect("the path of this program"),
        unit: None,
        socket: bed.socket(),
        log: bed.log(),
    };
    let ours = examine(Choice::Userspace).await.expect("userspace");
    assert_eq!(ours.chosen, Implementation::Userspace);
    let auto = detect(&settings(Choice::Auto)).await.expect("auto");
    let words = auto.wireguard.describe();
    match bed.side {
        Side::Kernel => {
            assert_eq!(auto.detection.chosen, Implementation::Kernel);
            assert!(words.contains("kernel"), "{words}");
            examine(Choice::Kernel).await.expect("kernel");
        }
        // The machine's kernel may have WireGuard as well.
        Side::Userspace => match examine(Choice::Kernel).await {
            Ok(_) => assert_eq!(auto.detection.chosen, Implementation::Kernel),
            Err(e) => {
                assert_eq!(e.code, ErrorCode::WireguardUnavailable);
                assert_eq!(e.message, domain::Message::KernelWireguardMissing);
                assert_eq!(auto.detection.chosen, Implementation::Userspace);
                assert!(words.contains("userspace"), "{words}");
            }
        },
    }
    assert!(!auto.detection.why.code().is_empty());
    // The probe leaves nothing behind.
    let links = auto.wireguard.observe().await.expect("observe");
    assert!(links.is_empty());
    let probe = bed.handle.link().get().match_name("mnprobe0").execute();
    let left = futures_util::TryStreamExt::try_next(&mut Box::pin(probe)).await;
    assert!(left.is_err(), "the probe link still exists");
}

async fn reserved() {
    let file = "/proc/sys/net/ipv4/ip_local_reserved_ports";
    fs::write(file, "8080,51900-51910").expect("reserve some");
    assert!(reserve_ports().expect("reserve"));
    let now = fs::read_to_string(file).expect("read");
    assert_eq!(now.trim(), "8080,51800-52800");
    assert!(!reserve_ports().expect("reserve again"));
}
