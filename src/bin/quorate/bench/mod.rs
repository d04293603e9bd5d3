//! A load test: how much, how fast, at what cost, and whether every answer was right.
//!
//! Latencies are free of coordinated omission: those of an open loop (`--rate`) count from the moment at which each operation
//! was due, those of a closed loop are corrected for what its clients did not ask while they waited.

#![expect(clippy::disallowed_methods, reason = "a load test has its times, and writes a picture")]

mod keys;
mod ledger;
mod load;
mod nodes;
mod picture;
mod report;
mod tally;
mod workload;

use std::{
    cell::{Cell, RefCell},
    fs,
    rc::Rc,
    time::{Duration, Instant},
};

use quorate::{
    client::{Client, TableHandle},
    cql::render::Format,
    ring::{Consistency, TableKind},
    shell::Console,
    units::grouped,
};
use rand::{SeedableRng, rngs::StdRng};

pub(crate) use self::{keys::Choice, workload::Workload};
use self::{
    keys::Chooser,
    ledger::{Ledger, VALUE_BYTES_MIN},
    load::Load,
    nodes::{Nodes, cpu_micros, resident_bytes},
    report::{Costs, Report},
    tally::{Tally, corrected},
};
use crate::{Failure, args::Bench, cluster};

pub(crate) async fn run(arguments: Bench, console: Console) -> Result<(), Failure> {
    check(&arguments)?;
    let nodes = if arguments.connect.is_empty() { Some(Nodes::start()?) } else { None };
    tokio::select! {
        done = measure(&arguments, nodes.as_ref(), console) => done,
        // Nodes of our own end, and their directory goes, with what is dropped here.
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(Failure::start)?;
            Err(Failure::request("interrupted"))
        }
    }
}

fn check(arguments: &Bench) -> Result<(), Failure> {
    let wrong = |why: &str| Err(Failure::usage(why));
    match arguments {
        Bench { value_size, .. } if *value_size < VALUE_BYTES_MIN => Err(Failure::usage(format_args!(
            "a value needs {VALUE_BYTES_MIN} bytes to say where it comes from"
        ))),
        Bench { consistency: Consistency::Any, .. } => wrong("ANY is for writes only"),
        Bench { with_context: true, table_kind, .. } if *table_kind != TableKind::Siblings => {
            wrong("contexts are for tables of kind 'siblings'")
        }
        Bench { rate: Some(rate), .. } if !rate.is_finite() || *rate <= 0.0 => wrong("a rate is above 0"),
        _ => Ok(()),
    }
}

async fn measure(arguments: &Bench, nodes: Option<&Nodes>, console: Console) -> Result<(), Failure> {
    let client = match nodes {
        Some(nodes) => {
            let builder = Client::builder().contact_points(nodes.addresses()).tls(nodes.identity()?);
            builder.build().await.map_err(Failure::start)?
        }
        None => cluster::connect_to(&arguments.connect, &arguments.files).await?,
    };
    let table = table(&client, arguments).await?;
    let choice = arguments.choice.unwrap_or_else(|| arguments.workload.choice());
    let load = load(arguments, choice, table)?;
    if !arguments.skip_load {
        let (began, keys) = (Instant::now(), arguments.keys);
        console.note(format_args!("filling the table with {} keys", grouped(keys)));
        let progress = |done| console.note(format_args!("  {} of {}", grouped(done), grouped(keys)));
        load.fill(progress).await?;
        let seconds = began.elapsed().as_secs_f64();
        console.note(format_args!("  {seconds:.1} s, {} a second", grouped((keys as f64 / seconds) as u64)));
    }
    if arguments.workload.scans() {
        load.find_pages().await?;
    }
    let mut wrong = Vec::new();
    if arguments.warm_up > Duration::ZERO {
        wrong = load.run(arguments.warm_up, 1, || ()).await.wrong;
    }
    console.note(format_args!("measuring for {} s", arguments.seconds));
    let (mut tally, seconds, costs) = timed(&load, nodes, Duration::from_secs(arguments.seconds)).await;
    tally.wrong.extend(wrong);
    tell(&Report { asked: arguments, choice, tally: &tally, seconds, costs }, console)
}

/// Runs the load, and sees what it costs until its time is over.
async fn timed(load: &Load, nodes: Option<&Nodes>, length: Duration) -> (Tally, f64, Costs) {
    let servers = nodes.map(Nodes::processes);
    let cpu = |processes: &[u32]| processes.iter().map(|process| cpu_micros(*process)).sum::<Option<u64>>();
    let now = || (servers.as_deref().and_then(cpu), cpu_micros(std::process::id()), Instant::now());
    let (before, after) = (now(), Cell::new(None));
    let slots = ((length.as_millis() / 100) as usize).clamp(1, SLOTS_MAX);
    let tally = load.run(length, slots, || after.set(Some(now()))).await;
    let after = after.take().unwrap_or_else(now);
    let spent = |after: Option<u64>, before: Option<u64>| Some(after?.saturating_sub(before?));
    let costs = Costs {
        server_cpu_micros: spent(after.0, before.0),
        client_cpu_micros: spent(after.1, before.1),
        resident_bytes: servers.and_then(|all| all.into_iter().filter_map(resident_bytes).max()),
    };
    (tally, after.2.duration_since(before.2).as_secs_f64(), costs)
}

fn load(arguments: &Bench, choice: Choice, table: TableHandle) -> Result<Load, Failure> {
    let Bench { keys, consistency, workload, rate, clients, .. } = *arguments;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let mut ledger = Ledger::new(rand::random(), arguments.value_size, consistency.is_linearizable());
    ledger.grow(keys);
    let contexts = arguments.with_context.then(|| vec![None; keys as usize]);
    Ok(Load {
        table,
        consistency,
        workload,
        chooser: Chooser::new(choice, keys)?,
        ledger: Rc::new(RefCell::new(ledger)),
        contexts: contexts.map(|contexts| Rc::new(RefCell::new(contexts))),
        cursors: Rc::default(),
        random: Rc::new(RefCell::new(StdRng::seed_from_u64(seed))),
        rate,
        clients,
    })
}

/// The table, made if there is none.
async fn table(client: &Client, arguments: &Bench) -> Result<TableHandle, Failure> {
    let (name, kind) = (&arguments.table, arguments.table_kind);
    let tables = client.tables().await.map_err(Failure::start)?;
    if tables.iter().all(|table| table.name != *name) {
        client.create_table(name).kind(kind).await.map_err(Failure::start)?;
    }
    let table = client.table(name).await.map_err(Failure::start)?;
    let found = table.definition().kind;
    if found != kind {
        return Err(Failure::usage(format_args!(
            "table {name} is of kind {found}: name it with --table-kind"
        )));
    }
    Ok(table)
}

fn tell(report: &Report<'_>, console: Console) -> Result<(), Failure> {
    let Report { asked, tally, .. } = report;
    let format = if asked.json { Format::Json } else { console.format() };
    match format {
        Format::Json => console.text(format_args!("{:#}", report.json()))?,
        Format::Jsonl => console.text(report.json())?,
        format if format.is_for_people() => console.text(report)?,
        _ => console.data(&report.grid())?,
    }
    if let Some(file) = &asked.plot {
        let all = tally.all();
        let distribution = if asked.rate.is_some() { all } else { corrected(&all) };
        let picture = picture::draw(&report.title(), tally, &distribution);
        fs::write(file, picture)
            .map_err(|error| Failure::request(format_args!("{}: {error}", file.display())))?;
    }
    match &tally.wrong[..] {
        [] if tally.count() == 0 => Err(Failure::request("nothing was done: every operation failed")),
        [] => Ok(()),
        [first, ..] => {
            Err(Failure::request(format_args!("{} wrong answers, first: {first}", tally.wrong.len())))
        }
    }
}

/// Parts of the time that a picture tells apart.
const SLOTS_MAX: usize = 300;
