//! What the views mean to people: a device's connection, the health of the
//! tenant's parts, how much of a plan is used. Pure; components only draw it.

use crate::ui::{Glyph, Tone, format};
use domain::{
    Part, Problem, TenantStatus, Timestamp,
    view::{DashboardView, DeviceRow},
};

/// Whether a device is on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// A handshake in the last three minutes.
    Online,
    /// It was, once.
    Away,
    /// It never was.
    Never,
}

impl Connection {
    /// A device's, at the server's time `now`.
    pub fn of(device: &DeviceRow, now: Timestamp) -> Self {
        match device.last_handshake {
            None => Self::Never,
            Some(_) if device.is_online(now) => Self::Online,
            Some(_) => Self::Away,
        }
    }

    /// The tone of its dot.
    pub const fn tone(self) -> Tone {
        match self {
            Self::Online => Tone::Live,
            Self::Away => Tone::Plain,
            Self::Never => Tone::Warn,
        }
    }

    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Online => "Connected",
            Self::Away => "Not connected",
            Self::Never => "Not connected yet",
        }
    }
}

/// "↓ 8.2 ↑ 0.6 Mb/s".
pub fn speed_text(device: &DeviceRow) -> String {
    format!(
        "↓ {} ↑ {} Mb/s",
        format::megabits(device.down_bps),
        format::megabits(device.up_bps)
    )
}

/// What stands under a device's name where there is little room: its speed
/// while it is connected, else when it was.
pub fn brief(device: &DeviceRow, now: Timestamp) -> String {
    match (Connection::of(device, now), device.last_handshake) {
        (Connection::Online, _) => speed_text(device),
        (_, Some(at)) => at.ago(now),
        (_, None) => Connection::Never.text().to_owned(),
    }
}

/// Who, when and how much, in one sentence: for hovers and screen readers.
pub fn sentence(device: &DeviceRow, now: Timestamp) -> String {
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

/// The picture of a device, guessed from what its owner calls it.
pub fn glyph(label: &str) -> Glyph {
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
    // Short words count as words only: "pc" is not in "upcycled".
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

/// How the tenant's parts are, for the chip beside the heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The chip's tone.
    pub tone: Tone,
    /// "Tunnel up · DNS answering".
    pub text: String,
}

/// The state of all parts in a few words.
pub fn health(status: &TenantStatus) -> Health {
    let both = [&status.firewall, &status.tunnel];
    let tunnel = if both.iter().all(|p| p.is_ready()) {
        "Tunnel up"
    } else if both.iter().any(|p| p.problem().is_some()) {
        "Tunnel down"
    } else {
        "Tunnel starting"
    };
    let dns = match &status.dns {
        Part::Ready { .. } => "DNS answering",
        Part::Problem(_) => "DNS filter not answering",
        Part::Waiting | Part::Working => "DNS starting",
    };
    let tone = match status.problem() {
        _ if status.is_ready() => Tone::Live,
        Some(_) if both.iter().any(|p| p.problem().is_some()) => Tone::Bad,
        _ => Tone::Warn,
    };
    Health {
        tone,
        text: format!("{tunnel} · {dns}"),
    }
}

/// Every problem with the part it concerns, each sentence once: a machine
/// without nftables has one problem, not three.
pub fn troubles(status: &TenantStatus) -> Vec<(&'static str, Problem)> {
    let mut found: Vec<(&'static str, Problem)> = Vec::new();
    for (part, about) in [
        (&status.firewall, "Firewall"),
        (&status.tunnel, "Tunnel"),
        (&status.dns, "DNS"),
    ] {
        if let Some(problem) = part.problem()
            && !found.iter().any(|(_, p)| p.sentence == problem.sentence)
        {
            found.push((about, problem.clone()));
        }
    }
    found
}

/// The numbers above everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Devices that are connected.
    pub online: usize,
    /// Devices there are.
    pub devices: usize,
    /// Bits a second towards them, together.
    pub down_bps: u64,
    /// Bits a second from them, together.
    pub up_bps: u64,
}

/// Adds the devices up.
pub fn totals(view: &DashboardView) -> Totals {
    view.devices.iter().fold(Totals::default(), |t, d| Totals {
        online: t.online + usize::from(d.is_online(view.now)),
        devices: t.devices + 1,
        down_bps: t.down_bps.saturating_add(d.down_bps),
        up_bps: t.up_bps.saturating_add(d.up_bps),
    })
}

/// "of 500 GB · starts anew in 8 days", "no limit in your plan".
pub fn month_note(view: &DashboardView) -> String {
    match view.plan.monthly_bytes {
        None => "no limit in your plan".to_owned(),
        Some(limit) => {
            let days = format::days_to_next_month(view.now);
            let s = if days == 1 { "" } else { "s" };
            format!("of {} · starts anew in {days} day{s}", round_bytes(limit))
        }
    }
}

/// "500 GB" and not "500.0 GB".
fn round_bytes(bytes: u64) -> String {
    format::bytes(bytes).replace(".0 ", " ")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use domain::{DeviceId, ErrorCode, FilterPolicy, Plan};

    /// A device for tests of pages.
    pub fn device(id: i64, label: &str, handshake: Option<i64>) -> DeviceRow {
        DeviceRow {
            id: DeviceId(id),
            label: label.to_owned(),
            address: format!("10.88.1.{}", id + 1),
            policy: FilterPolicy::Standard,
            mesh: true,
            last_handshake: handshake.map(Timestamp::from_secs),
            down_bytes: 0,
            up_bytes: 0,
            down_bps: 8_200_000,
            up_bps: 600_000,
        }
    }

    /// A dashboard for tests of pages, at 1,000 s.
    pub fn view(devices: Vec<DeviceRow>) -> DashboardView {
        DashboardView {
            now: Timestamp::from_secs(1_000),
            name: "abcd".into(),
            plan: Plan {
                id: "home".into(),
                name: "Home".into(),
                devices: 10,
                monthly_bytes: Some(500_000_000_000),
                speed_bps: None,
                recommended: true,
            },
            gateway: "10.88.1.1".into(),
            status: TenantStatus::default(),
            devices,
            speed: vec![],
            month_bytes: 0,
            queries: None,
        }
    }

    fn problem(sentence: &str) -> Part {
        Part::Problem(Problem {
            code: ErrorCode::Internal,
            sentence: sentence.to_owned(),
        })
    }

    #[test]
    fn a_device_is_lit_for_three_minutes_after_a_handshake() {
        let now = Timestamp::from_secs(1_000);
        for (at, connection, text) in [
            (None, Connection::Never, "Not connected yet"),
            (Some(821), Connection::Online, "↓ 8.2 ↑ 0.6 Mb/s"),
            (Some(820), Connection::Away, "3 min ago"),
        ] {
            let d = device(1, "My phone", at);
            assert_eq!(Connection::of(&d, now), connection);
            assert_eq!(brief(&d, now), text);
        }
        assert_eq!(
            sentence(&device(1, "My phone", Some(988)), now),
            "My phone, 10.88.1.2, connected, last handshake 12 s ago, \
             down 8.2 Mb/s, up 600 kb/s, in the mesh"
        );
    }

    #[test]
    fn the_chip_tells_tunnel_and_dns_apart() {
        let ready = Part::Ready { took_ms: 3 };
        let mut s = TenantStatus {
            firewall: ready.clone(),
            tunnel: ready.clone(),
            dns: ready.clone(),
        };
        assert_eq!(health(&s).text, "Tunnel up · DNS answering");
        assert_eq!(health(&s).tone, Tone::Live);
        s.dns = problem("The image is missing.");
        assert_eq!(health(&s).text, "Tunnel up · DNS filter not answering");
        assert_eq!(health(&s).tone, Tone::Warn);
        s.firewall = problem("nft is missing.");
        assert_eq!(health(&s).tone, Tone::Bad);
        assert_eq!(troubles(&s).len(), 2);
        s.dns = problem("nft is missing.");
        assert_eq!(troubles(&s).len(), 1, "one cause, told once");
        assert_eq!(
            health(&TenantStatus::default()).text,
            "Tunnel starting · DNS starting"
        );
    }

    #[test]
    fn labels_choose_their_pictures_by_whole_words() {
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
            assert_eq!(glyph(label), wanted, "{label}");
        }
    }

    #[test]
    fn totals_add_up_and_the_month_ends() {
        let mut view = view(vec![
            device(1, "a", Some(1_795_469_600)),
            device(2, "b", None),
        ]);
        view.now = Timestamp::from_secs(1_795_469_662);
        let t = totals(&view);
        assert_eq!((t.online, t.devices, t.down_bps), (1, 2, 16_400_000));
        assert_eq!(month_note(&view), "of 500 GB · starts anew in 8 days");
        view.plan.monthly_bytes = None;
        assert_eq!(month_note(&view), "no limit in your plan");
    }
}
