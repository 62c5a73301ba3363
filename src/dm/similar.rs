//! Which known word was meant by one that is not known.

/// The known word that is nearest to `word`, if it is so near that a slip of the fingers explains it: letters left out,
/// doubled, swapped or mistaken, one for a short word and three for the longest, or an ending left out.
pub fn similar<'a>(word: &[u8], known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match word.len() {
        0 | 1 => return None,
        2..=5 => 1,
        6..=8 => 2,
        _ => 3,
    };
    let near = known.into_iter().filter_map(|known| {
        let distance = distance(word, known.as_bytes());
        let is_cut_short = word.len() >= 3 && known.as_bytes().starts_with(word);
        (distance <= limit || is_cut_short).then_some((distance, known))
    });
    near.min_by_key(|&(distance, _)| distance)
        .map(|(_, known)| known)
        .filter(|known| known.as_bytes() != word)
}

/// How many letters must be put in, taken out, changed or swapped with the next to make one word of the other.
fn distance(from: &[u8], to: &[u8]) -> usize {
    // The row of the table for the letters of `from` so far, and the two before it.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    let (mut last, mut before_last) = (row.clone(), row.clone());
    for (i, letter) in from.iter().enumerate() {
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut row);
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let changed = last[j] + usize::from(letter != other);
            row[j + 1] = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && letter == &to[j - 1] && &from[i - 1] == other {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_slips() {
        for (from, to, slips) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("", "ab", 2),
            ("ab", "ba", 1),
            ("crate", "create", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), slips, "{from} {to}");
            assert_eq!(distance(to.as_bytes(), from.as_bytes()), slips, "{to} {from}");
        }
    }

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let known = ["linear", "striped", "zero", "error", "snapshot-origin"];
        let meant = |word: &str| similar(word.as_bytes(), known);
        assert_eq!(meant("liner"), Some("linear"));
        assert_eq!(meant("stirped"), Some("striped"));
        assert_eq!(meant("snapshot"), Some("snapshot-origin"));
        assert_eq!(meant("zreo"), Some("zero"));
        for word in ["crypt", "z", "", "linear", "zoom"] {
            assert_eq!(meant(word), None, "{word}");
        }
    }
}
