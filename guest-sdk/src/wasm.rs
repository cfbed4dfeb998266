//! The component's edge: the generated bindings, and the translation between their types and the
//! SDK's. Nothing else names the bindings.

// Generated code.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package toolhost:sdk;
            world guest {
                import toolhost:tool/http@0.1.0;
                import toolhost:tool/progress@0.1.0;
                import wasi:config/store@0.2.0-rc.1;
                import wasi:keyvalue/atomics@0.2.0-draft2;
                import wasi:keyvalue/batch@0.2.0-draft2;
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:logging/logging@0.1.0-draft;
                export toolhost:tool/tools@0.1.0;
            }
        ",
        world: "toolhost:sdk/guest",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_guest",
        default_bindings_module: "toolhost_sdk::wasm::bindings",
    });
}

pub use bindings::export_guest;
pub use bindings::exports::toolhost::tool::tools;

use crate::__private::Entry;
use crate::{Code, Content, Definition, Hints, Link, Output, Resource, ToolError};

/// Exports the list of functions as a component.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
    ($functions:expr) => {
        struct Component;

        impl $crate::wasm::tools::Guest for Component {
            fn definitions() -> Vec<$crate::wasm::tools::Definition> {
                $crate::wasm::definitions($functions)
            }

            fn call(
                name: String,
                arguments: String,
            ) -> Result<$crate::wasm::tools::Output, $crate::wasm::tools::ToolError> {
                $crate::wasm::call($functions, &name, &arguments)
            }
        }

        $crate::wasm::export_guest!(Component with_types_in $crate::wasm::bindings);
    };
}

/// What the functions say of themselves.
#[must_use]
pub fn definitions(functions: &[Entry]) -> Vec<tools::Definition> {
    functions
        .iter()
        .map(|function| (function.definition)().into())
        .collect()
}

/// Runs the function `name`.
///
/// # Errors
/// The function's own, or `not-found` for a name that is not in the list.
pub fn call(
    functions: &[Entry],
    name: &str,
    arguments: &str,
) -> Result<tools::Output, tools::ToolError> {
    let answer = match functions.iter().find(|function| function.name == name) {
        Some(function) => (function.call)(arguments),
        None => Err(ToolError::new(
            Code::NotFound,
            format_args!("this tool has no function {name:?}"),
        )),
    };
    answer.map(Into::into).map_err(Into::into)
}

impl From<Definition> for tools::Definition {
    fn from(definition: Definition) -> Self {
        Self {
            name: definition.name,
            title: definition.title,
            description: definition.description,
            input_schema: definition.input_schema.to_string(),
            output_schema: definition.output_schema.map(|schema| schema.to_string()),
            hints: definition.hints.into(),
        }
    }
}

impl From<Hints> for tools::Hints {
    fn from(hints: Hints) -> Self {
        Self {
            read_only: hints.read_only,
            destructive: hints.destructive,
            idempotent: hints.idempotent,
            open_world: hints.open_world,
        }
    }
}

impl From<Output> for tools::Output {
    fn from(output: Output) -> Self {
        Self {
            structured: output.structured,
            contents: output.contents.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Content> for tools::Content {
    fn from(content: Content) -> Self {
        match content {
            Content::Text(text) => Self::Text(text),
            Content::Blob(Resource {
                mime_type,
                data,
                uri,
            }) => Self::Blob(tools::Blob {
                mime_type,
                data,
                uri,
            }),
            Content::Link(Link {
                uri,
                name,
                description,
                mime_type,
            }) => Self::Link(tools::Link {
                uri,
                name,
                description,
                mime_type,
            }),
        }
    }
}

impl From<ToolError> for tools::ToolError {
    fn from(error: ToolError) -> Self {
        Self {
            code: error.code.as_str().to_owned(),
            message: error.message,
            retry_after: error.retry_after,
            data: error.data.map(|data| data.to_string()),
        }
    }
}
