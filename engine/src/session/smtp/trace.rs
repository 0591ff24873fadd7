//! Trace fields: Return-Path, Delivered-To and Received (RFC 5321 §4.4, RFC 3848, RFC 6531 §3.7.3);
//! and what a submission lacks: Date and Message-ID (RFC 6409 §8.2, §8.3).
//!
//! They become the prefix of a delivery. Every line ends with CRLF and stays below 998 octets; no
//! control character gets in, whatever a client calls itself.

use super::{Commit, Kind, Missing, Session, Tls};
use std::io::Write;
use std::net::IpAddr;
use store::mail::address::Address;
use store::mail::calendar::{date_of, two_digits};
use store::mail::date::InternalDate;

/// The values of one Received field.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// As the client gave it.
    pub hello: &'a str,
    /// Its verified host name.
    pub name: Option<&'a str>,
    pub address: IpAddr,
    pub tls: Option<Tls>,
    /// This host.
    pub by: &'a str,
    /// The WITH keyword of [`protocol`].
    pub protocol: &'static str,
    pub queue_id: &'a str,
    /// The recipient of a message that has only one: nobody learns of the others.
    pub recipient: Option<&'a Address>,
    pub date: InternalDate,
}

impl Session {
    /// The Received field of the message that is being committed.
    #[must_use]
    pub fn received<'a>(
        &'a self,
        commit: &'a Commit,
        queue_id: &'a str,
        date: InternalDate,
    ) -> Received<'a> {
        let hello = self.hello.as_ref();
        Received {
            hello: hello.map_or("unknown", |hello| &hello.name),
            name: self.peer.name.as_deref(),
            address: self.peer.address,
            tls: self.peer.tls,
            by: &self.settings.hostname,
            protocol: protocol(
                self.kind,
                hello.is_some_and(|hello| hello.extended),
                self.peer.tls.is_some(),
                self.login.is_some(),
                commit.envelope.smtputf8,
            ),
            queue_id,
            recipient: match commit.envelope.recipients.as_slice() {
                [only] => Some(&only.address),
                _ => None,
            },
            date,
        }
    }
}

impl Received<'_> {
    /// Adds the field.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Received: from ");
        push_word(self.hello, out);
        out.extend_from_slice(b" (");
        if let Some(name) = self.name {
            push_word(name, out);
            out.push(b' ');
        }
        match self.address.to_canonical() {
            IpAddr::V4(address) => {
                for (octet, mark) in address.octets().into_iter().zip(*b"[...") {
                    out.push(mark);
                    out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
                }
                out.extend_from_slice(b"])");
            }
            IpAddr::V6(address) => push(out, format_args!("[IPv6:{address}])")),
        }
        if let Some(Tls { version, cipher }) = self.tls {
            push(
                out,
                format_args!("\r\n\t(using {version} with cipher {cipher})"),
            );
        }
        out.extend_from_slice(b"\r\n\tby ");
        push_word(self.by, out);
        for part in [" (Ringpost) with ", self.protocol, " id "] {
            out.extend_from_slice(part.as_bytes());
        }
        push_word(self.queue_id, out);
        if let Some(recipient) = self.recipient {
            out.extend_from_slice(b"\r\n\tfor <");
            push_address(recipient, out);
            out.push(b'>');
        }
        out.extend_from_slice(b";\r\n\t");
        push_date(self.date, out);
        out.extend_from_slice(b"\r\n");
    }

    /// Adds the fields that the message should have had; the id is that of the transaction.
    pub fn complete(&self, missing: Missing, out: &mut Vec<u8>) {
        if missing.date {
            out.extend_from_slice(b"Date: ");
            push_date(self.date, out);
            out.extend_from_slice(b"\r\n");
        }
        if missing.message_id {
            out.extend_from_slice(b"Message-ID: <");
            push_word(self.queue_id, out);
            out.push(b'@');
            push_word(self.by, out);
            out.extend_from_slice(b">\r\n");
        }
    }
}

/// The WITH keyword of RFC 3848, with the UTF8 forms of RFC 6531.
#[must_use]
pub fn protocol(kind: Kind, extended: bool, tls: bool, login: bool, utf8: bool) -> &'static str {
    if kind == Kind::Lmtp {
        return match (utf8, tls, login) {
            (false, false, false) => "LMTP",
            (false, false, true) => "LMTPA",
            (false, true, false) => "LMTPS",
            (false, true, true) => "LMTPSA",
            (true, false, false) => "UTF8LMTP",
            (true, false, true) => "UTF8LMTPA",
            (true, true, false) => "UTF8LMTPS",
            (true, true, true) => "UTF8LMTPSA",
        };
    }
    match (utf8, tls, login) {
        // Without EHLO there was no STARTTLS keyword either, and none of the longer names fits.
        _ if !extended => "SMTP",
        (false, false, false) => "ESMTP",
        (false, false, true) => "ESMTPA",
        (false, true, false) => "ESMTPS",
        (false, true, true) => "ESMTPSA",
        (true, false, false) => "UTF8SMTP",
        (true, false, true) => "UTF8SMTPA",
        (true, true, false) => "UTF8SMTPS",
        (true, true, true) => "UTF8SMTPSA",
    }
}

/// Adds `Return-Path:`, which only final delivery does (RFC 5321 §4.4).
pub fn return_path(reverse_path: Option<&Address>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Return-Path: <");
    if let Some(address) = reverse_path {
        push_address(address, out);
    }
    out.extend_from_slice(b">\r\n");
}

/// Adds `Delivered-To:` (RFC 9228).
pub fn delivered_to(recipient: &Address, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Delivered-To: ");
    push_address(recipient, out);
    out.extend_from_slice(b"\r\n");
}

/// Adds a date as in `Sun, 22 Nov 2026 04:00:00 +0000` (RFC 5322 §3.3).
pub fn push_date(date: InternalDate, out: &mut Vec<u8>) {
    const DAY_SECS: i64 = 86_400;
    // The end of the year 9999, a day kept for zones.
    const SECS_MAX: i64 = 253_402_300_799 - DAY_SECS;
    let zone = i64::from(date.zone_minutes).clamp(-24 * 60 + 1, 24 * 60 - 1);
    let local = date.unix_secs.clamp(0, SECS_MAX) + zone * 60;
    let (days, secs) = (local.div_euclid(DAY_SECS), local.rem_euclid(DAY_SECS));
    let (year, month, day) = date_of(days);
    // 1970-01-01 was a Thursday.
    out.extend_from_slice(nth("ThuFriSatSunMonTueWed", days.rem_euclid(7)));
    out.extend_from_slice(b", ");
    out.extend_from_slice(itoa::Buffer::new().format(day).as_bytes());
    let pair = |number: i64| two_digits(number.unsigned_abs());
    let [m0, m1, m2] = nth("JanFebMarAprMayJunJulAugSepOctNovDec", month - 1);
    let ([y0, y1], [y2, y3]) = (pair(year / 100), pair(year));
    out.extend_from_slice(&[b' ', *m0, *m1, *m2, b' ', y0, y1, y2, y3]);
    let ([h0, h1], [n0, n1], [s0, s1]) = (pair(secs / 3600), pair(secs / 60 % 60), pair(secs % 60));
    out.extend_from_slice(&[b' ', h0, h1, b':', n0, n1, b':', s0, s1]);
    let sign = if zone < 0 { b'-' } else { b'+' };
    let ([z0, z1], [z2, z3]) = (pair(zone.abs() / 60), pair(zone.abs() % 60));
    out.extend_from_slice(&[b' ', sign, z0, z1, z2, z3]);
}

/// The n-th name of three letters.
fn nth(names: &'static str, n: i64) -> &'static [u8; 3] {
    let (names, _) = names.as_bytes().as_chunks();
    let name = usize::try_from(n).ok().and_then(|n| names.get(n));
    name.unwrap_or(b"???")
}

/// A host name, literal or id: what else a client puts there cannot end the field, open a comment
/// or reach a shell.
fn push_word(word: &str, out: &mut Vec<u8>) {
    out.extend(word.bytes().take(255).map(|octet| match octet {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b':' | b'[' | b']' => octet,
        _ => b'?',
    }));
}

fn push_address(address: &Address, out: &mut Vec<u8>) {
    let from = out.len();
    match address.pieces() {
        Some(pieces) => {
            for piece in pieces {
                out.extend_from_slice(piece.as_bytes());
            }
        }
        None => push(out, format_args!("{address}")),
    }
    let written = out.get(from..).unwrap_or_default();
    if written.iter().all(|octet| matches!(octet, b' '..=b'~')) {
        return;
    }
    let clean: String = String::from_utf8_lossy(written)
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    out.truncate(from);
    out.extend_from_slice(clean.as_bytes());
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn received() -> Received<'static> {
        Received {
            hello: "client.example",
            name: None,
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            tls: None,
            by: "mx.example",
            protocol: "ESMTP",
            queue_id: "1a2b",
            recipient: None,
            date: InternalDate::utc(1_795_320_000),
        }
    }

    fn text(received: &Received<'_>) -> String {
        let mut out = Vec::new();
        received.write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn writes_received() {
        assert_eq!(
            text(&received()),
            "Received: from client.example ([192.0.2.1])\r\n\tby mx.example (Ringpost) \
             with ESMTP id 1a2b;\r\n\tSun, 22 Nov 2026 04:00:00 +0000\r\n"
        );
        let recipient = Address::new("a b", "c.example");
        let full = Received {
            name: Some("host.example"),
            address: IpAddr::V6(Ipv6Addr::LOCALHOST),
            tls: Some(Tls {
                version: "TLSv1.3",
                cipher: "TLS_AES_256_GCM_SHA384",
            }),
            protocol: "ESMTPSA",
            recipient: Some(&recipient),
            ..received()
        };
        assert_eq!(
            text(&full),
            "Received: from client.example (host.example [IPv6:::1])\r\n\
             \t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n\
             \tby mx.example (Ringpost) with ESMTPSA id 1a2b\r\n\
             \tfor <\"a b\"@c.example>;\r\n\tSun, 22 Nov 2026 04:00:00 +0000\r\n"
        );
    }

    #[test]
    fn adds_what_is_missing_and_nothing_else() {
        let complete = |date, message_id| {
            let mut out = Vec::new();
            received().complete(Missing { date, message_id }, &mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(complete(false, false), "");
        assert_eq!(complete(false, true), "Message-ID: <1a2b@mx.example>\r\n");
        assert_eq!(
            complete(true, true),
            "Date: Sun, 22 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1a2b@mx.example>\r\n"
        );
    }

    #[test]
    fn a_hello_cannot_inject() {
        let hostile = Received {
            hello: "a\r\nX-Evil: (1)\"$(rm)`\u{e9};\0",
            ..received()
        };
        let first = text(&hostile);
        let first = first.split("\r\n").next().unwrap_or_default();
        assert_eq!(
            first,
            "Received: from a??X-Evil:??1????rm?????? ([192.0.2.1])"
        );
    }

    #[test]
    fn the_longest_values_stay_within_bounds() {
        let long = "x".repeat(400);
        let recipient = Address::new("\"".repeat(64), "d".repeat(255));
        let full = Received {
            hello: &long,
            name: Some(&long),
            by: &long,
            queue_id: &long,
            recipient: Some(&recipient),
            ..received()
        };
        let mut out = Vec::new();
        return_path(Some(&recipient), &mut out);
        delivered_to(&recipient, &mut out);
        full.write(&mut out);
        assert!(out.len() <= store::limit::PREFIX_BYTES_MAX);
        assert!(out.split(|&b| b == b'\n').all(|line| line.len() <= 999));
    }

    #[test]
    fn writes_return_path_and_delivered_to() {
        let mut out = Vec::new();
        return_path(None, &mut out);
        return_path(Some(&Address::new("a", "b")), &mut out);
        delivered_to(&Address::new("x\r\ny", "c"), &mut out);
        assert_eq!(
            out,
            b"Return-Path: <>\r\nReturn-Path: <a@b>\r\nDelivered-To: \"xy\"@c\r\n"
        );
    }

    #[test]
    fn writes_dates_of_all_kinds() {
        for (unix_secs, zone_minutes, expected) in [
            (0, 0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (0, -1, "Wed, 31 Dec 1969 23:59:00 -0001"),
            (951_782_400, 0, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (4_107_542_400, 0, "Mon, 1 Mar 2100 00:00:00 +0000"),
            (1_795_320_000, 330, "Sun, 22 Nov 2026 09:30:00 +0530"),
            (i64::MIN, 0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (i64::MAX, i16::MAX, "Fri, 31 Dec 9999 23:58:59 +2359"),
        ] {
            let mut out = Vec::new();
            let date = InternalDate {
                unix_secs,
                zone_minutes,
            };
            push_date(date, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn names_the_protocol() {
        assert_eq!(protocol(Kind::Smtp, false, true, false, false), "SMTP");
        assert_eq!(protocol(Kind::Smtp, true, true, false, false), "ESMTPS");
        assert_eq!(
            protocol(Kind::Submission, true, true, true, true),
            "UTF8SMTPSA"
        );
        assert_eq!(protocol(Kind::Lmtp, true, false, false, false), "LMTP");
        assert_eq!(protocol(Kind::Lmtp, true, true, false, true), "UTF8LMTPS");
    }
}
