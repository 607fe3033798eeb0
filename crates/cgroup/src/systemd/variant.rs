//! Values in GVariant's text format, as far as properties of units have it: numbers, truth, strings, arrays of these,
//! and a type in front (`uint64 5`, `@as []`). Structures and dictionaries are not read, as in runc.

use super::message::Value;

/// A value with nothing after it.
pub(super) fn parse(text: &str) -> Option<Value> {
    /// Each character may be a level.
    const MAX_LENGTH: usize = 4096;
    /// The bus has a limit of 32 arrays in each other.
    const MAX_SIGNATURE: usize = 32;
    let (value, rest) = value(Some(text).filter(|text| text.len() <= MAX_LENGTH)?, None)?;
    (rest.trim().is_empty() && value.signature().len() <= MAX_SIGNATURE).then_some(value)
}

/// One value, which must have the type if one is given, and what follows it.
fn value<'a>(text: &'a str, wanted: Option<&str>) -> Option<(Value, &'a str)> {
    let text = text.trim_start();
    if let Some(text) = text.strip_prefix('@') {
        let (code, rest) = text.split_at(text.find(|c: char| !c.is_ascii_alphabetic())?);
        return typed(rest, code, wanted);
    }
    if text.starts_with(['\'', '"']) {
        let (string, rest) = quoted(text)?;
        let value = match wanted.unwrap_or("s") {
            "s" => Value::String(string),
            "o" => Value::ObjectPath(string),
            "g" => Value::Signature(string),
            _ => return None,
        };
        return Some((value, rest));
    }
    if let Some(rest) = text.strip_prefix('[') {
        return array(rest, wanted);
    }
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, ',' | ']')).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let code = match word {
        "byte" => "y",
        "boolean" => "b",
        "int16" => "n",
        "uint16" => "q",
        "int32" => "i",
        "uint32" => "u",
        "int64" => "x",
        "uint64" => "t",
        "double" => "d",
        "string" => "s",
        "objectpath" => "o",
        "signature" => "g",
        _ => return Some((scalar(word, wanted)?, rest)),
    };
    typed(rest, code, wanted)
}

fn typed<'a>(rest: &'a str, code: &str, wanted: Option<&str>) -> Option<(Value, &'a str)> {
    if wanted.is_some_and(|wanted| wanted != code) {
        return None;
    }
    value(rest, Some(code))
}

fn array<'a>(mut rest: &'a str, wanted: Option<&str>) -> Option<(Value, &'a str)> {
    let mut element = match wanted {
        Some(code) => Some(code.strip_prefix('a')?.to_owned()),
        None => None,
    };
    let mut values = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix(']') {
            return Some((Value::Array(element?, values), rest));
        }
        if !values.is_empty() {
            rest = rest.strip_prefix(',')?;
        }
        let (next, after) = value(rest, element.as_deref())?;
        element.get_or_insert_with(|| next.signature());
        values.push(next);
        rest = after;
    }
}

/// A number or a truth value; without a type a number is an `int32`, as in GVariant.
fn scalar(word: &str, wanted: Option<&str>) -> Option<Value> {
    Some(match (wanted, word) {
        (None | Some("b"), "true") => Value::Bool(true),
        (None | Some("b"), "false") => Value::Bool(false),
        (Some("y"), _) => Value::Byte(u8::try_from(integer(word)?).ok()?),
        (Some("n"), _) => Value::Int16(integer(word)?.try_into().ok()?),
        (Some("q"), _) => Value::Uint16(integer(word)?.try_into().ok()?),
        (Some("i"), _) => Value::Int32(integer(word)?.try_into().ok()?),
        (Some("u"), _) => Value::Uint32(integer(word)?.try_into().ok()?),
        (Some("x"), _) => Value::Int64(integer(word)?.try_into().ok()?),
        (Some("t"), _) => Value::Uint64(integer(word)?.try_into().ok()?),
        (Some("d"), _) => Value::Double(word.parse().ok()?),
        (None, _) => match integer(word) {
            Some(number) => Value::Int32(number.try_into().ok()?),
            None if word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) => {
                Value::Double(word.parse().ok()?)
            }
            None => return None,
        },
        _ => return None,
    })
}

/// Decimal, hexadecimal after `0x`, octal after `0`.
fn integer(word: &str) -> Option<i128> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    number
        .ok()
        .filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()))
        .map(|number| sign * i128::from(number))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut characters = text.char_indices();
    let (_, quote) = characters.next()?;
    let mut string = String::new();
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Some((string, &text[at + 1..])),
            '\\' => string.push(match characters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                // Other names of control characters have no place in a unit.
                escaped @ ('\\' | '\'' | '"') => escaped,
                _ => return None,
            }),
            '\0' => return None,
            _ => string.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Value) {
        assert_eq!(parse(text), Some(expected), "{text}");
    }

    #[test]
    fn values() {
        check("15", Value::Int32(15));
        check(" uint64 10000000 ", Value::Uint64(10_000_000));
        check("int64 -5", Value::Int64(-5));
        check("byte 0x1f", Value::Byte(31));
        check("-010", Value::Int32(-8));
        check("true", Value::Bool(true));
        check("boolean false", Value::Bool(false));
        check("1.5", Value::Double(1.5));
        check("double 2", Value::Double(2.0));
        check("'inactive-or-failed'", Value::string("inactive-or-failed"));
        check(r#""it's \"so\"""#, Value::string("it's \"so\""));
        check("objectpath '/a'", Value::ObjectPath("/a".into()));
        check("['a', 'b']", Value::Array("s".into(), vec![Value::string("a"), Value::string("b")]));
        check("[uint32 1,2]", Value::Array("u".into(), vec![Value::Uint32(1), Value::Uint32(2)]));
        check("@as []", Value::Array("s".into(), Vec::new()));
        check("@at [1]", Value::Array("t".into(), vec![Value::Uint64(1)]));
        check(
            "[[1],[2]]",
            Value::Array(
                "ai".into(),
                vec![
                    Value::Array("i".into(), vec![Value::Int32(1)]),
                    Value::Array("i".into(), vec![Value::Int32(2)]),
                ],
            ),
        );
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "inactive",
            "'a",
            "'a' b",
            "[]",
            "[1,'a']",
            "[1 2]",
            "[1,]",
            "uint64 -1",
            "byte 256",
            "3000000000",
            "uint64 'a'",
            "@as [1]",
            "@t",
            "1x",
            "++1",
            "nan",
            "(1, 2)",
            "{'a': 1}",
            "<5>",
            "'\\u0000'",
            "uint64",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
