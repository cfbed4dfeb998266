//! The agent: a small MCP client that speaks the stateless protocol over HTTP, one request a call.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use serde_json::{Value, json};

const VERSION: &str = "2026-07-28";

/// An agent with its token.
pub(super) struct Agent {
    client: reqwest::Client,
    address: SocketAddr,
    token: &'static str,
}

/// What came back from a `tools/call`.
pub(super) struct Answer {
    /// The tool did what was asked.
    pub(super) ok: bool,
    /// The code of a fault or a tool's error.
    pub(super) code: Option<String>,
    /// What the agent reads.
    pub(super) text: String,
}

impl Agent {
    /// An agent that speaks to this address and to nothing else: no proxy, no redirects.
    pub(super) fn new(address: SocketAddr, token: &'static str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("the agent's HTTP client cannot be made")?;
        Ok(Self {
            client,
            address,
            token,
        })
    }

    /// Calls a tool.
    pub(super) async fn call(&self, name: &str, arguments: &Value) -> anyhow::Result<Answer> {
        let params = json!({ "name": name, "arguments": arguments, "_meta": meta() });
        let answer = self.post("tools/call", Some(name), params).await?;
        if let Some(error) = answer.get("error") {
            let text = error
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default();
            return Ok(Answer {
                ok: false,
                code: Some("unknown-function".into()),
                text: text.to_owned(),
            });
        }
        let result = answer.get("result").context("an answer without a result")?;
        let texts = result
            .get("content")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let texts: Vec<&str> = texts
            .filter_map(|content| content.get("text")?.as_str())
            .collect();
        Ok(Answer {
            ok: result.get("isError") != Some(&Value::Bool(true)),
            code: result
                .pointer("/_meta/toolhost~1code")
                .and_then(Value::as_str)
                .map(ToOwned::to_owned),
            text: texts.join("\n"),
        })
    }

    /// The names of the tools the agent sees.
    pub(super) async fn tools(&self) -> anyhow::Result<Vec<String>> {
        let answer = self
            .post("tools/list", None, json!({ "_meta": meta() }))
            .await?;
        let tools = answer
            .pointer("/result/tools")
            .and_then(Value::as_array)
            .context("no list of tools")?;
        Ok(tools
            .iter()
            .filter_map(|tool| Some(tool.get("name")?.as_str()?.to_owned()))
            .collect())
    }

    async fn post(&self, method: &str, name: Option<&str>, params: Value) -> anyhow::Result<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut request = self
            .client
            .post(format!("http://{}/mcp", self.address))
            .bearer_auth(self.token)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", VERSION)
            .header("mcp-method", method);
        if let Some(name) = name {
            request = request.header("mcp-name", name);
        }
        let response = request.body(body.to_string()).send().await?;
        let status = response.status();
        let body = response.bytes().await?;
        let answer: Value = serde_json::from_slice(&body)
            .with_context(|| format!("status {status}: {}", String::from_utf8_lossy(&body)))?;
        if !answer.is_object() {
            bail!("not an answer");
        }
        Ok(answer)
    }
}

/// What every request of the stateless protocol carries.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": { "name": "toolhost-demo", "version": env!("CARGO_PKG_VERSION") },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}
