//! Sizes as people write them: `"10 GiB"`, `"50MiB"`, `4096`.
//!
//! `KB`, `MB`, `GB` and `TB` are powers of ten, `KiB`, `MiB`, `GiB` and `TiB` powers of two (IEC
//! 80000-13). A bare `K`, `M`, `G` or `T` means the power of two, as in Dovecot and Postfix. Times
//! likewise: `"90s"`, `"5m"`, `"4h"`, `"5d"`, or seconds as a bare number.

/// Octets of a written size, or nothing where it is none or does not fit 63 bits.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let octets = number.checked_mul(factor(unit.trim())?)?;
    (octets <= i64::MAX as u64).then_some(octets)
}

/// A size as people read it, exact: the largest unit that leaves no rest.
pub fn show_size(octets: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (name, shift) in units {
        let factor = 1u64 << shift;
        if octets >= factor && octets.is_multiple_of(factor) {
            return format!("{} {name}", octets / factor);
        }
    }
    format!("{octets} bytes")
}

/// Seconds of a written time, or nothing where it is none or does not fit 32 bits.
pub fn seconds(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(factor)
}

/// A time as people read it, exact: the largest unit that leaves no rest.
pub(super) fn show_seconds(secs: u32) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
    for (name, factor) in units {
        if secs >= factor && secs.is_multiple_of(factor) {
            return format!("{}{name}", secs / factor);
        }
    }
    format!("{secs}s")
}

fn factor(unit: &str) -> Option<u64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{seconds, show_seconds, show_size, size};
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!(size("10 GiB"), Some(10 << 30));
        assert_eq!(size("50MiB"), Some(50 << 20));
        assert_eq!(size("1 kb"), Some(1000));
        assert_eq!(size("7"), Some(7));
        assert_eq!(size("2 G"), Some(2 << 30));
    }

    #[test]
    fn refuses_what_is_no_size() {
        for text in [
            "",
            "GiB",
            "-1",
            "1.5 GiB",
            "10 GiBs",
            "9999999999 TiB",
            "1 G B",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn reads_times() {
        assert_eq!(seconds("5m"), Some(300));
        assert_eq!(seconds("2 d"), Some(172_800));
        assert_eq!(seconds("7"), Some(7));
        for text in ["", "m", "-1s", "1.5h", "1 y", "99999999d"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn shown_times_read_back(secs in 0u32..u32::MAX) {
            prop_assert_eq!(seconds(&show_seconds(secs)), Some(secs));
            let days = secs / 86_400 * 86_400;
            prop_assert_eq!(seconds(&show_seconds(days)), Some(days));
        }

        #[test]
        fn what_is_shown_reads_back(octets in 0u64..i64::MAX as u64) {
            prop_assert_eq!(size(&show_size(octets)), Some(octets));
            let round = octets >> 30 << 30;
            prop_assert_eq!(size(&show_size(round)), Some(round));
        }
    }
}
