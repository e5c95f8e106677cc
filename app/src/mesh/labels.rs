//! Labels in the mesh picture: where they stand, and whether they all find room
//! without touching each other or a device. Pure.

use super::layout::{Frame, Point, Side, Spot};

/// Half of a label's height (two lines), and its distance to the device.
const LABEL_HALF: f64 = 17.0;
const LABEL_GAP: f64 = 8.0;
/// A label's width a letter, at 12.5 px semi-bold.
const LETTER: f64 = 7.0;

/// Left, top, right, bottom of a full-length label.
fn label_box(frame: &Frame, radius: f64, spot: &Spot) -> [f64; 4] {
    let width = frame.letters as f64 * LETTER;
    let Point { x, y } = spot.at;
    let off = radius + LABEL_GAP;
    let (left, middle) = match spot.side {
        Side::Right => (x + off, y),
        Side::Left => (x - off - width, y),
        Side::Above => (x - width / 2.0, y - off - LABEL_HALF),
        Side::Below => (x - width / 2.0, y + off + LABEL_HALF),
    };
    [left, middle - LABEL_HALF, left + width, middle + LABEL_HALF]
}

/// Whether every label, at its full length, stands free.
pub fn labels_fit(frame: &Frame, radius: f64, spots: &[Spot]) -> bool {
    // Beyond this the pairs below are many and the answer is known.
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

/// Where the two lines of a label stand, relative to its device: x, the first
/// line's and the second line's y, and the text anchor.
pub fn label_at(side: Side, radius: f64) -> (f64, f64, f64, &'static str) {
    let off = radius + LABEL_GAP;
    match side {
        Side::Right => (off, -2.0, 14.0, "start"),
        Side::Left => (-off, -2.0, 14.0, "end"),
        Side::Above => (0.0, -off - 18.0, -off - 3.0, "middle"),
        Side::Below => (0.0, off + 10.0, off + 26.0, "middle"),
    }
}

/// Left, top, width and height of what reacts to a pointer: the device, its
/// label and the gap between them, relative to the device.
pub fn reach(frame: &Frame, side: Side, radius: f64) -> [f64; 4] {
    let width = frame.letters as f64 * LETTER;
    let off = radius + LABEL_GAP;
    let (down, across) = (off + 2.0 * LABEL_HALF, off + width);
    match side {
        Side::Right => [0.0, -LABEL_HALF, across, 2.0 * LABEL_HALF],
        Side::Left => [-across, -LABEL_HALF, across, 2.0 * LABEL_HALF],
        Side::Above => [-width / 2.0, -down, width, down],
        Side::Below => [-width / 2.0, 0.0, width, down],
    }
}

/// A label cut to `letters`, with an ellipsis where something is gone.
pub fn short(label: &str, letters: usize) -> String {
    if label.chars().count() <= letters {
        return label.to_owned();
    }
    let mut cut: String = label.chars().take(letters.saturating_sub(1)).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_cut_at_characters() {
        assert_eq!(short("My phone", 18), "My phone");
        assert_eq!(short("A very long label indeed", 12), "A very long…");
        assert_eq!(short("书房里的老平板电脑", 5), "书房里的…");
    }
}
