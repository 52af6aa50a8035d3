//! Tests of the drivers against small servers on loopback: the requests, byte for byte if it
//! matters, and the results of the answers.

#![allow(clippy::unwrap_used, reason = "tests end at what they did not expect")]

mod wire {
    pub(crate) mod ipp;
    pub(crate) mod ipp_notifications;
    pub(crate) mod ipp_versions;
    pub(crate) mod odd_settings_servers;
    pub(crate) mod orders;
    pub(crate) mod osb;
    pub(crate) mod recorded;
    pub(crate) mod refusal;
    pub(crate) mod server;
    pub(crate) mod settings_server;
    pub(crate) mod zoo;
}
