//! The board as people read it: with tokens of a real API server, by plain requests and in Chromium.

mod access;
mod browser;
mod chromium;
mod viewer;

pub(crate) use viewer::Viewer;
