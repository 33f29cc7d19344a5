//! Actions of people, each signed in to the gateway's API with their own account.

use std::{fmt, pin::Pin, time::Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Player, StepResult};
use crate::{
    books::{GrantedPermission, PermissionSubject},
    client::ApiRequest,
    programme::Person,
    report::{MessageKind, ResponseOutcome},
    stories::{PersonAction, PlannedPurchase},
};

/// Resolves to an API token of the account.
pub type TokenFuture = Pin<Box<dyn Future<Output = anyhow::Result<String>> + Send>>;

/// Signs accounts in. With it, a play includes the stories in which people act.
pub struct SignIn(Box<dyn Fn(String) -> TokenFuture + Send + Sync>);

impl SignIn {
    pub fn new(sign_in: impl Fn(String) -> TokenFuture + Send + Sync + 'static) -> Self {
        Self(Box::new(sign_in))
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignIn")
    }
}

/// Identifiers that the gateway returned since a purchase was declined.
#[derive(Debug, Default)]
pub(super) struct GatewayReferences {
    pub(super) decision: Option<String>,
    ask: Option<String>,
    appeal: Option<String>,
}

/// An API request that is ready to be sent.
struct PlannedRequest<'a> {
    who: Option<&'a str>,
    /// The path after that of the person.
    rest: String,
    body: Value,
    kind: MessageKind,
}

impl PersonAction {
    /// Whether the response confirms the action.
    fn is_confirmed_by(self, answer: &Value) -> bool {
        let state = match self {
            Self::Wish => "sent",
            Self::Yes => "yes",
            Self::NotThisTime => "not_this_time",
            Self::Change => "changed",
            Self::Appeal | Self::Freeze | Self::Unfreeze => return true,
        };
        answer.get("state").is_some_and(|said| said == state)
    }
}

impl<'a> Player<'a> {
    /// Performs an action; `None` when its subject does not exist.
    pub(super) async fn perform(
        &mut self,
        number: usize,
        purchase: &PlannedPurchase,
        action: PersonAction,
        at: i64,
    ) -> anyhow::Result<Option<StepResult>> {
        let Some(person) = purchase.person else { return Ok(None) };
        let Some(whose) = self.programme.people.get(person) else { return Ok(None) };
        let Some(PlannedRequest { who, rest, body, kind }) = self.call(number, whose, action)
        else {
            return Ok(None);
        };
        let who = who.with_context(|| format!("nobody signs in for {}", whose.id))?;
        let sign_in = self.sign_in.context("a story of people, and nobody who signs them in")?;
        let token = sign_in.0(who.to_owned()).await?;
        let (key, path) = (self.next_id("key"), format!("/v1/people/{}/{rest}", whose.id));
        let started = Instant::now();
        let request = ApiRequest { token: &token, key: &key, path: &path, body: &body };
        let (status, answer) = self.client.post_as_account(request).await?;
        let latency = started.elapsed();
        let is_done = (200..300).contains(&status) && action.is_confirmed_by(&answer);
        let mut broken = Vec::new();
        if is_done {
            self.keep_references(number, &answer);
            self.record_action(number, (person, purchase), action, at);
        } else {
            broken.push(format!("{path} as {who} was answered {status}: {answer}"));
        }
        Ok(Some(StepResult {
            kind,
            amount_minor: self.asked_minor(number),
            answer: if is_done { ResponseOutcome::Stored } else { ResponseOutcome::Unusable },
            response: None,
            latency,
            note: format!("by {who}"),
            broken,
        }))
    }

    /// The request of an action; `None` when its subject does not exist.
    fn call(
        &self,
        number: usize,
        whose: &Person,
        action: PersonAction,
    ) -> Option<PlannedRequest<'a>> {
        let (own, worker) = (self.programme.own_account(whose), self.programme.worker_of(whose));
        let references = &self.played.get(&number)?.references;
        let ask = || references.ask.as_deref();
        let call = |who, rest: String, body, kind| Some(PlannedRequest { who, rest, body, kind });
        match action {
            PersonAction::Freeze => call(own, "freeze".to_owned(), json!({}), MessageKind::Frozen),
            PersonAction::Unfreeze => {
                call(own, "unfreeze".to_owned(), json!({}), MessageKind::Unfrozen)
            }
            PersonAction::Wish => {
                let wish = json!({"purchase": references.decision.as_deref()?});
                call(own, "asks".to_owned(), wish, MessageKind::AskedFor)
            }
            PersonAction::Yes => {
                let yes = json!({"answer": "yes"});
                call(worker, format!("asks/{}/answer", ask()?), yes, MessageKind::SaidYes)
            }
            PersonAction::NotThisTime => {
                let no = json!({"answer": "not_this_time", "reason": "over_agreed_sum"});
                call(worker, format!("asks/{}/answer", ask()?), no, MessageKind::SaidNo)
            }
            PersonAction::Appeal => {
                let about = json!({"about": format!("ask:{}", ask()?)});
                call(own, "appeals".to_owned(), about, MessageKind::Appealed)
            }
            PersonAction::Change => {
                let path = format!("appeals/{}/outcome", references.appeal.as_deref()?);
                let found = json!({"outcome": "changed", "words": "It is a fair wish."});
                call(self.programme.manager(), path, found, MessageKind::LookedAt)
            }
        }
    }

    /// Stores the identifiers of a response.
    fn keep_references(&mut self, number: usize, answer: &Value) {
        let Some(played) = self.played.get_mut(&number) else { return };
        let references = &mut played.references;
        let text = |field: &str| answer.get(field)?.as_str().map(str::to_owned);
        references.ask = text("ask").or_else(|| references.ask.take());
        references.appeal = text("appeal").or_else(|| references.appeal.take());
    }

    /// Books a performed action.
    fn record_action(
        &mut self,
        number: usize,
        (person, purchase): (usize, &PlannedPurchase),
        action: PersonAction,
        at: i64,
    ) {
        match action {
            PersonAction::Yes | PersonAction::Change => {
                let most_minor = self.asked_minor(number);
                self.books.allow(GrantedPermission {
                    person,
                    about: PermissionSubject::Shop(purchase.shop),
                    most_minor,
                    uses: 1,
                    from: at,
                    ends: i64::MAX,
                });
            }
            PersonAction::Freeze => self.books.freeze(person, true),
            PersonAction::Unfreeze => self.books.freeze(person, false),
            PersonAction::Wish | PersonAction::NotThisTime | PersonAction::Appeal => {}
        }
    }

    /// The amount of the last authorisation request, in minor units.
    fn asked_minor(&self, number: usize) -> i64 {
        let last = self.played.get(&number).and_then(|played| played.last_request.as_ref());
        last.map_or(0, |sent| sent.amount_minor)
    }
}
