//! Panels of lines as SVG: light, plain, with the legend above the data and not in it.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use crate::picture::{AXIS, COLORS, COMMON, FAINT, FONT, INK, LEGEND_LINE, failure};

/// A panel: what several lines have in common.
#[derive(Debug)]
pub struct Panel {
    /// What it shows.
    pub title: &'static str,
    /// The curves, at least one.
    pub lines: Vec<Line>,
}

/// A curve.
#[derive(Debug)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Which run it is of; none for what several have in common.
    pub run: Option<usize>,
    /// Which of the run's curves in this panel: 0 is drawn full, others dashed.
    pub style: usize,
    /// Whether there is one run only, so that colours can tell its curves apart.
    pub alone: bool,
    /// Step and value, in the order of the steps; finite.
    pub points: Vec<(f64, f64)>,
}

const PANEL: (u32, u32) = (520, 310);
/// About the width of a character in the legend; without a font at hand it is an estimate.
const LEGEND_CHARACTER: i32 = 7;
/// Dash and gap of the second curve, the third, and the following.
const DASHES: [(u32, u32); 3] = [(7, 4), (2, 3), (10, 6)];
/// From so many points on a curve is drawn faint, with its running mean on top.
const MANY_POINTS: usize = 120;

/// The panels, two in a row.
pub fn draw(panels: &[Panel]) -> Result<String> {
    let columns = panels.len().clamp(1, 2);
    let rows = panels.len().div_ceil(columns);
    let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(failure)?;
        for (area, panel) in root.split_evenly((rows, columns)).iter().zip(panels) {
            draw_panel(area, panel)?;
        }
        root.present().map_err(failure)?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw_panel(area: &Area<'_>, panel: &Panel) -> Result<()> {
    let legend = legend_places(panel);
    let lines_of_legend = legend.iter().map(|place| place.1).max().unwrap_or(0) + 1;
    let (head, body) = area.split_vertically(30 + lines_of_legend * LEGEND_LINE);
    head.draw(&Text::new(panel.title, (56, 12), (FONT, 16).into_font().color(&INK))).map_err(failure)?;
    for (line, (column, row)) in panel.lines.iter().zip(legend) {
        draw_legend(&head, line, (56 + column, 36 + row * LEGEND_LINE))?;
    }
    let points = || panel.lines.iter().flat_map(|line| line.points.iter());
    let steps = range(points().map(|point| point.0), 0.0);
    let values = range(points().map(|point| point.1), 0.06);
    let digits = digits(&values);
    let mut chart = ChartBuilder::on(&body)
        .margin_right(18)
        .margin_top(4)
        .margin_bottom(6)
        .x_label_area_size(38)
        .y_label_area_size(56)
        .build_cartesian_2d(steps, values)
        .map_err(failure)?;
    let label = (FONT, 12).into_font().color(&INK);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(FAINT)
        .axis_style(AXIS)
        .x_desc("step")
        .x_labels(6)
        .y_labels(6)
        .label_style(label)
        .x_label_formatter(&|step| format!("{step:.0}"))
        .y_label_formatter(&move |value| format_value(*value, digits))
        .draw()
        .map_err(failure)?;
    for line in &panel.lines {
        let style = line.stroke();
        let many = line.points.len() >= MANY_POINTS;
        if many {
            let faint = ShapeStyle { color: line.color().mix(0.25), filled: false, stroke_width: 1 };
            chart.draw_series(LineSeries::new(line.points.iter().copied(), faint)).map_err(failure)?;
        }
        let points = if many { running_mean(&line.points) } else { line.points.clone() };
        if let [point] = points.as_slice() {
            chart.draw_series([Circle::new(*point, 3, style.filled())]).map_err(failure)?;
        } else if let Some((dash, gap)) = line.dash() {
            chart.draw_series(DashedLineSeries::new(points, dash, gap, style)).map_err(failure)?;
        } else {
            chart.draw_series(LineSeries::new(points, style)).map_err(failure)?;
        }
    }
    Ok(())
}

impl Line {
    /// One run: a colour for each of its curves. Several: a colour for each run, and dashes tell its curves apart.
    fn color(&self) -> RGBColor {
        match self.run {
            Some(_) if self.alone => COLORS[self.style % COLORS.len()],
            Some(run) => COLORS[run % COLORS.len()],
            None => COMMON,
        }
    }

    fn stroke(&self) -> ShapeStyle {
        self.color().stroke_width(2)
    }

    fn dash(&self) -> Option<(u32, u32)> {
        self.style.checked_sub(1).map(|style| DASHES[style % DASHES.len()])
    }
}

/// Where each name stands: its distance from the left, and its line.
fn legend_places(panel: &Panel) -> Vec<(i32, i32)> {
    let (mut column, mut row) = (0, 0);
    let mut places = Vec::new();
    for line in &panel.lines {
        let width = 44 + LEGEND_CHARACTER * line.name.chars().count() as i32;
        if column > 0 && column + width > PANEL.0 as i32 - 70 {
            (column, row) = (0, row + 1);
        }
        places.push((column, row));
        column += width;
    }
    places
}

fn draw_legend(head: &Area<'_>, line: &Line, (x, y): (i32, i32)) -> Result<()> {
    let middle = y + 7;
    let sample = [(x, middle), (x + 24, middle)];
    match line.dash() {
        None => head.draw(&PathElement::new(sample, line.stroke())),
        Some((dash, gap)) => head.draw(&DashedPathElement::new(sample, dash, gap, line.stroke())),
    }
    .map_err(failure)?;
    let style = (FONT, 12).into_font().color(&INK);
    head.draw(&Text::new(line.name.clone(), (x + 30, y), style)).map_err(failure)
}

/// From the least to the greatest, with room at both ends; never empty.
fn range(values: impl Iterator<Item = f64>, room: f64) -> Range<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        (low, high) = (low.min(value), high.max(value));
    }
    if high <= low {
        let around = (low.abs() * 0.1).max(1e-3);
        return low - around..low + around;
    }
    let room = (high - low) * room;
    low - room..high + room
}

/// Decimals that tell the labels of an axis apart.
fn digits(values: &Range<f64>) -> usize {
    let step = (values.end - values.start) / 6.0;
    (-step.log10().floor()).clamp(0.0, 12.0) as usize
}

fn format_value(value: f64, digits: usize) -> String {
    if digits > 5 {
        return if value == 0.0 { "0".to_owned() } else { format!("{value:.1e}") };
    }
    // -0.00 is 0.
    let text = format!("{value:.digits$}");
    if text.trim_start_matches('-').chars().all(|character| "0.".contains(character)) {
        "0".to_owned()
    } else {
        text
    }
}

/// The mean of each point's neighbourhood, a twentieth of the curve; at its ends, of what there is of it.
fn running_mean(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = points.len() / 40;
    let mean = |index: usize| {
        let near = &points[index.saturating_sub(reach)..(index + reach + 1).min(points.len())];
        near.iter().map(|point| point.1).sum::<f64>() / near.len() as f64
    };
    points.iter().enumerate().map(|(index, point)| (point.0, mean(index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_never_empty() {
        assert_eq!(range([1.0, 3.0].into_iter(), 0.25), 0.5..3.5);
        assert_eq!(range([0.0].into_iter(), 0.1), -1e-3..1e-3);
        assert_eq!(range([-20.0, -20.0].into_iter(), 0.1), -22.0..-18.0);
    }

    #[test]
    fn labels_are_short_and_distinct() {
        let label = |range: Range<f64>, value: f64| format_value(value, digits(&range));
        assert_eq!(label(0.0..0.6, 0.3), "0.3");
        assert_eq!(label(0.0..0.3, 0.25), "0.25");
        assert_eq!(label(0.0..600.0, 250.0), "250");
        assert_eq!(label(-1e-9..0.6, -1e-9), "0");
        assert_eq!(label(0.0..1e-6, 2e-7), "2.0e-7");
    }

    #[test]
    fn a_running_mean_keeps_what_is_straight() {
        let line: Vec<(f64, f64)> = (0..400).map(|x| (f64::from(x), 2.0 * f64::from(x))).collect();
        let smooth = running_mean(&line);
        for (smooth, point) in smooth[10..390].iter().zip(&line[10..]) {
            assert!((smooth.1 - point.1).abs() < 1e-9, "{smooth:?} {point:?}");
        }
        // The first ten and the one behind them: their mean is the sixth's value.
        assert_eq!(smooth[0], (0.0, 10.0));
    }
}
