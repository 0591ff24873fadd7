//! Latency by percentile: both axes logarithmic, so that a tail can be seen.

use super::{GRID, Series, anchored, colour, legend, painted};
use crate::report::figure;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// Points are percentiles (0 to below 100) and microseconds.
pub(crate) fn latency(title: &str, series: &[Series]) -> String {
    let series: Vec<Series> = series.iter().map(placed).collect();
    let points = || series.iter().flat_map(|one| one.points.iter());
    let end = points().fold(1.0_f64, |end, (x, _)| end.max(*x)).ceil();
    let least = points().fold(f64::MAX, |least, (_, y)| least.min(*y));
    let most = points().fold(10.0_f64, |most, (_, y)| most.max(*y));
    if points().next().is_none() {
        return String::new();
    }
    painted(HEIGHT, title, |area| {
        let top = legend(area, &series)?;
        let (_, plot) = area.split_vertically(top);
        let mut chart = ChartBuilder::on(&plot)
            .margin_right(36)
            .margin_top(8)
            .x_label_area_size(28)
            .y_label_area_size(78)
            .build_cartesian_2d(
                0.0..end,
                (decade_below(least)..decade_above(most)).log_scale(),
            )?;
        chart
            .configure_mesh()
            .x_labels(end as usize + 1)
            .y_labels(6)
            .max_light_lines(0)
            .light_line_style(GRID)
            .axis_style(GRID)
            .bold_line_style(GRID)
            .x_label_style(anchored(HPos::Center, VPos::Top))
            .y_label_style(anchored(HPos::Right, VPos::Center))
            .x_label_formatter(&|x| percentile(*x))
            .y_label_formatter(&|y| figure::micros(*y as u64))
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

/// Percentiles as powers of ten that are left out: 90 is 1, 99 is 2.
fn placed(series: &Series) -> Series {
    let sound = |(p, y): &&(f64, f64)| (0.0..100.0).contains(p) && y.is_finite();
    let placed = |(p, y): &(f64, f64)| (-(1.0 - p / 100.0).log10(), y.clamp(1.0, MICROS_MAX));
    Series {
        name: series.name.clone(),
        points: series.points.iter().filter(sound).map(placed).collect(),
    }
}

/// Whole powers are named: `0`, `90 %`, `99 %`, `99.9 %`.
fn percentile(x: f64) -> String {
    if (x - x.round()).abs() > 0.01 {
        return String::new();
    }
    match x.round() as usize {
        0 => "0 %".to_string(),
        1 => "90 %".to_string(),
        2 => "99 %".to_string(),
        nines => format!("99.{} %", "9".repeat(nines - 2)),
    }
}

fn decade_below(value: f64) -> f64 {
    10_f64.powf(value.max(1.0).log10().floor())
}

fn decade_above(value: f64) -> f64 {
    10_f64.powf(value.max(1.0).log10().floor() + 1.0)
}

const HEIGHT: u32 = 340;
/// A day; what is above is drawn there.
const MICROS_MAX: f64 = 8.64e10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nines_are_evenly_spaced() {
        assert_eq!(
            [0.0, 1.0, 2.0, 3.0, 5.0].map(percentile).join(" "),
            "0 % 90 % 99 % 99.9 % 99.999 %"
        );
        assert_eq!(percentile(1.5), "");
        let series = Series {
            name: String::new(),
            points: vec![(99.0, 5.0), (100.0, 9.0)],
        };
        assert_eq!(placed(&series).points.len(), 1);
        assert!((placed(&series).points[0].0 - 2.0).abs() < 1e-9);
    }
}
