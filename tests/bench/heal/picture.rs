//! The picture of a recovery: what waits, what differs, and what clients notice, over one axis of time.

use std::fmt::{Display, Write as _};

use super::{
    foreground::quantile,
    handoff::{Course, Sample},
};

const WIDTH: f64 = 1_200.0;
const LEFT: f64 = 104.0;
const RIGHT: f64 = WIDTH - 28.0;
const TOP: f64 = 96.0;
const PANEL: f64 = 190.0;
/// Between two panels: room for a title and a legend.
const GAP: f64 = 62.0;
const HEIGHT: f64 = TOP + 4.0 * PANEL + 3.0 * GAP + 60.0;
/// Told apart by people who see no red or green too (Okabe and Ito's palette).
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];

/// Draws four panels, one below the other: hints, slices that differ, what is given a second, and latency.
pub(crate) fn draw(course: &Course) -> String {
    let mut picture = Picture { text: String::new(), seconds: course.ended };
    picture.head();
    for at in 0..4 {
        picture.phases(course, top(at));
    }
    picture.phase_names(course);
    let of = |value: fn(&Sample) -> f64| -> Vec<_> {
        course.samples.iter().map(|sample| (sample.at, value(sample))).collect()
    };
    let hints = [("hints", of(|sample| sample.backlog))];
    picture.linear(0, "Hints kept for the node, on both others", "hints", &hints);
    let cells = [("slices", of(|sample| sample.differing))];
    picture.linear(
        1,
        "Slices that differed when two nodes compared them last, of all pairs",
        "slices",
        &cells,
    );
    let rates = [
        ("hints given", rates(&of(|sample| sample.replayed))),
        ("states given by anti-entropy", rates(&of(|sample| sample.repaired))),
    ];
    picture.linear(2, "Given to the node", "states a second", &rates);
    picture.latency(3, course);
    picture.time();
    picture.text.push_str("</svg>\n");
    picture.text
}

fn top(panel: usize) -> f64 {
    TOP + panel as f64 * (PANEL + GAP)
}

/// How much a counter rose a second, second by second. One that begins anew with its process did not fall.
fn rates(counts: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut rates = Vec::new();
    let Some(mut last) = counts.first().copied() else { return rates };
    for &(at, count) in counts {
        // The nodes say it once a second.
        if at - last.0 >= 0.99 {
            rates.push(((at + last.0) / 2.0, (count - last.1).max(0.0) / (at - last.0)));
            last = (at, count);
        }
    }
    rates
}

struct Picture {
    text: String,
    seconds: f64,
}

impl Picture {
    fn head(&mut self) {
        let _ = writeln!(
            self.text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
        );
        let title = "A node of three is killed, is away, returns and becomes whole";
        self.label((LEFT, 26.0), "start", "font-size=\"17\" font-weight=\"bold\"", title);
    }

    /// The times of the course as bands behind a panel.
    fn phases(&mut self, course: &Course, top: f64) {
        for ((from, to, _), colour) in phases(course).into_iter().zip(["#f7dcd6", "#fbeecb", "#dfeede"]) {
            let (x, right) = (self.x(from), self.x(to));
            let _ = writeln!(
                self.text,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{PANEL}\" fill=\"{colour}\"/>",
                right - x
            );
        }
    }

    fn phase_names(&mut self, course: &Course) {
        for ((from, to, name), colour) in
            phases(course).into_iter().zip(["#f7dcd6", "#fbeecb", "#dfeede"]).collect::<Vec<_>>()
        {
            let (x, right) = (self.x(from), self.x(to));
            let _ = writeln!(
                self.text,
                "<rect x=\"{x:.1}\" y=\"38\" width=\"{:.1}\" height=\"22\" fill=\"{colour}\"/>",
                right - x
            );
            // What does not fit is told beside it.
            if right - x > 7.0 * name.len() as f64 {
                self.label(((x + right) / 2.0, 53.0), "middle", "", name);
            }
        }
    }

    /// A panel whose axis begins at 0.
    fn linear(&mut self, panel: usize, title: &str, unit: &str, series: &[(&str, Vec<(f64, f64)>)]) {
        let values = series.iter().flat_map(|(_, points)| points).map(|(_, value)| *value);
        let end = round(values.fold(4.0, f64::max));
        let ticks: Vec<_> =
            (0..=4).map(|n| f64::from(n) / 4.0).map(|part| (part, grouped(part * end))).collect();
        let axis = Axis { panel, title, unit };
        self.frame(&axis, &ticks);
        let mut legend = RIGHT;
        for ((name, points), colour) in series.iter().zip(COLOURS).rev() {
            let points = points.iter().map(|(at, value)| (*at, value / end));
            self.line(panel, colour, "", points);
            if series.len() > 1 {
                legend = self.legend(panel, legend, colour, "", name);
            }
        }
    }

    /// The panel of what clients notice, on a logarithmic axis.
    fn latency(&mut self, panel: usize, course: &Course) {
        let height = |ms: f64| (ms.max(0.1) / 0.1).log10() / 4.0;
        let ticks = [0.1, 1.0, 10.0, 100.0, 1_000.0].map(|ms| (height(ms), ms.to_string()));
        let axis =
            Axis { panel, title: "Latency of requests at QUORUM, each second's", unit: "milliseconds" };
        self.frame(&axis, &ticks);
        let mut legend = RIGHT;
        for (name, is_write, share, colour, dashes) in [
            ("write p50", true, 0.5, COLOURS[0], ""),
            ("write p99", true, 0.99, COLOURS[0], "6 4"),
            ("read p50", false, 0.5, COLOURS[1], ""),
            ("read p99", false, 0.99, COLOURS[1], "6 4"),
        ]
        .into_iter()
        .rev()
        {
            let second = |n: u32| {
                let (from, to) = (f64::from(n), f64::from(n) + 1.0);
                let ms = quantile(&course.requests, is_write, (from, to), share);
                ms.is_finite().then_some((from + 0.5, height(ms)))
            };
            self.line(panel, colour, dashes, (0..self.seconds as u32).filter_map(second));
            legend = self.legend(panel, legend, colour, dashes, name);
        }
    }

    /// Lines and labels of a panel's axis, and its title.
    fn frame(&mut self, axis: &Axis<'_>, ticks: &[(f64, String)]) {
        let (top, bottom) = (top(axis.panel), top(axis.panel) + PANEL);
        for (part, label) in ticks {
            let y = bottom - PANEL * part;
            let _ = writeln!(
                self.text,
                "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#c8c8c8\"/>"
            );
            self.label((LEFT - 8.0, y + 4.0), "end", "", label);
        }
        let _ = writeln!(
            self.text,
            "<path d=\"M{LEFT} {top:.1}V{bottom:.1}H{RIGHT}\" fill=\"none\" stroke=\"#555\"/>"
        );
        let middle = f64::midpoint(top, bottom);
        let turn = format!("transform=\"rotate(-90 22 {middle:.0})\"");
        self.label((22.0, middle), "middle", &turn, axis.unit);
        self.label((LEFT, top - 12.0), "start", "font-weight=\"bold\"", axis.title);
    }

    fn time(&mut self) {
        let step = [1.0, 2.0, 5.0, 10.0, 20.0, 60.0].into_iter().find(|step| self.seconds / step <= 15.0);
        let step = step.unwrap_or(120.0);
        let bottom = top(3) + PANEL;
        let mut second = 0.0;
        while second <= self.seconds {
            let x = self.x(second);
            for panel in 0..4 {
                let y = top(panel) + PANEL;
                let _ = writeln!(
                    self.text,
                    "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\" stroke=\"#555\"/>",
                    y + 5.0
                );
            }
            self.label((x, bottom + 20.0), "middle", "", second);
            second += step;
        }
        self.label((f64::midpoint(LEFT, RIGHT), bottom + 42.0), "middle", "", "seconds since the load began");
    }

    fn line(&mut self, panel: usize, colour: &str, dashes: &str, points: impl Iterator<Item = (f64, f64)>) {
        let bottom = top(panel) + PANEL;
        let mut path = String::new();
        for (second, part) in points {
            let verb = if path.is_empty() { 'M' } else { 'L' };
            let y = bottom - PANEL * part.clamp(0.0, 1.0);
            let _ = write!(path, "{verb}{:.1} {y:.1}", self.x(second));
        }
        let _ = writeln!(
            self.text,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>"
        );
    }

    /// One more word of a legend, left of those that are there; says where it begins.
    fn legend(&mut self, panel: usize, right: f64, colour: &str, dashes: &str, label: &str) -> f64 {
        let (y, left) = (top(panel) - 12.0, right - 7.0 * label.len() as f64);
        self.label((left, y), "start", "", label);
        let _ = writeln!(
            self.text,
            "<path d=\"M{:.1} {:.1}h22\" stroke=\"{colour}\" stroke-width=\"3\" stroke-dasharray=\"{dashes}\"/>",
            left - 28.0,
            y - 4.0
        );
        left - 44.0
    }

    fn label(&mut self, (x, y): (f64, f64), anchor: &str, more: &str, text: impl Display) {
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222\" {more}>{text}</text>"
        );
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (second / self.seconds).clamp(0.0, 1.0)
    }
}

/// What a panel shows.
struct Axis<'a> {
    panel: usize,
    title: &'a str,
    unit: &'a str,
}

/// From when to when, and what is going on.
fn phases(course: &Course) -> [(f64, f64, &'static str); 3] {
    let Course { killed, returned, drained, whole, .. } = course;
    [
        (*killed, *returned, "killed, away"),
        (*returned, *drained, "back, given hints"),
        (*drained, whole.max(*drained), "compared until equal"),
    ]
}

/// The next number that is round: 1, 2, 4 or 8 times a power of ten.
fn round(most: f64) -> f64 {
    let power = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 4.0, 8.0, 10.0].map(|n| n * power).into_iter().find(|end| *end >= most).unwrap_or(most)
}

/// `12 345`.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(" ")
}
