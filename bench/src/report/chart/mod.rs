//! Charts as SVG that takes its colours from the page, so that one picture serves light and dark.
//!
//! plotters writes colours as `#rrggbb`; each of ours is one that stands for a variable of the
//! style sheet and is replaced by it at the end. Sizes are in pixels of a picture [`WIDTH`] wide.

mod bars;
mod latency;
mod seconds;

pub(super) use bars::bars;
pub(super) use latency::latency;
pub(super) use seconds::seconds;

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea, Rectangle, SVGBackend, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor, ShapeStyle, TextStyle};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A named line of points.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// Lets `paint` paint, and gives the picture; one that cannot be painted is left out of the report.
fn painted(height: u32, title: &str, paint: impl FnOnce(&Area) -> anyhow::Result<()>) -> String {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    let done = paint(&area).and_then(|()| Ok(area.present()?));
    drop(area);
    match done {
        Ok(()) => themed(&svg, title),
        Err(why) => format!("<!-- {} -->", why.to_string().replace("--", "—")),
    }
}

fn themed(svg: &str, title: &str) -> String {
    let mut svg = svg.to_string();
    let named = SERIES
        .iter()
        .zip(0..)
        .map(|(colour, at)| (*colour, format!("--c{at}")));
    let others = [(INK, "--ink"), (GRID, "--grid"), (BAD, "--bad")];
    let others = others.map(|(colour, name)| (colour, name.to_string()));
    for (RGBColor(r, g, b), name) in named.chain(others) {
        svg = svg.replace(
            &format!("\"#{r:02X}{g:02X}{b:02X}\""),
            &format!("\"var({name})\""),
        );
    }
    let label = super::html::escaped(title);
    svg.replacen(
        "<svg ",
        &format!("<svg role=\"img\" aria-label=\"{label}\" "),
        1,
    )
}

/// A series named [`FAILED`] is drawn as what it is.
fn colour(at: usize, name: &str) -> RGBColor {
    if name == FAILED {
        return BAD;
    }
    SERIES.get(at % SERIES.len()).copied().unwrap_or(INK)
}

fn anchored(horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    TextStyle {
        font: (FONT, TEXT).into(),
        color: INK.to_backend_color(),
        pos: Pos::new(horizontal, vertical),
    }
}

/// Names of series in a row above the plot, each with its colour; gives the height they take.
fn legend(area: &Area, series: &[Series]) -> anyhow::Result<i32> {
    let (mut x, mut y) = (MARGIN, MARGIN);
    for (at, Series { name, .. }) in series.iter().enumerate() {
        let width = 30 + (name.chars().count() as f64 * TEXT * 0.46) as i32;
        if x > MARGIN && x + width > WIDTH as i32 {
            (x, y) = (MARGIN, y + LINE);
        }
        let mark = [(x, y + 4), (x + 12, y + 16)];
        area.draw(&Rectangle::new(
            mark,
            ShapeStyle::from(&colour(at, name)).filled(),
        ))?;
        let text = anchored(HPos::Left, VPos::Center);
        area.draw(&Text::new(name.clone(), (x + 18, y + 10), text))?;
        x += width + 10;
    }
    Ok(y + LINE)
}

const WIDTH: u32 = 640;
const MARGIN: i32 = 8;
const LINE: i32 = 24;
/// plotters sets text 1.24 times smaller than it is told.
const TEXT: f64 = 14.5 * 1.24;
/// Series that can be told apart.
pub(super) const COLOURS: usize = SERIES.len();
pub(super) const FAILED: &str = "failed";
const FONT: &str = "system-ui, sans-serif";

const INK: RGBColor = RGBColor(0x01, 0x02, 0x03);
const GRID: RGBColor = RGBColor(0x01, 0x02, 0x04);
const BAD: RGBColor = RGBColor(0x01, 0x02, 0x05);
const SERIES: [RGBColor; 8] = [
    RGBColor(0x01, 0x02, 0x10),
    RGBColor(0x01, 0x02, 0x11),
    RGBColor(0x01, 0x02, 0x12),
    RGBColor(0x01, 0x02, 0x13),
    RGBColor(0x01, 0x02, 0x14),
    RGBColor(0x01, 0x02, 0x15),
    RGBColor(0x01, 0x02, 0x16),
    RGBColor(0x01, 0x02, 0x17),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str) -> Series {
        Series {
            name: name.to_string(),
            points: vec![(50.0, 100.0), (99.0, 1000.0), (99.9, 20_000.0)],
        }
    }

    #[test]
    fn pictures_hold_their_names_and_no_colour_of_their_own() {
        for svg in [
            latency("ack", &[curve("A <1>"), curve("B")]),
            seconds("rate", &[curve("A <1>"), curve("B")]),
            bars(
                "rate",
                &[
                    ("A <1>".to_string(), 10.0, 9.0, 11.0),
                    ("B".to_string(), 1.0, 1.0, 1.0),
                ],
            ),
        ] {
            assert!(svg.starts_with("<svg role=\"img\""), "{svg}");
            assert!(
                svg.contains("A &lt;1&gt;") && svg.contains("var(--c0)"),
                "{svg}"
            );
            assert!(!svg.contains("\"#"), "{svg}");
        }
    }

    #[test]
    fn empty_and_odd_series_make_no_panic() {
        for points in [
            vec![],
            vec![(50.0, 0.0)],
            vec![(100.0, f64::NAN)],
            vec![(50.0, 1e18)],
        ] {
            let series = [Series {
                name: "x".to_string(),
                points,
            }];
            latency("", &series);
            seconds("", &series);
        }
        latency("", &[]);
        seconds("", &[]);
        bars("", &[]);
        bars("", &[("x".to_string(), f64::NAN, 0.0, -1.0)]);
    }
}
