//! Where things stand in the mesh picture: the gateway in the middle, devices
//! on one ellipse around it, or on several when there are many. Pure, so that
//! "legible at 2 and at 250 devices" is a test and not a hope.

use super::labels::labels_fit;
use crate::ui::format::decimal;
use std::{
    collections::HashMap,
    f64::consts::TAU,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

/// A point in the picture's own units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

impl Point {
    /// The distance to another point.
    pub fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// Where a label stands beside its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Ends left of it.
    Left,
    /// Begins right of it.
    Right,
    /// Over it.
    Above,
    /// Under it.
    Below,
}

/// A canvas for the picture. The picture is direction-neutral: it is drawn the
/// same in pages that run right to left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Width of the view box.
    pub width: f64,
    /// Height of the view box.
    pub height: f64,
    /// The gateway's radius, with its halo.
    pub gateway: f64,
    /// Space at the left and right that stays free of devices.
    margin_x: f64,
    /// Space at the top and bottom that stays free of devices.
    margin_y: f64,
    /// Device radii to try, the largest first.
    radii: &'static [f64],
    /// Least space between two devices.
    gap: f64,
    /// Most characters of a label; 0 where there are none.
    pub letters: usize,
    /// Whether labels may stand at the sides.
    beside: bool,
}

impl Frame {
    /// The overview's card: small, no labels.
    pub const SMALL: Self = Self {
        width: 400.0,
        height: 232.0,
        gateway: 20.0,
        margin_x: 16.0,
        margin_y: 16.0,
        radii: &[12.0, 10.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.5],
        gap: 2.5,
        letters: 0,
        beside: false,
    };
    /// The mesh page on a wide screen.
    pub const WIDE: Self = Self {
        width: 1000.0,
        height: 560.0,
        gateway: 30.0,
        margin_x: 160.0,
        margin_y: 66.0,
        radii: &[17.0, 14.0, 12.0, 10.0, 9.0, 8.0],
        gap: 7.0,
        letters: 18,
        beside: true,
    };
    /// The mesh page on a phone.
    pub const TALL: Self = Self {
        width: 360.0,
        height: 460.0,
        gateway: 26.0,
        margin_x: 54.0,
        margin_y: 58.0,
        radii: &[16.0, 13.0, 11.0, 9.0, 7.0, 6.0, 5.0, 4.5, 4.0],
        gap: 3.0,
        letters: 14,
        beside: false,
    };

    /// The middle, where the gateway stands.
    pub const fn centre(&self) -> Point {
        Point {
            x: self.width / 2.0,
            y: self.height / 2.0,
        }
    }
}

/// A device's place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// Its middle.
    pub at: Point,
    /// Where its label stands.
    pub side: Side,
}

/// The places of all devices, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// A place for each device.
    pub spots: Vec<Spot>,
    /// The devices' radius.
    pub radius: f64,
    /// Whether labels can stand beside them without touching anything.
    pub labels: bool,
}

/// Rings lie this much further apart than devices on one: ellipses whose axes
/// differ by a pitch come closer than that between the axes.
const APART: f64 = 1.12;
/// Places `count` devices in a frame: as large as they can be, on as few
/// ellipses as that takes. Where labels find no room, neither needs the space
/// that was left for them.
pub fn layout(frame: &Frame, count: usize) -> Layout {
    let labelled = fitted(frame, count);
    if labelled.labels || frame.letters == 0 {
        return labelled;
    }
    let edge = frame.radii.first().copied().unwrap_or(0.0) + 6.0;
    fitted(
        &Frame {
            margin_x: edge,
            margin_y: edge,
            letters: 0,
            ..*frame
        },
        count,
    )
}

/// [`layout`], remembered: it depends on the number of devices alone, and takes
/// longer than all of the drawing.
pub fn placed(frame: &Frame, count: usize) -> Arc<Layout> {
    type Known = HashMap<(u64, usize), Arc<Layout>>;
    /// More than every frame with every number of devices a plan can allow.
    const MOST: usize = 1_000;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    // No two frames are as wide as each other.
    let key = (frame.width.to_bits(), count);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(layout) = known().get(&key) {
        return layout.clone();
    }
    let made = Arc::new(layout(frame, count));
    let mut known = known();
    if known.len() < MOST {
        known.insert(key, made.clone());
    }
    made
}

fn fitted(frame: &Frame, count: usize) -> Layout {
    for &radius in frame.radii {
        if let Some(rings) = rings(frame, count, radius) {
            return spread(frame, radius, &rings);
        }
    }
    // More than any plan allows: still a picture, if a tight one.
    let radius = frame.radii.last().copied().unwrap_or(4.0);
    let rings = [Ring {
        a: frame.width / 2.0 - frame.margin_x,
        b: frame.height / 2.0 - frame.margin_y,
        count,
    }];
    spread(frame, radius, &rings)
}

/// An ellipse's half axes and how many devices stand on it.
#[derive(Clone, Copy, Debug)]
struct Ring {
    a: f64,
    b: f64,
    count: usize,
}

/// Ellipses from the outside inwards that hold `count` devices of that radius;
/// `None` where they do not fit around the gateway.
fn rings(frame: &Frame, count: usize, radius: f64) -> Option<Vec<Ring>> {
    let pitch = 2.0 * radius + frame.gap;
    let mut a = frame.width / 2.0 - frame.margin_x;
    let mut b = frame.height / 2.0 - frame.margin_y;
    let mut room = Vec::new();
    let mut total = 0;
    loop {
        if b.min(a) < frame.gateway + radius + frame.gap {
            return None;
        }
        // A chord is shorter than its arc: the last place is left free.
        let fits = ((perimeter(a, b) / pitch) as usize).saturating_sub(1);
        room.push((a, b, fits));
        total += fits;
        if total >= count {
            break;
        }
        a -= pitch * APART;
        b -= pitch * APART;
    }
    // Spread in proportion, so that the innermost ring is not left with two.
    let mut left = count;
    let mut rings = Vec::with_capacity(room.len());
    for (a, b, fits) in room {
        let share = (count * fits).div_ceil(total.max(1)).min(fits).min(left);
        left -= share;
        rings.push(Ring { a, b, count: share });
    }
    Some(rings)
}

fn spread(frame: &Frame, radius: f64, rings: &[Ring]) -> Layout {
    let centre = frame.centre();
    let mut spots = Vec::new();
    for (k, ring) in rings.iter().enumerate() {
        // Every other ring is turned by half a step, so that spokes pass
        // between devices.
        let turn = if k % 2 == 0 { 0.0 } else { 0.5 };
        for p in around(ring, turn) {
            let at = Point {
                x: centre.x + p.x,
                y: centre.y + p.y,
            };
            spots.push(Spot {
                at,
                side: side(frame, ring, p),
            });
        }
    }
    let labels = frame.letters > 0 && labels_fit(frame, radius, &spots);
    Layout {
        spots,
        radius,
        labels,
    }
}

fn side(frame: &Frame, ring: &Ring, p: Point) -> Side {
    if frame.beside && (p.x / ring.a).abs() > 0.3 {
        if p.x > 0.0 { Side::Right } else { Side::Left }
    } else if p.y < -1.0 {
        Side::Above
    } else {
        Side::Below
    }
}

/// Ramanujan's approximation, good to a millionth at these shapes.
fn perimeter(a: f64, b: f64) -> f64 {
    let h = ((a - b) / (a + b)).powi(2);
    TAU / 2.0 * (a + b) * (1.0 + 3.0 * h / (10.0 + (4.0 - 3.0 * h).sqrt()))
}

/// Points at equal distances along an ellipse, clockwise from the top. Equal
/// angles would crowd them at its sharp ends.
fn around(ring: &Ring, turn: f64) -> Vec<Point> {
    const STEPS: usize = 720;
    let point = |i: usize| {
        let t = i as f64 / STEPS as f64 * TAU - TAU / 4.0;
        Point {
            x: ring.a * t.cos(),
            y: ring.b * t.sin(),
        }
    };
    let mut lengths = vec![0.0; STEPS + 1];
    for i in 1..=STEPS {
        lengths[i] = lengths[i - 1] + point(i).distance(point(i - 1));
    }
    let mut i = 0;
    (0..ring.count)
        .map(|n| {
            let wanted = (n as f64 + turn) / ring.count as f64 * lengths[STEPS];
            while i < STEPS && lengths[i + 1] < wanted {
                i += 1;
            }
            let (from, to) = (point(i), point((i + 1).min(STEPS)));
            let part = (wanted - lengths[i]) / (lengths[(i + 1).min(STEPS)] - lengths[i]).max(1e-9);
            Point {
                x: from.x + (to.x - from.x) * part,
                y: from.y + (to.y - from.y) * part,
            }
        })
        .collect()
}

/// The path of a curve between two devices, bent towards the gateway and, where
/// it would run through it, around it.
pub fn curve(frame: &Frame, from: Point, to: Point) -> String {
    let c = frame.centre();
    let middle = Point {
        x: (from.x + to.x) / 2.0,
        y: (from.y + to.y) / 2.0,
    };
    let length = from.distance(to).max(1.0);
    // Opposite devices: step aside, perpendicular to the straight line.
    let aside = (2.6 * frame.gateway - middle.distance(c)).max(0.0);
    let x = c.x * 0.75 + middle.x * 0.25 - (to.y - from.y) / length * aside;
    let y = c.y * 0.75 + middle.y * 0.25 + (to.x - from.x) / length * aside;
    let [x0, y0, x1, y1, x2, y2] = [from.x, from.y, x, y, to.x, to.y].map(|n| decimal(n, 1));
    format!("M{x0} {y0}Q{x1} {y1} {x2} {y2}")
}

/// A lit line's thickness: thicker with traffic, by its logarithm, so that a
/// backup does not drown everything else. 1.4 to 6 units beside full-sized
/// devices; thinner in a crowd, where `radius` is small.
pub fn thickness(bps: u64, radius: f64) -> f64 {
    let megabits = bps as f64 / 1e6;
    let full = (1.4 + (1.0 + megabits).log10() * 2.2).min(6.0);
    // One decimal: no redraw for a difference nobody sees.
    (full * (radius / 12.0).clamp(0.35, 1.0) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: [Frame; 3] = [Frame::SMALL, Frame::WIDE, Frame::TALL];

    #[test]
    fn no_two_devices_touch_from_none_to_a_full_plan() {
        for frame in FRAMES {
            let centre = frame.centre();
            // Every number a household has, then in steps up to a full /24.
            for count in (0..=60).chain((61..=253).step_by(8)) {
                let l = layout(&frame, count);
                assert_eq!(l.spots.len(), count, "{frame:?}");
                assert!(frame.radii.contains(&l.radius));
                for (i, s) in l.spots.iter().enumerate() {
                    let p = s.at;
                    assert!(
                        p.x > l.radius
                            && p.y > l.radius
                            && p.x < frame.width - l.radius
                            && p.y < frame.height - l.radius,
                        "device {i} of {count} stands outside at {p:?}"
                    );
                    assert!(p.distance(centre) > frame.gateway + l.radius);
                    for (j, other) in l.spots.iter().enumerate().skip(i + 1) {
                        assert!(
                            p.distance(other.at) >= 2.0 * l.radius + 0.5,
                            "devices {i} and {j} of {count} touch, radius {}",
                            l.radius
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn two_devices_are_as_large_as_can_be_and_stand_opposite() {
        for frame in FRAMES {
            let l = layout(&frame, 2);
            assert_eq!(l.radius, frame.radii[0]);
            let (p, q) = (l.spots[0].at, l.spots[1].at);
            assert!((p.x - frame.width / 2.0).abs() < 0.5 && p.y < q.y);
            assert!((p.y + q.y - frame.height).abs() < 0.5);
        }
    }

    #[test]
    fn a_household_is_labelled_and_a_crowd_is_not() {
        for count in 1..=10 {
            assert!(layout(&Frame::WIDE, count).labels, "{count}");
        }
        for count in 1..=6 {
            assert!(layout(&Frame::TALL, count).labels, "{count}");
        }
        for frame in FRAMES {
            assert!(!layout(&frame, 250).labels);
        }
        assert!(!layout(&Frame::SMALL, 2).labels);
    }

    #[test]
    fn devices_never_get_smaller_than_a_fingertip_hint() {
        assert!(layout(&Frame::WIDE, 250).radius >= 8.0);
        assert!(layout(&Frame::TALL, 250).radius >= 4.0);
        assert!(layout(&Frame::SMALL, 250).radius >= 3.5);
    }

    #[test]
    fn a_curve_between_opposite_devices_goes_around_the_gateway() {
        let frame = Frame::WIDE;
        let l = layout(&frame, 2);
        let text = curve(&frame, l.spots[0].at, l.spots[1].at);
        let control: f64 = text
            .split(['Q', ' '])
            .nth(2)
            .and_then(|x| x.parse().ok())
            .unwrap();
        assert!((control - frame.centre().x).abs() > frame.gateway, "{text}");
    }

    #[test]
    fn lines_grow_with_traffic_and_stay_lines() {
        assert_eq!(thickness(0, 17.0), 1.4);
        assert!(thickness(10_000_000, 17.0) > thickness(1_000_000, 17.0));
        assert!(thickness(u64::MAX, 17.0) <= 6.0);
        assert!(thickness(10_000_000, 4.0) < thickness(10_000_000, 17.0) / 2.0);
    }
}
