//! Programs that fetch a mailbox: fetchmail takes all of it away, OfflineIMAP keeps a Maildir in
//! step.

use super::{ALICE, BOB, files};
use std::os::unix::fs::PermissionsExt;
use tests::corpus::plain;
use tests::peer::peer;
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::PASSWORD;

/// What it fetched goes on to bob by our LMTP, and alice has nothing left.
#[test]
fn fetchmail_takes_all_away() {
    if peer("fetchmail").is_none() {
        return;
    }
    let server = Server::usual();
    let message = |number: u64| plain(&format!("m{number}"), 3_000, &mut Seed::new(number));
    for number in 0..50 {
        server.deliver(&[ALICE], &message(number));
    }
    let a = server.addresses();
    let home = server.setup.directory.path();
    let config = home.join("fetchmailrc");
    let text = format!(
        "set no bouncemail\npoll localhost with proto IMAP service {imaps}\n\
         user \"{ALICE}\" with password \"{PASSWORD}\"\n\
         smtphost 127.0.0.1/{lmtp} lmtp smtpname {BOB}\n\
         ssl sslproto tls1.2+ no sslcertck fetchall no rewrite\n",
        imaps = a.imaps.port(),
        lmtp = a.lmtp.port(),
    );
    std::fs::write(&config, text).unwrap();
    // It refuses a file with passwords that others may read.
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
    let fetchmail = peer("fetchmail").unwrap().arg("-f").arg(&config);
    let pid = home.join("fetchmail.pid");
    let fetchmail = fetchmail
        .args(["--nodetach", "--nosyslog", "--pidfile"])
        .arg(pid);
    fetchmail
        .env("HOME", home)
        .env("FETCHMAILHOME", home)
        .succeeds();
    server.wait_for_messages(BOB, 50);
    assert_eq!(
        server.imap(ALICE).status("INBOX", "MESSAGES").unwrap()["MESSAGES"],
        0
    );
    let mut imap = server.imap_in(BOB, "INBOX");
    let fetched = imap.fetch("FETCH 1:* BODY.PEEK[TEXT]").unwrap();
    for (fetched, number) in fetched.iter().zip(0..) {
        let sent = message(number);
        let body = fetched.octets("BODY[TEXT]").expect("it was asked for");
        assert!(sent.ends_with(body), "message {number} changed on its way");
    }
}

#[test]
fn offlineimap_keeps_a_maildir_in_step() {
    if peer("offlineimap").is_none() {
        return;
    }
    let server = Server::usual();
    for number in 0..30 {
        let message = plain(&format!("m{number}"), 3_000, &mut Seed::new(number));
        server.deliver(&[ALICE], &message);
    }
    let home = server.setup.directory.path();
    let folder = home.join("offline");
    std::fs::create_dir(&folder).unwrap();
    let config = home.join("offlineimaprc");
    let text = format!(
        "[general]\naccounts = a\nmetadata = {home}/meta\n\n\
         [Account a]\nlocalrepository = near\nremoterepository = far\n\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {folder}\n\n\
         [Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {imaps}\n\
         remoteuser = {ALICE}\nremotepass = {PASSWORD}\nssl = yes\nsslcacertfile = {trust}\n\
         auth_mechanisms = PLAIN\n",
        home = home.display(),
        folder = folder.display(),
        imaps = server.addresses().imaps.port(),
        trust = server.setup.certificate().display(),
    );
    std::fs::write(&config, text).unwrap();
    let sync = || {
        let offlineimap = peer("offlineimap").unwrap().arg("-c").arg(&config);
        offlineimap
            .args(["-o", "-u", "basic"])
            .env("HOME", home)
            .succeeds()
    };
    sync();
    let inbox = folder.join("INBOX");
    assert_eq!(files(&inbox), 30, "new mail comes down");
    let message = plain("from the other side", 2_000, &mut Seed::new(99));
    std::fs::write(inbox.join("cur/1.local:2,S"), &message).unwrap();
    sync();
    let mut imap = server.imap_in(ALICE, "INBOX");
    let search = imap.ok("SEARCH SEEN SUBJECT \"other side\"").unwrap();
    assert!(search.has("* SEARCH 31"), "local mail goes up: {search:?}");
    imap.ok("STORE 1:5 +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.ok("EXPUNGE").unwrap();
    sync();
    assert_eq!(files(&inbox), 26, "deletions come down");
}
