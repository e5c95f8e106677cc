//! The layout of the mesh picture: the gateway in the centre, the devices on one
//! ellipse around it, or on several if there are many. The functions are pure, so
//! that tests prove it legible with 2 and with 250 devices.

use super::{
    geometry::{Frame, Point, Side, Spot},
    labels::labels_fit,
};
use std::{
    collections::HashMap,
    f64::consts::TAU,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

/// The positions of all devices, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The position of each device.
    pub spots: Vec<Spot>,
    pub radius: f64,
    /// Whether the labels of all devices fit without touching anything.
    pub labels: bool,
}

/// The distance between rings relative to the distance between devices on one. It
/// is above 1 because ellipses whose axes differ by a pitch are closer than that
/// between the axes.
const RING_SPACING: f64 = 1.12;

/// Places `count` devices in a frame, as large as possible and on as few ellipses
/// as that allows. If the labels do not fit, their space is used for devices.
pub fn layout(frame: &Frame, count: usize) -> Layout {
    let labelled = fit(frame, count);
    if labelled.labels || frame.max_label_chars == 0 {
        return labelled;
    }
    let edge = frame.radii.first().copied().unwrap_or(0.0) + 6.0;
    fit(
        &Frame {
            margin_x: edge,
            margin_y: edge,
            max_label_chars: 0,
            ..*frame
        },
        count,
    )
}

/// Returns [`layout`] from a cache: it depends only on the number of devices, and
/// takes longer than the whole drawing.
pub fn cached_layout(frame: &Frame, count: usize) -> Arc<Layout> {
    type Cache = HashMap<(u64, usize), Arc<Layout>>;
    /// Exceeds the number of frames times the number of devices a plan can allow.
    const MAX_ENTRIES: usize = 1_000;
    static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);
    // The width identifies the frame.
    let key = (frame.width.to_bits(), count);
    let cache = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(layout) = cache().get(&key) {
        return layout.clone();
    }
    let layout = Arc::new(layout(frame, count));
    let mut cache = cache();
    if cache.len() < MAX_ENTRIES {
        cache.insert(key, layout.clone());
    }
    layout
}

fn fit(frame: &Frame, count: usize) -> Layout {
    for &radius in frame.radii {
        if let Some(rings) = rings(frame, count, radius) {
            return place(frame, radius, &rings);
        }
    }
    // More devices than any plan allows: one crowded ellipse.
    let radius = frame.radii.last().copied().unwrap_or(4.0);
    let rings = [Ring {
        a: frame.width / 2.0 - frame.margin_x,
        b: frame.height / 2.0 - frame.margin_y,
        count,
    }];
    place(frame, radius, &rings)
}

/// The half axes of an ellipse and the number of devices on it.
#[derive(Clone, Copy, Debug)]
struct Ring {
    a: f64,
    b: f64,
    count: usize,
}

/// Returns ellipses from the outside inwards that hold `count` devices of that
/// radius, or `None` if they do not fit around the gateway.
fn rings(frame: &Frame, count: usize, radius: f64) -> Option<Vec<Ring>> {
    let pitch = 2.0 * radius + frame.gap;
    let mut a = frame.width / 2.0 - frame.margin_x;
    let mut b = frame.height / 2.0 - frame.margin_y;
    let mut capacities = Vec::new();
    let mut total = 0;
    loop {
        if b.min(a) < frame.gateway + radius + frame.gap {
            return None;
        }
        // A chord is shorter than its arc, so one position remains free.
        let fits = ((perimeter(a, b) / pitch) as usize).saturating_sub(1);
        capacities.push((a, b, fits));
        total += fits;
        if total >= count {
            break;
        }
        a -= pitch * RING_SPACING;
        b -= pitch * RING_SPACING;
    }
    // Devices are distributed in proportion, so that the innermost ring does not
    // hold only two.
    let mut left = count;
    let mut rings = Vec::with_capacity(capacities.len());
    for (a, b, fits) in capacities {
        let share = (count * fits).div_ceil(total.max(1)).min(fits).min(left);
        left -= share;
        rings.push(Ring { a, b, count: share });
    }
    Some(rings)
}

fn place(frame: &Frame, radius: f64, rings: &[Ring]) -> Layout {
    let centre = frame.centre();
    let mut spots = Vec::new();
    for (k, ring) in rings.iter().enumerate() {
        // Every second ring is rotated by half a step, so that spokes pass between
        // devices.
        let rotation = if k % 2 == 0 { 0.0 } else { 0.5 };
        for p in points_along(ring, rotation) {
            let at = Point {
                x: centre.x + p.x,
                y: centre.y + p.y,
            };
            spots.push(Spot {
                at,
                side: label_side(frame, ring, p),
            });
        }
    }
    let labels = frame.max_label_chars > 0 && labels_fit(frame, radius, &spots);
    Layout {
        spots,
        radius,
        labels,
    }
}

fn label_side(frame: &Frame, ring: &Ring, p: Point) -> Side {
    if frame.side_labels && (p.x / ring.a).abs() > 0.3 {
        if p.x > 0.0 { Side::Right } else { Side::Left }
    } else if p.y < -1.0 {
        Side::Above
    } else {
        Side::Below
    }
}

/// Approximates the perimeter of an ellipse (Ramanujan), to a millionth for these
/// shapes.
fn perimeter(a: f64, b: f64) -> f64 {
    let h = ((a - b) / (a + b)).powi(2);
    TAU / 2.0 * (a + b) * (1.0 + 3.0 * h / (10.0 + (4.0 - 3.0 * h).sqrt()))
}

/// Returns points at equal distances along an ellipse, clockwise from the top. Equal
/// angles would crowd them at its narrow ends.
fn points_along(ring: &Ring, rotation: f64) -> Vec<Point> {
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
            let wanted = (n as f64 + rotation) / ring.count as f64 * lengths[STEPS];
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

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: [Frame; 3] = [Frame::SMALL, Frame::WIDE, Frame::TALL];

    #[test]
    fn devices_never_touch() {
        for frame in FRAMES {
            let centre = frame.centre();
            // Every count up to 60, then steps up to a full /24.
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
                        "device {i} of {count} is outside at {p:?}"
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
    fn two_devices_are_large_and_opposite() {
        for frame in FRAMES {
            let l = layout(&frame, 2);
            assert_eq!(l.radius, frame.radii[0]);
            let (p, q) = (l.spots[0].at, l.spots[1].at);
            assert!((p.x - frame.width / 2.0).abs() < 0.5 && p.y < q.y);
            assert!((p.y + q.y - frame.height).abs() < 0.5);
        }
    }

    #[test]
    fn few_devices_have_labels_and_many_do_not() {
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
    fn devices_have_a_minimum_size() {
        assert!(layout(&Frame::WIDE, 250).radius >= 8.0);
        assert!(layout(&Frame::TALL, 250).radius >= 4.0);
        assert!(layout(&Frame::SMALL, 250).radius >= 3.5);
    }
}
