//! The gateway of a place (C1).
//!
//! Decides by the regions of a Connection only; nothing of the device is needed but its place. Called for
//! everybody, before any consent.

use entente_crds::v1alpha1::AgentEndpoint;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    members::{Faults, text},
    problem::Problem,
    texts::{COUNTRY, SUBDIVISION},
};

/// Time for which a device need not look up its region again.
const VALID: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The gateway that serves a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Region<'a> {
    /// Name of the region.
    pub name: &'a str,
    /// URL of its gateway.
    pub url: &'a str,
}

/// A place, as the query of a look-up names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    country: String,
    subdivision: Option<String>,
}

impl Place {
    /// Reads the parameters of a query, decoded. A parameter that is not known is ignored.
    ///
    /// # Errors
    /// Returns the answer to a parameter that is missing, wrong, or there twice.
    pub fn read(query: &[(String, String)]) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let country = one(query, "country", &mut faults);
        let subdivision = one(query, "subdivision", &mut faults);
        if country.is_none() {
            faults.note("/country", "it is missing", COUNTRY.allowed);
        }
        let value = |found: Option<&str>| found.map(Value::from);
        let country = value(country);
        let country = country
            .as_ref()
            .and_then(|it| text(it, "/country", COUNTRY, &mut faults));
        let subdivision = value(subdivision);
        let subdivision = subdivision
            .as_ref()
            .and_then(|it| text(it, "/subdivision", SUBDIVISION, &mut faults));
        let place = Self {
            country: country.unwrap_or_default().to_owned(),
            subdivision: subdivision.map(str::to_owned),
        };
        faults.problem().map_or(Ok(place), Err)
    }
}

/// Returns a parameter of a query; notes that it is there twice.
pub(super) fn one<'q>(
    query: &'q [(String, String)],
    name: &str,
    faults: &mut Faults,
) -> Option<&'q str> {
    let mut found = query.iter().filter(|(parameter, _)| parameter == name);
    let first = found.next();
    if found.next().is_some() {
        faults.note(&format!("/{name}"), "it is there twice", "once");
    }
    first.map(|(_, value)| &**value)
}

/// Returns the region of a place: that which lists the subdivision, else that which lists the country,
/// else that for all others.
///
/// # Errors
/// Returns the answer for a place that no region serves.
pub fn look_up<'a>(agent: &'a AgentEndpoint, place: &Place) -> Result<Region<'a>, Problem> {
    let region = |name: &'a str, url: &'a str| Region { name, url };
    if agent.regions.is_empty() {
        return Ok(region(&agent.region, &agent.url));
    }
    let lists = |wanted: &str| {
        let mut regions = agent.regions.iter();
        regions.find(|region| region.countries.iter().any(|place| place == wanted))
    };
    let subdivision = place.subdivision.as_deref();
    let of_subdivision = subdivision.and_then(|part| lists(&format!("{}-{part}", place.country)));
    let elsewhere = || {
        let name = agent.elsewhere.as_deref()?;
        agent.regions.iter().find(|region| region.name == name)
    };
    let found = of_subdivision
        .or_else(|| lists(&place.country))
        .or_else(elsewhere);
    let found = found.ok_or(Problem::RegionUnknown)?;
    Ok(region(&found.name, &found.url))
}

impl Region<'_> {
    /// Returns the body of the answer.
    pub fn body(&self, now: Timestamp) -> Value {
        let until = now.saturating_add(VALID).unwrap_or(Timestamp::MAX);
        let until = Timestamp::from_second(until.as_second()).unwrap_or(until);
        json!({"region": self.name, "url": self.url, "validUntil": until})
    }
}

#[cfg(test)]
mod tests {
    use entente_crds::v1alpha1::AgentRegion;

    use super::*;

    fn agent(elsewhere: Option<&str>) -> AgentEndpoint {
        let region = |name: &str, countries: &[&str]| AgentRegion {
            name: name.to_owned(),
            url: format!("https://gw.{name}.example"),
            countries: countries.iter().map(|it| (*it).to_owned()).collect(),
        };
        AgentEndpoint {
            url: "https://gw.eu.example".to_owned(),
            region: "eu".to_owned(),
            regions: vec![
                region("eu", &["DE", "FR"]),
                region("kanto", &["JP-13", "JP-14"]),
                region("jp", &["JP"]),
            ],
            elsewhere: elsewhere.map(str::to_owned),
            ..AgentEndpoint::default()
        }
    }

    fn query(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        parameters.iter().map(owned).collect()
    }

    fn found(agent: &AgentEndpoint, parameters: &[(&str, &str)]) -> String {
        let place = Place::read(&query(parameters)).unwrap();
        look_up(agent, &place).map_or_else(|it| it.reason().to_owned(), |it| it.name.to_owned())
    }

    // shows C1
    #[test]
    fn a_subdivision_goes_before_its_country_and_elsewhere_comes_last() {
        for (parameters, expected) in [
            (&[("country", "JP"), ("subdivision", "13")][..], "kanto"),
            (&[("subdivision", "13"), ("country", "JP")], "kanto"),
            (&[("country", "JP"), ("subdivision", "27")], "jp"),
            (&[("country", "JP")], "jp"),
            (&[("country", "DE"), ("subdivision", "13")], "eu"),
            (&[("country", "US"), ("colour", "red")], "jp"),
        ] {
            assert_eq!(found(&agent(Some("jp")), parameters), expected);
        }
        assert_eq!(found(&agent(None), &[("country", "US")]), "RegionUnknown");
        let alone = AgentEndpoint {
            region: "eu".to_owned(),
            ..AgentEndpoint::default()
        };
        assert_eq!(found(&alone, &[("country", "US")]), "eu");
    }

    // shows C1 K4
    #[test]
    fn a_query_that_names_no_place_is_refused_with_its_parameter() {
        for (parameters, pointer) in [
            (&[][..], "/country"),
            (&[("country", "")], "/country"),
            (&[("country", "jp")], "/country"),
            (&[("country", "JP"), ("country", "JP")], "/country"),
            (
                &[("country", "JP"), ("subdivision", "13\r\nx: y")],
                "/subdivision",
            ),
        ] {
            let problem = Place::read(&query(parameters)).unwrap_err();
            assert_eq!(problem.body()["errors"][0]["pointer"], pointer);
        }
    }

    #[test]
    fn a_region_is_valid_for_thirty_days_in_whole_seconds() {
        let region = Region {
            name: "eu",
            url: "https://gw.eu.example",
        };
        let now = "2027-04-01T00:00:00.25Z".parse().unwrap();
        assert_eq!(region.body(now)["validUntil"], "2027-05-01T00:00:00Z");
    }
}
