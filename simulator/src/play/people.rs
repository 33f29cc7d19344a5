//! What people do, over the gateway's own API, each signed in as themselves.

use std::{fmt, pin::Pin, time::Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Came, Player};
use crate::{
    books::{About, Allowed},
    client::Request,
    programme::Person,
    report::{Answer, Kind},
    stories::{Deed, Planned},
};

/// A token of the gateway's, for the account of that name.
pub type Token = Pin<Box<dyn Future<Output = anyhow::Result<String>> + Send>>;

/// Signs accounts in: with it, the play has stories in which people do something.
pub struct SignIn(Box<dyn Fn(String) -> Token + Send + Sync>);

impl SignIn {
    pub fn new(sign_in: impl Fn(String) -> Token + Send + Sync + 'static) -> Self {
        Self(Box::new(sign_in))
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignIn")
    }
}

/// What the gateway has named since a purchase was refused.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) decision: Option<String>,
    ask: Option<String>,
    appeal: Option<String>,
}

/// One call as it is to go out.
struct Call<'a> {
    who: Option<&'a str>,
    /// The address behind that of the person.
    rest: String,
    body: Value,
    kind: Kind,
}

impl Deed {
    /// Whether an answer says that it was done.
    fn is_said_by(self, answer: &Value) -> bool {
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
    /// Lets somebody do something; none when there is nothing to do it about.
    pub(super) async fn does(
        &mut self,
        number: usize,
        purchase: &Planned,
        deed: Deed,
        at: i64,
    ) -> anyhow::Result<Option<Came>> {
        let Some(person) = purchase.person else { return Ok(None) };
        let Some(whose) = self.programme.people.get(person) else { return Ok(None) };
        let Some(Call { who, rest, body, kind }) = self.call(number, whose, deed) else {
            return Ok(None);
        };
        let who = who.with_context(|| format!("nobody signs in for {}", whose.id))?;
        let sign_in = self.sign_in.context("a story of people, and nobody who signs them in")?;
        let token = sign_in.0(who.to_owned()).await?;
        let (key, path) = (self.next_id("key"), format!("/v1/people/{}/{rest}", whose.id));
        let started = Instant::now();
        let request = Request { token: &token, key: &key, path: &path, body: &body };
        let (status, answer) = self.client.act(request).await?;
        let latency = started.elapsed();
        let is_done = (200..300).contains(&status) && deed.is_said_by(&answer);
        let mut broken = Vec::new();
        if is_done {
            self.remember(number, &answer);
            self.book_deed(number, (person, purchase), deed, at);
        } else {
            broken.push(format!("{path} as {who} was answered {status}: {answer}"));
        }
        Ok(Some(Came {
            kind,
            amount_minor: self.asked_minor(number),
            answer: if is_done { Answer::Stored } else { Answer::Unusable },
            told: None,
            latency,
            note: format!("by {who}"),
            broken,
        }))
    }

    /// What is to be called; none when what it is about was never there.
    fn call(&self, number: usize, whose: &Person, deed: Deed) -> Option<Call<'a>> {
        let (own, worker) = (self.programme.own_account(whose), self.programme.worker_of(whose));
        let named = &self.played.get(&number)?.named;
        let ask = || named.ask.as_deref();
        let call = |who, rest: String, body, kind| Some(Call { who, rest, body, kind });
        match deed {
            Deed::Freeze => call(own, "freeze".to_owned(), json!({}), Kind::Frozen),
            Deed::Unfreeze => call(own, "unfreeze".to_owned(), json!({}), Kind::Unfrozen),
            Deed::Wish => {
                let wish = json!({"purchase": named.decision.as_deref()?});
                call(own, "asks".to_owned(), wish, Kind::AskedFor)
            }
            Deed::Yes => {
                let yes = json!({"answer": "yes"});
                call(worker, format!("asks/{}/answer", ask()?), yes, Kind::SaidYes)
            }
            Deed::NotThisTime => {
                let no = json!({"answer": "not_this_time", "reason": "over_agreed_sum"});
                call(worker, format!("asks/{}/answer", ask()?), no, Kind::SaidNo)
            }
            Deed::Appeal => {
                let about = json!({"about": format!("ask:{}", ask()?)});
                call(own, "appeals".to_owned(), about, Kind::Appealed)
            }
            Deed::Change => {
                let path = format!("appeals/{}/outcome", named.appeal.as_deref()?);
                let found = json!({"outcome": "changed", "words": "It is a fair wish."});
                call(self.programme.manager(), path, found, Kind::LookedAt)
            }
        }
    }

    /// Keeps what the gateway has named.
    fn remember(&mut self, number: usize, answer: &Value) {
        let Some(played) = self.played.get_mut(&number) else { return };
        let named = &mut played.named;
        let text = |field: &str| answer.get(field)?.as_str().map(str::to_owned);
        named.ask = text("ask").or_else(|| named.ask.take());
        named.appeal = text("appeal").or_else(|| named.appeal.take());
    }

    /// Writes into the books what was done.
    fn book_deed(
        &mut self,
        number: usize,
        (person, purchase): (usize, &Planned),
        deed: Deed,
        at: i64,
    ) {
        match deed {
            Deed::Yes | Deed::Change => {
                let most_minor = self.asked_minor(number);
                self.books.allow(Allowed {
                    person,
                    about: About::Shop(purchase.shop),
                    most_minor,
                    uses: 1,
                    from: at,
                    ends: i64::MAX,
                });
            }
            Deed::Freeze => self.books.freeze(person, true),
            Deed::Unfreeze => self.books.freeze(person, false),
            Deed::Wish | Deed::NotThisTime | Deed::Appeal => {}
        }
    }

    /// What was asked for at the till.
    fn asked_minor(&self, number: usize) -> i64 {
        let last = self.played.get(&number).and_then(|played| played.last_request.as_ref());
        last.map_or(0, |sent| sent.amount_minor)
    }
}
