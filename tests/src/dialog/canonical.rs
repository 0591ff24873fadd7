//! IMAP responses as one line of text: a literal and a quoted string look the same.
//!
//! `{3}CRLF a"b` and `"a\"b"` both become `"a\"b"`; octets that are not printable become `\r`,
//! `\n`, `\0` or `\xNN`; names of mailboxes lose needless quotes. UTF-8 stays as it is. The human
//! text of status responses is left alone.

/// The response as a pattern sees it.
pub(super) fn canonical(response: &[u8]) -> String {
    if is_status(response) {
        return String::from_utf8_lossy(response).into_owned();
    }
    let mut text = Vec::new();
    let mut rest = response;
    while let Some((octet, behind)) = rest.split_first() {
        rest = match octet {
            b'"' => quoted(behind, &mut text),
            b'{' => literal(rest, &mut text),
            // A literal8 is the same datum (RFC 3516 §4.3).
            b'~' if behind.first() == Some(&b'{') => behind,
            _ => {
                text.push(*octet);
                behind
            }
        };
    }
    with_bare_name(String::from_utf8_lossy(&text).into_owned())
}

/// Mailbox names that need no quotes lose them: a server may quote them or not.
fn with_bare_name(text: String) -> String {
    let behind_delimiter = |at: usize| Some(at + text[at..].find(") ")? + ") \"/\" ".len());
    let start = match text.split(' ').nth(1) {
        Some("LIST" | "LSUB") => behind_delimiter(0),
        Some("STATUS") => Some("* STATUS ".len()),
        _ => None,
    };
    let quoted = start.and_then(|start| text.get(start..)?.strip_prefix('"'));
    let Some((name, behind)) = quoted.and_then(|quoted| quoted.split_once('"')) else {
        return text;
    };
    if name.is_empty() || name.contains([' ', '(', ')', '\\']) {
        return text;
    }
    format!("{}{name}{behind}", &text[..start.unwrap_or(0)])
}

/// Tagged responses, `+`, and untagged OK, NO, BAD, BYE and PREAUTH end in text for humans.
fn is_status(response: &[u8]) -> bool {
    let Some(rest) = response.strip_prefix(b"* ") else {
        return true;
    };
    let words: [&[u8]; 5] = [b"OK ", b"NO ", b"BAD ", b"BYE ", b"PREAUTH "];
    words.iter().any(|word| rest.starts_with(word))
}

fn quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> &'a [u8] {
    let mut content = Vec::new();
    loop {
        match rest {
            [b'"', behind @ ..] => {
                rest = behind;
                break;
            }
            [b'\\', octet, behind @ ..] | [octet, behind @ ..] => {
                content.push(*octet);
                rest = behind;
            }
            [] => break,
        }
    }
    push_quoted(&content, text);
    rest
}

fn literal<'a>(rest: &'a [u8], text: &mut Vec<u8>) -> &'a [u8] {
    let end = rest.iter().position(|octet| *octet == b'}');
    let digits = end.and_then(|end| std::str::from_utf8(&rest[1..end]).ok());
    let count: Option<usize> = digits.and_then(|digits| digits.parse().ok());
    let start = end.map_or(0, |end| end + 1 + b"\r\n".len());
    match count.and_then(|count| Some((rest.get(start..start + count)?, start + count))) {
        Some((content, behind)) => {
            push_quoted(content, text);
            &rest[behind..]
        }
        None => {
            text.push(b'{');
            &rest[1..]
        }
    }
}

fn push_quoted(content: &[u8], text: &mut Vec<u8>) {
    text.push(b'"');
    for chunk in content.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => text.extend_from_slice(b"\\\""),
                '\\' => text.extend_from_slice(b"\\\\"),
                '\r' => text.extend_from_slice(b"\\r"),
                '\n' => text.extend_from_slice(b"\\n"),
                '\t' => text.extend_from_slice(b"\\t"),
                '\0' => text.extend_from_slice(b"\\0"),
                other if other.is_ascii_control() => {
                    text.extend_from_slice(format!("\\x{:02x}", other as u32).as_bytes());
                }
                other => text.extend_from_slice(other.to_string().as_bytes()),
            }
        }
        for octet in chunk.invalid() {
            text.extend_from_slice(format!("\\x{octet:02x}").as_bytes());
        }
    }
    text.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_quoted_strings_become_the_same() {
        let (quoted, literal) = (br#"* LIST () "/" "a\"b""#, b"* LIST () \"/\" {3}\r\na\"b");
        assert_eq!(canonical(quoted), canonical(literal));
        assert_eq!(
            canonical(b"* 1 FETCH (X {4}\r\n\r\n\0\xff)"),
            r#"* 1 FETCH (X "\r\n\0\xff")"#
        );
    }

    #[test]
    fn names_lose_needless_quotes() {
        assert_eq!(
            canonical(br#"* LIST (\A) "/" "A/B" ("X")"#),
            r#"* LIST (\A) "/" A/B ("X")"#
        );
        assert_eq!(canonical(br#"* STATUS "A" (X 1)"#), "* STATUS A (X 1)");
        assert_eq!(canonical(br#"* LIST () "/" """#), r#"* LIST () "/" """#);
        assert_eq!(
            canonical(br#"* LIST () "/" "a b""#),
            r#"* LIST () "/" "a b""#
        );
    }

    #[test]
    fn human_text_is_left_alone() {
        assert_eq!(
            canonical(b"* OK it's 5\" {9} wide"),
            "* OK it's 5\" {9} wide"
        );
        assert_eq!(canonical(b"a OK {3}"), "a OK {3}");
    }
}
