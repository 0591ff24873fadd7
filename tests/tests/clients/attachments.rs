//! What is in attachments is found: poppler's pdftotext reads them, for the server and for
//! `ringpostctl reindex`.

use super::ALICE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tests::binary::ringpostctl;
use tests::peer::peer;
use tests::server::Server;
use tests::setup::Setup;

#[test]
fn searches_find_what_is_in_pdf_files() {
    if peer("pdftotext").is_none() {
        return;
    }
    let mut setup = Setup::usual();
    let runs = setup.directory.path().join("runs");
    setup = setup.table(&converter(&runs));
    let mut server = Server::start(setup);
    for message in messages() {
        server.deliver(&[ALICE], message.as_bytes());
    }
    // A signature has no list of what is in more than half of the messages.
    for _ in 0..6 {
        server.deliver(&[ALICE], message(&[]).as_bytes());
    }
    let all = "1 2 4 6";
    for (search, expected) in [
        ("BODY \"striped ZEBRA\"", all),
        ("TEXT zebra", all),
        ("FUZZY BODY zebras", all),
        ("NOT BODY zebra 1:6", "3 5"),
        ("SUBJECT zebra", ""),
        ("BODY giraffe", ""),
    ] {
        assert_eq!(found(&server, search), expected, "{search}");
    }
    server.terminate(Duration::from_secs(60));
    reindex(&server.setup);
    server.restart();
    std::fs::remove_file(&runs).unwrap();
    assert_eq!(found(&server, "BODY giraffe"), "");
    assert!(!runs.exists(), "a program ran for what no signature has");
    assert_eq!(found(&server, "BODY zebra"), all);
    let ran = std::fs::read_to_string(&runs).unwrap().lines().count();
    assert_eq!(ran, 5, "the last message has two");
}

/// The sequence numbers of what is found.
fn found(server: &Server, search: &str) -> String {
    let mut imap = server.imap_in(ALICE, "INBOX");
    let answer = imap.ok(&format!("SEARCH {search}")).unwrap();
    let mut responses = answer.untagged.iter().map(|response| response.text());
    let numbers = responses.find_map(|text| Some(text.strip_prefix("* SEARCH")?.trim().to_owned()));
    numbers.unwrap_or_else(|| panic!("{answer:?}"))
}

/// Writes a line into a file whenever it runs.
fn converter(runs: &Path) -> String {
    let script = format!(
        "echo run >> {}; exec pdftotext -q -enc UTF-8 - -",
        runs.display()
    );
    format!(
        "[[converter]]\ntypes = [\"application/pdf\"]\nextensions = [\"pdf\"]\n\
         command = [\"/bin/sh\", \"-c\", \"{script}\"]"
    )
}

fn reindex(setup: &Setup) {
    let output = Command::new(ringpostctl())
        .arg("--data")
        .arg(setup.data())
        .args(["reindex", "--config"])
        .arg(setup.config_file())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// By type, by name, without one, large, damaged, twice in one message.
fn messages() -> [String; 6] {
    let striped = base64(&pdf("A striped zebra", 0));
    let large = base64(&pdf("A striped zebra", 600_000));
    let damaged = base64(b"%PDF-1.4 striped zebra");
    let typed = "Content-Type: application/pdf";
    let named = "Content-Type: application/octet-stream; name=\"Animals.PDF\"";
    let none = base64(&pdf("Nothing", 0));
    [
        message(&[(typed, &striped)]),
        message(&[(named, &striped)]),
        message(&[("Content-Type: application/zip", &striped)]),
        message(&[(typed, &large)]),
        message(&[(typed, &damaged)]),
        message(&[(typed, &none), (typed, &striped)]),
    ]
}

fn message(parts: &[(&str, &str)]) -> String {
    let mut message = "From: a@b\r\nSubject: see attachment\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=next\r\n\r\n\
        --next\r\n\r\nHere you are.\r\n"
        .to_owned();
    for (about, encoded) in parts {
        let part = "Content-Transfer-Encoding: base64\r\n\r\n";
        write!(message, "--next\r\n{about}\r\n{part}{encoded}\r\n").unwrap();
    }
    message + "--next--\r\n"
}

/// One page with one line, and a stretch that no reader looks at.
fn pdf(line: &str, padding: usize) -> Vec<u8> {
    let content = format!("BT /F1 24 Tf 72 720 Td ({line}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!(
            "<< /Length {} >>\nstream\n{content}\nendstream",
            content.len()
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        format!(
            "<< /Length {padding} >>\nstream\n{}\nendstream",
            "x".repeat(padding)
        ),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(file.len());
        write!(file, "{number} 0 obj\n{object}\nendobj\n").unwrap();
    }
    let table = file.len();
    write!(file, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).unwrap();
    for offset in offsets {
        writeln!(file, "{offset:010} 00000 n ").unwrap();
    }
    let size = objects.len() + 1;
    write!(
        file,
        "trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"
    )
    .unwrap();
    file.into_bytes()
}

fn base64(octets: &[u8]) -> String {
    let encoded = STANDARD.encode(octets);
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    lines.join("\r\n")
}
