//! `register`: the greater tag wins.

use std::cmp::Ordering;

use super::{MergeError, Merged};
use crate::Register;

pub(super) fn merge(held: &Register, incoming: &Register) -> Result<Merged, MergeError> {
    match incoming.tag.cmp(&held.tag) {
        Ordering::Greater => Ok(Merged::Incoming),
        Ordering::Less => Ok(Merged::Held),
        Ordering::Equal if incoming.content == held.content => Ok(Merged::Held),
        Ordering::Equal => Err(MergeError::EqualTagDifferentBytes(held.tag)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Content, State,
        arbitrary::{tags, written_registers},
        merge::join,
    };

    proptest! {
        #[test]
        fn any_order_ends_at_the_greatest_tag(
            states in proptest::collection::vec(written_registers(), 1..8),
            order in any::<u64>(),
        ) {
            let greatest = states.iter().max_by_key(|state| state.tag()).cloned();
            let forward = states.iter().fold(None, join);
            let mut shuffled = states.clone();
            shuffled.rotate_left(order as usize % states.len());
            shuffled.reverse();
            shuffled.extend(states);
            prop_assert_eq!(&forward, &greatest);
            prop_assert_eq!(shuffled.iter().fold(None, join), greatest);
        }

        #[test]
        fn grouping_does_not_matter(
            a in written_registers(),
            b in written_registers(),
            c in written_registers(),
        ) {
            let left = join(join(Some(a.clone()), &b), &c);
            let right = join(Some(a), &join(Some(b), &c).unwrap());
            prop_assert_eq!(left, right);
        }

        #[test]
        fn equal_tags_with_different_bytes_are_an_alarm(tag in tags(), a in any::<u8>(), b in any::<u8>()) {
            let state = |byte| {
                State::Register(Register { tag, content: Content::Value(Bytes::copy_from_slice(&[byte])) })
            };
            let merged = crate::merge(Some(&state(a)), &state(b));
            let expected =
                if a == b { Ok(Merged::Held) } else { Err(MergeError::EqualTagDifferentBytes(tag)) };
            prop_assert_eq!(merged, expected);
        }
    }
}
