//! Facts about foreign software that we rely on. Each test checks one peer for the facts that the
//! drivers and the end-to-end tests need; when a peer changes, these tests fail first.

mod broker;
mod fixture;
mod inbox;
mod printer;
