//! The picture of a run: latency and throughput over time, and how latency is distributed.

use std::fmt::{Display, Write as _};

use hdrhistogram::Histogram;

use super::tally::{Slot, Tally};

const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = WIDTH - 30.0;
const PANEL: f64 = 200.0;
/// From the top of a panel to that of the next one.
const STEP: f64 = PANEL + 78.0;
const HEIGHT: f64 = 84.0 + 3.0 * STEP;
/// Told apart by people who see no red or green, too (Okabe and Ito's palette).
const COLOURS: [&str; 4] = ["#0072b2", "#e69f00", "#d55e00", "#009e73"];

/// An SVG picture; `title` says what was run, and `distribution` is what its percentiles are told of.
pub(super) fn draw(title: &str, tally: &Tally, distribution: &Histogram<u64>) -> String {
    let mut picture = Picture { text: String::new() };
    let _ = writeln!(
        picture.text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\"><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
    );
    picture.label((LEFT, 30.0), "start", "font-size=\"13\" font-weight=\"bold\"", title);
    picture.over_time(tally);
    picture.distribution(distribution);
    picture.text.push_str("</svg>\n");
    picture.text
}

struct Picture {
    text: String,
}

/// One curve: its name, and points whose x and y are parts of the panel's sides.
type Curve<'a> = (&'a str, Vec<(f64, f64)>);

impl Picture {
    fn over_time(&mut self, tally: &Tally) {
        let (slots, length) = tally.slots();
        let end = length.as_secs_f64() * slots.len() as f64;
        let seconds: Vec<_> =
            (0..=10).map(|n| f64::from(n) / 10.0).map(|x| (x, format!("{:.1}", x * end))).collect();
        let log = Log::of(slots.iter().filter(|slot| !slot.latencies.is_empty()).map(|slot| &slot.latencies));
        let x = |n: usize| (n as f64 + 0.5) / slots.len() as f64;
        let quantile = |quantile: f64| -> Vec<(f64, f64)> {
            let there = slots.iter().enumerate().filter(|(_, slot)| !slot.latencies.is_empty());
            there.map(|(n, slot)| (x(n), log.part(slot.latencies.value_at_quantile(quantile)))).collect()
        };
        let curves = [("p50", quantile(0.5)), ("p99", quantile(0.99)), ("max", quantile(1.0))];
        self.panel(0, ("Latency over time", "milliseconds", "seconds"), &seconds, &log.ticks(), &curves);

        let rate = |count: u64| count as f64 / length.as_secs_f64();
        let most = slots.iter().map(|slot| rate(slot.latencies.len())).fold(1.0, f64::max);
        let top = round_up(most);
        let ticks: Vec<_> =
            (0..=4).map(|n| f64::from(n) / 4.0).map(|y| (y, format!("{:.0}", y * top))).collect();
        let curve = |count: fn(&Slot) -> u64| -> Vec<(f64, f64)> {
            slots.iter().enumerate().map(|(n, slot)| (x(n), rate(count(slot)) / top)).collect()
        };
        let curves = [("done", curve(|slot| slot.latencies.len())), ("failed", curve(|slot| slot.errors))];
        self.panel(1, ("Operations over time", "a second", "seconds"), &seconds, &ticks, &curves);
    }

    /// The x axis gives every further nine the same room.
    fn distribution(&mut self, histogram: &Histogram<u64>) {
        let nines = [0.0, 0.9, 0.99, 0.999, 0.9999, 0.99999];
        let last = nines.len() as f64 - 1.0;
        let x = |quantile: f64| (-(1.0 - quantile).log10() / last).clamp(0.0, 1.0);
        let ticks: Vec<_> = nines.iter().map(|q| (x(*q), format!("{}", (q * 1e7).round() / 1e5))).collect();
        let log = Log::of(std::iter::once(histogram).filter(|histogram| !histogram.is_empty()));
        let most = 1.0 - 1.0 / histogram.len().max(1) as f64;
        let points =
            (0..=200).map(|n| 1.0 - 10_f64.powf(-f64::from(n) / 200.0 * last)).filter(|q| *q <= most);
        let curve = points.map(|q| (x(q), log.part(histogram.value_at_quantile(q)))).collect();
        let words = ("Latency by percentile", "milliseconds", "percentile");
        self.panel(2, words, &ticks, &log.ticks(), &[("all operations", curve)]);
    }

    fn panel(
        &mut self,
        number: usize,
        (title, unit, axis): (&str, &str, &str),
        x_ticks: &[(f64, String)],
        y_ticks: &[(f64, String)],
        curves: &[Curve<'_>],
    ) {
        let top = 74.0 + number as f64 * STEP;
        let bottom = top + PANEL;
        let (x, y) =
            (|part: f64| LEFT + (RIGHT - LEFT) * part, |part: f64| bottom - PANEL * part.clamp(0.0, 1.0));
        self.label((LEFT, top - 12.0), "start", "font-weight=\"bold\"", title);
        let turn = format!("transform=\"rotate(-90 20 {:.0})\"", top + PANEL / 2.0);
        self.label((20.0, top + PANEL / 2.0), "middle", &turn, unit);
        for (part, name) in y_ticks {
            let at = y(*part);
            let _ = writeln!(
                self.text,
                "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#cccccc\"/>"
            );
            self.label((LEFT - 8.0, at + 4.0), "end", "", name);
        }
        for (part, name) in x_ticks {
            self.label((x(*part), bottom + 18.0), "middle", "", name);
        }
        self.label((x(0.5), bottom + 36.0), "middle", "", axis);
        let _ = writeln!(
            self.text,
            "<path d=\"M{LEFT} {top:.1}V{bottom:.1}H{RIGHT}\" fill=\"none\" stroke=\"#555555\"/>"
        );
        let mut right = RIGHT;
        for ((name, points), colour) in curves.iter().zip(COLOURS).rev() {
            let mut path = String::new();
            for (at, part) in points {
                let verb = if path.is_empty() { 'M' } else { 'L' };
                let _ = write!(path, "{verb}{:.1} {:.1}", x(*at), y(*part));
            }
            let _ = writeln!(
                self.text,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>"
            );
            right -= 7.0 * name.len() as f64;
            self.label((right, top - 12.0), "start", "", name);
            let _ = writeln!(
                self.text,
                "<path d=\"M{:.1} {:.1}h22\" stroke=\"{colour}\" stroke-width=\"3\"/>",
                right - 28.0,
                top - 16.0
            );
            right -= 44.0;
        }
    }

    fn label(&mut self, (x, y): (f64, f64), anchor: &str, more: &str, text: impl Display) {
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222222\" {more}>{text}</text>"
        );
    }
}

/// A logarithmic axis of microseconds, told in milliseconds.
struct Log {
    from: f64,
    decades: f64,
}

impl Log {
    fn of<'h>(histograms: impl Iterator<Item = &'h Histogram<u64>>) -> Self {
        let ends = histograms.map(|histogram| (histogram.min(), histogram.max()));
        let (least, most) = ends.fold((u64::MAX, 1), |(a, b), (c, d)| (a.min(c), b.max(d)));
        let from = (least.clamp(1, most) as f64).log10().floor();
        Self { from, decades: ((most as f64).log10().ceil() - from).max(1.0) }
    }

    fn part(&self, micros: u64) -> f64 {
        ((micros.max(1) as f64).log10() - self.from) / self.decades
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        let decades = 0..=self.decades as u32;
        decades
            .map(|n| (f64::from(n) / self.decades, (10_f64.powf(self.from + f64::from(n)) / 1e3).to_string()))
            .collect()
    }
}

/// The next number that is round: 1, 2, 4 or 8 times a power of ten.
fn round_up(most: f64) -> f64 {
    let power = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 4.0, 8.0, 10.0].map(|n| n * power).into_iter().find(|end| *end >= most).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::workload::Operation;

    #[test]
    fn every_point_is_inside_its_panel() {
        let mut tally = Tally::new(Duration::from_secs(4), 8);
        for n in 1..2_000 {
            tally.done(Operation::Read, Duration::from_millis(2 * n), Duration::from_micros(n * n));
        }
        tally.failed(Duration::from_secs(1), "overloaded", "x".to_owned());
        let picture = draw("a run", &tally, &tally.all());
        let numbers = |path: &str| -> Vec<f64> {
            path.split(['M', 'L', ' '])
                .filter(|word| !word.is_empty())
                .map(|word| word.parse().unwrap())
                .collect()
        };
        let curves: Vec<_> =
            picture.split("<path d=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let curves: Vec<_> = curves.into_iter().filter(|path| path.contains('L')).collect();
        assert_eq!(curves.len(), 6);
        for point in
            curves.iter().flat_map(|path| numbers(path).chunks(2).map(<[f64]>::to_vec).collect::<Vec<_>>())
        {
            assert!((LEFT..=RIGHT).contains(&point[0]) && (70.0..HEIGHT).contains(&point[1]), "{point:?}");
        }
    }

    #[test]
    fn nothing_that_happened_can_be_drawn() {
        let tally = Tally::new(Duration::from_secs(1), 4);
        assert!(draw("nothing", &tally, &tally.all()).ends_with("</svg>\n"));
    }
}
