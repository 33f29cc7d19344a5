//! Maps merchant category codes to everyday categories, by the rules that come with the gateway.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;

const RULES: &str = include_str!("../../merchant-rules/categories.toml");

/// Category by merchant category code.
#[derive(Debug)]
pub(crate) struct Categories {
    codes: BTreeMap<String, String>,
    /// Additional categories by merchant category code.
    also: BTreeMap<String, Vec<String>>,
    /// First code, last code and category of each range of brand codes.
    brands: Vec<(String, String, String)>,
}

#[derive(Deserialize)]
struct CategoryFile {
    category: Vec<CategoryRule>,
}

#[derive(Deserialize)]
struct CategoryRule {
    slug: String,
    #[serde(default)]
    codes: Vec<String>,
    #[serde(default)]
    also: Vec<String>,
    #[serde(default)]
    brands: Vec<BrandRange>,
}

#[derive(Deserialize)]
struct BrandRange {
    from: String,
    to: String,
    #[serde(default)]
    codes: Vec<String>,
}

impl Categories {
    /// Parses the built-in rules.
    pub(crate) fn built_in() -> anyhow::Result<Self> {
        let file: CategoryFile = toml::from_str(RULES).context("the categories cannot be read")?;
        let (mut codes, mut brands) = (BTreeMap::new(), Vec::new());
        let mut also = BTreeMap::<_, Vec<_>>::new();
        for category in file.category {
            let listed = category.brands.iter().flat_map(|brands| &brands.codes);
            for code in category.codes.iter().chain(listed) {
                let code = code.split(' ').next().unwrap_or_default();
                codes.insert(code.to_owned(), category.slug.clone());
            }
            for code in &category.also {
                let code = code.split(' ').next().unwrap_or_default().to_owned();
                also.entry(code).or_default().push(category.slug.clone());
            }
            for BrandRange { from, to, .. } in category.brands {
                brands.push((from, to, category.slug.clone()));
            }
        }
        Ok(Self { codes, also, brands })
    }

    /// The category of a four-digit code; `unsorted` when no rule lists it.
    pub(crate) fn of(&self, code: &str) -> &str {
        let listed = self.codes.get(code).map(String::as_str);
        let brand = || {
            let mut brands = self.brands.iter();
            brands.find(|(from, to, _)| (from.as_str()..=to.as_str()).contains(&code))
        };
        listed.or_else(|| brand().map(|(_, _, slug)| slug.as_str())).unwrap_or("unsorted")
    }
}

impl Categories {
    /// The additional categories of a code.
    pub(crate) fn also(&self, code: &str) -> Vec<&str> {
        self.also.get(code).into_iter().flatten().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shops;

    #[test]
    fn the_shops_of_the_stories_are_where_the_rules_say() {
        let categories = Categories::built_in().unwrap();
        let few = [&shops::BUS, &shops::HOTEL, &shops::PETROL_PUMP, &shops::UNSORTED];
        let shops = shops::SUPERMARKETS.iter().chain(&shops::CHEMISTS).chain(few);
        for shop in shops {
            assert_eq!(categories.of(shop.code), shop.category, "{}", shop.name);
        }
        assert_eq!(categories.of("3999"), "hotels", "a brand that no list has");
    }
}
