//! Next hops that answer nonsense, and strangers who want to be relayed (attack classes 16 and 20
//! of the trials): bounded, said in safe words, and no way to anybody else.

use super::{ALICE, setup_with_smarthost, submit};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Mutex;
use tests::server::Server;
use tests::setup::Setup;
use tests::sink::{Moment, Sink};

/// Whatever a host says to a recipient, it counts for that one only: refusals are given back in
/// words that hurt nobody, nonsense is tried again, and everybody else gets mail.
#[test]
fn hostile_words_are_bounded_and_harmless() {
    let (setup, port) = setup_with_smarthost("retry = \"1h\"\n");
    let sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt("bare@far.test", _) => Some("550".to_owned()),
        Moment::Rcpt("screen@far.test", _) => {
            Some("550 5.1.1 \u{1b}[2J\u{7}gone\0<b>x</b> $(reboot)".to_owned())
        }
        Moment::Rcpt("other@far.test", _) => Some("354 5.1.1 Go ahead".to_owned()),
        Moment::Rcpt("number@far.test", _) => Some("999 what".to_owned()),
        Moment::Rcpt("words@far.test", _) => Some("no number at all".to_owned()),
        Moment::Rcpt("mixed@far.test", _) => Some("250-yes\r\n550 no".to_owned()),
        _ => None,
    });
    let mut server = Server::start(setup);
    for to in ["bare", "screen", "other", "number", "words", "mixed"] {
        submit(&server, &[&format!("{to}@far.test")], to);
    }
    submit(&server, &["carol@far.test"], "sound");
    let taken = sink.wait_for(1);
    assert_eq!(taken[0].to, ["carol@far.test"]);
    let inbox = server.inbox(ALICE, 2).join("\n");
    for wanted in ["bare@far.test", "screen@far.test", "gone", "Status: 5.1.1"] {
        assert!(inbox.contains(wanted), "{wanted} in\n{inbox}");
    }
    assert!(!inbox.contains(['\u{1b}', '\u{7}', '\0']), "{inbox:?}");
    let mut line = 0;
    for _ in 0..4 {
        line = server.wait_for_log("result=deferred", line).0 + 1;
    }
    let control = |line: &String| line.contains(|c: char| c.is_control() && c != '\t');
    let strange: Vec<String> = server.log_lines().into_iter().filter(control).collect();
    assert!(strange.is_empty(), "{strange:?}");
    server.assert_alive();
}

/// A line without an end costs neither memory nor another host its mail.
#[test]
fn an_endless_reply_is_cut_off() {
    let mut setup = Setup::usual();
    let (endless, sound) = (setup.spare_port(), setup.spare_port());
    let route = |domain: &str, port| {
        format!(
            "[[route]]\ndomains = \"{domain}\"\nvia = \"relay\"\nhost = \"{port}\"\n\
             retry = \"1h\"\n"
        )
    };
    let routes = route("endless.test", endless) + &route("sound.test", sound);
    let listener = TcpListener::bind(endless).unwrap();
    let talker = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.write_all(b"220 endless.test\r\n");
        let mut line = String::new();
        let _ = BufReader::new(socket.try_clone().unwrap()).read_line(&mut line);
        let piece = vec![b'x'; 1 << 16];
        let mut sent = 0;
        while sent < ENDLESS_BYTES && socket.write_all(&piece).is_ok() {
            sent += piece.len();
        }
        sent
    });
    let sink = Sink::start(sound);
    let server = Server::start(setup.table(&routes));
    submit(&server, &["u@endless.test"], "endless");
    submit(&server, &["u@sound.test"], "sound");
    assert_eq!(sink.wait_for(1)[0].to, ["u@sound.test"]);
    let (_, line) = server.wait_for_log("result=deferred", 0);
    assert!(line.contains("without an end"), "{line}");
    let sent = talker.join().unwrap();
    assert!(sent < ENDLESS_BYTES, "it was heard for {sent} octets");
}

/// No form of an address makes this host pass on what a stranger brings.
#[test]
fn nobody_is_relayed_by_a_trick() {
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::start(port);
    let server = Server::start(setup);
    let mut smtp = server.smtp();
    for to in [
        "victim@far.test",
        "victim%far.test@example.test",
        "victim%far.test@[127.0.0.1]",
        "far.test!victim@example.test",
        "\"victim@far.test\"@example.test",
        "\"victim%far.test\"",
        "@example.test:victim@far.test",
        "@example.test,@a.test:victim@far.test",
        "victim@far.test@example.test",
        "victim@far.test.",
        "victim@FAR.TEST",
        "bob@example.test@far.test",
        "\"bob@example.test\"@far.test",
    ] {
        smtp.command("MAIL FROM:<x@remote.test>")
            .unwrap()
            .expect(250)
            .unwrap();
        let reply = smtp.command(&format!("RCPT TO:<{to}>")).unwrap();
        assert!((500..600).contains(&reply.code), "{to}: {reply}");
        smtp.command("RSET").unwrap().expect(250).unwrap();
    }
    submit(&server, &["carol@far.test"], "honest");
    assert_eq!(sink.wait_for(1)[0].to, ["carol@far.test"]);
    assert_eq!(
        sink.wait_for_rcpts(1),
        ["carol@far.test"],
        "nobody else was asked about"
    );
}

/// What an endless host would say in all, in octets.
const ENDLESS_BYTES: usize = 100 << 20;

/// Nonsense in the place of the answer to a message says nothing of that message: it comes again,
/// after one connection was given up, and nobody else's fares otherwise.
#[test]
fn nonsense_about_a_message_is_asked_for_again() {
    let (setup, port) = setup_with_smarthost("");
    let answers = [
        ("number", "999 what"),
        ("words", "thank you very much"),
        ("more", "354 Go ahead"),
        ("mixed", "451-no\r\n250 yes"),
        ("lines", "252-1\r\n252-2\r\n\u{1b}[2J\0"),
        ("empty", ""),
    ];
    let asked = Mutex::new(HashSet::new());
    let sink = Sink::with(port, move |moment| {
        let Moment::Data(text, _) = moment else {
            return None;
        };
        let is_meant = |(name, _): &&(&str, &str)| text.contains(&format!("Subject: {name}\r\n"));
        let (name, answer) = answers.iter().find(is_meant)?;
        let is_first = asked.lock().unwrap().insert(*name);
        is_first.then(|| (*answer).to_owned())
    });
    let mut server = Server::start(setup);
    for (name, _) in answers {
        submit(&server, &[&format!("{name}@far.test")], name);
    }
    submit(&server, &["carol@far.test"], "sound");
    let taken = sink.wait_for(answers.len() + 1);
    let mut to: Vec<&String> = taken.iter().flat_map(|one| &one.to).collect();
    to.sort_unstable();
    to.dedup();
    assert_eq!(to.len(), answers.len() + 1, "each came once: {taken:?}");
    server.assert_alive();
}
