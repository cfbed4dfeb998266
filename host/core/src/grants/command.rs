//! What the manifest says of a program's use: from a call's arguments to a command line. Pure values.

use std::sync::Arc;

/// How a program becomes a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandGrant {
    /// Line of the section in the manifest, from 1.
    pub line: u32,
    /// Its command line, behind the program's name.
    pub arguments: Vec<Argument>,
    /// What it reads from standard input; nothing where there is none.
    pub stdin: Option<Template>,
    /// What its standard output is.
    pub stdout: Stdout,
    /// The exit codes with which it did what was asked.
    pub success: Vec<u8>,
}

/// A part of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// Always there.
    Always(Template),
    /// There where the call has this argument, and not as `false`.
    When {
        /// The call's argument.
        name: Arc<str>,
        /// What is there then.
        then: Vec<Template>,
    },
}

/// A text with places for a call's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(pub Vec<TemplatePart>);

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// As it is.
    Text(String),
    /// The call's argument of this name: a text as it is, anything else as JSON.
    Value(Arc<str>),
}

/// What a program's standard output is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdout {
    /// Text for the model.
    Text,
    /// The structured result, as JSON.
    Json,
    /// Bytes of this MIME type.
    Blob(String),
    /// Nothing that anybody needs.
    Ignored,
}

impl Template {
    /// The arguments it has places for.
    pub fn values(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().filter_map(|part| match part {
            TemplatePart::Value(name) => Some(name),
            TemplatePart::Text(_) => None,
        })
    }

    /// The argument that it begins with.
    #[must_use]
    pub fn first(&self) -> Option<&Arc<str>> {
        match self.0.first() {
            Some(TemplatePart::Value(name)) => Some(name),
            _ => None,
        }
    }

    /// The argument that it consists of.
    #[must_use]
    pub fn alone(&self) -> Option<&Arc<str>> {
        match self.0.as_slice() {
            [TemplatePart::Value(name)] => Some(name),
            _ => None,
        }
    }
}
