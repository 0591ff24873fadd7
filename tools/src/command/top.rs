//! `ringpostctl queue top`: how every site fares, drawn anew every second on a terminal.
//!
//! The screen belongs to it as long as it runs: keys are read one by one, and the terminal is as it
//! was before when it ends, by `q` or a signal. Elsewhere, and with `--once` or `--json`, it says
//! everything once.

use crate::client::{Client, table};
use crate::command::queue::{now_secs, span};
use anyhow::bail;
use clap::{Args, ValueEnum};
use engine::admin::wire::{LastReply, Reply, Request, SiteLine};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    self, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize,
    tcsetattr,
};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

#[derive(Args)]
pub(crate) struct Top {
    /// Show it once, and end
    #[arg(long)]
    once: bool,
    /// Which are shown first
    #[arg(long, value_enum, default_value_t = Order::Load)]
    sort: Order,
    /// Show at most so many
    #[arg(long, default_value_t = 100)]
    most: usize,
}

/// What sites are ordered by: the greatest first, names from a to z.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Order {
    /// All that waits
    Load,
    Ready,
    /// Taken in the last minute
    Rate,
    /// Age of the oldest
    Oldest,
    Deferred,
    Failed,
    Site,
}

impl Top {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        let is_live = !self.once && !client.is_json() && io::stdout().is_terminal();
        if is_live && io::stdin().is_terminal() {
            return live(client, self.sort);
        }
        let mut lines = ask(client)?;
        self.sort.sort(&mut lines);
        lines.truncate(self.most);
        if client.is_json() {
            println!("{}", serde_json::to_string(&lines)?);
            return Ok(());
        }
        print!("{}", sites(&lines, now_secs()));
        super::sources::show(client)
    }
}

fn ask(client: &Client) -> anyhow::Result<Vec<SiteLine>> {
    match client.order(Request::QueueTop)? {
        Reply::Sites(lines) => Ok(lines),
        _ => bail!("the server answered something else"),
    }
}

fn live(client: &Client, mut order: Order) -> anyhow::Result<()> {
    let _screen = Screen::take()?;
    loop {
        let mut lines = ask(client)?;
        order.sort(&mut lines);
        draw(&lines, order)?;
        let next = Instant::now() + REFRESH;
        while let Some(key) = key_until(next)? {
            match key {
                b'q' | b'Q' | 3 | 27 => return Ok(()),
                other => match Order::of(other) {
                    Some(chosen) => order = chosen,
                    None => continue,
                },
            }
            break;
        }
    }
}

/// One screen, cut where the terminal ends.
fn draw(lines: &[SiteLine], order: Order) -> io::Result<()> {
    let size = tcgetwinsize(io::stdout());
    let (rows, columns) = size.map_or((24, 80), |size| {
        (usize::from(size.ws_row), usize::from(size.ws_col))
    });
    let mut text = heading(lines, order);
    let shown = lines.get(..rows.saturating_sub(5)).unwrap_or(lines);
    text.push_str(&sites(shown, now_secs()));
    let left = lines.len() - shown.len();
    if left > 0 {
        text.push_str(&format!("… and {left} more"));
    }
    let mut out = io::stdout().lock();
    out.write_all(b"\x1b[H")?;
    for line in text.lines() {
        let cut: String = line.chars().take(columns).collect();
        write!(out, "{cut}\x1b[K\r\n")?;
    }
    out.write_all(b"\x1b[J")?;
    out.flush()
}

/// What there is in all, and which key does what.
fn heading(lines: &[SiteLine], order: Order) -> String {
    let sum = |of: fn(&SiteLine) -> u64| lines.iter().map(of).sum::<u64>();
    format!(
        "{} sites   {} ready   {} under way   {} waiting   {} held   {}/min\n\
         by {}   keys: l load, r ready, m rate, o oldest, d deferred, f failed, s site, q quit\n\n",
        lines.len(),
        sum(|line| line.ready),
        sum(|line| line.under_way),
        sum(|line| line.waiting),
        sum(|line| line.held),
        sum(|line| line.per_minute),
        order.name(),
    )
}

fn sites(lines: &[SiteLine], now: u32) -> String {
    let head = [
        "SITE",
        "STATE",
        "READY",
        "SENDING",
        "WAITING",
        "HELD",
        "OLDEST",
        "OPEN",
        "RATE/MIN",
        "SENT",
        "DEFERRED",
        "FAILED",
        "LAST WORD",
    ];
    let mut shown = table(head, lines.iter().map(|line| row(line, now)));
    for line in lines {
        for rule in &line.rules {
            let site = printable(&line.site, SITE_CHARS_MAX);
            shown.push_str(&format!("{site}: rule {rule}\n"));
        }
    }
    shown
}

fn row(line: &SiteLine, now: u32) -> [String; 13] {
    let age = |since: u32| span(now.saturating_sub(since));
    [
        match line.site.as_str() {
            "" => "(unresolved)".to_owned(),
            site => printable(site, SITE_CHARS_MAX),
        },
        state(line),
        line.ready.to_string(),
        line.under_way.to_string(),
        line.waiting.to_string(),
        line.held.to_string(),
        line.oldest_secs.map_or_else(|| "-".to_owned(), age),
        format!("{}/{}", line.connections, line.allowed),
        match line.per_minute_max {
            Some(most) => format!("{}/{most}", line.per_minute),
            None => line.per_minute.to_string(),
        },
        line.sent.to_string(),
        line.deferred.to_string(),
        line.failed.to_string(),
        line.last
            .as_ref()
            .map(|last| words(last, now))
            .unwrap_or_default(),
    ]
}

fn state(line: &SiteLine) -> String {
    match (line.is_suspended, line.paused_secs) {
        (true, _) => "suspended".to_owned(),
        (false, 0) if line.site.is_empty() => "no hosts".to_owned(),
        (false, 0) if line.connections > 0 && !line.is_proven => "trying".to_owned(),
        (false, 0) if line.connections > 0 => "sending".to_owned(),
        (false, 0) if line.ready > 0 => "waiting".to_owned(),
        (false, 0) => "idle".to_owned(),
        (false, secs) => format!("dead, {}", span(u32::try_from(secs).unwrap_or(u32::MAX))),
    }
}

fn words(last: &LastReply, now: u32) -> String {
    let ago = span(now.saturating_sub(u32::try_from(last.at_secs).unwrap_or(now)));
    let code = match last.code {
        0 => String::new(),
        code => format!("{code} "),
    };
    printable(&format!("{ago} ago: {code}{}", last.text), WORDS_CHARS_MAX)
}

/// Words of others, without what would change the terminal.
fn printable(text: &str, most: usize) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(most).map(shown).collect()
}

impl Order {
    fn sort(self, lines: &mut [SiteLine]) {
        let load = |line: &SiteLine| line.ready + line.under_way + line.waiting + line.held;
        let rank = |line: &SiteLine| match self {
            Order::Load => load(line),
            Order::Ready => line.ready,
            Order::Rate => line.per_minute,
            Order::Oldest => line
                .oldest_secs
                .map_or(0, |secs| u64::from(u32::MAX - secs)),
            Order::Deferred => line.deferred,
            Order::Failed => line.failed,
            Order::Site => 0,
        };
        lines.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.site.cmp(&b.site)));
    }

    fn of(key: u8) -> Option<Order> {
        Some(match key {
            b'l' => Order::Load,
            b'r' => Order::Ready,
            b'm' => Order::Rate,
            b'o' => Order::Oldest,
            b'd' => Order::Deferred,
            b'f' => Order::Failed,
            b's' => Order::Site,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Order::Load => "load",
            Order::Ready => "ready",
            Order::Rate => "rate",
            Order::Oldest => "oldest",
            Order::Deferred => "deferred",
            Order::Failed => "failed",
            Order::Site => "site",
        }
    }
}

/// The terminal, with keys one by one and a screen of its own; as before when dropped.
struct Screen {
    before: Termios,
}

impl Screen {
    fn take() -> io::Result<Screen> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        // Signals of keys too: Ctrl-C is a key that ends, so that the terminal is put right.
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        print!("\x1b[?1049h\x1b[?25l");
        io::stdout().flush()?;
        Ok(Screen { before })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        print!("\x1b[?25h\x1b[?1049l");
        // Whoever closed the terminal needs it no more.
        let _ = io::stdout().flush();
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// A key, if one comes until then.
fn key_until(end: Instant) -> anyhow::Result<Option<u8>> {
    let left = end.saturating_duration_since(Instant::now());
    let timeout = Timespec {
        tv_sec: i64::try_from(left.as_secs())?,
        tv_nsec: left.subsec_nanos().into(),
    };
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut fds, Some(&timeout)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(None),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let mut key = [0];
    // Past the buffer of the library, which `poll` does not see.
    match rustix::io::read(&stdin, &mut key)? {
        // The terminal is gone.
        0 => Ok(Some(b'q')),
        _ => Ok(key.first().copied()),
    }
}

const REFRESH: Duration = Duration::from_secs(1);

/// What is shown of names and words, in characters.
const SITE_CHARS_MAX: usize = 40;
const WORDS_CHARS_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(site: &str, ready: u64, oldest_secs: Option<u32>) -> SiteLine {
        SiteLine {
            site: site.to_owned(),
            ready,
            oldest_secs,
            ..SiteLine::default()
        }
    }

    #[test]
    fn sites_are_ordered_as_asked() {
        let mut lines = vec![
            line("b", 5, Some(100)),
            line("a", 5, Some(900)),
            line("c", 9, None),
        ];
        let names = |lines: &[SiteLine]| -> String {
            lines.iter().map(|line| line.site.as_str()).collect()
        };
        Order::Ready.sort(&mut lines);
        assert_eq!(names(&lines), "cab");
        Order::Oldest.sort(&mut lines);
        assert_eq!(names(&lines), "bac");
        Order::Site.sort(&mut lines);
        assert_eq!(names(&lines), "abc");
        for order in Order::value_variants() {
            let key = heading(&[], *order);
            assert!(key.contains(&format!("by {}", order.name())), "{key}");
        }
    }

    #[test]
    fn a_row_says_what_a_person_asks() {
        let mut one = line("mx.test", 3, Some(900));
        one.paused_secs = 90;
        one.last = Some(LastReply {
            at_secs: 990,
            host: "mx.test".to_owned(),
            code: 450,
            text: "busy\x1b[2J".to_owned(),
            class: String::new(),
        });
        let text = sites(&[one.clone()], 1_000);
        for wanted in ["mx.test", "dead, 90 s", "100 s", "10 s ago: 450 busy?[2J"] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        one.is_suspended = true;
        assert_eq!(state(&one), "suspended");
        assert_eq!(state(&line("", 0, None)), "no hosts");
    }
}
