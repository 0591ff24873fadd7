//! The Date field (RFC 5322 §3.3, obsolete forms §4.3) as an instant and as the day written.
//!
//! Day names, comments and stray white space are skipped. A two-digit year is 2000–2049 or
//! 1950–1999, a three-digit year counts from 1900 (§4.3). Obsolete zones mean what RFC 822 says,
//! military and unknown zones mean `-0000` (§4.3). A missing zone or missing seconds are zero.

use super::cursor::{Cursor, is_space};
use store::mail::calendar::{days_in_month, days_since_1970};

/// A date of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Date {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix: i64,
    /// The day as written, in days since 1970-01-01: `SENTON` and its kin ignore time and zone
    /// (RFC 9051 §6.4.4).
    pub day: i64,
}

impl Date {
    /// `None` where the value is no date, or names a day or a time that does not exist.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        let day = day(&mut cursor)?;
        let seconds = time(&mut cursor)?;
        Some(Self {
            unix: day * 86_400 + seconds - zone(&mut cursor),
            day,
        })
    }

    /// The instant that messages are sorted by (RFC 5256 §2.2): a time that does not exist is
    /// midnight in Greenwich.
    pub fn sent(value: &[u8]) -> Option<i64> {
        let mut cursor = Cursor::new(value);
        let start = day(&mut cursor)? * 86_400;
        Some(match time(&mut cursor) {
            Some(seconds) => start + seconds - zone(&mut cursor),
            None => start,
        })
    }
}

/// The day as written.
fn day(cursor: &mut Cursor<'_>) -> Option<i64> {
    let day = first_number(cursor)?;
    let month = month(word(cursor))?;
    let (digits, year) = number(cursor)?;
    days(full_year(digits, year)?, month, day)
}

/// Skips the name of the day and reads the number behind it.
fn first_number(cursor: &mut Cursor<'_>) -> Option<i64> {
    skip(cursor);
    if cursor.peek()?.is_ascii_alphabetic() {
        word(cursor);
    }
    Some(number(cursor)?.1)
}

/// Skips what may stand between two parts of a date; some mailers write `1-Jan-2001`.
fn skip(cursor: &mut Cursor<'_>) {
    loop {
        cursor.skip_cfws();
        if cursor.run(|o| matches!(o, b',' | b'-' | b'.')).is_empty() {
            return;
        }
    }
}

fn word<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    skip(cursor);
    cursor.run(|o| o.is_ascii_alphabetic())
}

/// A number of up to four digits, and how many digits it has.
fn number(cursor: &mut Cursor<'_>) -> Option<(usize, i64)> {
    skip(cursor);
    digits(cursor.run(|o| o.is_ascii_digit()))
}

fn digits(text: &[u8]) -> Option<(usize, i64)> {
    if !(1..=4).contains(&text.len()) {
        return None;
    }
    let add = |sum: i64, o: &u8| sum * 10 + i64::from(o - b'0');
    Some((text.len(), text.iter().fold(0, add)))
}

fn month(name: &[u8]) -> Option<i64> {
    let name = name.get(..3)?;
    let at = MONTHS.iter().position(|m| name.eq_ignore_ascii_case(*m))?;
    i64::try_from(at + 1).ok()
}

fn full_year(digits: usize, year: i64) -> Option<i64> {
    match digits {
        2 if year < 50 => Some(2000 + year),
        2 | 3 => Some(1900 + year),
        4 => Some(year),
        _ => None,
    }
}

/// Days since 1970-01-01 of a day that exists.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let exists = (1..=days_in_month(year, month)).contains(&day);
    exists.then(|| days_since_1970(year, month, day))
}

/// Seconds of the day: `hour ":" minute [":" second]`; 23:59:60 is a leap second.
fn time(cursor: &mut Cursor<'_>) -> Option<i64> {
    cursor.skip_cfws();
    if !cursor.peek().is_some_and(|o| o.is_ascii_digit()) {
        return Some(0);
    }
    let (_, hour) = number(cursor)?;
    let minute = behind_colon(cursor)?;
    let second = behind_colon(cursor).unwrap_or(0);
    let exists = hour < 24 && minute < 60 && second <= 60;
    exists.then_some(hour * 3600 + minute * 60 + second)
}

fn behind_colon(cursor: &mut Cursor<'_>) -> Option<i64> {
    cursor.skip_cfws();
    if !cursor.take(b':') && !cursor.take(b'.') {
        return None;
    }
    cursor.skip_cfws();
    digits(cursor.run(|o| o.is_ascii_digit())).map(|(_, n)| n)
}

/// Seconds east of Greenwich.
fn zone(cursor: &mut Cursor<'_>) -> i64 {
    cursor.skip_cfws();
    let sign = match cursor.peek() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return named_zone(cursor.run(|o| o.is_ascii_alphabetic())),
    };
    cursor.next();
    cursor.run(is_space);
    match digits(cursor.run(|o| o.is_ascii_digit())) {
        Some((4, n)) if n % 100 < 60 => sign * (n / 100 * 3600 + n % 100 * 60),
        _ => 0,
    }
}

fn named_zone(name: &[u8]) -> i64 {
    let hours = match name.to_ascii_uppercase().as_slice() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => 0,
    };
    hours * 3600
}

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(text: &str) -> Option<i64> {
        Date::parse(text.as_bytes()).map(|d| d.unix)
    }

    #[test]
    fn the_examples_of_rfc_5322_appendix_a() {
        assert_eq!(unix("Fri, 21 Nov 1997 09:55:06 -0600"), Some(880_127_706));
        assert_eq!(unix("Tue, 1 Jul 2003 10:52:37 +0200"), Some(1_057_049_557));
        assert_eq!(unix("Thu, 13 Feb 1969 23:32:54 -0330"), Some(-27_723_426));
        assert_eq!(
            unix("Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)"),
            Some(-27_723_480)
        );
        assert_eq!(unix("21 Nov 97 09:55:06 GMT"), Some(880_106_106));
        assert_eq!(
            unix("Fri, 21 Nov 1997 09(comment): 55 : 06 -0600"),
            Some(880_127_706)
        );
    }

    #[test]
    fn the_day_is_the_one_written() {
        let date = Date::parse(b"Sat, 1 Jan 2000 23:30:00 -0500").unwrap();
        assert_eq!(date.day, 10_957);
        assert_eq!(date.unix, 10_958 * 86_400 + 4 * 3600 + 1800);
    }

    #[test]
    fn obsolete_years_and_zones() {
        assert_eq!(unix("1 Jan 00 00:00 PST"), Some(946_684_800 + 8 * 3600));
        assert_eq!(unix("1 Jan 101 00:00 Z"), unix("1 Jan 2001 00:00 +0000"));
        assert_eq!(
            unix("Wednesday, 20-Dec-95 19:59"),
            unix("20 Dec 1995 19:59:00 -0000")
        );
        assert_eq!(unix("31 Dec 1998 23:59:60 +0000"), Some(915_148_800));
    }

    #[test]
    fn a_time_that_does_not_exist_is_midnight_to_a_sort() {
        let sent = |text: &str| Date::sent(text.as_bytes());
        assert_eq!(sent("31 Dec 2000 16:01:33 -0800"), Some(978_307_293));
        assert_eq!(sent("1 Jan 2000 24:00 -0500"), Some(946_684_800));
        assert_eq!(sent("1 Jan 2000 00:61"), Some(946_684_800));
        assert_eq!(sent("1 Foo 2000"), None);
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "Fri",
            "32 Jan 2000",
            "29 Feb 2001 00:00",
            "1 Foo 2000",
            "1 Jan 20000 00:00",
            "1 Jan 2000 24:00",
            "1 Jan 2000 00:61",
            "1 Jan 5 00:00",
            "99999999999 Jan 2000",
        ] {
            assert_eq!(unix(text), None, "{text}");
        }
    }
}
