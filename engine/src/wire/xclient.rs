//! XCLIENT: a proxy that is trusted says for which client it speaks (Postfix's `XCLIENT_README`).
//!
//! `NAME=value` pairs behind the verb, values in xtext (RFC 3461 §4); `[UNAVAILABLE]` and
//! `[TEMPUNAVAIL]` say that nobody knows. SMTP and LMTP have NAME, ADDR, PORT, PROTO, HELO, LOGIN,
//! DESTADDR and DESTPORT; POP3 (as Dovecot has it) ADDR, PORT and LOGIN.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What is announced behind the keyword.
pub const ATTRIBUTES: &str = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

/// Octets of one value, decoded.
const VALUE_BYTES_MAX: usize = 255;

/// What the proxy says; `None`: nothing was said of it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Xclient {
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
    /// The verified host name of the address; inside, `None`: it has none.
    pub name: Option<Option<String>>,
    /// How the client has introduced itself; the same.
    pub hello: Option<Option<String>>,
    /// The account that the proxy has let in; the same.
    pub login: Option<Option<String>>,
}

/// A name or a value that is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl Xclient {
    /// Reads what stands behind the verb.
    pub fn parse(argument: &str) -> Result<Xclient, Malformed> {
        let mut xclient = Xclient::default();
        let mut pairs = argument
            .split(' ')
            .filter(|pair| !pair.is_empty())
            .peekable();
        if pairs.peek().is_none() {
            return Err(Malformed);
        }
        for pair in pairs {
            let (name, value) = pair.split_once('=').ok_or(Malformed)?;
            xclient.note(&name.to_ascii_uppercase(), xtext(value)?)?;
        }
        Ok(xclient)
    }

    /// Where the client connects from; what was not said stays as it is in `now`.
    #[must_use]
    pub fn client(&self, now: SocketAddr) -> SocketAddr {
        let address = self.address.unwrap_or(now.ip());
        SocketAddr::new(address, self.port.unwrap_or(now.port()))
    }

    fn note(&mut self, name: &str, value: String) -> Result<(), Malformed> {
        let is_unknown = ["[UNAVAILABLE]", "[TEMPUNAVAIL]"]
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word));
        let known = || (!is_unknown).then(|| value.clone());
        match name {
            "NAME" => self.name = Some(known()),
            "HELO" => self.hello = Some(known()),
            "LOGIN" => self.login = Some(known()),
            "ADDR" if !is_unknown => self.address = Some(address(&value)?),
            "PORT" if !is_unknown => self.port = Some(value.parse().map_err(|_| Malformed)?),
            "PROTO" => match &*value.to_ascii_uppercase() {
                "SMTP" | "ESMTP" | "LMTP" => {}
                _ => return Err(Malformed),
            },
            "ADDR" | "PORT" | "DESTADDR" | "DESTPORT" => {}
            _ => return Err(Malformed),
        }
        Ok(())
    }
}

/// `192.0.2.1`, `IPV6:2001:db8::1`; Dovecot leaves the prefix away.
fn address(text: &str) -> Result<IpAddr, Malformed> {
    let of_v6 = text
        .split_at_checked(5)
        .filter(|(prefix, _)| prefix.eq_ignore_ascii_case("IPV6:"));
    match of_v6 {
        Some((_, rest)) => rest.parse().map(|v6: Ipv6Addr| v6.to_canonical()),
        None => text.parse().map(|ip: IpAddr| ip.to_canonical()),
    }
    .map_err(|_| Malformed)
}

/// Undoes `+XX`; printable ASCII only, or UTF-8 in octets that were hidden so.
fn xtext(value: &str) -> Result<String, Malformed> {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        octets.push(match first {
            b'+' => {
                let (digits, after) = rest.split_first_chunk::<2>().ok_or(Malformed)?;
                rest = after;
                let digits = str::from_utf8(digits).map_err(|_| Malformed)?;
                let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let octet = u8::from_str_radix(digits, 16).ok().filter(|_| is_hex);
                octet.ok_or(Malformed)?
            }
            b'!'..=b'~' => *first,
            _ => return Err(Malformed),
        });
    }
    let text = String::from_utf8(octets).map_err(|_| Malformed)?;
    let is_word = !text.is_empty()
        && text.len() <= VALUE_BYTES_MAX
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    is_word.then_some(text).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postfix_and_nginx_send_is_read() {
        let read = Xclient::parse(
            "NAME=spike.porcupine.org ADDR=168.100.189.2 PORT=5123 PROTO=ESMTP HELO=a+2Bb \
             LOGIN=alice@example.org DESTADDR=10.0.0.1 DESTPORT=25",
        );
        let expected = Xclient {
            address: Some(IpAddr::from([168, 100, 189, 2])),
            port: Some(5123),
            name: Some(Some("spike.porcupine.org".into())),
            hello: Some(Some("a+b".into())),
            login: Some(Some("alice@example.org".into())),
        };
        assert_eq!(read, Ok(expected));
        let unknown =
            Xclient::parse("name=[UNAVAILABLE] addr=IPV6:2001:db8::1 login=[unavailable]");
        let unknown = unknown.expect("what nginx sends");
        assert_eq!(unknown.address, "2001:db8::1".parse().ok());
        assert_eq!((unknown.name, unknown.login), (Some(None), Some(None)));
        let now = "192.0.2.1:9".parse().expect("an address");
        assert_eq!(Xclient::default().client(now), now);
    }

    #[test]
    fn what_is_broken_is_refused() {
        for bad in [
            "",
            " ",
            "ADDR",
            "ADDR=",
            "ADDR=here",
            "ADDR=IPV6:192.0.2.1",
            "PORT=70000",
            "PROTO=HTTP",
            "WHAT=x",
            "HELO=+",
            "HELO=+2",
            "HELO=+zz",
            "HELO=+0A",
            "HELO=+20",
            "HELO=+ff",
            "HELO=\u{e4}",
        ] {
            assert_eq!(Xclient::parse(bad), Err(Malformed), "{bad}");
        }
        let long = format!("HELO={}", "x".repeat(256));
        assert_eq!(Xclient::parse(&long), Err(Malformed));
    }
}
