//! Drives an SMTP, submission or LMTP session: octets to the machine, its actions to the world.

use super::feedback::{self, Report};
use super::hall::Hall;
use super::leads::{Lead, Shares, tenant};
use super::login::Visitor;
use super::receipt::{self, Given};
use super::sending::{Sending, Through, share_out};
use super::told::{About, Told};
use crate::auth::Seat;
use crate::config::{Direction, Protocol, Whose};
use crate::event;
use crate::intake::{Refusal, Transaction, queue_id};
use crate::post::{Submitted, Taken};
use crate::queue::owner;
use crate::reactor::{Now, Side, buffer, spawn};
use crate::route;
use crate::session::smtp::{
    Action, Answer, Client, Commit, Kind, Output, Peer, REPLY_BYTES_MAX, Session, Settings, Tls,
    Verdicts,
};
use crate::tls::{ClientProof, Stream, TlsInfo};
use crate::wire::sasl::{self, Question};
use crate::wire::smtp::reply::{self, Reply, Verdict};
use crate::wire::xclient::Xclient;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use store::error::{ChangeError, LogError};
use store::limit::CHUNK_BYTES;
use store::mail::address::Address;
use store::mail::date::InternalDate;
use store::shard::Source;

/// One connection, from the greeting to the end.
pub async fn serve(hall: Rc<Hall>, stream: Stream, settings: Arc<Settings>, kind: Kind) {
    let visitor = Visitor::of(&hall, &stream);
    let peer = Peer {
        address: visitor.address,
        name: None,
        tls: stream.info().map(tls),
        channel: visitor.channel,
    };
    let session = Session::new(settings, peer, kind);
    let protocol = match kind {
        Kind::Smtp => Protocol::Smtp,
        Kind::Submission => Protocol::Submission,
        Kind::Lmtp => Protocol::Lmtp,
    };
    let limits = hall.live.config.load().limits.clone();
    let now_ms = hall.now_ms();
    let ends_ms = now_ms + limits.smtp_connection_secs_max * 1000;
    let login_ends_ms =
        (kind == Kind::Submission).then_some(now_ms + limits.submission_login_secs_max * 1000);
    let mut conversation = Conversation {
        hall,
        protocol,
        stream: Some(stream),
        visitor,
        session,
        out: Output::default(),
        now_ms,
        ends_ms,
        login_ends_ms,
        seat: None,
        body: None,
        body_refusal: None,
        leads: Vec::new(),
        head: Vec::new(),
        client: ClientProof::Nothing,
        sender: None,
        renamed: Vec::new(),
        report: None,
    };
    conversation.judge_client();
    // Whatever ended the connection has been said to the peer, or there is nobody to say it to.
    let _ = conversation.run().await;
    conversation.finish().await;
}

pub(super) struct Conversation {
    pub(super) hall: Rc<Hall>,
    pub(super) protocol: Protocol,
    /// Away only while the handshake has it.
    stream: Option<Stream>,
    /// Who logs in.
    visitor: Visitor,
    pub(super) session: Session,
    out: Output,
    /// The shard's clock when the last octets came, or the last work of length ended: what follows
    /// takes microseconds.
    now_ms: u64,
    /// When the whole connection has lasted long enough.
    ends_ms: u64,
    /// When the client must have logged in.
    login_ends_ms: Option<u64>,
    /// Of the account that is logged in.
    seat: Option<Seat>,
    body: Option<Transaction>,
    /// Why the body cannot be stored; said at its end.
    body_refusal: Option<Reply>,
    /// Where each accepted recipient of the transaction leads.
    pub(super) leads: Vec<Lead>,
    /// The beginning of a message that somebody wants a receipt of.
    head: Vec<u8>,
    /// Who the client has proven to be by its certificate.
    pub(super) client: ClientProof,
    /// The reverse-path of the transaction, where a map gave it another.
    pub(super) sender: Option<Address>,
    /// Recipients that got another address, and which.
    pub(super) renamed: Vec<(Address, Address)>,
    /// What is kept of a message to an address that takes reports.
    pub(super) report: Option<Report>,
}

/// Whether the dialogue goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Listen,
    Close,
}

impl Conversation {
    async fn run(&mut self) -> io::Result<()> {
        self.session.greet(&mut self.out);
        if self.settle().await? == Next::Close {
            return self.flush().await;
        }
        loop {
            self.flush().await?;
            let Some(received) = self.receive().await? else {
                return self.flush().await;
            };
            if self.feed(received).await? == Next::Close {
                return self.flush().await;
            }
        }
    }

    /// Octets of the client; `None`: the dialogue is over.
    async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        let silence = u64::from(self.session.wait_secs_max()) * 1000;
        let now_ms = self.hall.now_ms();
        let login_ends_ms = self
            .login_ends_ms
            .filter(|_| self.session.login().is_none());
        let ends_ms = login_ends_ms.map_or(self.ends_ms, |ends| ends.min(self.ends_ms));
        let left = ends_ms.saturating_sub(now_ms);
        if left == 0 {
            self.session.timed_out(now_ms, &mut self.out);
            return Ok(None);
        }
        let patience = Duration::from_millis(silence.min(left));
        stream.set_deadline_since(Side::Read, now_ms, patience);
        if self.session.is_idle() && self.hall.drain.or(stream.readable()).await.is_none() {
            let now_ms = self.hall.now_ms();
            self.session.shutting_down(now_ms, &mut self.out);
            return Ok(None);
        }
        // Nothing is lent while a client is silent within DATA: it may be one of ten thousand.
        match stream.recv_lent().await {
            Ok(received) if received.is_empty() => Ok(None),
            Ok(received) => Ok(Some(received)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let now_ms = self.hall.now_ms();
                self.session.timed_out(now_ms, &mut self.out);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn feed(&mut self, mut received: Vec<u8>) -> io::Result<Next> {
        self.hall
            .metrics
            .received_bytes
            .of(self.protocol.into())
            .add(received.len() as u64);
        self.now_ms = self.hall.now_ms();
        let mut taken = 0;
        while taken < received.len() {
            let rest = received.get(taken..).unwrap_or_default();
            taken += self.session.feed(self.now_ms, rest, &mut self.out);
            if taken == received.len() || matches!(self.out.action, Some(Action::Commit(_))) {
                received = unread(received, taken);
                taken = 0;
            }
            if self.settle().await? == Next::Close {
                return Ok(Next::Close);
            }
            if self.out.reply.len() >= REPLY_BYTES_MAX {
                self.flush().await?;
            }
        }
        Ok(Next::Listen)
    }

    /// Carries out what the session wants until it wants input again.
    async fn settle(&mut self) -> io::Result<Next> {
        loop {
            self.carry_body().await;
            if let Some(summary) = self.out.ended.take() {
                self.body = None;
                self.leads.clear();
                self.head.clear();
                self.renamed.clear();
                self.report = None;
                super::report::transaction(&self.hall, &summary);
            }
            let Some(action) = self.out.action.take() else {
                return Ok(Next::Listen);
            };
            let is_quick = matches!(
                action,
                Action::Sender | Action::Recipient { .. } | Action::BeginBody { .. }
            );
            let answer = match action {
                Action::Close => return Ok(Next::Close),
                Action::StartTls => self.start_tls().await?,
                action => self.act(action).await,
            };
            if !is_quick {
                self.now_ms = self.hall.now_ms();
            }
            self.session.resume(self.now_ms, answer, &mut self.out);
        }
    }

    /// Body octets go to the owner's log. Those of a message of usual size stay together, and go
    /// on without being copied once more. A failure is told at the end of the message.
    async fn carry_body(&mut self) {
        let is_over = self.out.action.is_some() || self.out.ended.is_some();
        let is_new = self.body.as_ref().is_some_and(Transaction::is_new);
        let may_wait = is_new && !is_over && self.out.body.len() < CHUNK_BYTES;
        if self.out.body.is_empty() || may_wait {
            return;
        }
        if receipt::is_wanted(self.session.envelope()) {
            receipt::keep(&mut self.head, &self.out.body);
        }
        if let Some(report) = &mut self.report {
            report.keep(&self.out.body);
        }
        if let Some(body) = &mut self.body
            && let Err(refusal) = self.hall.intake.write(body, &mut self.out.body).await
        {
            self.body = None;
            self.body_refusal = Some(refused(&refusal));
        }
        self.out.body.clear();
    }

    async fn act(&mut self, action: Action) -> Answer {
        match action {
            Action::Ask(question) => Answer::Login(self.ask(question).await),
            Action::Xclient(xclient) => Answer::Client(self.client(*xclient)),
            Action::Sender => Answer::Verdict(self.sender()),
            Action::Recipient { octets_hint } => self.recipient(octets_hint).await,
            Action::BeginBody { .. } => {
                self.body_refusal = None;
                self.body = Some(self.hall.intake.begin(self.coordinator()));
                Answer::Verdict(Ok(()))
            }
            Action::Commit(commit) => self.commit(*commit).await,
            Action::StartTls | Action::Close => unreachable!("settle carries these out"),
        }
    }

    async fn start_tls(&mut self) -> io::Result<Answer> {
        self.flush().await?;
        let limits = &self.hall.live.config.load().limits;
        let patience = Duration::from_secs(limits.tls_handshake_secs_max);
        let context = self.hall.tls(self.protocol);
        let context = context.ok_or(io::ErrorKind::Unsupported)?;
        let stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        stream.set_deadline(Side::Read, patience);
        let stream = self.stream.insert(stream.start_tls(&context).await?);
        let info = stream.info().ok_or(io::ErrorKind::InvalidData)?;
        self.visitor = self.visitor.behind_tls(&self.hall, stream);
        let answer = Answer::Tls(tls(info), Box::new(self.visitor.channel));
        self.judge_client();
        Ok(answer)
    }

    fn judge_client(&mut self) {
        let shown = self
            .stream
            .as_ref()
            .map(Stream::peer_certificates)
            .unwrap_or_default();
        let now = self.hall.now().unix_secs();
        self.client = self.hall.live.clients.load().judge(shown, now);
        let peer = self.session.peer().address;
        match &self.client {
            ClientProof::Nothing => {}
            ClientProof::Known(shown) => {
                let shown = shown.to_string();
                event!(
                    Info,
                    "client certificate",
                    peer = peer,
                    shown = shown,
                    known = true
                );
            }
            ClientProof::Unknown(shown, why) => {
                let (shown, why) = (shown.to_string(), why.as_str());
                event!(
                    Info,
                    "client certificate",
                    peer = peer,
                    shown = shown,
                    why = why
                );
            }
        }
    }

    async fn ask(&mut self, question: Question) -> sasl::Answer<Rc<str>> {
        let verdict = match self.hall.answer(&self.visitor, question).await {
            sasl::Answer::Keys(known) => return sasl::Answer::Keys(known),
            sasl::Answer::Verdict(verdict) => verdict,
        };
        sasl::Answer::Verdict(verdict.and_then(|account| {
            let seat = self.hall.seat(self.protocol, &account);
            self.seat = Some(seat.ok_or(sasl::Refusal::Crowded)?);
            Ok(account.address.to_string().into())
        }))
    }

    /// The client that a proxy names.
    fn client(&mut self, xclient: Xclient) -> Result<Client, Reply> {
        let login = match xclient.login {
            Some(Some(name)) => {
                let account = self.hall.account(&name).ok_or(reply::XCLIENT_NO_ACCOUNT)?;
                let seat = self.hall.seat(self.protocol, &account);
                self.seat = Some(seat.ok_or(reply::ACCOUNT_CROWDED)?);
                Some(Some(account.address.to_string().into()))
            }
            Some(None) => {
                self.seat = None;
                Some(None)
            }
            None => None,
        };
        if let Some(address) = xclient.address {
            self.visitor.address = address;
        }
        let shared = |text: String| text.into();
        Ok(Client {
            address: self.visitor.address,
            name: xclient.name.map(|name| name.map(shared)),
            hello: xclient.hello.map(|hello| hello.map(shared)),
            login,
        })
    }

    fn sender(&mut self) -> Verdict {
        let reverse_path = self.session.reverse_path_asked();
        let rewrites = &self.hall.live.config.load().rewrites;
        self.sender = reverse_path
            .and_then(|path| rewrites.envelope(Whose::Sender, Direction::Inbound, path));
        let (Some(login), Some(sender)) = (self.session.login(), reverse_path) else {
            return Ok(());
        };
        let directory = self.hall.live.directory.load();
        match directory.login(login) {
            Some(account) if route::owns(&directory, account, sender) => Ok(()),
            _ => Err(reply::SENDER_NOT_OWNED),
        }
    }

    /// Of the owners of the recipients, we ourselves if we are one, else the first: the message
    /// goes into one log and not into two.
    fn coordinator(&self) -> usize {
        let me = self.hall.shard;
        let mut owners = self.leads.iter().flat_map(Lead::owners);
        let first = owners.clone().next().unwrap_or(me);
        if owners.any(|owner| owner == me) {
            me
        } else {
            first
        }
    }

    async fn commit(&mut self, mut commit: Commit) -> Answer {
        let unix_millis = Now::unix_millis_here();
        let queue = self.hall.queue_ids.next(unix_millis * 1000);
        let queue_id = queue_id::text(queue);
        let recipients = commit.envelope.recipients.len();
        let Some(body) = self.body.take() else {
            let refusal = self.body_refusal.take().unwrap_or(reply::STORAGE_FAILED);
            let verdicts = Verdicts::All(Err(refusal));
            return Answer::Committed { queue_id, verdicts };
        };
        let received_secs = (unix_millis / 1000) as i64;
        self.name_renamed(&mut commit, &queue_id);
        let asked = receipt::asked(&commit.envelope, &self.leads);
        let (told, octets) = (self.told(&commit), commit.octets);
        let Shares {
            by_owner,
            by_home,
            of_recipient,
            ..
        } = self.shares(&commit, &queue_id, InternalDate::utc(received_secs));
        let envelope = commit.envelope;
        let source = Source {
            is_transaction: true,
            reverse_path: envelope.reverse_path,
            body: envelope.body,
            smtputf8: envelope.smtputf8,
            ret: envelope.ret,
            envid: envelope.envid,
        };
        let mut submitted = Submitted {
            queue,
            source,
            received_secs,
            stream: None,
            tail: Vec::new(),
            each_alone: self.protocol == Protocol::Lmtp,
            shares: by_owner,
            outbound: by_home,
            memos: Vec::new(),
        };
        let head = std::mem::take(&mut self.head);
        let given = asked.map(|asked| Given::of(asked, head, &mut submitted));
        let report = self.report.take();
        let verdicts = match self.hall.intake.commit(body, submitted).await {
            Ok(taken) => {
                if let Some(told) = told {
                    told.tell(queue, octets).await;
                }
                let verdicts = verdicts(recipients, &of_recipient, &taken);
                if let Some(given) = given {
                    let hall = Rc::clone(&self.hall);
                    spawn(receipt::give(hall, given, verdicts.clone()));
                }
                if let Some(report) = report {
                    let hall = Rc::clone(&self.hall);
                    spawn(feedback::read(hall, report, queue_id.clone()));
                }
                Verdicts::Each(verdicts)
            }
            Err(refusal) => Verdicts::All(Err(refused(&refusal))),
        };
        Answer::Committed { queue_id, verdicts }
    }

    /// What programs are told when it is taken.
    fn told(&self, commit: &Commit) -> Option<Told> {
        let sender = commit.envelope.reverse_path.as_ref();
        let campaign = commit.campaign.as_deref().unwrap_or_default();
        let mut told = Told::of(|| About {
            protocol: self.protocol.name(),
            peer: self.session.peer().address.to_string(),
            login: self.session.login().map_or("", |login| login),
            sender,
            owner: (self.tenant(sender), campaign),
            request: String::new(),
            metadata: serde_json::Value::Null,
        })?;
        for (recipient, lead) in commit.envelope.recipients.iter().zip(&self.leads) {
            told.add(&recipient.address, lead, serde_json::Value::Null);
        }
        Some(told)
    }

    /// Every account gets the message once, however many recipients lead to it.
    fn shares(&mut self, commit: &Commit, queue_id: &str, date: InternalDate) -> Shares {
        let coordinator = self.coordinator();
        let leads = std::mem::take(&mut self.leads);
        let mut shares = Shares::new(coordinator, commit.envelope.recipients.len());
        shares.has_one = leads.iter().map(Lead::count).sum::<usize>() == 1;
        let mut received = Vec::with_capacity(RECEIVED_BYTES);
        let trace = self.session.received(commit, queue_id, date);
        trace.write(&mut received);
        trace.complete(commit.missing, &mut received);
        // Mail for accounts needs neither.
        let live = leads.iter().any(Lead::is_queued).then(|| {
            let live = &self.hall.live;
            (live.config.load_full(), live.directory.load_full())
        });
        let mut sending = live.as_ref().map(|(config, directory)| Sending {
            config,
            directory,
            reverse_path: commit.envelope.reverse_path.as_ref(),
            terms: (&commit.terms, commit.elapsed_ms),
            expiry_secs: None,
            date,
            received: &received,
            owner: owner::join(
                &self.tenant(commit.envelope.reverse_path.as_ref()),
                commit.campaign.as_deref(),
            ),
            has_aliases: leads.iter().any(|lead| matches!(lead, Lead::Forwarded(_))),
            last: None,
        });
        let sender = commit.envelope.reverse_path.as_ref();
        let recipients = commit.envelope.recipients.iter().zip(leads);
        for (position, (recipient, lead)) in recipients.enumerate() {
            match (lead, &mut sending) {
                (Lead::Accounts(targets), _) => {
                    let member = Through::to(&targets).account(recipient);
                    let to = (position, &*targets);
                    share_out(sender, &member, to, &received, &mut shares);
                }
                (Lead::Forwarded(members), Some(sending)) => {
                    let member = members.through().account(recipient);
                    let to = (position, &*members.targets);
                    share_out(sender, &member, to, &received, &mut shares);
                    shares.is_taken_elsewhere(position);
                    sending.forward(recipient, *members, &mut shares);
                }
                (Lead::Later(leave), Some(sending)) => sending.hold(recipient, leave, &mut shares),
                (Lead::Away(leave), Some(sending)) => sending.leave(recipient, leave, &mut shares),
                (Lead::Nowhere | Lead::Forwarded(_) | Lead::Later(_) | Lead::Away(_), _) => {}
            }
        }
        shares
    }

    /// Whose turn this mail counts for, beside that of others.
    pub(super) fn tenant(&self, reverse_path: Option<&Address>) -> String {
        let login = self.session.login().map(|login| login.to_string());
        login.unwrap_or_else(|| tenant(reverse_path))
    }

    /// Gives the sender its other address; says who got one.
    fn name_renamed(&mut self, commit: &mut Commit, queue_id: &str) {
        if let Some(sender) = self.sender.take() {
            let before = commit.envelope.reverse_path.replace(sender);
            let (from, to) = (before, commit.envelope.reverse_path.as_ref());
            self.renamed.extend(from.zip(to.cloned()));
        }
        for (from, to) in self.renamed.drain(..) {
            let (from, to) = (from.to_string(), to.to_string());
            event!(Info, "rewritten", queue_id = queue_id, from = from, to = to);
        }
    }

    /// RFC 2920 §3.2: replies to pipelined commands gather and leave together.
    async fn flush(&mut self) -> io::Result<()> {
        if self.out.reply.is_empty() {
            return Ok(());
        }
        let octets = std::mem::take(&mut self.out.reply);
        self.hall
            .metrics
            .sent_bytes
            .of(self.protocol.into())
            .add(octets.len() as u64);
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let (sent, mut octets) = stream.send(octets).await;
        octets.clear();
        self.out.reply = octets;
        sent
    }

    async fn finish(mut self) {
        let now_ms = self.hall.now_ms();
        self.session.lost(now_ms, &mut self.out);
        if let Some(summary) = self.out.ended.take() {
            super::report::transaction(&self.hall, &summary);
        }
        if let Some(stream) = self.stream {
            stream.close().await;
        }
    }
}

/// What a Received field hardly exceeds.
const RECEIVED_BYTES: usize = 384;

/// What is left of octets that were received. Those who wait for the disk are many and hold no lent
/// buffer.
fn unread(received: Vec<u8>, taken: usize) -> Vec<u8> {
    let rest = received.get(taken..).unwrap_or_default().to_vec();
    buffer::give_back(received);
    rest
}

/// What each recipient is told: it is taken when one of its shares is. What other owners get is in
/// the coordinator's custody.
fn verdicts(recipients: usize, places: &[Vec<(usize, usize)>], taken: &Taken) -> Vec<Verdict> {
    let share = |&(owner, at): &(usize, usize)| match taken.shares.get(at) {
        Some(Err(error)) if owner == 0 => Err(error_reply(error)),
        _ => Ok(()),
    };
    let recipient = |position| {
        let places = places.get(position).into_iter().flatten();
        let mut shares = places.map(share);
        let first = shares.next().unwrap_or(Ok(()));
        match first.is_ok() || shares.any(|share| share.is_ok()) {
            true => Ok(()),
            false => first,
        }
    };
    (0..recipients).map(recipient).collect()
}

fn tls(info: TlsInfo) -> Tls {
    Tls {
        version: info.version,
        cipher: info.cipher,
    }
}

fn refused(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Store(error) => error_reply(error),
        Refusal::Closing => reply::CLOSING,
    }
}

fn error_reply(error: &ChangeError) -> Reply {
    match error {
        ChangeError::OverQuota => reply::MAILBOX_FULL,
        ChangeError::NoAccount => reply::UNKNOWN_USER,
        ChangeError::Limit("size of a message" | "size") => reply::TOO_LARGE,
        ChangeError::Log(LogError::Full) => reply::STORAGE_FULL,
        _ => reply::STORAGE_FAILED,
    }
}
