//! Ways in that other programs depend on: submission that completes, LMTP on a socket file, and
//! accounts that go while mail for them is on its way.

use super::accounts::ctl;
use super::{ALICE, BOB, message};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tests::peer::peer;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::smtp::Smtp;

/// A client that writes no Date and no Message-ID gets both, one that does keeps its own (RFC 6409
/// §8.2, §8.3), and mail of other hosts is left alone.
#[test]
fn a_submission_is_completed_and_nothing_else_is() {
    let server = Server::usual();
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    let bare = b"Subject: bare\r\n\r\nDate: of the text\r\n";
    let whole = b"message-id: <a@b>\r\nDATE: Thu, 1 Jan 1970 00:00:00 +0000\r\n\r\nwhole\r\n";
    for text in [&bare[..], &whole[..]] {
        smtp.deliver(ALICE, &[BOB], text)
            .unwrap()
            .expect(250)
            .unwrap();
    }
    // In two chunks, the second of which ends the header.
    smtp.envelope(ALICE, &[BOB]).unwrap();
    smtp.connection.send(b"BDAT 12\r\nSubject: x\r\n").unwrap();
    smtp.reply().unwrap().expect(250).unwrap();
    smtp.bdat(b"Da").unwrap().expect(250).unwrap();
    server.deliver(&[BOB], bare);
    let texts = server.inbox(BOB, 4);
    let count = |text: &str, name: &str| {
        let (header, _) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let lines = header.lines().map(str::to_ascii_lowercase);
        lines.filter(|line| line.starts_with(name)).count()
    };
    for (at, text) in texts.iter().enumerate() {
        let wanted = if at == 3 { 0 } else { 1 };
        assert_eq!(count(text, "date:"), wanted, "{at}: {text}");
        assert_eq!(count(text, "message-id:"), wanted, "{at}: {text}");
    }
    assert!(texts[0].ends_with(str::from_utf8(bare).unwrap()));
    assert!(texts[1].contains("\r\nmessage-id: <a@b>\r\n") || texts[1].contains("<a@b>"));
    let id = texts[0]
        .lines()
        .find(|line| line.starts_with("Message-ID: <"))
        .unwrap();
    assert!(id.ends_with('>') && id.contains('@'), "{id}");
}

/// A Postfix on the same host hands over through a file; after `kill -9` the file is replaced, and
/// a server that listens there is not pushed out.
#[test]
fn lmtp_on_a_socket_file() {
    let setup = Setup::usual();
    let path = setup.directory.path().join("lmtp");
    let table = format!(
        "[[listener]]\nprotocol = \"lmtp\"\naddress = \"unix:{}\"\nmode = \"0600\"",
        path.display()
    );
    let mut server = Server::start(setup.table(&table));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    hand_over(&path, "first");
    server.kill_and_restart();
    hand_over(&path, "second");
    let second = Setup::usual().table(&table);
    let (code, said) = Server::refused(&second);
    assert_ne!(code, Some(0));
    assert!(said.contains("another program listens there"), "{said}");
    hand_over(&path, "third");
    let texts = server.inbox(BOB, 3);
    assert!(
        texts.iter().all(|text| text.contains(" with LMTP id ")),
        "{texts:?}"
    );
    assert!(server.terminate(Duration::from_secs(45)).success());
    assert!(!path.exists(), "the file stays behind");
    std::fs::write(&path, "mine").unwrap();
    let (_, said) = Server::refused(&second);
    assert!(said.contains("no socket"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

/// Python's LMTP client, as any other program would.
fn hand_over(path: &Path, subject: &str) {
    let Some(python) = peer("python3") else {
        return;
    };
    let script = "import smtplib, sys\n\
        with smtplib.LMTP(sys.argv[1]) as lmtp:\n    \
        refused = lmtp.sendmail('a@remote.test', [sys.argv[2], 'nobody@example.test'],\n        \
        'Subject: ' + sys.argv[3] + '\\r\\n\\r\\nx\\r\\n')\n    \
        assert list(refused) == ['nobody@example.test'], refused\n";
    let path = path.display().to_string();
    python.args(["-c", script, &path, BOB, subject]).succeeds();
}

/// Removed between RCPT and the end of data: not made again, and the mail goes to the postmaster.
#[test]
fn mail_for_an_account_that_goes_is_inherited() {
    let server = Server::start(stored_accounts());
    let setup = &server.setup;
    let eve = "eve@example.test";
    ctl(setup, &["account", "add", eve], "secret-of-eve\n").unwrap();
    let mut smtp = server.smtp();
    smtp.envelope("a@remote.test", &[eve]).unwrap();
    ctl(setup, &["account", "remove", "--yes", eve], "").unwrap();
    smtp.data(&message("late")).unwrap().expect(250).unwrap();
    let texts = server.inbox(ALICE, 1);
    assert!(
        texts[0].contains("Delivered-To: eve@example.test\r\n"),
        "{}",
        texts[0]
    );
    let listed = ctl(setup, &["account", "list"], "").unwrap();
    assert!(!listed.contains(eve), "{listed}");
    smtp.command("MAIL FROM:<a@remote.test>").unwrap();
    assert_eq!(smtp.command(&format!("RCPT TO:<{eve}>")).unwrap().code, 550);
}

/// A domain where `ringpostctl` makes accounts, and alice.
fn stored_accounts() -> Setup {
    let domain = "[[domain]]\nname = \"example.test\"\naccounts_elsewhere = true";
    Setup::empty().table(domain).account(ALICE, PASSWORD)
}

/// What only a restart changes is named at each reload.
#[test]
fn a_reload_says_what_needs_a_restart() {
    let server = Server::usual();
    let text = server.setup.text();
    let more = format!("{text}\n[[listener]]\nprotocol = \"lmtp\"\naddress = \"unix:unmade\"\n");
    for _ in 0..2 {
        std::fs::write(server.setup.config_file(), &more).unwrap();
        let place = server.log_position();
        server.signal(rustix::process::Signal::HUP);
        let (_, line) = server.wait_for_log("changes at the next start only", place);
        assert!(line.contains("[[listener]]"), "{line}");
        server.wait_for_log("reloaded", place);
    }
    server.deliver(&[ALICE], &message("as before"));
}

/// What IMAP clients do shows by verb.
#[test]
fn imap_commands_are_counted_by_verb() {
    let server = Server::usual();
    let mut imap = server.imap_in(ALICE, "INBOX");
    imap.ok("UID SEARCH ALL").unwrap();
    let _ = imap.command("NONSENSE");
    imap.ok("NOOP").unwrap();
    let metrics = server.metrics();
    let of = |verb: &str| -> f64 {
        let is_wanted = |name: &&String| {
            name.starts_with("ringpost_imap_commands_total")
                && name.contains(&format!("verb=\"{verb}\""))
        };
        metrics
            .keys()
            .filter(is_wanted)
            .map(|name| metrics[name])
            .sum()
    };
    assert_eq!(
        [of("search"), of("not-understood"), of("noop"), of("idle")],
        [1.0, 1.0, 1.0, 0.0]
    );
    assert!(of("select") + of("examine") >= 1.0 && of("login") + of("authenticate") >= 1.0);
}
