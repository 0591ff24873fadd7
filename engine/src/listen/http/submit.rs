//! Carries out a request: checks it, finds where each recipient leads, takes custody.
//!
//! Messages go in lanes side by side, so that they share commits; within a lane one goes behind the
//! other, so that what is durable of it can be said by a number (`inject::progress`). The answer
//! comes when all is durable that it calls accepted.

use super::super::finding::{Astray, Finding};
use super::super::hall::Hall;
use super::super::leads::{Lead, Shares};
use super::super::sending::{Sending, Through, share_out};
use super::super::told::{About, Told};
use super::Client;
use super::claim::Claim;
use super::desk::Held;
use super::reading::{LARGE_BYTES, read};
use crate::config::Config;
use crate::event;
use crate::inject::{
    Answer, Bounds, Effort, Fault, Injection, LANES, Lane, Letter, Outcome, Plan, Principal,
    Problem, answer, id_of, replayed,
};
use crate::intake::{Refusal, queue_id};
use crate::post::{Submitted, Taken};
use crate::queue::owner;
use crate::reactor::{clock, yield_now};
use crate::route::Reason;
use crate::session::smtp::Terms;
use crate::session::smtp::trace::Received;
use crate::session::smtp::watch::HeaderWatch;
use crate::telemetry::metric;
use crate::wire::http::{Head, Response};
use crate::wire::smtp::param::Hold;
use futures_util::future::join_all;
use serde_json::value::RawValue;
use std::rc::Rc;
use std::sync::Arc;
use store::error::ChangeError;
use store::limit::RECIPIENTS_MAX;
use store::mail::date::InternalDate;
use store::mail::envelope::{BodyKind, Recipient};
use store::mail::id::QueueId;
use store::shard::Source;

/// What became of each recipient, with words where there are any beside the usual.
type Outcomes = Vec<(Outcome, String)>;

pub(super) async fn submit(
    hall: &Rc<Hall>,
    client: &Client,
    principal: &Principal,
    head: &Head,
    mut body: Held,
) -> Response {
    let began_ms = hall.now_ms();
    let octets = body.octets.len();
    let sent = send(hall, client, principal, head, &mut body).await;
    let (response, id) = match sent {
        Ok((response, id)) => (response, id),
        Err(problem) => {
            hall.metrics.transactions_refused.one();
            (problem.response(), String::new())
        }
    };
    event!(
        Info,
        "injection",
        id = id,
        status = response.status,
        peer = client.peer,
        login = principal.name.as_str(),
        octets = octets,
        millis = hall.now_ms().saturating_sub(began_ms),
    );
    response
}

async fn send(
    hall: &Rc<Hall>,
    client: &Client,
    principal: &Principal,
    head: &Head,
    body: &mut Held,
) -> Result<(Response, String), Problem> {
    let config = hall.live.config.load_full();
    let key = key(head)?;
    let bounds = Bounds {
        recipients_max: config.inject.recipients_max as usize,
        attachments_max: config.inject.attachments_max as usize,
        message_octets_max: config.limits.message_bytes_max,
        now_secs: hall.now().unix_secs() as i64,
    };
    let injection = read(hall, body, principal, bounds).await?;
    let plan = Plan::of(&injection);
    let claim = match key {
        Some(key) => Some(Claim::make(hall, &injection.tenant, key, &body.octets).await?),
        None => None,
    };
    let known = claim
        .as_ref()
        .and_then(|claim| claim.lanes.iter().flatten().next());
    let base = known.map(|lane| lane.base);
    if base.is_none() {
        pace(hall, principal, plan.recipients())?;
    }
    let now = hall.now();
    let job = Job {
        base: base.unwrap_or_else(|| {
            hall.queue_ids
                .reserve(now.unix_millis * 1000, plan.messages())
        }),
        received_secs: now.unix_secs() as i64,
        hall,
        client,
        login: &principal.name,
        is_large: injection.octets() > LARGE_BYTES,
        injection: Arc::clone(&injection),
        plan,
        claim,
        side_by_side: (WRITTEN_BYTES / body.octets.len().max(1)).clamp(1, LANES),
        config,
    };
    let (outcomes, is_replayed) = job.run().await;
    let told = Answer::new(plan, job.base, &outcomes);
    if let Some(claim) = job.claim {
        claim.release().await;
    }
    let response = answer(&injection, &told);
    let response = match is_replayed {
        true => replayed(response),
        false => response,
    };
    Ok((response, told.id))
}

fn key(head: &Head) -> Result<Option<&str>, Problem> {
    match head.idempotency_key.as_deref() {
        None => Ok(None),
        Some(key) if !key.is_empty() && key.len() <= KEY_BYTES_MAX => Ok(Some(key)),
        Some(_) => {
            let title = "An Idempotency-Key has 1 to 255 octets.";
            Err(Problem::new(400, "bad-key", title))
        }
    }
}

/// Before the body: who has sent too much already need not send it. Under a key the request may be
/// one that was carried out, which costs nothing.
pub(super) fn may_begin(hall: &Hall, principal: &Principal, head: &Head) -> Result<(), Problem> {
    match head.idempotency_key {
        None => pace(hall, principal, 0),
        Some(_) => Ok(()),
    }
}

fn pace(hall: &Hall, principal: &Principal, recipients: usize) -> Result<(), Problem> {
    let Some(most) = principal.per_minute_max else {
        return Ok(());
    };
    let now = clock::monotonic_micros();
    let taken = hall.gate.rates.take(&principal.name, recipients, most, now);
    taken.map_err(|secs| {
        let detail = format!("at most {most} recipients a minute");
        let problem = Problem::new(
            429,
            "too-many-recipients",
            "You have sent too much of late.",
        );
        problem.about(Fault::new("", detail)).after(secs)
    })
}

/// One request that is being carried out.
struct Job<'j> {
    hall: &'j Rc<Hall>,
    client: &'j Client,
    /// Account or token.
    login: &'j str,
    injection: Arc<Injection<'static>>,
    /// Its messages are not made on the thread of the shard.
    is_large: bool,
    plan: Plan,
    /// The id of the first message.
    base: QueueId,
    received_secs: i64,
    claim: Option<Claim>,
    /// Lanes that are gone along at a time.
    side_by_side: usize,
    config: Arc<Config>,
}

/// One message and where it goes.
struct Draft {
    queue: QueueId,
    octets: Vec<u8>,
    source: Source,
    coordinator: usize,
    shares: Shares,
    told: Option<Told>,
}

impl Job<'_> {
    /// What became of everybody, and whether all of it was known before.
    async fn run(&self) -> (Outcomes, bool) {
        let lanes: Vec<usize> = (0..LANES.min(self.plan.messages())).collect();
        let mut done = Vec::with_capacity(lanes.len());
        // Large messages go one behind the other: each lane has one in memory.
        for together in lanes.chunks(self.side_by_side) {
            done.extend(join_all(together.iter().map(|lane| self.lane(*lane))).await);
        }
        let mut outcomes = vec![(Outcome::Later, String::new()); self.plan.recipients()];
        let is_replayed = done.iter().all(|(_, _, fresh)| *fresh == 0);
        for (number, (lane, words, _)) in done.iter().enumerate() {
            lane.spread(self.plan, number, &mut outcomes);
            for (place, detail) in words {
                if let Some((_, known)) = outcomes.get_mut(*place) {
                    known.clone_from(detail);
                }
            }
        }
        (outcomes, is_replayed && self.claim.is_some())
    }

    /// The messages of one lane, what is durable of them first; words for places; how many were
    /// not done before.
    async fn lane(&self, number: usize) -> (Lane, Vec<(usize, String)>, usize) {
        let known = self
            .claim
            .as_ref()
            .and_then(|claim| claim.lanes.get(number)?.clone());
        let hash = self.claim.as_ref().map_or([0; 32], |claim| claim.hash);
        let mut lane = known.unwrap_or_else(|| Lane::new(hash, self.base));
        let mut words = self.words_of_known(number, &lane);
        let mut fresh = 0;
        for message in Lane::messages(self.plan, number).skip(lane.done) {
            fresh += 1;
            let outcomes = self.message(message, number, &lane).await;
            let places = self.plan.recipients_of(message);
            let said = places
                .zip(&outcomes)
                .filter(|(_, (_, detail))| !detail.is_empty());
            words.extend(said.map(|(place, (_, detail))| (place, detail.clone())));
            let has_failed = outcomes
                .iter()
                .any(|(outcome, _)| *outcome == Outcome::Later);
            if has_failed && self.claim.is_some() {
                // What comes behind it must not be durable before it.
                break;
            }
            lane.done += 1;
            lane.outcomes
                .extend(outcomes.iter().map(|(outcome, _)| *outcome));
            yield_now().await;
        }
        (lane, words, fresh)
    }

    /// Words are not kept: what refused a recipient then mostly says the same now.
    fn words_of_known(&self, number: usize, lane: &Lane) -> Vec<(usize, String)> {
        let messages = Lane::messages(self.plan, number).take(lane.done);
        let places = messages.flat_map(|message| self.plan.recipients_of(message));
        let refused = places
            .zip(&lane.outcomes)
            .filter(|(_, outcome)| matches!(outcome, Outcome::Malformed | Outcome::Rejected));
        let lead = |(place, outcome): (usize, &Outcome)| match self.lead(place) {
            Err((now, detail)) if now == *outcome => Some((place, detail)),
            _ => None,
        };
        refused.filter_map(lead).collect()
    }

    /// Takes one message into custody, and says what became of its recipients.
    async fn message(&self, message: usize, number: usize, lane: &Lane) -> Outcomes {
        let places = self.plan.recipients_of(message);
        let leads: Vec<_> = places.clone().map(|place| self.lead(place)).collect();
        let mut outcomes: Outcomes = leads
            .iter()
            .map(|lead| match lead {
                Ok(_) => (Outcome::Taken, String::new()),
                Err((outcome, detail)) => (*outcome, detail.clone()),
            })
            .collect();
        let is_wanted = outcomes
            .iter()
            .any(|(outcome, _)| *outcome == Outcome::Taken);
        let taken = match is_wanted {
            true => {
                self.take(message, leads, number, &after(lane, &outcomes))
                    .await
            }
            false => Err((Outcome::Malformed, String::new())),
        };
        if let Err(why) = taken {
            replace(&mut outcomes, &why);
            let is_durable = self.note(number, &after(lane, &outcomes)).await;
            if !is_durable {
                outcomes
                    .iter_mut()
                    .for_each(|one| *one = (Outcome::Later, String::new()));
            }
        }
        outcomes
    }

    /// Nobody got the message: its lane says so alone.
    async fn note(&self, number: usize, lane: &Lane) -> bool {
        let has_failed = lane.outcomes.contains(&Outcome::Later);
        match &self.claim {
            Some(claim) if !has_failed => claim.note(number, lane).await.is_ok(),
            _ => true,
        }
    }

    async fn take(
        &self,
        message: usize,
        leads: Vec<Result<Lead, (Outcome, String)>>,
        number: usize,
        lane: &Lane,
    ) -> Result<(), (Outcome, String)> {
        let letter = self.letter(message).await?;
        let draft = self.draft(message, letter, leads)?;
        let (recipients, octets) = (draft.shares.of_recipient.len(), draft.octets.len());
        let mut body = self.hall.intake.begin(draft.coordinator);
        let mut unwritten = draft.octets;
        let written = self.hall.intake.write(&mut body, &mut unwritten).await;
        written.map_err(|refusal| refused(&refusal))?;
        let has_others = !draft.shares.by_home.is_empty() || draft.shares.by_owner.len() > 1;
        let submitted = Submitted {
            queue: draft.queue,
            source: draft.source,
            received_secs: self.received_secs,
            stream: None,
            tail: Vec::new(),
            each_alone: false,
            shares: draft.shares.by_owner,
            outbound: draft.shares.by_home,
            memos: self
                .claim
                .iter()
                .map(|claim| claim.memo(number, lane))
                .collect(),
        };
        let taken = self.hall.intake.commit(body, submitted).await;
        let taken = taken.map_err(|refusal| refused(&refusal))?;
        is_kept(&taken, has_others)?;
        self.count(recipients, octets);
        if let Some(told) = draft.told {
            told.tell(draft.queue, octets as u64).await;
        }
        Ok(())
    }

    fn count(&self, recipients: usize, octets: usize) {
        let metrics = &self.hall.metrics;
        metrics.messages_received.of(metric::Protocol::Http).one();
        metrics.message_bytes.add(octets as u64);
        metrics.recipients.add(recipients as u64);
    }

    /// The octets of a message. One that is large, or becomes so by its templates, is made on a
    /// thread that serves no connection.
    async fn letter(&self, message: usize) -> Result<Letter, (Outcome, String)> {
        let first = self.plan.recipients_of(message).start;
        let date = InternalDate::utc(self.received_secs);
        // Recipients that share a text share its name, also over several messages.
        let named = match self.plan.is_shared() {
            true => self.base,
            false => id_of(self.base, message),
        };
        let message_id = format!("{}@{}", queue_id::text(named), self.config.hostname);
        let most = self.config.limits.message_bytes_max;
        let injection = Arc::clone(&self.injection);
        let write = move |effort| injection.letter(first, &message_id, date, effort);
        let here = (!self.is_large).then(|| write(Effort::little(most)));
        let written = match here {
            Some(Ok(letter)) => Ok(letter),
            Some(Err(unfit)) if !unfit.is_too_much => Err(unfit),
            Some(Err(_)) | None => {
                let write = move || write(Effort::full(most));
                let written = self.hall.logins.offload(write).await;
                written.map_err(|error| (Outcome::Later, error.to_string()))?
            }
        };
        written.map_err(|unfit| (Outcome::Unfit, unfit.to_string()))
    }

    fn draft(
        &self,
        message: usize,
        letter: Letter,
        leads: Vec<Result<Lead, (Outcome, String)>>,
    ) -> Result<Draft, (Outcome, String)> {
        let places = self.plan.recipients_of(message);
        let date = InternalDate::utc(self.received_secs);
        let queue = id_of(self.base, message);
        let mut wanted = Vec::with_capacity(leads.len());
        let mut told = self.told();
        for (place, lead) in places.zip(leads) {
            if let (Ok(lead), Some(recipient)) = (lead, self.recipient(place)) {
                if let Some(told) = &mut told {
                    told.add(&recipient.address, &lead, self.metadata(place));
                }
                wanted.push((recipient, lead));
            }
        }
        let count: usize = wanted.iter().map(|(_, lead)| lead.count()).sum();
        if count > RECIPIENTS_MAX && wanted.len() > 1 {
            return Err((Outcome::AliasLoop, "its alias leads to too many".to_owned()));
        }
        let is_utf8 = |recipient: &Recipient| !recipient.address.local.is_ascii();
        let source = Source {
            is_transaction: true,
            reverse_path: self.injection.reverse_path.clone(),
            body: match letter.is_eight_bit {
                true => BodyKind::EightBitMime,
                false => BodyKind::SevenBit,
            },
            smtputf8: letter.needs_utf8 || wanted.iter().any(|(one, _)| is_utf8(one)),
            ret: self.injection.ret,
            envid: self.injection.envid.clone(),
        };
        let received = self.received(queue, &wanted, &letter.octets, date);
        let coordinator = self.coordinator(&wanted);
        let shares = self.shares(coordinator, wanted, &received, date);
        Ok(Draft {
            queue,
            octets: letter.octets,
            source,
            coordinator,
            shares,
            told,
        })
    }

    fn told(&self) -> Option<Told> {
        let injection = &self.injection;
        Told::of(|| About {
            protocol: "http",
            peer: self.client.peer.to_string(),
            login: self.login,
            sender: injection.reverse_path.as_ref(),
            owner: (
                injection.tenant.to_string(),
                injection.campaign.as_deref().unwrap_or_default(),
            ),
            request: queue_id::text(self.base),
            metadata: json_of(injection.metadata.as_deref()),
        })
    }

    fn metadata(&self, place: usize) -> serde_json::Value {
        let recipient = self.injection.recipients.get(place);
        json_of(recipient.and_then(|recipient| recipient.metadata.as_deref()))
    }

    fn recipient(&self, place: usize) -> Option<Recipient> {
        let recipient = self.injection.recipients.get(place)?;
        Some(Recipient {
            notify: self.injection.notify,
            ..Recipient::new(recipient.address.clone().ok()?)
        })
    }

    /// The home of the key, if there is one; else as of a submission.
    fn coordinator(&self, wanted: &[(Recipient, Lead)]) -> usize {
        if let Some(claim) = &self.claim {
            return claim.home;
        }
        let me = self.hall.shard;
        let mut owners = wanted.iter().flat_map(|(_, lead)| lead.owners());
        let first = owners.clone().next().unwrap_or(me);
        if owners.any(|owner| owner == me) {
            me
        } else {
            first
        }
    }

    fn received(
        &self,
        queue: QueueId,
        wanted: &[(Recipient, Lead)],
        octets: &[u8],
        date: InternalDate,
    ) -> Vec<u8> {
        let hello = format!("[{}]", self.client.peer);
        let queue_id = queue_id::text(queue);
        let trace = Received {
            hello: &hello,
            name: None,
            address: self.client.peer,
            tls: self.client.tls,
            by: &self.config.hostname,
            protocol: "HTTP",
            queue_id: &queue_id,
            recipient: match wanted {
                [(only, _)] => Some(&only.address),
                _ => None,
            },
            date,
        };
        let mut watch = HeaderWatch::new();
        watch.feed(octets);
        let mut out = Vec::new();
        trace.write(&mut out);
        trace.complete(watch.missing(), &mut out);
        out
    }

    fn shares(
        &self,
        coordinator: usize,
        wanted: Vec<(Recipient, Lead)>,
        received: &[u8],
        date: InternalDate,
    ) -> Shares {
        let mut shares = Shares::new(coordinator, wanted.len());
        shares.has_one = wanted.iter().map(|(_, lead)| lead.count()).sum::<usize>() == 1;
        let injection = &self.injection;
        let owner = owner::join(&injection.tenant, injection.campaign.as_deref());
        let terms = Terms {
            priority: injection.priority,
            hold: Some(injection.not_before_secs)
                .filter(|secs| *secs > 0)
                .map(Hold::Until),
            ..Terms::default()
        };
        let directory = self.hall.live.directory.load_full();
        let (recipients, leads): (Vec<Recipient>, Vec<Lead>) = wanted.into_iter().unzip();
        let sender = injection.reverse_path.as_ref();
        let mut sending = Sending {
            config: &self.config,
            directory: &directory,
            reverse_path: sender,
            terms: (&terms, 0),
            expiry_secs: injection.expiry_secs,
            date,
            received,
            owner,
            has_aliases: leads.iter().any(|lead| matches!(lead, Lead::Forwarded(_))),
            last: None,
        };
        for (position, (recipient, lead)) in recipients.iter().zip(leads).enumerate() {
            match lead {
                Lead::Nowhere => {}
                Lead::Later(leave) => sending.hold(recipient, leave, &mut shares),
                Lead::Away(leave) => sending.leave(recipient, leave, &mut shares),
                Lead::Accounts(targets) => {
                    let member = Through::to(&targets).account(recipient);
                    share_out(
                        sender,
                        &member,
                        (position, &*targets),
                        received,
                        &mut shares,
                    );
                }
                Lead::Forwarded(members) => {
                    let member = members.through().account(recipient);
                    let to = (position, &*members.targets);
                    share_out(sender, &member, to, received, &mut shares);
                    shares.is_taken_elsewhere(position);
                    sending.forward(recipient, *members, &mut shares);
                }
            }
        }
        shares
    }

    /// Where a recipient leads; `Err` says why it is not taken.
    fn lead(&self, place: usize) -> Result<Lead, (Outcome, String)> {
        let recipient = self.injection.recipients.get(place);
        let address = match recipient.map(|recipient| &recipient.address) {
            Some(Ok(address)) => address,
            Some(Err(what)) => return Err((Outcome::Malformed, (*what).to_owned())),
            None => return Err((Outcome::Malformed, String::new())),
        };
        let directory = self.hall.live.directory.load();
        let is_held = self.injection.not_before_secs > self.received_secs;
        let finding = Finding {
            live: &self.hall.live,
            config: &self.config,
            directory: &directory,
            sender: self.injection.reverse_path.as_ref(),
            tenant: &|| self.injection.tenant.clone(),
            may_send: true,
            is_held,
            octets_hint: 0,
            now_secs: &|| u64::try_from(self.received_secs).unwrap_or(0),
        };
        let found = finding.lead(address);
        match found {
            Ok((Lead::Later(_), _)) if !self.config.outbound.is_on() => {
                Err((Outcome::NotLater, String::new()))
            }
            Ok((lead, _)) => Ok(lead),
            Err(astray) => Err(outcome(astray)),
        }
    }
}

fn outcome(astray: Astray) -> (Outcome, String) {
    let outcome = match astray {
        Astray::Refused(reason) => match reason {
            Reason::NoSuchUser | Reason::NoPostmaster => Outcome::NoSuchUser,
            Reason::AliasLoop | Reason::TooManyTargets => Outcome::AliasLoop,
            Reason::Disabled => Outcome::Disabled,
            Reason::OverQuota => Outcome::OverQuota,
        },
        Astray::Forged => Outcome::NoSuchUser,
        Astray::Full => Outcome::OverQuota,
        Astray::Rejected(words) => return (Outcome::Rejected, words),
        Astray::NoRoute | Astray::Denied => Outcome::NoRoute,
        Astray::QueueFull => return (Outcome::Later, "the queue is full".to_owned()),
    };
    (outcome, String::new())
}

fn json_of(raw: Option<&RawValue>) -> serde_json::Value {
    let read = raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
    read.unwrap_or_default()
}

/// The lane when this message is done.
fn after(lane: &Lane, outcomes: &[(Outcome, String)]) -> Lane {
    let mut lane = lane.clone();
    lane.done += 1;
    lane.outcomes
        .extend(outcomes.iter().map(|(outcome, _)| *outcome));
    lane
}

/// Who was to be taken fares like the message.
fn replace(outcomes: &mut Outcomes, why: &(Outcome, String)) {
    let taken = outcomes
        .iter_mut()
        .filter(|(outcome, _)| *outcome == Outcome::Taken);
    taken.for_each(|one| one.clone_from(why));
}

/// `Err`: nothing was kept, because all accounts are full or gone.
fn is_kept(taken: &Taken, has_others: bool) -> Result<(), (Outcome, String)> {
    let first = taken.shares.iter().find_map(|share| share.as_ref().err());
    match first {
        Some(error) if !has_others && taken.shares.iter().all(Result::is_err) => {
            Err(refused_by(error))
        }
        _ => Ok(()),
    }
}

fn refused(refusal: &Refusal) -> (Outcome, String) {
    match refusal {
        Refusal::Store(error) => refused_by(error),
        Refusal::Closing => (Outcome::Later, "the server ends".to_owned()),
    }
}

fn refused_by(error: &ChangeError) -> (Outcome, String) {
    let outcome = match error {
        ChangeError::OverQuota => Outcome::OverQuota,
        ChangeError::NoAccount => Outcome::NoSuchUser,
        ChangeError::Limit("size of a message" | "size") => Outcome::Unfit,
        _ => Outcome::Later,
    };
    (outcome, String::new())
}

const KEY_BYTES_MAX: usize = 255;

/// What the messages of one request that are being written may take together, about.
const WRITTEN_BYTES: usize = 16 << 20;
