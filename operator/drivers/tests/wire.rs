//! The drivers against small servers on loopback: what is sent, byte for byte where it counts, and
//! what is made of the answers.

#![allow(clippy::unwrap_used, reason = "tests end at what they did not expect")]

mod wire {
    pub(crate) mod ipp;
    pub(crate) mod osb;
    pub(crate) mod server;
}
