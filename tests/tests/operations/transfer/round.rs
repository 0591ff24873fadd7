//! What is exported and imported again is the same mail: every octet, flag, keyword, date and UID.

use super::{Scene, table, write};
use std::fmt::Write;
use tests::corpus::samples;

const MARKS: [(&str, &str); 4] = [
    ("", ""),
    ("\\Seen \\Flagged", "$Label1 Work"),
    ("\\Answered \\Deleted \\Draft", ""),
    ("\\Seen", "NonJunk"),
];

#[test]
fn every_format_gives_back_what_it_got() {
    let scene = Scene::new();
    write_source(&scene);
    scene.import("first@example.test", "source");
    let before = scene.picture("first@example.test", "before");
    assert_eq!(table(&before, "Work/Präsi & v1.2").len(), wanted().len());
    for (name, octets) in wanted() {
        let file = format!("Work/Präsi & v1.2/{name}.eml");
        assert!(
            before[&file] == octets,
            "{file} is another on its first way"
        );
    }
    for format in ["mbox", "maildir", "eml"] {
        let account = format!("{format}@example.test");
        let there = format!("there-{format}");
        let folder = scene.export("first@example.test", format, &there);
        scene.import(&account, folder.to_str().unwrap());
        let after = scene.picture(&account, &format!("after-{format}"));
        assert_eq!(
            before.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>(),
            "{format}"
        );
        for (file, octets) in &before {
            let is_empty_mailbox = file.ends_with(".tsv") && octets.ends_with(b"octets\n");
            let same = without_zone(octets, format) == without_zone(&after[file], format);
            // An mbox without a message says nothing of UIDVALIDITY.
            assert!(
                same || is_empty_mailbox,
                "{format}: {file} came back different"
            );
        }
    }
}

/// A Maildir has no place for the zone of a date.
fn without_zone(octets: &[u8], format: &str) -> String {
    let text = String::from_utf8_lossy(octets).into_owned();
    match format {
        "maildir" => text.replace("02:00:00 +0200", "00:00:00 +0000"),
        _ => text,
    }
}

/// The messages by UID, with those that only an octet-exact way keeps.
fn wanted() -> Vec<(usize, Vec<u8>)> {
    let mut all: Vec<Vec<u8>> = samples().into_iter().map(|sample| sample.octets).collect();
    all.push(b"Subject: bare LF\n\nFrom here\r\n>From there\n".to_vec());
    all.push(b"Subject: no end".to_vec());
    all.push(b"Status: RO\r\nX-UID: 9\r\nX-Ringpost: x\r\nSubject: s\r\n\r\n\r\n\r\n".to_vec());
    all.push(
        [
            b"Subject: large\r\n\r\n".to_vec(),
            b"From x\r\n>".repeat(400_000),
        ]
        .concat(),
    );
    all.push(
        [
            b"Subject: bare\r\n\r\n".to_vec(),
            b"a\rb\nFrom ".repeat(200_000),
        ]
        .concat(),
    );
    all.into_iter()
        .enumerate()
        .map(|(at, octets)| (3 * at + 2, octets))
        .collect()
}

fn write_source(scene: &Scene) {
    let folder = scene.path("source").join("Work");
    let mut table = String::from(
        "# ringpost mailbox 1\n# name\tWork/Präsi & v1.2\n# uidvalidity\t1234567\n\
         # uidnext\t90000\nfile\tuid\tflags\tkeywords\tdate\toctets\n",
    );
    for ((uid, octets), (flags, keywords)) in wanted().into_iter().zip(MARKS.iter().cycle()) {
        let day = uid % 28 + 1;
        let date = format!("{day:02}-Jul-1996 02:00:00 +0200");
        let _ = writeln!(
            table,
            "{uid}.eml\t{uid}\t{flags}\t{keywords}\t{date}\t{}",
            octets.len()
        );
        write(&folder.join(format!("{uid}.eml")), octets);
    }
    write(&folder.join("mailbox.tsv"), table);
}
