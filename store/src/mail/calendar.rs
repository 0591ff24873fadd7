//! Days counted from 1970-01-01 ↔ dates of the Gregorian calendar, before its invention too.
//!
//! Counted in eras of 400 years that begin in March, so that the day that some years add is their
//! last (H. Hinnant, "chrono-compatible low-level date algorithms").

/// The number of a day that exists; months and days count from 1.
#[must_use]
pub const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_BEFORE_1970
}

/// Year, month and day of a day's number.
#[must_use]
pub const fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_BEFORE_1970;
    let (era, of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = (from_march + 2) % 12 + 1;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    (era * 400 + year + (month <= 2) as i64, month, day)
}

/// How many days a month has; 31 for one that does not exist.
#[must_use]
pub const fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + is_leap as i64,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The last two digits of a number, as dates are made of.
#[must_use]
pub fn two_digits(number: u64) -> [u8; 2] {
    PAIRS
        .get((number % 100) as usize)
        .copied()
        .unwrap_or_default()
}

#[expect(clippy::indexing_slicing, reason = "a bad index does not compile")]
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

const ERA_DAYS: i64 = 146_097;

/// From 1 March of year 0.
const DAYS_BEFORE_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_eras_follows_the_one_before() {
        let mut days = days_since_1970(1200, 1, 1);
        for year in 1200..2800 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(date_of(days), (year, month, day));
                    assert_eq!(days_since_1970(year, month, day), days);
                    days += 1;
                }
            }
        }
        assert_eq!([two_digits(1907), two_digits(30)], [*b"07", *b"30"]);
        assert_eq!(date_of(0), (1970, 1, 1));
        assert_eq!(days_since_1970(2000, 2, 29), 11_016);
    }
}
