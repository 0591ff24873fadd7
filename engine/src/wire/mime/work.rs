//! A meter of work for the tests below: how many octets the rooms looked at, counted, not timed.
//!
//! Whatever a message holds, reading it costs its length times a constant.

/// Says that so many octets were looked at. Compiled to nothing outside of tests.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn spend(_octets: usize) {}

#[cfg(test)]
pub(super) use tests::spend;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::limit::DEPTH_MAX;
    use super::super::part::Structure;
    use super::super::search::{BodySearch, Scope};
    use super::super::text::Needle;
    use super::super::{address, date, envelope, header, structure, word};

    thread_local! {
        static SPENT: Cell<u64> = const { Cell::new(0) };
    }

    /// One for the turn, and the octets.
    pub(in super::super) fn spend(octets: usize) {
        SPENT.set(SPENT.get() + octets as u64 + 1);
    }

    fn spent(work: impl FnOnce()) -> u64 {
        SPENT.set(0);
        work();
        SPENT.get()
    }

    /// All that a session does with a message.
    fn read(message: &[u8]) {
        let structure = Structure::of(message);
        let mut out = Vec::new();
        structure::write(&structure.root, true, &mut out);
        envelope::write(&structure.head, &mut out);
        envelope::write(message, &mut out);
        header::select(message, &[b"to".to_vec()], true, &mut out);
        let needle = |text: &str| Needle::new(text.as_bytes(), None).unwrap();
        let wanted = vec![
            (Scope::Text, needle("nowhere")),
            (Scope::Body, needle("to be found")),
        ];
        let mut search = BodySearch::new(&structure, wanted);
        message.chunks(1000).for_each(|piece| search.feed(piece));
        search.finish();
        address::parse(message);
        word::decode(message);
        date::Date::parse(message);
    }

    /// Octets looked at for each octet of a message, at most: the scan, ten fields searched for
    /// ENVELOPE twice, their parsing, the selection and the search.
    const WORK_PER_OCTET_MAX: u64 = 40;

    /// A flood is a start and a piece that is repeated until it is long enough.
    fn check(name: &str, start: &str, piece: impl Fn(usize) -> String) {
        let flood = |octets: usize| {
            let mut message = start.to_owned();
            for n in 0.. {
                if message.len() >= octets {
                    break;
                }
                message.push_str(&piece(n));
            }
            message
        };
        let (small, large) = (flood(20_000), flood(80_000));
        let work = spent(|| read(small.as_bytes())) / 1000;
        let more = spent(|| read(large.as_bytes())) / 1000;
        let octets = large.len() as u64 / 1000;
        eprintln!("{name}: {work} {more} of {octets}");
        assert!(
            more <= octets * WORK_PER_OCTET_MAX,
            "{name}: {more}k for {octets}k octets"
        );
        // Four times is linear, sixteen times quadratic; maxima that are reached lie between.
        assert!(
            more <= 8 * work,
            "{name}: {work}k, and {more}k for four times as much"
        );
    }

    #[test]
    fn floods_of_fields_addresses_and_parameters_are_linear() {
        for field in [
            "X: y\r\n",
            "To: a@b\r\n",
            "Content-Type: a/b; c=d\r\n",
            "\r",
            "a\n",
            ":\n",
        ] {
            check(field, "", |_| field.to_owned());
        }
        for piece in [
            "a@b,",
            "a,",
            "<a@b>,",
            "G:a;",
            "=?utf-8?q?a?= ",
            "\r\n ",
            "(",
            "\"",
            "<",
            "[,",
        ] {
            check(piece, "To: ", |_| piece.to_owned());
        }
        for piece in [
            "<@", "=?", "\\", ":", ";", "[", "@", "(a)", "\"a\"", ".", " ", "=?a?q?", "@a,",
        ] {
            check(piece, "From: ", |_| piece.to_owned());
        }
        check("sections", "Content-Type: a/b", |n| format!("; x*{n}*=%41"));
        check("names", "Content-Type: a/b", |n| format!("; {n}=(("));
        check("languages", "Content-Language: a", |_| ", a".to_owned());
    }

    #[test]
    fn floods_of_parts_and_lines_are_linear() {
        let mixed = "Content-Type: multipart/mixed; boundary=";
        check("depth", "", |n| format!("{mixed}b{n}\r\n\r\n--b{n}\r\n"));
        check("messages", "", |_| {
            "Content-Type: message/rfc822\n\n".to_owned()
        });
        check("parts", &format!("{mixed}b\n\n"), |_| {
            "--b\n\nx\n".to_owned()
        });
        check("bare parts", &format!("{mixed}b\n\n"), |_| {
            "--b\n".to_owned()
        });
        check("one line", "\r\n", |_| "x".to_owned());
        check("one line in a header", "Subject: ", |_| "x".to_owned());
        check(
            "one line of hyphens",
            &format!("{mixed}b\n\n--b\n\n"),
            |_| "-".to_owned(),
        );
        check("hyphens", &format!("{mixed}b\n\n--b\n\n"), |_| {
            "--\n".to_owned()
        });
        let encoding = "Content-Transfer-Encoding: quoted-printable\n\n";
        check("soft breaks", encoding, |_| "= =\n=4".to_owned());
    }

    #[test]
    fn candidates_for_many_open_boundaries_are_linear() {
        // Each boundary is a prefix of the next one, and no line is any of them.
        let open: String = (1..DEPTH_MAX)
            .map(|n| {
                let boundary = "a".repeat(n) + "b";
                format!("Content-Type: multipart/x; boundary={boundary}\n\n--{boundary}\n")
            })
            .collect();
        let line = format!("--{}c\n", "a".repeat(DEPTH_MAX));
        check("long candidates", &open, |_| line.clone());
        check("short candidates", &open, |_| "--a\n".to_owned());
    }
}
