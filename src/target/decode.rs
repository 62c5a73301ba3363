//! A target's text by the description that the target gives of it ([`Texts`](super::Texts)).

use super::texts::{Feature, Form, Kind, OTHER, Part, Word};
use crate::dm::{Sectors, Text};

/// A text's words by name, in their order.
pub type Record = Vec<(&'static str, Decoded)>;

/// What a word, or several, stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// `-`, where that may stand for nothing.
    None,
    /// Whether a feature is there.
    Flag(bool),
    /// A number; of sectors, in bytes.
    Number(u64),
    /// Any other word.
    Text(Text),
    /// Several of one kind.
    List(Vec<Decoded>),
    /// Several by name.
    Record(Record),
}

/// What the words say by that form; `None` unless every word of them is one of its.
pub fn decode(form: Form, words: &[Text]) -> Option<Record> {
    let mut reader = Reader { words, counts: Vec::new() };
    let record = reader.all(form)?;
    reader.words.is_empty().then_some(record)
}

/// The words that are left, and the counts that were read.
#[derive(Clone)]
struct Reader<'a> {
    words: &'a [Text],
    counts: Vec<(&'static str, usize)>,
}

impl<'a> Reader<'a> {
    fn all(&mut self, form: Form) -> Option<Record> {
        let mut record = Record::new();
        form.iter().try_for_each(|part| self.part(part, &mut record))?;
        Some(record)
    }

    fn part(&mut self, part: &Part, record: &mut Record) -> Option<()> {
        match part {
            Part::One(word) => record.push((word.name, read(word, self.next()?)?)),
            Part::Ratio(one, other) => {
                let both = self.next()?;
                let slash = both.iter().position(|byte| *byte == b'/')?;
                record.push((one.name, read(one, &both[..slash])?));
                record.push((other.name, read(other, &both[slash + 1..])?));
            }
            Part::Letters(name, _) => {
                let letters = self.next()?.iter().map(|letter| Decoded::Text(Text::from(&[*letter][..])));
                record.push((name, Decoded::List(letters.collect())));
            }
            Part::Count(name) => {
                let count = number(self.next()?)?;
                self.counts.push((name, usize::try_from(count).ok()?));
            }
            Part::Many(word, count) => {
                let words = self.take(self.count(count)?)?;
                let items = words.iter().map(|text| read(word, text)).collect::<Option<_>>()?;
                record.push((word.name, Decoded::List(items)));
            }
            Part::Each(name, _, count, form) => record.push((name, Decoded::List(self.each(*count, form)?))),
            Part::Within(count, form) => record.extend(self.within(self.count(count)?, form)?),
            Part::Features(features) => record.extend(self.features(features)?),
            Part::Object(name, _, form) => record.push((name, Decoded::Record(self.all(form)?))),
            Part::Maybe(form) if !self.words.is_empty() => record.extend(self.all(form)?),
            Part::Maybe(_) => {}
            Part::Either(forms) => record.extend(self.either(forms)?),
            Part::Fixed(word) => return (self.next()? == word.as_bytes()).then_some(()),
            Part::Rest(name, _) => {
                let words = self.take(self.words.len()).filter(|words| !words.is_empty())?;
                let text = words.iter().map(Text::as_bytes).collect::<Vec<_>>().join(&b' ');
                record.push((name, Decoded::Text(text.into())));
            }
        }
        Some(())
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, count: usize) -> Option<&'a [Text]> {
        let (taken, rest) = self.words.split_at_checked(count)?;
        self.words = rest;
        Some(taken)
    }

    /// The count of that name that was read last.
    fn count(&self, name: &str) -> Option<usize> {
        self.counts.iter().rev().find(|(known, _)| *known == name).map(|(_, count)| *count)
    }

    fn each(&mut self, count: Option<&'static str>, form: Form) -> Option<Vec<Decoded>> {
        let left = match count {
            Some(count) => Some(self.count(count)?),
            None => None,
        };
        let mut items = Vec::new();
        while left.map_or(!self.words.is_empty(), |left| items.len() < left) {
            let before = self.words.len();
            items.push(Decoded::Record(self.all(form)?));
            if self.words.len() == before {
                // A form without words would go on for ever.
                return None;
            }
        }
        Some(items)
    }

    fn within(&mut self, count: usize, form: Form) -> Option<Record> {
        let mut inner = Reader { words: self.take(count)?, counts: self.counts.clone() };
        let record = inner.all(form)?;
        inner.words.is_empty().then_some(record)
    }

    fn either(&mut self, forms: &[Form]) -> Option<Record> {
        forms.iter().find_map(|form| {
            let mut tried = self.clone();
            let record = tried.all(form)?;
            if !tried.words.is_empty() {
                return None;
            }
            *self = tried;
            Some(record)
        })
    }

    /// Each flag is told, whether it is there or not; of features with a value those that are there.
    fn features(&mut self, features: &[Feature]) -> Option<Record> {
        let mut record: Record = Vec::new();
        let mut other = Vec::new();
        while let Some(word) = self.next() {
            let of_word = |feature: &&Feature| match feature.word.strip_suffix(':') {
                Some(_) => word.starts_with(feature.word.as_bytes()),
                None => word == feature.word.as_bytes(),
            };
            let Some(feature) = features.iter().find(of_word) else {
                other.push(Decoded::Text(word.into()));
                continue;
            };
            record.push((feature.name(), self.feature(feature, word)?));
        }
        let flags = features.iter().filter(|feature| feature.form.is_empty());
        let missing: Vec<_> =
            flags.map(Feature::name).filter(|name| record.iter().all(|(known, _)| known != name)).collect();
        record.extend(missing.into_iter().map(|name| (name, Decoded::Flag(false))));
        if !other.is_empty() {
            record.push((OTHER, Decoded::List(other)));
        }
        Some(record)
    }

    fn feature(&mut self, feature: &Feature, word: &[u8]) -> Option<Decoded> {
        let value = &word[feature.word.len()..];
        match (feature.form, feature.word.ends_with(':')) {
            ([], _) => Some(Decoded::Flag(true)),
            ([Part::One(kind)], true) => read(kind, value),
            ([Part::One(kind)], false) => read(kind, self.next()?),
            (form, _) => self.all(form).map(Decoded::Record),
        }
    }
}

fn read(word: &Word, text: &[u8]) -> Option<Decoded> {
    value(word.kind, text)
}

fn value(kind: Kind, text: &[u8]) -> Option<Decoded> {
    match kind {
        Kind::Text | Kind::Device => Some(Decoded::Text(text.into())),
        Kind::Number => number(text).map(Decoded::Number),
        Kind::Sectors => Sectors(number(text)?).to_bytes().map(|bytes| Decoded::Number(bytes.0)),
        Kind::OrNone(_) if text == b"-" => Some(Decoded::None),
        Kind::OrNone(kind) => value(*kind, text),
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::texts::{flag, one, word};
    use super::*;

    fn told(form: Form, text: &str) -> Option<String> {
        decode(form, &Text::from(text).words()).map(|record| format!("{record:?}").replace("Text(", "("))
    }

    #[test]
    fn every_word_has_its_place_or_there_are_no_fields() {
        const FORM: Form = &[one("device", Kind::Device, ""), one("offset_bytes", Kind::Sectors, "")];
        let told = |text| told(FORM, text);
        assert_eq!(told("7:0 2").unwrap(), r#"[("device", ("7:0")), ("offset_bytes", Number(1024))]"#);
        for wrong in ["7:0", "7:0 2 3", "7:0 2x", "7:0 36028797018963968", "7:0 +2"] {
            assert_eq!(told(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn counts_say_how_many_follow() {
        const FORM: Form = &[
            Part::Count("n"),
            Part::Count("each"),
            Part::Each("items", "", Some("n"), &[Part::Many(word("words", Kind::Text, ""), "each")]),
        ];
        let told = |text| told(FORM, text);
        let two =
            r#"[("items", List([Record([("words", List([("a")]))]), Record([("words", List([("b")]))])]))]"#;
        assert_eq!(told("2 1 a b").unwrap(), two);
        for wrong in ["2 1 a", "2 1 a b c", "99999999999 1 a", "1 0"] {
            assert_eq!(told(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn features_stand_in_any_order_and_others_are_kept() {
        const FORM: Form = &[Part::Features(&[
            flag("on", ""),
            Feature { word: "size:", means: "", form: &[one("size", Kind::Number, "")] },
            Feature {
                word: "pair",
                means: "",
                form: &[one("a", Kind::Number, ""), one("b", Kind::Text, "")],
            },
        ])];
        let told = |text| told(FORM, text);
        assert_eq!(told("size:8 on").unwrap(), r#"[("size", Number(8)), ("on", Flag(true))]"#);
        assert_eq!(told("new").unwrap(), r#"[("on", Flag(false)), ("other", List([("new")]))]"#);
        assert_eq!(
            told("pair 1 x").unwrap(),
            r#"[("pair", Record([("a", Number(1)), ("b", ("x"))])), ("on", Flag(false))]"#
        );
        assert_eq!(told("size:x"), None);
    }

    #[test]
    fn the_first_form_that_reads_all_is_taken() {
        const FORM: Form = &[Part::Either(&[
            &[Part::Ratio(word("part", Kind::Sectors, ""), word("whole", Kind::Number, ""))],
            &[Part::Rest("state", "")],
        ])];
        assert_eq!(told(FORM, "1/2").unwrap(), r#"[("part", Number(512)), ("whole", Number(2))]"#);
        assert_eq!(told(FORM, "Merge failed").unwrap(), r#"[("state", ("Merge failed"))]"#);
        assert_eq!(told(FORM, ""), None);
    }
}
