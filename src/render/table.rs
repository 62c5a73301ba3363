//! A line of a table or of its status, with keys hidden.

use crate::dm::StatusLine;

/// Whether encryption keys in a table are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// As they are.
    Shown,
    /// Each of their digits as `0`.
    Hidden,
}

/// `START LENGTH TARGET PARAMS`; without parameters the blank before them stays.
pub fn line(line: &StatusLine, keys: Keys) -> Vec<u8> {
    let mut text = format!("{} {} ", line.start, line.length).into_bytes();
    text.extend_from_slice(&line.target);
    text.push(b' ');
    let from = text.len();
    text.extend_from_slice(&line.params);
    if keys == Keys::Hidden {
        hide_keys(&line.target, &mut text[from..]);
    }
    text.push(b'\n');
    text
}

/// Overwrites the keys in the parameters of the targets that are known to have them there.
pub fn hide_keys(target: &[u8], params: &mut [u8]) {
    match target {
        // CIPHER KEY IV-OFFSET …; `:SIZE:TYPE:NAME` only names a key of the kernel's keyring.
        b"crypt" => {
            let key = params.iter().position(|&byte| byte == b' ').map_or(params.len(), |at| at + 1);
            if params.get(key) != Some(&b':') {
                zero_word(&mut params[key..]);
            }
        }
        // … internal_hash:ALGORITHM[:KEY] …
        b"integrity" => {
            for option in [&b"internal_hash:"[..], b"journal_crypt:", b"journal_mac:"] {
                let found = params.windows(option.len()).position(|window| window == option);
                let Some(algorithm) = found.map(|at| at + option.len()) else { continue };
                let end = params[algorithm..].iter().position(|byte| b" :".contains(byte));
                let Some(end) = end.map(|length| algorithm + length) else { continue };
                if params[end] == b':' {
                    zero_word(&mut params[end + 1..]);
                }
            }
        }
        _ => {}
    }
}

fn zero_word(text: &mut [u8]) {
    text.iter_mut().take_while(|byte| **byte != b' ').for_each(|byte| *byte = b'0');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::Sectors;

    fn shown(target: &str, params: &str, keys: Keys) -> String {
        let status = StatusLine {
            start: Sectors(0),
            length: Sectors(8),
            target: target.into(),
            status: 0,
            params: params.into(),
        };
        String::from_utf8(line(&status, keys)).unwrap()
    }

    #[test]
    fn a_line_without_parameters_ends_in_a_blank() {
        assert_eq!(shown("error", "", Keys::Hidden), "0 8 error \n");
        assert_eq!(shown("linear", "7:0 384", Keys::Hidden), "0 8 linear 7:0 384\n");
    }

    #[test]
    fn keys_are_hidden_where_dmsetup_hides_them() {
        let crypt = "aes-xts-plain64 0123456789abcdef 0 7:0 0";
        assert_eq!(
            shown("crypt", crypt, Keys::Hidden),
            "0 8 crypt aes-xts-plain64 0000000000000000 0 7:0 0\n"
        );
        assert_eq!(shown("crypt", crypt, Keys::Shown), format!("0 8 crypt {crypt}\n"));
        let reference = "aes-xts-plain64 :32:logon:k 0 7:0 0";
        assert_eq!(shown("crypt", reference, Keys::Hidden), format!("0 8 crypt {reference}\n"));
        assert_eq!(shown("crypt", "aes", Keys::Hidden), "0 8 crypt aes\n");

        let integrity = "7:0 0 - J 2 internal_hash:hmac(sha256):1234 journal_mac:crc32 x:1";
        let hidden = "0 8 integrity 7:0 0 - J 2 internal_hash:hmac(sha256):0000 journal_mac:crc32 x:1\n";
        assert_eq!(shown("integrity", integrity, Keys::Hidden), hidden);
        assert_eq!(shown("linear", "internal_hash:a:12", Keys::Hidden), "0 8 linear internal_hash:a:12\n");
    }
}
