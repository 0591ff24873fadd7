//! Classes 1 and 2: commands that hide in a message, in a chunk, or behind STARTTLS.

use super::{ALICE, BOB, Watch};
use tests::imap::Imap;
use tests::setup::{Addresses, Setup};
use tests::smtp::Smtp;

/// Class 1: a message ends at CRLF.CRLF and nowhere else, wherever the network cuts it.
#[test]
fn no_other_ending_ends_a_message() {
    let mut watch = Watch::start(Setup::usual());
    let a = watch.addresses();
    for ending in ENDINGS {
        let (head, tail) = ("Subject: outer\r\n\r\nfirst", SMUGGLED);
        let body = format!("{head}{ending}{tail}\r\n.\r\n");
        for cut in 0..=ending.len() + 2 {
            let cut = (head.len() + cut).saturating_sub(1);
            let mut smtp = transaction(a);
            smtp.command("DATA").unwrap().expect(354).unwrap();
            smtp.connection.send(&body.as_bytes()[..cut]).unwrap();
            smtp.connection.send(&body.as_bytes()[cut..]).unwrap();
            one_reply_and_a_fence(&mut smtp, ending);
        }
    }
    let bob = watch.server.imap(BOB).status("INBOX", "MESSAGES").unwrap();
    assert_eq!(bob["MESSAGES"], 0, "a message was smuggled");
    watch.is_well();
}

/// Class 1 with BDAT: what stands in a chunk is never a command.
#[test]
fn chunks_hold_no_commands() {
    let mut watch = Watch::start(Setup::usual());
    let a = watch.addresses();
    for ending in ENDINGS.into_iter().chain(["\r\n.\r\n"]) {
        let body = format!("Subject: outer\r\n\r\nfirst{ending}{SMUGGLED}\r\n.\r\n");
        for cut in 1..body.len() {
            if cut % 7 != 0 {
                continue;
            }
            let mut smtp = transaction(a);
            let (one, two) = body.split_at(cut);
            smtp.connection
                .send(format!("BDAT {}\r\n{one}", one.len()).as_bytes())
                .unwrap();
            let first = smtp.reply().unwrap();
            smtp.connection
                .send(format!("BDAT {} LAST\r\n{two}", two.len()).as_bytes())
                .unwrap();
            assert!(first.code == 250 || first.code >= 500, "{first}");
            one_reply_and_a_fence(&mut smtp, ending);
        }
    }
    let bob = watch.server.imap(BOB).status("INBOX", "MESSAGES").unwrap();
    assert_eq!(bob["MESSAGES"], 0, "a message was smuggled");
    watch.is_well();
}

/// Class 2: what was sent in clear behind STARTTLS is not part of the session under TLS.
#[test]
fn commands_behind_starttls_are_thrown_away() {
    let mut watch = Watch::start(Setup::usual());
    let a = watch.addresses();
    for injected in [
        "NOOP\r\n",
        "EHLO evil\r\nMAIL FROM:<evil@remote.test>\r\n",
        "QUIT\r\n",
    ] {
        let mut smtp = Smtp::hello(a.smtp).unwrap();
        smtp.connection
            .send(format!("STARTTLS\r\n{injected}").as_bytes())
            .unwrap();
        smtp.reply().unwrap().expect(220).unwrap();
        if smtp.connection.start_tls().is_ok() {
            smtp.command("MAIL FROM:<a@remote.test>")
                .unwrap()
                .expect(503)
                .unwrap();
        }
    }
    for injected in [
        "x NOOP\r\n",
        "x LOGIN alice@example.test ringpost-demo\r\n",
        "x LOGOUT\r\n",
    ] {
        let mut imap = Imap::connect(a.imap).unwrap();
        imap.connection
            .send(format!("t1 STARTTLS\r\n{injected}").as_bytes())
            .unwrap();
        assert!(imap.answer("t1").unwrap().is_ok());
        if imap.connection.start_tls().is_ok() {
            let answer = imap.command("CAPABILITY").unwrap();
            assert!(answer.is_ok() && answer.untagged.len() == 1, "{answer:?}");
            assert!(
                !imap.command("LIST \"\" \"*\"").unwrap().is_ok(),
                "logged in in clear"
            );
        }
    }
    watch.is_well();
}

fn transaction(a: Addresses) -> Smtp {
    let mut smtp = Smtp::hello(a.smtp).unwrap();
    smtp.envelope("a@remote.test", &[ALICE]).unwrap();
    smtp
}

/// The message gets one reply, and the next thing the server answers is our fence.
fn one_reply_and_a_fence(smtp: &mut Smtp, ending: &str) {
    let reply = smtp.reply().unwrap();
    assert!(
        reply.code == 250 || reply.code >= 500,
        "{ending:?}: {reply}"
    );
    let fence = smtp.command("VRFY fence").unwrap();
    assert_eq!(
        fence.code, 252,
        "{ending:?}: a second reply to one message: {fence}"
    );
}

const SMUGGLED: &str = "MAIL FROM:<evil@remote.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n\
                        Subject: smuggled\r\n\r\nsecond";

/// Thirteen endings that some server once took for CRLF.CRLF.
const ENDINGS: [&str; 13] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r\n.\r",
    "\r.\r\n",
    "\n.\r",
    "\r.\n",
    "\r\n.\r\r\n",
    "\r\r\n.\r\r\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
    "\n\n.\n\n",
];
