//! The labels in the mesh picture: their positions, and whether all of them fit
//! without touching each other or a device. The functions are pure.

use super::geometry::{Frame, Point, Side, Spot};

/// Half of a label's height, which is two lines.
const HALF_HEIGHT: f64 = 17.0;
/// The distance between a device and its label.
const GAP: f64 = 8.0;
/// The width of a character, at 12.5 px semi-bold.
const CHAR_WIDTH: f64 = 7.0;

/// Returns left, top, right and bottom of a label of full length.
fn label_box(frame: &Frame, radius: f64, spot: &Spot) -> [f64; 4] {
    let width = frame.max_label_chars as f64 * CHAR_WIDTH;
    let Point { x, y } = spot.at;
    let off = radius + GAP;
    let (left, middle) = match spot.side {
        Side::Right => (x + off, y),
        Side::Left => (x - off - width, y),
        Side::Above => (x - width / 2.0, y - off - HALF_HEIGHT),
        Side::Below => (x - width / 2.0, y + off + HALF_HEIGHT),
    };
    [
        left,
        middle - HALF_HEIGHT,
        left + width,
        middle + HALF_HEIGHT,
    ]
}

/// Returns whether every label, at its full length, touches nothing.
pub fn labels_fit(frame: &Frame, radius: f64, spots: &[Spot]) -> bool {
    // More labels never fit, and comparing all pairs would take long.
    if spots.len() > 40 {
        return false;
    }
    let boxes: Vec<[f64; 4]> = spots.iter().map(|s| label_box(frame, radius, s)).collect();
    let touch =
        |p: &[f64; 4], q: &[f64; 4]| p[0] < q[2] && q[0] < p[2] && p[1] < q[3] && q[1] < p[3];
    boxes.iter().enumerate().all(|(i, b)| {
        let inside = b[0] >= 0.0 && b[1] >= 0.0 && b[2] <= frame.width && b[3] <= frame.height;
        let free = boxes.iter().skip(i + 1).all(|other| !touch(b, other));
        let clear = spots.iter().enumerate().all(|(j, s)| {
            let disc = [
                s.at.x - radius,
                s.at.y - radius,
                s.at.x + radius,
                s.at.y + radius,
            ];
            i == j || !touch(b, &disc)
        });
        inside && free && clear
    })
}

/// Returns the position of a label's two lines relative to its device: x, the y of
/// the first and of the second line, and the text anchor.
pub fn label_position(side: Side, radius: f64) -> (f64, f64, f64, &'static str) {
    let off = radius + GAP;
    match side {
        Side::Right => (off, -2.0, 14.0, "start"),
        Side::Left => (-off, -2.0, 14.0, "end"),
        Side::Above => (0.0, -off - 18.0, -off - 3.0, "middle"),
        Side::Below => (0.0, off + 10.0, off + 26.0, "middle"),
    }
}

/// Returns left, top, width and height of the area that reacts to a pointer: the
/// device, its label and the gap between them, relative to the device.
pub fn pointer_area(frame: &Frame, side: Side, radius: f64) -> [f64; 4] {
    let width = frame.max_label_chars as f64 * CHAR_WIDTH;
    let off = radius + GAP;
    let (down, across) = (off + 2.0 * HALF_HEIGHT, off + width);
    match side {
        Side::Right => [0.0, -HALF_HEIGHT, across, 2.0 * HALF_HEIGHT],
        Side::Left => [-across, -HALF_HEIGHT, across, 2.0 * HALF_HEIGHT],
        Side::Above => [-width / 2.0, -down, width, down],
        Side::Below => [-width / 2.0, 0.0, width, down],
    }
}

/// Cuts a label to `max_chars` characters, with an ellipsis if it was longer.
pub fn shorten(label: &str, max_chars: usize) -> String {
    if label.chars().count() <= max_chars {
        return label.to_owned();
    }
    let mut cut: String = label.chars().take(max_chars.saturating_sub(1)).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_cut_at_characters() {
        assert_eq!(shorten("My phone", 18), "My phone");
        assert_eq!(shorten("A very long label indeed", 12), "A very long…");
        assert_eq!(shorten("书房里的老平板电脑", 5), "书房里的…");
    }
}
