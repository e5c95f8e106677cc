//! The steps that connect a device, of each platform. `tools/test/linux-steps.sh` follows
//! those of Linux to the letter on fresh systems of Debian.

/// A platform with its ways to connect.
pub struct Platform {
    pub id: &'static str,
    pub name: &'static str,
    /// The classes that show its list while its button is checked. They are written
    /// out so that Tailwind finds them.
    pub list_class: &'static str,
    /// Whether its devices are carried about: they read another screen's code.
    pub is_phone: bool,
    ways: &'static [Way],
}

/// A way to connect a device.
pub struct Way {
    /// What tells it from the platform's other ways; empty where there is one.
    pub title: &'static str,
    /// Text between `**` is bold, between backticks a command. `NAME` is the name of the
    /// device's file, without its `.conf`.
    pub steps: &'static [&'static str],
}

impl Platform {
    /// Returns the platform of a system, as `SignInClient::system` names it.
    pub fn of_system(system: &str) -> Option<&'static Self> {
        let id = match system {
            "iOS" | "iPadOS" => "iphone",
            "Android" => "android",
            "Windows" => "windows",
            "macOS" => "macos",
            "Linux" => "linux",
            _ => return None,
        };
        PLATFORMS.iter().find(|p| p.id == id)
    }

    /// Returns the ways to connect. On a phone the first is the one without another screen.
    pub fn ways(&self, is_here: bool) -> impl Iterator<Item = &'static Way> {
        let (first, rest) = self.ways.split_at(self.ways.len().min(1));
        let (first, rest) = match is_here && self.is_phone {
            true => (rest, first),
            false => (first, rest),
        };
        first.iter().chain(rest)
    }
}

pub const PLATFORMS: [Platform; 5] = [
    Platform {
        id: "iphone",
        name: "iPhone",
        list_class: "hidden group-has-[#on-iphone:checked]:grid",
        is_phone: true,
        ways: &[
            Way {
                title: "With this page on another screen",
                steps: &[
                    "Install **WireGuard** from the App Store.",
                    "Tap **+**, then **Create from QR code**.",
                    "Point the camera at the code here, name it, switch it on.",
                ],
            },
            Way {
                title: "With this page on this phone",
                steps: &[
                    "Install **WireGuard** from the App Store.",
                    "Tap **Download .conf** on this page, then **Download**.",
                    "In WireGuard tap **+**, then **Create from file or archive**, and choose **NAME.conf** in Downloads.",
                    "Switch it on.",
                ],
            },
        ],
    },
    Platform {
        id: "android",
        name: "Android",
        list_class: "hidden group-has-[#on-android:checked]:grid",
        is_phone: true,
        ways: &[
            Way {
                title: "With this page on another screen",
                steps: &[
                    "Install **WireGuard** from the Play Store or F-Droid.",
                    "Tap **+**, then **Scan from QR code**.",
                    "Point the camera at the code here, name it, switch it on.",
                ],
            },
            Way {
                title: "With this page on this phone",
                steps: &[
                    "Install **WireGuard** from the Play Store or F-Droid.",
                    "Tap **Download .conf** on this page.",
                    "In WireGuard tap **+**, then **Import from file or archive**, and choose **NAME.conf** in Downloads.",
                    "Switch it on.",
                ],
            },
        ],
    },
    Platform {
        id: "windows",
        name: "Windows",
        list_class: "hidden group-has-[#on-windows:checked]:grid",
        is_phone: false,
        ways: &[Way {
            title: "",
            steps: &[
                "Install **WireGuard** from wireguard.com/install.",
                "Download the .conf file on this page.",
                "In WireGuard, choose **Import tunnel(s) from file**, then **NAME.conf**, then **Activate**.",
            ],
        }],
    },
    Platform {
        id: "macos",
        name: "macOS",
        list_class: "hidden group-has-[#on-macos:checked]:grid",
        is_phone: false,
        ways: &[Way {
            title: "",
            steps: &[
                "Install **WireGuard** from the App Store.",
                "Download the .conf file on this page.",
                "In WireGuard, choose **Import Tunnel(s) from File**, then **NAME.conf**, then **Activate**.",
            ],
        }],
    },
    Platform {
        id: "linux",
        name: "Linux",
        list_class: "hidden group-has-[#on-linux:checked]:grid",
        is_phone: false,
        ways: &[
            Way {
                title: "With NetworkManager (most desktops)",
                steps: &[
                    "Download the .conf file on this page.",
                    "Run `nmcli connection import type wireguard file ~/Downloads/NAME.conf`. It is on at once, and after each start.",
                    "To switch it off and on: `nmcli connection down NAME` and `nmcli connection up NAME`.",
                ],
            },
            Way {
                title: "With wg-quick (Debian, Ubuntu and others with apt)",
                steps: &[
                    "Download the .conf file on this page.",
                    "Run `sudo apt install wireguard-tools`.",
                    "Run `sudo sh -c 'command -v resolvconf || apt install openresolv'`: wg-quick needs it to set the DNS server.",
                    "Run `sudo install -m 600 ~/Downloads/NAME.conf /etc/wireguard/`.",
                    "Run `sudo wg-quick up NAME`. For each start: `sudo systemctl enable wg-quick@NAME`.",
                ],
            },
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_phone_the_first_way_needs_no_other_screen() {
        let first = |system, is_here| {
            let platform = Platform::of_system(system).unwrap();
            platform.ways(is_here).next().unwrap().title
        };
        for system in ["iOS", "iPadOS", "Android"] {
            assert_eq!(first(system, true), "With this page on this phone");
            assert_eq!(first(system, false), "With this page on another screen");
        }
        assert_eq!(first("Linux", true), first("Linux", false));
        assert!(Platform::of_system("").is_none());
    }
}
