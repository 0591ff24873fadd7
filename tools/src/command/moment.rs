//! Moments as an operator writes them.

use anyhow::{Context, bail};
use store::mail::calendar::{days_in_month, days_since_1970};

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
        && (1..=days_in_month(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !is_real {
        bail!("the calendar has no such moment");
    }
    let local = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
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
