//! The wall clock as RFC 3339 in UTC, for log lines.

use std::time::{SystemTime, UNIX_EPOCH};

pub fn now() -> String {
    rfc3339(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// `seconds` since 1970 as `2026-11-21T22:50:28Z`.
fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86400, seconds % 86400);
    // The calendar repeats every 400 years of 146097 days. Years that begin in March put the leap day last.
    let days = days + 719468;
    let (era, day) = (days / 146097, days % 146097);
    let year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn known_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951782399, "2000-02-28T23:59:59Z"),
            (951782400, "2000-02-29T00:00:00Z"),
            (951868800, "2000-03-01T00:00:00Z"),
            (1735689599, "2024-12-31T23:59:59Z"),
            (1795301428, "2026-11-21T22:50:28Z"),
            (4107542400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), expected);
        }
    }
}
