//! What was found before and understood: seeds that failed once, and scenes on record.

#![expect(clippy::disallowed_methods, reason = "transcripts are written anew when that is asked for")]

use std::{fs, path::Path, process::ExitCode};

use crate::{
    cli::Arguments,
    run,
    sweep::{self, Count},
    transcript,
};

/// Runs that failed once: what was wrong, and the arguments. A change of what seeds draw makes an entry
/// another run; one that matters deserves a transcript too.
const SEEDS: &[(&str, &str)] = &[
    (
        "a damaged record does not mend itself",
        "--without-cas --seed 7031385 --faults=0,2,3,6 --reports-at-once",
    ),
    ("nor one of siblings", "--without-cas --seed 7521844 --faults=0,1,2,3,4,7,8 --reports-at-once"),
    (
        "readers that waited for the clock of a full disk keep no queue full",
        "--without-cas --seed 40005783 --nodes 3 --clients 1",
    ),
    (
        "a table that is decided to be dropped may be read until that is in force",
        "--without-cas --seed 200032770 --reports-at-once",
    ),
    (
        "a clock that was far ahead is lost with its disk, and with it what had expired by it alone",
        "--without-cas --seed 200005299 --millis 222 --faults=5,6,8 --reports-at-once",
    ),
    (
        "a refusal of a copy of a state says nothing of the state",
        "--without-cas --seed 210001235 --nodes 3 --operations 7 --millis 106 --reports-at-once",
    ),
    (
        "an answer to a process that has ended is not taken for one to the process after it",
        "--without-cas --seed 110011070 --clients 4 --faults=0,5,10,13,16 --reports-at-once",
    ),
    (
        "settings that were proposed twice are decided once",
        "--without-cas --seed 60014722 --faults=0,1,2,6 --reports-at-once",
    ),
    (
        "a record damaged between scrub and rebuild",
        "--without-cas --seed 30031887 --nodes 3 --clients 1 --operations 39 --faults=3,15 --reports-at-once",
    ),
    (
        "a cluster map that was kept at a crash counts",
        "--without-cas --seed 20046666 --faults=0 --reports-at-once",
    ),
    (
        "a repair lost with its connection is made by the next read",
        "--without-cas --only register --seed 1754 --faults=3,6,8,9,10,11,14 --reports-at-once",
    ),
    (
        "a write that lands beside the last read is spread by the next one",
        "--without-cas --only register --seed 10654 --faults=0,2 --reports-at-once",
    ),
    (
        "a repair that a full queue refuses is made by the next read",
        "--without-cas --only register --seed 24122 --faults= --reports-at-once",
    ),
    (
        "a table decided after its deadline does not stay in doubt",
        "--without-cas --only register --seed 2479 --nodes 3 --faults=1,2,4,8 --reports-at-once",
    ),
    (
        "a table served from memory for want of room is written down in time",
        "--without-cas --only register --seed 5556 --faults=4,6 --reports-at-once",
    ),
    (
        "a hint that is kept while others are being given is given too",
        "--without-cas --seed 1795254971034616 --nodes 3 --millis 115 --faults= --reports-at-once",
    ),
    (
        "a write whose commit is under way is not given up because a peer is lost",
        "--without-cas --seed 3423 --faults=1,2,6,7,8,9 --reports-at-once",
    ),
    (
        "a peer that has forgotten its tables itself is not believed that there are none",
        "--without-cas --seed 5286 --clients 4 --operations 20 --faults=5,9,10,11 --reports-at-once",
    ),
    (
        "a key that is damaged at one source is recovered from another that was slow once",
        "--without-cas --seed 3014493 --faults=4,5,7,8 --reports-at-once",
    ),
    (
        "an earlier life that is heard of late is not taken for the present one",
        "--without-cas --seed 1795258896147338 --faults=5,7,8,9 --reports-at-once",
    ),
];

/// Runs every seed on record.
pub(crate) fn seeds() -> Count {
    let mut tests = Count::default();
    for (what, words) in SEEDS {
        let arguments = Arguments::parse(words.split(' ').map(str::to_owned)).unwrap_or_default();
        let seed = arguments.seed.unwrap_or_default();
        let report = run::seed(seed, &arguments.overrides, false);
        tests.add(report.failure.is_none());
        if let Some(failure) = report.failure {
            println!("regression: {what}");
            sweep::show_failure(seed, &arguments.overrides, failure);
        }
    }
    tests
}

/// Plays every scene and compares it with its transcript.
pub(crate) fn transcripts() -> Count {
    let mut tests = Count::default();
    for (name, recorded) in transcript::SCENES {
        let played = transcript::play(recorded);
        let same = played.as_deref() == Ok(*recorded);
        tests.add(same);
        if !same {
            println!("transcript {name} differs; `-- --update-transcripts` writes it anew:");
            match played {
                Ok(played) => show_difference(recorded, &played),
                Err(why) => println!("  {why}"),
            }
        }
    }
    tests
}

/// Writes every transcript anew.
pub(crate) fn update_transcripts() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulator/transcripts");
    for (name, _) in transcript::SCENES {
        let path = folder.join(format!("{name}.txt"));
        let written = fs::read_to_string(&path)
            .map_err(|error| error.to_string())
            .and_then(|commands| transcript::play(&commands))
            .and_then(|played| fs::write(&path, played).map_err(|error| error.to_string()));
        if let Err(why) = written {
            println!("{}: {why}", path.display());
            return ExitCode::FAILURE;
        }
    }
    println!("wrote {} transcripts to {}", transcript::SCENES.len(), folder.display());
    ExitCode::SUCCESS
}

fn show_difference(recorded: &str, played: &str) {
    for (line, (recorded, played)) in recorded.lines().zip(played.lines()).enumerate() {
        if recorded != played {
            println!("  line {}:\n  - {recorded}\n  + {played}", line + 1);
            return;
        }
    }
    println!(
        "  one is longer: {} lines recorded, {} played",
        recorded.lines().count(),
        played.lines().count()
    );
}
