//! A moment in text as SMTP has it: `2026-11-22T04:00:00Z` (RFC 3339 §5.6, by RFC 4865 §4).

use store::mail::calendar::{date_of, days_in_month, days_since_1970};

/// Seconds since 1970; `None`: that is no moment. A leap second is the second before it, fractions
/// are cut off.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, zone) = rest.split_at_checked(9)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let time = time.strip_prefix(['T', 't'])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_day = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    let is_time = hour < 24 && minute < 60 && second <= 60;
    let local =
        days_since_1970(year, month, day) * DAY_SECS + hour * 3_600 + minute * 60 + second.min(59);
    (is_day && is_time).then_some(local - offset(without_fraction(zone)?)?)
}

/// The moment in UTC.
#[must_use]
pub fn show(unix_secs: i64) -> String {
    let secs = unix_secs.clamp(0, SECS_MAX);
    let (year, month, day) = date_of(secs / DAY_SECS);
    let (hour, minute, second) = (secs / 3_600 % 24, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn without_fraction(zone: &str) -> Option<&str> {
    let Some(digits) = zone.strip_prefix('.') else {
        return Some(zone);
    };
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < digits.len()).then_some(rest)
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let (sign, time) = zone.split_at_checked(1)?;
    let [hours, minutes] = numbers(time, ':', [2, 2])?;
    let secs = hours * 3_600 + minutes * 60;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        "+" => Some(secs),
        "-" => Some(-secs),
        _ => None,
    }
}

/// Numbers of exactly so many digits.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut words = text.split(between);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let word = words.next()?;
        let is_number = word.len() == digits && word.bytes().all(|b| b.is_ascii_digit());
        *number = is_number.then(|| word.parse().ok())??;
    }
    words.next().is_none().then_some(numbers)
}

const DAY_SECS: i64 = 86_400;

/// The last second of the year 9999.
const SECS_MAX: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_read() {
        for (text, secs) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-22T04:00:00Z", 1_795_320_000),
            ("2026-11-22t05:30:00.125+01:30", 1_795_320_000),
            ("2026-11-21T23:00:00-05:00", 1_795_320_000),
            ("2016-12-31T23:59:60Z", 1_483_228_799),
        ] {
            assert_eq!(parse(text), Some(secs), "{text}");
        }
        for text in [
            "",
            "2026-11-22",
            "2026-11-22 04:00:00Z",
            "2026-11-22T04:00:00",
            "2026-13-22T04:00:00Z",
            "2026-02-29T04:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T04:00:00.Z",
            "2026-11-22T04:00:00Zx",
            "2026-11-22T04:00:00+24:00",
            "+026-11-22T04:00:00Z",
            "\u{661}026-11-22T04:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read(secs in 0..=SECS_MAX) {
            prop_assert_eq!(parse(&show(secs)), Some(secs));
        }

        #[test]
        fn nothing_breaks_it(text in ".{0,40}") {
            _ = parse(&text);
        }
    }
}
