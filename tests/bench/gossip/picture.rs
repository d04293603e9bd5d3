//! The curves as a picture: which share of the nodes knows after which time.

use std::fmt::Write as _;

use super::world::measure::Times;

const PANEL: (f64, f64) = (400.0, 260.0);
const LEFT: f64 = 60.0;
const GAP: f64 = 90.0;
const TOP: f64 = 64.0;
const SIZE: (f64, f64) = (LEFT + 2.0 * PANEL.0 + GAP + 30.0, TOP + PANEL.1 + 60.0);
/// Told apart by people who see no red or green too (Okabe and Ito's palette).
const COLOURS: [&str; 4] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"];
/// Points of a curve: one for each half per cent.
const POINTS: usize = 200;

/// Draws both panels: how a failure and how a change becomes known, by number of nodes.
pub(crate) fn draw(failures: &[(u32, Times)], changes: &[(u32, Times)]) -> String {
    let mut out = String::new();
    let (width, height) = SIZE;
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>"
    );
    panel(&mut out, LEFT, "Nodes that know of a failure", failures, (8.0, 1.0), Some(6.0));
    panel(&mut out, LEFT + PANEL.0 + GAP, "Nodes that know of an entry change", changes, (1.6, 0.2), None);
    out.push_str("</svg>\n");
    out
}

/// One panel. `axis` is the greatest time and the step between marks, in seconds.
fn panel(
    out: &mut String,
    left: f64,
    title: &str,
    curves: &[(u32, Times)],
    axis: (f64, f64),
    goal: Option<f64>,
) {
    let (width, height) = PANEL;
    let (end, step) = axis;
    let x = |seconds: f64| left + width * (seconds / end).min(1.0);
    let y = |share: f64| TOP + height * (1.0 - share);
    text(out, (left, 26.0), "start", "font-weight=\"bold\" font-size=\"15\"", title);
    for percent in (0..=100).step_by(25) {
        let at = y(f64::from(percent) / 100.0);
        line(out, (left, at), (left + width, at), "stroke=\"#dddddd\"");
        text(out, (left - 8.0, at + 4.0), "end", "", &format!("{percent} %"));
    }
    for mark in 0..=(end / step).round() as u32 {
        let seconds = f64::from(mark) * step;
        line(out, (x(seconds), y(0.0)), (x(seconds), y(0.0) + 5.0), "stroke=\"black\"");
        let label = if step < 1.0 { format!("{seconds:.1}") } else { format!("{seconds:.0}") };
        text(out, (x(seconds), y(0.0) + 20.0), "middle", "", &label);
    }
    text(out, (left + width / 2.0, y(0.0) + 42.0), "middle", "", "seconds, LAN settings, 5 % loss");
    line(out, (left, y(0.0)), (left + width, y(0.0)), "stroke=\"black\"");
    if let Some(goal) = goal {
        line(out, (x(goal), y(0.0)), (x(goal), y(1.0)), "stroke=\"#888888\" stroke-dasharray=\"5 4\"");
        text(out, (x(goal) + 5.0, y(0.5)), "start", "fill=\"#666666\"", "goal");
    }
    for (at, ((nodes, times), colour)) in curves.iter().zip(COLOURS).enumerate() {
        curve(out, times, colour, x, y);
        let legend = left + at as f64 * width / 4.0;
        line(out, (legend, 44.0), (legend + 18.0, 44.0), &format!("stroke=\"{colour}\" stroke-width=\"3\""));
        text(out, (legend + 23.0, 48.0), "start", "", &format!("{nodes} nodes"));
    }
}

fn curve(out: &mut String, times: &Times, colour: &str, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) {
    let mut points = String::new();
    for at in 1..=POINTS {
        let share = at as f64 / POINTS as f64;
        let _ = write!(points, "{:.1},{:.1} ", x(times.quantile(share)), y(share));
    }
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        points.trim_end()
    );
}

fn line(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), style: &str) {
    let _ = writeln!(out, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>");
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, style: &str, content: &str) {
    let _ =
        writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {style}>{content}</text>");
}
