//! Dictionaries by chance, for the tests of this folder.

use super::value::{Dict, Value};
use arbitrary::{Result, Unstructured};

fn any_text(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = u.int_in_range(0..=9)?;
    (0..length).map(|_| Ok(*u.choose(b"ab<>&\"' \n\t\xc3\x7f")?)).collect()
}

/// A dictionary of at most that many levels.
pub(super) fn any_dict(u: &mut Unstructured<'_>, depth: usize) -> Result<Dict> {
    let mut dict = Dict::default();
    for _ in 0..u.int_in_range(0..=4)? {
        let key = any_text(u)?;
        let value = any_value(u, depth)?;
        dict.0.insert(key.into(), value);
    }
    Ok(dict)
}

fn any_value(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let most = if depth == 0 { 4 } else { 6 };
    Ok(match u.int_in_range(0..=most)? {
        0 => Value::Bool(u.arbitrary()?),
        1 => Value::signed(u.arbitrary()?),
        2 => Value::unsigned(u.arbitrary::<u64>()?),
        3 => Value::String(any_text(u)?.into()),
        4 => Value::Data(u.arbitrary()?),
        5 => {
            let count = u.int_in_range(0..=3)?;
            Value::Array((0..count).map(|_| any_value(u, depth - 1)).collect::<Result<_>>()?)
        }
        _ => Value::Dict(any_dict(u, depth - 1)?),
    })
}
