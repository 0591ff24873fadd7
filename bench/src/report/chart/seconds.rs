//! Something a second, over the seconds of a run.

use super::{GRID, Series, anchored, colour, legend, painted};
use crate::report::figure;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// Points are seconds and numbers.
pub(crate) fn seconds(title: &str, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|one| one.points.iter());
    let end = points().fold(1.0_f64, |end, (x, _)| end.max(*x));
    let most = points().fold(1.0_f64, |most, (_, y)| most.max(*y)) * 1.08;
    if points().next().is_none() || !(end * most).is_finite() {
        return String::new();
    }
    painted(HEIGHT, title, |area| {
        let top = legend(area, series)?;
        let (_, plot) = area.split_vertically(top);
        let mut chart = ChartBuilder::on(&plot)
            .margin_right(36)
            .margin_top(8)
            .x_label_area_size(28)
            .y_label_area_size(78)
            .build_cartesian_2d(0.0..end, 0.0..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(8)
            .y_labels(6)
            .max_light_lines(0)
            .light_line_style(GRID)
            .axis_style(GRID)
            .bold_line_style(GRID)
            .x_label_style(anchored(HPos::Center, VPos::Top))
            .y_label_style(anchored(HPos::Right, VPos::Center))
            .x_label_formatter(&|x| format!("{} s", figure::number(*x)))
            .y_label_formatter(&|y| figure::number(*y))
            .draw()?;
        for (at, one) in series.iter().enumerate() {
            let line = LineSeries::new(
                one.points.iter().copied(),
                colour(at, &one.name).stroke_width(2),
            );
            chart.draw_series(line)?;
        }
        Ok(())
    })
}

const HEIGHT: u32 = 280;
