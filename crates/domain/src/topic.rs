//! The topics of live streams. A page subscribes to its own topic, and the
//! topic's stream sends that page's view and nothing else. The browser and the
//! server name a topic by the same text.

use crate::id::DeviceId;
use std::fmt;

/// What a live stream is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The tenant's overview: a [`DashboardView`](crate::view::DashboardView).
    Overview,
    /// The network with its devices: a [`NetworkView`](crate::view::NetworkView).
    Network,
    /// One device: a [`DevicePageView`](crate::view::DevicePageView).
    Device(DeviceId),
    /// The setup of the network: a [`ProgressView`](crate::view::ProgressView).
    Progress,
}

impl Topic {
    /// Returns the name of the topic's events.
    pub const fn event(self) -> &'static str {
        match self {
            Self::Overview => "dashboard",
            Self::Network => "network",
            Self::Device(_) => "device",
            Self::Progress => "progress",
        }
    }

    /// Returns the path of the topic's stream.
    pub fn path(self) -> String {
        format!("/live/{self}")
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overview => f.write_str("overview"),
            Self::Network => f.write_str("network"),
            Self::Device(id) => write!(f, "devices/{id}"),
            Self::Progress => f.write_str("progress"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_a_path_of_its_own() {
        let topics = [
            Topic::Overview,
            Topic::Network,
            Topic::Device(DeviceId(7)),
            Topic::Progress,
        ];
        let paths = topics.map(Topic::path);
        assert_eq!(
            paths,
            [
                "/live/overview",
                "/live/network",
                "/live/devices/7",
                "/live/progress"
            ]
        );
    }
}
