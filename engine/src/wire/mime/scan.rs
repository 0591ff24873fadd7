//! Finding the structure of a message that passes once, in pieces of any size.
//!
//! ```text
//!            empty line of a leaf                      delimiter line
//! AwaitField ───────────────────▶ AwaitDelimiter ──────────────────────▶ InDelimiter
//!     ▲  ▲                          ▲                                      │   │
//!     │  └── empty line of          └────────── end of a closing one ──────┘   │
//!     │      message/rfc822                                                    │
//!     └───────────────────── end of the line: the next part begins ────────────┘
//! ```
//!
//! Only the start of a line is ever kept, and only while it may still decide what the line is; the
//! rest is passed over with SIMD searches. A delimiter of any open multipart ends all that is open
//! inside it, in a header too (RFC 2046 §5.1.2). What is still open at the end ends there.
//!
//! What cannot be taken literally: a multipart without a usable boundary, or in which no part is
//! found, is a `text/plain` leaf, as RFC 2045 §5.2 treats a broken Content-Type, so that its text
//! can be read; what lies deeper than [`DEPTH_MAX`] is an `application/octet-stream` leaf. RFC 2045
//! §6.4 forbids to encode a multipart or a message: on a multipart the encoding is ignored, an
//! encoded message is a leaf, which BINARY and a search decode.

use std::sync::Arc;

use super::boundary::{Boundaries, Delimiter};
use super::content::{Content, ContentType};
use super::head::Head;
use super::header::is_blank;
use super::limit::{BOUNDARY_BYTES_MAX, DEPTH_MAX, HELD_BYTES_MAX, LINE_START_BYTES, PARTS_MAX};
use super::part::{Inner, Nested, Part, Structure};
use super::work::spend;

/// Scans one message.
#[derive(Clone, Debug)]
pub struct Scanner {
    state: State,
    /// Octets seen.
    octets: u64,
    /// Where the present line starts, the line ends before it, and the length of the last of them.
    line_start: u64,
    lines: u64,
    line_end: u64,
    /// The start of the present line, while it is not judged and lies in several pieces.
    start: Vec<u8>,
    /// Whether the present line is judged.
    in_line: bool,
    /// Whether the last octet was CR.
    cr: bool,
    /// The root, and in each the part that is open inside it.
    open: Vec<Open>,
    boundaries: Boundaries,
    parts: usize,
    held: usize,
    /// Whether a header held more than ASCII.
    is_wide: bool,
    plain: Arc<Content>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    AwaitField,
    AwaitDelimiter,
    /// Behind a delimiter; whether it closes its multipart.
    InDelimiter(bool),
}

/// A part whose end was not yet seen.
#[derive(Clone, Debug)]
struct Open {
    part: Part,
    head: Head,
    /// Line ends before its body.
    lines_before: u64,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Leaf,
    Multipart { boundary: Vec<u8>, digest: bool },
    Message,
}

impl Structure {
    /// The structure of a message that is in memory.
    pub fn of(octets: &[u8]) -> Self {
        let mut scanner = Scanner::new();
        scanner.feed(octets);
        scanner.finish()
    }
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    pub fn new() -> Self {
        let mut scanner = Self {
            state: State::AwaitField,
            octets: 0,
            line_start: 0,
            lines: 0,
            line_end: 0,
            start: Vec::new(),
            in_line: false,
            cr: false,
            open: Vec::new(),
            boundaries: Boundaries::default(),
            parts: 0,
            held: 0,
            is_wide: false,
            plain: Arc::new(Content::default()),
        };
        scanner.begin_part(true);
        scanner
    }

    /// Takes the next octets of the message.
    pub fn feed(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let taken = match self.in_line {
                true => self.rest_of_line(piece),
                false => self.start_of_line(piece),
            };
            spend(taken);
            piece = piece.get(taken..).unwrap_or_default();
        }
    }

    /// The length of the message's header once its end was seen: who only wants
    /// [`Structure::head`] need not feed the body.
    pub fn header_octets(&self) -> Option<u64> {
        let root = &self.open.first()?.part;
        let ended = self.open.len() > 1 || self.state != State::AwaitField;
        ended.then_some(root.header.end)
    }

    /// Ends the message here.
    pub fn finish(mut self) -> Structure {
        let start = std::mem::take(&mut self.start);
        if !start.is_empty() {
            self.judge(&start);
        }
        self.line_start = self.octets;
        self.line_end = 0;
        self.close_inside(0);
        let mut root = self
            .open
            .pop()
            .expect("the root is opened first and closed here");
        self.end(&mut root);
        Structure {
            root: root.part,
            head: root.head.envelope,
            octets: self.octets,
            is_wide: self.is_wide,
        }
    }

    /// Gathers octets until the line can be judged; returns how many were taken.
    fn start_of_line(&mut self, piece: &[u8]) -> usize {
        if self.start.is_empty() && self.passes(piece) {
            self.in_line = true;
            return 0;
        }
        let room = LINE_START_BYTES - self.start.len();
        let window = piece.get(..room).unwrap_or(piece);
        let end = memchr::memchr(b'\n', window).map(|at| at + 1);
        let taken = window.get(..end.unwrap_or(window.len())).unwrap_or(window);
        if end.is_none() && window.len() < room {
            self.start.extend_from_slice(taken);
        } else if self.start.is_empty() {
            self.judge(taken);
        } else {
            let mut start = std::mem::take(&mut self.start);
            start.extend_from_slice(taken);
            self.judge(&start);
        }
        taken.len()
    }

    /// Whether a line that starts so cannot be a delimiter and is nothing else either.
    fn passes(&self, piece: &[u8]) -> bool {
        match self.state {
            State::AwaitField => false,
            State::AwaitDelimiter => self.boundaries.is_empty() || !piece.starts_with(b"-"),
            State::InDelimiter(_) => true,
        }
    }

    /// Decides what a line is by its start.
    fn judge(&mut self, start: &[u8]) {
        match (self.boundaries.find(start), self.state) {
            (Some(delimiter), _) => self.delimiter(delimiter),
            (None, State::AwaitField) if is_blank(start) => {
                self.pass(start);
                return self.end_header();
            }
            (None, State::AwaitField) => {
                self.is_wide |= !start.is_ascii();
                self.head(|head| head.line(start));
            }
            (None, _) => {}
        }
        self.pass(start);
    }

    /// Passes over the rest of a judged line, and in a body over further lines.
    fn rest_of_line(&mut self, piece: &[u8]) -> usize {
        if self.state == State::AwaitDelimiter {
            return self.pass_body(piece);
        }
        let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
        let line = piece.get(..end).unwrap_or(piece);
        if self.state == State::AwaitField {
            self.is_wide |= !line.is_ascii();
            self.head(|head| head.more(line));
        }
        self.pass(line);
        end
    }

    /// Passes over a body up to the next line that may be a delimiter.
    fn pass_body(&mut self, piece: &[u8]) -> usize {
        let end = match self.boundaries.is_empty() {
            true => piece.len(),
            false => candidate(piece),
        };
        let body = piece.get(..end).unwrap_or(piece);
        self.lines += memchr::memchr_iter(b'\n', body).count() as u64;
        self.octets += body.len() as u64;
        if let Some(line) = body.strip_suffix(b"\n") {
            self.end_line(line);
        } else {
            self.in_line = true;
            self.cr = body.ends_with(b"\r");
        }
        end
    }

    /// Counts octets of one line.
    fn pass(&mut self, octets: &[u8]) {
        self.octets += octets.len() as u64;
        if let Some(line) = octets.strip_suffix(b"\n") {
            self.lines += 1;
            self.end_line(line);
            if let State::InDelimiter(closes) = self.state {
                self.state = State::AwaitDelimiter;
                if !closes {
                    self.begin_part(false);
                }
            }
        } else {
            self.in_line = true;
            self.cr = octets.last().map_or(self.cr, |o| *o == b'\r');
        }
    }

    /// `line` is what was seen of the line in this piece, without its LF.
    fn end_line(&mut self, line: &[u8]) {
        let cr = line.last().map_or(self.cr, |o| *o == b'\r');
        self.line_end = 1 + u64::from(cr);
        self.line_start = self.octets;
        self.in_line = false;
        self.cr = false;
    }

    fn head(&mut self, take: impl FnOnce(&mut Head)) {
        if let Some(open) = self.open.last_mut() {
            take(&mut open.head);
        }
    }

    /// Opens a part whose header starts here.
    fn begin_part(&mut self, is_message: bool) {
        self.parts += 1;
        self.held += size_of::<Part>();
        self.state = State::AwaitField;
        let here = self.octets;
        self.open.push(Open {
            part: Part {
                header: here..here,
                body: here..here,
                lines: 0,
                content: Arc::clone(&self.plain),
                inner: Inner::Leaf,
            },
            head: Head::new(is_message, HELD_BYTES_MAX.saturating_sub(self.held)),
            lines_before: self.lines,
            kind: Kind::Leaf,
        });
    }

    /// The header of the innermost part ends at the present line: its fields say what the body is.
    fn end_header(&mut self) {
        self.state = State::AwaitDelimiter;
        let digest = self.open.iter().rev().nth(1).is_some_and(Open::is_digest);
        let room = self.open.len() < DEPTH_MAX && self.has_room();
        let depth = self.open.len() - 1;
        let Some(open) = self.open.last_mut() else {
            return;
        };
        open.part.header.end = self.line_start;
        open.part.body = self.line_start..self.line_start;
        open.lines_before = self.lines;
        let mut content = content_of(&open.head, digest);
        open.kind = kind_of(&content);
        if open.kind != Kind::Leaf && !room {
            open.kind = Kind::Leaf;
            content.content_type = ContentType::bare("application", "octet-stream");
        }
        open.head.content = Vec::new();
        self.held += open.head.envelope.len() + open.set_content(content, &self.plain);
        match &open.kind {
            Kind::Leaf => {}
            Kind::Multipart { boundary, .. } if boundary.is_empty() => {}
            Kind::Multipart { boundary, .. } => self.boundaries.open(boundary, depth),
            Kind::Message => self.begin_part(true),
        }
    }

    fn has_room(&self) -> bool {
        self.parts < PARTS_MAX && self.held < HELD_BYTES_MAX
    }

    fn delimiter(&mut self, delimiter: Delimiter) {
        if !delimiter.closes && !self.has_room() {
            return;
        }
        self.close_inside(delimiter.depth);
        self.state = State::InDelimiter(delimiter.closes);
        if delimiter.closes {
            self.close_boundary(delimiter.depth);
        }
    }

    /// Forgets the boundary of a multipart that is at its end.
    fn close_boundary(&mut self, depth: usize) {
        if let Some(Open {
            kind: Kind::Multipart { boundary, .. },
            ..
        }) = self.open.get_mut(depth)
        {
            self.boundaries.close(&std::mem::take(boundary));
        }
    }

    /// Closes all parts inside the one at `depth`; they end before the present line.
    fn close_inside(&mut self, depth: usize) {
        // A header that has no end ends here; a nested message may then begin and end here too.
        while self.state == State::AwaitField {
            self.end_header();
        }
        while self.open.len() > depth + 1 {
            self.close_boundary(self.open.len() - 1);
            let Some(mut open) = self.open.pop() else {
                return;
            };
            self.end(&mut open);
            let Some(parent) = self.open.last_mut() else {
                return;
            };
            parent.adopt(open);
        }
    }

    /// Ends a part before the present line and the line end that belongs to it.
    fn end(&self, open: &mut Open) {
        let inside = self.line_start > open.part.body.start;
        let line_end = if inside { self.line_end } else { 0 };
        open.part.body.end = self.line_start.max(open.part.body.start) - line_end;
        let lines = self.lines - open.lines_before - u64::from(line_end > 0);
        open.part.lines = u32::try_from(lines).unwrap_or(u32::MAX);
        if matches!(
            (&open.kind, &open.part.inner),
            (Kind::Multipart { .. }, Inner::Leaf)
        ) {
            let content_type = ContentType::default();
            let content = Content {
                content_type,
                ..Content::clone(&open.part.content)
            };
            open.part.content = Arc::new(content);
        }
    }
}

impl Open {
    fn is_digest(&self) -> bool {
        matches!(self.kind, Kind::Multipart { digest: true, .. })
    }

    /// Keeps `content` and returns the memory that it takes; all that is default shares `plain`.
    fn set_content(&mut self, content: Content, plain: &Arc<Content>) -> usize {
        if content == **plain {
            return 0;
        }
        let held = size_of::<Content>() + content.octets();
        self.part.content = Arc::new(content);
        held
    }

    fn adopt(&mut self, child: Open) {
        match (&self.kind, &mut self.part.inner) {
            (Kind::Message, inner) => {
                let nested = Nested {
                    root: child.part,
                    head: child.head.envelope,
                };
                *inner = Inner::Message(Box::new(nested));
            }
            (_, Inner::Multipart(parts)) => parts.push(child.part),
            (_, inner) => *inner = Inner::Multipart(vec![child.part]),
        }
    }
}

fn content_of(head: &Head, digest: bool) -> Content {
    // RFC 2046 §5.1.5: in a digest the default is message/rfc822.
    let default = match digest {
        true => ContentType::bare("message", "rfc822"),
        false => ContentType::default(),
    };
    Content::read(&head.content, default)
}

fn kind_of(content: &Content) -> Kind {
    let content_type = &content.content_type;
    if content_type.is_message() && !content.encoding.is_encoded() {
        return Kind::Message;
    }
    let boundary = match content_type.kind_is("multipart") {
        true => content_type.params.value("boundary"),
        false => return Kind::Leaf,
    };
    // RFC 2046 §5.1.1: a boundary does not end with white space. Without one no part is found.
    let boundary = boundary.map(|b| b.trim_ascii_end().to_vec());
    let boundary = boundary
        .filter(|b| b.len() <= BOUNDARY_BYTES_MAX)
        .unwrap_or_default();
    let digest = content_type.is("multipart", "digest");
    Kind::Multipart { boundary, digest }
}

/// How much of a body can be passed over: up to the next line that starts with `--`, or that may,
/// as far as this piece shows.
fn candidate(piece: &[u8]) -> usize {
    if let Some(at) = memchr::memmem::find(piece, b"\n--") {
        return at + 1;
    }
    if piece.ends_with(b"\n-") {
        return piece.len() - 1;
    }
    piece.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 2046 §5.1.1, with the parts that it leaves out added.
    const SIMPLE: &str = "From: Nathaniel Borenstein <nsb@bellcore.com>\r\n\
        MIME-Version: 1.0\r\n\
        Content-type: multipart/mixed; boundary=\"simple boundary\"\r\n\r\n\
        This is the preamble.\r\n\
        --simple boundary\r\n\r\n\
        This is implicitly typed plain US-ASCII text.\r\n\
        It does NOT end with a linebreak.\r\n\
        --simple boundary\r\n\
        Content-type: text/plain; charset=us-ascii\r\n\r\n\
        This is explicitly typed plain US-ASCII text.\r\n\
        It DOES end with a linebreak.\r\n\r\n\
        --simple boundary--\r\n\r\nThis is the epilogue.\r\n";

    /// The tree as `type/subtype[octets,lines](children)`.
    pub(super) fn show(part: &Part) -> String {
        let kind = &part.content.content_type;
        let text = |t: &[u8]| String::from_utf8_lossy(t).to_lowercase();
        let octets = part.body.end - part.body.start;
        let name = format!(
            "{}/{}[{octets},{}]",
            text(&kind.kind),
            text(&kind.subtype),
            part.lines
        );
        match &part.inner {
            Inner::Leaf => name,
            Inner::Message(nested) => format!("{name}({})", show(&nested.root)),
            Inner::Multipart(parts) => {
                let parts: Vec<_> = parts.iter().map(show).collect();
                format!("{name}({})", parts.join(" "))
            }
        }
    }

    fn tree(message: &str) -> String {
        show(&Structure::of(message.as_bytes()).root)
    }

    #[test]
    fn the_example_of_rfc_2046_section_5_1_1() {
        let structure = Structure::of(SIMPLE.as_bytes());
        let Inner::Multipart(parts) = &structure.root.inner else {
            panic!("{structure:?}")
        };
        let body = |part: &Part| {
            SIMPLE
                .get(part.body.start as usize..part.body.end as usize)
                .unwrap()
                .to_owned()
        };
        assert_eq!(parts.len(), 2);
        assert!(body(&parts[0]).ends_with("linebreak."));
        assert!(body(&parts[1]).ends_with("linebreak.\r\n"));
        assert_eq!((parts[0].lines, parts[1].lines), (1, 2));
        assert_eq!(parts[0].header.end - parts[0].header.start, 2);
        assert_eq!(structure.octets, SIMPLE.len() as u64);
        assert_eq!(
            structure.head,
            b"From: Nathaniel Borenstein <nsb@bellcore.com>\r\n"
        );
    }

    #[test]
    fn digests_default_to_messages() {
        let message = "Content-Type: multipart/digest; boundary=X\n\n--X\n\nSubject: a\n\nb\n\
            --X\nContent-Type: text/plain\n\nc\n--X--\n";
        assert_eq!(
            tree(message),
            "multipart/digest[57,10](message/rfc822[13,2](text/plain[1,0]) text/plain[1,0])"
        );
    }

    #[test]
    fn an_outer_delimiter_ends_what_is_open_inside() {
        let message = "Content-Type: multipart/mixed; boundary=outer\n\n--outer\n\
            Content-Type: multipart/mixed; boundary=inner\n\n--inner\n\
            Content-Type: message/rfc822\n\nSubject: cut in the header\n\
            --outer\n\nlast\n--outer--\n";
        assert_eq!(
            tree(message),
            "multipart/mixed[144,11](multipart/mixed[64,3](\
            message/rfc822[26,0](text/plain[0,0])) text/plain[4,0])"
        );
    }

    #[test]
    fn the_same_boundary_twice_belongs_to_the_innermost() {
        let message = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\
            Content-Type: multipart/alternative; boundary=b\n\n--b\n\n1\n--b--\n--b\n\n2\n--b--\n";
        assert_eq!(
            tree(message),
            "multipart/mixed[79,11](multipart/alternative[12,3](text/plain[1,0]) text/plain[1,0])"
        );
    }

    #[test]
    fn a_multipart_without_parts_is_its_text() {
        for field in [
            "multipart/mixed",
            "multipart/mixed; boundary=\"\"",
            "multipart/a; boundary=b",
        ] {
            assert_eq!(
                tree(&format!("Content-Type: {field}\n\n--\ntext\n")),
                "text/plain[8,2]"
            );
        }
    }

    #[test]
    fn an_encoded_message_is_a_leaf() {
        let message =
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: Base64\n\nU3ViamVjdA==";
        assert_eq!(tree(message), "message/rfc822[12,0]");
    }

    #[test]
    fn headers_without_bodies_and_bodies_without_headers() {
        assert_eq!(tree(""), "text/plain[0,0]");
        assert_eq!(tree("Subject: x"), "text/plain[0,0]");
        assert_eq!(tree("\r\nbody"), "text/plain[4,0]");
        assert_eq!(
            tree("Content-Type: message/rfc822"),
            "message/rfc822[0,0](text/plain[0,0])"
        );
        let nested =
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\nContent-Type: image/gif\n--b--";
        assert_eq!(
            tree(nested),
            "multipart/mixed[37,3](text/plain[0,0] image/gif[0,0])"
        );
    }

    #[test]
    fn the_end_of_the_header_is_known_as_soon_as_it_was_seen() {
        let mut scanner = Scanner::new();
        scanner.feed(b"Subject: a\r\n\r");
        assert_eq!(scanner.header_octets(), None);
        scanner.feed(b"\n");
        assert_eq!(scanner.header_octets(), Some(14));
        assert_eq!(scanner.finish().head, b"Subject: a\r\n");
    }

    #[test]
    fn what_is_nested_too_deeply_is_an_opaque_leaf() {
        let message = "Content-Type: message/rfc822\n\n".repeat(10_000);
        let structure = Structure::of(message.as_bytes());
        let deepest = structure.parts().last().unwrap();
        assert!(
            deepest
                .content
                .content_type
                .is("application", "octet-stream")
        );
        assert_eq!(structure.parts().count(), DEPTH_MAX);
        assert_eq!(deepest.body.end, structure.octets);
    }

    #[test]
    fn parts_beyond_the_maximum_stay_with_the_last_one() {
        let mut message = "Content-Type: multipart/mixed; boundary=b\n\n".to_owned();
        message.push_str(&"--b\n\nx\n".repeat(PARTS_MAX * 2));
        message.push_str("--b--\n");
        let structure = Structure::of(message.as_bytes());
        let Inner::Multipart(parts) = &structure.root.inner else {
            panic!()
        };
        assert_eq!(parts.len(), PARTS_MAX - 1);
        let last = parts.last().unwrap();
        assert_eq!(last.body.end, structure.octets - 7);
    }
}
