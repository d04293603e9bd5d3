use std::ops::Range;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{Batch, Engine, FjallEngine, FjallOptions, Space, meta::put_sequence};

/// Journals of real databases, written as `batches` are, without the zeros behind them; and where each batch
/// stands.
fn written(batches: &[Batch]) -> (Vec<u8>, Vec<Range<usize>>) {
    let directory = tempfile::tempdir().unwrap();
    let options = FjallOptions { workers: 1, ..FjallOptions::default() };
    let engine = FjallEngine::open(directory.path(), &options).unwrap();
    let mut ends = vec![0];
    let journal = directory.path().join("0.jnl");
    let content = || {
        let mut bytes = Vec::new();
        File::open(&journal).unwrap().take(4 << 20).read_to_end(&mut bytes).unwrap();
        bytes[..bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)].to_vec()
    };
    for batch in batches {
        engine.commit(batch).unwrap();
        ends.push(content().len());
    }
    (content(), ends.windows(2).map(|pair| pair[0]..pair[1]).collect())
}

fn numbered(sequence: u64, value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(Space::Data, Bytes::from(vec![7; 14]), Bytes::copy_from_slice(value));
    batch.remove(Space::Data, Bytes::from("gone"));
    put_sequence(&mut batch, sequence);
    batch
}

fn three() -> (Vec<u8>, Vec<Range<usize>>) {
    written(&[numbered(1, b"one"), numbered(2, b"two"), numbered(3, b"three")])
}

/// What is found in a directory with these journals.
fn inspected(journals: &[&[u8]]) -> Result<Journals, String> {
    let directory = tempfile::tempdir().unwrap();
    for (number, bytes) in journals.iter().enumerate() {
        // Numbers are compared as numbers: 9 comes before 10.
        fs::write(directory.path().join(format!("{}.jnl", number + 9)), bytes).unwrap();
    }
    inspect(directory.path()).map_err(|error| match error {
        JournalError::Damaged(why) => why,
        JournalError::Io(error) => panic!("{error}"),
    })
}

fn whole(last: u64) -> Result<Journals, String> {
    Ok(Journals { last_sequence: Some(last), torn: None })
}

/// The last whole batch, and where the torn end starts.
fn torn(found: Result<Journals, String>) -> (Option<u64>, Option<u64>) {
    let found = found.unwrap();
    (found.last_sequence, found.torn.map(|torn| torn.at))
}

#[test]
fn whole_journals_are_found_whole() {
    let (bytes, at) = three();
    assert_eq!(inspected(&[]), Ok(Journals::default()));
    assert_eq!(inspected(&[&[]]), Ok(Journals::default()));
    assert_eq!(inspected(&[&bytes]), whole(3));
    let with_zeros = [&bytes[..], &[0; 100_000]].concat();
    assert_eq!(inspected(&[&with_zeros]), whole(3));
    assert_eq!(inspected(&[&with_zeros[..at[0].end], &bytes[at[0].end..]]), whole(3));
    let first = [&bytes[..at[1].end], &[0; 10]].concat();
    assert_eq!(inspected(&[&first, &bytes[at[2].clone()], &[]]), whole(3), "a new journal is empty");
}

#[test]
fn an_end_that_a_crash_tore_is_no_damage() {
    let (bytes, at) = three();
    let last = at[2].clone();
    for cut in last.start + 1..last.end {
        let expected = (Some(2), Some(last.start as u64));
        assert_eq!(torn(inspected(&[&bytes[..cut]])), expected, "cut at {cut}");
        let filled_up = [&bytes[..cut], &vec![0; last.end - cut + 50]].concat();
        if bytes[cut..last.end].iter().any(|byte| *byte != 0) {
            assert_eq!(torn(inspected(&[&filled_up])), expected, "zeros from {cut}");
        }
        // Blocks reach the disk in any order: what was written last may be there, what came before it not.
        let mut hole = bytes.clone();
        hole[last.start..cut].fill(0);
        assert_eq!(torn(inspected(&[&hole])), expected, "a hole up to {cut}");
    }
}

/// A batch is written only when the one before it has been synced. What damages that one is noticed, whatever
/// follows it and wherever it stands.
#[test]
fn every_flipped_bit_of_what_was_synced_is_noticed() {
    let (bytes, at) = three();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let batch = at.iter().position(|range| range.contains(&(bit / 8))).unwrap();
        let number = at[batch].start + 5..at[batch].start + 13;
        let found = inspected(&[&flipped]);
        match &found {
            // fjall's own number of a batch has no checksum; one that is in order changes nothing.
            Ok(found) if found.torn.is_none() => {
                assert!(number.contains(&(bit / 8)), "bit {bit}");
                assert_eq!(found.last_sequence, Some(3), "bit {bit}");
            }
            Ok(found) => {
                let expected = (Some(batch as u64).filter(|n| *n > 0), Some(at[batch].start as u64));
                assert_eq!(torn(Ok(found.clone())), expected, "bit {bit}");
                assert!(batch == 2 || end_is_unreadable(batch, bit / 8, &at), "bit {bit}: {found:?}");
            }
            Err(why) => assert!(batch < 2 || number.contains(&(bit / 8)), "bit {bit}: {why}"),
        }
    }
}

/// Where a batch is damaged in its trailer, the one behind it is not found; with one more there is another way.
fn end_is_unreadable(batch: usize, byte: usize, at: &[Range<usize>]) -> bool {
    batch == 1 && byte >= at[batch].end - TRAILER.len()
}

#[test]
fn a_sealed_journal_has_no_torn_end() {
    let (bytes, at) = three();
    let (sealed, newest) = (&bytes[..at[1].end], &bytes[at[2].clone()]);
    for cut in at[1].start + 1..at[1].end {
        let why = inspected(&[&sealed[..cut], newest]).unwrap_err();
        assert!(why.contains(&format!("9.jnl is damaged at byte {}", at[1].start)), "{why}");
    }
    // Cut between two batches, or gone as a whole: the numbers tell.
    assert!(inspected(&[&sealed[..at[0].end], newest]).unwrap_err().contains("batch 3 follows batch 1"));
    assert!(
        inspected(&[&bytes[at[0].clone()], &[], newest]).unwrap_err().contains("batch 3 follows batch 1")
    );
    assert!(inspected(&[newest, sealed]).unwrap_err().contains("cannot be right"));
}

#[test]
fn lengths_that_nothing_backs_are_not_believed() {
    let (bytes, at) = three();
    let item = at[2].start + 13;
    assert_eq!(bytes[item], TAG_ITEM);
    for (field, len) in [(11, 2), (13, 4), (17, 4)] {
        let mut hostile = bytes.clone();
        hostile[item + field..item + field + len].fill(0xff);
        assert_eq!(torn(inspected(&[&hostile])).0, Some(2));
    }
    let mut many_items = bytes.clone();
    many_items[at[2].start + 1..at[2].start + 5].fill(0xff);
    assert_eq!(torn(inspected(&[&many_items])).0, Some(2));
}

#[test]
fn a_torn_end_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.jnl");
    fs::write(&path, b"0123456789").unwrap();
    Torn { path: path.clone(), at: 4 }.cut().unwrap();
    assert_eq!(fs::read(path).unwrap(), b"0123");
}

#[test]
fn other_files_are_no_journals() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["lock", "version", "x.jnl", "1.jnl.old"] {
        fs::write(directory.path().join(name), b"noise").unwrap();
    }
    assert_eq!(inspect(directory.path()).unwrap(), Journals::default());
    assert_eq!(inspect(&directory.path().join("missing")).unwrap(), Journals::default());
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let value = prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => any::<u8>().prop_map(|byte| vec![byte; 9_000]),
        1 => any::<u64>().prop_map(|seed| incompressible(seed, 150_000)),
        1 => Just(TRAILER.repeat(30)),
    ];
    let write = (any::<bool>(), 1_usize..30, proptest::option::weighted(0.8, value));
    let batch = proptest::collection::vec(write, 1..4).prop_map(|writes| {
        let mut batch = Batch::new();
        for (in_meta, key, value) in writes {
            let space = if in_meta { Space::Meta } else { Space::Data };
            match value {
                Some(value) => batch.put(space, vec![9; key].into(), value.into()),
                None => batch.remove(space, vec![9; key].into()),
            }
        }
        batch
    });
    proptest::collection::vec(batch, 1..6)
}

fn incompressible(seed: u64, bytes: usize) -> Vec<u8> {
    let mut word = seed | 1;
    std::iter::repeat_with(|| {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (word >> 56) as u8
    })
    .take(bytes)
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever fjall writes is read as whole; cut anywhere, the rest is.
    #[test]
    fn what_fjall_writes_is_understood(batches in batches(), cut in any::<proptest::sample::Index>()) {
        let numbered: Vec<_> = (1..).zip(batches).map(|(sequence, mut batch)| {
            put_sequence(&mut batch, sequence);
            batch
        }).collect();
        let (bytes, at) = written(&numbered);
        prop_assert_eq!(inspected(&[&bytes]), whole(numbered.len() as u64));
        let cut = cut.index(bytes.len());
        let left = at.iter().filter(|batch| batch.end <= cut).count();
        let start = at[left].start;
        let expected = (Some(left as u64).filter(|n| *n > 0), Some(start as u64).filter(|_| cut > start));
        prop_assert_eq!(torn(inspected(&[&bytes[..cut]])), expected);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0_u8..5], 0..300),
        more in proptest::collection::vec(prop_oneof![Just(&TRAILER[..]), Just(&[1, 1, 0, 0, 0][..])], 0..4),
    ) {
        let _ = inspected(&[&[&bytes[..], &more.concat(), &bytes].concat()]);
        let _ = inspected(&[&bytes, &more.concat()]);
    }
}
