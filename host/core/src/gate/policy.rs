//! What one function is judged by: who it is, its grants and limits, its schemas, and the component
//! that they were locked for, as one value. So no step can take the one of this function and the other
//! of that.
//!
//! It does not know where they come from.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::{BadSchema, Schema};
use crate::manifest::FunctionSpec;
use crate::terms::{Definition, Fault, FunctionId};

/// What one function is judged by. Its schemas were found sound when it was locked. Each is compiled
/// when it is first asked: a host with a thousand functions starts without a thousand compilations.
pub struct FunctionPolicy {
    id: FunctionId,
    component: [u8; 32],
    spec: Arc<FunctionSpec>,
    definition: Arc<Definition>,
    arguments: OnceLock<Result<Schema, BadSchema>>,
    output: OnceLock<Result<Schema, BadSchema>>,
}

impl FunctionPolicy {
    /// The function `id` of the component with this SHA-256, with schemas that are not looked at yet.
    #[must_use]
    pub const fn new(
        id: FunctionId,
        component: [u8; 32],
        spec: Arc<FunctionSpec>,
        definition: Arc<Definition>,
    ) -> Self {
        Self {
            id,
            component,
            spec,
            definition,
            arguments: OnceLock::new(),
            output: OnceLock::new(),
        }
    }

    /// Which function it is.
    #[must_use]
    pub const fn id(&self) -> &FunctionId {
        &self.id
    }

    /// SHA-256 of the component that has it.
    #[must_use]
    pub const fn component(&self) -> &[u8; 32] {
        &self.component
    }

    /// Its grants and limits.
    #[must_use]
    pub fn spec(&self) -> &FunctionSpec {
        &self.spec
    }

    /// The schema of arguments as it was locked, for their one form.
    #[must_use]
    pub fn input_schema(&self) -> &Map<String, Value> {
        self.definition.input_schema.as_map()
    }

    /// The schema of arguments.
    ///
    /// # Errors
    ///
    /// `internal` for a lock that was written by hand.
    pub(super) fn arguments(&self) -> Result<&Schema, Fault> {
        ready(&self.arguments, self.input_schema())
    }

    /// The schema of results, where the function has one.
    ///
    /// # Errors
    ///
    /// `internal` for a lock that was written by hand.
    pub fn output(&self) -> Result<Option<&Schema>, Fault> {
        let schema = self.definition.output_schema.as_ref();
        schema
            .map(|schema| ready(&self.output, schema.as_map()))
            .transpose()
    }
}

fn ready<'a>(
    cell: &'a OnceLock<Result<Schema, BadSchema>>,
    schema: &Map<String, Value>,
) -> Result<&'a Schema, Fault> {
    cell.get_or_init(|| Schema::new(schema)).as_ref().map_err(|error| {
        Fault::internal(format!(
            "a schema in the lock file is not sound: {error}; run `toolhost lock` instead of editing it"
        ))
    })
}
