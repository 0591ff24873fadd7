//! Class 19: random commands in random states, from a seed that a failure can be repeated with.

use super::Watch;
use std::io;
use tests::connection::is_end;
use tests::imap::Imap;
use tests::seed::{Seed, number_from_env};
use tests::setup::{Addresses, PASSWORD, Setup};
use tests::smtp::Smtp;

/// Class 19: random commands in random states. `RINGPOST_RANDOM_COMMANDS` sets how many.
#[test]
fn random_commands_in_random_states() {
    let commands = number_from_env("RINGPOST_RANDOM_COMMANDS", 20_000);
    let seed = number_from_env("RINGPOST_SEED", 19);
    let mut watch = Watch::start(
        Setup::usual()
            .account("fuzz@example.test", PASSWORD)
            .limit("wrong_commands_max = 200")
            .limit("login_failures_per_address_max = 100000")
            .limit("login_failures_per_network_max = 1000000"),
    );
    let a = watch.addresses();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let mut seed = Seed::new(seed.wrapping_mul(1_000).wrapping_add(thread));
            scope.spawn(move || match thread % 4 {
                0 => random_smtp(a, &mut seed, commands / 8, false),
                1 => random_smtp(a, &mut seed, commands / 8, true),
                _ => random_imap(a, &mut seed, commands / 8),
            });
        }
    });
    watch.is_well();
}

fn random_smtp(a: Addresses, seed: &mut Seed, mut left: u64, lmtp: bool) {
    while left > 0 {
        let address = if lmtp { a.lmtp } else { a.smtp };
        let mut smtp = Smtp::connect(address).expect("SMTP still greets");
        while left > 0 {
            left -= 1;
            let line = random_line(seed, SMTP_WORDS);
            // An announced chunk must follow, or the server rightly waits for it.
            let chunk = if line.starts_with("BDAT 1") { "x" } else { "" };
            let sent = smtp
                .connection
                .send(format!("{line}\r\n{chunk}").as_bytes());
            match sent.and_then(|()| smtp.reply()) {
                Ok(reply) if reply.code == 354 || reply.code == 334 => {
                    let _ = smtp.connection.send(b"x\r\n.\r\n");
                    if smtp.reply().is_err() {
                        break;
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    assert!(is_end(&error), "{line:?}: {error}");
                    break;
                }
            }
        }
    }
}

fn random_imap(a: Addresses, seed: &mut Seed, mut left: u64) {
    while left > 0 {
        let mut imap = Imap::connect_tls(a.imaps).expect("IMAP still greets");
        if seed.below(4) > 0 {
            imap.ok(&format!("LOGIN fuzz@example.test {PASSWORD}"))
                .expect("the user may log in");
        }
        while left > 0 {
            left -= 1;
            if let Err(error) = random_command(&mut imap, seed) {
                assert!(is_end(&error), "{error}");
                break;
            }
        }
    }
}

/// Sends one command; answers every go-ahead, so that it ends whatever it was.
fn random_command(imap: &mut Imap, seed: &mut Seed) -> io::Result<()> {
    let line = random_line(seed, IMAP_WORDS);
    let tag = imap.send(&line)?;
    if line.ends_with("+}") {
        // The literal that was announced, and the end of its command.
        imap.connection.send(b"abc\r\n")?;
    }
    // Ours, or what is said to a line that we sent after a go-ahead.
    let ends = ["zz ", "* BYE", "* BAD", "DONE"];
    loop {
        let response = imap.response()?;
        let text = response.text();
        if text.starts_with('+') {
            // Ends IDLE and AUTHENTICATE; for a literal of any size it is too short or a new line.
            imap.connection.send(b"DONE\r\n*\r\n")?;
            imap.connection.send(&[b'x'; 100])?;
            imap.connection.send(b"\r\nzz NOOP\r\n")?;
        } else if ends.iter().any(|end| text.starts_with(end)) || text.starts_with(&tag) {
            return Ok(());
        }
    }
}

/// A few words of the list, which `|` parts; sometimes noise, sometimes without spaces.
fn random_line(seed: &mut Seed, words: &str) -> String {
    let words: Vec<&str> = words.split('|').collect();
    let count = 1 + seed.below(5);
    let mut line: Vec<String> = (0..count)
        .map(|_| (*seed.pick(&words)).to_string())
        .collect();
    if seed.below(8) == 0 {
        let noise = seed.bytes(6);
        line.push(
            noise
                .iter()
                .map(|octet| char::from(octet % 94 + 33))
                .collect(),
        );
    }
    let glue = if seed.below(10) == 0 { "" } else { " " };
    line.join(glue)
}

const SMTP_WORDS: &str = "\
    EHLO|LHLO|HELO|MAIL|FROM:<a@remote.test>|FROM:<>|RCPT|TO:<alice@example.test>|\
    TO:<nobody@example.test>|TO:<|DATA|BDAT|0|1|LAST|RSET|NOOP|VRFY|HELP|AUTH|PLAIN|=|\
    SIZE=10|BODY=BINARYMIME|BODY=8BITMIME|SMTPUTF8|RET=FULL|NOTIFY=NEVER|client.test|\\|\"|\
    <>";

const IMAP_WORDS: &str = "\
    NOOP|CAPABILITY|LOGOUT|LOGIN|AUTHENTICATE|PLAIN|SELECT|EXAMINE|CREATE|DELETE|RENAME|\
    SUBSCRIBE|UNSUBSCRIBE|LIST|LSUB|NAMESPACE|STATUS|APPEND|IDLE|CLOSE|UNSELECT|EXPUNGE|\
    SEARCH|FETCH|STORE|COPY|MOVE|UID|ENABLE|IMAP4rev2|ID|CHECK|INBOX|Box|\"a b\"|\"\"|*|%|\
    1:*|1|2:3|$|(MESSAGES UIDNEXT)|FLAGS|+FLAGS|-FLAGS.SILENT|(\\Seen \\Deleted)|ALL|\
    SUBJECT|RETURN|(SAVE)|(MIN MAX COUNT ALL)|BODY[]|BODY.PEEK[1.2.MIME]|\
    (ENVELOPE BODYSTRUCTURE)|RFC822.SIZE|NIL|{3}|{3+}|~{2+}|(|)|\"|NOT";
