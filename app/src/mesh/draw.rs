//! Draws the picture as SVG text: lines from the gateway to the devices, curves
//! between those that may reach each other, then the devices on top. The functions
//! are pure. Labels are typed by users and escaped here.

use super::{
    geometry::{Frame, Spot, curve, thickness},
    labels::{label_position, pointer_area, shorten},
    layout::Layout,
};
use crate::{
    tenant::state::{self, Connection},
    ui::format::{decimal, escape},
};
use domain::view::{DeviceRow, NetworkView};
use std::fmt::Write;

/// The largest number of mesh devices with curves between them. More curves would
/// not be legible; each device has a dashed ring instead, which means the same.
const MAX_CURVED_DEVICES: usize = 10;

/// Returns whether mesh devices have rings instead of curves.
pub fn is_ringed(view: &NetworkView) -> bool {
    view.devices.iter().filter(|d| d.mesh).count() > MAX_CURVED_DEVICES
}

/// A picture, split into the elements that change independently: the lines, each
/// device, the gateway. They are children of the `<svg>`, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    pub elements: Vec<SvgElement>,
}

/// One element of the picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SvgElement {
    /// Its tag with the attributes that never change: `a class="group"
    /// href="/devices/7"`.
    pub tag: String,
    pub transform: String,
    /// Its `aria-label`, not escaped. Empty if it is not a link.
    pub aria_label: String,
    pub body: String,
}

impl Picture {
    /// Returns the content of the `<svg>`.
    pub fn html(&self) -> String {
        let mut html = String::new();
        for element in &self.elements {
            let name = element.tag.split(' ').next().unwrap_or_default();
            // Writing into a String cannot fail.
            let _ = write!(html, "<{} transform=\"{}\"", element.tag, element.transform);
            if !element.aria_label.is_empty() {
                let _ = write!(html, " aria-label=\"{}\"", escape(&element.aria_label));
            }
            let _ = write!(html, ">{}</{name}>", element.body);
        }
        html
    }
}

/// Draws the devices at the positions of `layout`. With `links` each device is a
/// link to its page.
pub fn draw(view: &NetworkView, frame: &Frame, layout: &Layout, links: bool) -> Picture {
    let ringed = is_ringed(view);
    let mut elements = Vec::with_capacity(view.devices.len() + 2);
    elements.push(SvgElement {
        tag: "g".to_owned(),
        body: curves(view, frame, layout, ringed) + &spokes(view, frame, layout),
        ..SvgElement::default()
    });
    for (device, spot) in view.devices.iter().zip(&layout.spots) {
        let description = state::description(device, view.now);
        let body = body(view, frame, layout, device, spot, ringed && device.mesh);
        let title = format!("<title>{}</title>", escape(&description));
        elements.push(SvgElement {
            tag: if links {
                format!("a class=\"group\" href=\"/devices/{}\"", device.id)
            } else {
                "g".to_owned()
            },
            transform: format!(
                "translate({} {})",
                decimal(spot.at.x, 1),
                decimal(spot.at.y, 1)
            ),
            aria_label: if links { description } else { String::new() },
            body: title + &body,
        });
    }
    elements.push(gateway(view, frame));
    Picture { elements }
}

/// Returns the curves between devices that may reach each other now: both in the
/// mesh and both connected.
fn curves(view: &NetworkView, frame: &Frame, layout: &Layout, ringed: bool) -> String {
    let mut paths = String::new();
    if ringed {
        return paths;
    }
    let reachable = |d: &DeviceRow| d.mesh && d.is_online(view.now);
    let devices = view.devices.iter().zip(&layout.spots);
    let ends: Vec<_> = devices
        .filter(|(d, _)| reachable(d))
        .map(|(_, s)| s.at)
        .collect();
    for (i, from) in ends.iter().enumerate() {
        for to in ends.iter().skip(i + 1) {
            paths.push_str(&curve(frame, *from, *to));
        }
    }
    if paths.is_empty() {
        return paths;
    }
    format!(
        "<path d=\"{paths}\" fill=\"none\" stroke=\"var(--accent)\" stroke-opacity=\"0.45\" \
         stroke-width=\"1.2\" stroke-dasharray=\"3 4\"/>"
    )
}

/// Returns the lines between the gateway and the devices: solid and thicker with
/// traffic while a device is connected, otherwise dotted.
fn spokes(view: &NetworkView, frame: &Frame, layout: &Layout) -> String {
    let centre = frame.centre();
    let (mut online, mut offline) = (String::new(), String::new());
    for (device, spot) in view.devices.iter().zip(&layout.spots) {
        let (x, y) = (decimal(spot.at.x, 1), decimal(spot.at.y, 1));
        let line = format!("M{} {}L{x} {y}", centre.x, centre.y);
        if Connection::of(device, view.now) != Connection::Online {
            offline.push_str(&line);
            continue;
        }
        let width = thickness(device.down_bps.saturating_add(device.up_bps), layout.radius);
        let width = decimal(width, 1);
        let _ = write!(online, "<path d=\"{line}\" stroke-width=\"{width}\"/>");
    }
    // The lines of many devices are close together.
    let opacity = if layout.radius < 10.0 { "0.6" } else { "0.85" };
    format!(
        "<path d=\"{offline}\" stroke=\"var(--line-strong)\" stroke-width=\"1.2\" stroke-dasharray=\"2 5\"/>\
         <g stroke=\"var(--live)\" stroke-opacity=\"{opacity}\">{online}</g>"
    )
}

/// Returns a device: a disc with its icon, and its label if there is space.
fn body(
    view: &NetworkView,
    frame: &Frame,
    layout: &Layout,
    device: &DeviceRow,
    spot: &Spot,
    ring: bool,
) -> String {
    let r = layout.radius;
    let online = device.is_online(view.now);
    let mut body = String::with_capacity(600);
    if ring {
        let _ = write!(
            body,
            "<circle r=\"{}\" fill=\"none\" stroke=\"var(--accent)\" stroke-opacity=\"0.6\" \
             stroke-dasharray=\"2 2.5\"/>",
            decimal(r + 2.4, 1)
        );
    }
    let _ = write!(
        body,
        "<circle class=\"mesh-disc{}\" r=\"{}\" stroke-width=\"{}\"/>",
        if online { " lit" } else { "" },
        decimal(r, 1),
        if r < 8.0 { "1.2" } else { "1.6" },
    );
    if r >= 9.0 {
        let _ = write!(
            body,
            "<g class=\"mesh-glyph{}\" transform=\"scale({}) translate(-12 -12)\">{}</g>",
            if online { " lit" } else { "" },
            decimal(r / 24.0, 2),
            state::device_glyph(&device.label).shapes(),
        );
    }
    if layout.labels {
        label(&mut body, view, frame, device, spot, r);
    }
    body
}

/// Writes a device's label and status, with an area around them that reacts to a
/// pointer.
fn label(
    body: &mut String,
    view: &NetworkView,
    frame: &Frame,
    device: &DeviceRow,
    spot: &Spot,
    radius: f64,
) {
    let [left, top, width, height] = pointer_area(frame, spot.side, radius).map(|n| decimal(n, 1));
    let (x, first, second, anchor) = label_position(spot.side, radius);
    let [x, first, second] = [x, first, second].map(|n| decimal(n, 1));
    let _ = write!(
        body,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"transparent\"/>\
         <text x=\"{x}\" y=\"{first}\" text-anchor=\"{anchor}\" font-size=\"12.5\" \
         font-weight=\"550\" fill=\"var(--ink)\">{}</text>\
         <text class=\"num\" x=\"{x}\" y=\"{second}\" text-anchor=\"{anchor}\" font-size=\"11\" \
         fill=\"var(--ink-3)\">{}</text>",
        escape(&shorten(&device.label, frame.max_label_chars)),
        escape(&state::short_status(device, view.now)),
    );
}

fn gateway(view: &NetworkView, frame: &Frame) -> SvgElement {
    let centre = frame.centre();
    SvgElement {
        tag: "g".to_owned(),
        transform: format!("translate({} {})", centre.x, centre.y),
        body: format!(
            "<title>Gateway {}</title><circle r=\"{}\" fill=\"var(--live-soft)\"/>\
             <circle r=\"{}\" fill=\"var(--accent)\"/>\
             <path transform=\"scale({}) translate(-12 -12)\" fill=\"var(--accent-ink)\" \
             d=\"M6 16.5V9l3.2 3.6L12 7.5l2.8 5.1L18 9v7.5z\"/>",
            escape(&view.gateway),
            decimal(frame.gateway, 1),
            decimal(frame.gateway * 0.74, 1),
            decimal(frame.gateway / 26.0, 2),
        ),
        ..SvgElement::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mesh::layout::layout,
        tenant::fixture::{device, view},
    };

    fn drawn(view: &NetworkView, links: bool) -> Picture {
        draw(
            view,
            &Frame::WIDE,
            &layout(&Frame::WIDE, view.devices.len()),
            links,
        )
    }

    #[test]
    fn labels_are_escaped() {
        let mut v = view(vec![device(1, "<script>alert(\"1\")</script>", None)]);
        v.gateway = "<b>".into();
        for links in [false, true] {
            let html = drawn(&v, links).html();
            assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
            assert!(!html.contains("\"1\""), "{html}");
        }
    }

    #[test]
    fn devices_are_links_only_on_request() {
        let v = view(vec![device(7, "My phone", Some(995))]);
        let picture = drawn(&v, true);
        assert!(picture.elements[1].tag.contains("href=\"/devices/7\""));
        assert!(
            picture
                .html()
                .contains("aria-label=\"My phone, 10.88.1.8, connected")
        );
        assert!(!drawn(&v, false).html().contains("<a "));
    }

    #[test]
    fn rings_replace_curves_between_many_devices() {
        let online = |n: i64| device(n, "x", Some(995));
        let curves = |v: &NetworkView| drawn(v, false).html().matches('Q').count();
        let mut v = view(vec![online(1), online(2), online(3), device(4, "x", None)]);
        assert_eq!(curves(&v), 3);
        v.devices[0].mesh = false;
        assert_eq!(curves(&v), 1);
        let many = view((1..=12).map(online).collect());
        assert_eq!(curves(&many), 0);
        let rings = "stroke-dasharray=\"2 2.5\"";
        assert_eq!(drawn(&many, false).html().matches(rings).count(), 12);
    }

    #[test]
    fn a_changed_device_redraws_itself_and_the_lines() {
        let mut v = view(vec![device(1, "a", Some(995)), device(2, "b", Some(995))]);
        let before = drawn(&v, true);
        v.devices[1].down_bps = 90_000_000;
        let after = drawn(&v, true);
        let changed: Vec<usize> = (0..after.elements.len())
            .filter(|i| before.elements[*i] != after.elements[*i])
            .collect();
        assert_eq!(changed, [0, 2]);
    }
}
