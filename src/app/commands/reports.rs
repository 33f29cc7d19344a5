//! `sayso balances`, `sayso explain`, `sayso exceptions`, `sayso seal` and `sayso verify`.

use super::{Common, Ending, Failure, Output, json, result, talk};
use crate::domain::id::SealId;
use crate::finance::seal as make_seal;
use crate::ledger::seal::Seal;
use crate::operations::balances::Balances;
use crate::operations::exceptions;
use crate::operations::explain::{ExplainError, Explanation, Replay, explain as explanations_of};
use crate::operations::story::{ToldStory, stories};
use crate::operations::verify as prove;
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::Store;

/// The most exceptions that are listed. Whoever has more has to begin somewhere.
const EXCEPTIONS_MOST: u32 = 1000;

pub(super) async fn balances(common: &Common) -> Result<Ending, Failure> {
    let store = common.existing_store().await?;
    let balances = Balances::read(&store, &Directory::new(store.clone())).await;
    store.close().await;
    let balances = balances.map_err(|error| Failure::of(&error))?;
    match common.output {
        Output::Json => json(&balances.to_json())?,
        Output::Text => result(&balances)?,
    }
    Ok(Ending::Done)
}

pub(super) async fn explain(common: &Common, id: &str) -> Result<Ending, Failure> {
    let store = common.existing_store().await?;
    let directory = Directory::new(store.clone());
    let explanations = explanations_of(&store, &directory, id).await;
    let stories = stories(&store, &directory, id).await;
    store.close().await;
    let stories = stories.map_err(|error| Failure::of(&error))?;
    let explanations = match explanations {
        // A purchase that we were never asked about has no decision.
        Err(ExplainError::NotFound(_)) if !stories.is_empty() => Vec::new(),
        explanations => explanations.map_err(|error| Failure::of(&error))?,
    };
    match common.output {
        Output::Json => {
            let decisions: Vec<_> = explanations.iter().map(Explanation::to_json).collect();
            let purchases: Vec<_> = stories.iter().map(ToldStory::to_json).collect();
            json(&serde_json::json!({ "decisions": decisions, "purchases": purchases }))?;
        }
        Output::Text => {
            for explanation in &explanations {
                result(explanation)?;
            }
            for story in &stories {
                result(story)?;
            }
        }
    }
    let mut ending = Ending::Done;
    for explanation in &explanations {
        if let Replay::Differs(difference) = &explanation.replay {
            let id = explanation.id;
            talk(format_args!("error: {id} DOES NOT REPLAY: {difference}; run sayso verify"));
            ending = Ending::NotInOrder;
        }
    }
    Ok(ending)
}

pub(super) async fn exceptions(common: &Common) -> Result<Ending, Failure> {
    let store = common.existing_store().await?;
    let now = Clock::system().now();
    let found = exceptions::list(&store, now, EXCEPTIONS_MOST).await;
    store.close().await;
    let found = found.map_err(|error| Failure::of(&error))?;
    match common.output {
        Output::Json => json(&exceptions::to_json(&found, now))?,
        Output::Text => result(exceptions::text(&found, now))?,
    }
    talk(format_args!("exceptions: {}", found.len()));
    Ok(Ending::Done)
}

pub(super) async fn seal(common: &Common, programme: Option<&str>) -> Result<Ending, Failure> {
    let store = common.existing_store().await?;
    let seals = seal_now(&store, programme).await;
    store.close().await;
    let seals = seals?;
    match common.output {
        Output::Json => {
            let body = |seal: &Seal| {
                serde_json::json!({
                    "programme": seal.programme.to_string(),
                    "number": seal.number,
                    "sealed_at": seal.sealed_at.to_string(),
                    "totals": seal.totals,
                    "root": seal.root.to_string(),
                })
            };
            json(&serde_json::json!({ "seals": seals.iter().map(body).collect::<Vec<_>>() }))?;
        }
        Output::Text => {
            for Seal { programme, number, sealed_at, root, .. } in &seals {
                result(format_args!("{programme}  seal {number}  {sealed_at}  root {root}\n"))?;
            }
        }
    }
    Ok(Ending::Done)
}

async fn seal_now(store: &Store, wanted: Option<&str>) -> Result<Vec<Seal>, Failure> {
    let (ids, now) = (NewIds::default(), Clock::system().now());
    let mut seals = Vec::new();
    for (programme, _) in store.programmes().await? {
        if wanted.is_none_or(|wanted| wanted == programme.as_str()) {
            let id = SealId::new(ids.next(now));
            seals.push(make_seal(store, &programme, id, now).await?);
        }
    }
    match wanted {
        Some(wanted) if seals.is_empty() => {
            Err(Failure::new(format!("there is no programme {wanted}")))
        }
        Some(_) | None => Ok(seals),
    }
}

pub(super) async fn verify(common: &Common) -> Result<Ending, Failure> {
    let store = common.existing_store().await?;
    let proof = prove(&store, None).await;
    store.close().await;
    let proof = proof.map_err(|error| Failure::of(&error))?;
    match common.output {
        Output::Json => result(format_args!("{}\n", proof.to_json()))?,
        Output::Text => result(format_args!("{}\n", proof.to_text().trim_end()))?,
    }
    Ok(if proof.is_clean() { Ending::Done } else { Ending::NotInOrder })
}
