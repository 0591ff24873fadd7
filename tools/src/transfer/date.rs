//! Dates as files have them: asctime in the From_ lines of an mbox, date-time in tables.

use engine::wire::imap::date::write_date_time;
use engine::wire::mime::date::Date;
use store::mail::date::InternalDate;

/// `Sat Jan  3 01:05:34 1996` in UTC (RFC 4155 §2).
pub(crate) fn asctime(unix_secs: i64) -> String {
    let text = date_time(InternalDate::utc(unix_secs));
    let mut parts = text.split([' ', '-']);
    let mut part = || parts.next().unwrap_or_default();
    let (day, month, year, time) = (part(), part(), part(), part());
    let weekday = unix_secs.div_euclid(86_400).rem_euclid(7) as usize;
    let weekday = WEEKDAYS.get(weekday).copied().unwrap_or_default();
    let day = day.trim_start_matches('0');
    format!("{weekday} {month} {day:>2} {time} {year}")
}

/// `17-Jul-1996 02:44:25 -0700`.
pub(crate) fn date_time(date: InternalDate) -> String {
    let mut out = Vec::new();
    write_date_time(&mut out, date);
    String::from_utf8_lossy(&out).trim_matches('"').to_owned()
}

/// Reads what [`date_time`] writes.
pub(crate) fn read_date_time(text: &str) -> Option<InternalDate> {
    let zone = text.rsplit_once(' ')?.1;
    Some(InternalDate {
        unix_secs: Date::parse(text.as_bytes())?.unix,
        zone_minutes: read_zone(zone)?,
    })
}

/// `-0700` in minutes.
pub(crate) fn read_zone(zone: &str) -> Option<i16> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let number: i16 = digits.parse().ok().filter(|_| digits.len() == 4)?;
    (number % 100 < 60).then_some(sign * (number / 100 * 60 + number % 100))
}

/// The sender and the date of a From_ line; `None` where it has no date, and so is none.
///
/// The date is that of asctime, with or without seconds, weekday first; a zone may stand before or
/// behind the year.
pub(crate) fn read_from_line(line: &[u8]) -> Option<i64> {
    let text = String::from_utf8_lossy(line.strip_prefix(b"From ")?);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.windows(5).enumerate().find_map(|(at, window)| {
        let [weekday, month, day, time, year] = window else {
            return None;
        };
        let is_date = is_one_of(weekday, &WEEKDAYS) && time.contains(':');
        if !is_date || !day.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let behind = words.get(at + 5).copied();
        let (year, zone) = match is_year(year) {
            true => (*year, behind),
            false => (behind.filter(|word| is_year(word))?, Some(*year)),
        };
        let zone = zone.unwrap_or("+0000");
        let date = Date::parse(format!("{day} {month} {year} {time} {zone}").as_bytes());
        date.map(|date| date.unix)
    })
}

fn is_one_of(word: &str, names: &[&str]) -> bool {
    names.iter().any(|name| word.eq_ignore_ascii_case(name))
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit())
}

/// The first day of 1970 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_back() {
        for secs in [0, 820_631_134, 1_700_000_000, 951_782_400, 4_102_444_799] {
            let line = format!("From a@b {}\n", asctime(secs));
            assert_eq!(read_from_line(line.as_bytes()), Some(secs), "{line}");
            let date = InternalDate {
                unix_secs: secs,
                zone_minutes: -450,
            };
            assert_eq!(read_date_time(&date_time(date)), Some(date));
        }
        assert_eq!(asctime(0), "Thu Jan  1 00:00:00 1970");
    }

    #[test]
    fn from_lines_of_others() {
        let read = |line: &str| read_from_line(line.as_bytes());
        let noon = Some(951_825_600);
        assert_eq!(read("From - Tue Feb 29 12:00:00 2000"), noon);
        assert_eq!(read("From a b@c Tue Feb 29 12:00 2000"), noon);
        assert_eq!(read("From a Tue Feb 29 13:00:00 +0100 2000"), noon);
        assert_eq!(read("From a Tue Feb 29 07:00:00 2000 -0500"), noon);
        assert_eq!(read("From a Tue Feb 29 07:00:00 EST 2000"), noon);
        assert_eq!(read("From the beginning it was so"), None);
        assert_eq!(read("From a Tue Feb 30 12:00:00 2000"), None);
        assert_eq!(read("From"), None);
    }
}
