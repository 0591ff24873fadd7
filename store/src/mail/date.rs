//! The INTERNALDATE of a message: an instant and the zone it was given in.

/// Seconds since 1970-01-01T00:00:00Z, with the offset from UTC in which the date is shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct InternalDate {
    pub unix_secs: i64,
    /// East of Greenwich is positive: `+0130` is 90.
    pub zone_minutes: i16,
}

impl InternalDate {
    /// An instant shown in UTC.
    #[must_use]
    pub fn utc(unix_secs: i64) -> InternalDate {
        InternalDate {
            unix_secs,
            zone_minutes: 0,
        }
    }
}
