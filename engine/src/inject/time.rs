//! Moments and spans in requests: RFC 3339 or seconds since 1970; seconds or words such as `4h`.

use store::mail::calendar::days_since_1970;

/// Seconds since 1970 of `2026-12-01T08:00:00Z`, with fractions ignored and any offset.
pub(super) fn moment(text: &str) -> Option<i64> {
    if !text.is_empty() && text.len() <= 11 && text.bytes().all(|octet| octet.is_ascii_digit()) {
        return text.parse().ok();
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        let is_number = digits.bytes().all(|octet| octet.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten()
    };
    let sign = |at: usize, signs: &[u8]| text.as_bytes().get(at).is_some_and(|o| signs.contains(o));
    let has_signs =
        sign(4, b"-") && sign(7, b"-") && sign(10, b"Tt ") && sign(13, b":") && sign(16, b":");
    if !has_signs {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_real = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_real || hour > 23 || minute > 59 || second > 60 || year < 1970 {
        return None;
    }
    let rest = text.get(19..)?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let local = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(local - offset(zone)?)
}

/// Seconds east of UTC of `Z` or `+05:30`.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':')?;
    let is_pair = |text: &str| text.len() == 2 && text.bytes().all(|o| o.is_ascii_digit());
    if !is_pair(hours) || !is_pair(minutes) {
        return None;
    }
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Seconds of `4h`, `90s` or a bare number.
pub(super) fn span(text: &str) -> Option<u32> {
    crate::config::seconds(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_moments() {
        for (text, secs) in [
            ("2026-11-22T04:00:00Z", 1_795_320_000),
            ("2026-11-22t04:00:00.123+00:00", 1_795_320_000),
            ("2026-11-22T09:30:00+05:30", 1_795_320_000),
            ("1795320000", 1_795_320_000),
            ("1970-01-01 00:00:00-00:00", 0),
        ] {
            assert_eq!(moment(text), Some(secs), "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "2026-13-01T00:00:00Z",
            "2026-11-22T04:00:00",
            "2026-11-22",
            "2026-11-22T24:00:00Z",
            "2026-11-22T04:00:00+0530",
            "2026-11-22T04:00:00Zx",
            "99999999999999",
            "2026-11-22T04:00:0\u{e9}Z",
            "1969-01-01T00:00:00Z",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
