//! `ringpostctl route`: where mail to an address goes now, step by step.

use crate::client::Client;
use anyhow::bail;
use clap::Args;
use engine::admin::wire::{Reply, Request, RouteStep};
use std::fmt::Write;

#[derive(Args)]
pub(crate) struct Route {
    /// The recipient
    address: String,
    /// The sender of the envelope; <> for the null reverse-path
    #[arg(long, value_name = "SENDER")]
    from: Option<String>,
    /// The account that submits it
    #[arg(long, value_name = "ACCOUNT")]
    login: Option<String>,
}

impl Route {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        let request = Request::Route {
            address: self.address,
            from: self.from,
            login: self.login,
        };
        let Reply::Steps(steps) = client.order(request)? else {
            bail!("the server answered something else")
        };
        match client.is_json() {
            true => println!("{}", serde_json::to_string(&steps)?),
            false => print!("{}", shown(&steps)),
        }
        Ok(())
    }
}

fn shown(steps: &[RouteStep]) -> String {
    let mut text = String::new();
    for step in steps {
        let indent = usize::from(step.level) * 2;
        let what = format!("{:indent$}{}", "", step.what);
        let _ = writeln!(text, "{what:<16} {}", step.words);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_below_what_they_belong_to() {
        let step = |level, what: &str, words: &str| RouteStep {
            level,
            what: what.to_owned(),
            words: words.to_owned(),
        };
        let steps = [
            step(0, "recipient", "a@b.c"),
            step(1, "route", "of *: mail exchangers"),
        ];
        assert_eq!(
            shown(&steps),
            "recipient        a@b.c\n  route          of *: mail exchangers\n"
        );
    }
}
