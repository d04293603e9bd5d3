use proptest::prelude::*;

use super::*;

const NAMED: [Consistency; 6] = [
    Consistency::One,
    Consistency::Two,
    Consistency::Three,
    Consistency::Quorum,
    Consistency::All,
    Consistency::Any,
];

#[test]
fn words_are_read_in_any_case_and_written_in_capitals() {
    for level in NAMED {
        assert_eq!(level.to_string().parse(), Ok(level));
        assert_eq!(level.to_string().to_lowercase().parse(), Ok(level));
    }
    assert_eq!("4".parse::<Consistency>().unwrap().to_string(), "4");
    for wrong in ["", "0", "-1", "256", "most", "QUORUM "] {
        let error = wrong.parse::<Consistency>().unwrap_err().to_string();
        assert!(error.contains(&format!("'{wrong}'")), "{error}");
    }
}

#[test]
fn levels_that_cannot_be_served_say_why() {
    assert_eq!(Consistency::Any.required_reads(3), Err(ConsistencyError::AnyOnRead));
    assert_eq!(Consistency::Any.required_writes(3), Ok(1));
    assert_eq!(
        Consistency::Two.required_reads(1).unwrap_err().to_string(),
        "consistency TWO needs 2 replicas, but the table's replication is 1"
    );
    assert!(Consistency::All.required_writes(0).is_err());
}

#[test]
fn only_the_strict_levels_are_linearizable() {
    let strict: Vec<_> = NAMED.into_iter().filter(|level| level.is_linearizable()).collect();
    assert_eq!(strict, [Consistency::Quorum, Consistency::All]);
}

proptest! {
    #[test]
    fn quorum_is_the_smallest_overlap(n in 1..=255_u8) {
        let (q, n) = (usize::from(quorum(n)), usize::from(n));
        prop_assert!(q <= n && overlaps(q, q, n) && !overlaps(q - 1, q - 1, n));
    }

    #[test]
    fn a_level_never_needs_more_than_there_are(n in 1..=15_u8, count in 1..=20_u8) {
        let count = Consistency::Count(NonZeroU8::new(count).unwrap());
        for level in NAMED.into_iter().chain([count]) {
            if let Ok(required) = level.required_writes(n) {
                prop_assert!((1..=usize::from(n)).contains(&required));
            }
        }
        let all = Consistency::All.required_reads(n).unwrap();
        prop_assert!(overlaps(all, 1, usize::from(n)));
    }
}
