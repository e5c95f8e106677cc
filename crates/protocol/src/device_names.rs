//! The names by which a tenant's devices find each other inside the tunnel:
//! `phone.alice.internal`.
//!
//! They end in `internal`, which ICANN has reserved for private use (resolution 2024.07.29.06):
//! no public name ends so, and no public record answers for a device that is gone. Names
//! below the installation's own domain would not do: its wildcard record answers for every
//! one of them, and a browser that has seen one of its pages demands TLS below it (HSTS, RFC
//! 6797, 6.1.2), for which a device has no certificate.

use crate::DeviceSpec;
use domain::{DeviceId, DeviceLabel, TenantName, marks::DEVICE_NAMES};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// The most bytes of a label of DNS (RFC 1035, 2.3.4).
const MAX: usize = 63;

/// The names of a tenant's devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceNames(BTreeMap<DeviceId, String>);

impl DeviceNames {
    /// Returns the names of a tenant's devices: each has an id, the label that the tenant
    /// gave it, and its address.
    ///
    /// The name is the label in small letters, with a hyphen for all that DNS cannot have.
    /// A label with letters beyond ASCII is written in Punycode (RFC 3492), as browsers
    /// write it. Where that is longer than DNS allows, breaks a rule of IDNA, or leaves
    /// nothing, the name is `device-` and the last number of the address. Of two devices
    /// with one name, the older one has it, and the other the name with its number.
    pub fn of<'a>(
        tenant: &TenantName,
        devices: impl IntoIterator<Item = (DeviceId, &'a DeviceLabel, Ipv4Addr)>,
    ) -> Self {
        let devices = devices.into_iter();
        let devices: BTreeMap<_, _> = devices.map(|(id, label, at)| (id, (label, at))).collect();
        let mut taken = BTreeSet::new();
        let named = devices.into_iter().map(|(id, (label, address))| {
            let name = free_name(label, address, &taken);
            let full = format!("{name}.{}", Self::domain(tenant));
            taken.insert(name);
            (id, full)
        });
        Self(named.collect())
    }

    /// Returns the names of the devices of a spec.
    pub fn of_spec(tenant: &TenantName, devices: &BTreeMap<DeviceId, DeviceSpec>) -> Self {
        Self::of(
            tenant,
            devices.iter().map(|(id, d)| (*id, &d.label, d.address)),
        )
    }

    /// Returns the domain that the names of a tenant's devices are in.
    pub fn domain(tenant: &TenantName) -> String {
        format!("{tenant}.{DEVICE_NAMES}")
    }

    /// Returns a device's name; it is empty for one that is not among them.
    pub fn get(&self, id: DeviceId) -> &str {
        self.0.get(&id).map(String::as_str).unwrap_or_default()
    }
}

/// Returns a device's label of DNS that is not taken.
fn free_name(label: &DeviceLabel, address: Ipv4Addr, taken: &BTreeSet<String>) -> String {
    let [.., host] = address.octets();
    let own = dns_label(label.as_str());
    // What follows Punycode would become a part of it.
    let numbered = own.iter().filter(|name| !name.starts_with("xn--"));
    let numbered = numbered.map(|name| with_number(name, host));
    let candidates: Vec<String> = own.iter().cloned().chain(numbered).collect();
    let by_number = with_number("device", host);
    let more = (2_u16..).map(|n| format!("{by_number}-{n}"));
    let mut all = candidates
        .into_iter()
        .chain([by_number.clone()])
        .chain(more);
    all.find(|name| !taken.contains(name)).unwrap_or_default()
}

fn with_number(name: &str, host: u8) -> String {
    let number = format!("-{host}");
    let kept: String = name.chars().take(MAX - number.len()).collect();
    format!("{}{number}", kept.trim_end_matches('-'))
}

/// Returns what a device's label is in DNS, if it can be written there.
fn dns_label(label: &str) -> Option<String> {
    let mut text = String::new();
    for c in label.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() || !c.is_ascii() {
            text.push(c);
        } else if !text.ends_with('-') {
            text.push('-');
        }
    }
    let mut text = text.trim_matches('-');
    if text.is_ascii() {
        text = text[..text.len().min(MAX)].trim_end_matches('-');
    }
    let ascii = idna::domain_to_ascii(text).ok()?;
    let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=MAX).contains(&ascii.len());
    (fits && ascii.chars().all(is_label) && !ascii.starts_with('-') && !ascii.ends_with('-'))
        .then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(labels: &[&str]) -> Vec<String> {
        let tenant = TenantName::parse("alice").unwrap();
        let labels = labels.iter().map(|l| DeviceLabel::parse(l).unwrap());
        let labels: Vec<_> = labels.collect();
        let devices = labels.iter().zip(2_u8..).map(|(label, host)| {
            let id = DeviceId(i64::from(host));
            (id, label, Ipv4Addr::new(10, 88, 1, host))
        });
        let names = DeviceNames::of(&tenant, devices);
        let suffix = ".alice.internal";
        let of = |host| names.get(DeviceId(host)).strip_suffix(suffix).unwrap();
        (2..).take(labels.len()).map(|h| of(h).to_owned()).collect()
    }

    #[test]
    fn a_name_is_the_label_as_dns_has_it() {
        let labels = ["My Phone", "nas_2", "  TV (living room)!", "Büro", "书房"];
        let expected = [
            "my-phone",
            "nas-2",
            "tv-living-room",
            "xn--bro-hoa",
            "xn--2xy66p",
        ];
        let names = names(&labels);
        assert_eq!(names[..4], expected[..4]);
        assert!(names[4].starts_with("xn--"), "{}", names[4]);
    }

    #[test]
    fn a_label_that_dns_cannot_have_becomes_a_number() {
        // 63 Arabic letters: its Punycode is longer than a label of DNS.
        let arabic: String = "هاتف".chars().cycle().take(63).collect();
        // A right-to-left label with Latin letters (RFC 5893, 2); nothing; a second dot (UTS #46).
        let labels = [&arabic, "هاتف phone", "!?", "a。b"];
        let expected = ["device-2", "device-3", "device-4", "device-5"];
        assert_eq!(names(&labels), expected);
        assert_eq!(names(&["هاتف", "xn--a"]), ["xn--mgbg3eva", "xn-a"]);
    }

    #[test]
    fn names_are_unique_and_short_enough() {
        let long = "a".repeat(64);
        let other = format!("{}b", "a".repeat(63));
        let labels = [
            &long,
            &other,
            "my phone",
            "my-phone",
            "my.phone",
            "my phone 6",
        ];
        let found = names(&labels);
        assert_eq!(found[0], "a".repeat(63));
        assert_eq!(found[1], format!("{}-3", "a".repeat(61)));
        assert_eq!(
            found[2..],
            ["my-phone", "my-phone-5", "my-phone-6", "my-phone-6-7"]
        );
        assert_eq!(names(&["device 3", "!"]), ["device-3", "device-3-2"]);
        let unique: BTreeSet<_> = found.iter().collect();
        assert_eq!(unique.len(), found.len());
        assert!(found.iter().all(|name| name.len() <= MAX));
    }
}
