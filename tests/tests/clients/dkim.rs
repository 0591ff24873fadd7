//! Our signatures before other people's verifiers: dkimpy checks RSA and Ed25519, Mail::DKIM RSA;
//! both check chains of two ARC sets.
//!
//! Every message at hand is signed with each pair of canonicalisations and must verify, then once
//! more with an octet changed and must not.

use engine::config::{Dkim, DkimAlgorithm, DkimCanon};
use engine::sign::{Chain, PrivateKey, Seen, Signers, Unsigned};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tests::binary::workspace;
use tests::corpus::{Sample, samples};
use tests::peer::{find, peer};

const DOMAIN: &str = "example.test";

const CANONS: [DkimCanon; 2] = [DkimCanon::Simple, DkimCanon::Relaxed];

#[test]
fn dkimpy_verifies_both_algorithms() {
    let Some(python) = python() else {
        return;
    };
    Bench::new(Made::Signatures(2)).judge(&python, "dkim_verify.py");
}

#[test]
fn dkimpy_verifies_chains() {
    let Some(python) = python() else {
        return;
    };
    Bench::new(Made::Chain).judge(&python, "dkim_verify.py");
}

#[test]
fn mail_dkim_verifies_rsa() {
    if peer("dkimproxy-verify").is_some() {
        Bench::new(Made::Signatures(1)).judge("perl", "dkim_verify.pl");
    }
}

#[test]
fn mail_dkim_verifies_chains() {
    if peer("dkimproxy-verify").is_some() {
        Bench::new(Made::Chain).judge("perl", "dkim_verify.pl");
    }
}

/// The interpreter that has the module: another python3 may come first in PATH.
fn python() -> Option<String> {
    peer("dkimverify")?;
    let script = std::fs::read_to_string(find("dkimverify")?).ok()?;
    let first = script.lines().next()?;
    Some(first.trim_start_matches("#!").trim().to_owned())
}

/// What is put before the messages.
#[derive(Clone, Copy)]
enum Made {
    /// An RSA signature and, with two, one of Ed25519.
    Signatures(usize),
    /// Two ARC sets.
    Chain,
}

/// Keys, their records, and a folder of messages.
struct Bench {
    directory: tempfile::TempDir,
    made: Made,
    messages: Vec<(String, Vec<u8>)>,
}

impl Bench {
    fn new(made: Made) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Bench {
            directory,
            made,
            messages: Vec::new(),
        };
        let algorithms = [DkimAlgorithm::Rsa, DkimAlgorithm::Ed25519];
        let keys = algorithms.map(|algorithm| bench.key(algorithm));
        let keys = match made {
            Made::Signatures(count) => &keys[..count],
            Made::Chain => &keys[..1],
        };
        bench.write_records(keys);
        for (header, body) in CANONS.into_iter().flat_map(|h| CANONS.map(|b| (h, b))) {
            let signers = signers(keys, header, body);
            for sample in odd().into_iter().chain(samples()) {
                if sample.is_binary() {
                    // Only BDAT carries it, and a verifier takes its line ends as it likes.
                    continue;
                }
                let name = format!("{}/{} {}", header.name(), body.name(), sample.name);
                bench.messages.push((name, made.before(&signers, &sample)));
            }
        }
        bench
    }

    fn key(&self, algorithm: DkimAlgorithm) -> (Dkim, PrivateKey) {
        let key = PrivateKey::generate(algorithm).unwrap();
        let file = self.directory.path().join(algorithm.name());
        std::fs::write(&file, key.to_pem().unwrap()).unwrap();
        let says = Dkim {
            line: 1,
            domain: DOMAIN.to_owned(),
            selector: algorithm.name().to_owned(),
            key: file,
            algorithm,
            header_canon: DkimCanon::Relaxed,
            body_canon: DkimCanon::Relaxed,
            not_before_secs: None,
            not_after_secs: None,
            signature_days: 1,
        };
        (says, key)
    }

    fn write_records(&self, keys: &[(Dkim, PrivateKey)]) {
        let lines = keys.iter().map(|(says, key)| {
            let (name, text) = (says.record_name(), key.record().unwrap());
            format!("{name}\t{text}\n")
        });
        std::fs::write(self.records(), lines.collect::<String>()).unwrap();
    }

    fn records(&self) -> PathBuf {
        self.directory.path().join("records")
    }

    /// All messages pass as they are; none does with its last octet of text changed.
    fn judge(&self, interpreter: &str, script: &str) {
        let said = self.verdicts(interpreter, script, |message| message.to_vec());
        let mut failed = Vec::new();
        let mut verified = 0;
        for ((name, message), said) in self.messages.iter().zip(&said) {
            let verdicts: Vec<&str> = said.split(',').collect();
            match verdicts.iter().all(|verdict| *verdict == "pass") {
                true => verified += 1,
                // A verifier may refuse to read what is no header by RFC 5322.
                false if !is_well_formed(message) => {}
                false => failed.push(format!("{name}: {said}")),
            }
        }
        assert!(
            failed.is_empty(),
            "{} failed:\n{}",
            failed.len(),
            failed.join("\n")
        );
        assert!(
            verified * 10 >= self.messages.len() * 8,
            "only {verified} were read"
        );
        eprintln!(
            "{script}: {verified} of {} messages verified",
            self.messages.len()
        );

        let said = self.verdicts(interpreter, script, changed);
        for ((name, _), said) in self.messages.iter().zip(&said) {
            assert!(
                !said.contains("pass"),
                "{name} passes with a change: {said}"
            );
        }
    }

    fn verdicts(
        &self,
        program: &str,
        script: &str,
        change: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Vec<String> {
        let script = workspace().join("tests/clients").join(script);
        let files: Vec<PathBuf> = (0..self.messages.len())
            .map(|number| self.directory.path().join(format!("{number}.eml")))
            .collect();
        for (file, (_, message)) in files.iter().zip(&self.messages) {
            std::fs::write(file, change(message)).unwrap();
        }
        let said = peer(program)
            .expect("the interpreter of an installed program is there")
            .arg(script)
            .arg(self.records())
            .arg(match self.made {
                Made::Signatures(count) => count.to_string(),
                Made::Chain => "arc".to_owned(),
            })
            .args(&files)
            .succeeds();
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), files.len(), "one verdict a message:\n{said}");
        lines
    }
}

fn signers(keys: &[(Dkim, PrivateKey)], header: DkimCanon, body: DkimCanon) -> Signers {
    let config: Vec<Dkim> = keys
        .iter()
        .map(|(says, _)| Dkim {
            header_canon: header,
            body_canon: body,
            ..says.clone()
        })
        .collect();
    Signers::load(&config, &|path: &Path| std::fs::read(path)).expect("the keys are good")
}

impl Made {
    /// The message as a receiver gets it: with the line end that SMTP gives to the last line.
    fn before(self, signers: &Signers, sample: &Sample) -> Vec<u8> {
        let message = with_author(signers, sample);
        let mut whole = match self {
            Made::Signatures(_) => [&signed(signers, &message).unwrap()[..], &message].concat(),
            Made::Chain => {
                let once = [&sealed(signers, &message)[..], &message].concat();
                [&sealed(signers, &once)[..], &once].concat()
            }
        };
        if !whole.ends_with(b"\r\n") {
            whole.extend_from_slice(b"\r\n");
        }
        whole
    }
}

/// Nobody signs what has no author.
fn with_author(signers: &Signers, sample: &Sample) -> Vec<u8> {
    match signed(signers, &sample.octets) {
        Ok(_) => sample.octets.clone(),
        Err(Unsigned::NoAuthor) => {
            [b"From: author@example.test\r\n".as_slice(), &sample.octets].concat()
        }
        Err(why) => panic!("{}: {why}", sample.name),
    }
}

fn signed(signers: &Signers, message: &[u8]) -> Result<Vec<u8>, Unsigned> {
    let mut signing = signers.begin(DOMAIN, now());
    message.chunks(1_000).for_each(|piece| signing.feed(piece));
    signing.finish()
}

fn sealed(signers: &Signers, message: &[u8]) -> Vec<u8> {
    let seen = Seen {
        authserv_id: "mx.example.test",
        results: "spf=pass smtp.mailfrom=a@b.test; dkim=none; dmarc=fail (none) header.from=b",
        chain: Chain::Pass,
    };
    let mut signing = signers.begin_seal(DOMAIN, seen, now());
    message.chunks(1_000).for_each(|piece| signing.feed(piece));
    signing.finish().expect("nothing is in the way of a seal")
}

fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since_1970.as_secs() as i64
}

/// Another octet in From, which every signature covers.
fn changed(message: &[u8]) -> Vec<u8> {
    let text = message.to_ascii_lowercase();
    let find = |needle: &[u8]| text.windows(needle.len()).position(|found| found == needle);
    let at = find(b"\r\nfrom:").expect("what was signed has an author") + b"\r\nfrom:".len();
    let mut changed = message.to_vec();
    changed.insert(at, b'x');
    changed
}

/// Whether every line of the header is a field or continues one (RFC 5322 §2.2).
fn is_well_formed(message: &[u8]) -> bool {
    let mut lines = message.split(|octet| *octet == b'\n');
    let is_field = |line: &[u8]| {
        let name = line
            .split(|octet| *octet == b':')
            .next()
            .unwrap_or_default();
        name.len() < line.len() && !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
    };
    lines
        .by_ref()
        .take_while(|line| *line != b"\r")
        .all(|line| line.is_empty() || matches!(line[0], b' ' | b'\t') || is_field(line))
}

/// Ends of bodies, folds and repetitions that canonicalisation is about.
fn odd() -> Vec<Sample> {
    let head = "From: a@example.test\r\nTo: b@c.test\r\nSubject: odd\r\n";
    let bodies = [
        "",
        "\r\n",
        "\r\n\r\n\r\n",
        " ",
        " \r\n",
        "\t\r\n \t \r\n",
        "hello",
        "hello\r\n",
        "hello \r\n",
        "hello\r\n \r\n",
        "hello\r\n\t\r\n\r\n \r\n",
        "hello\r\n\r\n\r\n",
        " hello\t\tworld  \r\n",
        "\r\n\r\nhello\r\n",
        "a \t b\r\n\r\n  \r\nc\r\n \r\n \r\n",
        "=20\r\n",
        ".\r\n..\r\n",
        "\u{e9}  \r\n",
    ];
    let headers = [
        "Subject:\r\n".to_owned(),
        "Subject:\r\n folded\r\n\tand  folded \r\n".to_owned(),
        "Subject: trailing \t \r\nDate:x\r\n".to_owned(),
        "To: second@c.test\r\nTo: third@c.test\r\nCC: x@c.test\r\ncc: y@c.test\r\n".to_owned(),
        "Date: d\r\nMessage-ID: <m@c>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
            .to_owned(),
        format!(
            "References: {}\r\n",
            "<a.long.id@c.test>\r\n ".repeat(200) + "<end@c.test>"
        ),
        format!(
            "X-Long: {}\r\nSubject: {}\r\n",
            "x".repeat(9_000),
            "y".repeat(900)
        ),
        "Subject: gr\u{fc}\u{df}e\r\nFrom: \u{e9}@example.test\r\n".to_owned(),
        "To: x@c.test\r\n".repeat(100),
    ];
    let bodied = bodies.map(|body| (format!("body {body:?}"), format!("{head}\r\n{body}")));
    let headed = headers.map(|more| {
        let start: String = more.chars().take(40).collect();
        (
            format!("header {start:?}"),
            format!("{head}{more}\r\nbody\r\n"),
        )
    });
    let all = bodied.into_iter().chain(headed);
    let all = all.chain([("no empty line".to_owned(), head.to_owned())]);
    all.map(|(name, text)| Sample {
        name,
        octets: text.into_bytes(),
    })
    .collect()
}
