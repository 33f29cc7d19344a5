//! Where the open holds under a permission are, as text.

use std::collections::BTreeMap;

/// `2*286a… 91ff…;1*`: how many, and what their shop is known by.
pub fn open_at_text(open_at: &BTreeMap<String, u32>) -> String {
    let text = |(shop, purchases): (&String, &u32)| format!("{purchases}*{shop}");
    open_at.iter().map(text).collect::<Vec<_>>().join(";")
}

/// Reads what [`open_at_text`] wrote; none if it is nothing that it ever wrote.
pub fn open_at_from_text(text: &str) -> Option<BTreeMap<String, u32>> {
    let parts = text.split(';').filter(|part| !part.is_empty());
    let part = |part: &str| {
        let (purchases, shop) = part.split_once('*')?;
        Some((shop.to_owned(), purchases.parse().ok()?))
    };
    parts.map(part).collect()
}
