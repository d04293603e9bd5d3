//! A plot over the time of a run: axes, fault bands, legend.

use std::fmt::{Display, Write as _};

use super::bands::{Band, lanes};

/// A plot being drawn. Coordinates are pixels.
pub(super) struct Plot {
    text: String,
    seconds: f64,
    lanes_bottom: f64,
    legend_right: f64,
}

pub(super) const WIDTH: f64 = 1_200.0;
pub(super) const HEIGHT: f64 = 560.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - 24.0;
const BOTTOM: f64 = HEIGHT - 52.0;
const LANE: f64 = 20.0;
const LANES_TOP: f64 = 68.0;

impl Plot {
    /// A plot with its title, and the bands of faults with a lane for each nemesis above the plot.
    pub(super) fn new(title: &str, bands: &[Band], seconds: f64) -> Self {
        let lanes = lanes(bands);
        let lanes_bottom = LANES_TOP + LANE * lanes.len() as f64 + 8.0;
        let mut plot =
            Self { text: String::new(), seconds: seconds.max(0.001), lanes_bottom, legend_right: LEFT };
        let _ = write!(
            plot.text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        plot.label(LEFT, 24.0, "start", "font-size=\"17\" font-weight=\"bold\"", title);
        for (at, (nemesis, colour)) in lanes.iter().enumerate() {
            let top = LANES_TOP + LANE * at as f64;
            plot.label(LEFT - 8.0, top + 14.0, "end", "", nemesis);
            for band in bands.iter().filter(|band| band.nemesis == *nemesis) {
                plot.band(band, colour, top);
            }
        }
        plot
    }

    /// The vertical axis: a line and a label for each value.
    pub(super) fn y_axis(&mut self, title: &str, ticks: &[(f64, String)]) {
        for (part, label) in ticks {
            let y = self.y(*part);
            let _ = writeln!(
                self.text,
                "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#d4d4d4\"/>"
            );
            self.label(LEFT - 8.0, y + 4.0, "end", "", label);
        }
        let middle = (self.lanes_bottom + BOTTOM) / 2.0;
        let turn = format!("transform=\"rotate(-90 22 {middle:.0})\"");
        self.label(22.0, middle, "middle", &turn, title);
    }

    /// The axis of time.
    pub(super) fn x_axis(&mut self) {
        let _ = writeln!(
            self.text,
            "<path d=\"M{LEFT} {:.1}V{BOTTOM}H{RIGHT}\" fill=\"none\" stroke=\"#555\"/>",
            self.lanes_bottom
        );
        let step = [1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0];
        let step = step.into_iter().find(|step| self.seconds / step <= 15.0).unwrap_or(600.0);
        let mut second = 0.0;
        while second <= self.seconds {
            let x = self.x(second);
            let _ = writeln!(
                self.text,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{BOTTOM}\" y2=\"{:.1}\" stroke=\"#555\"/>",
                BOTTOM + 5.0
            );
            self.label(x, BOTTOM + 20.0, "middle", "", second);
            second += step;
        }
        self.label((LEFT + RIGHT) / 2.0, BOTTOM + 40.0, "middle", "", "seconds since the test began");
    }

    /// Points of one colour; heights are parts of the plot, 0 to 1.
    pub(super) fn points(&mut self, colour: &str, points: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (second, part) in points {
            let _ = write!(path, "M{:.1} {:.1}h0", self.x(second), self.y(part));
        }
        let _ = writeln!(
            self.text,
            "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"4\" stroke-linecap=\"round\" stroke-opacity=\"0.65\"/>"
        );
    }

    /// A line of one colour through such points.
    pub(super) fn line(&mut self, colour: &str, dashes: &str, points: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (second, part) in points {
            let verb = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{verb}{:.1} {:.1}", self.x(second), self.y(part));
        }
        let _ = writeln!(
            self.text,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>"
        );
    }

    /// One more word in the legend.
    pub(super) fn legend(&mut self, colour: &str, dashes: &str, label: &str) {
        let x = self.legend_right;
        let _ = writeln!(
            self.text,
            "<path d=\"M{x:.1} 47h20\" stroke=\"{colour}\" stroke-width=\"4\" stroke-dasharray=\"{dashes}\"/>"
        );
        self.label(x + 26.0, 51.0, "start", "", label);
        self.legend_right = x + 26.0 + 7.2 * label.len() as f64 + 22.0;
    }

    /// The picture.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn band(&mut self, band: &Band, colour: &str, top: f64) {
        let (x, right) = (self.x(band.from), self.x(band.to));
        let width = (right - x).max(1.0);
        let (lane, bottom) = (LANE - 3.0, self.lanes_bottom);
        let title = escape(&format!("{}: {:.1} s to {:.1} s", band.label, band.from, band.to));
        let _ = writeln!(
            self.text,
            "<g><title>{title}</title>\
             <rect x=\"{x:.1}\" y=\"{bottom:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\" fill-opacity=\"0.25\"/>\
             <rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{lane:.1}\" fill=\"{colour}\"/></g>",
            BOTTOM - bottom
        );
        // What does not fit is told by the title.
        let room = (width / 6.6) as usize;
        let shown: String = band.label.chars().take(room).collect();
        if room >= 4 {
            self.label(x + 3.0, top + 13.0, "start", "font-size=\"11\"", shown);
        }
    }

    fn label(&mut self, x: f64, y: f64, anchor: &str, more: &str, text: impl Display) {
        let text = escape(&text.to_string());
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222\" {more}>{text}</text>"
        );
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (second / self.seconds).clamp(0.0, 1.0)
    }

    fn y(&self, part: f64) -> f64 {
        BOTTOM - (BOTTOM - self.lanes_bottom) * part.clamp(0.0, 1.0)
    }
}

/// Text within XML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
