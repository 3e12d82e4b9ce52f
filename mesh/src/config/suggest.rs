//! "Did you mean": the nearest of some known words.

/// The known word that a typing mistake may have stood for.
#[must_use]
pub(crate) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Words longer than that are no typing mistakes of ours.
    if typed.len() > 64 {
        return None;
    }
    let scored = known.into_iter().map(|word| (distance(typed, word), word));
    let (distance, word) = scored.min()?;
    (distance <= word.len().div_ceil(3)).then_some(word)
}

/// Edits between two words: insertions, deletions, substitutions, swapped neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_finds_the_word_and_nonsense_finds_none() {
        let known = ["region", "relay", "relay_ip", "media"];
        assert_eq!(nearest("regoin", known), Some("region"));
        assert_eq!(nearest("relay-ip", known), Some("relay_ip"));
        assert_eq!(nearest("zzz", known), None);
    }
}
