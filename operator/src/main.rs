//! The Entente operator.
fn main() {}
