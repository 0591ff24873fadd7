//! The header by which a proxy says whose connection it passes on: PROXY protocol, version 1 and 2
//! (HAProxy's `proxy-protocol.txt`).
//!
//! The header stands before everything else, TLS too, and what follows it must not be read with it.
//! So [`read`] says how many octets are certainly still part of it, and the caller reads no more
//! than those at a time: a version 2 header takes three reads, one of version 1 some more.
//!
//! What a proxy knows of the client beside its address (ALPN, SSL, AUTHORITY, NETNS) is passed
//! over: nothing here depends on it. CRC32C is checked where it is said, UNIQUE_ID goes to the log.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Octets of a header, TLVs included. The addresses need 52 (version 2) or 107 (version 1).
pub const HEADER_BYTES_MAX: usize = 4 << 10;

/// What a header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The client; `None`: the proxy itself (LOCAL, a health check) or nobody it can name.
    pub client: Option<SocketAddr>,
    /// What the proxy calls the connection, in hexadecimal digits or as it is printable.
    pub unique_id: Option<String>,
}

/// How far a header is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// So many octets, at least one, are still to come for certain.
    Needs(usize),
    Whole(Header),
}

/// It is no header, or a broken one: why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken(pub &'static str);

/// Looks at what was read so far, from the first octet on and not beyond what was needed.
pub fn read(octets: &[u8]) -> Result<Progress, Broken> {
    let begins = |with: &[u8]| octets.iter().zip(with).all(|(ours, theirs)| ours == theirs);
    if begins(SIGNATURE) {
        return read_v2(octets);
    }
    match begins(V1) {
        true => read_v1(octets),
        false => Err(Broken("no PROXY header")),
    }
}

const V1: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// `PROXY UNKNOWN` and its line end; nothing valid is shorter.
const V1_BYTES_MIN: usize = 15;
/// With its line end.
const V1_BYTES_MAX: usize = 107;
const V1_SPACES: usize = 5;

fn read_v1(octets: &[u8]) -> Result<Progress, Broken> {
    if let Some(line) = octets.strip_suffix(b"\r\n") {
        let text = str::from_utf8(line).map_err(|_| Broken("version 1 is ASCII"))?;
        return v1_line(text).map(Progress::Whole);
    }
    if octets.len() >= V1_BYTES_MAX {
        return Err(Broken("version 1 without an end"));
    }
    if octets.contains(&b'\n') {
        return Err(Broken("version 1 ends with CRLF"));
    }
    if let Some(lacking) = V1_BYTES_MIN.checked_sub(octets.len()).filter(|n| *n > 0) {
        return Ok(Progress::Needs(lacking));
    }
    if octets.ends_with(b"\r") {
        return Ok(Progress::Needs(1));
    }
    // Of UNKNOWN everything up to the line end is to be passed over.
    if octets.starts_with(b"PROXY UNKNOWN") {
        return Ok(Progress::Needs(2));
    }
    let spaces = octets.iter().filter(|octet| **octet == b' ').count();
    let lacking = V1_SPACES.saturating_sub(spaces) * " x".len();
    let of_field = usize::from(octets.ends_with(b" "));
    Ok(Progress::Needs(lacking + of_field + "\r\n".len()))
}

fn v1_line(line: &str) -> Result<Header, Broken> {
    let mut words = line.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    let client = match family {
        "UNKNOWN" => return Ok(Header::of(None)),
        "TCP4" | "TCP6" => {
            let mut word = || words.next().ok_or(Broken("version 1 with too few words"));
            let (source, destination) = (v1_address(word()?)?, v1_address(word()?)?);
            let (port, _) = (v1_port(word()?)?, v1_port(word()?)?);
            let is_v4 = family == "TCP4";
            if source.is_ipv4() != is_v4 || destination.is_ipv4() != is_v4 {
                return Err(Broken("an address of another family"));
            }
            SocketAddr::new(source, port)
        }
        _ => return Err(Broken("a protocol that is unknown")),
    };
    match words.next() {
        None => Ok(Header::of(Some(client))),
        Some(_) => Err(Broken("version 1 with too many words")),
    }
}

fn v1_address(word: &str) -> Result<IpAddr, Broken> {
    word.parse().map_err(|_| Broken("no address"))
}

fn v1_port(word: &str) -> Result<u16, Broken> {
    let is_number = word.bytes().all(|octet| octet.is_ascii_digit());
    let is_canonical = word == "0" || !word.starts_with('0');
    let port = word.parse().ok().filter(|_| is_number && is_canonical);
    port.ok_or(Broken("no port"))
}

/// Signature, version and command, family, length.
const FIXED_BYTES: usize = 16;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPEC: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;

const TLV_CRC32C: u8 = 0x03;
const TLV_UNIQUE_ID: u8 = 0x05;
const UNIQUE_ID_BYTES_MAX: usize = 128;

fn read_v2(octets: &[u8]) -> Result<Progress, Broken> {
    let Some((fixed, body)) = octets.split_first_chunk::<FIXED_BYTES>() else {
        // Not beyond what version 1 might be.
        return Ok(Progress::Needs(match octets.len() {
            0..V1_BYTES_MIN => V1_BYTES_MIN - octets.len(),
            _ => 1,
        }));
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, LOCAL | PROXY) {
        return Err(Broken("a version or command that is unknown"));
    }
    if FIXED_BYTES + length > HEADER_BYTES_MAX {
        return Err(Broken("a header that is too long"));
    }
    match length.checked_sub(body.len()) {
        Some(0) => {}
        Some(lacking) => return Ok(Progress::Needs(lacking)),
        None => return Err(Broken("more than the header was read")),
    }
    let (client, tlvs) = v2_addresses(family, body)?;
    let unique_id = v2_tlvs(octets, tlvs)?;
    Ok(Progress::Whole(Header {
        client: client.filter(|_| command == PROXY),
        unique_id,
    }))
}

fn v2_addresses(family: u8, body: &[u8]) -> Result<(Option<SocketAddr>, &[u8]), Broken> {
    const SHORT: Broken = Broken("version 2 with too few octets");
    match family {
        UNSPEC => Ok((None, &[])),
        TCP4 => {
            let (addresses, tlvs) = body.split_first_chunk::<12>().ok_or(SHORT)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            let port = u16::from_be_bytes([high, low]);
            let client = SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port);
            Ok((Some(client), tlvs))
        }
        TCP6 => {
            let (addresses, tlvs) = body.split_first_chunk::<36>().ok_or(SHORT)?;
            let (source, rest) = addresses.split_first_chunk::<16>().ok_or(SHORT)?;
            let port = rest.get(16..18).and_then(|port| port.first_chunk::<2>());
            let port = u16::from_be_bytes(*port.ok_or(SHORT)?);
            let client = SocketAddr::new(Ipv6Addr::from(*source).into(), port);
            Ok((Some(client), tlvs))
        }
        UNIX_STREAM => {
            let (_, tlvs) = body.split_first_chunk::<216>().ok_or(SHORT)?;
            Ok((None, tlvs))
        }
        _ => Err(Broken("a protocol that is unknown")),
    }
}

/// The unique ID, once the checksum fits.
fn v2_tlvs(header: &[u8], tlvs: &[u8]) -> Result<Option<String>, Broken> {
    const CUT: Broken = Broken("a TLV that is cut off");
    let mut unique_id = None;
    let mut rest = tlvs;
    while let Some(([kind, high, low], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, after) = after.split_at_checked(length).ok_or(CUT)?;
        match *kind {
            TLV_CRC32C => {
                let at = header.len() - after.len() - value.len();
                check_crc(header, at, value)?;
            }
            TLV_UNIQUE_ID if value.len() <= UNIQUE_ID_BYTES_MAX => unique_id = Some(shown(value)),
            TLV_UNIQUE_ID => return Err(Broken("a unique ID that is too long")),
            _ => {}
        }
        rest = after;
    }
    match rest.is_empty() {
        true => Ok(unique_id),
        false => Err(CUT),
    }
}

/// Of the whole header, with zeros where the checksum stands.
fn check_crc(header: &[u8], at: usize, value: &[u8]) -> Result<(), Broken> {
    let told = value.try_into().map(u32::from_be_bytes);
    let told = told.map_err(|_| Broken("a checksum that is none"))?;
    let (before, rest) = header.split_at_checked(at).unwrap_or((header, &[]));
    let after = rest.get(value.len()..).unwrap_or_default();
    let crc = crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]);
    match crc32c::crc32c_append(crc, after) == told {
        true => Ok(()),
        false => Err(Broken("a checksum that does not fit")),
    }
}

fn shown(id: &[u8]) -> String {
    match id.iter().all(u8::is_ascii_graphic) {
        true => String::from_utf8_lossy(id).into_owned(),
        false => id.iter().map(|octet| format!("{octet:02x}")).collect(),
    }
}

impl Header {
    fn of(client: Option<SocketAddr>) -> Header {
        Header {
            client,
            unique_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    /// Reads as the driver does: never more than is needed. The header, and how often was read.
    fn whole(stream: &[u8]) -> Result<(Header, usize, usize), Broken> {
        let (mut taken, mut reads) = (0, 0);
        loop {
            match read(&stream[..taken])? {
                Progress::Whole(header) => return Ok((header, taken, reads)),
                Progress::Needs(octets) => {
                    assert!(octets > 0);
                    if taken + octets > stream.len() {
                        return Err(Broken("the stream ends"));
                    }
                    taken += octets;
                    reads += 1;
                }
            }
        }
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family], &length, body].concat()
    }

    const OF_V4: &[u8] = &[192, 0, 2, 1, 10, 0, 0, 1, 0xdb, 0x3c, 0, 143];

    #[test]
    fn version_1_is_read_and_nothing_behind_it() {
        for (line, client) in [
            (
                "PROXY TCP4 192.0.2.1 10.0.0.1 56124 143\r\n",
                Some("192.0.2.1:56124"),
            ),
            ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n", Some("1.1.1.1:1")),
            (
                "PROXY TCP6 2001:db8::1 ::1 65535 0\r\n",
                Some("[2001:db8::1]:65535"),
            ),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
        ] {
            let stream = format!("{line}EHLO c\r\nMAIL FROM:<a@b>\r\n");
            let (header, taken, _) = whole(stream.as_bytes()).unwrap();
            assert_eq!(
                header.client,
                client.map(|text| text.parse().unwrap()),
                "{line}"
            );
            assert_eq!(taken, line.len(), "{line}");
        }
    }

    #[test]
    fn version_2_is_read_in_three_reads() {
        let stream = [v2(PROXY, TCP4, OF_V4), b"EHLO c\r\n".to_vec()].concat();
        let (header, taken, reads) = whole(&stream).unwrap();
        assert_eq!(header.client, Some("192.0.2.1:56124".parse().unwrap()));
        assert_eq!((taken, reads), (FIXED_BYTES + 12, 3));
        let mut of_v6 = [0; 36];
        of_v6[0] = 0x20;
        of_v6[33] = 25;
        let (header, ..) = whole(&v2(PROXY, TCP6, &of_v6)).unwrap();
        assert_eq!(header.client, Some("[2000::]:25".parse().unwrap()));
        for (command, family, body) in [
            (LOCAL, TCP4, OF_V4),
            (LOCAL, UNSPEC, &[]),
            (PROXY, UNSPEC, b"whatever"),
            (PROXY, UNIX_STREAM, &[0; 216]),
        ] {
            let (header, ..) = whole(&v2(command, family, body)).unwrap();
            assert_eq!(header.client, None);
        }
    }

    #[test]
    fn tlvs_are_checked_or_passed_over() {
        let tlv = |kind: u8, value: &[u8]| {
            [&[kind][..], &(value.len() as u16).to_be_bytes(), value].concat()
        };
        let with = |tlvs: &[Vec<u8>]| {
            let mut header = v2(PROXY, TCP4, &[OF_V4, &tlvs.concat()].concat());
            if let Some(at) = header.windows(7).position(|w| w == [3, 0, 4, 0, 0, 0, 0]) {
                let crc = crc32c::crc32c(&header).to_be_bytes();
                header[at + 3..at + 7].copy_from_slice(&crc);
            }
            header
        };
        let alpn = tlv(1, b"imap");
        let ssl = tlv(0x20, &[7, 0, 0, 0, 0, 0x21, 0xff, 0xff]);
        let (crc, id) = (tlv(TLV_CRC32C, &[0; 4]), tlv(TLV_UNIQUE_ID, b"a-1"));
        let good = with(&[alpn, ssl, crc.clone(), id]);
        let (header, ..) = whole(&good).unwrap();
        assert_eq!(header.unique_id.as_deref(), Some("a-1"));
        for place in 16..good.len() {
            let mut bent = good.clone();
            bent[place] ^= 1;
            // Without the kind of the checksum there is none.
            assert!(whole(&bent).is_err() || place == 46, "{place}");
        }
        let long = with(&[tlv(TLV_UNIQUE_ID, &[b'x'; 129])]);
        assert!(whole(&long).is_err());
        assert!(whole(&with(&[tlv(TLV_CRC32C, &[0; 3])])).is_err());
        assert!(whole(&v2(PROXY, TCP4, &[OF_V4, &[4, 0]].concat())).is_err());
        assert!(whole(&v2(PROXY, TCP4, &[OF_V4, &[4, 0, 9, 0]].concat())).is_err());
    }

    #[test]
    fn what_is_no_header_is_refused_at_once() {
        for bad in [
            &b"EHLO client.example\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaa",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 56124\r\n\r\n\r\n\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 56124 143 7\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 056124 143\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 99999 143\r\n",
            b"PROXY TCP4 2001:db8::1 ::1 1 143\r\n       ",
            b"PROXY TCP6 192.0.2.1 10.0.0.1 1 143\r\n",
            b"PROXY UDP4 192.0.2.1 10.0.0.1 1 143\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1 143\nEHLO c\r\n",
            b"PROXY  TCP4 192.0.2.1 10.0.0.1 1 143\r\n",
        ] {
            assert!(whole(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
        assert_eq!(whole(&endless), Err(Broken("version 1 without an end")));
        for (command, family, length) in [(0x11, TCP4, 12), (0x22, TCP4, 12), (PROXY, 0x12, 12)] {
            assert!(whole(&v2(command, family, &vec![0; length])).is_err());
        }
        assert!(whole(&v2(PROXY, TCP4, &[0; 11])).is_err());
        assert!(whole(&v2(PROXY, TCP4, &[0; HEADER_BYTES_MAX])).is_err());
    }

    proptest! {
        #[test]
        fn no_octets_are_a_panic(stream in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = whole(&stream);
            let _ = whole(&[SIGNATURE, &stream].concat());
            let _ = whole(&[V1, &stream].concat());
            let _ = whole(&v2(PROXY, TCP4, &[OF_V4, &stream].concat()));
        }
    }
}
