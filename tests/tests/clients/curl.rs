//! curl by the addresses of IMAP (RFC 5092): a part, a stretch, a search, commands of one's own,
//! each mechanism.

use super::{ALICE, curl};
use tests::corpus::plain;
use tests::peer::{Peer, peer};
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::PASSWORD;

struct Curl<'a> {
    server: &'a Server,
    base: String,
}

impl Curl<'_> {
    fn at(&self, path: &str) -> Peer {
        let url = format!("{}/{path}", self.base);
        let login = format!("{ALICE}:{PASSWORD}");
        curl(self.server).args(["--ssl-reqd", "--user", &login, "--url", &url])
    }

    fn reads(&self, path: &str) -> String {
        self.at(path).succeeds()
    }

    fn says(&self, mailbox: &str, command: &str) -> String {
        self.at(mailbox).args(["--request", command]).succeeds()
    }
}

#[test]
fn curl_follows_every_address() {
    if peer("curl").is_none() {
        return;
    }
    let server = Server::usual();
    let message = |number: u64| plain(&format!("needle {number}"), 2_000, &mut Seed::new(number));
    for number in 1..=3 {
        server.deliver(&[ALICE], &message(number));
    }
    let a = server.addresses();
    for base in [format!("imap://{}", a.imap), format!("imaps://{}", a.imaps)] {
        let curl = Curl {
            server: &server,
            base,
        };
        assert_eq!(
            curl.reads("INBOX?SUBJECT%20%22needle%202%22").trim(),
            "* SEARCH 2"
        );
        let header = curl.reads("INBOX;UID=3;SECTION=HEADER.FIELDS%20(SUBJECT)");
        assert_eq!(header.trim(), "Subject: needle 3");
        let text = String::from_utf8(message(1)).unwrap();
        let body = text.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(curl.reads("INBOX;MAILINDEX=1;SECTION=TEXT"), body);
        assert!(
            curl.reads("INBOX;UID=2")
                .ends_with(std::str::from_utf8(&message(2)).unwrap())
        );
        curl.at("INBOX;UIDVALIDITY=1;UID=2").fails();
        curl.at("INBOX;UID=9").fails();
        curl.at("Nowhere;UID=1").fails();
    }
}

#[test]
fn curl_says_what_it_is_told() {
    if peer("curl").is_none() {
        return;
    }
    let server = Server::usual();
    for number in 1..=3 {
        server.deliver(
            &[ALICE],
            &plain(&format!("m{number}"), 900, &mut Seed::new(number)),
        );
    }
    let base = format!("imaps://{}", server.addresses().imaps);
    let curl = Curl {
        server: &server,
        base,
    };
    curl.says("", "CREATE \"Two words/Below\"");
    assert!(
        curl.says("", "LIST \"\" \"Two*\" RETURN (STATUS (MESSAGES))")
            .contains("Below")
    );
    curl.says("INBOX", "UID COPY 1:2 \"Two words/Below\"");
    let status = curl.says("", "STATUS \"Two words/Below\" (MESSAGES SIZE)");
    assert!(status.contains("MESSAGES 2"), "{status}");
    curl.says("INBOX", "STORE 1 +FLAGS (\\Deleted $Done)");
    assert!(curl.says("INBOX", "FETCH 1:* (FLAGS)").contains("$Done"));
    curl.says("INBOX", "EXPUNGE");
    assert!(
        curl.says("INBOX", "SORT (REVERSE SUBJECT) UTF-8 ALL")
            .contains("* SORT 2 1")
    );
    assert!(
        curl.says("INBOX", "THREAD REFERENCES UTF-8 ALL")
            .contains("* THREAD (1)(2)")
    );
    assert!(curl.says("", "GETQUOTAROOT INBOX").contains("* QUOTAROOT"));
    curl.at("INBOX").args(["--request", "FROBNICATE"]).fails();
    assert_eq!(
        server.imap(ALICE).status("INBOX", "MESSAGES").unwrap()["MESSAGES"],
        2
    );
}

#[test]
fn curl_logs_in_by_each_mechanism() {
    if peer("curl").is_none() {
        return;
    }
    let server = Server::usual();
    let a = server.addresses();
    for base in [format!("imap://{}", a.imap), format!("imaps://{}", a.imaps)] {
        let curl = Curl {
            server: &server,
            base,
        };
        for mechanism in ["AUTH=PLAIN", "AUTH=LOGIN", "AUTH=*"] {
            for initial in [&["--sasl-ir"][..], &[]] {
                let words = ["--login-options", mechanism];
                let listed = curl.at("").args(words).args(initial).succeeds();
                assert!(
                    listed.contains("INBOX"),
                    "{mechanism} {initial:?}: {listed}"
                );
            }
        }
    }
}
