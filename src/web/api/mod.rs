//! The JSON API. One file for each resource; every address is documented where it is routed.
//!
//! A handler takes, in this order: `State(api)`, [`Acting`](crate::people::members::Acting) (401 before anything else), the
//! [`Place`](asked::Place), the query ([`Asked`](asked::Asked)), the body ([`Sent`](asked::Sent),
//! with the key of the request). What reads does so in a snapshot of
//! the store; what writes is a [`Deed`](deed::Deed).

mod acting;
mod activity;
mod agreement;
mod appeals;
mod asked;
mod asks;
mod cards;
mod deed;
mod document;
mod guide;
mod help;
mod helping;
mod looking;
mod me;
mod pauses;
mod people;
mod pots;
mod proposals;
mod proposed;
mod purchases;
mod queries;
mod queues;
mod safety;
mod shops;
mod shown;
mod told;
mod totals;

use std::sync::Arc;

use axum::extract::FromRef;
use tokio::runtime::Handle;
use utoipa_axum::router::OpenApiRouter;

use super::Edge;
use super::problem::ApiError;
use crate::domain::id::ProgrammeId;
use crate::people::members::ActError;
use crate::people::tokens::Tokens;
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, Programme};
use crate::store::Store;

pub use document::document;

/// What the handlers reach.
#[derive(Debug, Clone)]
pub(super) struct Api {
    pub(super) store: Store,
    pub(super) directory: Directory,
    pub(super) clock: Clock,
    pub(super) ids: NewIds,
    pub(super) tokens: Tokens,
    writing: Handle,
}

impl FromRef<Edge> for Api {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            store: edge.store.for_people(),
            directory: edge.directory.for_people(),
            clock: edge.clock.clone(),
            ids: edge.ids.clone(),
            tokens: edge.tokens.clone(),
            writing: edge.apart.writing().clone(),
        }
    }
}

impl Api {
    /// Runs what writes, on the threads for that: what it has locked, it does not keep locked while
    /// others read much.
    async fn write<T: Send + 'static>(
        &self,
        writing: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.writing.spawn(writing).await.map_err(|_| ApiError::Panicked)?
    }

    /// The settings of a programme, as they were a moment ago.
    async fn programme(&self, id: &ProgrammeId) -> Result<Arc<Programme>, ApiError> {
        Ok(self.directory.at_hand(id).await.map_err(ActError::from)?)
    }
}

/// Every address of the API, with what is documented of it.
pub(super) fn router() -> OpenApiRouter<Edge> {
    let v1 = OpenApiRouter::default()
        .merge(me::router())
        .merge(asks::router())
        .merge(appeals::router())
        .merge(queues::router())
        .merge(safety::router())
        .merge(people::router())
        .merge(activity::router())
        .merge(pots::router())
        .merge(agreement::router())
        .merge(guide::router())
        .merge(help::router())
        .merge(cards::router())
        .merge(helping::router())
        .merge(purchases::router())
        .merge(totals::router())
        .merge(shops::router())
        .merge(told::router())
        .merge(proposals::router())
        .merge(pauses::router());
    OpenApiRouter::with_openapi(document::about()).nest("/v1", v1)
}
