//! The head of a request: request line and fields, and how long the body is (RFC 9112 §2 to §6).

/// Octets of a request line with all fields.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

/// Fields of one head.
const FIELDS_MAX: usize = 64;

/// What a request wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Get,
    Head,
    Post,
    Options,
    Other,
}

/// How the end of a body is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// So many octets; 0 where there is no body.
    Length(u64),
    Chunked,
}

/// What a server needs to know of a head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    pub method: Method,
    /// Without the query.
    pub path: String,
    /// HTTP/1.0 knows neither chunks nor interim answers.
    pub is_http10: bool,
    pub keeps_alive: bool,
    pub framing: Framing,
    /// RFC 9110 §10.1.1: the client waits for a 100 before it sends the body.
    pub expects_continue: bool,
    pub authorization: Option<String>,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub idempotency_key: Option<String>,
}

/// Why a head is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeadFault {
    Malformed(&'static str),
    /// More octets or fields than are taken.
    TooLarge,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// A transfer coding that is not `chunked`.
    Coding,
    Expectation,
}

/// Reads a head at the beginning of `octets`: how long it is and what it says; `None`: it has not
/// ended yet.
pub fn parse(octets: &[u8]) -> Result<Option<(usize, Head)>, HeadFault> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(octets).map_err(|error| match error {
        httparse::Error::TooManyHeaders => HeadFault::TooLarge,
        httparse::Error::Version => HeadFault::Version,
        _ => HeadFault::Malformed("this is no HTTP request"),
    })?;
    let length = match parsed {
        httparse::Status::Complete(length) if length <= HEAD_BYTES_MAX => length,
        httparse::Status::Partial if octets.len() < HEAD_BYTES_MAX => return Ok(None),
        _ => return Err(HeadFault::TooLarge),
    };
    has_whole_line_ends(octets.get(..length).unwrap_or_default())?;
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(HeadFault::Malformed("the request line is not whole"));
    };
    let fields = Fields(request.headers);
    let is_http10 = version == 0;
    fields.check_host(is_http10)?;
    let head = Head {
        method: match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        },
        path: path(target)?.to_owned(),
        is_http10,
        keeps_alive: fields.keeps_alive(is_http10)?,
        framing: fields.framing(is_http10)?,
        expects_continue: fields.expects_continue(is_http10)?,
        authorization: fields.text("authorization")?,
        content_type: fields.text("content-type")?,
        content_encoding: fields.text("content-encoding")?,
        idempotency_key: fields.text("idempotency-key")?,
    };
    Ok(Some((length, head)))
}

/// A CR or LF alone ends a line for one implementation and not for another.
fn has_whole_line_ends(head: &[u8]) -> Result<(), HeadFault> {
    let mut before = 0;
    for octet in head {
        if (*octet == b'\n') != (before == b'\r') {
            return Err(HeadFault::Malformed(
                "a line ends with CR LF and nothing else",
            ));
        }
        before = *octet;
    }
    Ok(())
}

/// The path of origin-form or absolute-form (RFC 9112 §3.2); the query says nothing here.
fn path(target: &str) -> Result<&str, HeadFault> {
    let rest = match target.split_once("://") {
        Some(("http" | "https", rest)) => match rest.find('/') {
            Some(at) => rest.get(at..).unwrap_or("/"),
            None => "/",
        },
        _ => target,
    };
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    match path.starts_with('/') || path == "*" {
        true => Ok(path),
        false => Err(HeadFault::Malformed("the target is no path")),
    }
}

struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.0.iter();
        let named = fields.filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| field.value.trim_ascii())
    }

    /// The members of a list, over all fields of that name.
    fn members(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let values = self.all(name);
        let members = values.flat_map(|value| value.split(|octet| *octet == b','));
        members
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    /// A field that may stand there once.
    fn text(&self, name: &str) -> Result<Option<String>, HeadFault> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(HeadFault::Malformed("a field stands there twice"));
        }
        let readable = |value: &[u8]| {
            let text = str::from_utf8(value).ok().filter(|text| text.is_ascii());
            text.map(str::to_owned)
                .ok_or(HeadFault::Malformed("a field is not ASCII"))
        };
        first.map(readable).transpose()
    }

    /// RFC 9112 §3.2: exactly one of them.
    fn check_host(&self, is_http10: bool) -> Result<(), HeadFault> {
        match self.all("host").count() {
            1 => Ok(()),
            0 if is_http10 => Ok(()),
            _ => Err(HeadFault::Malformed("there must be one Host field")),
        }
    }

    fn keeps_alive(&self, is_http10: bool) -> Result<bool, HeadFault> {
        let says = |word: &[u8]| {
            self.members("connection")
                .any(|member| member.eq_ignore_ascii_case(word))
        };
        Ok(match is_http10 {
            true => says(b"keep-alive"),
            false => !says(b"close"),
        })
    }

    /// RFC 9112 §6: what could be read in two ways is read in none.
    fn framing(&self, is_http10: bool) -> Result<Framing, HeadFault> {
        let mut codings = self.members("transfer-encoding");
        let lengths = || self.members("content-length");
        if let Some(coding) = codings.next() {
            if is_http10 || lengths().next().is_some() {
                return Err(HeadFault::Malformed("the length of the body is said twice"));
            }
            return match coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
                true => Ok(Framing::Chunked),
                false => Err(HeadFault::Coding),
            };
        }
        if self.all("transfer-encoding").next().is_some() {
            return Err(HeadFault::Coding);
        }
        let mut length = None;
        for said in lengths() {
            let number =
                decimal(said).ok_or(HeadFault::Malformed("Content-Length is no number"))?;
            if length.is_some_and(|known| known != number) {
                return Err(HeadFault::Malformed("the length of the body is said twice"));
            }
            length = Some(number);
        }
        match length {
            None if self.all("content-length").next().is_some() => {
                Err(HeadFault::Malformed("Content-Length is no number"))
            }
            _ => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }

    fn expects_continue(&self, is_http10: bool) -> Result<bool, HeadFault> {
        match self.text("expect")? {
            None => Ok(false),
            Some(_) if is_http10 => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("100-continue") => Ok(true),
            Some(_) => Err(HeadFault::Expectation),
        }
    }
}

/// Digits and nothing else: `+5`, `0x5` and ` 5` are read differently elsewhere.
fn decimal(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.len() <= 18 && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        let add = |sum: u64, digit: &u8| sum * 10 + u64::from(digit - b'0');
        text.iter().fold(0, add)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, HeadFault> {
        let (length, head) = parse(text.as_bytes())?.expect("it is whole");
        assert_eq!(length, text.len());
        Ok(head)
    }

    fn with(fields: &str) -> Result<Head, HeadFault> {
        head(&format!(
            "POST /v1/messages HTTP/1.1\r\nHost: a\r\n{fields}\r\n"
        ))
    }

    #[test]
    fn reads_what_clients_send() {
        let fields = "Content-Length: 12\r\nAuthorization: Bearer x\r\nExpect: 100-Continue\r\n\
            Content-Type: application/json\r\nIdempotency-Key: k 1\r\n";
        let head = with(fields).unwrap();
        assert_eq!(
            (head.method, head.path.as_str()),
            (Method::Post, "/v1/messages")
        );
        assert_eq!(head.framing, Framing::Length(12));
        assert!(head.keeps_alive && head.expects_continue && !head.is_http10);
        assert_eq!(head.authorization.as_deref(), Some("Bearer x"));
        assert_eq!(head.idempotency_key.as_deref(), Some("k 1"));
        let old = head_of_old();
        assert!(!old.keeps_alive && old.is_http10);
        assert_eq!(old.path, "/x");
        assert!(!with("Connection: x, Close\r\n").unwrap().keeps_alive);
        assert_eq!(
            with("Transfer-Encoding: Chunked\r\n").unwrap().framing,
            Framing::Chunked
        );
    }

    fn head_of_old() -> Head {
        head("GET http://h/x?y=1 HTTP/1.0\r\n\r\n").unwrap()
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for fields in [
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1, 2\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: \r\n",
            "Transfer-Encoding : chunked\r\n",
            "X: a\r\n b\r\n",
            "X: a\nY: b\r\n",
            "X: a\rY: b\r\n",
            "Host: b\r\n",
            "Authorization: a\r\nAuthorization: b\r\n",
            "Authorization: \u{e9}\r\n",
            "Expect: much\r\n",
        ] {
            assert!(with(fields).is_err(), "{fields:?}");
        }
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "GET /\r\n\r\n",
            "GET x HTTP/1.1\r\nHost: a\r\n\r\n",
            "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(HEAD_BYTES_MAX));
        assert_eq!(parse(endless.as_bytes()), Err(HeadFault::TooLarge));
        let many = "X: y\r\n".repeat(FIELDS_MAX + 1);
        assert_eq!(with(&many), Err(HeadFault::TooLarge));
        assert_eq!(parse(b"GET / HT"), Ok(None));
    }
}
