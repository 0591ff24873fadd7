//! What `backup` and `restore` show and read alike: how far they are, the clock, moments.

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Octets, rate and time left, on a terminal; nothing elsewhere.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Bar {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar(bar)
    }

    pub(crate) fn at(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

const TEMPLATE: &str =
    "{bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";

pub(crate) fn now_secs() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

/// Seconds since 1970 of a moment as `2026-11-22T08:30:00Z`, or with a space in its middle, or as
/// `@` and the seconds themselves.
pub(crate) fn moment(text: &str) -> anyhow::Result<i64> {
    parse(text).with_context(|| {
        format!("{text} is no moment: write 2026-11-22T08:30:00Z or 2026-11-22T09:30:00+01:00")
    })
}

fn parse(text: &str) -> anyhow::Result<i64> {
    if let Some(secs) = text.strip_prefix('@') {
        return Ok(secs.parse()?);
    }
    let (date, rest) = text.split_at_checked(10).context("too short")?;
    let rest = rest
        .strip_prefix(['T', 't', ' '])
        .context("no time of day")?;
    let (time, zone) = rest.split_at_checked(8).context("too short")?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let is_real = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !is_real {
        bail!("the calendar has no such moment");
    }
    let local = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Ok(local - zone_secs(zone)?)
}

fn zone_secs(zone: &str) -> anyhow::Result<i64> {
    if zone == "Z" || zone == "z" {
        return Ok(0);
    }
    let sign = match zone.chars().next() {
        Some('+') => 1,
        Some('-') => -1,
        _ => bail!("no zone"),
    };
    let [hours, minutes] = numbers(zone.get(1..).unwrap_or_default(), ':')?;
    if hours > 23 || minutes > 59 {
        bail!("no such zone");
    }
    Ok(sign * (hours * 3600 + minutes * 60))
}

fn numbers<const N: usize>(text: &str, between: char) -> anyhow::Result<[i64; N]> {
    let digits = |part: &str| {
        let is_number = !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    };
    let numbers: Option<Vec<i64>> = text.split(between).map(digits).collect();
    let numbers = numbers.context("not a number")?;
    numbers
        .try_into()
        .ok()
        .context("too many or too few numbers")
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March ends with the day that leap years add.
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn moments_of_the_calendar_are_read_and_others_refused() {
        for (text, secs) in [
            ("1970-01-01T00:00:00Z", 0),
            ("@1795333261", 1_795_333_261),
            ("2000-02-29 00:00:00Z", 951_782_400),
            ("2026-11-22T08:41:01+01:00", 1_795_333_261),
            ("1969-12-31T20:00:00-03:59", -60),
        ] {
            assert_eq!(moment(text).unwrap(), secs, "{text}");
            assert_eq!(store::backup::Moment(secs).to_string().len(), 20);
        }
        for text in [
            "",
            "now",
            "2026-11-22",
            "2026-11-22T08:41:01",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T08:41:01+25:00",
            "+026-11-22T08:41:01Z",
            "2026-11-22T08:41:0éZ",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
