//! A node is down under writes, and comes back.

use std::{fs, time::Duration};

use quorate::ring::{NodeId, TableKind};
use tokio::{
    task::{LocalSet, spawn_blocking},
    time::sleep,
};

use super::{
    clients::start,
    databases::forget_hints,
    fill,
    foreground::{Foreground, Request, quantile, usual},
    machine::Looks,
    metrics::{Metrics, have_agreed, total},
    nodes::Nodes,
    picture,
};

/// What is asked for.
pub(crate) struct Plan {
    pub(crate) keys: u64,
    /// How long the node is down.
    pub(crate) seconds: u64,
    /// A second.
    pub(crate) writes: u64,
    /// A second.
    pub(crate) reads: u64,
    /// Whether n1 loses the hints that it keeps as the node returns, so that only anti-entropy brings back what they are of.
    pub(crate) loses_hints: bool,
    /// Where the picture goes.
    pub(crate) svg: Option<String>,
}

/// What the nodes said at a time, summed up over the three.
pub(crate) struct Sample {
    /// Seconds since the beginning.
    pub(crate) at: f64,
    /// Hints that wait for the node.
    pub(crate) backlog: f64,
    /// Hints given so far.
    pub(crate) replayed: f64,
    /// States given by anti-entropy so far.
    pub(crate) repaired: f64,
    /// Slices that differed when they were compared last.
    pub(crate) differing: f64,
}

/// What came of it. Times are seconds since the beginning.
#[derive(Default)]
pub(crate) struct Course {
    pub(crate) samples: Vec<Sample>,
    pub(crate) requests: Vec<Request>,
    pub(crate) machine: Looks,
    pub(crate) killed: f64,
    pub(crate) returned: f64,
    /// When no hint was left.
    pub(crate) drained: f64,
    /// When every pair had found itself equal.
    pub(crate) whole: f64,
    pub(crate) ended: f64,
}

pub(crate) async fn run(plan: Plan) {
    let (mut nodes, table) = start(TableKind::Register, "").await;
    fill(&nodes, &table, plan.keys).await;
    let foreground = Foreground::new();
    let local = LocalSet::new();
    let (asking, keys, writes, reads) = (foreground.clone(), plan.keys, plan.writes, plan.reads);
    local.spawn_local(async move { asking.run(&table, keys, writes, reads).await });
    let follow = async {
        let mut samples = Vec::new();
        until(&mut samples, &foreground, &nodes, |sample, _| sample.at >= BEFORE).await;
        nodes.kill(2);
        let killed = foreground.seconds();
        let return_at = killed + plan.seconds as f64;
        until(&mut samples, &foreground, &nodes, |sample, _| sample.at >= return_at).await;
        nodes = spawn_blocking(move || {
            nodes.restart(2);
            nodes
        })
        .await
        .expect("it returns");
        let returned = foreground.seconds();
        if plan.loses_hints {
            nodes = spawn_blocking(|| without_hints(nodes)).await.expect("n1 is back");
        }
        let before = Metrics::of_all(&nodes).await;
        // Metrics are those of a second ago.
        let is_drained =
            |sample: &Sample, _: &[Metrics; 3]| sample.backlog == 0.0 && sample.at > returned + 2.0;
        let drained = until(&mut samples, &foreground, &nodes, is_drained).await;
        let is_whole = |_: &Sample, now: &[Metrics; 3]| have_agreed(&before, now);
        let whole = until(&mut samples, &foreground, &nodes, is_whole).await;
        let end = whole.max(returned + 25.0) + AFTER;
        let ended = until(&mut samples, &foreground, &nodes, |sample, _| sample.at >= end).await;
        foreground.end();
        // What is still under way is answered.
        sleep(Duration::from_secs(1)).await;
        nodes.stop();
        Course { samples, killed, returned, drained, whole, ended, ..Course::default() }
    };
    let course = local.run_until(follow).await;
    local.await;
    let course = Course { requests: foreground.requests(), machine: foreground.machine(), ..course };
    course.print(&plan);
    if let Some(file) = &plan.svg {
        fs::write(file, picture::draw(&course)).expect("the picture is written");
    }
}

/// n1 ends and begins again, and keeps no hint.
fn without_hints(mut nodes: Nodes) -> Nodes {
    nodes.end(0);
    forget_hints(&nodes.data_dir(0).join("db"), NodeId(3));
    nodes.restart(0);
    nodes
}

/// Looks each half second, until `is_enough`; says when that was.
async fn until(
    samples: &mut Vec<Sample>,
    foreground: &Foreground,
    nodes: &Nodes,
    is_enough: impl Fn(&Sample, &[Metrics; 3]) -> bool,
) -> f64 {
    loop {
        sleep(Duration::from_millis(500)).await;
        let all = Metrics::of_all(nodes).await;
        let of = |name| total(&all, name, &[]);
        let sample = Sample {
            at: foreground.seconds(),
            backlog: of("quorate_hints"),
            replayed: of("quorate_hints_replayed_total"),
            repaired: of("quorate_repaired_records_total"),
            differing: of("quorate_repair_differing_cells"),
        };
        let (at, is_enough) = (sample.at, is_enough(&sample, &all));
        samples.push(sample);
        if is_enough {
            return at;
        }
        assert!(at < 600.0, "it takes too long: {}", nodes.log(2));
    }
}

impl Course {
    fn print(&self, plan: &Plan) {
        let Self { samples, requests, machine, killed, returned, drained, whole, ended } = self;
        let most = samples.iter().map(|sample| sample.backlog).fold(0.0, f64::max);
        let left = samples.iter().find(|sample| sample.at >= returned + 20.0).map_or(0.0, |s| s.backlog);
        println!(
            "| handoff | {} keys, down for {} s under {} writes/s | {most:.0} hints, {left:.0} of them left after 20 s, none after \
             {:.0} s | equal after {:.0} s | {} requests failed |",
            plan.keys,
            plan.seconds,
            plan.writes,
            drained - returned,
            whole - returned,
            requests.iter().filter(|request| !request.is_ok).count()
        );
        let times = [
            ("before", (3.0, *killed)),
            ("down", (killed + 3.0, *returned)),
            ("replay", (*returned, *drained)),
            ("after", (whole + 2.0, *ended)),
        ];
        for (word, is_write) in [("write", true), ("read", false)] {
            let shown = times.map(|(name, time)| {
                let [p50, p99] = [0.5, 0.99].map(|share| quantile(requests, is_write, time, share));
                let (usual, of) = usual(requests, machine, is_write, time, 0.99);
                format!("{name} p50 {p50:.2} p99 {p99:.2} ({usual:.2} of {of})")
            });
            println!(
                "| handoff, {word} latency in ms (p99 of the median second of those in which the machine was ours) | {} |",
                shown.join(" | ")
            );
        }
        let shown = times.map(|(name, time)| format!("{name} {:.1}", machine.stolen_percent(time)));
        println!(
            "| handoff, % of the processors that the host ran something else on | {} |",
            shown.join(" | ")
        );
    }
}

/// Seconds under load before the node goes, and after all is well.
const BEFORE: f64 = 20.0;
const AFTER: f64 = 15.0;
