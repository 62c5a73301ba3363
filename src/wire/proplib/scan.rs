//! Tags, texts and what stands before them: proplib's idea of XML.
//!
//! Source: `_prop_object_internalize_find_tag` and `_prop_object_internalize_decode_string` in NetBSD's
//! common/lib/libprop/prop_object.c. Knows no element's meaning.

/// Which tag may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Start,
    End,
    Either,
}

/// A tag: `<name>`, `<name/>`, `</name>`, `<name attribute="value">`.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a [u8],
    pub(super) is_end: bool,
    pub(super) is_empty: bool,
    /// Name and value; there is at most one.
    pub(super) attribute: Option<(&'a [u8], &'a [u8])>,
}

/// A place in a text.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The place, in bytes from the start.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or(&[])
    }

    /// Goes on by so many bytes.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.text.len());
    }

    /// Skips the XML declaration and the document type, whatever they say, in any number.
    pub(super) fn preamble(&mut self) -> Result<(), &'static str> {
        loop {
            self.blanks();
            if !self.rest().starts_with(b"<?xml ") && !self.rest().starts_with(b"<!DOCTYPE plist") {
                return Ok(());
            }
            self.past(b">")?;
        }
    }

    /// The next tag; comments before it are skipped, except before one that must be an end.
    pub(super) fn tag(&mut self, want: Want) -> Result<Tag<'a>, &'static str> {
        loop {
            self.blanks();
            if !self.rest().starts_with(b"<") {
                return Err(if self.rest().is_empty() {
                    "the text ends too early"
                } else {
                    "there is text where a tag must be"
                });
            }
            if !self.rest().starts_with(b"<!") {
                break;
            }
            if !self.rest().starts_with(b"<!--") || want == Want::End {
                return Err("a comment or declaration where none may be");
            }
            self.skip(4);
            self.past(b"-->")?;
        }
        self.skip(1);
        let is_end = self.rest().starts_with(b"/");
        if is_end && want == Want::Start || !is_end && want == Want::End {
            return Err(if is_end {
                "an end where a beginning must be"
            } else {
                "a beginning where an end must be"
            });
        }
        self.skip(usize::from(is_end));
        let name = self.until(|byte| is_blank(byte) || byte == b'/' || byte == b'>')?;
        let mut tag = Tag { name, is_end, is_empty: false, attribute: None };
        if self.rest().starts_with(b"/>") && !is_end {
            tag.is_empty = true;
            self.skip(1);
        } else if self.rest().first().is_some_and(|&byte| is_blank(byte)) {
            tag.attribute = Some(self.attribute()?);
        }
        if !self.rest().starts_with(b">") {
            return Err("the tag does not end as proplib wants it to");
        }
        self.skip(1);
        Ok(tag)
    }

    /// `name="value"` behind a blank.
    fn attribute(&mut self) -> Result<(&'a [u8], &'a [u8]), &'static str> {
        self.blanks();
        let name = self.until(|byte| is_blank(byte) || byte == b'=')?;
        self.skip(1);
        if !self.rest().starts_with(b"\"") {
            return Err("an attribute without a value in double quotes");
        }
        self.skip(1);
        let value = self.until(|byte| byte == b'"')?;
        self.skip(1);
        Ok((name, value))
    }

    /// The end tag of that name.
    pub(super) fn end_of(&mut self, name: &[u8]) -> Result<(), &'static str> {
        if self.tag(Want::End)?.name == name { Ok(()) } else { Err("an element ends under another name") }
    }

    /// The text up to the next tag, its five entities resolved.
    pub(super) fn text(&mut self) -> Result<Vec<u8>, &'static str> {
        const ENTITIES: [(&[u8], u8); 5] =
            [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&apos;", b'\''), (b"&quot;", b'"')];
        let mut text = Vec::new();
        loop {
            match self.rest().first() {
                None => return Err("the text ends within an element"),
                Some(b'<') => return Ok(text),
                Some(b'&') => {
                    let found = ENTITIES.iter().find(|(entity, _)| self.rest().starts_with(entity));
                    let (entity, byte) = found.ok_or("an entity that proplib does not know")?;
                    text.push(*byte);
                    self.skip(entity.len());
                }
                Some(byte) => {
                    text.push(*byte);
                    self.skip(1);
                }
            }
        }
    }

    fn blanks(&mut self) {
        self.skip(self.rest().iter().take_while(|&&byte| is_blank(byte)).count());
    }

    /// Goes behind the next of these bytes.
    fn past(&mut self, what: &[u8]) -> Result<(), &'static str> {
        let found = self.rest().windows(what.len()).position(|window| window == what);
        self.skip(found.ok_or("a comment or declaration does not end")? + what.len());
        Ok(())
    }

    /// What stands before the next byte of that kind.
    fn until(&mut self, stop: impl Fn(u8) -> bool) -> Result<&'a [u8], &'static str> {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| stop(byte)).ok_or("the text ends within a tag")?;
        self.skip(length);
        Ok(&rest[..length])
    }
}
