//! About how large something is, in one octet.

/// Four classes to each power of two; 0 for nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Size(pub u8);

impl Size {
    pub const NONE: Size = Size(0);

    /// Never nothing, however small.
    #[must_use]
    pub fn of(octets: u32) -> Size {
        let octets = octets.max(4);
        let exponent = octets.ilog2();
        let fraction = octets >> (exponent - 2) & 3;
        Size((exponent * 4 + fraction) as u8)
    }

    /// The middle of its class.
    #[must_use]
    pub fn octets(self) -> u64 {
        let (exponent, fraction) = (u32::from(self.0) / 4, u64::from(self.0) % 4);
        match exponent {
            0..=2 => 0,
            _ => (9 + 2 * fraction) << (exponent - 3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_known_within_an_eighth() {
        for octets in [8, 100, 4096, 70_000, 1 << 30, u32::MAX] {
            let about = Size::of(octets).octets() as f64;
            let ratio = about / f64::from(octets);
            assert!((0.87..1.13).contains(&ratio), "{octets} is about {about}");
        }
        assert!(Size::of(0) > Size::NONE, "live, however small");
        assert_eq!(Size::of(0).octets(), 0);
        assert!(Size(u8::MAX).octets() > 0, "whatever a file says");
    }
}
