//! Regular expressions in dmsetup's dialect, which no crate speaks: `=~` and `!~` of selections.
//!
//! Bytes, `.` (no line's end), `[a-z]`, `[^a-z]`, `( )`, `|`, `*`, `+`, `?`, `^`, `$`, and `\` before any of them. A match may
//! begin anywhere. What is special elsewhere is plain here: `{2}` are three bytes and `\d` is a `d`. The ends of the text
//! are bytes of their own, which `^` and `$` are, but which `.` and `[^…]` match as well: `.a` finds `a`. And what is
//! not closed or has nothing to repeat is told in dmsetup's words.

use std::iter;

/// The bytes that stand for the begin and the end of the text.
const BEGIN: u8 = 2;
const END: u8 = 3;

/// How deep parentheses may be nested.
const MAX_DEPTH: usize = 250;

/// A set of bytes.
type Bytes = [u64; 4];

/// A regular expression, ready to be matched: in each step a text is at some of these instructions.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    /// One byte of the set, and on to the next step.
    One(Bytes),
    /// On to both of them.
    Fork(usize, usize),
    /// On to there.
    Jump(usize),
    /// It was found.
    Found,
    /// Nothing more can be found here.
    Stop,
}

/// An expression as it was read.
#[derive(Debug)]
enum Tree {
    One(Bytes),
    Found,
    Chain(Vec<Tree>),
    Either(Vec<Tree>),
    Repeat { of: Box<Tree>, none: bool, many: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    One(Bytes),
    Mark(u8),
    Found,
    End,
}

/// Reads an expression, token by token.
struct Reader<'a> {
    rest: &'a [u8],
    token: Token,
    depth: usize,
    lines: Vec<String>,
}

impl Pattern {
    /// Reads an expression.
    ///
    /// # Errors
    /// The lines that say what is wrong with it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Vec<String>> {
        // As dmsetup frames it, so that a parenthesis too many means the same.
        let framed = [b"(.*(", text, b")\0)"].concat();
        let mut reader = Reader { rest: &framed, token: Token::End, depth: 0, lines: Vec::new() };
        reader.next();
        let Some(tree) = reader.either() else {
            reader.lines.extend(["Parse error in regex", "Couldn't parse regex"].map(String::from));
            return Err(reader.lines);
        };
        let mut steps = Vec::new();
        emit(&tree, &mut steps);
        steps.push(Step::Stop);
        Ok(Self(steps))
    }

    /// Whether it is found in the text.
    pub(super) fn is_found_in(&self, text: &[u8]) -> bool {
        let mut at = vec![false; self.0.len()];
        let mut stack = vec![0];
        self.follow(&mut stack, &mut at);
        for byte in iter::once(BEGIN).chain(text.iter().copied()).chain(iter::once(END)) {
            stack.clear();
            for (place, _) in at.iter().enumerate().filter(|(_, here)| **here) {
                if matches!(&self.0[place], Step::One(set) if contains(set, byte)) {
                    stack.push(place + 1);
                }
            }
            at.fill(false);
            if self.follow(&mut stack, &mut at) {
                return true;
            }
        }
        false
    }

    /// Marks every step that is reached from those on the stack without a byte; whether it was found there.
    fn follow(&self, stack: &mut Vec<usize>, at: &mut [bool]) -> bool {
        let mut found = false;
        while let Some(place) = stack.pop() {
            if std::mem::replace(&mut at[place], true) {
                continue;
            }
            match &self.0[place] {
                Step::Fork(one, other) => stack.extend([*one, *other]),
                Step::Jump(to) => stack.push(*to),
                Step::Found => found = true,
                Step::One(_) | Step::Stop => {}
            }
        }
        found
    }
}

/// Adds the steps of an expression.
fn emit(tree: &Tree, steps: &mut Vec<Step>) {
    match tree {
        Tree::One(set) => steps.push(Step::One(*set)),
        Tree::Found => steps.extend([Step::Found, Step::Stop]),
        Tree::Chain(parts) => parts.iter().for_each(|part| emit(part, steps)),
        Tree::Either(parts) => {
            let mut jumps = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                let fork = steps.len();
                if index + 1 < parts.len() {
                    steps.push(Step::Stop);
                }
                emit(part, steps);
                if index + 1 < parts.len() {
                    jumps.push(steps.len());
                    steps.push(Step::Stop);
                    steps[fork] = Step::Fork(fork + 1, steps.len());
                }
            }
            let end = steps.len();
            jumps.into_iter().for_each(|jump| steps[jump] = Step::Jump(end));
        }
        Tree::Repeat { of, none, many } => {
            let fork = steps.len();
            if *none {
                steps.push(Step::Stop);
            }
            let body = steps.len();
            emit(of, steps);
            if *many {
                let back = steps.len();
                steps.push(Step::Fork(body, back + 1));
            }
            if *none {
                steps[fork] = Step::Fork(body, steps.len());
            }
        }
    }
}

impl Reader<'_> {
    /// Takes the next token up. What cannot be one ends the expression.
    fn next(&mut self) {
        let Some((&byte, rest)) = self.rest.split_first() else {
            self.token = Token::End;
            return;
        };
        self.rest = rest;
        self.token = match byte {
            0 => Token::Found,
            b'(' | b')' | b'*' | b'+' | b'?' | b'|' => Token::Mark(byte),
            b'^' => Token::One(just(BEGIN)),
            b'$' => Token::One(just(END)),
            b'.' => Token::One(all_but(b"\n\r")),
            b'[' => self.set().map_or(Token::End, Token::One),
            b'\\' => match self.escaped() {
                Some(byte) => Token::One(just(byte)),
                None => {
                    self.lines.push("Badly quoted character at end of expression".into());
                    Token::End
                }
            },
            byte => Token::One(just(byte)),
        };
    }

    /// The byte behind a backslash.
    fn escaped(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            other => other,
        })
    }

    /// The bytes of a bracket, up to the one that closes it; `None` if there is none.
    fn set(&mut self) -> Option<Bytes> {
        let negative = self.rest.first() == Some(&b'^');
        self.rest = &self.rest[usize::from(negative)..];
        let mut set = if negative { all_but(b"") } else { Bytes::default() };
        let mut last = None;
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            let (from, to) = match (byte, last) {
                (b']', _) => return Some(set),
                (b'\\', _) => {
                    let byte = self.escaped()?;
                    (byte, byte)
                }
                (b'-', Some(last)) => {
                    let (&end, rest) = self.rest.split_first()?;
                    self.rest = rest;
                    (end.min(last), end.max(last))
                }
                (byte, _) => (byte, byte),
            };
            (from..=to).for_each(|byte| put(&mut set, byte, !negative));
            last = Some(to);
        }
    }

    /// Alternatives.
    fn either(&mut self) -> Option<Tree> {
        let mut parts = vec![self.chain()?];
        while self.token == Token::Mark(b'|') {
            self.next();
            match self.chain() {
                Some(part) => parts.push(part),
                None => {
                    let line = "Badly formed 'or' expression".to_owned();
                    self.lines.extend(iter::repeat_n(line, parts.len()));
                    return None;
                }
            }
        }
        if parts.len() == 1 { parts.pop() } else { Some(Tree::Either(parts)) }
    }

    /// One thing behind the other.
    fn chain(&mut self) -> Option<Tree> {
        let mut parts = vec![self.repeat()?];
        while self.token != Token::Mark(b'|') {
            match self.repeat() {
                Some(part) => parts.push(part),
                None => break,
            }
        }
        Some(Tree::Chain(parts))
    }

    /// A thing and how often it comes.
    fn repeat(&mut self) -> Option<Tree> {
        let of = self.term()?;
        let (mut none, mut many) = (false, false);
        while let Token::Mark(mark @ (b'*' | b'+' | b'?')) = self.token {
            none |= mark != b'+';
            many |= mark != b'?';
            self.next();
        }
        Some(if none || many { Tree::Repeat { of: Box::new(of), none, many } } else { of })
    }

    fn term(&mut self) -> Option<Tree> {
        match self.token {
            Token::One(set) => {
                self.next();
                Some(Tree::One(set))
            }
            Token::Found => {
                self.next();
                Some(Tree::Found)
            }
            Token::Mark(b'(') if self.depth == MAX_DEPTH => {
                self.lines
                    .push(format!("parentheses are nested deeper than {MAX_DEPTH} in regular expression"));
                self.rest = &[];
                self.token = Token::End;
                None
            }
            Token::Mark(b'(') => {
                self.depth += 1;
                self.next();
                let tree = self.either();
                self.depth -= 1;
                if self.token != Token::Mark(b')') {
                    self.lines.push("missing ')' in regular expression".into());
                    return None;
                }
                self.next();
                tree
            }
            Token::Mark(_) | Token::End => None,
        }
    }
}

fn just(byte: u8) -> Bytes {
    let mut set = Bytes::default();
    put(&mut set, byte, true);
    set
}

/// Every byte but these and NUL, which ends a text.
fn all_but(bytes: &[u8]) -> Bytes {
    let mut set = [u64::MAX; 4];
    bytes.iter().chain(b"\0").for_each(|byte| put(&mut set, *byte, false));
    set
}

fn put(set: &mut Bytes, byte: u8, is_in: bool) {
    let (word, bit) = (usize::from(byte >> 6), 1 << (byte & 63));
    set[word] = if is_in { set[word] | bit } else { set[word] & !bit };
}

fn contains(set: &Bytes, byte: u8) -> bool {
    set[usize::from(byte >> 6)] & 1 << (byte & 63) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_found_as_dmsetup_finds_them() {
        for (pattern, text, found) in [
            ("vg", "avgb", true),
            ("^vg$", "vg", true),
            ("^vg$", "avg", false),
            (".vg", "vg", true),
            ("vg.", "vg", true),
            ("[^x]vg", "vg", true),
            ("v|x", "vg", true),
            ("^(a|b)+c?$", "abba", true),
            ("^(a|b)+c?$", "abcc", false),
            ("^a*$", "", true),
            ("v{1}", "v", false),
            ("v{1}", "v{1}", true),
            ("\\d", "5", false),
            ("\\.", "a.b", true),
            ("\\.", "ab", false),
            ("[a-c]-[0-9]", "b-7", true),
            ("[c-a]x", "bx", true),
            ("[]x", "]x", false),
            ("a)b", "ab", true),
            ("a)|(b", "b", false),
            ("\u{e9}+$", "caf\u{e9}", true),
        ] {
            let pattern_read =
                Pattern::parse(pattern.as_bytes()).unwrap_or_else(|lines| panic!("{pattern}: {lines:?}"));
            assert_eq!(pattern_read.is_found_in(text.as_bytes()), found, "{pattern} in {text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_dmsetups_words() {
        for (pattern, first) in [
            ("", "missing ')' in regular expression"),
            ("*a", "missing ')' in regular expression"),
            ("a|", "Badly formed 'or' expression"),
            ("[", "missing ')' in regular expression"),
            ("(a", "missing ')' in regular expression"),
        ] {
            assert_eq!(Pattern::parse(pattern.as_bytes()).expect_err(pattern)[0], first, "{pattern}");
        }
        assert!(Pattern::parse("(".repeat(100_000).as_bytes()).is_err());
        assert!(Pattern::parse(("a".to_owned() + &"*".repeat(100_000)).as_bytes()).is_ok());
    }

    #[test]
    fn no_pattern_and_no_text_make_it_panic() {
        arbtest::arbtest(|u| {
            let (pattern, text): (Vec<u8>, Vec<u8>) = u.arbitrary()?;
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.is_found_in(&text);
            }
            Ok(())
        });
    }
}
