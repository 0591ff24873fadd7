//! The data of IMAP responses: atoms, strings and lists (RFC 9051 §4).
//!
//! Strict about what a server may send: an unfinished string, a wrong escape, a missing space or
//! an unbalanced list is an error. Not recursive, so that a structure of any depth is readable.

/// One datum. A quoted string and a literal are the same thing to a reader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Nil,
    Atom(Vec<u8>),
    Text(Vec<u8>),
    List(Vec<Value>),
}

impl Value {
    pub fn list(&self) -> Option<&[Value]> {
        match self {
            Value::List(values) => Some(values),
            _ => None,
        }
    }

    /// The octets of an atom or string.
    pub fn octets(&self) -> Option<&[u8]> {
        match self {
            Value::Atom(octets) | Value::Text(octets) => Some(octets),
            _ => None,
        }
    }

    pub fn string(&self) -> Option<String> {
        self.octets()
            .map(|octets| String::from_utf8_lossy(octets).into_owned())
    }

    pub fn number(&self) -> Option<u64> {
        match self {
            Value::Atom(octets) => std::str::from_utf8(octets).ok()?.parse().ok(),
            _ => None,
        }
    }
}

/// Reads a whole response, its `*` and words included.
pub fn parse(response: &[u8]) -> Result<Vec<Value>, String> {
    let mut reader = Reader {
        octets: response,
        at: 0,
    };
    let mut open: Vec<Vec<Value>> = vec![Vec::new()];
    while let Some(octet) = reader.peek() {
        match octet {
            b' ' => reader.at += 1,
            b'(' => {
                reader.at += 1;
                open.push(Vec::new());
            }
            b')' => {
                reader.at += 1;
                let closed = open.pop().expect("the outermost is never popped");
                let outer = open.last_mut().ok_or("a parenthesis closes nothing")?;
                outer.push(Value::List(closed));
            }
            _ => {
                let value = reader.single()?;
                open.last_mut()
                    .expect("the outermost is never popped")
                    .push(value);
            }
        }
    }
    let outermost = open.pop().expect("the outermost is never popped");
    if open.is_empty() {
        Ok(outermost)
    } else {
        Err("a parenthesis stays open".into())
    }
}

struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    fn single(&mut self) -> Result<Value, String> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            // Any other `~` begins an atom.
            Some(b'~') if self.octets.get(self.at + 1) == Some(&b'{') => {
                self.at += 1;
                self.literal()
            }
            _ => self.atom(),
        }
    }

    fn quoted(&mut self) -> Result<Value, String> {
        let mut text = Vec::new();
        loop {
            self.at += 1;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    let escaped = self.peek().filter(|octet| matches!(octet, b'"' | b'\\'));
                    text.push(escaped.ok_or("a wrong escape in a quoted string")?);
                }
                Some(b'\r' | b'\n' | 0) | None => return Err("a quoted string stays open".into()),
                Some(octet) => text.push(octet),
            }
        }
        self.at += 1;
        Ok(Value::Text(text))
    }

    fn literal(&mut self) -> Result<Value, String> {
        let rest = &self.octets[self.at..];
        let end = rest
            .iter()
            .position(|octet| *octet == b'}')
            .ok_or("a literal without count")?;
        let digits = rest
            .get(1..end)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let count: usize = digits
            .and_then(|n| n.parse().ok())
            .ok_or("a literal without count")?;
        let start = end + 1 + b"\r\n".len();
        let text = rest.get(start..start + count).ok_or("a literal is cut")?;
        self.at += start + count;
        Ok(Value::Text(text.to_vec()))
    }

    /// An atom; brackets in it may hold anything, as in `BODY[HEADER.FIELDS (A "b c")]<0>`.
    fn atom(&mut self) -> Result<Value, String> {
        let (start, mut brackets) = (self.at, 0usize);
        while let Some(octet) = self.peek() {
            match octet {
                b'[' => brackets += 1,
                b']' => brackets = brackets.saturating_sub(1),
                b' ' | b'(' | b')' if brackets == 0 => break,
                b'\r' | b'\n' => return Err("a line end in an atom".into()),
                _ => {}
            }
            self.at += 1;
        }
        let atom = &self.octets[start..self.at];
        if brackets > 0 {
            return Err("a bracket stays open".into());
        }
        Ok(if atom.eq_ignore_ascii_case(b"NIL") {
            Value::Nil
        } else {
            Value::Atom(atom.to_vec())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read() {
        let values = parse(b"* (A \"b\\\"c\" {3}\r\n\r\n) NIL (B[C (D)]<1> ()))").unwrap();
        let text = |octets: &[u8]| Value::Text(octets.to_vec());
        let atom = |octets: &[u8]| Value::Atom(octets.to_vec());
        let inner = Value::List(vec![atom(b"B[C (D)]<1>"), Value::List(vec![])]);
        let list = vec![atom(b"A"), text(b"b\"c"), text(b"\r\n)"), Value::Nil, inner];
        assert_eq!(values, vec![atom(b"*"), Value::List(list)]);
    }

    #[test]
    fn faults_are_faults() {
        for wrong in [
            "(",
            ")",
            "\"a",
            "\"\\n\"",
            "{5}\r\nabc",
            "{x}\r\n",
            "A[",
            "\"a\rb\"",
        ] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = [vec![b'('; 50_000], vec![b')'; 50_000]].concat();
        std::mem::forget(parse(&deep).unwrap());
    }
}
