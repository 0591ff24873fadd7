//! OpenSMTPD that delivers into Maildirs, in a chamber of its own.
//!
//! It has few settings, and what it says of tuning is: leave it. Its queue is not compressed, and a
//! connection may carry any number of messages. It syncs nothing before 250: a power cut may take
//! what it has acknowledged until the delivery has synced it.

use super::chamber::{Chamber, User};
use super::exim::{keeping, of_maildir};
use super::packages;
use super::postfix::text;
use super::target::{Counting, Doors, Target};
use super::yard::Yard;

pub(super) fn raise(yard: &mut Yard, target: Target) -> anyhow::Result<Target> {
    packages::demand_root("OpenSMTPD")?;
    let package = packages::installed_or_unpacked(yard, "smtpd", "opensmtpd")?;
    let door = yard.door()?;
    let (mail, spool) = (yard.room("mail")?, yard.room("spool")?);
    packages::output("chown", &["mail:mail", text(&mail)?], None)?;
    packages::output("chmod", &["711", text(&spool)?], None)?;
    let port = door.port().to_string();
    let conf = SMTPD_CONF
        .replace("{mail}", text(&mail)?)
        .replace("{port}", &port);
    let onward = target.next_hop.map_or_else(String::new, |host| {
        RELAY_CONF.replace("{host}", &host.to_string())
    });
    let conf = conf + &onward;
    let file = yard.write("smtpd.conf", &conf)?;
    let mut chamber = Chamber::build(yard, &package, &USERS)?;
    chamber.empty("/var/lib");
    chamber.folder("/var/lib/opensmtpd/empty");
    chamber.empty("/var/spool");
    chamber.folder("/var/spool/smtpd");
    chamber.bind(text(&spool)?, "/var/spool/smtpd");
    // Its control socket has a name of its own there.
    chamber.empty("/run");
    let argv = chamber.argv(&["/usr/sbin/smtpd", "-d", "-f", text(&file)?]);
    yard.start(&argv, "smtpd.log")?;
    yard.await_doors(&[door], "smtpd.log")?;
    Ok(Target {
        server: format!("OpenSMTPD {} ({})", package.version, keeping(&target)),
        durability: format!("nothing synced before 250 (strace){}", of_maildir(&target)),
        doors: Doors {
            smtp: Some(door.to_string()),
            ..Doors::default()
        },
        counting: Counting::Maildirs(mail),
        ..target
    })
}

const USERS: [User; 2] = [
    User {
        name: "opensmtpd",
        uid: 64801,
        gid: 64801,
    },
    User {
        name: "opensmtpq",
        uid: 64802,
        gid: 64802,
    },
];

const SMTPD_CONF: &str = "\
smtp max-message-size 100M
smtp limit max-mails 1000000000
table mailboxes { \"@example.test\" = \"mail\" }
listen on 127.0.0.1 port {port} hostname peer.example.test
action \"deliver\" maildir \"{mail}/%{rcpt}\" virtual <mailboxes>
match from any for domain \"example.test\" action \"deliver\"
";

const RELAY_CONF: &str = "\
action \"onward\" relay host \"smtp://{host}\"
match from any for any action \"onward\"
";
