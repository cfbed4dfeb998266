//! JSON into the author's types. It does not know what the text is.

use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

/// Why a text is not of a type, and where.
pub(crate) type Mismatch = serde_path_to_error::Error<serde_json::Error>;

/// The largest whole number that every reader of JSON keeps: 2^53 - 1.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// Reads a value. To JSON `7.0` is the integer 7, and languages with one kind of number write it so;
/// serde takes it for a fraction. So what does not fit is read once more with whole numbers as such.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Mismatch> {
    let first = match once(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match with_whole_numbers(text) {
        Some(text) => once(text.as_bytes()),
        None => Err(first),
    }
}

fn once<T: DeserializeOwned>(text: &[u8]) -> Result<T, Mismatch> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    serde_path_to_error::deserialize(&mut reader)
}

/// The same text with whole numbers as such; none where that changes nothing, or it is no JSON.
fn with_whole_numbers(text: &[u8]) -> Option<String> {
    let mut value = serde_json::from_slice(text).ok()?;
    rewrite(&mut value).then(|| value.to_string())
}

fn rewrite(value: &mut Value) -> bool {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= SAFE => {
                #[allow(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
                let integer = float as i64;
                *number = Number::from(integer);
                true
            }
            _ => false,
        },
        // Each of them: none may be left out once one has changed.
        Value::Array(all) => all.iter_mut().fold(false, |any, one| rewrite(one) | any),
        Value::Object(all) => all.values_mut().fold(false, |any, one| rewrite(one) | any),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Order {
        count: u32,
        price: f64,
        parts: Vec<i8>,
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        for count in ["7", "7.0", "7e0"] {
            let text = format!(r#"{{"count":{count},"price":2.0,"parts":[-1.0,2]}}"#);
            let order = Order {
                count: 7,
                price: 2.0,
                parts: vec![-1, 2],
            };
            assert_eq!(read::<Order>(text.as_bytes()).ok(), Some(order), "{count}");
        }
        for count in ["7.5", "-7.0", "1e300", "\"7\"", "9007199254740992.0"] {
            let text = format!(r#"{{"count":{count},"price":2,"parts":[]}}"#);
            let error = read::<Order>(text.as_bytes()).map_err(|error| error.path().to_string());
            assert_eq!(error, Err("count".to_owned()), "{count}");
        }
        assert_eq!(read::<u64>(b"9007199254740991.0").ok(), Some((1 << 53) - 1));
        assert!(read::<u64>(b"9007199254740992.0").is_err());
    }
}
