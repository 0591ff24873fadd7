//! Where in HTML a value would stand, and what it must not do there.
//!
//! Not a parser of HTML: only what decides whether five escapes are enough. They are in text and in
//! quoted attributes; nowhere else is a value let in. What browsers read in several ways (a quote
//! in a tag name, an unquoted attribute) is nowhere else.

use super::Escape;

/// The place after some text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Where {
    state: State,
    /// Of the tag that is open, of a raw element whose end is awaited, or of an attribute.
    tag: String,
    attribute: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Text,
    /// Behind `<`.
    TagOpen,
    TagName,
    /// Between attributes.
    InTag,
    AttributeName,
    /// Behind `=`.
    BeforeValue,
    /// Inside `"` or `'`; whether something stands before.
    Quoted(char, bool),
    Unquoted,
    /// `<!` up to `>`, or `-->` where it is a remark.
    Declaration,
    Comment(u8),
    /// Inside script, style, textarea or title, up to its end tag.
    Raw,
}

impl Where {
    /// What must be done to a value here; `Err`: none may stand here.
    pub(super) fn escape(&self) -> Result<Escape, &'static str> {
        match self.state {
            State::Text => Ok(Escape::Html),
            State::Quoted(..) if self.attribute.starts_with("on") => {
                Err("a value must not stand in a script; say it in text")
            }
            State::Quoted(..) if self.attribute == "style" || self.attribute == "srcdoc" => {
                Err("a value must not stand in style or srcdoc")
            }
            State::Quoted(_, false) if is_url(&self.attribute) => Ok(Escape::Url),
            State::Quoted(..) => Ok(Escape::Html),
            State::BeforeValue | State::Unquoted => {
                Err("an attribute with a value in it needs quotes")
            }
            State::Raw => Err("a value must not stand in script, style, title or textarea"),
            State::Comment(_) | State::Declaration => Err("a value must not stand in a remark"),
            State::TagOpen | State::TagName | State::InTag | State::AttributeName => {
                Err("a value must not make tags or attributes")
            }
        }
    }

    /// The same part of HTML, however much of an attribute's value stands before.
    pub(super) fn is_like(&self, other: &Where) -> bool {
        let (mut one, mut two) = (self.clone(), other.clone());
        one.pass_value();
        two.pass_value();
        one == two
    }

    /// A value stood here.
    pub(super) fn pass_value(&mut self) {
        if let State::Quoted(quote, _) = self.state {
            self.state = State::Quoted(quote, true);
        }
    }

    pub(super) fn pass(&mut self, text: &str) {
        for sign in text.chars() {
            self.state = self.next(sign);
        }
    }

    fn next(&mut self, sign: char) -> State {
        match self.state {
            State::Text if sign == '<' => self.tag_begins(),
            State::Text => State::Text,
            State::TagOpen => match sign {
                '!' | '?' => State::Declaration,
                '/' => {
                    self.tag.push('/');
                    State::TagName
                }
                sign if sign.is_ascii_alphabetic() => {
                    self.tag.push(sign.to_ascii_lowercase());
                    State::TagName
                }
                _ => State::Text,
            },
            State::TagName => match sign {
                '>' => self.tag_ends(),
                sign if sign.is_whitespace() || sign == '/' => State::InTag,
                sign => {
                    keep(&mut self.tag, sign);
                    State::TagName
                }
            },
            State::InTag => self.attribute_begins(sign),
            State::AttributeName => match sign {
                '=' => State::BeforeValue,
                '>' => self.tag_ends(),
                sign if sign.is_whitespace() || sign == '/' => State::InTag,
                sign => {
                    keep(&mut self.attribute, sign);
                    State::AttributeName
                }
            },
            State::BeforeValue => match sign {
                '"' | '\'' => State::Quoted(sign, false),
                '>' => self.tag_ends(),
                sign if sign.is_whitespace() => State::BeforeValue,
                _ => State::Unquoted,
            },
            State::Quoted(quote, _) if sign == quote => State::InTag,
            State::Quoted(quote, begun) => State::Quoted(quote, begun || !sign.is_whitespace()),
            State::Unquoted => match sign {
                '>' => self.tag_ends(),
                sign if sign.is_whitespace() => State::InTag,
                _ => State::Unquoted,
            },
            State::Declaration => match sign {
                '-' => State::Comment(0),
                '>' => State::Text,
                _ => State::Declaration,
            },
            State::Comment(dashes) => match (sign, dashes) {
                ('-', dashes) => State::Comment(dashes.saturating_add(1).min(3)),
                ('>', 2..) => State::Text,
                _ => State::Comment(0),
            },
            State::Raw => self.raw(sign),
        }
    }

    fn tag_begins(&mut self) -> State {
        self.tag.clear();
        State::TagOpen
    }

    fn attribute_begins(&mut self, sign: char) -> State {
        match sign {
            '>' => self.tag_ends(),
            // `a = "b"`: the name stands before the blank.
            '=' if !self.attribute.is_empty() => State::BeforeValue,
            sign if sign.is_whitespace() || sign == '/' => State::InTag,
            sign => {
                self.attribute.clear();
                keep(&mut self.attribute, sign);
                State::AttributeName
            }
        }
    }

    fn tag_ends(&mut self) -> State {
        self.attribute.clear();
        match RAW.contains(&self.tag.as_str()) {
            true => {
                // What has been seen of the end tag.
                self.attribute.clear();
                State::Raw
            }
            false => {
                self.tag.clear();
                State::Text
            }
        }
    }

    /// Looks for `</tag`, and leaves the rest of that tag to the others.
    fn raw(&mut self, sign: char) -> State {
        if sign == '<' {
            self.attribute.clear();
        }
        keep(&mut self.attribute, sign);
        let end = format!("</{}", self.tag);
        match self.attribute == end {
            true => {
                self.attribute.clear();
                self.tag.insert(0, '/');
                State::TagName
            }
            false => State::Raw,
        }
    }
}

fn keep(word: &mut String, sign: char) {
    if word.len() < WORD_BYTES_MAX {
        word.push(sign.to_ascii_lowercase());
    }
}

/// Attributes whose value is followed.
fn is_url(attribute: &str) -> bool {
    const URLS: [&str; 12] = [
        "href",
        "src",
        "action",
        "formaction",
        "cite",
        "background",
        "poster",
        "data",
        "srcset",
        "longdesc",
        "usemap",
        "xlink:href",
    ];
    URLS.contains(&attribute)
}

/// A name longer than this is none of those that are looked for.
const WORD_BYTES_MAX: usize = 32;

const RAW: [&str; 6] = ["script", "style", "textarea", "title", "xmp", "noscript"];
