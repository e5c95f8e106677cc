//! Draws a text as a QR code: one SVG path, made on the server.

use leptos::prelude::*;
use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write;

/// The quiet zone around a code, in modules (ISO/IEC 18004: 4). It is part of
/// the picture, and white on a dark page too.
pub const QUIET_ZONE: i32 = 4;

/// A text with more bytes than this has a wider picture: its code has more than 100 modules
/// to a side.
pub const LONG_BYTES: usize = 800;

/// A QR code, ready to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// The side of the square in modules, including the quiet zone.
    pub side: i32,
    /// The path of the dark modules.
    pub path: String,
}

/// Draws `text`. Returns `None` if it is longer than a code can hold (2,953 bytes).
///
/// Error correction is at least "low" and as high as the size allows: a screen is
/// clean, and a cheap camera scans fewer modules better.
pub fn draw(text: &str) -> Option<Drawing> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        let mut x = 0;
        while x < size {
            let start = x;
            while x < size && code.get_module(x, y) {
                x += 1;
            }
            if x > start {
                let run = x - start;
                // Writing into a String cannot fail.
                let _ = write!(
                    path,
                    "M{} {}h{run}v1h-{run}z",
                    start + QUIET_ZONE,
                    y + QUIET_ZONE
                );
            }
            x += 1;
        }
    }
    Some(Drawing {
        side: size + 2 * QUIET_ZONE,
        path,
    })
}

/// A QR code, or what to do where the text is too long for one.
#[component]
pub fn QrPicture(
    text: String,
    /// What the code is, for screen readers.
    label: String,
    /// What to use where there is no code.
    otherwise: &'static str,
) -> impl IntoView {
    // The modules of a long text are as large as those of a short one.
    let width = match text.len() > LONG_BYTES {
        true => "w-[420px]",
        false => "w-[280px]",
    };
    match draw(&text) {
        Some(drawing) => view! {
            <svg
                class=format!("block h-auto {width} max-w-full rounded-xl border border-line bg-white")
                viewBox=format!("0 0 {0} {0}", drawing.side)
                shape-rendering="crispEdges"
                role="img"
                aria-label=label
            >
                <rect width=drawing.side height=drawing.side fill="#fff"></rect>
                <path d=drawing.path fill="#000"></path>
            </svg>
        }
        .into_any(),
        None => view! { <p class="s">{otherwise}</p> }.into_any(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the modules that a path fills.
    fn squares(path: &str) -> std::collections::BTreeSet<(i32, i32)> {
        path.split('M')
            .skip(1)
            .flat_map(|run| {
                let mut numbers = run
                    .split(|c: char| !c.is_ascii_digit())
                    .filter_map(|n| n.parse::<i32>().ok());
                let (x, y, width) = (
                    numbers.next().unwrap(),
                    numbers.next().unwrap(),
                    numbers.next().unwrap(),
                );
                (x..x + width).map(move |x| (x, y))
            })
            .collect()
    }

    #[test]
    fn the_path_draws_the_code_inside_its_quiet_zone() {
        let text = "[Interface]\nPrivateKey = x\nAddress = 10.88.1.2/32\n".repeat(5);
        let drawing = draw(&text).unwrap();
        let code = QrCode::encode_text(&text, QrCodeEcc::Low).unwrap();
        let drawn = squares(&drawing.path);
        for y in 0..drawing.side {
            for x in 0..drawing.side {
                // Outside of the code `get_module` returns light.
                let dark = code.get_module(x - QUIET_ZONE, y - QUIET_ZONE);
                assert_eq!(drawn.contains(&(x, y)), dark, "{x} {y}");
            }
        }
    }

    #[test]
    fn a_text_too_long_for_a_code_is_refused() {
        assert_eq!(draw(&"x".repeat(2_954)), None);
        assert!(draw(&"x".repeat(2_953)).is_some());
    }
}
