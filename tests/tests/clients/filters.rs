//! imapfilter: searches, set arithmetic, moves and copies into mailboxes that it makes itself.

use super::{ALICE, numbered};
use tests::peer::peer;
use tests::server::Server;
use tests::setup::PASSWORD;

#[test]
fn imapfilter_sorts_a_mailbox() {
    if peer("imapfilter").is_none() {
        return;
    }
    let server = Server::usual();
    numbered::deliver(&server, 0..5);
    let home = server.setup.directory.path();
    let rules = home.join("rules.lua");
    let text = format!(
        "options.timeout = 60\noptions.create = true\noptions.subscribe = true\n\
         a = IMAP {{ server = 'localhost', port = {port}, username = '{ALICE}',\n\
         password = '{PASSWORD}', ssl = 'auto' }}\n\
         found = a.INBOX:contain_subject('number 2') + a.INBOX:contain_body('needle1')\n\
         assert(#found == 2)\n\
         found:move_messages(a['Below/Filtered'])\n\
         a.INBOX:is_unseen():mark_seen()\n\
         a.INBOX:match_subject('number 0'):mark_flagged()\n\
         a.INBOX:match_subject('number 0'):add_flags({{ 'Kept' }})\n\
         a.INBOX:is_flagged():copy_messages(a.Copied)\n\
         a.INBOX:contain_subject('number 4'):delete_messages()\n\
         assert(#a.INBOX:select_all() == 2)\n",
        port = server.addresses().imaps.port(),
    );
    std::fs::write(&rules, text).unwrap();
    let imapfilter = peer("imapfilter")
        .unwrap()
        .arg("-t")
        .arg(server.setup.certificate());
    imapfilter
        .arg("-c")
        .arg(&rules)
        .env("HOME", home)
        .succeeds();
    let mut imap = server.imap(ALICE);
    let mut holds = |mailbox: &str, search: &str, found: &str| {
        imap.ok(&format!("EXAMINE {mailbox}")).unwrap();
        let answer = imap.ok(&format!("SEARCH {search}")).unwrap();
        assert!(
            answer.has(&format!("* SEARCH {found}")),
            "{mailbox}: {answer:?}"
        );
    };
    holds("INBOX", "SEEN", "1 2");
    holds("INBOX", "FLAGGED KEYWORD Kept SUBJECT \"number 0\"", "1");
    holds("Below/Filtered", "ALL", "1 2");
    holds("Copied", "FLAGGED SUBJECT \"number 0\"", "1");
    let subscribed = imap.ok("LIST (SUBSCRIBED) \"\" Copied").unwrap();
    assert!(subscribed.has("* LIST"), "{subscribed:?}");
}
