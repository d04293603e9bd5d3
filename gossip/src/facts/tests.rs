//! Facts against a slow twin that remembers every delivery.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, prelude::*};
use quorate_ring::NodeId;

use super::*;
use crate::entry::{EntryKey, Version};

fn entry(life: u64, number: u64, subject: u8) -> Entry {
    Entry {
        key: EntryKey { node: NodeId(1), subject: Arc::from(format!("s{subject}")) },
        version: Version { life: Life(life), number },
        value: Arc::from([life as u8, number as u8]),
    }
}

/// What a node says in each of its lives: which subject the entry of each number is about.
type Script = Vec<Vec<u8>>;

fn any_script() -> impl Strategy<Value = Script> {
    vec(vec(0..4_u8, 1..8), 1..4)
}

/// A source that has said everything up to (life, number).
fn source(script: &Script, life: usize, number: usize) -> Facts {
    let mut facts = Facts::default();
    for (at, subject) in script[life].iter().enumerate().take(number) {
        facts.merge(entry(life as u64 + 1, at as u64 + 1, *subject));
    }
    facts
}

#[derive(Clone, Debug)]
enum Delivery {
    /// A single entry, as news.
    Entry { life: prop::sample::Index, number: prop::sample::Index },
    /// A delta from a source that has said so much.
    Delta { life: prop::sample::Index, number: prop::sample::Index },
}

fn any_deliveries() -> impl Strategy<Value = Vec<Delivery>> {
    let pair = || (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let entry = pair().prop_map(|(life, number)| Delivery::Entry { life, number });
    let delta = pair().prop_map(|(life, number)| Delivery::Delta { life, number });
    vec(prop_oneof![entry, delta], 0..40)
}

proptest! {
    #[test]
    fn any_way_of_delivery_leads_to_the_newest(script in any_script(), deliveries in any_deliveries()) {
        let mut facts = Facts::default();
        // The twin: the newest entry of each subject in each life, of all that was delivered.
        let mut delivered: BTreeMap<u64, BTreeMap<Arc<str>, Entry>> = BTreeMap::new();
        for delivery in deliveries {
            let entries = match delivery {
                Delivery::Entry { life, number } => {
                    let life = life.index(script.len());
                    let number = number.index(script[life].len());
                    vec![entry(life as u64 + 1, number as u64 + 1, script[life][number])]
                }
                Delivery::Delta { life, number } => {
                    let life = life.index(script.len());
                    let source = source(&script, life, number.index(script[life].len()) + 1);
                    let Some(set) = source.beyond(NodeId(1), facts.life(), facts.watermark()) else { continue };
                    let entries = set.entries.clone();
                    for entry in set.entries {
                        facts.merge(entry);
                    }
                    facts.vouch(set.life, set.base, set.up_to);
                    entries
                }
            };
            for entry in entries {
                facts.merge(entry.clone());
                let subjects = delivered.entry(entry.version.life.0).or_default();
                let held = subjects.entry(entry.key.subject.clone()).or_insert_with(|| entry.clone());
                if entry.version > held.version {
                    *held = entry;
                }
            }
            facts.validate();
            let (life, newest) = delivered.last_key_value().expect("something was delivered");
            prop_assert_eq!(facts.life(), Life(*life));
            let mut newest: Vec<_> = newest.values().cloned().collect();
            newest.sort_by_key(|entry| entry.version);
            prop_assert_eq!(facts.entries(), newest.as_slice());
            // The watermark promises no more than is held: every subject said up to it is held at least as new.
            for (at, subject) in script[*life as usize - 1].iter().enumerate().take(facts.watermark() as usize) {
                let held = facts.about(&format!("s{subject}")).expect("a subject below the watermark is held");
                prop_assert!(held.version.number > at as u64);
            }
        }
    }

    #[test]
    fn one_delta_from_a_complete_source_completes(script in any_script(), news in vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..10)) {
        let last = script.len() - 1;
        let complete = source(&script, last, usize::MAX);
        let mut facts = Facts::default();
        for (life, number) in news {
            let life = life.index(script.len());
            let number = number.index(script[life].len());
            facts.merge(entry(life as u64 + 1, number as u64 + 1, script[life][number]));
        }
        if let Some(set) = complete.beyond(NodeId(1), facts.life(), facts.watermark()) {
            for entry in set.entries {
                facts.merge(entry);
            }
            facts.vouch(set.life, set.base, set.up_to);
        }
        prop_assert_eq!(facts.entries(), complete.entries());
        prop_assert_eq!(facts.watermark(), complete.watermark());
    }
}

#[test]
fn an_older_life_never_wins() {
    let mut facts = Facts::default();
    assert!(facts.merge(entry(2, 1, 0)));
    assert!(!facts.merge(entry(1, 1_000, 0)));
    assert!(!facts.merge(entry(1, 1_000, 1)), "nor on another subject");
    assert_eq!(facts.entries(), [entry(2, 1, 0)]);
}

#[test]
fn a_gap_holds_the_watermark_until_it_is_filled() {
    let mut facts = Facts::default();
    facts.merge(entry(1, 1, 0));
    facts.merge(entry(1, 3, 2));
    assert_eq!(facts.watermark(), 1);
    facts.merge(entry(1, 2, 1));
    assert_eq!(facts.watermark(), 3);
}

#[test]
fn a_set_that_starts_beyond_a_gap_does_not_vouch() {
    let mut facts = Facts::default();
    facts.merge(entry(1, 5, 0));
    facts.vouch(Life(1), 4, 5);
    assert_eq!(facts.watermark(), 0);
    facts.vouch(Life(1), 0, 4);
    assert_eq!(facts.watermark(), 5);
}

#[test]
fn a_later_life_without_entries_clears_the_earlier_one() {
    let mut facts = Facts::default();
    facts.merge(entry(1, 1, 0));
    let later = Facts::none_in(Life(2));
    let set = later.beyond(NodeId(1), facts.life(), facts.watermark()).expect("the later life is ahead");
    facts.vouch(set.life, set.base, set.up_to);
    assert_eq!((facts.life(), facts.entries()), (Life(2), &[][..]));
    assert_eq!(later.beyond(NodeId(1), facts.life(), facts.watermark()), None);
}

#[test]
fn numbers_at_the_end_of_their_range_do_no_harm() {
    let mut facts = Facts::default();
    facts.merge(entry(1, u64::MAX, 0));
    facts.vouch(Life(1), 0, u64::MAX);
    facts.merge(entry(1, u64::MAX, 0));
    assert_eq!(facts.watermark(), u64::MAX);
    facts.validate();
}
