//! How large messages are: one size, or a mix that somebody measured.

use std::fmt;
use std::str::FromStr;

/// Sizes of whole messages in octets.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Sizes {
    One(u64),
    /// Measured on a public list: share of messages below each size.
    Classic,
    /// A vendor's table of what an office sends.
    Office,
    /// Real messages, one a file, in a folder.
    Folder(std::path::PathBuf),
}

/// Share of all messages up to this size, in octets, in ten-thousandths; within a row sizes are
/// spread evenly on a logarithmic scale.
const CLASSIC: [(u64, u64); 12] = [
    (2_350, 2 << 10),
    (4_920, 4 << 10),
    (6_760, 8 << 10),
    (7_960, 16 << 10),
    (8_540, 32 << 10),
    (9_050, 64 << 10),
    (9_330, 128 << 10),
    (9_570, 256 << 10),
    (9_720, 512 << 10),
    (9_850, 1 << 20),
    (9_996, 2 << 20),
    (10_000, 4 << 20),
];

/// The smallest of [`CLASSIC`].
const CLASSIC_FLOOR: u64 = 900;

/// Share up to this row, in ten-thousandths, and the size of its messages; attachments as they
/// travel, in base64.
const OFFICE: [(u64, u64); 6] = [
    (1_000, 500),
    (4_000, 10 << 10),
    (8_000, 50 << 10),
    (9_000, (50 << 10) + (50 << 10) * 137 / 100),
    (9_950, 150 << 10),
    (10_000, (1 << 10) + (10 << 20) * 137 / 100),
];

/// Shares are told in these.
const WHOLE: u64 = 10_000;

/// Nothing smaller holds the headers that every message has.
pub(crate) const SIZE_MIN: u64 = 400;

/// What fits into memory many times.
pub(crate) const SIZE_MAX: u64 = 64 << 20;

impl Sizes {
    /// The size at `share` of 0 ‥ 9,999 of the distribution, from the smallest to the largest.
    pub(crate) fn at(&self, share: u64) -> u64 {
        match self {
            Sizes::One(size) => *size,
            Sizes::Classic => classic(share),
            Sizes::Office => {
                let row = OFFICE.iter().find(|(up_to, _)| share < *up_to);
                row.map_or(SIZE_MIN, |(_, size)| *size)
            }
            Sizes::Folder(_) => SIZE_MIN,
        }
    }

    /// How many different messages show the distribution.
    pub(crate) fn deck_size(&self) -> u64 {
        match self {
            Sizes::One(size) => ((256 << 10) / size).clamp(1, 16),
            Sizes::Classic => 1_000,
            // Few enough for memory: one in 200 has 14 MB.
            Sizes::Office => 200,
            Sizes::Folder(_) => 0,
        }
    }

    /// The size of each message of a deck that shows the distribution.
    pub(crate) fn deck(&self) -> impl Iterator<Item = u64> {
        let cards = self.deck_size();
        (0..cards).map(move |card| self.at((2 * card + 1) * WHOLE / (2 * cards)))
    }
}

fn classic(share: u64) -> u64 {
    let (mut below, mut from) = (0, CLASSIC_FLOOR);
    for (up_to, size) in CLASSIC {
        if share < up_to {
            let way = (share - below) as f64 / (up_to - below) as f64;
            return (from as f64 * (size as f64 / from as f64).powf(way)) as u64;
        }
        (below, from) = (up_to, size);
    }
    from
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sizes::One(size) if size % 1024 == 0 => write!(f, "{}k", size / 1024),
            Sizes::One(size) => write!(f, "{size}"),
            Sizes::Classic => f.write_str("classic"),
            Sizes::Office => f.write_str("office"),
            Sizes::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Sizes, String> {
        match text {
            "classic" => return Ok(Sizes::Classic),
            "office" => return Ok(Sizes::Office),
            _ => {}
        }
        if !text.starts_with(|first: char| first.is_ascii_digit()) {
            let folder = std::path::Path::new(text);
            return match folder.is_dir() {
                true => Ok(Sizes::Folder(folder.to_owned())),
                false => Err(format!(
                    "`{text}` is no size (1k, 4k, 5000), no mix (classic, office) and no folder"
                )),
            };
        }
        let (digits, unit) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1 << 10),
            None => match text.strip_suffix(['m', 'M']) {
                Some(digits) => (digits, 1 << 20),
                None => (text, 1),
            },
        };
        let size = digits.parse::<u64>().ok();
        let size = size.and_then(|size| size.checked_mul(unit));
        match size {
            Some(size) if (SIZE_MIN..=SIZE_MAX).contains(&size) => Ok(Sizes::One(size)),
            _ => Err(format!(
                "a message has {SIZE_MIN} octets to {} MiB, headers included",
                SIZE_MAX >> 20
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, size) in [("1k", 1024), ("4K", 4096), ("1m", 1 << 20), ("5000", 5000)] {
            assert_eq!(text.parse(), Ok(Sizes::One(size)), "{text}");
        }
        assert_eq!("classic".parse(), Ok(Sizes::Classic));
        for wrong in ["", "10", "1g", "99999m", "nowhere/at/all", "k"] {
            assert!(wrong.parse::<Sizes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_classic_deck_has_the_measured_shares() {
        let deck: Vec<u64> = Sizes::Classic.deck().collect();
        let below = |size: u64| deck.iter().filter(|card| **card < size).count() as f64 / 10.0;
        for (up_to, percent) in [
            (2 << 10, 23.5),
            (4 << 10, 49.2),
            (8 << 10, 67.6),
            (64 << 10, 90.5),
            (1 << 20, 98.5),
        ] {
            assert!((below(up_to) - percent).abs() <= 0.2, "{up_to}");
        }
        assert!(deck.iter().all(|card| (900..=4 << 20).contains(card)));
        let mean = deck.iter().sum::<u64>() / deck.len() as u64;
        assert!((40_000..66_000).contains(&mean), "{mean}");
    }

    #[test]
    fn the_office_deck_has_one_large_attachment_in_two_hundred() {
        let deck: Vec<u64> = Sizes::Office.deck().collect();
        assert_eq!(deck.iter().filter(|card| **card > 10 << 20).count(), 1);
        assert_eq!(deck.iter().filter(|card| **card == 500).count(), 20);
        assert_eq!(deck.iter().filter(|card| **card == 50 << 10).count(), 80);
    }
}
