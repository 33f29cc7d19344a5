//! Converts a person in a programme's file to the stored values.

use jiff::Timestamp;
use jiff::civil::Date;
use sha2::{Digest as _, Sha256};

use super::file::{self, AgreementDraft, ListedTerm, PermissionDraft, Person, Settings};
use crate::domain::agreement::Agreement;
use crate::domain::ask::permission::{Grantor, Permission, PermissionUsage};
use crate::domain::card::{CardState, CardStatus};
use crate::domain::id::{BudgetId, PermissionId, ProgrammeId};
use crate::domain::shop::merchant::Merchant;
use crate::domain::shop::table::{Shop, ShopTable};
use crate::store::PersonRow;

/// The agreement of `person` in the file, as the version after `now`. The names of shops are
/// resolved through `shops`; without it, their scopes stay as written.
pub(super) fn agreement_of(
    person: &Person,
    settings: &Settings,
    now: Option<&Agreement>,
    today: Date,
    shops: Option<&ShopTable>,
) -> Agreement {
    let start = AgreementDraft {
        agreed_on: now.map_or(today, |agreement| agreement.agreed_on),
        agreed_by: Vec::new(),
        how: "The programme's start list.".to_owned(),
        partial: false,
        terms: Vec::new(),
    };
    let draft = person.agreement.as_ref().unwrap_or(&start);
    let terms = person.terms(&settings.start);
    Agreement {
        budget: BudgetId::of(&person.id),
        version: now.map_or(1, |agreement| agreement.version.saturating_add(1)),
        agreed_on: draft.agreed_on,
        agreed_by: draft.agreed_by.clone(),
        how: draft.how.clone(),
        partial: draft.partial,
        terms: terms
            .iter()
            .map(|listed| match shops {
                Some(shops) => listed.resolved(shops),
                None => listed.term.clone(),
            })
            .collect(),
        pots: person.pots.iter().map(|pot| pot.plan.clone()).collect(),
    }
}

/// `last` with the resolved scope of each shop that `now` has a term about. The table of that time
/// may have resolved the name to another key, which alone does not change the list.
pub(super) fn with_shops_of(
    now: &Agreement,
    last: Agreement,
    listed: &[ListedTerm],
    shops: &ShopTable,
) -> Agreement {
    let named = |listed: &ListedTerm| {
        let resolved = listed.resolved(shops);
        let is_meant = now.terms.iter().any(|term| term.scope() == resolved.scope());
        if is_meant { resolved } else { listed.term.clone() }
    };
    Agreement { terms: listed.iter().map(named).collect(), ..last }
}

/// A message for each pattern of the programme's own shops that matches another shop, or none.
pub(super) fn unreachable_shops(shops: &ShopTable, own: &[Shop]) -> Vec<String> {
    let mut unreachable = Vec::new();
    for shop in own {
        for print in &shop.prints {
            let found = shops.recognise(&Merchant::new(None, print.words()));
            if found.is_none_or(|found| found.name != shop.name) {
                let other = found.map_or("a seller behind a payment firm", |found| &found.name);
                let name = &shop.name;
                unreachable.push(format!(
                    "shop {name}: \"{print}\" is taken for {other}; write more of it"
                ));
            }
        }
    }
    unreachable
}

/// Why a file cannot set a card to `new`. `now` is `None` for a card that is not stored yet.
pub(super) const fn refused_state(now: Option<CardState>, new: CardState) -> Option<&'static str> {
    match (now, new) {
        (_, CardState::FrozenByStaff) => Some(
            "a card is stopped for safety by a pause, after a talk, with a reason and an end; \
             a file has none of them: POST /v1/people/{person}/pauses",
        ),
        (Some(_), CardState::FrozenByPerson) => Some("only the person freezes their own card"),
        (Some(CardState::FrozenByPerson), CardState::Active | CardState::NotStarted) => {
            Some("the person froze it; they alone start it again")
        }
        (Some(CardState::Lost), CardState::Active | CardState::NotStarted) => {
            Some("it was lost, and never works again; add the new card")
        }
        // Otherwise two files could unfreeze a card that the person froze, through these states.
        (
            Some(CardState::Replaced | CardState::Expired),
            CardState::Active | CardState::NotStarted,
        ) => Some(
            "it was replaced or has expired, and never works again; give the person a new card, \
             and add that one",
        ),
        (_, _) => None,
    }
}

/// The status of a card after the file is applied. A change since the file was last applied stays,
/// unless the file states a new state. A state that has become impossible since the file was
/// checked is not set.
pub(super) fn card_status(
    card: &file::FiledCard,
    known: Option<CardStatus>,
    before: Option<&Person>,
) -> CardStatus {
    match known {
        Some(known)
            if filed_state(card, before) == Some(card.state)
                || known.lasting_state() == card.state
                || refused_state(Some(known.lasting_state()), card.state).is_some() =>
        {
            known
        }
        Some(_) | None => CardStatus::lasting(card.state),
    }
}

/// The card's state in the last applied file.
pub(super) fn filed_state(card: &file::FiledCard, before: Option<&Person>) -> Option<CardState> {
    let same = |c: &&file::FiledCard| c.connection == card.connection && c.token == card.token;
    before?.cards.iter().find(same).map(|card| card.state)
}

pub(super) fn person_row(programme: &ProgrammeId, person: &Person) -> PersonRow {
    PersonRow {
        programme_id: programme.clone(),
        person_id: BudgetId::of(&person.id),
        name: person.name.clone(),
        worker_id: person.worker.to_string(),
        state: person.state,
        plan: file::write_person(person),
    }
}

/// A permission of a file. Without an id it gets a digest of its content, so that applying the file
/// again does not add it twice. It is given at `now` at the earliest, so that the cooling time of a
/// block that the person set on themselves begins when they could learn of it.
pub(super) fn permission(
    programme: &ProgrammeId,
    budget: &BudgetId,
    draft: &PermissionDraft,
    shops: &ShopTable,
    now: Timestamp,
) -> Permission {
    let said = format!(
        "{programme}/{budget}/{}/{}/{}/{}",
        draft.scope, draft.up_to, draft.from, draft.ends
    );
    let digest = Sha256::digest(said.as_bytes());
    let mut bytes = [0; 16];
    for (target, source) in bytes.iter_mut().zip(digest) {
        *target = source;
    }
    let id =
        draft.id.unwrap_or(PermissionId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid()));
    Permission {
        id,
        scope: draft.resolved(shops),
        cap: draft.up_to,
        uses_left: i64::from(draft.uses),
        given_at: draft.from.max(now),
        ends_at: draft.ends,
        grantor: Grantor::People,
        uses: Some(PermissionUsage::none(draft.up_to.currency())),
    }
}
