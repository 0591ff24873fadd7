//! What a request says, as JSON: borrowed from its octets, every list with a most.
//!
//! Data for templates stay JSON text until their recipient's message is made, so that a request in
//! memory is not much more than its octets.

use super::problem::{Fault, Problem};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::config::inject::REQUEST_RECIPIENTS_MAX;

/// `POST /v1/messages`.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Request<'a> {
    #[serde(borrow)]
    pub(super) from: Option<Mailbox<'a>>,
    /// The reverse-path; empty for none, which hears of no bounce.
    #[serde(borrow)]
    pub(super) envelope_from: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) reply_to: Option<Mailbox<'a>>,
    #[serde(borrow)]
    pub(super) to: Few<Mailbox<'a>, RECIPIENTS_MAX>,
    #[serde(borrow)]
    pub(super) cc: Few<Mailbox<'a>, RECIPIENTS_MAX>,
    #[serde(borrow)]
    pub(super) bcc: Few<Mailbox<'a>, RECIPIENTS_MAX>,
    #[serde(borrow)]
    pub(super) subject: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) html: Option<Text<'a>>,
    /// Subject, text and html are templates; so they are where there are substitutions.
    pub(super) template: Option<bool>,
    /// Each of `to` gets a message that names only it; so where there are templates and several.
    pub(super) separate: Option<bool>,
    #[serde(borrow)]
    pub(super) substitutions: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) attachments: Few<Attachment<'a>, ATTACHMENTS_MAX>,
    #[serde(borrow)]
    pub(super) headers: Fields<'a>,
    /// A whole message in base64, instead of all the above but the recipients.
    #[serde(borrow)]
    pub(super) raw: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) tenant: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) campaign: Option<Text<'a>>,
    /// RFC 6710: −9 to 9.
    pub(super) priority: Option<i8>,
    #[serde(borrow)]
    pub(super) send_at: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) deliver_by: Option<Text<'a>>,
    /// How long it is tried, as in `4h`.
    #[serde(borrow)]
    pub(super) expire: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) dsn: Option<Dsn<'a>>,
    /// Comes back in the events of this request.
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
}

/// `"a@b.c"`, or an object with more of it.
#[derive(Debug)]
pub(super) struct Mailbox<'a> {
    pub(super) email: Text<'a>,
    pub(super) name: Option<Text<'a>>,
    pub(super) substitutions: Option<&'a RawValue>,
    pub(super) metadata: Option<&'a RawValue>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Attachment<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    /// In base64.
    #[serde(borrow)]
    pub(super) content: Text<'a>,
    /// Then it is shown where html says `cid:…`.
    #[serde(borrow)]
    pub(super) cid: Option<Text<'a>>,
}

/// RFC 3461.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Dsn<'a> {
    #[serde(borrow)]
    pub(super) notify: Few<Text<'a>, 4>,
    #[serde(borrow)]
    pub(super) ret: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) envid: Option<Text<'a>>,
}

/// Header fields in the order in which they stand there.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(pub(super) Vec<(Text<'a>, Text<'a>)>);

/// A text, borrowed where JSON has no escapes in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text<'a>(pub(super) Cow<'a, str>);

/// A list of at most `MOST`.
#[derive(Debug)]
pub(super) struct Few<T, const MOST: usize>(pub(super) Vec<T>);

impl<'a> Request<'a> {
    /// Reads the body of a request; `Err` names the field.
    pub fn read(octets: &'a [u8]) -> Result<Request<'a>, Problem> {
        // Positions of a list would be taken for members.
        if octets.trim_ascii_start().first() == Some(&b'[') {
            let fault = Fault::new("", "expected an object");
            return Err(Problem::invalid(vec![fault]));
        }
        let mut json = serde_json::Deserializer::from_slice(octets);
        let request = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let pointer = pointer(error.path());
            problem(&error.into_inner(), pointer)
        })?;
        json.end().map_err(|error| problem(&error, String::new()))?;
        Ok(request)
    }
}

/// RFC 8259 broken is a 400; JSON of another shape a 422.
fn problem(error: &serde_json::Error, pointer: String) -> Problem {
    let fault = Fault::new(pointer, error.to_string());
    match error.classify() {
        serde_json::error::Category::Data => Problem::invalid(vec![fault]),
        _ => Problem::new(400, "not-json", "The body is no JSON.").about(fault),
    }
}

/// RFC 6901 §3.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

impl Text<'_> {
    pub(super) fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Mailbox<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mailbox<'a>, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole<'a> {
            #[serde(borrow)]
            email: Text<'a>,
            #[serde(borrow)]
            name: Option<Text<'a>>,
            #[serde(borrow)]
            substitutions: Option<&'a RawValue>,
            #[serde(borrow)]
            metadata: Option<&'a RawValue>,
        }
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Mailbox<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, or an object with email")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Mailbox<'de>, E> {
                Ok(Mailbox::bare(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Mailbox<'de>, E> {
                Ok(Mailbox::bare(Cow::Owned(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Mailbox<'de>, A::Error> {
                let map = de::value::MapAccessDeserializer::new(map);
                let whole = Whole::deserialize(map)?;
                Ok(Mailbox {
                    email: whole.email,
                    name: whole.name,
                    substitutions: whole.substitutions,
                    metadata: whole.metadata,
                })
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'a> Mailbox<'a> {
    fn bare(email: Cow<'a, str>) -> Mailbox<'a> {
        Mailbox {
            email: Text(email),
            name: None,
            substitutions: None,
            metadata: None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields<'a>, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of header fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    if fields.len() == FIELDS_MAX {
                        return Err(de::Error::custom(format!("more than {FIELDS_MAX} fields")));
                    }
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Few<T, MOST>, D::Error> {
        struct Reader<T, const MOST: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Reader<T, MOST> {
            type Value = Few<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MOST}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T, MOST>, A::Error> {
                let mut few = Vec::new();
                while let Some(one) = list.next_element()? {
                    if few.len() == MOST {
                        return Err(de::Error::invalid_length(MOST + 1, &self));
                    }
                    few.push(one);
                }
                Ok(Few(few))
            }
        }
        deserializer.deserialize_seq(Reader(PhantomData))
    }
}

impl<T, const MOST: usize> Default for Few<T, MOST> {
    fn default() -> Few<T, MOST> {
        Few(Vec::new())
    }
}

/// Of each list; of all three together the configuration says less.
const RECIPIENTS_MAX: usize = REQUEST_RECIPIENTS_MAX as usize;

/// Whatever the configuration says.
const ATTACHMENTS_MAX: usize = 1_000;

/// Header fields of a client's own.
const FIELDS_MAX: usize = 100;
