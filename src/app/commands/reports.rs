//! `sayso balances`, `sayso explain`, `sayso exceptions`, `sayso seal` and `sayso verify`.

use super::{CommandError, CommonArgs, ExitStatus, OutputFormat, json, print_status, result};
use crate::domain::id::SealId;
use crate::finance::seal as make_seal;
use crate::ledger::seal::Seal;
use crate::operations::balances::Balances;
use crate::operations::exceptions;
use crate::operations::explain::{ExplainError, Explanation, Replay, explain as explanations_of};
use crate::operations::purchase_texts::{PurchaseExplanation, explain_purchases};
use crate::operations::verify as prove;
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::Store;

/// Maximum number of exceptions that are listed.
const EXCEPTIONS_MAX: u32 = 1000;

pub(super) async fn balances(common: &CommonArgs) -> Result<ExitStatus, CommandError> {
    let store = common.existing_store().await?;
    let balances = Balances::read(&store, &Directory::new(store.clone())).await;
    store.close().await;
    let balances = balances.map_err(|error| CommandError::of(&error))?;
    match common.output {
        OutputFormat::Json => json(&balances.to_json())?,
        OutputFormat::Text => result(&balances)?,
    }
    Ok(ExitStatus::Done)
}

pub(super) async fn explain(common: &CommonArgs, id: &str) -> Result<ExitStatus, CommandError> {
    let store = common.existing_store().await?;
    let directory = Directory::new(store.clone());
    let explanations = explanations_of(&store, &directory, id).await;
    let purchase_explanations = explain_purchases(&store, &directory, id).await;
    store.close().await;
    let purchase_explanations = purchase_explanations.map_err(|error| CommandError::of(&error))?;
    let explanations = match explanations {
        // A purchase without an authorisation request has no decision.
        Err(ExplainError::NotFound(_)) if !purchase_explanations.is_empty() => Vec::new(),
        explanations => explanations.map_err(|error| CommandError::of(&error))?,
    };
    match common.output {
        OutputFormat::Json => {
            let decisions: Vec<_> = explanations.iter().map(Explanation::to_json).collect();
            let purchases: Vec<_> =
                purchase_explanations.iter().map(PurchaseExplanation::to_json).collect();
            json(&serde_json::json!({ "decisions": decisions, "purchases": purchases }))?;
        }
        OutputFormat::Text => {
            for explanation in &explanations {
                result(explanation)?;
            }
            for explanation in &purchase_explanations {
                result(explanation)?;
            }
        }
    }
    let mut status = ExitStatus::Done;
    for explanation in &explanations {
        if let Replay::Differs(difference) = &explanation.replay {
            let id = explanation.id;
            print_status(format_args!(
                "error: {id} DOES NOT REPLAY: {difference}; run sayso verify"
            ));
            status = ExitStatus::NotInOrder;
        }
    }
    Ok(status)
}

pub(super) async fn exceptions(common: &CommonArgs) -> Result<ExitStatus, CommandError> {
    let store = common.existing_store().await?;
    let now = Clock::system().now();
    let found = exceptions::list(&store, now, EXCEPTIONS_MAX).await;
    store.close().await;
    let found = found.map_err(|error| CommandError::of(&error))?;
    match common.output {
        OutputFormat::Json => json(&exceptions::to_json(&found, now))?,
        OutputFormat::Text => result(exceptions::text(&found, now))?,
    }
    print_status(format_args!("exceptions: {}", found.len()));
    Ok(ExitStatus::Done)
}

pub(super) async fn seal(
    common: &CommonArgs,
    programme: Option<&str>,
) -> Result<ExitStatus, CommandError> {
    let store = common.existing_store().await?;
    let seals = seal_now(&store, programme).await;
    store.close().await;
    let seals = seals?;
    match common.output {
        OutputFormat::Json => {
            let body = |seal: &Seal| {
                serde_json::json!({
                    "programme": seal.programme_id.to_string(),
                    "number": seal.number,
                    "sealed_at": seal.sealed_at.to_string(),
                    "totals": seal.totals,
                    "root": seal.root.to_string(),
                })
            };
            json(&serde_json::json!({ "seals": seals.iter().map(body).collect::<Vec<_>>() }))?;
        }
        OutputFormat::Text => {
            for Seal { programme_id, number, sealed_at, root, .. } in &seals {
                result(format_args!("{programme_id}  seal {number}  {sealed_at}  root {root}\n"))?;
            }
        }
    }
    Ok(ExitStatus::Done)
}

async fn seal_now(store: &Store, wanted: Option<&str>) -> Result<Vec<Seal>, CommandError> {
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
            Err(CommandError::new(format!("there is no programme {wanted}")))
        }
        Some(_) | None => Ok(seals),
    }
}

pub(super) async fn verify(common: &CommonArgs) -> Result<ExitStatus, CommandError> {
    let store = common.existing_store().await?;
    let proof = prove(&store, None).await;
    store.close().await;
    let proof = proof.map_err(|error| CommandError::of(&error))?;
    match common.output {
        OutputFormat::Json => result(format_args!("{}\n", proof.to_json()))?,
        OutputFormat::Text => result(format_args!("{}\n", proof.to_text().trim_end()))?,
    }
    Ok(if proof.is_clean() { ExitStatus::Done } else { ExitStatus::NotInOrder })
}
