use proptest::prelude::*;

use super::*;

fn token() -> impl Strategy<Value = Token> {
    // Small numbers and both ends of the circle meet often enough to try every coincidence.
    prop_oneof![
        (-3..=3_i64).prop_map(Token),
        (0..3_u64).prop_map(|d| Token::MIN.advance(d)),
        (0..3_i64).prop_map(|d| Token(i64::MAX - d)),
        any::<i64>().prop_map(Token),
    ]
}

fn range() -> impl Strategy<Value = TokenRange> {
    (token(), token()).prop_map(|(start, end)| TokenRange::new(start, end))
}

/// The twin of `contains`, from the definition.
fn contains_slowly(range: TokenRange, token: Token) -> bool {
    let TokenRange { start, end } = range;
    if start < end { start < token && token <= end } else { token > start || token <= end }
}

proptest! {
    #[test]
    fn contains_agrees_with_its_definition(range in range(), token in token()) {
        prop_assert_eq!(range.contains(token), contains_slowly(range, token));
        prop_assert!(range.contains(range.end) && range.contains(range.start.advance(1)));
    }

    #[test]
    fn intervals_hold_the_range(range in range(), token in token()) {
        let intervals: Vec<_> = range.intervals().collect();
        prop_assert_eq!(intervals.iter().any(|i| i.contains(&token)), range.contains(token));
        prop_assert_eq!(intervals.len(), 1 + usize::from(range.is_wrapping()));
        let width = |i: &RangeInclusive<Token>| u128::from(i.start().distance_to(*i.end())) + 1;
        prop_assert_eq!(intervals.iter().map(width).sum::<u128>(), range.width());
    }

    #[test]
    fn split_cuts_in_two(range in range(), at in token(), token in token()) {
        match range.split(at) {
            None => prop_assert!(!range.contains(at) || at == range.end),
            Some((low, high)) => {
                prop_assert_eq!(low.width() + high.width(), range.width());
                prop_assert!(low.contains(at) && !high.contains(at) && !low.overlaps(high));
                prop_assert!(range.contains_range(low) && range.contains_range(high));
                prop_assert_eq!(low.contains(token) || high.contains(token), range.contains(token));
            }
        }
    }

    #[test]
    fn divide_is_even_and_complete(range in range(), parts in 0..40_u32) {
        let cut: Vec<_> = range.divide(parts).collect();
        let widths: Vec<_> = cut.iter().map(|r| r.width()).collect();
        prop_assert_eq!(cut.len() as u128, u128::from(parts.max(1)).min(range.width()));
        prop_assert_eq!(widths.iter().sum::<u128>(), range.width());
        prop_assert!(widths.iter().max().unwrap() - widths.iter().min().unwrap() <= 1);
        prop_assert!(cut.windows(2).all(|w| w[0].end == w[1].start));
        prop_assert_eq!((cut[0].start, cut[cut.len() - 1].end), (range.start, range.end));
    }

    #[test]
    fn overlap_means_a_shared_token(a in range(), b in range(), token in token()) {
        prop_assert_eq!(a.overlaps(b), b.overlaps(a));
        prop_assert!(!(a.contains(token) && b.contains(token)) || a.overlaps(b));
        prop_assert!(!a.contains_range(b) || (a.overlaps(b) && (!b.contains(token) || a.contains(token))));
    }

    #[test]
    fn ordered_bytes_keep_the_order(a in token(), b in token()) {
        prop_assert_eq!(a.cmp(&b), a.to_ordered_bytes().cmp(&b.to_ordered_bytes()));
        prop_assert_eq!(Token::from_ordered_bytes(a.to_ordered_bytes()), a);
    }
}

#[test]
fn equal_ends_are_the_full_circle() {
    let full = TokenRange::new(Token(7), Token(7));
    assert!(full.is_full() && full.width() == CIRCLE && full.contains(Token(7)) && full.contains(Token(8)));
    assert_eq!(TokenRange::FULL.intervals().collect::<Vec<_>>(), [Token::MIN..=Token::MAX]);
    assert!(!TokenRange::FULL.is_wrapping() && full.is_wrapping());
}
