//! Instructions for connecting each kind of device, as tabs without a script:
//! radio buttons, of which the checked one shows its list.

use leptos::prelude::*;

/// A platform with its steps.
struct Platform {
    id: &'static str,
    name: &'static str,
    /// The classes that show its list while its button is checked. They are written
    /// out so that Tailwind finds them.
    list_class: &'static str,
    /// Text between `**` is bold.
    steps: &'static [&'static str],
}

const PLATFORMS: [Platform; 5] = [
    Platform {
        id: "iphone",
        name: "iPhone",
        list_class: "hidden group-has-[#on-iphone:checked]:grid",
        steps: &[
            "Install **WireGuard** from the App Store.",
            "Tap **+**, then **Create from QR code**.",
            "Point the camera here, name it, switch it on.",
        ],
    },
    Platform {
        id: "android",
        name: "Android",
        list_class: "hidden group-has-[#on-android:checked]:grid",
        steps: &[
            "Install **WireGuard** from the Play Store or F-Droid.",
            "Tap **+**, then **Scan from QR code**.",
            "Point the camera here, name it, switch it on.",
        ],
    },
    Platform {
        id: "windows",
        name: "Windows",
        list_class: "hidden group-has-[#on-windows:checked]:grid",
        steps: &[
            "Install **WireGuard** from wireguard.com/install.",
            "Download the .conf file on this page.",
            "In WireGuard, choose **Import tunnel(s) from file**, then **Activate**.",
        ],
    },
    Platform {
        id: "macos",
        name: "macOS",
        list_class: "hidden group-has-[#on-macos:checked]:grid",
        steps: &[
            "Install **WireGuard** from the App Store.",
            "Download the .conf file on this page.",
            "In WireGuard, choose **Import Tunnel(s) from File**, then **Activate**.",
        ],
    },
    Platform {
        id: "linux",
        name: "Linux",
        list_class: "hidden group-has-[#on-linux:checked]:grid",
        steps: &[
            "Install **wireguard-tools** with your package manager.",
            "Download the .conf file and move it to **/etc/wireguard/**, readable by root only.",
            "Run **wg-quick up** with the file's name, without “.conf”.",
        ],
    },
];

#[component]
pub fn Guide() -> impl IntoView {
    view! {
        <fieldset class="group grid min-w-0 gap-3">
            <legend class="sr-only">"Instructions for"</legend>
            <div class="seg overflow-x-auto">
                {PLATFORMS
                    .iter()
                    .enumerate()
                    .map(|(i, p)| {
                        view! {
                            <label class="relative">
                                <input
                                    type="radio"
                                    name="platform"
                                    id=format!("on-{}", p.id)
                                    checked=i == 0
                                />
                                {p.name}
                            </label>
                        }
                    })
                    .collect_view()}
            </div>
            {PLATFORMS
                .iter()
                .map(|p| {
                    view! {
                        <ol class=format!("{} list-decimal gap-2 ps-5", p.list_class)>
                            {p
                                .steps
                                .iter()
                                .map(|step| view! { <li class="ps-1">{emphasised(step)}</li> })
                                .collect_view()}
                        </ol>
                    }
                })
                .collect_view()}
        </fieldset>
    }
}

/// Renders `**bold**` as `<b>`.
fn emphasised(step: &'static str) -> impl IntoView {
    step.split("**")
        .enumerate()
        .map(|(i, text)| {
            if i % 2 == 1 {
                view! { <b>{text}</b> }.into_any()
            } else {
                text.into_any()
            }
        })
        .collect_view()
}
