//! The geometry of the mesh picture: points, frames, and the lines between devices.
//! The functions are pure.

use crate::ui::format::decimal;

/// A point in the units of the view box.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// The distance from the left.
    pub x: f64,
    /// The distance from the top.
    pub y: f64,
}

impl Point {
    /// Returns the distance to another point.
    pub fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// The position of a label relative to its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
    Above,
    Below,
}

/// A canvas for the picture. The picture does not depend on the writing direction:
/// it is the same in right-to-left pages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Width of the view box.
    pub width: f64,
    /// Height of the view box.
    pub height: f64,
    /// The gateway's radius, including its halo.
    pub gateway: f64,
    /// The space at the left and right without devices.
    pub margin_x: f64,
    /// The space at the top and bottom without devices.
    pub margin_y: f64,
    /// The device radii to try, largest first.
    pub radii: &'static [f64],
    /// The smallest space between two devices.
    pub gap: f64,
    /// The maximum length of a label in characters; 0 for no labels.
    pub max_label_chars: usize,
    /// Whether labels may be left and right of devices.
    pub side_labels: bool,
}

impl Frame {
    /// For the overview's card: small, without labels.
    pub const SMALL: Self = Self {
        width: 400.0,
        height: 232.0,
        gateway: 20.0,
        margin_x: 16.0,
        margin_y: 16.0,
        radii: &[12.0, 10.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.5],
        gap: 2.5,
        max_label_chars: 0,
        side_labels: false,
    };
    /// For the mesh page on a wide screen.
    pub const WIDE: Self = Self {
        width: 1000.0,
        height: 560.0,
        gateway: 30.0,
        margin_x: 160.0,
        margin_y: 66.0,
        radii: &[17.0, 14.0, 12.0, 10.0, 9.0, 8.0],
        gap: 7.0,
        max_label_chars: 18,
        side_labels: true,
    };
    /// For the mesh page on a phone.
    pub const TALL: Self = Self {
        width: 360.0,
        height: 460.0,
        gateway: 26.0,
        margin_x: 54.0,
        margin_y: 58.0,
        radii: &[16.0, 13.0, 11.0, 9.0, 7.0, 6.0, 5.0, 4.5, 4.0],
        gap: 3.0,
        max_label_chars: 14,
        side_labels: false,
    };

    /// Returns the centre, where the gateway is drawn.
    pub const fn centre(&self) -> Point {
        Point {
            x: self.width / 2.0,
            y: self.height / 2.0,
        }
    }
}

/// The position of a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// The centre of the device.
    pub at: Point,
    /// The position of its label.
    pub side: Side,
}

/// Returns the path of a curve between two devices. It bends towards the gateway
/// and, if it would run through it, around it.
pub fn curve(frame: &Frame, from: Point, to: Point) -> String {
    let c = frame.centre();
    let middle = Point {
        x: (from.x + to.x) / 2.0,
        y: (from.y + to.y) / 2.0,
    };
    let length = from.distance(to).max(1.0);
    // Between opposite devices the curve bends perpendicular to the straight line.
    let offset = (2.6 * frame.gateway - middle.distance(c)).max(0.0);
    let x = c.x * 0.75 + middle.x * 0.25 - (to.y - from.y) / length * offset;
    let y = c.y * 0.75 + middle.y * 0.25 + (to.x - from.x) / length * offset;
    let [x0, y0, x1, y1, x2, y2] = [from.x, from.y, x, y, to.x, to.y].map(|n| decimal(n, 1));
    format!("M{x0} {y0}Q{x1} {y1} {x2} {y2}")
}

/// Returns the thickness of the line to a connected device. It grows with the
/// logarithm of the traffic, so that one backup does not hide other lines: 1.4 to
/// 6 units for full-sized devices, less if `radius` is small.
pub fn thickness(bps: u64, radius: f64) -> f64 {
    let megabits = bps as f64 / 1e6;
    let full = (1.4 + (1.0 + megabits).log10() * 2.2).min(6.0);
    // One decimal: an invisible difference causes no redraw.
    (full * (radius / 12.0).clamp(0.35, 1.0) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_avoids_the_gateway() {
        let frame = Frame::WIDE;
        let x = frame.centre().x;
        let top = Point {
            x,
            y: frame.margin_y,
        };
        let bottom = Point {
            x,
            y: frame.height - frame.margin_y,
        };
        let text = curve(&frame, top, bottom);
        let control: f64 = text
            .split(['Q', ' '])
            .nth(2)
            .and_then(|x| x.parse().ok())
            .unwrap();
        assert!((control - frame.centre().x).abs() > frame.gateway, "{text}");
    }

    #[test]
    fn lines_grow_with_traffic_within_limits() {
        assert_eq!(thickness(0, 17.0), 1.4);
        assert!(thickness(10_000_000, 17.0) > thickness(1_000_000, 17.0));
        assert!(thickness(u64::MAX, 17.0) <= 6.0);
        assert!(thickness(10_000_000, 4.0) < thickness(10_000_000, 17.0) / 2.0);
    }
}
