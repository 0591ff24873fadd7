//! One answer: status line, fields, body, all of known length (RFC 9112 §4, §6.3).

use std::io::Write;

/// What is said to a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    pub status: u16,
    /// Of the body; nothing is said where there is no body.
    pub content_type: &'static str,
    /// Our own fields: names and values are never a client's words.
    pub fields: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Response {
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Response {
        Response {
            status,
            content_type,
            fields: Vec::new(),
            body,
        }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.fields.push((name, value.into()));
        self
    }

    /// Appends the octets of the answer. To a HEAD the body is only told of.
    pub fn write(&self, keeps_alive: bool, without_body: bool, out: &mut Vec<u8>) {
        let say = |out: &mut Vec<u8>, text: std::fmt::Arguments<'_>| {
            out.write_fmt(text).expect("a Vec takes every write");
        };
        out.reserve(256 + self.body.len());
        say(
            out,
            format_args!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)),
        );
        for (name, value) in &self.fields {
            say(out, format_args!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            say(out, format_args!("Content-Type: {}\r\n", self.content_type));
        }
        say(out, format_args!("Content-Length: {}\r\n", self.body.len()));
        // What is answered is for whoever asked, now.
        say(out, format_args!("Cache-Control: no-store\r\n"));
        if !keeps_alive {
            say(out, format_args!("Connection: close\r\n"));
        }
        out.extend_from_slice(b"\r\n");
        if !without_body {
            out.extend_from_slice(&self.body);
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_long_it_is() {
        let response = Response::new(200, "text/plain", b"ok".to_vec()).with("Allow", "POST");
        let mut out = Vec::new();
        response.write(true, false, &mut out);
        let text = String::from_utf8(out).unwrap();
        let expected = "HTTP/1.1 200 OK\r\nAllow: POST\r\nContent-Type: text/plain\r\n\
            Content-Length: 2\r\nCache-Control: no-store\r\n\r\nok";
        assert_eq!(text, expected);
        let mut out = Vec::new();
        response.write(false, true, &mut out);
        assert!(out.ends_with(
            b"Content-Length: 2\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        ));
    }
}
