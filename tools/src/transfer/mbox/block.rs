//! The header `X-Ringpost` of our own export: how to take the message out again octet for octet.

use crate::transfer::date::read_zone;
use std::fmt;

/// What stands in `X-Ringpost`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Block {
    /// Of the message as it was.
    pub(super) octets: u64,
    /// LF stands for LF, not for CRLF.
    pub(super) is_raw: bool,
    /// Of the INTERNALDATE.
    pub(super) zone_minutes: i16,
    /// Headers behind this one that are not of the message.
    pub(super) lines: u8,
}

impl Block {
    /// Reads the whole line; `None` where it is not ours.
    pub(super) fn read(line: &[u8]) -> Option<Block> {
        let text = std::str::from_utf8(line.strip_prefix(NAME)?)
            .ok()?
            .trim_end();
        let mut values = text
            .split(' ')
            .zip(FIELDS)
            .map(|(word, field)| word.strip_prefix(field));
        let mut value = || values.next().flatten();
        let block = Block {
            octets: value()?.parse().ok()?,
            is_raw: match value()? {
                "raw" => true,
                "crlf" => false,
                _ => return None,
            },
            zone_minutes: read_zone(value()?)?,
            lines: value()?.parse().ok()?,
        };
        (block.lines <= LINES_MAX).then_some(block)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = if self.is_raw { "raw" } else { "crlf" };
        let zone = self.zone_minutes.clamp(-1439, 1439);
        let sign = if zone < 0 { '-' } else { '+' };
        let (hours, minutes) = (zone.abs() / 60, zone.abs() % 60);
        let Block { octets, lines, .. } = self;
        write!(
            f,
            "X-Ringpost: octets={octets} ends={ends} zone={sign}{hours:02}{minutes:02} \
             lines={lines}"
        )
    }
}

const NAME: &[u8] = b"X-Ringpost: ";
const FIELDS: [&str; 4] = ["octets=", "ends=", "zone=", "lines="];

/// We write five at most.
const LINES_MAX: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_and_others_do_not() {
        for zone_minutes in [0, 90, -450] {
            let block = Block {
                octets: 77,
                is_raw: zone_minutes == 0,
                zone_minutes,
                lines: 3,
            };
            assert_eq!(Block::read(format!("{block}\n").as_bytes()), Some(block));
        }
        for line in [
            "X-Ringpost: octets=-1 ends=raw zone=+0000 lines=3\n",
            "X-Ringpost: octets=1 ends=raw zone=+0000 lines=200\n",
            "X-Ringpost: octets=1 ends=raw\n",
            "Subject: octets=1 ends=raw zone=+0000 lines=3\n",
        ] {
            assert_eq!(Block::read(line.as_bytes()), None, "{line}");
        }
    }
}
