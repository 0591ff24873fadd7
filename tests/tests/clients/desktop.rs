//! Claws Mail, which is libetpan, under a display of its own: it receives and filters.

use super::{ALICE, hears};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tests::corpus::plain;
use tests::peer::peer;
use tests::seed::Seed;
use tests::server::Server;

#[test]
fn claws_mail_receives_and_filters() {
    if peer("claws-mail").is_none() || peer("xvfb-run").is_none() {
        return;
    }
    let server = Server::usual();
    let mut imap = server.imap_in(ALICE, "INBOX");
    imap.ok("CREATE Filtered").unwrap();
    for number in 0..3 {
        let message = plain(&format!("number {number}"), 900, &mut Seed::new(number));
        server.deliver(&[ALICE], &message);
    }
    configure(&server);
    let desktop = Desktop::start(&server);
    // It copies, then removes.
    hears(&mut imap, &["EXPUNGE"]);
    let flagged = imap.ok("SEARCH FLAGGED SUBJECT \"number 1\"").unwrap();
    assert!(flagged.has("* SEARCH 2"), "{flagged:?}");
    let status = imap.status("INBOX", "MESSAGES").unwrap();
    assert_eq!(status["MESSAGES"], 2);
    imap.ok("EXAMINE Filtered").unwrap();
    assert!(
        imap.ok("SEARCH SUBJECT \"number 2\"")
            .unwrap()
            .has("* SEARCH 1")
    );
    drop(desktop);
}

/// The program and its display; both end when this is dropped.
struct Desktop(Child);

impl Desktop {
    fn start(server: &Server) -> Desktop {
        let mut command = Command::new("xvfb-run");
        command.args(["-a", "claws-mail", "--receive-all"]);
        command.env("HOME", server.setup.directory.path());
        command.env("SSL_CERT_FILE", server.setup.certificate());
        command.env("GDK_BACKEND", "x11").env("NO_AT_BRIDGE", "1");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Desktop(command.process_group(0).spawn().unwrap())
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.0.id() as i32).expect("a process id is not zero");
        let _ = kill_process_group(group, Signal::TERM);
        let _ = self.0.wait();
    }
}

fn configure(server: &Server) {
    let home = server.setup.directory.path();
    let folder = home.join(".claws-mail");
    fs::create_dir(&folder).unwrap();
    for name in LOCAL {
        fs::create_dir_all(home.join("Mail").join(name)).unwrap();
    }
    let write = |name: &str, text: &str| fs::write(Path::new(&folder).join(name), text).unwrap();
    let imaps = server.addresses().imaps.port();
    write(
        "accountrc",
        &format!(
            "[Account: 1]\naccount_name=alice\nis_default=1\nname=Alice\naddress={ALICE}\n\
             protocol=3\nreceive_server=localhost\nsmtp_server=localhost\nuser_id={ALICE}\n\
             ssl_imap=1\nset_imapport=1\nimap_port={imaps}\nreceive_at_get_all=1\n"
        ),
    );
    write(
        "clawsrc",
        "[Common]\nwork_offline=0\nno_receive_error_panel=1\nskip_ssl_cert_check=1\n",
    );
    write(
        "passwordstorerc",
        &format!("[config_version:4]\n\n[account:1]\nrecv {HIDDEN}\n"),
    );
    write("folderlist.xml", &folders());
    write(
        "matcherrc",
        "[filtering]\nenabled rulename \"one\" subject matchcase \"number 1\" mark\n\
         enabled rulename \"two\" subject matchcase \"number 2\" move \"#imap/alice/Filtered\"\n",
    );
}

/// It does not start without folders of its own.
fn folders() -> String {
    let items = |folders: &[(&str, &str)]| -> String {
        let item = |(kind, name): &(&str, &str)| {
            format!("<folderitem type=\"{kind}\" name=\"{name}\" path=\"{name}\" mtime=\"0\"/>\n")
        };
        folders.iter().map(item).collect()
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<folderlist>\n\
         <folder type=\"mh\" name=\"Mailbox\" path=\"Mail\" account_id=\"0\">\n{}</folder>\n\
         <folder type=\"imap\" name=\"alice\" account_id=\"1\">\n{}</folder>\n</folderlist>\n",
        items(&LOCAL.map(|kind| (kind, kind))),
        items(&[("inbox", "INBOX"), ("normal", "Filtered")]),
    )
}

const LOCAL: [&str; 5] = ["inbox", "outbox", "draft", "queue", "trash"];

/// The usual password as Claws Mail hides it without a phrase of the user: DES in 8-bit CFB under
/// a key that everybody has.
const HIDDEN: &str = "!WyUSCxFLlqApjg9rzQ==";
