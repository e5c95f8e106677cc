//! What the numbers of a view mean to a person: whether a device is connected,
//! how it is described. These functions are pure;
//! components only draw their results.

use crate::ui::{Glyph, Tone, format};
use domain::{
    Timestamp,
    view::{DeviceRow, NetworkView},
};

/// Whether a device is on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Its last handshake was less than three minutes ago.
    Online,
    /// It was connected before.
    Away,
    /// It was never connected.
    Never,
}

impl Connection {
    /// Returns the state of `device` at the server's time `now`.
    pub fn of(device: &DeviceRow, now: Timestamp) -> Self {
        match device.last_handshake {
            None => Self::Never,
            Some(_) if device.is_online(now) => Self::Online,
            Some(_) => Self::Away,
        }
    }

    /// Returns the tone of its dot.
    pub const fn tone(self) -> Tone {
        match self {
            Self::Online => Tone::Live,
            Self::Away => Tone::Plain,
            Self::Never => Tone::Warn,
        }
    }

    /// Returns it in words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Online => "Connected",
            Self::Away => "Not connected",
            Self::Never => "Not connected yet",
        }
    }
}

/// Formats a device's speed: "↓ 8.2 ↑ 0.6 Mb/s".
pub fn speed_text(device: &DeviceRow) -> String {
    format!(
        "↓ {} ↑ {} Mb/s",
        format::megabits(device.down_bps),
        format::megabits(device.up_bps)
    )
}

/// Returns the line below a device's name where there is little space: its speed
/// while it is connected, otherwise the time since its last handshake.
pub fn short_status(device: &DeviceRow, now: Timestamp) -> String {
    match (Connection::of(device, now), device.last_handshake) {
        (Connection::Online, _) => speed_text(device),
        (_, Some(at)) => at.ago(now),
        (_, None) => Connection::Never.text().to_owned(),
    }
}

/// Describes a device in one line (name, address, state, speed), for hovers and
/// screen readers.
pub fn description(device: &DeviceRow, now: Timestamp) -> String {
    let state = Connection::of(device, now).text().to_lowercase();
    let mut text = format!("{}, {}, {state}", device.label, device.address);
    if let Some(at) = device.last_handshake {
        text.push_str(&format!(", last handshake {}", at.ago(now)));
    }
    if device.is_online(now) {
        text.push_str(&format!(
            ", down {}, up {}",
            format::bits(device.down_bps),
            format::bits(device.up_bps)
        ));
    }
    if device.mesh {
        text.push_str(", in the mesh");
    }
    text
}

/// Guesses a device's icon from its label.
pub fn device_glyph(label: &str) -> Glyph {
    const WORDS: [(Glyph, &[&str]); 4] = [
        (
            Glyph::Phone,
            &[
                "phone", "mobile", "pixel", "galaxy", "android", "tablet", "ipad", "handy",
            ],
        ),
        (
            Glyph::Laptop,
            &[
                "laptop", "book", "desktop", "computer", "thinkpad", "mac", "pc", "work",
            ],
        ),
        (
            Glyph::Tv,
            &[
                "tv",
                "television",
                "chromecast",
                "console",
                "playstation",
                "xbox",
            ],
        ),
        (
            Glyph::Router,
            &["router", "gateway", "access point", "cabin", "openwrt"],
        ),
    ];
    let label = label.to_lowercase();
    // Words of up to three letters match whole words only: "upcycled" has no "pc".
    let has = |word: &str| {
        if word.len() > 3 {
            label.contains(word)
        } else {
            label
                .split(|c: char| !c.is_alphanumeric())
                .any(|w| w == word)
        }
    };
    WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|w| has(w)))
        .map_or(Glyph::Devices, |(glyph, _)| *glyph)
}

/// The sums over all devices of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The number of connected devices.
    pub online: usize,
    /// The number of devices.
    pub devices: usize,
    /// Bits per second towards all devices.
    pub down_bps: u64,
    /// Bits per second from all devices.
    pub up_bps: u64,
}

/// Adds up the devices.
pub fn totals(view: &NetworkView) -> Totals {
    view.devices.iter().fold(Totals::default(), |t, d| Totals {
        online: t.online + usize::from(d.is_online(view.now)),
        devices: t.devices + 1,
        down_bps: t.down_bps.saturating_add(d.down_bps),
        up_bps: t.up_bps.saturating_add(d.up_bps),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::fixture::{device, view};

    #[test]
    fn a_device_is_online_for_three_minutes() {
        let now = Timestamp::from_secs(1_000);
        for (at, connection, text) in [
            (None, Connection::Never, "Not connected yet"),
            (Some(821), Connection::Online, "↓ 8.2 ↑ 0.6 Mb/s"),
            (Some(820), Connection::Away, "3 min ago"),
        ] {
            let d = device(1, "My phone", at);
            assert_eq!(Connection::of(&d, now), connection);
            assert_eq!(short_status(&d, now), text);
        }
        assert_eq!(
            description(&device(1, "My phone", Some(988)), now),
            "My phone, 10.88.1.2, connected, last handshake 12 s ago, \
             down 8.2 Mb/s, up 600 kb/s, in the mesh"
        );
    }

    #[test]
    fn labels_choose_icons_by_whole_words() {
        for (label, wanted) in [
            ("My phone", Glyph::Phone),
            ("Anna's iPad", Glyph::Phone),
            ("Work laptop", Glyph::Laptop),
            ("MacBook Pro", Glyph::Laptop),
            ("Living-room TV", Glyph::Tv),
            ("Cabin router", Glyph::Router),
            ("upcycled tvsomething", Glyph::Devices),
            ("书房", Glyph::Devices),
        ] {
            assert_eq!(device_glyph(label), wanted, "{label}");
        }
    }

    #[test]
    fn totals_add_up() {
        let mut view = view(vec![
            device(1, "a", Some(1_795_469_600)),
            device(2, "b", None),
        ]);
        view.now = Timestamp::from_secs(1_795_469_662);
        let t = totals(&view);
        assert_eq!((t.online, t.devices, t.down_bps), (1, 2, 16_400_000));
    }
}
