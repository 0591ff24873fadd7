//! Reverse-path and forward-path (RFC 5321 §4.1.2, RFC 6531 §3.3).
//!
//! ```text
//! path       = "<" [ "@a,@b:" ] local-part "@" ( domain / "[" literal "]" ) ">"
//! reverse    = path / "<>"                  forward = path / "<postmaster>" in any case
//! ```
//!
//! Source routes are read and ignored (RFC 5321 appendix C). `%` and `!` are ordinary letters of a
//! local-part: no path is ever rewritten into another. Domains come out as lower-case A-labels,
//! literals in one spelling, quoted local-parts without their quotes. Beyond the grammar only `_`
//! in a domain is taken, because names with it send mail.

use std::net::{Ipv4Addr, Ipv6Addr};
use store::mail::address::{Address, is_dot_string};

/// RFC 5321 §4.5.3.1.1, in octets without quotes.
pub const LOCAL_BYTES_MAX: usize = 64;

/// RFC 5321 §4.5.3.1.2, in octets of A-labels.
pub const DOMAIN_BYTES_MAX: usize = 255;

/// RFC 5321 §4.5.3.1.3, with the brackets and the source route.
pub const PATH_BYTES_MAX: usize = 256;

/// RFC 1035 §2.3.4.
const LABEL_BYTES_MAX: usize = 63;

/// A path and what follows it on the line.
#[derive(PartialEq, Eq, Debug)]
pub struct Path<'a> {
    /// `None` is the null reverse-path `<>`.
    pub address: Option<Address>,
    /// Whether it needs SMTPUTF8.
    pub is_ascii: bool,
    /// Empty or beginning with a space.
    pub rest: &'a str,
}

/// The text is no path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadPath;

/// Reads `<…>` at the beginning of `text`; a null path and a path without domain are left to
/// [`reverse`] and [`forward`] to judge.
fn path(text: &str) -> Result<Path<'_>, BadPath> {
    let inner = text.strip_prefix('<').ok_or(BadPath)?;
    if let Some(rest) = inner.strip_prefix('>') {
        return ended(text, rest, None);
    }
    let routed = source_route(inner)?;
    let (local, rest) = local_part(routed)?;
    let (domain, rest) = match rest.strip_prefix('@') {
        Some(rest) => domain_part(rest)?,
        None => (String::new(), rest),
    };
    let rest = rest.strip_prefix('>').ok_or(BadPath)?;
    ended(text, rest, Some(Address::new(local, domain)))
}

/// The path of MAIL FROM.
pub fn reverse(text: &str) -> Result<Path<'_>, BadPath> {
    let path = path(text)?;
    match &path.address {
        Some(address) if address.domain.is_empty() => Err(BadPath),
        _ => Ok(path),
    }
}

/// The path of RCPT TO; its address is never `None`.
pub fn forward(text: &str) -> Result<Path<'_>, BadPath> {
    let path = path(text)?;
    match &path.address {
        None => Err(BadPath),
        // RFC 5321 §4.5.1: the one name that is good without a domain.
        Some(Address { local, domain })
            if domain.is_empty() && !local.eq_ignore_ascii_case("postmaster") =>
        {
            Err(BadPath)
        }
        _ => Ok(path),
    }
}

/// `local-part@domain` without brackets, as in AUTH= (RFC 4954 §5).
pub fn mailbox(text: &str) -> Result<Address, BadPath> {
    let (local, rest) = local_part(text)?;
    let (domain, rest) = domain_part(rest.strip_prefix('@').ok_or(BadPath)?)?;
    if rest.is_empty() && text.len() + 2 <= PATH_BYTES_MAX {
        Ok(Address::new(local, domain))
    } else {
        Err(BadPath)
    }
}

fn ended<'a>(text: &'a str, rest: &'a str, address: Option<Address>) -> Result<Path<'a>, BadPath> {
    let octets = text.len() - rest.len();
    if octets > PATH_BYTES_MAX || !(rest.is_empty() || rest.starts_with(' ')) {
        return Err(BadPath);
    }
    let is_ascii = text.split_at(octets).0.is_ascii();
    Ok(Path {
        address,
        is_ascii,
        rest,
    })
}

/// Skips `@one,@two:`.
fn source_route(text: &str) -> Result<&str, BadPath> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let mut rest = text;
    loop {
        rest = domain_part(rest.strip_prefix('@').ok_or(BadPath)?)?.1;
        match (rest.strip_prefix(','), rest.strip_prefix(':')) {
            (Some(next), _) => rest = next,
            (_, Some(address)) => return Ok(address),
            _ => return Err(BadPath),
        }
    }
}

fn local_part(text: &str) -> Result<(String, &str), BadPath> {
    let (local, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted_string(quoted)?,
        None => {
            let (local, rest) = split_before(text, |octet| matches!(octet, b'@' | b'>' | b' '));
            if !is_dot_string(local) || has_wide_blank(local) {
                return Err(BadPath);
            }
            (local.to_owned(), rest)
        }
    };
    if local.is_empty() || local.len() > LOCAL_BYTES_MAX {
        return Err(BadPath);
    }
    Ok((local, rest))
}

/// The content of a quoted string whose opening quote is read.
fn quoted_string(text: &str) -> Result<(String, &str), BadPath> {
    let mut content = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '"' => return Ok((content, chars.as_str())),
            // RFC 5321 §4.1.2 quoted-pairSMTP: printable ASCII only.
            '\\' => chars.next().filter(char::is_ascii).ok_or(BadPath)?,
            c => c,
        };
        if c.is_control() || content.len() >= LOCAL_BYTES_MAX {
            return Err(BadPath);
        }
        content.push(c);
    }
    Err(BadPath)
}

/// RFC 6531 §3.3 widens an atom, but not by what nobody sees.
fn has_wide_blank(text: &str) -> bool {
    let is_wide_blank = |c: char| !c.is_ascii() && (c.is_control() || c.is_whitespace());
    !text.is_ascii() && text.contains(is_wide_blank)
}

/// A domain or an address literal at the beginning of `text`.
fn domain_part(text: &str) -> Result<(String, &str), BadPath> {
    if let Some(literal) = text.strip_prefix('[') {
        let (content, rest) = literal.split_once(']').ok_or(BadPath)?;
        return Ok((address_literal(content)?, rest));
    }
    let is_end = |octet| matches!(octet, b'>' | b',' | b':' | b' ');
    let (domain, rest) = split_before(text, is_end);
    Ok((a_labels(domain)?, rest))
}

/// Parts `text` before the first octet that ends what is read; only ASCII does.
fn split_before(text: &str, is_end: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(is_end);
    text.split_at(end.unwrap_or(text.len()))
}

/// RFC 5321 §4.1.3. No tag but IPv6 is registered, so no general literal means anything.
fn address_literal(content: &str) -> Result<String, BadPath> {
    let six = content
        .split_at_checked(5)
        .filter(|(tag, _)| tag.eq_ignore_ascii_case("ipv6:"));
    match six {
        Some((_, address)) => {
            let address: Ipv6Addr = address.parse().map_err(|_| BadPath)?;
            Ok(format!("[IPv6:{address}]"))
        }
        None => {
            let address: Ipv4Addr = content.parse().map_err(|_| BadPath)?;
            Ok(format!("[{address}]"))
        }
    }
}

fn a_labels(domain: &str) -> Result<String, BadPath> {
    let ascii = if domain.is_ascii() {
        domain.to_ascii_lowercase()
    } else if domain.len() <= PATH_BYTES_MAX {
        idna::domain_to_ascii(domain).map_err(|_| BadPath)?
    } else {
        return Err(BadPath);
    };
    if is_domain(&ascii) {
        Ok(ascii)
    } else {
        Err(BadPath)
    }
}

fn is_domain(ascii: &str) -> bool {
    let is_letter = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_label = |label: &[u8]| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.iter().all(is_letter)
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
    };
    ascii.len() <= DOMAIN_BYTES_MAX && ascii.as_bytes().split(|b| *b == b'.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> Result<(String, String), BadPath> {
        let path = forward(text)?;
        let address = path.address.expect("a forward-path has an address");
        Ok((address.local, address.domain))
    }

    fn parts(local: &str, domain: &str) -> Result<(String, String), BadPath> {
        Ok((local.into(), domain.into()))
    }

    #[test]
    fn reads_good_paths() {
        assert_eq!(to("<a.b+c@Example.ORG>"), parts("a.b+c", "example.org"));
        assert_eq!(to("<\"a b\\\"@\\\\\"@c>"), parts("a b\"@\\", "c"));
        assert_eq!(to("<@x,@[1.2.3.4]:u@h>"), parts("u", "h"));
        assert_eq!(to("<PostMaster>"), parts("PostMaster", ""));
        assert_eq!(to("<u@[127.0.0.1]>"), parts("u", "[127.0.0.1]"));
        assert_eq!(to("<u@[ipv6:0:0::1]>"), parts("u", "[IPv6:::1]"));
        assert_eq!(to("<u@a_b.c>"), parts("u", "a_b.c"));
        assert_eq!(reverse("<>").map(|p| p.address), Ok(None));
        assert_eq!(reverse("<a@b> SIZE=1").map(|p| p.rest), Ok(" SIZE=1"));
    }

    #[test]
    fn relay_tricks_stay_in_the_local_part() {
        assert_eq!(
            to("<u%elsewhere.org@here>"),
            parts("u%elsewhere.org", "here")
        );
        assert_eq!(
            to("<elsewhere.org!u@here>"),
            parts("elsewhere.org!u", "here")
        );
        assert_eq!(to("<\"u@elsewhere\"@here>"), parts("u@elsewhere", "here"));
        assert_eq!(to("<u@elsewhere@here>"), Err(BadPath));
    }

    #[test]
    fn turns_u_labels_to_a_labels() {
        let path = forward("<δ@Bücher.example>").expect("good");
        assert!(!path.is_ascii);
        let address = path.address.expect("an address");
        assert_eq!(
            (&*address.local, &*address.domain),
            ("δ", "xn--bcher-kva.example")
        );
    }

    #[test]
    fn refuses_bad_paths() {
        for bad in [
            "",
            "a@b",
            "<a@b",
            "a@b>",
            "<@b>",
            "<a@>",
            "<a@b>x",
            "< a@b>",
            "<a@b >",
            "<a b@c>",
            "<.a@b>",
            "<a.@b>",
            "<a..b@c>",
            "<a@b..c>",
            "<a@.b>",
            "<a@b.>",
            "<a@-b>",
            "<a@b->",
            "<a@[1.2.3]>",
            "<a@[1.2.3.4>",
            "<a@[IPv6:1.2.3.4]>",
            "<a@[x:y]>",
            "<\"a@b>",
            "<\"\"@b>",
            "<\"a\"b@c>",
            "<a\0@b>",
            "<\"a\u{7f}\"@b>",
            "<\"\\\u{e9}\"@b>",
            "<@a:>",
            "<@a,b:c@d>",
            "<a@b c>",
            "<a@b\u{85}>",
            "<a\u{2028}@b>",
            "<user>",
            "<>",
            "<<a@b>>",
            "<a@b;c>",
            "<a@b/c>",
        ] {
            assert_eq!(to(bad), Err(BadPath), "{bad:?}");
        }
        assert_eq!(reverse("<postmaster>"), Err(BadPath));
    }

    #[test]
    fn keeps_the_limits() {
        let path = |local: usize, domain: &str| format!("<{}@{domain}>", "l".repeat(local));
        assert!(to(&path(64, "b")).is_ok() && to(&path(65, "b")).is_err());
        let label = |octets: usize| "d".repeat(octets);
        assert!(to(&path(1, &label(63))).is_ok() && to(&path(1, &label(64))).is_err());
        let domain = |last: usize| [label(63), label(63), label(63), label(last)].join(".");
        assert!(to(&path(1, &domain(60))).is_ok(), "256 octets");
        assert!(to(&path(1, &domain(61))).is_err(), "257 octets");
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for text in [
            "<a.b@c>",
            "<\"a b\"@c>",
            "<\"\\\"\\\\\"@c>",
            "<\"@\"@[IPv6:::1]>",
            "<\"a.\"@b>",
        ] {
            let address = forward(text).expect(text).address.expect("an address");
            assert_eq!(
                forward(&format!("<{address}>")).map(|p| p.address),
                Ok(Some(address))
            );
        }
    }
}
