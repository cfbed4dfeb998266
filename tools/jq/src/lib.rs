//! jq for agents: runs a filter over JSON. Fuel bounds how long it runs and memory how much it holds;
//! both are the host's. It touches nothing outside.

mod filter;

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use toolhost_sdk::{JsonSchema, ToolError, tool};

/// Results that are given back at most, where the arguments do not say less.
const MOST_RESULTS: usize = 1_000;

/// Bytes of results that are given back at most: an agent's window is not larger.
const MOST_BYTES: usize = 1 << 20;

/// What to run, and on what. Values are kept as text, so that no digit of a number is lost.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The filter, for example `.items | map(select(.price > 10)) | length`.
    #[schemars(length(min = 1, max = 20_000))]
    filter: String,
    /// The JSON it runs on; `null` where neither this nor `inputs` is given.
    #[schemars(with = "Option<serde_json::Value>")]
    input: Option<Box<RawValue>>,
    /// Several, each of which it runs on.
    #[schemars(with = "Option<Vec<serde_json::Value>>")]
    inputs: Option<Vec<Box<RawValue>>>,
    /// Variables: `{"limit": 10}` is `$limit` in the filter.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    variables: BTreeMap<String, Box<RawValue>>,
    /// Results at most, 1000 where it is missing.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// What came out.
#[derive(Debug, serde::Serialize, JsonSchema)]
struct Results {
    /// The results, in order.
    #[schemars(with = "Vec<serde_json::Value>")]
    results: Vec<Box<RawValue>>,
    /// There were more, which are not here: narrow the filter.
    truncated: bool,
}

/// Runs a jq filter over JSON: select, reshape, count, group, join text. A filter may give any
/// number of results.
#[tool(read_only, idempotent, title = "Run a jq filter")]
fn run(args: Arguments) -> Result<Results, ToolError> {
    let inputs = match (args.input, args.inputs) {
        (Some(_), Some(_)) => {
            return Err(ToolError::invalid_arguments(
                "give `input` or `inputs`, not both",
            ));
        }
        (None, Some(inputs)) => inputs,
        (Some(input), None) => vec![input],
        (None, None) => vec![RawValue::NULL.to_owned()],
    };
    let filter = filter::Filter::new(&args.filter, &args.variables)?;
    let mut results = Results {
        results: Vec::new(),
        truncated: false,
    };
    let mut room = Room {
        results: args.limit.unwrap_or(MOST_RESULTS).clamp(1, MOST_RESULTS),
        bytes: MOST_BYTES,
    };
    for (index, input) in inputs.iter().enumerate() {
        let within = |error: ToolError| match inputs.len() {
            1 => error,
            _ => error.context(format_args!("inputs[{index}]")),
        };
        let done = filter
            .run(input, |value| results.take(value, &mut room))
            .map_err(within)?;
        if !done {
            break;
        }
    }
    Ok(results)
}

/// What may still be given back.
struct Room {
    results: usize,
    bytes: usize,
}

impl Results {
    /// Takes one more result where there is room; says whether to go on.
    fn take(&mut self, value: Box<RawValue>, room: &mut Room) -> bool {
        let size = value.get().len();
        if room.results == 0 || size > room.bytes {
            self.truncated = true;
            return false;
        }
        room.results -= 1;
        room.bytes -= size;
        self.results.push(value);
        true
    }
}

toolhost_sdk::export!(run);

#[cfg(test)]
mod tests;
