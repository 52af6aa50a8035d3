//! The plugin `kubectl entente` as people run it: a process with a kubeconfig, on a real control plane.

mod answers;
mod bundle;
mod files;
mod refused;
mod runner;
