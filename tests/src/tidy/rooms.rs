//! What may be done where: unsafe code, files, sockets, clocks, runtimes.

use super::Offence;
use super::source::{Source, has_word, lies_in};

/// Words of production code and the only places that may say them.
struct Rule {
    words: &'static [&'static str],
    places: &'static [&'static str],
    why: &'static str,
}

const RULES: [Rule; 4] = [
    Rule {
        words: &["std::fs", "File::open", "File::create", "OpenOptions"],
        places: &[
            "store/src/disk",
            "engine/src/reactor",
            "engine/src/config",
            "engine/src/tls",
            "engine/src/main.rs",
            "engine/src/serve",
            "engine/src/admin/control.rs",
            "engine/src/telemetry/log",
            "engine/src/events",
            "store/examples",
            "tools/src",
            "bench/benches/inner/instructions.rs",
            "bench/src/client/sink/cover.rs",
            "bench/src/load/corpus.rs",
            "bench/src/measure",
            "bench/src/peer",
            "bench/src/report",
            "bench/src/scenario/disk.rs",
            "bench/src/scenario/kill.rs",
        ],
        why: "files belong to the disk, the reactor, configuration and the log's writer",
    },
    Rule {
        words: &[
            "TcpListener",
            "TcpStream",
            "UdpSocket",
            "UnixListener",
            "UnixStream",
        ],
        places: &[
            "engine/src/reactor",
            "engine/src/admin/control.rs",
            "engine/src/serve/secure.rs",
            "engine/src/serve/service.rs",
            "tools/src",
            "bench/src/peer",
        ],
        why: "sockets belong to the reactor and to the service thread",
    },
    Rule {
        words: &["SystemTime::now", "Instant::now"],
        places: &[
            "engine/src/reactor",
            "engine/src/main.rs",
            "tools/src",
            "bench/src/peer",
        ],
        why: "the clock is injected: the reactor alone reads it",
    },
    Rule {
        words: &["monoio", "tokio_uring"],
        places: &["engine/src/reactor"],
        why: "nothing but the reactor names the runtimes",
    },
];

/// Where `unsafe` is allowed at all; loom tries the inbox on a ring of its own cells.
const UNSAFE_PLACES: [&str; 3] = ["engine/src/reactor", "store/src/disk", "tests/loom"];

/// Every word said in the wrong room, and unsafe code without its reason.
pub fn rooms(sources: &[Source]) -> Vec<Offence> {
    let places = sources.iter().flat_map(wrong_places);
    places.chain(sources.iter().flat_map(unsafe_code)).collect()
}

fn wrong_places(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for rule in RULES
        .iter()
        .filter(|rule| !lies_in(&source.path, rule.places))
    {
        for (number, line) in source.production() {
            let said = rule.words.iter().find(|word| has_word(&line.code, word));
            if let Some(word) = said {
                let why = format!("`{word}`: {}", rule.why);
                offences.push(Offence::new(&source.path, number, why));
            }
        }
    }
    offences
}

fn unsafe_code(source: &Source) -> Vec<Offence> {
    let allowed = lies_in(&source.path, &UNSAFE_PLACES);
    let mut offences = Vec::new();
    for (number, line) in source
        .numbered()
        .filter(|(_, line)| has_word(&line.code, "unsafe"))
    {
        if !allowed {
            let why = "unsafe code outside of the reactor and the disk";
            offences.push(Offence::new(&source.path, number, why));
        } else if !line.comment.contains("SAFETY:") && !explained(source, number - 1) {
            let why = "unsafe code without `// SAFETY:` above it";
            offences.push(Offence::new(&source.path, number, why));
        }
    }
    offences
}

/// Whether the comment right above the line (attributes and the start of the statement may stand
/// between) holds `SAFETY:` or, for an unsafe function, a `# Safety` section.
fn explained(source: &Source, at: usize) -> bool {
    if in_unsafe_impl(source, at) {
        return true;
    }
    let mut above = source.lines[..at].iter().rev();
    let mut seen_comment = false;
    above
        .by_ref()
        .take(SAFETY_LINES_MAX)
        .take_while(|line| {
            let comment = line.code.trim().is_empty() && !line.comment.is_empty();
            let fits = comment || !seen_comment && !line.code.trim_end().ends_with([';', '}']);
            seen_comment |= comment;
            fits
        })
        .any(|line| line.comment.contains("SAFETY:") || line.comment.contains("# Safety"))
}

/// An unsafe function that a trait demands is explained by its `unsafe impl`.
fn in_unsafe_impl(source: &Source, at: usize) -> bool {
    let mut above = source.lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.code != "}");
    has_word(&source.lines[at].code, "fn") && above.any(|line| line.code.starts_with("unsafe impl"))
}

/// A reason longer than this is not beside its block.
const SAFETY_LINES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn offences(path: &str, text: &str) -> usize {
        rooms(&[Source::new(path, text)]).len()
    }

    #[test]
    fn wrong_rooms_are_found() {
        assert_eq!(offences("engine/src/session/a.rs", "use std::fs;"), 1);
        assert_eq!(
            offences("engine/src/listen/a.rs", "use monoio::net::TcpStream;"),
            2
        );
        assert_eq!(offences("store/src/log/a.rs", "let a = Instant::now();"), 1);
        assert_eq!(
            offences("store/src/disk/a.rs", "use std::fs; // Instant::now"),
            0
        );
        assert_eq!(
            offences("store/src/log/a.rs", "#[cfg(test)]\nmod t { use std::fs; }"),
            0
        );
    }

    #[test]
    fn unsafe_needs_its_room_and_its_reason() {
        assert_eq!(
            offences("engine/src/wire/a.rs", "// SAFETY: no\nunsafe { x() }"),
            1
        );
        assert_eq!(offences("engine/src/reactor/a.rs", "unsafe { x() }"), 1);
        assert_eq!(
            offences(
                "engine/src/reactor/a.rs",
                "// SAFETY: a\nb();\nunsafe { x() }"
            ),
            1
        );
        assert_eq!(
            offences(
                "engine/src/reactor/a.rs",
                "// SAFETY: a\n// b\nunsafe { x() }"
            ),
            0
        );
        assert_eq!(
            offences(
                "engine/src/reactor/a.rs",
                "// SAFETY: a\nlet x =\n unsafe { x() }"
            ),
            0
        );
        assert_eq!(
            offences("engine/src/wire/a.rs", "#![forbid(unsafe_code)]"),
            0
        );
        let room = "engine/src/reactor/a.rs";
        let good = "// SAFETY: a\nunsafe impl A for B {\n    unsafe fn c() {}\n}";
        assert_eq!(offences(room, good), 0);
        assert_eq!(offences(room, "impl B {\n    unsafe fn c() {}\n}"), 1);
    }
}
