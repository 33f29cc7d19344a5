//! `sayso balances`, `sayso explain`, `sayso exceptions` and `sayso verify`.

use super::{Common, Ending, Failure, Output, json, result, talk};
use crate::clock::Clock;
use crate::ops::balances::Balances;
use crate::ops::exceptions;
use crate::ops::explain::{ExplainError, Explanation, Replay, explain as explanations_of};
use crate::ops::story::{ToldStory, stories};
use crate::ops::verify as prove;
use crate::programme::directory::Directory;

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
