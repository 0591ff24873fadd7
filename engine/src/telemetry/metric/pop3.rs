//! What of POP3 is counted by label.

use super::cell::label;

label! {
    /// What a POP3 client asks.
    "verb" Pop3Verb {
        Capa = "capa",
        Stls = "stls",
        Auth = "auth",
        User = "user",
        Pass = "pass",
        Apop = "apop",
        Utf8 = "utf8",
        Lang = "lang",
        Stat = "stat",
        List = "list",
        Uidl = "uidl",
        Retr = "retr",
        Top = "top",
        Dele = "dele",
        Noop = "noop",
        Rset = "rset",
        Quit = "quit",
        /// Nothing that is a command.
        NotUnderstood = "not-understood",
    }
}

label! {
    /// How a session with a maildrop ended.
    "end" Pop3End {
        /// QUIT, and everything is done.
        Quit = "quit",
        /// QUIT, and what was deleted is still there.
        Failed = "failed",
        /// Without QUIT: nothing was changed.
        Lost = "lost",
        /// It never began: another session has the maildrop.
        InUse = "in-use",
        /// It never began: too early after the last login.
        Delayed = "delayed",
        /// It never began: the maildrop cannot be opened.
        Unavailable = "unavailable",
    }
}
