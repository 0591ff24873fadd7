//! BODY and BODYSTRUCTURE (RFC 9051 §7.5.2) of a scanned message.
//!
//! Types, encodings and parameters are shown as sent; parameters in sections are joined and not
//! decoded ([`super::params`]). A missing Content-Type is shown as what it means. The recursion is
//! bounded by [`super::limit::DEPTH_MAX`].

use super::content::{Content, Disposition, Params};
use super::envelope;
use super::limit::ADDRESSES_MAX;
use super::nstring::{nstring, string};
use super::part::{Inner, Nested, Part};

/// Writes the body structure of `part`, with its parentheses; for a whole message its root.
/// `extended` is BODYSTRUCTURE, otherwise BODY.
pub fn write(part: &Part, extended: bool, out: &mut Vec<u8>) {
    body(
        part,
        Form {
            extended,
            room: &mut { ADDRESSES_MAX },
        },
        out,
    );
}

/// What is written besides the part.
struct Form<'a> {
    extended: bool,
    /// Addresses that the envelopes of nested messages may still show, all together.
    room: &'a mut usize,
}

impl Form<'_> {
    fn again(&mut self) -> Form<'_> {
        Form {
            extended: self.extended,
            room: self.room,
        }
    }
}

fn body(part: &Part, form: Form<'_>, out: &mut Vec<u8>) {
    out.push(b'(');
    match &part.inner {
        Inner::Multipart(parts) => multipart(part, parts, form, out),
        Inner::Leaf => single(part, None, form, out),
        Inner::Message(nested) => single(part, Some(nested), form, out),
    }
    out.push(b')');
}

fn multipart(part: &Part, parts: &[Part], mut form: Form<'_>, out: &mut Vec<u8>) {
    for child in parts {
        body(child, form.again(), out);
    }
    out.push(b' ');
    string(&part.content.content_type.subtype, out);
    if form.extended {
        out.push(b' ');
        params(&part.content.content_type.params, out);
        dispositions(&part.content, out);
    }
}

fn single(part: &Part, nested: Option<&Nested>, mut form: Form<'_>, out: &mut Vec<u8>) {
    let content = &part.content;
    string(&content.content_type.kind, out);
    out.push(b' ');
    string(&content.content_type.subtype, out);
    out.push(b' ');
    params(&content.content_type.params, out);
    for text in [&content.id, &content.description] {
        out.push(b' ');
        nstring(text.as_deref(), out);
    }
    out.push(b' ');
    string(&content.encoding.0, out);
    number(part.body.end - part.body.start, out);
    let is_message = content.content_type.is_message();
    if let Some(nested) = nested {
        out.push(b' ');
        envelope::write_up_to(&nested.head, form.room, out);
        out.push(b' ');
        body(&nested.root, form.again(), out);
    } else if is_message {
        sealed(form.extended, out);
    }
    if is_message || content.content_type.kind_is("text") {
        number(u64::from(part.lines), out);
    }
    if form.extended {
        out.push(b' ');
        nstring(content.md5.as_deref(), out);
        dispositions(content, out);
    }
}

/// Envelope and body of a message that cannot be looked into, because it is encoded.
fn sealed(extended: bool, out: &mut Vec<u8>) {
    out.push(b' ');
    envelope::write(&[], out);
    out.extend_from_slice(b" (\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0");
    out.extend_from_slice(if extended { b" NIL NIL NIL NIL)" } else { b")" });
}

/// Disposition, language and location: the end of both extended forms.
fn dispositions(content: &Content, out: &mut Vec<u8>) {
    out.push(b' ');
    match &content.disposition {
        None => nstring(None, out),
        Some(Disposition { kind, params }) => {
            out.push(b'(');
            string(kind, out);
            out.push(b' ');
            self::params(params, out);
            out.push(b')');
        }
    }
    out.push(b' ');
    match content.language.as_slice() {
        [] => nstring(None, out),
        [one] => string(one, out),
        several => list(several.iter().map(Vec::as_slice), out),
    }
    out.push(b' ');
    nstring(content.location.as_deref(), out);
}

fn params(params: &Params, out: &mut Vec<u8>) {
    if params.0.is_empty() {
        return nstring(None, out);
    }
    list(
        params
            .0
            .iter()
            .flat_map(|p| [p.name.as_slice(), p.value.as_slice()]),
        out,
    );
}

fn list<'a>(texts: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for (place, text) in texts.enumerate() {
        out.push(if place == 0 { b'(' } else { b' ' });
        string(text, out);
    }
    out.push(b')');
}

fn number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!(" {number}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::part::Structure;
    use super::*;

    fn show(message: &str, extended: bool) -> String {
        let mut out = Vec::new();
        write(&Structure::of(message.as_bytes()).root, extended, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// So many octets in so many lines.
    fn text(octets: usize, lines: usize) -> String {
        let each = octets / lines;
        let first = format!("{}\r\n", "x".repeat(each - 2)).repeat(lines - 1);
        format!("{first}{}\r\n", "y".repeat(octets - each * (lines - 1) - 2))
    }

    #[test]
    fn the_example_of_rfc_3501_section_8() {
        let header = "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\
            Content-Transfer-Encoding: 7BIT\r\n\r\n";
        assert_eq!(
            show(&format!("{header}{}", text(3028, 92)), false),
            "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 3028 92)"
        );
    }

    #[test]
    fn the_example_of_rfc_3501_section_7_4_2() {
        let message = format!(
            "Content-Type: MULTIPART/MIXED; BOUNDARY=b\r\n\r\n\
            --b\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\
            Content-Transfer-Encoding: 7BIT\r\n\r\n{}\r\n\
            --b\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=cc.diff\r\n\
            Content-ID: <960723163407.20117h@cac.washington.edu>\r\n\
            Content-Description: Compiler diff\r\n\
            Content-Transfer-Encoding: BASE64\r\n\r\n{}\r\n--b--\r\n",
            text(1152, 23),
            text(4554, 73),
        );
        assert_eq!(
            show(&message, false),
            "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 1152 23)\
            (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\" \"NAME\" \"cc.diff\") \
            \"<960723163407.20117h@cac.washington.edu>\" \"Compiler diff\" \"BASE64\" 4554 73) \
            \"MIXED\")"
        );
    }

    #[test]
    fn extension_data_comes_after_the_basic_fields() {
        let message = "Content-Type: image/png\r\nContent-MD5: Q2hl\r\n\
            Content-Disposition: attachment; filename*0=a; filename*1=\"b c\"\r\n\
            Content-Language: de, en\r\nContent-Location: http://x/\r\n\r\nxyz\n";
        let basic = "\"image\" \"png\" NIL NIL NIL \"7bit\" 4";
        assert_eq!(show(message, false), format!("({basic})"));
        assert_eq!(
            show(message, true),
            format!(
                "({basic} \"Q2hl\" (\"attachment\" (\"filename\" \"ab c\")) \
                (\"de\" \"en\") \"http://x/\")"
            )
        );
        let message = "Content-Type: multipart/x; boundary=b\nContent-Language: fr\n\n--b\n\n";
        assert_eq!(
            show(message, true),
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) \
            \"x\" (\"boundary\" \"b\") NIL \"fr\" NIL)"
        );
    }

    #[test]
    fn an_encoded_message_shows_an_empty_one() {
        let message = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQQ==\n";
        assert_eq!(
            show(message, false),
            "(\"message\" \"rfc822\" NIL NIL NIL \"base64\" 5 \
            (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) \
            (\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0) 1)"
        );
    }

    #[test]
    fn a_message_shows_its_envelope_its_body_and_its_lines() {
        let message = "Content-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\na\r\nb\r\n";
        assert_eq!(
            show(message, true),
            "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 20 \
            (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) \
            (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 2 NIL NIL NIL NIL) \
            4 NIL NIL NIL NIL)"
        );
    }
}
