//! Dates of SEARCH and the date-time of APPEND and INTERNALDATE (RFC 9051 §9, date, date-time).
//!
//! The calendar is the proleptic Gregorian one, years 0000 to 9999 as the grammar has four digits.

use store::mail::calendar::{date_of, days_in_month, days_since_1970, two_digits as pair};
use store::mail::date::InternalDate;

use super::fault::{Fault, Parse};
use super::token::Cursor;

const DAY_SECS: i64 = 86_400;
const NOT_A_DATE: Fault = Fault::Syntax("Expected a date like 1-Feb-1994");
const NOT_A_DATE_TIME: Fault =
    Fault::Syntax("Expected a date-time like \"17-Jul-1996 02:44:25 -0700\"");

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// First and last second that four digits of a year can show, in UTC.
const FIRST_SECS: i64 = days_since_1970(0, 1, 1) * DAY_SECS;
const LAST_SECS: i64 = days_since_1970(10_000, 1, 1) * DAY_SECS - 1;

/// `date`: `1-Feb-1994` with or without quotes, as days since 1970-01-01.
pub(super) fn date(cursor: &mut Cursor<'_>) -> Parse<i64> {
    let quoted = cursor.eat(b'"');
    let day = cursor.take_while(|b| b.is_ascii_digit());
    if day.is_empty() || day.len() > 2 {
        return Err(NOT_A_DATE);
    }
    let days = month_and_year(cursor, decimal(day, NOT_A_DATE)?, NOT_A_DATE)?;
    if quoted {
        cursor.want(b'"', "Expected the end of a date's quotes")?;
    }
    Ok(days)
}

/// `date-time` with its quotes.
pub(super) fn date_time(cursor: &mut Cursor<'_>) -> Parse<InternalDate> {
    cursor.want(b'"', "Expected a date-time in quotes")?;
    // date-day-fixed: a space or a digit, then a digit.
    let day_width = if cursor.eat(b' ') { 1 } else { 2 };
    let day = fixed(cursor, day_width)?;
    let days = month_and_year(cursor, day, NOT_A_DATE_TIME)?;
    separator(cursor, b' ')?;
    let hour = bounded(fixed(cursor, 2)?, 23)?;
    separator(cursor, b':')?;
    let minute = bounded(fixed(cursor, 2)?, 59)?;
    separator(cursor, b':')?;
    // A leap second is the first second of the next minute.
    let second = bounded(fixed(cursor, 2)?, 60)?;
    separator(cursor, b' ')?;
    let zone_minutes = zone(cursor)?;
    separator(cursor, b'"')?;
    // The leap second of the last minute that has a name is the second before it.
    let local = (days * DAY_SECS + hour * 3600 + minute * 60 + second).min(LAST_SECS);
    Ok(InternalDate {
        unix_secs: local - i64::from(zone_minutes) * 60,
        zone_minutes,
    })
}

/// Writes date-times. Most messages of a mailbox share their day with the one before, so the
/// digits of the last day and zone are kept.
#[derive(Default)]
pub struct DateTimes {
    /// Days since 1970-01-01 there, and minutes east.
    of: Option<(i64, i64)>,
    text: [u8; TEXT_BYTES],
}

impl DateTimes {
    /// `"17-Jul-1996 02:44:25 -0700"`, quotes included. What four digits of a year or a zone
    /// cannot show is shown as the nearest that they can.
    pub fn write(&mut self, out: &mut Vec<u8>, date: InternalDate) {
        let zone = i64::from(date.zone_minutes.clamp(-1439, 1439));
        let local = date.unix_secs.saturating_add(zone * 60);
        let local = local.clamp(FIRST_SECS, LAST_SECS);
        let days = local.div_euclid(DAY_SECS);
        if self.of != Some((days, zone)) {
            self.of = Some((days, zone));
            self.text = day_text(days, zone);
        }
        let secs = (local - days * DAY_SECS).unsigned_abs();
        let ([h0, h1], [n0, n1]) = (pair(secs / 3600), pair(secs / 60 % 60));
        let [s0, s1] = pair(secs % 60);
        if let Some(clock) = self.text.get_mut(CLOCK) {
            clock.copy_from_slice(&[h0, h1, b':', n0, n1, b':', s0, s1]);
        }
        out.extend_from_slice(&self.text);
    }
}

/// One date-time; for many see [`DateTimes`].
pub fn write_date_time(out: &mut Vec<u8>, date: InternalDate) {
    DateTimes::default().write(out, date);
}

/// A date-time with the clock left open.
fn day_text(days: i64, zone: i64) -> [u8; TEXT_BYTES] {
    let (year, month, day) = date_of(days);
    let [m0, m1, m2] = MONTHS
        .get(month as usize - 1)
        .map_or(*b"Jan", |name| **name);
    let pair = |number: i64| pair(number.unsigned_abs());
    let ([d0, d1], [y0, y1], [y2, y3]) = (pair(day), pair(year / 100), pair(year));
    let sign = if zone < 0 { b'-' } else { b'+' };
    let ([z0, z1], [z2, z3]) = (pair(zone.abs() / 60), pair(zone.abs() % 60));
    [
        b'"', d0, d1, b'-', m0, m1, m2, b'-', y0, y1, y2, y3, b' ', b'0', b'0', b':', b'0', b'0',
        b':', b'0', b'0', b' ', sign, z0, z1, z2, z3, b'"',
    ]
}

/// Octets of a date-time with its quotes, and those of hours, minutes and seconds among them.
const TEXT_BYTES: usize = 28;
const CLOCK: std::ops::Range<usize> = 13..21;

/// `-Feb-1994` behind a day, as days since 1970-01-01.
fn month_and_year(cursor: &mut Cursor<'_>, day: i64, fault: Fault) -> Parse<i64> {
    if !cursor.eat(b'-') {
        return Err(fault);
    }
    let name = cursor.take(3).ok_or(fault)?;
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(name));
    let month = month.ok_or(fault)? as i64 + 1;
    if !cursor.eat(b'-') {
        return Err(fault);
    }
    let year = decimal(cursor.take(4).ok_or(fault)?, fault)?;
    if !(1..=days_in_month(year, month)).contains(&day) {
        return Err(fault);
    }
    Ok(days_since_1970(year, month, day))
}

fn zone(cursor: &mut Cursor<'_>) -> Parse<i16> {
    let west = cursor.eat(b'-');
    if !west {
        separator(cursor, b'+')?;
    }
    let minutes = bounded(fixed(cursor, 2)?, 23)? * 60 + bounded(fixed(cursor, 2)?, 59)?;
    let minutes = i16::try_from(minutes).map_err(|_| NOT_A_DATE_TIME)?;
    Ok(if west { -minutes } else { minutes })
}

fn separator(cursor: &mut Cursor<'_>, octet: u8) -> Parse<()> {
    cursor.eat(octet).then_some(()).ok_or(NOT_A_DATE_TIME)
}

fn fixed(cursor: &mut Cursor<'_>, width: usize) -> Parse<i64> {
    decimal(cursor.take(width).ok_or(NOT_A_DATE_TIME)?, NOT_A_DATE_TIME)
}

fn bounded(number: i64, max: i64) -> Parse<i64> {
    (number <= max).then_some(number).ok_or(NOT_A_DATE_TIME)
}

/// At most four digits.
fn decimal(text: &[u8], fault: Fault) -> Parse<i64> {
    text.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Ok(number * 10 + i64::from(digit - b'0')),
        _ => Err(fault),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<InternalDate> {
        let mut cursor = Cursor::new(text.as_bytes(), false);
        date_time(&mut cursor).ok().filter(|_| cursor.is_at_end())
    }

    fn days(text: &str) -> Option<i64> {
        let mut cursor = Cursor::new(text.as_bytes(), false);
        date(&mut cursor).ok().filter(|_| cursor.is_at_end())
    }

    fn written(date: InternalDate) -> String {
        let mut out = Vec::new();
        write_date_time(&mut out, date);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn reads_and_writes_the_example_of_the_rfc() {
        let date = read("\"17-Jul-1996 02:44:25 -0700\"").unwrap();
        assert_eq!(date.unix_secs, 837_596_665);
        assert_eq!(date.zone_minutes, -420);
        assert_eq!(written(date), "\"17-Jul-1996 02:44:25 -0700\"");
        assert_eq!(
            written(InternalDate::utc(0)),
            "\"01-Jan-1970 00:00:00 +0000\""
        );
    }

    #[test]
    fn days_have_one_or_two_digits() {
        assert_eq!(days("1-Jan-1970"), Some(0));
        assert_eq!(days("01-jan-1970"), Some(0));
        assert_eq!(days("\"1-Feb-1994\""), Some(8797));
        assert_eq!(days("29-Feb-2000"), Some(11_016));
        assert_eq!(days("31-Dec-1969"), Some(-1));
        assert!(read("\" 1-Feb-1994 00:00:00 +0000\"").is_some());
        assert!(read("\"1-Feb-1994 00:00:00 +0000\"").is_none());
        let last = read("\"31-Dec-9999 23:59:60 +0000\"").unwrap();
        assert_eq!(written(last), "\"31-Dec-9999 23:59:59 +0000\"");
    }

    #[test]
    fn refuses_what_no_calendar_holds() {
        for text in [
            "29-Feb-1900",
            "31-Apr-2000",
            "0-Jan-2000",
            "32-Jan-2000",
            "1-Foo-2000",
        ] {
            assert_eq!(days(text), None, "{text}");
        }
        for text in [
            "1-Jan-20000",
            "1-Jan-200",
            "001-Jan-2000",
            "\"1-Jan-2000",
            "1/Jan/2000",
            "",
        ] {
            assert_eq!(days(text), None, "{text}");
        }
        for text in [
            "\"17-Jul-1996 24:44:25 -0700\"",
            "\"17-Jul-1996 02:60:25 -0700\"",
            "\"17-Jul-1996 02:44:61 -0700\"",
            "\"17-Jul-1996 02:44:25 0700\"",
            "\"17-Jul-1996 02:44:25 -0760\"",
            "\"17-Jul-1996 02:44:25 -2400\"",
            "\"17-Jul-1996 02:44:25\"",
            "17-Jul-1996 02:44:25 -0700",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_wild_date_is_shown_as_the_nearest_possible() {
        let wild = |unix_secs, zone_minutes| {
            written(InternalDate {
                unix_secs,
                zone_minutes,
            })
        };
        assert_eq!(wild(i64::MAX, i16::MAX), "\"31-Dec-9999 23:59:59 +2359\"");
        assert_eq!(wild(i64::MIN, i16::MIN), "\"01-Jan-0000 00:00:00 -2359\"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            unix_secs in FIRST_SECS + DAY_SECS..LAST_SECS - DAY_SECS,
            zone_minutes in -1439i16..=1439,
        ) {
            let date = InternalDate { unix_secs, zone_minutes };
            prop_assert_eq!(read(&written(date)), Some(date));
        }

        #[test]
        fn a_day_that_is_kept_changes_nothing(
            dates in proptest::collection::vec((-200_000i64..200_000, -2i16..3), 1..40),
        ) {
            let (mut dates_kept, mut together, mut alone) =
                (DateTimes::default(), Vec::new(), String::new());
            for (unix_secs, hours) in dates {
                let date = InternalDate { unix_secs, zone_minutes: hours * 60 };
                dates_kept.write(&mut together, date);
                alone.push_str(&written(date));
            }
            prop_assert_eq!(String::from_utf8(together), Ok(alone));
        }
    }
}
