//! Odd messages: those of other projects that lie beside the repository, and our own monsters.

use crate::binary;
use crate::seed::Seed;
use std::fmt::Write;

/// A message with a name for failures. Lines end with CRLF; bare CR and NUL may be left.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub octets: Vec<u8>,
}

/// Every message of the shared data, when it is there, and some of our own.
pub fn samples() -> Vec<Sample> {
    let mut samples = own();
    let folder = binary::shared_data().map(|data| data.join("messages"));
    let Some(entries) = folder.and_then(|folder| std::fs::read_dir(folder).ok()) else {
        eprintln!("SKIPPED: no ../shared/data/messages here; only our own samples are tried");
        return samples;
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("it is readable").path())
        .collect();
    paths.sort();
    for path in paths {
        let octets = normalised(&std::fs::read(&path).expect("it is readable"));
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        samples.push(Sample { name, octets });
    }
    samples
}

impl Sample {
    /// Whether only BDAT with BODY=BINARYMIME and a literal8 may carry it.
    pub fn is_binary(&self) -> bool {
        let bare = |at: usize| self.octets[at] == b'\r' && self.octets.get(at + 1) != Some(&b'\n');
        (0..self.octets.len()).any(|at| self.octets[at] == 0 || bare(at))
    }
}

/// Bare LF becomes CRLF, as a mail program does it before sending; the rest stays.
pub fn normalised(octets: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(octets.len() + octets.len() / 32);
    for (at, octet) in octets.iter().enumerate() {
        if *octet == b'\n' && (at == 0 || octets[at - 1] != b'\r') {
            lines.push(b'\r');
        }
        lines.push(*octet);
    }
    lines
}

/// A plain message of about so many octets, its text from a seed.
pub fn plain(subject: &str, octets: usize, seed: &mut Seed) -> Vec<u8> {
    let mut text = format!("From: sender@remote.test\r\nSubject: {subject}\r\n\r\n");
    while text.len() < octets {
        let _ = write!(
            text,
            "{:016x} {:016x}\r\n",
            seed.next_u64(),
            seed.next_u64()
        );
    }
    text.into_bytes()
}

/// What is made to cost a parser more than it costs the sender, at `percent` of its full size.
pub fn monsters(percent: usize) -> Vec<Sample> {
    let of = |full: usize| full * percent / 100;
    let sample = |name: &str, text: String| Sample {
        name: name.into(),
        octets: text.into(),
    };
    let multipart = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let part = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n";
    let words = "=?utf-8?q?=41?=\r\n ".repeat(of(100_000));
    let comments = "(".repeat(of(50_000)) + &")".repeat(of(50_000));
    let message = "Content-Type: message/rfc822\r\n\r\n";
    vec![
        sample("100k headers", headers(of(100_000))),
        sample("500k addresses", addresses(of(500_000))),
        sample("10k parameters", parameters(of(10_000))),
        sample(
            "10k parts",
            multipart.to_owned() + &part.repeat(of(10_000)) + "--b--\r\n",
        ),
        sample("depth of 10k", nested(of(10_000))),
        sample("10k messages in messages", message.repeat(of(10_000))),
        sample(
            "one boundary, 100k times",
            multipart.to_owned() + &"--b\r\n".repeat(of(100_000)),
        ),
        sample("100k encoded words", format!("Subject: {words}\r\n\r\n")),
        sample("100k comments", format!("To: {comments}a@b.test\r\n\r\n")),
        sample("a header line of 50 MB", {
            format!("Subject: {}\r\n\r\nbody\r\n", "x".repeat(of(50_000_000)))
        }),
        sample("a body line of 50 MB", {
            format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(of(50_000_000)))
        }),
    ]
}

fn headers(count: usize) -> String {
    let mut text = String::from("Subject: many headers\r\n");
    for number in 0..count {
        let _ = write!(text, "X-{number}: a\r\n");
    }
    text + "\r\nbody\r\n"
}

fn addresses(count: usize) -> String {
    let mut text = String::from("Subject: many addresses\r\nTo: a@b.test");
    for number in 0..count {
        let _ = write!(text, ",\r\n x{number}@b.test");
    }
    text + "\r\n\r\nbody\r\n"
}

/// RFC 2231 §3: one value in many numbered pieces.
fn parameters(count: usize) -> String {
    let mut text = String::from("Content-Type: text/plain");
    for number in 0..count {
        let _ = write!(text, ";\r\n name*{number}*=utf-8''%41%42");
    }
    text + "\r\n\r\nbody\r\n"
}

fn nested(depth: usize) -> String {
    let mut text = String::new();
    for level in 0..depth {
        let _ = write!(
            text,
            "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
        );
    }
    text + "\r\nthe end\r\n"
}

fn own() -> Vec<Sample> {
    let sample = |name: &str, octets: &[u8]| Sample {
        name: name.into(),
        octets: octets.to_vec(),
    };
    vec![
        sample("nothing but a line end", b"\r\n"),
        sample("no header", b"\r\nbody\r\n"),
        sample("no body", b"Subject: x\r\n"),
        sample("no empty line", b"Subject: x\r\nnot a header\r\nbody\r\n"),
        sample("a space line first", b" \r\nSubject: x\r\n\r\nbody\r\n"),
        sample("dots", b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\n.\r\n"),
        sample("eight bits", b"Subject: \xe4\r\n\r\n\xff\xfe\x80\r\n"),
        sample(
            "bare CR and NUL",
            b"Subject: raw\r\n\r\na\rb\0c\r\r\n\0\r\n",
        ),
        sample(
            "from line",
            b"From someone Mon Feb  7 21:52:25 1994\r\nSubject: x\r\n\r\nbody\r\n",
        ),
        sample(
            "folded to death",
            b"Subject:\r\n a\r\n\tb\r\n \r\n c\r\n\r\nbody\r\n",
        ),
        sample(
            "long line",
            &[b"Subject: x\r\n\r\n".as_slice(), &[b'x'; 100_000], b"\r\n"].concat(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_crlf_and_binary_is_seen() {
        assert_eq!(normalised(b"\na\nb\r\nc\rd"), b"\r\na\r\nb\r\nc\rd");
        let binary: Vec<bool> = own().iter().map(Sample::is_binary).collect();
        assert_eq!(binary.iter().filter(|binary| **binary).count(), 1);
    }
}
