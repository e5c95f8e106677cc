//! The live chart's geometry: the speed of the last minute as paths in a fixed
//! view box, which the page stretches to its width. All functions are pure.

use super::format::{bits, decimal, thousands};
use domain::{Timestamp, view::SpeedSample};
use std::fmt::Write;

/// The width of the view box.
pub const WIDTH: u32 = 600;
/// The height of the view box.
pub const HEIGHT: u32 = 160;
/// The time the chart covers, in milliseconds.
pub const SPAN_MILLIS: i64 = 60_000;

/// A chart, ready to draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The content of the `<svg>`.
    pub paths: String,
    /// The labels of the scale in Mb/s, from the top to 0, as `<span>`s.
    pub scale: String,
    /// The chart in words, for screen readers.
    pub summary: String,
}

/// Draws the minute before `now`.
pub fn chart(samples: &[SpeedSample], now: Timestamp) -> Chart {
    let visible: Vec<&SpeedSample> = samples
        .iter()
        .filter(|s| now.millis_since(s.at) <= SPAN_MILLIS)
        .collect();
    let highest = visible.iter().map(|s| s.down_bps.max(s.up_bps)).max();
    let step = scale_step(highest.unwrap_or(0));
    let down = line(&visible, now, step, |s| s.down_bps);
    let up = line(&visible, now, step, |s| s.up_bps);
    let mut paths = String::with_capacity(3 * down.len() + up.len() + 600);
    for i in 0..4 {
        let y = decimal(f64::from(HEIGHT * i) / 3.0, 1);
        // Writing into a String cannot fail.
        let _ = write!(
            paths,
            "<path d=\"M0 {y}H{WIDTH}\" stroke=\"var(--line)\" {UNSCALED_STROKE}/>"
        );
    }
    if let [first, .., last] = visible[..] {
        let (first, last) = (x(first, now), x(last, now));
        let _ = write!(
            paths,
            "<path d=\"{down}L{last} {HEIGHT}L{first} {HEIGHT}Z\" fill=\"var(--down)\" fill-opacity=\"0.1\"/>"
        );
    }
    for (line, colour) in [(down, "down"), (up, "up")] {
        let _ = write!(
            paths,
            "<path d=\"{line}\" fill=\"none\" stroke=\"var(--{colour})\" stroke-width=\"2\" \
             stroke-linejoin=\"round\" {UNSCALED_STROKE}/>"
        );
    }
    Chart {
        paths,
        scale: [step * 3, step * 2, step, 0]
            .map(|bps| format!("<span>{}</span>", scale_label(bps)))
            .concat(),
        summary: summary(samples),
    }
}

/// Keeps the width of lines while the drawing is stretched.
const UNSCALED_STROKE: &str = "vector-effect=\"non-scaling-stroke\"";

/// Returns the path of one line.
fn line(
    samples: &[&SpeedSample],
    now: Timestamp,
    step: u64,
    value: fn(&SpeedSample) -> u64,
) -> String {
    let mut path = String::with_capacity(samples.len() * 12);
    for (i, s) in samples.iter().enumerate() {
        let y = f64::from(HEIGHT) * (1.0 - value(s) as f64 / (step * 3) as f64);
        path.push(if i == 0 { 'M' } else { 'L' });
        path.push_str(&x(s, now));
        path.push(' ');
        path.push_str(&decimal(y, 1));
    }
    path
}

fn x(sample: &SpeedSample, now: Timestamp) -> String {
    let ago = now.millis_since(sample.at) as f64 / SPAN_MILLIS as f64;
    decimal(f64::from(WIDTH) * (1.0 - ago), 1)
}

/// Returns a third of the smallest round scale that holds `highest`: 1, 2 or 5
/// times a power of ten, at least 0.1 Mb/s.
fn scale_step(highest: u64) -> u64 {
    let mut power = 100_000_u64;
    loop {
        for digit in [1, 2, 5] {
            let step = power.saturating_mul(digit);
            if step.saturating_mul(3) >= highest {
                return step.min(u64::MAX / 3);
            }
        }
        power = power.saturating_mul(10);
    }
}

fn scale_label(bps: u64) -> String {
    if bps == 0 {
        "0".to_owned()
    } else if bps < 1_000_000 {
        format!("0.{}", bps / 100_000)
    } else {
        thousands(bps / 1_000_000)
    }
}

/// Returns the chart in words, for screen readers.
fn summary(samples: &[SpeedSample]) -> String {
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
    fn a_minute_spans_the_whole_width() {
        let now = Timestamp::from_secs(100);
        let c = chart(
            &[
                sample(10, 99_000_000, 0),
                sample(40, 15_000_000, 0),
                sample(100, 0, 3_000_000),
            ],
            now,
        );
        for path in [
            // The sample that is older than a minute is left out.
            "d=\"M0 0L600 160\" fill=\"none\" stroke=\"var(--down)\"",
            "d=\"M0 160L600 128\" fill=\"none\" stroke=\"var(--up)\"",
            "d=\"M0 0L600 160L600 160L0 160Z\" fill=\"var(--down)\"",
        ] {
            assert!(c.paths.contains(path), "{path} in {}", c.paths);
        }
        assert_eq!(
            c.scale,
            "<span>15</span><span>10</span><span>5</span><span>0</span>"
        );
    }

    #[test]
    fn scales_are_round_and_hold_their_values() {
        for (highest, top) in [
            (0, "0.3"),
            (300_000, "0.3"),
            (300_001, "0.6"),
            (2_000_000, "3"),
            (14_000_000, "15"),
            (15_000_001, "30"),
            (9_000_000_000, "15,000"),
        ] {
            let c = chart(&[sample(0, highest, 0)], Timestamp::from_secs(0));
            let label = format!("<span>{top}</span>");
            assert!(c.scale.starts_with(&label), "{highest}");
        }
        assert!(scale_step(u64::MAX) > 0);
    }

    #[test]
    fn fewer_than_two_samples_draw_no_area() {
        for samples in [&[][..], &[sample(5, 1, 1)]] {
            let c = chart(samples, Timestamp::from_secs(5));
            assert!(!c.paths.contains("fill-opacity"), "{}", c.paths);
        }
    }

    #[test]
    fn the_summary_names_current_and_highest_speed() {
        let text = summary(&[sample(1, 15_100_000, 0), sample(2, 12_400_000, 2_600_000)]);
        assert_eq!(
            text,
            "Speed over the last minute: down 12.4 Mb/s now and 15.1 Mb/s at most, \
             up 2.6 Mb/s now and 2.6 Mb/s at most."
        );
        assert!(summary(&[]).contains("0 b/s"));
    }
}
