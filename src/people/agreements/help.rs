//! How much help the person wants: three choices, each a ready-made change of their own list. Nobody
//! else can choose for them, and what was agreed with the worker stays as it is.

use jiff::civil::Date;

use super::{Desk, Outcome, Proposing, Table};
use crate::domain::agreement::change::{Key, List};
use crate::domain::agreement::proposal::{Parts, Session};
use crate::domain::agreement::{Answer, Decider, Scope, Term, TermDraft};
use crate::domain::id::PersonId;
use crate::domain::money::Money;
use crate::domain::money::limit::Limit;
use crate::domain::people::role::Act;
use crate::people::members::{ActError, Acting};
use crate::store::Tx;

/// How much help somebody wants with their money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Help {
    /// I do it; or with a hand, which changes what is told and to whom, and nothing of the list.
    Alone,
    /// What costs more than a sum needs a one-time OK.
    Together {
        above: Money,
        /// How long the choice outlasts a wish to take it back.
        cooling_days: u32,
        /// When the two look at it again.
        review_on: Date,
    },
}

/// Changes the person's list to the help that they choose: more at once, less after their own time.
pub async fn choose_help(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    help: Help,
    words: String,
    session: Session,
) -> Result<Outcome, ActError> {
    let mut table = Table::open(tx, desk, acting, person, |_| Act::SteerMoney).await?;
    let now = table.in_force()?.list();
    let plain = now.with(&table.agreed(tx).await?, &[everything()].into());
    let list = match help {
        Help::Alone => plain,
        Help::Together { above, cooling_days, review_on } => {
            together(&plain, above, cooling_days, review_on, &words)?
        }
    };
    table.put_forward(tx, Proposing { list, words, parts: Parts::Whole, session }, None).await
}

const fn everything() -> Key {
    Key::Term(Scope::Everything)
}

/// `list` with a sum above which everything needs a one-time OK, beside what it says already.
fn together(
    list: &List,
    above: Money,
    cooling_days: u32,
    review_on: Date,
    words: &str,
) -> Result<List, ActError> {
    let known = list.term(&Scope::Everything);
    let mut limits = known.map_or_else(Vec::new, |term| term.limits().to_vec());
    let stricter = |limit: &Limit| match limit {
        Limit::PerPurchase(most) => Some(most.minor()),
        Limit::Amount { .. } | Limit::Count { .. } => None,
    };
    let known_above = limits.iter().filter_map(stricter).min();
    if known_above.is_none_or(|known| above.minor() < known) {
        limits.retain(|limit| stricter(limit).is_none());
        limits.push(Limit::PerPurchase(above));
    }
    let known_cooling = known.and_then(Term::cooling_days).unwrap_or(0);
    let term = Term::new(TermDraft {
        scope: Scope::Everything,
        answer: Answer::Yes,
        limits,
        hours: None,
        decides: known.map_or(Decider::Person, Term::decides),
        reason: Some(words.trim().to_owned()),
        review_on: Some(review_on),
        cooling_days: Some(cooling_days.max(known_cooling)).filter(|days| *days > 0),
    });
    let term = term.map_err(|error| ActError::invalid("words", error.to_string()))?;
    let only = List { partial: list.partial, terms: vec![term], pots: list.pots.clone() };
    Ok(list.with(&only, &[everything()].into()))
}
