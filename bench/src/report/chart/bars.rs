//! Servers side by side: a bar for the median, a whisker from the smallest to the largest.

use super::{INK, MARGIN, WIDTH, anchored, colour, painted};
use crate::report::figure;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// Name, median, smallest, largest.
pub(crate) fn bars(title: &str, bars: &[(String, f64, f64, f64)]) -> String {
    let most = bars.iter().fold(0.0_f64, |most, bar| most.max(bar.3));
    if !(most.is_finite() && most > 0.0) {
        return String::new();
    }
    let height = MARGIN * 2 + ROW * bars.len() as i32;
    // The number stands behind the bar.
    let scale = f64::from(WIDTH as i32 - 2 * MARGIN - NUMBER) / most;
    painted(height as u32, title, |area| {
        for (at, (name, median, min, max)) in bars.iter().enumerate() {
            let top = MARGIN + ROW * at as i32;
            let x = |value: f64| MARGIN + (value.clamp(0.0, most) * scale) as i32;
            let text = anchored(HPos::Left, VPos::Center);
            area.draw(&Text::new(name.clone(), (MARGIN, top + 10), text.clone()))?;
            let (from, to) = (top + 22, top + 44);
            let bar = [(MARGIN, from), (x(*median).max(MARGIN + 1), to)];
            area.draw(&Rectangle::new(
                bar,
                ShapeStyle::from(&colour(at, name)).filled(),
            ))?;
            let middle = (from + to) / 2;
            if max > min {
                let line = ShapeStyle::from(&INK).stroke_width(2);
                area.draw(&PathElement::new(
                    [(x(*min), middle), (x(*max), middle)],
                    line,
                ))?;
                for end in [x(*min), x(*max)] {
                    area.draw(&PathElement::new(
                        [(end, middle - 5), (end, middle + 5)],
                        line,
                    ))?;
                }
            }
            let behind = (x(median.max(*max)) + 8, middle);
            area.draw(&Text::new(figure::number(*median), behind, text))?;
        }
        Ok(())
    })
}

const ROW: i32 = 56;
const NUMBER: i32 = 80;
