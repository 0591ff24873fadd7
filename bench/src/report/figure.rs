//! Numbers as people read them: thousands apart, three digits that matter, a unit behind.

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut told = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

/// Three digits that matter: `0.0960`, `4.71`, `24.5`, `10,143`.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "–".to_string(),
        size if size >= 100.0 => count(value.round() as u64),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        0.0 => "0".to_string(),
        _ => format!("{value:.4}"),
    }
}

/// `850 µs`, `4.10 ms`, `1.20 s`, `2.0 min`.
pub(super) fn micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", number(micros as f64 / 1e3)),
        1_000_000..120_000_000 => format!("{} s", number(micros as f64 / 1e6)),
        _ => format!("{:.1} min", micros as f64 / 60e6),
    }
}

/// `512 B`, `4.10 KB`, `61.0 MB`: powers of a thousand.
pub(super) fn bytes(bytes: f64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{} {}", number(value), units.get(unit).unwrap_or(&""))
}

/// A ratio, so that the bigger number is said: `24.5 ×` or `1/50`.
pub(super) fn ratio(value: f64) -> String {
    match value {
        v if !v.is_finite() || v <= 0.0 => "–".to_string(),
        v if v < 0.5 => format!("1/{}", number(1.0 / v)),
        v => format!("{} ×", number(v)),
    }
}

/// UTC, to the second: `2026-11-22 10:39:07`.
pub(super) fn moment(secs: i64) -> String {
    let (days, second) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Days since 1970 as year, month, day; by eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_with_what_matters() {
        let told: Vec<String> = [
            0.0,
            0.04,
            0.096,
            0.96,
            4.714,
            24.49,
            407.4,
            10_143.2,
            f64::NAN,
        ]
        .map(number)
        .to_vec();
        let expected = [
            "0", "0.0400", "0.0960", "0.960", "4.71", "24.5", "407", "10,143", "–",
        ];
        assert_eq!(told, expected);
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn units_follow_the_size() {
        assert_eq!(
            [0, 850, 4_100, 1_200_000].map(micros),
            ["0 µs", "850 µs", "4.10 ms", "1.20 s"]
        );
        assert_eq!(micros(240_000_000), "4.0 min");
        assert_eq!(
            [512.0, 4_100.0, 6.1e7].map(bytes),
            ["512 B", "4.10 KB", "61.0 MB"]
        );
        assert_eq!(
            [24.5, 0.02, 0.9, 0.0].map(ratio),
            ["24.5 ×", "1/50.0", "0.900 ×", "–"]
        );
    }

    #[test]
    fn moments_are_utc() {
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(moment(-1), "1969-12-31 23:59:59");
        assert_eq!(moment(1_795_344_000), "2026-11-22 10:40:00");
    }
}
