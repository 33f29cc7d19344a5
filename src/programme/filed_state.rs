//! What a programme's file says of a person, as it is stored.

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

/// What `person` says is agreed, as the version after `now`: about the shops that `shops` knows by
/// the names of the file, or as the names stand there.
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

/// `last` about those shops that `now` is about: a name may have meant another key by the table of that
/// time, and everything else about the list says whether it is the same.
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

/// The shops of the programme's own whose lines are taken for another shop.
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

/// What becomes of a card that the file speaks of: what happened to it since the file was applied
/// last stays, unless the file has changed its mind.
pub(super) fn standing_of(
    card: &file::Card,
    known: Option<CardStatus>,
    before: Option<&Person>,
) -> CardStatus {
    match known {
        Some(known)
            if filed_state(card, before) == Some(card.state)
                || known.lasting_state() == card.state =>
        {
            known
        }
        Some(_) | None => CardStatus::lasting(card.state),
    }
}

/// What the file that was applied last said of a card.
pub(super) fn filed_state(card: &file::Card, before: Option<&Person>) -> Option<CardState> {
    let same = |c: &&file::Card| c.connection == card.connection && c.token == card.token;
    before?.cards.iter().find(same).map(|card| card.state)
}

pub(super) fn person_row(person: &Person) -> PersonRow {
    PersonRow {
        budget: BudgetId::of(&person.id),
        name: person.name.clone(),
        worker: person.worker.to_string(),
        state: person.state,
        plan: file::write_person(person),
    }
}

/// A permission of a file. Without an identifier of its own it gets one from what it says, so that
/// applying the file again gives no second one.
pub(super) fn permission(
    programme: &ProgrammeId,
    budget: &BudgetId,
    draft: &PermissionDraft,
    shops: &ShopTable,
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
        given_at: draft.from,
        ends_at: draft.ends,
        giver: Grantor::People,
        uses: Some(PermissionUsage::none(draft.up_to.currency())),
    }
}
