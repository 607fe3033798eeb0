//! Values of flags that have a syntax of their own: durations, sizes, signals, users.
//!
//! The syntax is Go's and runc's, because callers write it. Pure.

use std::fmt;

/// A value that does not follow the syntax; the text names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

fn malformed<T>(what: &str, text: &str) -> Result<T, Malformed> {
    Err(Malformed(format!("{what} {text:?}")))
}

/// A Go duration such as `5s`, `1m30s` or `1.5h`, in milliseconds. A bare number is seconds, as crun's users write it.
pub fn duration_ms(text: &str) -> Result<u64, Malformed> {
    let wrong = || Malformed(format!("invalid duration {text:?}"));
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(1000).ok_or_else(wrong);
    }
    let mut rest = text;
    let mut total_ms = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit_ms = match unit {
            "ns" => 1e-6,
            "us" | "µs" | "μs" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3600e3,
            _ => return Err(wrong()),
        };
        total_ms += number.parse::<f64>().map_err(|_| wrong())? * unit_ms;
        rest = tail;
    }
    // 2^53 is where f64 stops counting: 285 thousand years.
    if text.is_empty() || total_ms > 9007199254740992.0 { Err(wrong()) } else { Ok(total_ms as u64) }
}

/// A size in bytes: a number, perhaps with a fraction, and k, m, g, t or p in powers of 1024, perhaps followed by b or
/// ib. `-1` is unlimited.
pub fn size_bytes(text: &str) -> Result<i64, Malformed> {
    if text == "-1" {
        return Ok(-1);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let mut letters = unit.chars();
    let (power, tail) = match letters.next() {
        None => (0, ""),
        Some('b') => (0, if letters.as_str().is_empty() { "" } else { "?" }),
        Some(letter) => match "kmgtp".find(letter) {
            Some(at) => (at as u32 + 1, letters.as_str()),
            None => return malformed("invalid size", text),
        },
    };
    if !matches!(tail, "" | "b" | "ib") {
        return malformed("invalid size", text);
    }
    let factor = 1024_i64.pow(power);
    if let Ok(number) = number.parse::<i64>() {
        return number.checked_mul(factor).ok_or_else(|| Malformed(format!("invalid size {text:?}")));
    }
    match number.parse::<f64>() {
        Ok(number) if number * (factor as f64) < i64::MAX as f64 => Ok((number * factor as f64) as i64),
        _ => malformed("invalid size", text),
    }
}

/// A signal by number or name, with or without SIG, in any case; real-time signals as `RTMIN+n` and `RTMAX-n`.
pub fn signal(text: &str) -> Result<i32, Malformed> {
    // Numbers are the C library's: 0 tests for existence, 32 and 33 belong to the threads library.
    let (rtmin, rtmax) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    if let Ok(number) = text.parse::<i32>() {
        return if (0..=rtmax).contains(&number) { Ok(number) } else { malformed("unknown signal", text) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |tail: &str, sign: char| match tail {
        "" => Some(0),
        tail => tail.strip_prefix(sign)?.parse::<u8>().ok().map(i32::from),
    };
    let real_time = if let Some(tail) = name.strip_prefix("RTMIN") {
        offset(tail, '+').map(|offset| rtmin + offset)
    } else if let Some(tail) = name.strip_prefix("RTMAX") {
        offset(tail, '-').map(|offset| rtmax - offset)
    } else {
        None
    };
    if let Some(number) = real_time.filter(|number| (rtmin..=rtmax).contains(number)) {
        return Ok(number);
    }
    let name = match name {
        "CLD" => "CHLD",
        "POLL" => "IO",
        "IOT" => "ABRT",
        name => name,
    };
    match format!("SIG{name}").parse::<nix::sys::signal::Signal>() {
        Ok(signal) => Ok(signal as i32),
        Err(_) => malformed("unknown signal", text),
    }
}

/// `UID[:GID]`, numbers only. Nothing is ever filled in for a part that cannot be read: the default would be root
/// (CVE-2026-30892).
pub fn user(text: &str) -> Result<(u32, Option<u32>), Malformed> {
    let (uid, gid) = match text.split_once(':') {
        Some((uid, gid)) => (uid, Some(gid)),
        None => (text, None),
    };
    match (id(uid), gid.map(id)) {
        (Ok(uid), None) => Ok((uid, None)),
        (Ok(uid), Some(Ok(gid))) => Ok((uid, Some(gid))),
        _ => Err(Malformed(format!("invalid user {text:?}: UID[:GID] in numbers is needed"))),
    }
}

/// A user or group id. The last one is the kernel's "no change".
pub fn id(text: &str) -> Result<u32, Malformed> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(number) if is_number && number != u32::MAX => Ok(number),
        _ => malformed("invalid id", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("5s", 5000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            ("3", 3000),
            ("1500us", 1),
            ("0s", 0),
        ] {
            assert_eq!(duration_ms(text), Ok(expected), "{text}");
        }
        for text in ["", "s", "5x", "-5s", "5s5", "1..2s", "99999999999999999999h"] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("32k", 32 << 10),
            ("32KB", 32 << 10),
            ("64MiB", 64 << 20),
            ("1.5g", 3 << 29),
            ("2 gb", 2 << 30),
            ("1t", 1 << 40),
            ("17b", 17),
            ("-1", -1),
        ] {
            assert_eq!(size_bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "k", "-2", "1x", "1kx", "1bb", "9223372036854775807k", "1e3", "9999999999p"] {
            assert!(size_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn signals() {
        for (text, expected) in [
            ("9", 9),
            ("0", 0),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("sigterm", 15),
            ("Hup", 1),
            ("IOT", 6),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmax-1", 63),
            ("37", 37),
        ] {
            assert_eq!(signal(text), Ok(expected), "{text}");
        }
        for text in ["FOO", "", "SIG", "65", "-1", "SIGSIGKILL", "RTMIN-1", "RTMIN+31", "9x"] {
            assert_eq!(signal(text), Err(Malformed(format!("unknown signal {text:?}"))), "{text}");
        }
    }

    #[test]
    fn users() {
        assert_eq!(user("1000"), Ok((1000, None)));
        assert_eq!(user("0:0"), Ok((0, Some(0))));
        assert_eq!(user("1000:100"), Ok((1000, Some(100))));
        for text in
            ["", ":", "root", "1000:", ":5", "1000:users", "-1", "+1", "1:2:3", " 1", "4294967295", "0x1"]
        {
            assert!(user(text).is_err(), "{text}");
        }
    }
}
