//! Tests of the stages of delivery.
