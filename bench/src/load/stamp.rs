//! The header line by which a message is known again, and its moment and its octets with it.
//!
//! ```text
//! X-Ringpost-Bench: RRRRRRRR-NNNNNNNNNN SSSSSSSSSSSSSS OOOOOOOO CCCCCCCC CRLF
//!                   run      number     start, µs      octets and CRC32C of all behind this line
//! ```
//!
//! All of it is hexadecimal and of fixed width, so that a message differs from the next one of its
//! kind in this line only and is made by writing over it. The start is the intended one, on the
//! monotonic clock of the machine: whoever reads the message back there knows how long it took.

/// What a message says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    /// Tells one run from another in the same mailbox.
    pub(crate) run: u32,
    pub(crate) number: u64,
    pub(crate) start_micros: u64,
    /// Of everything behind the line.
    pub(crate) octets: u32,
    pub(crate) crc: u32,
}

/// The name of the header, with its colon and space.
pub(crate) const NAME: &[u8] = b"X-Ringpost-Bench: ";

/// The whole line, CRLF included.
pub(crate) const LINE_BYTES: usize =
    NAME.len() + 8 + 1 + NUMBER_DIGITS + 1 + 14 + 1 + 8 + 1 + 8 + 2;

const NUMBER_DIGITS: usize = 10;

impl Stamp {
    /// Appends the line.
    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(NAME);
        self.write_id(into);
        into.push(b' ');
        hex(into, self.start_micros, 14);
        into.push(b' ');
        hex(into, u64::from(self.octets), 8);
        into.push(b' ');
        hex(into, u64::from(self.crc), 8);
        into.extend_from_slice(b"\r\n");
    }

    /// Appends the id, as it also stands in the Message-ID.
    pub(crate) fn write_id(&self, into: &mut Vec<u8>) {
        hex(into, u64::from(self.run), 8);
        into.push(b'-');
        hex(into, self.number, NUMBER_DIGITS);
    }

    /// Finds the line in a message: the stamp and where the line begins and ends.
    pub(crate) fn find(message: &[u8]) -> Option<(Stamp, std::ops::Range<usize>)> {
        let mut from = 0;
        while let Some(at) = memchr::memmem::find(message.get(from..)?, NAME) {
            let start = from + at;
            let line = message.get(start..start + LINE_BYTES);
            let begins_a_line = start == 0 || message.get(start - 1) == Some(&b'\n');
            if let Some(stamp) = line.filter(|_| begins_a_line).and_then(Stamp::read) {
                return Some((stamp, start..start + LINE_BYTES));
            }
            from = start + NAME.len();
        }
        None
    }

    /// Reads a whole line.
    fn read(line: &[u8]) -> Option<Stamp> {
        let rest = line.strip_prefix(NAME)?.strip_suffix(b"\r\n")?;
        let (run, rest) = field(rest, 8, b'-')?;
        let (number, rest) = field(rest, NUMBER_DIGITS, b' ')?;
        let (start_micros, rest) = field(rest, 14, b' ')?;
        let (octets, rest) = field(rest, 8, b' ')?;
        Some(Stamp {
            run: run as u32,
            number,
            start_micros,
            octets: octets as u32,
            crc: digits(rest)? as u32,
        })
    }

    /// Whether `rest`, all that stands behind the line, is what was sent.
    pub(crate) fn fits(&self, rest: &[u8]) -> bool {
        rest.len() == self.octets as usize && crc32c::crc32c(rest) == self.crc
    }
}

/// How a message is named to people.
pub(crate) fn id(run: u32, number: u64) -> String {
    format!("{run:08x}-{number:010x}")
}

fn field(text: &[u8], width: usize, behind: u8) -> Option<(u64, &[u8])> {
    let (value, rest) = text.split_at_checked(width)?;
    let rest = rest.strip_prefix(&[behind])?;
    Some((digits(value)?, rest))
}

fn digits(text: &[u8]) -> Option<u64> {
    let all = text.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(text).ok().filter(|_| all)?;
    u64::from_str_radix(text, 16).ok()
}

fn hex(into: &mut Vec<u8>, value: u64, width: usize) {
    for digit in (0..width).rev() {
        let nibble = (value >> (4 * digit)) & 0xf;
        into.push(match nibble as u8 {
            low @ 0..=9 => b'0' + low,
            high => b'a' + high - 10,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        run: 0xab,
        number: 0x12_3456_789a,
        start_micros: 1_234_567_890_123,
        octets: 6,
        crc: 0,
    };

    #[test]
    fn a_stamp_is_found_again_wherever_its_line_is() {
        let mut message = b"Received: X-Ringpost-Bench: no\r\nX-Ringpost-Bench: short\r\n".to_vec();
        let start = message.len();
        STAMP.write(&mut message);
        assert_eq!(message.len() - start, LINE_BYTES);
        message.extend_from_slice(b"\r\nbody\r\n");
        let found = Stamp::find(&message).unwrap();
        assert_eq!(found, (STAMP, start..start + LINE_BYTES));
        assert!(Stamp::find(b"X-Ringpost-Bench: ").is_none());
        let id = id(STAMP.run, STAMP.number);
        assert!(String::from_utf8(message).unwrap().contains(&id));
    }

    #[test]
    fn every_changed_octet_behind_the_line_is_seen() {
        let rest = b"a\r\n\r\nb";
        let stamp = Stamp {
            crc: crc32c::crc32c(rest),
            ..STAMP
        };
        assert!(stamp.fits(rest));
        assert!(!stamp.fits(b"a\r\n\r\nc") && !stamp.fits(b"a\r\n\r\nb\n"));
    }
}
