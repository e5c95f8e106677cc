//! The picture as text: spokes from the gateway to the devices, curves between
//! those that may reach each other, then the devices on top. Pure. Labels are
//! people's words and are escaped here.

use super::{
    labels::{label_at, reach, short},
    layout::{Frame, Layout, Spot, curve, thickness},
};
use crate::{
    dashboard::state::{self, Connection},
    ui::format::{decimal, escape},
};
use domain::view::{DashboardView, DeviceRow};
use std::fmt::Write;

/// Beyond this many mesh devices the curves would be a ball of wool: each gets
/// a dashed ring instead, which says the same.
const MOST_CURVES: usize = 10;

/// Whether mesh devices wear rings instead of curves.
pub fn is_ringed(view: &DashboardView) -> bool {
    view.devices.iter().filter(|d| d.mesh).count() > MOST_CURVES
}

/// A picture in the parts that change on their own: the lines, each device, the
/// gateway. Each is one element inside the `<svg>`, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// The elements.
    pub parts: Vec<Part>,
}

/// An element of the picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its tag with what never changes: `a class="group" href="/devices/7"`.
    pub tag: String,
    /// Its `transform`.
    pub place: String,
    /// Its `aria-label`, where it is a link. Not escaped.
    pub told: String,
    /// What is in it.
    pub body: String,
}

impl Picture {
    /// All of it.
    pub fn html(&self) -> String {
        let mut html = String::new();
        for part in &self.parts {
            let name = part.tag.split(' ').next().unwrap_or_default();
            // Writing into a String cannot fail.
            let _ = write!(html, "<{} transform=\"{}\"", part.tag, part.place);
            if !part.told.is_empty() {
                let _ = write!(html, " aria-label=\"{}\"", escape(&part.told));
            }
            let _ = write!(html, ">{}</{name}>", part.body);
        }
        html
    }
}

/// Draws the devices at `places`. With `links` each leads to its own page.
pub fn draw(view: &DashboardView, frame: &Frame, places: &Layout, links: bool) -> Picture {
    let ringed = is_ringed(view);
    let mut parts = Vec::with_capacity(view.devices.len() + 2);
    parts.push(Part {
        tag: "g".to_owned(),
        body: curves(view, frame, places, ringed) + &spokes(view, frame, places),
        ..Part::default()
    });
    for (device, spot) in view.devices.iter().zip(&places.spots) {
        let told = state::sentence(device, view.now);
        let body = body(view, frame, places, device, spot, ringed && device.mesh);
        let title = format!("<title>{}</title>", escape(&told));
        parts.push(Part {
            tag: if links {
                format!("a class=\"group\" href=\"/devices/{}\"", device.id)
            } else {
                "g".to_owned()
            },
            place: format!(
                "translate({} {})",
                decimal(spot.at.x, 1),
                decimal(spot.at.y, 1)
            ),
            told: if links { told } else { String::new() },
            body: title + &body,
        });
    }
    parts.push(gateway(view, frame));
    Picture { parts }
}

/// Between devices that may reach each other now: both in the mesh, both
/// connected.
fn curves(view: &DashboardView, frame: &Frame, places: &Layout, ringed: bool) -> String {
    let mut paths = String::new();
    if ringed {
        return paths;
    }
    let reachable = |d: &DeviceRow| d.mesh && d.is_online(view.now);
    let devices = view.devices.iter().zip(&places.spots);
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

/// The lines between gateway and devices: lit and thicker with traffic while a
/// device is connected, else dotted.
fn spokes(view: &DashboardView, frame: &Frame, places: &Layout) -> String {
    let centre = frame.centre();
    let (mut lit, mut dark) = (String::new(), String::new());
    for (device, spot) in view.devices.iter().zip(&places.spots) {
        let (x, y) = (decimal(spot.at.x, 1), decimal(spot.at.y, 1));
        let line = format!("M{} {}L{x} {y}", centre.x, centre.y);
        if Connection::of(device, view.now) != Connection::Online {
            dark.push_str(&line);
            continue;
        }
        let width = thickness(device.down_bps.saturating_add(device.up_bps), places.radius);
        let width = decimal(width, 1);
        let _ = write!(lit, "<path d=\"{line}\" stroke-width=\"{width}\"/>");
    }
    // A crowd's lines run close together.
    let opacity = if places.radius < 10.0 { "0.6" } else { "0.85" };
    format!(
        "<path d=\"{dark}\" stroke=\"var(--line-strong)\" stroke-width=\"1.2\" stroke-dasharray=\"2 5\"/>\
         <g stroke=\"var(--live)\" stroke-opacity=\"{opacity}\">{lit}</g>"
    )
}

/// A device: a disc with its picture, and its label where there is room.
fn body(
    view: &DashboardView,
    frame: &Frame,
    places: &Layout,
    device: &DeviceRow,
    spot: &Spot,
    ring: bool,
) -> String {
    let r = places.radius;
    let lit = device.is_online(view.now);
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
        if lit { " lit" } else { "" },
        decimal(r, 1),
        if r < 8.0 { "1.2" } else { "1.6" },
    );
    if r >= 9.0 {
        let _ = write!(
            body,
            "<g class=\"mesh-glyph{}\" transform=\"scale({}) translate(-12 -12)\">{}</g>",
            if lit { " lit" } else { "" },
            decimal(r / 24.0, 2),
            state::glyph(&device.label).shapes(),
        );
    }
    if places.labels {
        label(&mut body, view, frame, device, spot, r);
    }
    body
}

/// Its label and what it does now, with an area around them that reacts to a
/// pointer.
fn label(
    body: &mut String,
    view: &DashboardView,
    frame: &Frame,
    device: &DeviceRow,
    spot: &Spot,
    radius: f64,
) {
    let [left, top, width, height] = reach(frame, spot.side, radius).map(|n| decimal(n, 1));
    let (x, first, second, anchor) = label_at(spot.side, radius);
    let [x, first, second] = [x, first, second].map(|n| decimal(n, 1));
    let _ = write!(
        body,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"transparent\"/>\
         <text x=\"{x}\" y=\"{first}\" text-anchor=\"{anchor}\" font-size=\"12.5\" \
         font-weight=\"550\" fill=\"var(--ink)\">{}</text>\
         <text class=\"num\" x=\"{x}\" y=\"{second}\" text-anchor=\"{anchor}\" font-size=\"11\" \
         fill=\"var(--ink-3)\">{}</text>",
        escape(&short(&device.label, frame.letters)),
        escape(&state::brief(device, view.now)),
    );
}

fn gateway(view: &DashboardView, frame: &Frame) -> Part {
    let centre = frame.centre();
    Part {
        tag: "g".to_owned(),
        place: format!("translate({} {})", centre.x, centre.y),
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
        ..Part::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dashboard::state::tests::{device, view},
        mesh::layout::layout,
    };

    fn drawn(view: &DashboardView, links: bool) -> Picture {
        draw(
            view,
            &Frame::WIDE,
            &layout(&Frame::WIDE, view.devices.len()),
            links,
        )
    }

    #[test]
    fn no_label_becomes_markup() {
        let mut v = view(vec![device(1, "<script>alert(\"1\")</script>", None)]);
        v.gateway = "<b>".into();
        for links in [false, true] {
            let html = drawn(&v, links).html();
            assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
            assert!(!html.contains("\"1\""), "{html}");
        }
    }

    #[test]
    fn devices_are_links_only_where_somebody_may_follow_them() {
        let v = view(vec![device(7, "My phone", Some(995))]);
        let picture = drawn(&v, true);
        assert!(picture.parts[1].tag.contains("href=\"/devices/7\""));
        assert!(
            picture
                .html()
                .contains("aria-label=\"My phone, 10.88.1.8, connected")
        );
        assert!(!drawn(&v, false).html().contains("<a "));
    }

    #[test]
    fn curves_join_those_that_are_connected_and_rings_take_over_in_a_crowd() {
        let lit = |n: i64| device(n, "x", Some(995));
        let curves = |v: &DashboardView| drawn(v, false).html().matches('Q').count();
        let mut v = view(vec![lit(1), lit(2), lit(3), device(4, "x", None)]);
        assert_eq!(curves(&v), 3);
        v.devices[0].mesh = false;
        assert_eq!(curves(&v), 1);
        let crowd = view((1..=12).map(lit).collect());
        assert_eq!(curves(&crowd), 0);
        let rings = "stroke-dasharray=\"2 2.5\"";
        assert_eq!(drawn(&crowd, false).html().matches(rings).count(), 12);
    }

    #[test]
    fn a_change_of_one_device_changes_its_part_and_the_lines_alone() {
        let mut v = view(vec![device(1, "a", Some(995)), device(2, "b", Some(995))]);
        let before = drawn(&v, true);
        v.devices[1].down_bps = 90_000_000;
        let after = drawn(&v, true);
        let changed: Vec<usize> = (0..after.parts.len())
            .filter(|i| before.parts[*i] != after.parts[*i])
            .collect();
        assert_eq!(changed, [0, 2]);
    }
}
