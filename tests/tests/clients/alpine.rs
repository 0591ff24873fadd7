//! Alpine on a terminal: a search, an aggregate save, a flag, an expunge, a draft.

use super::terminal::typed;
use super::{ALICE, numbered};
use tests::peer::peer;
use tests::server::Server;
use tests::setup::PASSWORD;

#[test]
fn alpine_does_a_users_day() {
    if peer("alpine").is_none() {
        return;
    }
    let server = Server::usual();
    numbered::deliver(&server, 0..6);
    let home = server.setup.directory.path();
    let rc = home.join("pinerc");
    std::fs::write(&rc, config(&server)).unwrap();
    let words = ["alpine", "-p", rc.to_str().unwrap()];
    typed(
        &[
            ("ENTER PASSWORD:", &format!("{PASSWORD}\r")),
            ("6 Messages", "i"),
            ("number 5", ";"),
            ("SELECT criteria", "t"),
            ("Select based on To|From|Subj", "a"),
            ("String in message TEXT", "needle3\r"),
            ("X +.*number 3", "a"),
            ("APPLY command", "s"),
            ("SAVE .* to folder", "Kept\r"),
            ("Create\\?", "y"),
            ("X D +4", "6"),
            ("(?i)number to jump to", "\r"),
            ("Message 6 of 6", "*"),
            ("Flag New, Deleted", "\r"),
            ("\\* N +6", "x"),
            ("of 5", "c"),
            (
                "(?s)To +:.*Send",
                "bob@example.test\r\r\rA draft\rwritten by hand\r\u{f}",
            ),
            ("(?i)composition postponed|postponed", "q"),
        ],
        &words,
        home,
    );
    let mut imap = server.imap_in(ALICE, "INBOX");
    let flagged = imap.ok("SEARCH FLAGGED SUBJECT \"number 5\"").unwrap();
    assert!(flagged.has("* SEARCH 5"), "{flagged:?}");
    let gone = imap.ok("SEARCH SUBJECT \"number 3\"").unwrap();
    assert!(!gone.has("* SEARCH 4"), "{gone:?}");
    imap.ok("EXAMINE Kept").unwrap();
    let kept = imap.ok("SEARCH SUBJECT \"number 3\" BODY needle3").unwrap();
    assert!(kept.has("* SEARCH 1"), "{kept:?}");
    imap.ok("EXAMINE Drafts").unwrap();
    let draft = imap
        .ok("SEARCH SUBJECT \"A draft\" BODY \"written by hand\"")
        .unwrap();
    assert!(draft.has("* SEARCH 1"), "{draft:?}");
}

fn config(server: &Server) -> String {
    let imaps = server.addresses().imaps.port();
    let ours = format!("{{localhost:{imaps}/ssl/novalidate-cert/user={ALICE}}}");
    format!(
        "personal-name=Alice\nuser-domain=example.test\ninbox-path={ours}INBOX\n\
         folder-collections=\"Mail\" {ours}[]\ndefault-fcc={ours}Sent\n\
         postponed-folder={ours}Drafts\nfeature-list=disable-password-file-saving,\
         quit-without-confirm,expunge-without-confirm,expunge-without-confirm-everywhere,\
         enable-aggregate-command-set,enable-flag-cmd,no-pinerc-exit-info\n\
         last-version-used=9\nsort-key=arrival\n"
    )
}
