//! Words that may have been meant.

/// The word of `choices` that `word` is most likely a misspelling of, if any comes near: at most a third of
/// its letters wrong, two at most.
pub(super) fn near_miss<'c>(word: &str, choices: &[&'c str]) -> Option<&'c str> {
    let word = word.to_ascii_uppercase();
    let misses = choices.iter().map(|&choice| (distance(word.as_bytes(), choice.as_bytes()), choice));
    let (misses, choice) = misses.min_by_key(|&(misses, _)| misses)?;
    let allowed = (choice.len().div_ceil(3)).min(2);
    (1..=allowed).contains(&misses).then_some(choice)
}

/// Edits from one word to the other: insert, remove, replace a letter, or swap two neighbours (optimal string
/// alignment distance). Long words are not compared.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len().max(b.len()) > WORD_BYTES_MAX {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

const WORD_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_misspelt_words_and_nothing_else() {
        let choices = ["SELECT", "INSERT", "DELETE", "FROM", "USING"];
        let found = |word| near_miss(word, &choices);
        assert_eq!(found("selct"), Some("SELECT"));
        assert_eq!(found("FORM"), Some("FROM"));
        assert_eq!(found("usign"), Some("USING"));
        assert_eq!(found("banana"), None);
        assert_eq!(found("x"), None);
        assert_eq!(found(&"s".repeat(1000)), None);
    }
}
