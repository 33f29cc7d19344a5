//! Writes a programme's file in its current state: with the lists and cards as they are now, which
//! may differ from the last applied file.

use super::accounts;
use super::apply::ApplyError;
use super::file::{
    self, AgreementDraft, ListedTerm, Person, ProgrammeFile, Secret, SecretValue, Settings,
};
use super::filed_state::agreement_of;
use crate::domain::agreement::{Agreement, Scope, Term};
use crate::domain::id::ProgrammeId;
use crate::domain::shop::merchant::Category;
use crate::domain::shop::table::ShopTable;
use crate::ledger::book::Card;
use crate::merchant_rules;
use crate::merchant_rules::RulesTexts;
use crate::store::Store;

/// The programme's file in its current state, without secrets; `None` if there is no such
/// programme.
pub async fn show(store: &Store, programme: &ProgrammeId) -> Result<Option<String>, ApplyError> {
    let Some(row) = store.programme(programme, None).await? else { return Ok(None) };
    let every = |_: &Category| true;
    let mut settings = file::parse_settings(&row.settings, &every).map_err(ApplyError::File)?;
    let texts = RulesTexts { categories: &row.rules, shops: row.shops.as_deref() };
    let rules = merchant_rules::read(texts, &settings.shops).map_err(ApplyError::Rules)?;
    for connection in &mut settings.connections {
        let own = store.secret_names(programme, &connection.id).await?.into_iter();
        connection.secrets = own
            .map(|secret| Secret {
                name: secret.name,
                value: SecretValue::Kept,
                until: secret.live_until,
            })
            .collect();
    }
    let mut people = Vec::new();
    let mut tx = store.snapshot().await?;
    for row in tx.people(programme).await? {
        let mut person =
            file::parse_person(&row.plan, &settings, &every).map_err(ApplyError::File)?;
        let cards = tx.cards_of(programme, &row.person_id).await?;
        show_as_it_is(&mut person, &cards);
        let in_force = tx.agreement_in_force(programme, &row.person_id, settings.currency).await?;
        if let Some(agreement) = in_force {
            show_in_force(&mut person, &agreement, &settings, rules.shops());
        }
        people.push(person);
    }
    tx.commit().await?;
    let (members, duties) = accounts::read(store, programme).await?;
    Ok(Some(file::write(&ProgrammeFile { settings, people, members, duties })))
}

/// Replaces the applied states of the cards by their current ones.
fn show_as_it_is(person: &mut Person, cards: &[Card]) {
    for card in &mut person.cards {
        let same = |c: &&Card| c.connection == card.connection && c.token == card.token;
        if let Some(known) = cards.iter().find(same) {
            card.state = known.status.lasting_state();
        }
    }
}

/// The shop's name, if the table resolves it to the same shop.
fn name_of(scope: &Scope, shops: &ShopTable) -> Option<String> {
    let Scope::Shop(key) = scope else { return None };
    let name = &shops.with_key(key)?.name;
    (shops.key_of(name) == Some(*key)).then(|| name.clone())
}

/// Replaces the applied list by the list in force, if they differ.
fn show_in_force(
    person: &mut Person,
    in_force: &Agreement,
    settings: &Settings,
    shops: &ShopTable,
) {
    // The list in force has its scopes as written if it was applied before a table resolved the
    // names.
    for shops in [Some(shops), None] {
        let applied = agreement_of(person, settings, Some(in_force), in_force.agreed_on, shops);
        if (Agreement { version: in_force.version, ..applied }) == *in_force {
            return;
        }
    }
    let known = person.terms(&settings.start).to_vec();
    let listed = |term: &Term| ListedTerm {
        term: term.clone(),
        shop_name: known
            .iter()
            .find(|listed| {
                listed.term.scope() == term.scope()
                    || listed.resolved(shops).scope() == term.scope()
            })
            .and_then(|listed| listed.shop_name.clone())
            .or_else(|| name_of(term.scope(), shops)),
    };
    person.agreement = Some(AgreementDraft {
        agreed_on: in_force.agreed_on,
        agreed_by: in_force.agreed_by.clone(),
        how: in_force.how.clone(),
        partial: in_force.partial,
        terms: in_force.terms.iter().map(listed).collect(),
    });
    let place = |pot: &file::Pot| in_force.pots.iter().position(|plan| plan.id == pot.plan.id);
    person.pots.sort_by_key(place);
    for pot in &mut person.pots {
        if let Some(plan) = in_force.pots.iter().find(|plan| plan.id == pot.plan.id) {
            pot.plan = plan.clone();
        }
    }
}
