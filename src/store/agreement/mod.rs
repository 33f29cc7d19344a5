//! Rows of agreements: versions, proposals, the spending guide.

pub(super) mod agreements;
pub(super) mod guides;
pub(super) mod proposals;
