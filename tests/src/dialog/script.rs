//! A script as steps; every step knows its line.

use super::pattern::Pattern;
use std::path::{Path, PathBuf};

/// One conversation.
#[derive(Debug)]
pub struct Script {
    pub path: PathBuf,
    pub protocol: Protocol,
    pub steps: Vec<(usize, Step)>,
}

/// What the default connection of a script speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Smtp,
    Submission,
    Lmtp,
    Imap,
    Pop3,
}

/// What happens next.
#[derive(Debug)]
pub enum Step {
    /// Text that may hold variables, how often, and whether CRLF follows.
    Send {
        text: String,
        times: usize,
        line: bool,
    },
    /// The message so far, as it is.
    SendMessage,
    Message(Vec<u8>),
    Expect(Block),
    Connect {
        name: String,
        listener: String,
    },
    Use(String),
    Tls,
    Login(Option<String>),
    Close,
    Shutdown,
    Eof,
    Deliver(String),
    Await {
        user: String,
        count: u32,
    },
}

/// Consecutive `S` lines.
#[derive(Debug, Default)]
pub struct Block {
    pub expected: Vec<Expected>,
    pub never: Vec<Pattern>,
}

/// One reply or response.
#[derive(Debug)]
pub struct Expected {
    pub line: usize,
    pub pattern: Pattern,
    pub also: Vec<Pattern>,
}

impl Protocol {
    pub fn of(path: &Path) -> Option<Protocol> {
        match path.extension()?.to_str()? {
            "smtp" => Some(Protocol::Smtp),
            "submission" => Some(Protocol::Submission),
            "lmtp" => Some(Protocol::Lmtp),
            "imap" => Some(Protocol::Imap),
            "pop3" => Some(Protocol::Pop3),
            _ => None,
        }
    }

    pub fn is_imap(self) -> bool {
        self == Protocol::Imap
    }
}

impl Script {
    /// Reads a script; an error names its line.
    pub fn parse(path: &Path, protocol: Protocol, text: &str) -> Result<Script, String> {
        let mut script = Script {
            path: path.to_path_buf(),
            protocol,
            steps: Vec::new(),
        };
        let first = text.lines().next().unwrap_or("");
        if !first.starts_with("# ") {
            return Err(format!(
                "{}:1: no comment that says what would break",
                path.display()
            ));
        }
        for (number, line) in text.lines().enumerate() {
            let added = script.add(number + 1, line);
            added.map_err(|why| format!("{}:{}: {why}", path.display(), number + 1))?;
        }
        let checks = script
            .steps
            .iter()
            .any(|(_, step)| matches!(step, Step::Expect(_)));
        if checks {
            Ok(script)
        } else {
            Err(format!("{}:1: expects nothing", path.display()))
        }
    }

    fn add(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.trim().is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(directive) = line
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'))
        {
            self.steps.push((number, directive_step(directive)?));
            return Ok(());
        }
        let (mark, text) = line.split_at(line.find([' ', ':', '*']).unwrap_or(line.len()));
        match (mark, text.strip_prefix(':')) {
            ("C", Some(text)) => self.send(number, behind_space(text), 1),
            ("M", Some(text)) => self.message_line(number, behind_space(text)),
            ("S", Some(text)) => self.expect(number, behind_space(text), 1),
            ("S|", None) => self.also(number, behind_space(text)),
            ("S!", None) => self.never(behind_space(text)),
            ("C>", None) => {
                let text = behind_space(text).to_string();
                self.steps.push((
                    number,
                    Step::Send {
                        text,
                        times: 1,
                        line: false,
                    },
                ));
                Ok(())
            }
            ("C<", None) => {
                self.steps.push((number, Step::SendMessage));
                Ok(())
            }
            _ => self.repeated(number, mark, text),
        }
    }

    fn repeated(&mut self, number: usize, mark: &str, text: &str) -> Result<(), String> {
        let counted = text.strip_prefix('*').and_then(|text| text.split_once(':'));
        let (count, text) = counted.ok_or("not a line of a script")?;
        let times = count.parse().map_err(|_| "the count is not a number")?;
        match mark {
            "C" => self.send(number, behind_space(text), times),
            "S" => self.expect(number, behind_space(text), times),
            _ => Err("only C and S are repeated".into()),
        }
    }

    fn send(&mut self, number: usize, text: &str, times: usize) -> Result<(), String> {
        self.steps.push((
            number,
            Step::Send {
                text: text.to_string(),
                times,
                line: true,
            },
        ));
        Ok(())
    }

    fn message_line(&mut self, number: usize, text: &str) -> Result<(), String> {
        if !matches!(self.steps.last(), Some((_, Step::Message(_)))) {
            self.steps.push((number, Step::Message(Vec::new())));
        }
        if let Some((_, Step::Message(message))) = self.steps.last_mut() {
            message.extend_from_slice(text.as_bytes());
            message.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn expect(&mut self, line: usize, text: &str, times: usize) -> Result<(), String> {
        let imap = self.speaks_imap();
        for _ in 0..times {
            let pattern = Pattern::compile(text, imap)?;
            // A tagged response or a go-ahead ends its block.
            let ended = matches!(self.steps.last(), Some((_, Step::Expect(block)))
                if imap && block.expected.last().is_some_and(|last| !last.pattern.is_untagged()));
            if ended {
                self.steps.push((line, Step::Expect(Block::default())));
            }
            self.block(line).expected.push(Expected {
                line,
                pattern,
                also: Vec::new(),
            });
        }
        Ok(())
    }

    fn also(&mut self, number: usize, text: &str) -> Result<(), String> {
        let pattern = Pattern::compile(text, self.speaks_imap())?;
        let last = self
            .block(number)
            .expected
            .last_mut()
            .ok_or("S| follows an S: line")?;
        last.also.push(pattern);
        Ok(())
    }

    fn never(&mut self, text: &str) -> Result<(), String> {
        let pattern = Pattern::compile(text, self.speaks_imap())?;
        match self.steps.last_mut() {
            Some((_, Step::Expect(block))) => block.never.push(pattern),
            _ => return Err("S! follows an S: line".into()),
        }
        Ok(())
    }

    fn block(&mut self, number: usize) -> &mut Block {
        if !matches!(self.steps.last(), Some((_, Step::Expect(_)))) {
            self.steps.push((number, Step::Expect(Block::default())));
        }
        match self.steps.last_mut() {
            Some((_, Step::Expect(block))) => block,
            _ => unreachable!("it was pushed just now"),
        }
    }

    /// Whether the connection in use at this place of the script is an IMAP one.
    fn speaks_imap(&self) -> bool {
        let mut names = vec![("", self.protocol.is_imap())];
        let mut current = self.protocol.is_imap();
        for (_, step) in &self.steps {
            match step {
                Step::Connect { name, listener } => {
                    current = listener.starts_with("imap");
                    names.push((name, current));
                }
                Step::Use(name) => {
                    let known = names.iter().rev().find(|(known, _)| known == name);
                    current = known.map_or(current, |(_, imap)| *imap);
                }
                _ => {}
            }
        }
        current
    }
}

fn directive_step(text: &str) -> Result<Step, String> {
    let words: Vec<&str> = text.split(' ').collect();
    Ok(match words.as_slice() {
        ["connect", name, listener] => Step::Connect {
            name: (*name).to_string(),
            listener: (*listener).to_string(),
        },
        ["use", name] => Step::Use((*name).to_string()),
        ["use"] => Step::Use(String::new()),
        ["tls"] => Step::Tls,
        ["login"] => Step::Login(None),
        ["login", user] => Step::Login(Some((*user).to_string())),
        ["close"] => Step::Close,
        ["shutdown"] => Step::Shutdown,
        ["eof"] => Step::Eof,
        ["await", user, count] => {
            let count = count.parse().map_err(|_| "the count is not a number")?;
            Step::Await {
                user: (*user).to_string(),
                count,
            }
        }
        ["deliver", address] => Step::Deliver((*address).to_string()),
        _ => return Err(format!("no such directive: <{text}>")),
    })
}

/// Only one space belongs to the script; more belong to what is said.
fn behind_space(text: &str) -> &str {
    text.strip_prefix(' ').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Script, String> {
        Script::parse(Path::new("x.smtp"), Protocol::Smtp, text)
    }

    #[test]
    fn steps_are_read() {
        let script = parse("# why\nS: 220\nC*2: NOOP\nS*2: 250\nS| x\nS! y\n<eof>\n").unwrap();
        assert_eq!(script.steps.len(), 4);
        let Step::Expect(block) = &script.steps[2].1 else {
            panic!("not a block")
        };
        assert_eq!((block.expected.len(), block.never.len()), (2, 1));
    }

    #[test]
    fn wrong_scripts_are_refused() {
        let wrong = [
            "S: 220",
            "# why\nC: NOOP",
            "# w\nX: y",
            "# w\nS| y",
            "# w\n<fly>\nS: 220",
        ];
        for text in wrong {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
