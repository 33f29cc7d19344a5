//! The countries that a programme does not treat as abroad.

use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// How a shop is classified if its country is missing or not an alpha-2 code.
    UnknownCountry {
        Home => "home",
        Abroad => "abroad",
    }
);

/// The countries in which a purchase is not abroad, as ISO 3166 alpha-2 codes in capitals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeCountries {
    /// The programme's own country.
    pub country: String,
    /// Further countries that are not abroad, such as Jersey for a programme in Guernsey.
    pub others: Vec<String>,
    pub unknown: UnknownCountry,
}

impl HomeCountries {
    /// One country alone; shops without a known country count as home.
    pub fn of(country: &str) -> Self {
        Self { country: country.to_owned(), others: Vec::new(), unknown: UnknownCountry::Home }
    }

    /// Whether a shop in `country` is abroad. `None` follows the programme's setting for unknown
    /// countries.
    pub fn is_abroad(&self, country: Option<&str>) -> bool {
        match country {
            Some(here) => self.country != here && !self.others.iter().any(|home| home == here),
            None => self.unknown == UnknownCountry::Abroad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_is_every_country_of_the_list_and_what_the_programme_takes_for_it() {
        let islands = HomeCountries {
            others: vec!["GG".to_owned(), "IM".to_owned()],
            ..HomeCountries::of("JE")
        };
        for (country, abroad) in [
            (Some("JE"), false),
            (Some("GG"), false),
            (Some("IM"), false),
            (Some("GB"), true),
            (None, false),
        ] {
            assert_eq!(islands.is_abroad(country), abroad, "{country:?}");
        }
        let strict = HomeCountries { unknown: UnknownCountry::Abroad, ..HomeCountries::of("GB") };
        assert!(strict.is_abroad(None) && !strict.is_abroad(Some("GB")));
    }
}
