//! Runs a component within limits. It knows wasmtime, and nothing of callers, protocols and the
//! manifest's text.

mod engine;
mod entry;
mod function;
mod lanes;
mod meter;
mod run;
mod seat;
mod state;
mod turns;
mod typed;

pub use engine::{Prepared, Sandbox, compiling_engine};
pub use function::PreparedFunction;
pub use lanes::{Lanes, ends_by, step_aside};
pub use run::{RunInputs, RunReport, guessing};
pub use typed::{FunctionOrigin, LeftOut, Typed, TypedFunction};
