//! Answers to requests that are refused (RFC 9457), each reason once.
//!
//! Decides status, type, title and detail of each; a detail has names of fields and what is allowed, a
//! bounded quotation at most, and never a token or the value of a setting. Called wherever a request is
//! judged.

use entente_crds::bounded::cut;
use entente_crds::condition::Reason;
use serde_json::{Value, json};

/// The most faults that an answer has.
pub const MOST_FAULTS: usize = 32;
/// The most faults that a line of the log has, and its most characters for them.
const MOST_LOGGED: usize = 3;
const MOST_WORDS: usize = 256;

/// Words for a place that no region serves.
const NO_REGION: &str = "No region lists the place, and there is none for all others \
                         (spec.agent.elsewhere of the Connection).";

/// A fault of one place in a body, or of one parameter of a query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// JSON pointer (RFC 6901) of the place, of at most 511 characters.
    pub pointer: String,
    /// Words for the fault.
    pub detail: String,
    /// Rule in words, if there are any.
    pub allowed: Option<String>,
}

/// Reason for which the content of a registration is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content {
    /// A fault of its form, or several faults of different kinds.
    InvalidRequest,
    /// There is no consent.
    ConsentMissing,
    /// No DeviceModel names the product.
    UnknownModel,
    /// The time zone is none of the time zone database.
    UnknownTimeZone,
}

/// The answer to a request that is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Problem {
    /// There is no such path.
    NotFound,
    /// The path does not have the method; those that it has.
    MethodNotAllowed(&'static str),
    /// Too many requests of an address or a device; seconds until the next one is taken.
    TooManyRequests(u32),
    /// The gateway cannot read what it needs to know; seconds after which to come again.
    Unavailable(u32),
    /// The enrolment token is missing or is that of no enrolment.
    EnrollmentTokenInvalid,
    /// The token of a device is missing, is that of no device, was replaced, or was revoked.
    CredentialInvalid,
    /// The enrolment has expired; its last day.
    EnrollmentExpired(String),
    /// The enrolment is suspended.
    EnrollmentSuspended,
    /// The enrolment has as many devices as it may have.
    EnrollmentFull(usize),
    /// The enrolment does not list the serial number.
    SerialNumberNotAllowed,
    /// The path names another device than the credential is of.
    DeviceMismatch,
    /// The consent was withdrawn.
    ConsentWithdrawn,
    /// No region serves a place.
    RegionUnknown,
    /// No registration waits under this id.
    RegistrationNotFound,
    /// The device never had the action.
    ActionNotFound,
    /// No action of the device has the file now.
    ArtifactNotFound,
    /// The body was not whole in time; the seconds that it may take.
    Timeout(u64),
    /// The serial number is registered and its credential was used.
    AlreadyRegistered,
    /// Several Devices have the serial number and model.
    SerialNumberAmbiguous,
    /// The device has no service under this application id.
    ApplicationNotFound,
    /// A service cannot be activated now: NotInForce, UnsupportedByDevice or ExclusiveGroupHeld, and every
    /// leg that is missing.
    NotActivated(Reason, Vec<Reason>),
    /// The action is over.
    ActionOver,
    /// The desired document is no longer that of If-Match; its ETag.
    PreconditionFailed(String),
    /// The body is too long; the bytes that it may have.
    TooLarge(usize),
    /// The body has another media type, or an encoding; what is allowed.
    UnsupportedMediaType(&'static str),
    /// The body cannot be read; why.
    BadRequest(String),
    /// The range begins behind the end; the bytes of the whole.
    RangeNotSatisfiable(u64),
    /// The file is not there yet, or cannot be had; seconds after which to come again.
    ArtifactUnavailable(u32),
    /// A provider has not taken events; seconds after which to send them again.
    ProviderUnavailable(u32),
    /// The content has faults.
    Invalid(Content, Vec<Fault>),
}

impl Problem {
    /// Returns the answer to a request whose content has one fault.
    pub fn fault(fault: Fault) -> Self {
        Self::Invalid(Content::InvalidRequest, vec![fault])
    }

    /// Returns the status of HTTP.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::EnrollmentTokenInvalid | Self::CredentialInvalid => 401,
            Self::EnrollmentExpired(_)
            | Self::EnrollmentSuspended
            | Self::EnrollmentFull(_)
            | Self::SerialNumberNotAllowed
            | Self::DeviceMismatch
            | Self::ConsentWithdrawn => 403,
            Self::NotFound
            | Self::RegionUnknown
            | Self::RegistrationNotFound
            | Self::ActionNotFound
            | Self::ArtifactNotFound
            | Self::ApplicationNotFound => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::Timeout(_) => 408,
            Self::AlreadyRegistered | Self::SerialNumberAmbiguous | Self::NotActivated(..) => 409,
            Self::ActionOver => 410,
            Self::PreconditionFailed(_) => 412,
            Self::TooLarge(_) => 413,
            Self::UnsupportedMediaType(_) => 415,
            Self::RangeNotSatisfiable(_) => 416,
            Self::Invalid(..) => 422,
            Self::TooManyRequests(_) => 429,
            Self::Unavailable(_) | Self::ArtifactUnavailable(_) | Self::ProviderUnavailable(_) => {
                503
            }
        }
    }

    /// Returns the reason in one word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed(_) => "MethodNotAllowed",
            Self::TooManyRequests(_) => "TooManyRequests",
            Self::Unavailable(_) => "Unavailable",
            Self::EnrollmentTokenInvalid => "EnrollmentTokenInvalid",
            Self::CredentialInvalid => "CredentialInvalid",
            Self::EnrollmentExpired(_) => "EnrollmentExpired",
            Self::EnrollmentSuspended => "EnrollmentSuspended",
            Self::EnrollmentFull(_) => "EnrollmentFull",
            Self::SerialNumberNotAllowed => "SerialNumberNotAllowed",
            Self::DeviceMismatch => "DeviceMismatch",
            Self::ConsentWithdrawn => "ConsentWithdrawn",
            Self::RegionUnknown => "RegionUnknown",
            Self::RegistrationNotFound => "RegistrationNotFound",
            Self::ActionNotFound => "ActionNotFound",
            Self::ArtifactNotFound => "ArtifactNotFound",
            Self::ApplicationNotFound => "ApplicationNotFound",
            Self::NotActivated(reason, _) => reason.as_str(),
            Self::ActionOver => "ActionOver",
            Self::RangeNotSatisfiable(_) => "RangeNotSatisfiable",
            Self::ArtifactUnavailable(_) => "ArtifactUnavailable",
            Self::ProviderUnavailable(_) => "ProviderUnavailable",
            Self::Timeout(_) => "Timeout",
            Self::AlreadyRegistered => "AlreadyRegistered",
            Self::SerialNumberAmbiguous => "SerialNumberAmbiguous",
            Self::PreconditionFailed(_) => "PreconditionFailed",
            Self::TooLarge(_) => "TooLarge",
            Self::UnsupportedMediaType(_) => "UnsupportedMediaType",
            Self::BadRequest(_) => "BadRequest",
            Self::Invalid(Content::InvalidRequest, _) => "InvalidRequest",
            Self::Invalid(Content::ConsentMissing, _) => "ConsentMissing",
            Self::Invalid(Content::UnknownModel, _) => "UnknownModel",
            Self::Invalid(Content::UnknownTimeZone, _) => "UnknownTimeZone",
        }
    }

    /// Returns one sentence for people, the same for each reason.
    pub fn title(&self) -> &'static str {
        match self {
            Self::NotFound => "There is no such path.",
            Self::MethodNotAllowed(_) => "The path does not have this method.",
            Self::TooManyRequests(_) => "Too many requests were sent.",
            Self::Unavailable(_) => "The gateway cannot read what it needs to know.",
            Self::EnrollmentTokenInvalid => "The token is that of no enrolment.",
            Self::CredentialInvalid => "The token is that of no device.",
            Self::EnrollmentExpired(_) => "The enrolment has expired.",
            Self::EnrollmentSuspended => "The enrolment is suspended.",
            Self::EnrollmentFull(_) => "The enrolment has as many devices as it may have.",
            Self::SerialNumberNotAllowed => "The enrolment does not list the serial number.",
            Self::DeviceMismatch => "The path names another device than the token is of.",
            Self::ConsentWithdrawn => "Consent was withdrawn.",
            Self::RegionUnknown => "No region serves the place.",
            Self::RegistrationNotFound => "No registration waits under this id.",
            Self::ActionNotFound => "The device never had this action.",
            Self::ArtifactNotFound => "No action of the device has this file now.",
            Self::ApplicationNotFound => "The device has no service under this application id.",
            Self::NotActivated(..) => "The service cannot be activated now.",
            Self::ActionOver => "The action is over.",
            Self::RangeNotSatisfiable(_) => "The range begins behind the end.",
            Self::ArtifactUnavailable(_) => "The file is not there yet.",
            Self::ProviderUnavailable(_) => "A provider has not taken the events.",
            Self::Timeout(_) => "The body was not whole in time.",
            Self::AlreadyRegistered => "The serial number is registered already.",
            Self::SerialNumberAmbiguous => "Several Devices have the serial number.",
            Self::PreconditionFailed(_) => "The twin is another one by now.",
            Self::TooLarge(_) => "The body is too long.",
            Self::UnsupportedMediaType(_) => "The body is of another media type.",
            Self::BadRequest(_) => "The body cannot be read.",
            Self::Invalid(Content::InvalidRequest, _) => "The request has faults.",
            Self::Invalid(Content::ConsentMissing, _) => "There is no consent.",
            Self::Invalid(Content::UnknownModel, _) => "No DeviceModel names the product.",
            Self::Invalid(Content::UnknownTimeZone, _) => "There is no such time zone.",
        }
    }

    /// Returns the words for this case, for people.
    pub fn detail(&self) -> String {
        let said = match self {
            Self::NotFound => "See docs/api/gateway.yaml for the paths that there are.",
            Self::MethodNotAllowed(allow) => return format!("It has {allow}."),
            Self::TooManyRequests(seconds) => {
                return format!("The next request is taken in {seconds} s.");
            }
            Self::Unavailable(_) => "Keep everything as it is and come again after Retry-After.",
            Self::EnrollmentTokenInvalid => {
                "Send the token of a DeviceEnrollment of this gateway as Authorization: Bearer TOKEN."
            }
            Self::CredentialInvalid => {
                "The token is missing, is that of no device, was replaced, or was revoked. One that was \
                 never used may have been replaced by a repeated registration: register again."
            }
            Self::EnrollmentExpired(last) => return format!("Its last day was {last} (UTC)."),
            Self::EnrollmentSuspended => {
                "Its owner has suspended it. Devices that are registered stay so."
            }
            Self::EnrollmentFull(most) => return format!("It may have {most}."),
            Self::SerialNumberNotAllowed => {
                "Its owner has to add the serial number to spec.serialNumbers of the DeviceEnrollment."
            }
            Self::DeviceMismatch => {
                "A token is for the paths of the device that it was answered to."
            }
            Self::ConsentWithdrawn => {
                "Nothing is sent to the device and nothing is taken from it. A new registration with a \
                 new consent connects it again."
            }
            Self::RegionUnknown => NO_REGION,
            Self::RegistrationNotFound => {
                "No registration of this enrolment waits under this id; register again."
            }
            Self::ActionNotFound
            | Self::ArtifactNotFound
            | Self::ActionOver
            | Self::ArtifactUnavailable(_) => self.advice_about_installing(),
            Self::ApplicationNotFound | Self::ProviderUnavailable(_) => {
                self.advice_about_services()
            }
            Self::RangeNotSatisfiable(size) => return format!("The file has {size} bytes."),
            Self::Timeout(seconds) => return format!("It may take {seconds} s."),
            Self::AlreadyRegistered => {
                "A device with this serial number is registered and has used its credential. A person \
                 permits another registration by the annotation entente.dev/reregister of its Device."
            }
            Self::SerialNumberAmbiguous => {
                "Several Devices of the namespace have this serial number and model; all but one have \
                 to be corrected or deleted."
            }
            Self::NotActivated(..)
            | Self::PreconditionFailed(_)
            | Self::TooLarge(_)
            | Self::UnsupportedMediaType(_)
            | Self::BadRequest(_)
            | Self::Invalid(..) => return self.detail_of_content(),
        };
        said.to_owned()
    }

    /// Returns the finding in words for the log of the gateway: the places of a body that have faults, at
    /// most three, or the title.
    pub fn finding(&self) -> String {
        let Self::Invalid(_, faults) = self else {
            return self.title().to_owned();
        };
        let words = faults.iter().take(MOST_LOGGED);
        let words = words.map(|fault| format!("{}: {}", fault.pointer, fault.detail));
        let words: Vec<String> = words.collect();
        cut(words.join("; "), MOST_WORDS)
    }

    fn detail_of_content(&self) -> String {
        match self {
            Self::NotActivated(reason, _) => reason.meaning().to_owned(),
            Self::PreconditionFailed(etag) => format!("It has the ETag {etag}; read it again."),
            Self::TooLarge(most) => format!("It may have {most} bytes."),
            Self::UnsupportedMediaType(allowed) => {
                format!("It must be {allowed}, without an encoding.")
            }
            Self::BadRequest(why) => format!("It is no JSON as it has to be: {why}."),
            Self::Invalid(_, faults) if faults.len() == 1 => "One place has a fault.".to_owned(),
            Self::Invalid(_, faults) => format!("{} places have faults.", faults.len()),
            _ => String::new(),
        }
    }

    fn advice_about_services(&self) -> &'static str {
        match self {
            Self::ApplicationNotFound => {
                "Take the application id from the newest list of services; one that was cancelled has \
                 none."
            }
            _ => {
                "Keep the batch and send it again after Retry-After, as it is: what a provider has taken \
                 of it is recognised."
            }
        }
    }

    fn advice_about_installing(&self) -> &'static str {
        match self {
            Self::ActionNotFound => {
                "Take the link of the action from the newest answer to the controller."
            }
            Self::ArtifactNotFound => "Take the link of the file from the newest deployment.",
            Self::ActionOver => {
                "It has ended, or another one took its place; ask what there is to do."
            }
            _ => {
                "It is on its way from the vendor's server, or cannot be had from there now. Come again \
                 after Retry-After; the part that is there stays valid by its ETag."
            }
        }
    }

    /// Returns the seconds after which the request may succeed.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::TooManyRequests(seconds)
            | Self::Unavailable(seconds)
            | Self::ArtifactUnavailable(seconds)
            | Self::ProviderUnavailable(seconds) => Some(*seconds),
            _ => None,
        }
    }

    /// Returns the body of the answer, of the media type `application/problem+json`.
    pub fn body(&self) -> Value {
        let mut body = json!({
            "type": format!("https://entente.dev/problems/{}", kebab(self.reason())),
            "title": self.title(),
            "status": self.status(),
            "reason": self.reason(),
            "detail": self.detail(),
        });
        if let Self::NotActivated(_, missing) = self {
            body["missing"] = missing.iter().map(|leg| leg.as_str()).collect();
        }
        if let Self::Invalid(_, faults) = self {
            let faults = faults.iter().take(MOST_FAULTS).map(|fault| {
                let mut told = json!({"pointer": fault.pointer, "detail": fault.detail});
                if let Some(allowed) = &fault.allowed {
                    told["allowed"] = json!(allowed);
                }
                told
            });
            body["errors"] = faults.collect();
        }
        body
    }
}

/// Returns a word such as `AlreadyRegistered` as `already-registered`.
fn kebab(word: &str) -> String {
    let mut kebab = String::with_capacity(word.len() + 4);
    for letter in word.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every() -> Vec<Problem> {
        let fault = || {
            vec![Fault {
                pointer: "/timeZone".to_owned(),
                detail: "it is missing".to_owned(),
                allowed: Some("a text".to_owned()),
            }]
        };
        vec![
            Problem::NotFound,
            Problem::MethodNotAllowed("GET, HEAD"),
            Problem::TooManyRequests(1),
            Problem::Unavailable(30),
            Problem::EnrollmentTokenInvalid,
            Problem::CredentialInvalid,
            Problem::EnrollmentExpired("2027-06-30".to_owned()),
            Problem::EnrollmentSuspended,
            Problem::EnrollmentFull(500),
            Problem::SerialNumberNotAllowed,
            Problem::DeviceMismatch,
            Problem::ConsentWithdrawn,
            Problem::RegionUnknown,
            Problem::RegistrationNotFound,
            Problem::ActionNotFound,
            Problem::ArtifactNotFound,
            Problem::ApplicationNotFound,
            Problem::NotActivated(Reason::NotInForce, vec![Reason::NotInForce]),
            Problem::NotActivated(Reason::UnsupportedByDevice, Vec::new()),
            Problem::NotActivated(Reason::ExclusiveGroupHeld, Vec::new()),
            Problem::ActionOver,
            Problem::RangeNotSatisfiable(100),
            Problem::ArtifactUnavailable(10),
            Problem::ProviderUnavailable(10),
            Problem::Timeout(10),
            Problem::AlreadyRegistered,
            Problem::SerialNumberAmbiguous,
            Problem::PreconditionFailed("\"13\"".to_owned()),
            Problem::TooLarge(262_144),
            Problem::UnsupportedMediaType("application/json"),
            Problem::BadRequest("EOF".to_owned()),
            Problem::Invalid(Content::InvalidRequest, fault()),
            Problem::Invalid(Content::ConsentMissing, fault()),
            Problem::Invalid(Content::UnknownModel, fault()),
            Problem::Invalid(Content::UnknownTimeZone, fault()),
        ]
    }

    /// The statuses and reasons of the description of the API (docs/api/gateway.yaml).
    const DESCRIPTION: &str = include_str!("../../../../docs/api/gateway.yaml");

    #[test]
    fn every_problem_is_in_the_description_of_the_api_with_its_type_and_bounds() {
        for problem in every() {
            let body = problem.body();
            let r#type = body["type"].as_str().unwrap();
            assert!(
                DESCRIPTION.contains(&format!("\"{type}\""))
                    || DESCRIPTION.contains(&format!("- {type}\n")),
                "{type}"
            );
            assert!(DESCRIPTION.contains(problem.reason()), "{problem:?}");
            assert_eq!(body["status"], problem.status());
            assert!(body["title"].as_str().unwrap().len() <= 127);
            assert!(body["detail"].as_str().unwrap().len() <= 1023);
            let has_errors = matches!(problem, Problem::Invalid(..));
            assert_eq!(body.get("errors").is_some(), has_errors, "{problem:?}");
            let is_later = matches!(problem.status(), 429 | 503);
            assert_eq!(problem.retry_after().is_some(), is_later, "{problem:?}");
        }
    }

    #[test]
    fn a_finding_has_the_first_faults_of_a_body_and_a_bound() {
        let fault = |pointer: &str, detail: &str| Fault {
            pointer: pointer.to_owned(),
            detail: detail.to_owned(),
            allowed: Some("a text".to_owned()),
        };
        let two = vec![
            fault("/productName", "it is \"NW 7\""),
            fault("/timeZone", "it is missing"),
        ];
        let problem = Problem::Invalid(Content::InvalidRequest, two);
        let expected = "/productName: it is \"NW 7\"; /timeZone: it is missing";
        assert_eq!(problem.finding(), expected);
        let long = vec![fault("/a", &"\n".repeat(511)); 32];
        let long = Problem::Invalid(Content::InvalidRequest, long).finding();
        assert_eq!(long.chars().count(), 256);
        assert!(!long.contains('\n'), "{long}");
        for problem in every() {
            assert!(!problem.finding().is_empty(), "{problem:?}");
        }
    }

    #[test]
    fn at_most_32_faults_are_told() {
        let fault = Fault {
            pointer: String::new(),
            detail: String::new(),
            allowed: None,
        };
        let problem = Problem::Invalid(Content::InvalidRequest, vec![fault; 40]);
        assert_eq!(problem.body()["errors"].as_array().unwrap().len(), 32);
    }
}
