//! When counters are read: by the boot of this machine and the time since then. Neither
//! depends on the date, which may be set, and both go on while the machine is suspended.

use nix::time::{ClockId, clock_gettime};
use protocol::ReadingOrder;
use std::{fs, sync::LazyLock};

/// The kernel's name of this boot (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

static BOOT: LazyLock<Option<String>> = LazyLock::new(|| {
    let read = fs::read_to_string(BOOT_ID);
    let read = read.inspect_err(|error| tracing::warn!(%error, "{BOOT_ID} cannot be read"));
    read.ok().map(|text| text.trim().to_owned())
});

/// Returns the order of a reading that begins now; `None` where the machine does not tell
/// its boot.
pub(super) fn now() -> Option<ReadingOrder> {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?;
    let seconds = u64::try_from(time.tv_sec()).ok()?;
    let nanos = u64::try_from(time.tv_nsec()).ok()?;
    Some(ReadingOrder {
        boot: BOOT.clone()?,
        nanos: seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_reading_is_later() {
        let (first, second) = (now().unwrap(), now().unwrap());
        assert_eq!(first.boot, second.boot);
        assert!(first.nanos < second.nanos);
        assert_eq!(ReadingOrder::parse(&first.to_string()), Some(first));
    }
}
