//! What signatures cost and what they save, on one large mailbox:
//! `cargo run --release -p store --example signatures -- DIRECTORY [MESSAGES] [TEXTS]`.
//!
//! Mail of about 4.7 KB with the headers of today and a vocabulary as skewed as that of a language.
//! Texts are read by a plain reader: header and body in lower case. Asked are words that no message
//! has, that a few have, and that most have. A needle's candidates are counted against the messages
//! that hold it.

mod bed;
mod clock;
mod turns;

use bed::{Disk, Done, base64, line_of_words, word};
use clock::Clock;
use std::rc::Rc;
use std::sync::Arc;
use store::compact::Here;
use store::disk::fault::Seed;
use store::mail::id::{AccountId, MailboxId};
use store::mail::uidset::UidSet;
use store::search::{Column, Field, FirstPass, InMemory, Needle, TextSink, Texts, Version};
use store::shard::Shard;

const ADDRESS: &str = "user@example.test";

fn main() -> Done {
    bed::with_shard(measure)
}

/// Reads what is ASCII.
struct Plain;

impl Texts for Plain {
    fn version(&self) -> Version {
        Version::from(1)
    }

    fn begin(&self) -> Box<dyn FirstPass> {
        Box::new(InMemory(read))
    }

    fn column(&self, header: &[u8], column: Column, out: &mut Vec<u8>) {
        let kept = header.get(header.len().saturating_sub(450)..);
        let kept = kept.unwrap_or(header);
        out.extend_from_slice(match column {
            Column::Facts => kept.get(..150).unwrap_or(kept),
            Column::Envelope => kept,
        });
    }
}

fn read(message: &[u8], each: TextSink<'_>) {
    let text = String::from_utf8_lossy(message).to_ascii_lowercase();
    let (header, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    for line in header.split("\r\n") {
        let (name, value) = line.split_once(": ").unwrap_or(("", line));
        let field = match name {
            "subject" => Some(Field::Subject),
            "from" => Some(Field::From),
            "to" => Some(Field::To),
            _ => None,
        };
        field.into_iter().for_each(|field| each(field, value));
    }
    each(Field::Header, header);
    each(Field::Body, body);
}

async fn measure(shard: &Rc<Shard<Disk>>, disk: &Disk, messages: u64) -> Done {
    let account = shard.open_account(ADDRESS).await?;
    let inbox = shard.mailbox(account, "INBOX");
    let inbox = inbox.expect("every account has one").id;
    let there = shard
        .status(account, inbox)
        .map_or(0, |status| u64::from(status.messages));
    if there == 0 {
        let mut seed = Seed::new(1);
        let lines = lines();
        let make = |number| (ADDRESS.to_owned(), letter(&mut seed, number, &lines));
        let octets = bed::fill(shard, messages, make).await?;
        println!("{messages} messages of {} bytes", octets / messages);
    }
    let here = Here(disk.clone());
    shard.checkpoint(&here).await?;
    shard.sign_by(Arc::new(Plain)).await?;
    let clock = Clock::start();
    let signed = shard.sign(&here, u64::MAX).await?.signed;
    let spent = clock.spent().cpu_secs;
    println!("signed {signed} in {spent:.2} CPU seconds");
    tell_bytes(messages);
    let every = UidSet::from_ranges([(1, u32::MAX)]);
    for (field, text) in ASKED {
        let needle = Needle { field, text };
        ask(shard, (account, inbox), &every, &needle).await;
    }
    for column in Column::ALL {
        let (mut shown, mut octets, mut without) = (0, 0, 0);
        let clock = Clock::start();
        for _ in 0..TIMES {
            let mut each = |_, kept: &[u8]| (shown, octets) = (shown + 1, octets + kept.len());
            let left = shard
                .columns(account, inbox, &every, column, &mut each)
                .await;
            without = left.len();
        }
        let spent = clock.spent().cpu_secs * 1000.0 / f64::from(TIMES);
        let (shown, octets) = (shown / TIMES, octets / TIMES as usize);
        println!("{column:?}: {shown} shown, {without} not, {octets} bytes, {spent:.1} CPU ms");
    }
    println!("{} bytes in memory", shard.signatures_bytes());
    Ok(())
}

async fn ask(
    shard: &Rc<Shard<Disk>>,
    (account, inbox): (AccountId, MailboxId),
    every: &UidSet,
    needle: &Needle<'_>,
) {
    let clock = Clock::start();
    let mut left = 0;
    for _ in 0..TIMES {
        left = shard.may_hold(account, inbox, every, needle).await.len();
    }
    let spent = clock.spent().cpu_secs * 1000.0 / f64::from(TIMES);
    let Needle { field, text } = needle;
    println!("{field:?} {text:?}: {left} candidates, {spent:.2} CPU ms");
}

/// Lines of the files in a third argument, a directory of texts.
fn lines() -> Vec<String> {
    let directory = std::env::args().nth(3);
    let files = directory.and_then(|directory| std::fs::read_dir(directory).ok());
    let files = files.into_iter().flatten().flatten();
    let texts = files.filter_map(|file| std::fs::read(file.path()).ok());
    let texts: Vec<String> = texts
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let lines = lines.filter(|line| line.contains(' ') && line.len() > 40);
    lines.map(str::to_owned).collect()
}

fn tell_bytes(messages: u64) {
    let directory = std::env::args().nth(1).unwrap_or_default();
    let files = std::fs::read_dir(format!("{directory}/shard-00/search"));
    let files: Vec<_> = files.into_iter().flatten().flatten().collect();
    let bytes: u64 = files
        .iter()
        .flat_map(|file| file.metadata())
        .map(|data| data.len())
        .sum();
    println!(
        "{} files, {} bytes a message",
        files.len(),
        bytes / messages
    );
}

/// Each needle is asked so often: the clock is a coarse one.
const TIMES: u32 = 50;

const ASKED: [(Field, &str); 12] = [
    (Field::Subject, "xylophone"),
    (Field::Subject, "qzxvj"),
    (Field::Subject, "needle"),
    (Field::From, "nobody@nowhere"),
    (Field::Body, "xylophone"),
    (Field::Body, "qzxvj"),
    (Field::Body, "needle"),
    (Field::Body, "invoice"),
    (Field::Body, "the"),
    (Field::Header, "xylophone"),
    (Field::Header, "qzxvj"),
    (Field::Header, "needle"),
];

/// Its body is of these lines, or of words that are made up where there are none.
fn letter(seed: &mut Seed, number: u64, lines: &[String]) -> Vec<u8> {
    let length = 4200 + seed.below(1000) as usize;
    let (sender, site, id) = (word(seed), word(seed), seed.next());
    let mut text = format!(
        "Received: from mx.{site}.example (mx.{site}.example [192.0.2.{}])\r\n\tby mx.example.test \
         with ESMTPS id {:016x}\r\n\tfor <user@example.test>; Sun, 22 Nov 2026 10:45:28 +0000\r\n\
         DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={site}.example; s=mail;\r\n\tb=",
        seed.below(256),
        seed.next()
    );
    base64(seed, 344, &mut text);
    text.push_str(&format!(
        "\r\nDate: Sun, 22 Nov 2026 10:45:28 +0000\r\nFrom: {sender} <{sender}@{site}.example>\r\n\
         To: User <user@example.test>\r\nMessage-ID: <{id:016x}.{number}@{site}.example>\r\n\
         References: <{:016x}@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\
         Subject: {} {} {}{}\r\n\r\n",
        seed.next(),
        word(seed),
        word(seed),
        word(seed),
        if number % 10_000 == 17 { " needle" } else { "" },
    ));
    if number % 10_000 == 18 {
        text.push_str("a needle in hay\r\n");
    }
    while text.len() < length {
        match lines {
            [] => line_of_words(seed, &mut text),
            _ => {
                let at = seed.below(lines.len() as u64) as usize;
                text.push_str(lines.get(at).map_or("", String::as_str));
                text.push_str("\r\n");
            }
        }
    }
    text.into_bytes()
}
