//! On which terms a state is stored: the horizon (rule V2) and the report.

use quorate_ring::Duration;

use super::*;

fn dot(hlc: u64, actor: u64) -> Tag {
    Tag { hlc: Hlc(hlc), actor: Actor(actor) }
}

fn siblings(hlc: u64, actor: u64) -> State {
    let content = Content::Value(Bytes::from(format!("{hlc}@{actor}")));
    State::Siblings(Siblings::first(dot(hlc, actor), &VersionVector::new(), content))
}

fn on_terms(key: u8, state: State, clocks: u64, report: bool) -> Write {
    Write::Store {
        row: row(key),
        state,
        terms: StoreTerms { horizon: horizon(clocks), report, ..StoreTerms::default() },
    }
}

fn horizon(clocks: u64) -> Horizon {
    Horizon { clocks: Hlc(clocks), lead: Some(Duration::from_millis(1)) }
}

/// A millisecond of readings.
const LEAD: u64 = 1 << Hlc::LOGICAL_BITS;

#[test]
fn a_tag_beyond_the_horizon_is_refused_unless_the_key_has_come_as_far() {
    let (engine, mut committer) = start();
    let store = |hlc, horizon| on_terms(1, state(hlc, "v"), horizon, false);
    let ahead = |hlc, limit| WriteError::TagAhead { tag: dot(hlc, 1), limit: Hlc(limit) };
    assert_eq!(committer.run(&engine, &[store(101, 100)]), [Err(ahead(101, 100))]);
    assert_eq!(read(&engine, &row(1)), Ok(None));
    assert_eq!(committer.hlc_bound(), Hlc(0), "a refused tag drags nothing along");
    let results = committer.run(&engine, &[store(100, 100), store(150, 200), store(120, 90)]);
    assert!(matches!(results[0], Ok(Written::Stored { .. })));
    assert!(matches!(results[1], Ok(Written::Stored { .. })));
    assert!(matches!(results[2], Ok(Written::Covered { .. })), "the key has come to 150 already");
}

/// Clocks that were ahead together have left tags behind: the next write of such a key exceeds them, and carries
/// nobody's clock along.
#[test]
fn a_key_that_is_ahead_may_be_written_a_little_above_it() {
    let (engine, mut committer) = start();
    let far = 50 * LEAD;
    let store = |hlc, clocks| on_terms(1, state(hlc, "v"), clocks, false);
    committer.run(&engine, &[store(far, far)]);
    assert_eq!(committer.hlc_bound(), Hlc(far + 1), "a working clock can have shown it by then");
    let (engine, mut committer) = start();
    committer.run(&engine, &[store(far, u64::MAX)]);
    let bound = committer.hlc_bound();
    let ahead = WriteError::TagAhead { tag: dot(far + LEAD + 1, 1), limit: Hlc(far + LEAD) };
    assert_eq!(committer.run(&engine, &[store(far + LEAD + 1, 100)]), [Err(ahead)]);
    let results = committer.run(&engine, &[store(far + LEAD, 100)]);
    assert!(matches!(results[0], Ok(Written::Stored { .. })), "{results:?}");
    assert_eq!(committer.hlc_bound(), bound, "the clock does not follow");
}

#[test]
fn a_dot_is_no_further_ahead_than_the_horizon_or_than_its_key_has_come() {
    let (engine, mut committer) = start();
    let mint = |hlc, clocks| Write::Mint {
        row: row(1),
        dot: dot(hlc, 1),
        seen: Seen::Durable,
        content: Content::Tombstone,
        horizon: horizon(clocks),
    };
    let far = 50 * LEAD;
    let ahead = WriteError::TagAhead { tag: dot(far, 1), limit: Hlc(100) };
    assert_eq!(committer.run(&engine, &[mint(far, 100)]), [Err(ahead)]);
    assert_eq!(read(&engine, &row(1)), Ok(None));
    committer.run(&engine, &[store(1, siblings(far, 2))]);
    let bound = committer.hlc_bound();
    let results = committer.run(&engine, &[mint(far + 1, 100)]);
    assert!(matches!(results[0], Ok(Written::Minted(_))), "{results:?}");
    assert_eq!(committer.hlc_bound(), bound, "the clock does not follow");
}

/// One entry of the vector is enough to poison a key, whether a sibling stands for it or not.
#[test]
fn the_horizon_holds_for_every_entry_of_a_vector() {
    let (engine, mut committer) = start();
    let poisoned = VersionVector::from_entries([(Actor(9), Hlc(500))]);
    let parts = (poisoned, vec![]);
    let state = State::Siblings(Siblings::try_from(parts).unwrap());
    let results = committer.run(&engine, &[on_terms(1, state, 100, false)]);
    assert_eq!(results, [Err(WriteError::TagAhead { tag: dot(500, 9), limit: Hlc(100) })]);
}

#[test]
fn a_report_tells_what_else_is_held_and_nothing_otherwise() {
    let (engine, mut committer) = start();
    let (a, b) = (siblings(5, 1), siblings(6, 2));
    let stored = |held, more| Ok(Written::Stored { held, more });
    let covered = |held, more| Ok(Written::Covered { held, more });
    let results = committer.run(&engine, &[on_terms(1, a.clone(), 100, true)]);
    assert_eq!(results, [stored(dot(5, 1), None)], "nothing else is held");
    let results = committer.run(&engine, &[on_terms(1, b.clone(), 100, true)]);
    let joined = read(&engine, &row(1)).unwrap();
    assert_eq!(joined.as_ref().map(|state| state.contents().count()), Some(2));
    assert_eq!(results, [stored(dot(6, 2), joined.clone())]);
    let again = [
        on_terms(1, a.clone(), 100, true),
        on_terms(1, a, 100, false),
        on_terms(1, joined.clone().unwrap(), 100, true),
    ];
    let expected = [covered(dot(6, 2), joined), covered(dot(6, 2), None), covered(dot(6, 2), None)];
    assert_eq!(committer.run(&engine, &again), expected);
}

#[test]
fn a_report_of_a_register_is_the_newer_one() {
    let (engine, mut committer) = start();
    committer.run(&engine, &[store(1, state(9, "new"))]);
    let results = committer.run(&engine, &[on_terms(1, state(5, "old"), 100, true)]);
    let newer = Some(state(9, "new"));
    assert_eq!(results, [Ok(Written::Covered { held: dot(9, 1), more: newer })]);
}
