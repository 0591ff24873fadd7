//! The first words of a message, as a list of messages shows them (RFC 8970).
//!
//! Taken from the first text part that is no attachment, of alternatives the plain one. White space
//! of any kind becomes one space. Bounded: what is looked at of a part is [`RAW_BYTES_MAX`].

use super::charset;
use super::content::Content;
use super::part::{Inner, Part, Structure};

/// Characters of a preview (RFC 8970 §3.1).
pub const CHARACTERS_MAX: usize = 200;

/// Octets of a part, its transfer encoding undone, that are looked at: newsletters begin with
/// style sheets.
pub const RAW_BYTES_MAX: u32 = 64 << 10;

/// The part whose beginning stands for the message; `None` where there is no text.
#[must_use]
pub fn part_of(structure: &Structure) -> Option<&Part> {
    text_part(&structure.root)
}

/// The preview that octets of such a part make.
#[must_use]
pub fn of(octets: &[u8], content: &Content) -> String {
    let name = content.content_type.params.value("charset");
    let text = charset::decode(charset::named_or_utf8(name.as_deref()), octets);
    if content.content_type.is("text", "html") {
        let mut gathered = Gathered::default();
        strip(&text, &mut gathered);
        return gathered.text;
    }
    let mut gathered = Gathered::default();
    for character in text.chars() {
        if !gathered.push(character) {
            break;
        }
    }
    gathered.text
}

fn text_part(part: &Part) -> Option<&Part> {
    let content = &part.content;
    let disposition = content.disposition.as_ref();
    if disposition.is_some_and(|it| it.kind.eq_ignore_ascii_case(b"attachment")) {
        return None;
    }
    match &part.inner {
        Inner::Leaf => {
            let kind = &content.content_type;
            (kind.is("text", "plain") || kind.is("text", "html")).then_some(part)
        }
        Inner::Multipart(parts) if content.content_type.is("multipart", "alternative") => {
            let texts: Vec<&Part> = parts.iter().filter_map(text_part).collect();
            let plain = |part: &&&Part| part.content.content_type.is("text", "plain");
            texts.iter().find(plain).or(texts.first()).copied()
        }
        Inner::Multipart(parts) => parts.iter().find_map(text_part),
        Inner::Message(_) => None,
    }
}

/// Words with one space between them.
#[derive(Default)]
struct Gathered {
    text: String,
    characters: usize,
    space: bool,
}

impl Gathered {
    /// `false`: it is full.
    fn push(&mut self, character: char) -> bool {
        if character.is_whitespace() || character.is_control() {
            self.space = true;
            return true;
        }
        if is_invisible(character) {
            return true;
        }
        let space = std::mem::take(&mut self.space) && !self.text.is_empty();
        if self.characters + usize::from(space) >= CHARACTERS_MAX {
            return false;
        }
        if space {
            self.text.push(' ');
        }
        self.text.push(character);
        self.characters += 1 + usize::from(space);
        true
    }
}

/// What senders of newsletters fill their preheaders with.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

/// The text between the tags.
fn strip(html: &str, gathered: &mut Gathered) {
    let mut rest = html;
    while let Some(character) = rest.chars().next() {
        let after = rest.get(character.len_utf8()..).unwrap_or_default();
        let (shown, next) = match character {
            '<' => {
                let (shown, next) = tag(rest);
                (shown.then_some(' '), next)
            }
            '&' => {
                let (decoded, next) = entity(after);
                (Some(decoded), next)
            }
            other => (Some(other), after),
        };
        if shown.is_some_and(|shown| !gathered.push(shown)) {
            return;
        }
        rest = next;
    }
}

/// Elements whose text nobody reads.
const HIDDEN: [&str; 4] = ["style", "script", "head", "title"];

/// Elements in the middle of words.
const INLINE: [&str; 9] = ["b", "i", "u", "em", "strong", "span", "font", "a", "wbr"];

/// Behind the tag, comment or hidden element at the front; whether it parts words.
fn tag(rest: &str) -> (bool, &str) {
    if rest.starts_with("<!--") {
        let end = rest.find("-->").map_or(rest.len(), |at| at + 3);
        return (false, rest.get(end..).unwrap_or_default());
    }
    let inside = rest.get(1..).unwrap_or_default();
    let name = inside.strip_prefix('/').unwrap_or(inside);
    let length = name.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let name = name.get(..length).unwrap_or_default();
    let is = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
    let end = rest.find('>').map_or(rest.len(), |at| at + 1);
    let behind = rest.get(end..).unwrap_or_default();
    if is(&HIDDEN) && !inside.starts_with('/') {
        return (true, behind_element(behind, name));
    }
    (!is(&INLINE), behind)
}

/// Behind the end tag of an element whose content is skipped; at the end where there is none.
fn behind_element<'a>(rest: &'a str, name: &str) -> &'a str {
    let mut at = 0;
    while let Some(found) = rest.get(at..).and_then(|rest| rest.find("</")) {
        at += found + 2;
        let here = rest.get(at..).unwrap_or_default();
        let is_end = here
            .get(..name.len())
            .is_some_and(|word| word.eq_ignore_ascii_case(name));
        if is_end {
            let end = here.find('>').map_or(here.len(), |at| at + 1);
            return here.get(end..).unwrap_or_default();
        }
    }
    ""
}

/// Named characters that mail uses.
const ENTITIES: [(&str, char); 34] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("ndash", '–'),
    ("mdash", '—'),
    ("rsquo", '’'),
    ("hellip", '…'),
    ("euro", '€'),
    ("zwnj", '\u{200c}'),
    ("shy", '\u{ad}'),
    ("lsquo", '‘'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("bull", '•'),
    ("middot", '·'),
    ("copy", '©'),
    ("reg", '®'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("eacute", 'é'),
    ("egrave", 'è'),
    ("agrave", 'à'),
    ("ccedil", 'ç'),
    ("ntilde", 'ñ'),
];

/// Longest name or number between `&` and `;`.
const ENTITY_BYTES_MAX: usize = 8;

/// The character that stands behind an ampersand, or the ampersand itself.
fn entity(rest: &str) -> (char, &str) {
    let plain = ('&', rest);
    let Some(end) = rest
        .bytes()
        .take(ENTITY_BYTES_MAX + 1)
        .position(|b| b == b';')
    else {
        return plain;
    };
    let (Some(name), Some(behind)) = (rest.get(..end), rest.get(end + 1..)) else {
        return plain;
    };
    let number = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        },
        None => None,
    };
    let named = ENTITIES.iter().find(|(known, _)| *known == name);
    match number.and_then(char::from_u32).or(named.map(|(_, c)| *c)) {
        Some(character) => (character, behind),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_message(message: &str) -> Option<String> {
        let structure = Structure::of(message.as_bytes());
        let part = part_of(&structure)?;
        let range = part.body.start as usize..part.body.end as usize;
        Some(of(message.as_bytes().get(range)?, &part.content))
    }

    #[test]
    fn plain_text_in_its_charset() {
        let message = "Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n\r\n  an  alle\r\n";
        assert_eq!(of_message(message).as_deref(), Some("Grüße an alle"));
        let latin = Content {
            content_type: super::super::content::ContentType::parse(b"text/plain; charset=latin1")
                .expect("a type"),
            ..Content::default()
        };
        assert_eq!(of(b"Gr\xfc\xdfe", &latin), "Grüße");
        assert_eq!(of(&[b'a'; 999], &latin).len(), CHARACTERS_MAX);
    }

    #[test]
    fn the_text_of_html() {
        let html = "<html><head><title>no</title><STYLE>p{}</style></head><!-- no --><p>One\
            <br>two&nbsp;&amp; th<b>ree</b> &#8364;&#x41; &unknown; a&b</p>\
            <script>if(a<b)</script>.";
        let message = format!("Content-Type: text/html\r\n\r\n{html}");
        let expected = "One two & three €A &unknown; a&b .";
        assert_eq!(of_message(&message).as_deref(), Some(expected));
    }

    #[test]
    fn the_plain_alternative_and_no_attachment() {
        let part = |kind: &str, extra: &str, text: &str| {
            format!("--b\r\nContent-Type: text/{kind}\r\n{extra}\r\n{text}\r\n")
        };
        let multipart = |kind: &str, parts: &[String]| {
            format!(
                "Content-Type: multipart/{kind}; boundary=b\r\n\r\n{}--b--\r\n",
                parts.concat()
            )
        };
        let attached = "Content-Disposition: attachment\r\n";
        let (html, plain) = (part("html", "", "<i>h</i>"), part("plain", "", "p"));
        let file = part("plain", attached, "file");
        let both = [html.clone(), plain.clone()];
        assert_eq!(
            of_message(&multipart("alternative", &both)).as_deref(),
            Some("p")
        );
        let mixed = [file.clone(), html];
        assert_eq!(
            of_message(&multipart("mixed", &mixed)).as_deref(),
            Some("h")
        );
        assert_eq!(of_message(&multipart("mixed", &[file])), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_short_and_one_line(
            html in "(<|>|&|;|/|!|-|#|x|a|é|\n|style| ){0,80}",
        ) {
            let mut gathered = Gathered::default();
            strip(&html, &mut gathered);
            prop_assert!(gathered.text.chars().count() <= CHARACTERS_MAX);
            prop_assert!(!gathered.text.contains('\n'));
        }
    }
}
