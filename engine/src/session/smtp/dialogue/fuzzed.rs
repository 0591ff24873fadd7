//! Seeded fuzz: random commands and octets in random states, whole and cut.

use super::*;
use crate::session::smtp::fuzz::fuzz_session;

const LINES: &[&str] = &[
    "EHLO c\r\n",
    "HELO c\r\n",
    "LHLO c\r\n",
    "MAIL FROM:<a@b>\r\n",
    "MAIL FROM:<> BODY=BINARYMIME SIZE=10\r\n",
    "MAIL FROM:<user@here> SMTPUTF8\r\n",
    "RCPT TO:<user@here>\r\n",
    "RCPT TO:<δ@here>\r\n",
    "RCPT TO:<nobody@here>\r\n",
    "DATA\r\n",
    "Received: x\r\n\r\nbody\r\n",
    ".\r\n",
    "..\r\n",
    "\r\n.\r\n",
    "\n.\n",
    "BDAT 0\r\n",
    "BDAT 3\r\nabc",
    "BDAT 4 LAST\r\n\r\n\r\n",
    "BDAT 2000 LAST\r\n",
    "BDAT x\r\n",
    "RSET\r\n",
    "NOOP ((((\r\n",
    "VRFY x\r\n",
    "STARTTLS\r\n",
    "AUTH PLAIN AHVzZXJAaGVyZQBwZW5jaWw=\r\n",
    "AUTH LOGIN\r\n",
    "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n",
    "dXNlckBoZXJl\r\n",
    "*\r\n",
    "\r\n",
    "\0",
    "\r",
    "\n",
];

/// Gets every kind of session to where a message may begin.
const ENVELOPE: &str = "EHLO c\r\nLHLO c\r\nAUTH PLAIN AHVzZXJAaGVyZQBwZW5jaWw=\r\n\
    MAIL FROM:<user@here>\r\nRCPT TO:<user@here>\r\n";

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        // xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn input(&mut self) -> Vec<u8> {
        let mut input = Vec::new();
        if self.below(2) == 0 {
            input.extend_from_slice(ENVELOPE.as_bytes());
        }
        for _ in 0..self.below(40) {
            match self.below(10) {
                0 => input.push(self.below(256) as u8),
                _ => input.extend_from_slice(LINES[self.below(LINES.len())].as_bytes()),
            }
        }
        input
    }
}

#[test]
fn random_dialogues_keep_the_bounds() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..20_000 {
        let mut data: Vec<u8> = (0..4).map(|_| random.below(256) as u8).collect();
        data.extend(random.input());
        fuzz_session(&data);
    }
}

#[test]
fn random_dialogues_are_the_same_at_every_cut() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut commits = 0;
    for round in 0..300 {
        let kind = [Kind::Smtp, Kind::Submission, Kind::Lmtp][round % 3];
        let input = random.input();
        // A driver throws away what came with STARTTLS; here that is the rest of the flight.
        let record = every_cut(|| Dialogue::of(kind), &[&input]);
        commits += record.commits.len();
    }
    assert!(commits > 10, "the deep states are reached: {commits}");
}

proptest::proptest! {
    #[test]
    fn any_octets_are_survived(data: Vec<u8>) {
        fuzz_session(&data);
    }

    #[test]
    fn any_command_is_survived(
        verb in "(EHLO|MAIL FROM:|RCPT TO:|BDAT|AUTH) ?",
        rest in ".{0,80}",
    ) {
        super::super::fuzz::fuzz_command(format!("{verb}{rest}").as_bytes());
    }
}
