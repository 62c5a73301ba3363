//! Colours: few, each for one meaning.

use owo_colors::{OwoColorize, Style};

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Plain text.
    Plain,
    /// ANSI's eight colours, which every terminal's owner has chosen to be legible.
    Coloured,
}

/// What a text means, which gives its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// As any other.
    Plain,
    /// A heading.
    Head,
    /// A device's name.
    Name,
    /// A target type.
    Target,
    /// Of less weight.
    Faint,
    /// As it should be.
    Good,
    /// To be noticed.
    Warning,
    /// Wrong.
    Bad,
    /// What to do.
    Hint,
}

impl Paint {
    /// The text in that colour.
    pub fn on(self, ink: Ink, text: &str) -> String {
        let style = match (self, ink) {
            (Self::Plain, _) | (_, Ink::Plain) => return text.to_owned(),
            (Self::Coloured, Ink::Head) => Style::new().underline(),
            (Self::Coloured, Ink::Name) => Style::new().bold(),
            (Self::Coloured, Ink::Target) => Style::new().cyan(),
            (Self::Coloured, Ink::Faint) => Style::new().dimmed(),
            (Self::Coloured, Ink::Good) => Style::new().green(),
            (Self::Coloured, Ink::Warning) => Style::new().yellow(),
            (Self::Coloured, Ink::Bad) => Style::new().red().bold(),
            (Self::Coloured, Ink::Hint) => Style::new().cyan(),
        };
        if text.is_empty() { String::new() } else { text.style(style).to_string() }
    }

    /// The lines of a failure, as they go to standard error: who speaks, the caret under a fault, what to do.
    pub fn failure(self, lines: &str) -> String {
        if self == Self::Plain {
            return lines.to_owned();
        }
        let painted: Vec<String> = lines.split('\n').map(|line| self.failure_line(line)).collect();
        painted.join("\n")
    }

    fn failure_line(self, line: &str) -> String {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        if !text.is_empty() && text.bytes().all(|byte| byte == b'^') {
            return format!("{indent}{}", self.on(Ink::Bad, text));
        }
        if let Some(hint) = line.strip_prefix("  hint: ") {
            return format!("  {} {hint}", self.on(Ink::Hint, "hint:"));
        }
        if let Some(rest) = line.strip_prefix("rdmsetup: ") {
            return format!("{} {rest}", self.on(Ink::Bad, "rdmsetup:"));
        }
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_its_caret_and_its_hint_painted_and_nothing_else_changed() {
        let lines = "rdmsetup: table of vol0, line 1, column 5: no\n  0 8x zero\n    ^^\n  hint: as in 8";
        let painted = Paint::Coloured.failure(lines);
        assert_eq!(Paint::Plain.failure(lines), lines);
        assert!(painted.contains("\n    \x1b[31;1m^^\x1b[0m\n"), "{painted:?}");
        assert!(painted.contains("  \x1b[36mhint:\x1b[0m as in 8"), "{painted:?}");
        let plain: String =
            painted.split('\x1b').map(|part| part.split_once('m').map_or(part, |(_, rest)| rest)).collect();
        assert_eq!(plain, lines);
    }
}
