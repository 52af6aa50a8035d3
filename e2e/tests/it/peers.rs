//! What we rely on about software we did not write. Each test holds one peer to the facts that the
//! drivers and the end-to-end tests build on; when a peer changes, these tests say so first.

mod broker;
mod fixture;
mod printer;
