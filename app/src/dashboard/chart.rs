//! The live chart's geometry: the last minute's speed as paths in a fixed view
//! box, which the page stretches to whatever width it has. Pure.

use domain::{Timestamp, view::SpeedSample};
use std::fmt::Write;

/// The view box's width.
pub const WIDTH: f64 = 600.0;
/// The view box's height.
pub const HEIGHT: f64 = 160.0;
/// What the chart shows, in milliseconds.
pub const SPAN_MILLIS: i64 = 60_000;

/// The chart, ready to draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The line of what comes down.
    pub down: String,
    /// The surface under it.
    pub area: String,
    /// The line of what goes up.
    pub up: String,
    /// The marks of the scale in Mb/s, from the top to 0.
    pub marks: [String; 4],
}

/// The chart of the minute before `now`.
pub fn chart(samples: &[SpeedSample], now: Timestamp) -> Chart {
    let seen: Vec<&SpeedSample> = samples
        .iter()
        .filter(|s| now.millis_since(s.at) <= SPAN_MILLIS)
        .collect();
    let most = seen
        .iter()
        .map(|s| s.down_bps.max(s.up_bps))
        .max()
        .unwrap_or(0);
    let step = step(most);
    let line = |value: fn(&SpeedSample) -> u64| {
        let mut path = String::with_capacity(seen.len() * 12);
        for (i, s) in seen.iter().enumerate() {
            let x = WIDTH * (1.0 - now.millis_since(s.at) as f64 / SPAN_MILLIS as f64);
            let y = HEIGHT * (1.0 - value(s) as f64 / (step * 3) as f64);
            let letter = if i == 0 { 'M' } else { 'L' };
            // Writing into a String cannot fail.
            let _ = write!(path, "{letter}{x:.1} {y:.1}");
        }
        path
    };
    let down = line(|s| s.down_bps);
    let area = match (seen.first(), seen.last()) {
        (Some(first), Some(last)) if seen.len() > 1 => {
            let x = |s: &SpeedSample| {
                WIDTH * (1.0 - now.millis_since(s.at) as f64 / SPAN_MILLIS as f64)
            };
            format!("{down}L{:.1} {HEIGHT}L{:.1} {HEIGHT}Z", x(last), x(first))
        }
        _ => String::new(),
    };
    Chart {
        area,
        up: line(|s| s.up_bps),
        down,
        marks: [step * 3, step * 2, step, 0].map(mark),
    }
}

/// The least round third of a scale that holds `most`: 1, 2 or 5 times a power
/// of ten, 0.1 Mb/s at least.
fn step(most: u64) -> u64 {
    let mut power = 100_000_u64;
    loop {
        for digit in [1, 2, 5] {
            let step = power.saturating_mul(digit);
            if step.saturating_mul(3) >= most {
                return step.min(u64::MAX / 3);
            }
        }
        power = power.saturating_mul(10);
    }
}

fn mark(bps: u64) -> String {
    if bps == 0 {
        "0".to_owned()
    } else if bps < 1_000_000 {
        format!("{:.1}", bps as f64 / 1e6)
    } else {
        crate::ui::format::thousands(bps / 1_000_000)
    }
}

/// What the chart says, for those who do not see it.
pub fn in_words(samples: &[SpeedSample]) -> String {
    use crate::ui::format::bits;
    let (mut down, mut up) = (0, 0);
    for s in samples {
        down = down.max(s.down_bps);
        up = up.max(s.up_bps);
    }
    let now = samples.last().copied().unwrap_or_default();
    format!(
        "Speed over the last minute: down {} now and {} at most, up {} now and {} at most.",
        bits(now.down_bps),
        bits(down),
        bits(now.up_bps),
        bits(up)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(secs: i64, down_bps: u64, up_bps: u64) -> SpeedSample {
        SpeedSample {
            at: Timestamp::from_secs(secs),
            down_bps,
            up_bps,
        }
    }

    #[test]
    fn a_minute_spans_the_width_and_the_top_mark_the_height() {
        let now = Timestamp::from_secs(100);
        let c = chart(
            &[
                sample(10, 99_000_000, 0),
                sample(40, 15_000_000, 0),
                sample(100, 0, 3_000_000),
            ],
            now,
        );
        assert_eq!(c.down, "M0.0 0.0L600.0 160.0", "what is older is left out");
        assert_eq!(c.up, "M0.0 160.0L600.0 128.0");
        assert_eq!(c.area, "M0.0 0.0L600.0 160.0L600.0 160L0.0 160Z");
        assert_eq!(c.marks, ["15", "10", "5", "0"]);
    }

    #[test]
    fn scales_are_round_and_hold_what_they_show() {
        for (most, top) in [
            (0, "0.3"),
            (300_000, "0.3"),
            (300_001, "0.6"),
            (2_000_000, "3"),
            (14_000_000, "15"),
            (15_000_001, "30"),
            (9_000_000_000, "15,000"),
        ] {
            let c = chart(&[sample(0, most, 0)], Timestamp::from_secs(0));
            assert_eq!(c.marks[0], top, "{most}");
        }
        assert!(step(u64::MAX) > 0);
    }

    #[test]
    fn nothing_and_one_sample_draw_no_surface() {
        assert_eq!(chart(&[], Timestamp::from_secs(5)).down, "");
        let one = chart(&[sample(5, 1, 1)], Timestamp::from_secs(5));
        assert_eq!(one.area, "");
    }

    #[test]
    fn the_words_tell_now_and_the_highest() {
        let words = in_words(&[sample(1, 15_100_000, 0), sample(2, 12_400_000, 2_600_000)]);
        assert_eq!(
            words,
            "Speed over the last minute: down 12.4 Mb/s now and 15.1 Mb/s at most, \
             up 2.6 Mb/s now and 2.6 Mb/s at most."
        );
        assert!(in_words(&[]).contains("0 b/s"));
    }
}
