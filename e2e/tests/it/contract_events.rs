//! The events endpoint as a contract system uses it: tokens of a real API server, over TLS.

mod life;
mod openapi;
mod refused;
mod sender;
