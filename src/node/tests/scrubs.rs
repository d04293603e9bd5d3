//! Rounds of the scrub (rule S3): where they begin, what they count, and what they do about what they find.

use quorate_storage::{DigestAnswer, DigestWork, EngineError, Row, Walked};

use super::*;
use crate::{
    repair::{Chore, RepairTicket},
    wire::{HealingDescribed, ScrubNow, Scrubbing},
};

/// n1, whose scrub has begun, and what time it is there.
struct Scrubbed {
    node: Node,
    now: Instant,
}

/// What a piece of a round has found: of `cells` it came to this one, or to the end.
fn walked(next: Option<u32>) -> Walked {
    Walked { records: 10, bytes: 1_000, next, ..Walked::default() }
}

/// The record that is not to be served any more.
fn put_away(operation: &DiskOperation) -> Option<&Row> {
    match operation {
        DiskOperation::Write(Write::Quarantine { row }) => Some(row),
        _ => None,
    }
}

impl Scrubbed {
    fn new() -> Self {
        Self { node: node(), now: NOW.mono }
    }

    /// The disk is done with the piece under way. What follows.
    fn piece_done(&mut self, answer: Option<Walked>) -> Vec<Effect> {
        let ticket = Ticket::Repair(Box::new(RepairTicket::Upkeep(Chore::Scrub)));
        let result = DiskResult::Written(match answer {
            Some(walked) => Ok(Written::Digest(DigestAnswer::Walked(walked))),
            None => Err(EngineError::Full.into()),
        });
        handle_at(&mut self.node, self.now, Input::DiskDone { ticket, result })
    }

    /// Where the next piece begins, if it is not where the last one ended; and after how many milliseconds.
    fn next_piece(&mut self) -> (Option<u32>, u64) {
        let since = self.now;
        loop {
            assert!(self.now.since(since) < Duration::from_secs(10), "there is no next piece");
            self.now = self.now + Duration::from_millis(1);
            for effect in handle_at(&mut self.node, self.now, Input::Tick) {
                if let Effect::Disk(DiskRequest {
                    operation: DiskOperation::Write(Write::Digest(DigestWork::Scrub { from, .. })),
                    ..
                }) = effect
                {
                    return (from, self.now.since(since).as_millis() as u64);
                }
            }
        }
    }

    /// An operator wants all records verified. What is said of the scrub.
    fn ask(&mut self) -> Scrubbing {
        let header =
            Header { id: RequestId(1), epoch: Epoch(1), deadline: self.now + Duration::from_secs(1) };
        let frame = Frame { header, message: ScrubNow {}.into() };
        let effects = handle_at(&mut self.node, self.now, Input::Client { client: ClientId(1), frame });
        let described = effects.into_iter().find_map(|effect| match effect {
            Effect::ToClient {
                frame: Frame { message: ClientMessage::HealingDescribed(healing), .. },
                ..
            } => Some(healing),
            _ => None,
        });
        let HealingDescribed { scrub, .. } = described.expect("it is answered");
        scrub
    }

    fn rounds(&self) -> u64 {
        self.node.repair.scrubbing().rounds
    }
}

#[test]
fn a_round_that_began_elsewhere_does_not_count_and_the_next_one_does() {
    let mut scrub = Scrubbed::new();
    scrub.piece_done(Some(walked(None)));
    assert_eq!(scrub.rounds(), 0, "it began where this process's number said");
    assert_eq!(scrub.next_piece(), (None, 1_000), "it goes on with the first record");
    scrub.piece_done(Some(walked(Some(7))));
    assert_eq!(scrub.rounds(), 0, "it has not come to the end");
    assert_eq!(scrub.next_piece(), (None, 1_000));
    scrub.piece_done(Some(walked(None)));
    let told = scrub.node.repair.scrubbing();
    assert_eq!((told.rounds, told.records, told.bytes, told.cell), (1, 30, 3_000, 0));
}

#[test]
fn a_round_does_not_count_if_a_piece_of_it_failed() {
    let mut scrub = Scrubbed::new();
    scrub.piece_done(Some(walked(None)));
    scrub.next_piece();
    scrub.piece_done(None);
    assert_eq!(scrub.next_piece(), (None, 1_000), "it is tried again, at the usual pace");
    scrub.piece_done(Some(walked(None)));
    assert_eq!(scrub.rounds(), 0, "nobody knows what the failed piece would have found");
    scrub.next_piece();
    scrub.piece_done(Some(walked(None)));
    assert_eq!(scrub.rounds(), 1);
}

#[test]
fn a_round_that_is_asked_for_begins_with_the_first_record_and_does_not_dawdle() {
    let mut scrub = Scrubbed::new();
    scrub.piece_done(Some(walked(Some(7))));
    assert!(scrub.ask().asked);
    assert_eq!(scrub.next_piece(), (Some(0), 1), "at once");
    scrub.piece_done(Some(walked(Some(7))));
    assert_eq!(scrub.next_piece(), (None, 20));
    scrub.piece_done(Some(walked(None)));
    let told = scrub.node.repair.scrubbing();
    assert_eq!((told.rounds, told.asked), (1, false));
    assert_eq!(scrub.next_piece(), (None, 1_000), "then it takes its time again");
}

#[test]
fn what_was_under_way_when_a_round_was_asked_for_is_no_part_of_it() {
    let mut scrub = Scrubbed::new();
    scrub.piece_done(Some(walked(None)));
    scrub.next_piece();
    assert!(scrub.ask().asked);
    scrub.piece_done(Some(walked(None)));
    let told = scrub.node.repair.scrubbing();
    assert_eq!((told.rounds, told.asked), (0, true), "what it read may have been damaged since");
    assert_eq!(scrub.next_piece(), (Some(0), 20));
    scrub.piece_done(Some(walked(None)));
    assert_eq!(scrub.rounds(), 1);
}

#[test]
fn a_round_that_is_asked_for_begins_anew_where_a_piece_of_it_failed() {
    let mut scrub = Scrubbed::new();
    scrub.piece_done(Some(walked(None)));
    scrub.ask();
    assert_eq!(scrub.next_piece(), (Some(0), 1));
    scrub.piece_done(None);
    assert_eq!(scrub.next_piece(), (Some(0), 1_000), "a disk that fails is not pressed");
    scrub.piece_done(Some(walked(None)));
    let told = scrub.node.repair.scrubbing();
    assert_eq!((told.rounds, told.asked), (1, false));
}

#[test]
fn what_is_damaged_is_told_and_put_away_and_wrong_digests_are_made_anew() {
    let mut scrub = Scrubbed::new();
    let row = Row { token: quorate_ring::token_of(b"k"), table: TableId(1), key: Bytes::from_static(b"k") };
    let found = Walked { damaged: vec![row.clone()], wrong: vec![3], dirty: 1, ..walked(Some(7)) };
    let effects = scrub.piece_done(Some(found));
    let alarms = |wanted: &dyn Fn(&Alarm) -> bool| {
        effects.iter().filter(|effect| matches!(effect, Effect::Alarm(alarm) if wanted(alarm))).count()
    };
    assert_eq!(alarms(&|alarm| matches!(alarm, Alarm::DamagedRecord { key, .. } if *key == row.key)), 1);
    assert_eq!(alarms(&|alarm| matches!(alarm, Alarm::WrongDigest { cell: 3 })), 1);
    let kept_away = effects.iter().any(|effect| match effect {
        Effect::Disk(DiskRequest { operation, .. }) => put_away(operation) == Some(&row),
        _ => false,
    });
    assert!(kept_away, "no restart serves it, and others are asked for it (`recovery`): {effects:?}");
    assert_eq!(scrub.node.repair.scrubbing().damaged, 1);
    assert_eq!(scrub.node.repair.cells_unknown(), 1, "the wrong one is rebuilt");
}
