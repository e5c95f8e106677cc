//! `[limits]`: how much of what all tenants share one of them may take. As in
//! `settings.rs`, a field is the flag, the variable, the file's key, the line of the
//! help and, in `Default`, the value where it is not set.

use super::error::{ConfigError, bad};
use clap::{ArgAction, Args};
use serde::{Deserialize, Serialize};
use std::{ops::RangeInclusive, time::Duration};

/// `[limits]`, as the operator writes it and, once checked, as it is in force.
#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Connections of one device at a time [default: 2000]
    #[arg(
        id = "limits.connections_per_device",
        long = "limits-connections-per-device",
        global = true,
        env = "MALIKNODE_LIMITS_CONNECTIONS_PER_DEVICE",
        value_name = "N"
    )]
    pub connections_per_device: u32,

    /// Connections of all devices of a tenant at a time [default: 16000]
    #[arg(
        id = "limits.connections_per_tenant",
        long = "limits-connections-per-tenant",
        global = true,
        env = "MALIKNODE_LIMITS_CONNECTIONS_PER_TENANT",
        value_name = "N"
    )]
    pub connections_per_tenant: u32,

    /// Connections of a tenant to one address and port at a time, of the 41,560 source ports that
    /// all tenants share there [default: 4000]
    #[arg(
        id = "limits.connections_per_destination",
        long = "limits-connections-per-destination",
        global = true,
        env = "MALIKNODE_LIMITS_CONNECTIONS_PER_DESTINATION",
        value_name = "N"
    )]
    pub connections_per_destination: u32,

    /// New connections a second of one device, ten seconds' worth of them at once [default: 200]
    #[arg(
        id = "limits.new_per_device",
        long = "limits-new-per-device",
        global = true,
        env = "MALIKNODE_LIMITS_NEW_PER_DEVICE",
        value_name = "N"
    )]
    pub new_per_device: u32,

    /// New connections a second of all devices of a tenant, ten seconds' worth of them at once
    /// [default: 500]
    #[arg(
        id = "limits.new_per_tenant",
        long = "limits-new-per-tenant",
        global = true,
        env = "MALIKNODE_LIMITS_NEW_PER_TENANT",
        value_name = "N"
    )]
    pub new_per_tenant: u32,

    /// Encrypted packets a second that a tenant's devices may send together, a quarter of a
    /// second's worth of them at once, where its plan has no limit on speed; other plans have
    /// what their speed needs [default: 100000]
    #[arg(
        id = "limits.tunnel_packets",
        long = "limits-tunnel-packets",
        global = true,
        env = "MALIKNODE_LIMITS_TUNNEL_PACKETS",
        value_name = "N"
    )]
    pub tunnel_packets: u32,

    /// How long a TCP connection is remembered that is established and idle, for the whole
    /// machine, seconds; a longer setting of the kernel is lowered [default: 7440]
    #[arg(
        id = "limits.established_seconds",
        long = "limits-established-seconds",
        global = true,
        env = "MALIKNODE_LIMITS_ESTABLISHED_SECONDS",
        value_name = "SECONDS"
    )]
    pub established_seconds: u32,

    /// DNS queries a second of one device [default: 100]
    #[arg(
        id = "limits.dns_per_second",
        long = "limits-dns-per-second",
        global = true,
        env = "MALIKNODE_LIMITS_DNS_PER_SECOND",
        value_name = "N"
    )]
    pub dns_per_second: u32,

    /// DNS queries that a device may send at once after a pause [default: 500]
    #[arg(
        id = "limits.dns_burst",
        long = "limits-dns-burst",
        global = true,
        env = "MALIKNODE_LIMITS_DNS_BURST",
        value_name = "N"
    )]
    pub dns_burst: u32,

    /// Processors that a tenant's DNS container may use, e.g. 0.5 [default: 0.5]
    #[arg(
        id = "limits.dns_cpus",
        long = "limits-dns-cpus",
        global = true,
        env = "MALIKNODE_LIMITS_DNS_CPUS",
        value_name = "CPUS"
    )]
    pub dns_cpus: f64,

    /// Whether tenants may send mail by port 25: true or false [default: false]
    #[arg(
        id = "limits.smtp_open",
        long = "limits-smtp-open",
        global = true,
        env = "MALIKNODE_LIMITS_SMTP_OPEN",
        value_name = "BOOL",
        action = ArgAction::Set
    )]
    pub smtp_open: bool,

    /// Disk space of a tenant above which its oldest query log is deleted, MiB [default: 256]
    #[arg(
        id = "limits.disk_soft_mb",
        long = "limits-disk-soft-mb",
        global = true,
        env = "MALIKNODE_LIMITS_DISK_SOFT_MB",
        value_name = "MIB"
    )]
    pub disk_soft_mb: u64,

    /// Disk space of a tenant above which its DNS container is stopped, MiB [default: 512]
    #[arg(
        id = "limits.disk_hard_mb",
        long = "limits-disk-hard-mb",
        global = true,
        env = "MALIKNODE_LIMITS_DISK_HARD_MB",
        value_name = "MIB"
    )]
    pub disk_hard_mb: u64,

    /// Part of the disk that stays free of what tenants write, percent [default: 5]
    #[arg(
        id = "limits.disk_free_percent",
        long = "limits-disk-free-percent",
        global = true,
        env = "MALIKNODE_LIMITS_DISK_FREE_PERCENT",
        value_name = "PERCENT"
    )]
    pub disk_free_percent: u8,

    /// Connections to the pages from one address (IPv6: one /64); trusted proxies have no limit
    /// [default: 256]
    #[arg(
        id = "limits.web_connections",
        long = "limits-web-connections",
        global = true,
        env = "MALIKNODE_LIMITS_WEB_CONNECTIONS",
        value_name = "N"
    )]
    pub web_connections: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_device: 2000,
            connections_per_tenant: 16_000,
            connections_per_destination: 4000,
            new_per_device: 200,
            new_per_tenant: 500,
            tunnel_packets: 100_000,
            // RFC 5382, REQ-5: at least two hours and four minutes. Keepalives are sent
            // every two hours.
            established_seconds: 7440,
            dns_per_second: 100,
            dns_burst: 500,
            dns_cpus: 0.5,
            smtp_open: false,
            disk_soft_mb: 256,
            disk_hard_mb: 512,
            disk_free_percent: 5,
            web_connections: 256,
        }
    }
}

impl Limits {
    /// Checks each value, and that they agree.
    ///
    /// # Errors
    /// A message that names the setting.
    pub(super) fn check(self) -> Result<Self, ConfigError> {
        // Those of the firewall are its own bounds (`FirewallSettings::check`), with the
        // names of the settings.
        for (key, value, range) in [
            (
                "limits.connections_per_device",
                self.connections_per_device,
                100..=65_536,
            ),
            (
                "limits.connections_per_tenant",
                self.connections_per_tenant,
                1000..=262_144,
            ),
            // As many source ports as all tenants share towards a destination.
            (
                "limits.connections_per_destination",
                self.connections_per_destination,
                100..=41_560,
            ),
            ("limits.new_per_device", self.new_per_device, 10..=100_000),
            ("limits.new_per_tenant", self.new_per_tenant, 10..=100_000),
            // Userspace WireGuard decrypts some 100,000 on a processor.
            (
                "limits.tunnel_packets",
                self.tunnel_packets,
                1000..=8_000_000,
            ),
            (
                "limits.established_seconds",
                self.established_seconds,
                300..=432_000,
            ),
            ("limits.dns_per_second", self.dns_per_second, 5..=100_000),
            ("limits.dns_burst", self.dns_burst, 5..=1_000_000),
            // A browser opens six to a host, and a page keeps one of them open.
            ("limits.web_connections", self.web_connections, 16..=4096),
        ] {
            within(key, value, range)?;
        }
        // Less is not enough for AdGuard Home's start; more is no limit anywhere.
        within("limits.dns_cpus", self.dns_cpus, 0.05..=64.0)?;
        // AdGuard Home's own lists and statistics have some dozens of MiB.
        within("limits.disk_soft_mb", self.disk_soft_mb, 64..=1 << 20)?;
        within("limits.disk_hard_mb", self.disk_hard_mb, 64..=1 << 20)?;
        within("limits.disk_free_percent", self.disk_free_percent, 1..=50)?;
        for (key, small, large, name) in [
            (
                "limits.connections_per_device",
                u64::from(self.connections_per_device),
                u64::from(self.connections_per_tenant),
                "connections_per_tenant",
            ),
            (
                "limits.connections_per_destination",
                u64::from(self.connections_per_destination),
                u64::from(self.connections_per_tenant),
                "connections_per_tenant",
            ),
            (
                "limits.new_per_device",
                u64::from(self.new_per_device),
                u64::from(self.new_per_tenant),
                "new_per_tenant",
            ),
            (
                "limits.disk_soft_mb",
                self.disk_soft_mb,
                self.disk_hard_mb,
                "disk_hard_mb",
            ),
        ] {
            if small > large {
                return Err(bad(key, format!("{small} is more than {name}, {large}.")));
            }
        }
        Ok(self)
    }

    /// Returns how long an idle TCP connection is remembered.
    pub fn established(&self) -> Duration {
        Duration::from_secs(self.established_seconds.into())
    }

    /// Returns the processors of a DNS container, in thousandths.
    pub fn dns_cpu_thousandths(&self) -> u32 {
        // At most 64,000, and never NaN: both are checked.
        (self.dns_cpus * 1000.0).round() as u32
    }
}

/// Refuses a value outside of its range; NaN is outside of every range.
fn within<T: PartialOrd + std::fmt::Display>(
    key: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    match range.contains(&value) {
        true => Ok(()),
        false => {
            let (least, most) = range.into_inner();
            Err(bad(key, format!("{value} is not in {least} to {most}.")))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn config(limits: &str) -> Result<Config, String> {
        let text = format!("[limits]\n{limits}\n");
        let parsed = Config::from_text("/nowhere".into(), "config.toml".into(), &text);
        parsed.map_err(|e| e.to_string())
    }

    #[test]
    fn the_file_sets_each_limit() {
        let config =
            config("smtp_open = true\ndns_cpus = 2\nconnections_per_device = 100").unwrap();
        let limits = &config.limits;
        assert!(limits.smtp_open);
        assert_eq!(limits.dns_cpu_thousandths(), 2000);
        assert_eq!(limits.connections_per_device, 100);
        let printed = config.to_toml();
        for line in [
            "[limits]",
            "dns_cpus = 2.0",
            "smtp_open = true",
            "dns_burst = 500",
        ] {
            assert!(printed.lines().any(|l| l == line), "{line}: {printed}");
        }
    }

    #[test]
    fn absurd_values_are_refused_by_name() {
        for (key, values) in [
            (
                "connections_per_device",
                "0 99 65537 4294967296 -1 1.5 \"viele\" true",
            ),
            ("connections_per_tenant", "0 999 262145 -16000 \"١٦٠٠٠\""),
            ("connections_per_destination", "0 99 41561"),
            ("new_per_device", "0 9 100001"),
            ("new_per_tenant", "0 9 100001"),
            ("tunnel_packets", "0 999 8000001"),
            ("established_seconds", "0 299 432001 \"2h\""),
            ("dns_per_second", "0 4 100001 \"∞\""),
            ("dns_burst", "0 1000001"),
            ("dns_cpus", "0 -0.5 0.01 65 1e300 nan inf \"½\""),
            ("smtp_open", "0 1 \"true\" \"nein\""),
            ("disk_soft_mb", "0 63 1048577"),
            ("disk_hard_mb", "0 63 9223372036854775807"),
            ("disk_free_percent", "0 51 100 256"),
            ("web_connections", "0 15 4097"),
        ] {
            for value in values.split(' ') {
                let refused = config(&format!("{key} = {value}")).err();
                let message = refused.unwrap_or_else(|| panic!("{key} = {value} is accepted"));
                let name = format!("limits.{key}");
                assert!(message.contains(&name), "{key} = {value}: {message}");
            }
        }
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        for text in [
            "connections_per_device = 16001",
            "connections_per_tenant = 1999",
            "connections_per_tenant = 3999",
            "new_per_device = 501",
            "disk_soft_mb = 513",
            "disk_hard_mb = 255",
        ] {
            let message = config(text).unwrap_err();
            assert!(message.contains("is more than"), "{text}: {message}");
        }
        for text in [
            "connections_per_device = 16000",
            "disk_soft_mb = 512",
            "dns_burst = 50",
        ] {
            assert!(config(text).is_ok(), "{text}");
        }
    }
}
