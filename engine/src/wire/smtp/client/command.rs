//! Commands of a client: MAIL and RCPT with their parameters, written so that no value can end the
//! line (RFC 5321 §4.1.2, RFC 3461 §4, RFC 6531 §3.4).

use crate::wire::smtp::param::{ByMode, DeliverBy};
use std::io::Write;
use store::mail::address::Address;
use store::mail::envelope::{BodyKind, Notify, Ret};

/// Longest path that is sent: RFC 5321 §4.5.3.1.3 has 256 octets with brackets, RFC 6531 §3.4 does
/// not shorten it.
pub const PATH_BYTES_MAX: usize = 1024;

/// Parameters of MAIL that this server gets.
#[derive(Clone, Debug, Default)]
pub struct MailParams<'a> {
    pub size: Option<u64>,
    /// `None`: not said.
    pub body: Option<BodyKind>,
    pub smtputf8: bool,
    pub ret: Option<Ret>,
    /// Decoded.
    pub envid: Option<&'a str>,
    pub require_tls: bool,
    /// RFC 6710 §4: -9 to 9.
    pub priority: Option<i8>,
    /// With the time that is left.
    pub by: Option<DeliverBy>,
}

/// Parameters of RCPT that this server gets.
#[derive(Clone, Debug, Default)]
pub struct RcptParams<'a> {
    pub notify: Notify,
    /// `addr-type;address`, decoded.
    pub orcpt: Option<&'a str>,
}

/// Whether the address can stand in a command: no control character, nothing that ends a path, not
/// longer than [`PATH_BYTES_MAX`]. Ours come from a parser that grants it; this is the second lock.
#[must_use]
pub fn is_sendable(address: &Address) -> bool {
    let domain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | '@');
    address.local.len() + address.domain.len() <= PATH_BYTES_MAX
        && !address.local.is_empty()
        && !address.local.contains(char::is_control)
        && address.domain.chars().all(domain)
}

/// Whether the address needs SMTPUTF8.
#[must_use]
pub fn is_ascii(address: &Address) -> bool {
    address.local.is_ascii() && address.domain.is_ascii()
}

/// Adds a MAIL command; `None` is the null reverse-path.
pub fn write_mail(reverse_path: Option<&Address>, params: &MailParams<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"MAIL FROM:<");
    if let Some(address) = reverse_path {
        write_address(address, out);
    }
    out.push(b'>');
    if let Some(octets) = params.size {
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(b" SIZE=");
        out.extend_from_slice(digits.format(octets).as_bytes());
    }
    out.extend_from_slice(match params.body {
        None => b"",
        Some(BodyKind::SevenBit) => b" BODY=7BIT",
        Some(BodyKind::EightBitMime) => b" BODY=8BITMIME",
        Some(BodyKind::BinaryMime) => b" BODY=BINARYMIME",
    });
    if params.smtputf8 {
        out.extend_from_slice(b" SMTPUTF8");
    }
    out.extend_from_slice(match params.ret {
        None => b"",
        Some(Ret::Full) => b" RET=FULL",
        Some(Ret::Headers) => b" RET=HDRS",
    });
    if let Some(envid) = params.envid {
        out.extend_from_slice(b" ENVID=");
        write_xtext(envid, out);
    }
    if params.require_tls {
        out.extend_from_slice(b" REQUIRETLS");
    }
    if let Some(priority) = params.priority {
        // Into memory: it cannot fail.
        let _ = write!(out, " MT-PRIORITY={}", priority.clamp(-9, 9));
    }
    if let Some(by) = params.by {
        write_by(by, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// RFC 2852 §4: nine digits at most.
fn write_by(by: DeliverBy, out: &mut Vec<u8>) {
    let secs = by.secs.clamp(-999_999_999, 999_999_999);
    let mode = match by.mode {
        ByMode::Return => 'R',
        ByMode::Notify => 'N',
    };
    let trace = if by.trace { "T" } else { "" };
    let _ = write!(out, " BY={secs};{mode}{trace}");
}

/// Adds a RCPT command.
pub fn write_rcpt(address: &Address, params: &RcptParams<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"RCPT TO:<");
    write_address(address, out);
    out.push(b'>');
    write_notify(params.notify, out);
    if let Some((kind, address)) = params.orcpt.and_then(|orcpt| orcpt.split_once(';')) {
        out.extend_from_slice(b" ORCPT=");
        write_xtext(kind, out);
        out.push(b';');
        match kind.eq_ignore_ascii_case("utf-8") {
            true => write_unitext(address, out),
            false => write_xtext(address, out),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// RFC 3461 §4.1.
fn write_notify(notify: Notify, out: &mut Vec<u8>) {
    if notify == Notify::UNSET {
        return;
    }
    out.extend_from_slice(b" NOTIFY=");
    if notify.0 & Notify::NEVER.0 != 0 {
        return out.extend_from_slice(b"NEVER");
    }
    let words: [(Notify, &[u8]); 3] = [
        (Notify::SUCCESS, b"SUCCESS"),
        (Notify::FAILURE, b"FAILURE"),
        (Notify::DELAY, b"DELAY"),
    ];
    let mut separator: &[u8] = b"";
    for (_, word) in words.iter().filter(|(bit, _)| notify.0 & bit.0 != 0) {
        out.extend_from_slice(separator);
        out.extend_from_slice(word);
        separator = b",";
    }
}

fn write_address(address: &Address, out: &mut Vec<u8>) {
    // Into memory: it cannot fail.
    let _ = write!(out, "{address}");
}

/// RFC 3461 §4: what is not printable, `+` and `=` become `+` and two hexadecimal digits.
fn write_xtext(text: &str, out: &mut Vec<u8>) {
    for octet in text.bytes() {
        match octet {
            b'+' | b'=' | 0..=b' ' | 0x7f.. => _ = write!(out, "+{octet:02X}"),
            _ => out.push(octet),
        }
    }
}

/// RFC 6533 §3, in its form that is ASCII: `\x{3B4}` for a character that is not, or that ends the
/// value.
fn write_unitext(text: &str, out: &mut Vec<u8>) {
    for c in text.chars() {
        match c {
            '!'..='~' if !matches!(c, '+' | '=' | '\\') => out.push(c as u8),
            _ => _ = write!(out, "\\x{{{:X}}}", u32::from(c)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::smtp::command::Command;

    fn mail(reverse_path: Option<&Address>, params: &MailParams<'_>) -> String {
        let mut out = Vec::new();
        write_mail(reverse_path, params, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn rcpt(address: &Address, params: &RcptParams<'_>) -> String {
        let mut out = Vec::new();
        write_rcpt(address, params, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn all_parameters_are_written() {
        let params = MailParams {
            size: Some(12),
            body: Some(BodyKind::EightBitMime),
            smtputf8: true,
            ret: Some(Ret::Headers),
            envid: Some("a+b=c d"),
            require_tls: true,
            priority: Some(-4),
            by: Some(DeliverBy {
                secs: -7,
                mode: ByMode::Notify,
                trace: true,
            }),
        };
        assert_eq!(
            mail(Some(&Address::new("a b", "c.test")), &params),
            "MAIL FROM:<\"a b\"@c.test> SIZE=12 BODY=8BITMIME SMTPUTF8 RET=HDRS \
             ENVID=a+2Bb+3Dc+20d REQUIRETLS MT-PRIORITY=-4 BY=-7;NT\r\n"
        );
        assert_eq!(mail(None, &MailParams::default()), "MAIL FROM:<>\r\n");
        let params = RcptParams {
            notify: Notify(Notify::SUCCESS.0 | Notify::DELAY.0),
            orcpt: Some("rfc822;a+b@c"),
        };
        assert_eq!(
            rcpt(&Address::new("x", "y.test"), &params),
            "RCPT TO:<x@y.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c\r\n"
        );
        let params = RcptParams {
            notify: Notify::NEVER,
            orcpt: Some("utf-8;δ=\\@c"),
        };
        assert_eq!(
            rcpt(&Address::new("x", "y.test"), &params),
            "RCPT TO:<x@y.test> NOTIFY=NEVER ORCPT=utf-8;\\x{3B4}\\x{3D}\\x{5C}@c\r\n"
        );
    }

    /// Our own server understands what our client writes.
    #[test]
    fn what_is_written_is_read_back() {
        let written = rcpt(
            &Address::new("a\"b", "y.test"),
            &RcptParams {
                notify: Notify::FAILURE,
                orcpt: Some("utf-8;δ\u{1F600}@c"),
            },
        );
        let line = written.strip_suffix("\r\n").unwrap();
        let Ok(Command::Rcpt(read)) = Command::parse(line.as_bytes()) else {
            panic!("not read: {line}");
        };
        assert_eq!(read.params.orcpt.as_deref(), Some("utf-8;δ\u{1F600}@c"));
        assert_eq!(read.params.notify, Notify::FAILURE);
    }

    #[test]
    fn what_would_end_a_line_or_a_path_is_not_sendable() {
        for (local, domain) in [
            ("a\r\nRSET", "b"),
            ("a", "b>\r\nDATA"),
            ("a", "b c"),
            ("a", "b> SIZE=1"),
            ("a\0", "b"),
            ("", "b"),
        ] {
            assert!(
                !is_sendable(&Address::new(local, domain)),
                "{local}@{domain}"
            );
        }
        assert!(!is_sendable(&Address::new("x".repeat(PATH_BYTES_MAX), "b")));
        assert!(is_sendable(&Address::new("a>b c", "[IPv6:::1]")));
        assert!(is_sendable(&Address::new("postmaster", "")));
    }
}
