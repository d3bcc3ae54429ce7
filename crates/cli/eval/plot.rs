//! `eval --plot`: two panels side by side. On the left the answers of each tenth of confidence, how often they are right; on the
//! right how accuracy falls as more answers are given. A colour for each kind of confidence in each file.

use std::path::Path;

use anyhow::{Context, Result, bail};
use conclave_core::report::Report;
use conclave_core::report::confidence::CalibrationReport;
use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::confidence::shown;
use conclave_disk::Inputs;

use crate::messages::visible_clipped;
use crate::picture::{AXIS, COLORS, COMMON, FAINT, FONT, Format, INK, LEGEND_LINE, failure};
use crate::unsure::name;

/// Characters of a file's name that the legend shows.
const SHOWN_NAME: usize = 60;

const PANEL: (u32, u32) = (500, 430);
const TITLE: i32 = 34;
/// Radius of the smallest point, and of one with all answers.
const RADIUS: (f64, f64) = (2.5, 11.0);

/// What has a colour.
struct Series<'a> {
    name: String,
    color: RGBColor,
    report: &'a CalibrationReport,
}

/// Draws the confidences of all reports.
pub fn write(reports: &[Report], path: &Path, format: Format, inputs: &Inputs) -> Result<()> {
    let shown: Vec<(&str, &CalibrationReport)> = reports.iter().flat_map(shown).collect();
    if shown.is_empty() {
        bail!(
            "`{}` is not written: there is nothing to draw; expected results with a confidence and a `reference_answer`, two rows \
             at least, as `conclave vote SETS --out FILE` writes them",
            path.display()
        );
    }
    let series = shown.into_iter().enumerate().map(|(at, (file, report))| Series {
        name: visible_clipped(
            &format!("{}, {} answers of {file}", name(report.kind), report.rows),
            SHOWN_NAME,
        ),
        color: COLORS[at % COLORS.len()],
        report,
    });
    let svg = draw(&series.collect::<Vec<_>>()).context("cannot draw the confidences")?;
    format.write(&svg, path, inputs)
}

fn draw(series: &[Series]) -> Result<String> {
    let legend = TITLE + LEGEND_LINE * series.len() as i32;
    let mut svg = String::new();
    {
        let size = (2 * PANEL.0, PANEL.1 + legend as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(failure)?;
        let (head, body) = root.split_vertically(legend);
        for (line, series) in series.iter().enumerate() {
            let middle = 12 + LEGEND_LINE * line as i32 + 7;
            head.draw(&PathElement::new([(66, middle), (90, middle)], series.color.stroke_width(2)))
                .map_err(failure)?;
            head.draw(&Circle::new((78, middle), 4, series.color.filled())).map_err(failure)?;
            text(&head, &series.name, (98, middle - 7), 12)?;
        }
        let titles = legend - 18;
        text(&head, "How often answers of a confidence are right", (66, titles), 15)?;
        text(&head, "Accuracy of the answers that are given", (66 + PANEL.0 as i32, titles), 15)?;
        let (left, right) = body.split_horizontally(PANEL.0);
        draw_reliability(&left, series)?;
        draw_yield(&right, series)?;
        root.present().map_err(failure)?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn text(area: &Area<'_>, text: &str, place: (i32, i32), size: u32) -> Result<()> {
    area.draw(&Text::new(text.to_owned(), place, (FONT, size).into_font().color(&INK))).map_err(failure)
}

/// Axes from 0 to 1, and from `lowest` to 1.
fn axes<'a, 'b>(area: &'a Area<'b>, lowest: f64, x: &str, y: &str) -> Result<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .margin_left(8)
        .margin_right(20)
        .margin_top(8)
        .margin_bottom(8)
        .x_label_area_size(40)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..1.0, lowest..1.0)
        .map_err(failure)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(FAINT)
        .axis_style(AXIS)
        .x_desc(x)
        .y_desc(y)
        .x_labels(11)
        .y_labels(11)
        .label_style((FONT, 12).into_font().color(&INK))
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .draw()
        .map_err(failure)?;
    Ok(chart)
}

/// One decimal where that is all there is.
fn label(value: &f64) -> String {
    let hundredths = format!("{value:.2}");
    hundredths.strip_suffix('0').unwrap_or(&hundredths).to_owned()
}

/// A point a bin, the larger the more answers it has. On the diagonal a confidence says how often answers are right.
fn draw_reliability(area: &Area<'_>, series: &[Series]) -> Result<()> {
    let mut chart = axes(area, 0.0, "stated confidence", "share that is right")?;
    let diagonal = [(0.0, 0.0), (1.0, 1.0)];
    chart.draw_series(DashedLineSeries::new(diagonal, 5, 4, COMMON.stroke_width(1))).map_err(failure)?;
    for Series { color, report, .. } in series {
        let points = report.bins.iter().filter_map(|bin| Some((bin.confidence?, bin.accuracy?, bin.rows)));
        let points: Vec<(f64, f64, usize)> = points.collect();
        let line = points.iter().map(|&(confidence, accuracy, _)| (confidence, accuracy));
        chart.draw_series(LineSeries::new(line, color.mix(0.5).stroke_width(1))).map_err(failure)?;
        let circles = points.iter().map(|&(confidence, accuracy, rows)| {
            // By area.
            let share = (rows as f64 / report.rows as f64).sqrt();
            let radius = RADIUS.0 + (RADIUS.1 - RADIUS.0) * share;
            Circle::new((confidence, accuracy), radius.round() as i32, color.mix(0.8).filled())
        });
        chart.draw_series(circles).map_err(failure)?;
    }
    Ok(())
}

fn draw_yield(area: &Area<'_>, series: &[Series]) -> Result<()> {
    let points = || series.iter().flat_map(|series| &series.report.kept);
    let least = points().map(|point| point.accuracy).fold(1.0, f64::min);
    // The tenth below the lowest point; curves of answers that are all right have room too.
    let lowest = ((10.0 * least - 0.2).floor() / 10.0).clamp(0.0, 0.9);
    let mut chart =
        axes(area, lowest, "share of the answers that is given, the surest first", "share that is right")?;
    for Series { color, report, .. } in series {
        let line: Vec<(f64, f64)> = report.kept.iter().map(|point| (point.kept, point.accuracy)).collect();
        if let [point] = line.as_slice() {
            chart.draw_series([Circle::new(*point, 4, color.filled())]).map_err(failure)?;
        }
        chart.draw_series(LineSeries::new(line, color.stroke_width(2))).map_err(failure)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use conclave_core::calibration::{Bin, YieldPoint};
    use conclave_core::result::ConfidenceKind;

    use super::*;

    #[test]
    fn one_point_and_odd_names_can_be_drawn() {
        let report = CalibrationReport {
            kind: ConfidenceKind::Share,
            rows: 2,
            out_of_range: 0,
            ece: Some(0.0),
            auroc: None,
            brier: Some(0.0),
            bins: vec![Bin { from: 0.9, rows: 2, confidence: Some(1.0), accuracy: Some(1.0) }],
            kept: vec![YieldPoint { at_least: 1.0, kept: 1.0, accuracy: 1.0 }],
        };
        let series = Series { name: "a <&> b".to_owned(), color: COLORS[0], report: &report };
        let svg = draw(&[series]).unwrap();
        for part in ["<svg", "a &lt;&amp;&gt; b", "stated confidence", "share that is right"] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
