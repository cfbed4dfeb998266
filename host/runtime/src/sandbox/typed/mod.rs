//! Components that know nothing of toolhost: every function they export is a function of the tool,
//! its schemas derived from its types.
//!
//! It knows types and values. What a description says beyond the types, whoever reads the
//! component's docs adds.

mod budget;
mod cost;
mod map;
mod names;
mod read;
mod schema;
mod shape;
#[cfg(test)]
mod tests;
mod words;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, Val};

pub(super) use self::budget::{Budget, Stop};
use self::cost::Ratio;
use self::shape::{Builder, ByName, Named, Payload, SCHEMA, Shape, Uncrossable};
use self::write::Unwritten;
use crate::capability::tools;
use crate::terms::{Code, Fault, GuestAnswer, Members, RawError, RawOutput};

/// Functions that are read, at the most; as many as a tool may have are far fewer.
const FUNCTIONS: usize = 1_000;

/// What no function gives back: there is no tuple without elements.
const NOTHING: Val = Val::Tuple(Vec::new());

/// The longest complaint about arguments, in bytes: names in it are the component's, as long as it likes.
const COMPLAINT: usize = 2 << 10;

/// Where a function comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct FunctionOrigin {
    /// The exported interface, as `namespace:package/interface@version`; none for a function that
    /// the component exports by itself.
    pub interface: Option<String>,
    /// Its name there.
    pub function: String,
}

impl fmt::Display for FunctionOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{interface}.{}", self.function),
            None => f.write_str(&self.function),
        }
    }
}

/// An export that is no function of the tool.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// Which one.
    pub export: String,
    /// Why agents cannot call it.
    pub why: String,
}

/// The functions that a component's types give.
#[derive(Debug, Default)]
pub struct Typed {
    functions: BTreeMap<String, Arc<TypedFunction>>,
    left_out: Vec<LeftOut>,
}

/// One function, ready to be called with JSON.
#[derive(Debug)]
pub struct TypedFunction {
    /// Where it comes from.
    pub origin: FunctionOrigin,
    index: ComponentExportIndex,
    parameters: ByName<Named>,
    result: Outcome,
}

/// What a function gives back.
#[derive(Debug)]
struct Outcome {
    /// Its result's type has an error side.
    fallible: bool,
    ok: Option<Shape>,
    error: Option<Shape>,
    /// What it takes of the host's memory.
    ratio: Option<Ratio>,
}

impl Typed {
    /// Reads a component's exports.
    #[must_use]
    pub fn of(engine: &Engine, component: &Component) -> Self {
        let mut reader = Reader {
            component,
            found: Vec::new(),
            left_out: Vec::new(),
        };
        let types = component.component_type();
        for (name, item) in types.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(function) => reader.function(None, name, &function),
                ComponentItem::ComponentInstance(instance) => {
                    if let Some(why) = names::is_runtimes(name) {
                        reader.leave(name.to_owned(), why);
                        continue;
                    }
                    let Some(index) = component.get_export_index(None, name) else {
                        continue;
                    };
                    for (inner, item) in instance.exports(engine) {
                        match item.ty {
                            ComponentItem::ComponentFunc(function) => {
                                reader.function(Some((name, &index)), inner, &function);
                            }
                            ComponentItem::ComponentInstance(_) => {
                                let why = "it is an interface within an interface, whose functions have no name";
                                reader.leave(format!("{name}.{inner}"), why);
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        reader.finish()
    }

    /// By the name within the tool.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<TypedFunction>> {
        self.functions.get(name)
    }

    /// The functions, by their names within the tool.
    pub fn functions(&self) -> impl Iterator<Item = (&str, &TypedFunction)> {
        self.functions
            .iter()
            .map(|(name, function)| (name.as_str(), &**function))
    }

    /// The exports that agents cannot call, with the reason.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// What the component would say of itself, had it been written for this host.
    ///
    /// # Errors
    ///
    /// `bad-component` where nothing is left that could be called.
    pub(super) fn definitions(&self) -> Result<Vec<tools::Definition>, Fault> {
        if self.functions.is_empty() {
            let why: Vec<String> = self
                .left_out
                .iter()
                .take(20)
                .map(|left| format!("`{}`: {}", left.export, left.why))
                .collect();
            let why = if why.is_empty() {
                "it exports no function".to_owned()
            } else {
                why.join("; ")
            };
            return Err(Fault::new(
                Code::BadComponent,
                format!("the component has no function that an agent could call: {why}"),
            ));
        }
        let definition =
            |(name, function): (&String, &Arc<TypedFunction>)| function.definition(name);
        Ok(self.functions.iter().map(definition).collect())
    }
}

struct Reader<'a> {
    component: &'a Component,
    found: Vec<TypedFunction>,
    left_out: Vec<LeftOut>,
}

impl Reader<'_> {
    fn leave(&mut self, export: String, why: impl Into<String>) {
        if self.left_out.len() < FUNCTIONS {
            self.left_out.push(LeftOut {
                export,
                why: why.into(),
            });
        }
    }

    fn function(
        &mut self,
        interface: Option<(&str, &ComponentExportIndex)>,
        name: &str,
        ty: &ComponentFunc,
    ) {
        let origin = FunctionOrigin {
            interface: interface.map(|(name, _)| name.to_owned()),
            function: name.to_owned(),
        };
        if let Some(why) = names::is_no_function(&origin) {
            return self.leave(origin.to_string(), why);
        }
        if self.found.len() >= FUNCTIONS {
            let why = format!("the component has more than {FUNCTIONS} functions");
            return self.leave(origin.to_string(), why);
        }
        let index = self
            .component
            .get_export_index(interface.map(|(_, index)| index), name);
        let Some(index) = index else {
            return self.leave(origin.to_string(), "the engine does not find it");
        };
        match types(ty) {
            Ok((parameters, result)) => self.found.push(TypedFunction {
                origin,
                index,
                parameters,
                result,
            }),
            Err(error) => self.leave(origin.to_string(), error.to_string()),
        }
    }

    fn finish(self) -> Typed {
        let origins: Vec<&FunctionOrigin> = self.found.iter().map(|one| &one.origin).collect();
        let names = names::assign(&origins);
        let mut typed = Typed {
            functions: BTreeMap::new(),
            left_out: self.left_out,
        };
        for (function, name) in self.found.into_iter().zip(names) {
            match name {
                Ok(name) => drop(typed.functions.insert(name, Arc::new(function))),
                Err(why) => typed.left_out.push(LeftOut {
                    export: function.origin.to_string(),
                    why,
                }),
            }
        }
        typed
    }
}

fn types(ty: &ComponentFunc) -> Result<(ByName<Named>, Outcome), Uncrossable> {
    let mut builder = Builder::new();
    let parameters = builder.parameters(ty.params())?;
    let shape = ty.results().next().map(|ty| builder.shape(&ty));
    let shape = shape.transpose()?;
    let ratio = shape.as_ref().map(Ratio::of);
    let plain = |payload: Payload| payload.map(|shape| *shape);
    let result = match shape {
        Some(Shape::Result(ok, error)) => Outcome {
            fallible: true,
            ok: plain(ok),
            error: plain(error),
            ratio,
        },
        other => Outcome {
            fallible: false,
            ok: other,
            error: None,
            ratio,
        },
    };
    if !builder.is_small() {
        short("arguments", &schema::arguments(&parameters))?;
        if let Some(ok) = &result.ok {
            short("result", &schema::result(ok))?;
        }
    }
    Ok((parameters, result))
}

/// One long schema would be the end of the whole tool.
fn short(of: &'static str, schema: &Members) -> Result<(), Uncrossable> {
    match schema.to_string().len() {
        length if length > SCHEMA => Err(Uncrossable::Long(of, length)),
        _ => Ok(()),
    }
}

impl TypedFunction {
    fn definition(&self, name: &str) -> tools::Definition {
        let FunctionOrigin {
            interface,
            function,
        } = &self.origin;
        let of = interface.as_ref().map_or_else(
            || "the component".to_owned(),
            |name| format!("the interface `{name}`"),
        );
        tools::Definition {
            name: name.to_owned(),
            title: None,
            description: format!("Function `{function}` of {of}."),
            input_schema: schema::arguments(&self.parameters).to_string(),
            output_schema: self
                .result
                .ok
                .as_ref()
                .map(|shape| schema::result(shape).to_string()),
            hints: tools::Hints {
                read_only: None,
                destructive: None,
                idempotent: None,
                open_world: None,
            },
        }
    }

    /// Where it is in an instance.
    #[must_use]
    pub const fn index(&self) -> ComponentExportIndex {
        self.index
    }

    /// The values of a call's arguments, in the order of the parameters.
    ///
    /// # Errors
    ///
    /// `invalid-arguments`, saying where something else is expected.
    pub fn arguments(&self, text: &str) -> Result<Vec<Val>, Fault> {
        self.read(text, &Budget::endless())
    }

    /// The same within a budget, which says whether it was the end of it.
    pub(super) fn read(&self, text: &str, budget: &Budget) -> Result<Vec<Val>, Fault> {
        read::arguments(&self.parameters, text, budget).map_err(|mut why| {
            why.truncate(why.floor_char_boundary(COMPLAINT));
            Fault::new(
                Code::InvalidArguments,
                format!("The arguments do not fit the function's types: {why}. Change them and call again."),
            )
        })
    }

    /// How much of a result the engine may take over as it counts it, so that it allocates no more
    /// than `memory` bytes for it; none where there is no result.
    pub(super) fn counted(&self, memory: u64) -> Option<u64> {
        self.result.ratio.map(|ratio| ratio.counted(memory))
    }

    /// Room for what the function gives back.
    #[must_use]
    pub fn results(&self) -> Vec<Val> {
        let any = self.result.fallible || self.result.ok.is_some();
        vec![NOTHING; usize::from(any)]
    }

    /// Whether the function has put something into that room. The engine does so before it lets the
    /// guest clear up.
    #[must_use]
    pub fn is_answer(results: &[Val]) -> bool {
        results.first().is_some_and(|result| *result != NOTHING)
    }

    /// What a component written for this host would have answered. `most` bounds it, in bytes.
    ///
    /// # Errors
    ///
    /// `output-too-large`, or `invalid-output` for what JSON cannot say.
    pub fn answer(&self, results: &[Val], most: u64) -> Result<GuestAnswer, Fault> {
        self.write(results, most, &Budget::endless())
    }

    /// The same within a budget, which says whether it was the end of it.
    pub(super) fn write(
        &self,
        results: &[Val],
        most: u64,
        budget: &Budget,
    ) -> Result<GuestAnswer, Fault> {
        let unwritten = |error: Unwritten| match error {
            Unwritten::Long => Fault::new(
                Code::OutputTooLarge,
                "The tool's answer is larger than its limit. Ask for less in one call.",
            ),
            Unwritten::Stopped(why) => Fault::internal(format!("a result stopped it: {why:?}")),
            Unwritten::Wrong(why) => Fault::new(
                Code::InvalidOutput,
                format!(
                    "The tool's result cannot be written as JSON: {why}. Its author should look."
                ),
            ),
        };
        match (self.result.fallible, results) {
            (true, [Val::Result(Err(value))]) => {
                let error = self.error(value.as_deref(), most, budget);
                let error = error.map_err(unwritten)?;
                Ok(Err(error))
            }
            (true, [Val::Result(Ok(value))]) => {
                let output = self.output(value.as_deref(), most, budget);
                Ok(Ok(output.map_err(unwritten)?))
            }
            (false, [] | [_]) => {
                let output = self.output(results.first(), most, budget);
                Ok(Ok(output.map_err(unwritten)?))
            }
            _ => Err(Fault::internal("a result is not of its function's type")),
        }
    }

    fn output(
        &self,
        value: Option<&Val>,
        most: u64,
        budget: &Budget,
    ) -> Result<RawOutput, Unwritten> {
        let structured = match (&self.result.ok, value) {
            (Some(shape), Some(value)) => Some(write::result(shape, value, most, budget)?),
            _ => None,
        };
        Ok(RawOutput {
            structured,
            contents: Vec::new(),
        })
    }

    /// A case's name is the code: where it is one that agents know they can act on it.
    fn error(
        &self,
        value: Option<&Val>,
        most: u64,
        budget: &Budget,
    ) -> Result<RawError, Unwritten> {
        let data = match (&self.result.error, value) {
            (Some(shape), Some(value)) => Some(write::value(shape, value, most, budget)?),
            _ => None,
        };
        let code = match value {
            Some(Val::Enum(name) | Val::Variant(name, _)) => name.as_str(),
            _ => "failed",
        };
        let said = value.and_then(words);
        let message = match (&said, &data) {
            (Some(said), _) => said.clone(),
            (None, Some(data)) => format!("The function failed: {data}"),
            (None, None) => "The function failed and does not say why.".to_owned(),
        };
        Ok(RawError {
            code: code.to_owned(),
            message,
            retry_after: None,
            // A text alone is said already.
            data: data.filter(|_| !matches!(value, Some(Val::String(_)))),
        })
    }
}

/// The sentence in an error, where it has one: a text, or the text of its only case or of its field
/// `message`.
fn words(error: &Val) -> Option<String> {
    match error {
        Val::String(text) => Some(text.clone()),
        Val::Variant(_, Some(inner)) => words(inner),
        Val::Record(fields) => fields
            .iter()
            .find(|(name, _)| name == "message")
            .and_then(|(_, value)| words(value)),
        _ => None,
    }
}
