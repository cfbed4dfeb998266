//! `connect`: the configuration that makes an agent use this host, ready to paste.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::start::HostConfig;
use super::{Setting, out};

/// Agents whose configuration is known.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Client {
    /// Claude Code.
    Claude,
    /// Visual Studio Code.
    Vscode,
    /// Cursor.
    Cursor,
    /// Codex.
    Codex,
}

pub(super) fn connect(setting: &Setting, client: Client, http: bool) -> anyhow::Result<ExitCode> {
    let config = HostConfig::read(setting)?;
    let way = if http {
        Way::http(&config)?
    } else {
        Way::process(&config)?
    };
    let shown = match client {
        Client::Claude => Shown {
            place: "run this in your project",
            text: way.claude_command(),
        },
        Client::Vscode => Shown {
            place: "put this into .vscode/mcp.json",
            text: pretty(&json!({ "servers": { "toolhost": way.vscode() } })),
        },
        Client::Cursor => Shown {
            place: "put this into .cursor/mcp.json",
            text: pretty(&json!({ "mcpServers": { "toolhost": way.entry() } })),
        },
        Client::Codex => Shown {
            place: "put this into ~/.codex/config.toml",
            text: way.codex(),
        },
    };
    if setting.json {
        out::json_line(&json!({ "place": shown.place, "text": shown.text }))?;
    } else {
        tell!("# {}", shown.place);
        say!("{}", shown.text);
    }
    Ok(ExitCode::SUCCESS)
}

struct Shown {
    place: &'static str,
    text: String,
}

/// How the agent reaches the host.
enum Way {
    /// It starts a process and speaks through its standard input.
    Process {
        program: String,
        arguments: Vec<String>,
    },
    /// It asks over HTTP; the token stays in its file, or in the environment.
    Http { url: String, token_file: String },
}

impl Way {
    fn process(config: &HostConfig) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.display().to_string();
        let manifest = config.path.display().to_string();
        Ok(Self::Process {
            program,
            arguments: vec![
                "--manifest".into(),
                manifest,
                "serve".into(),
                "--stdio".into(),
            ],
        })
    }

    fn http(config: &HostConfig) -> anyhow::Result<Self> {
        let Some(address) = config
            .manifest
            .host
            .http
            .filter(|address| address.port() != 0)
        else {
            anyhow::bail!(
                "the manifest opens no HTTP door at a fixed port; add \"http://127.0.0.1:7420\" to `agents` in [host]"
            );
        };
        Ok(Self::Http {
            url: format!("http://{address}/mcp"),
            token_file: config.token_file().display().to_string(),
        })
    }

    fn claude_command(&self) -> String {
        match self {
            Self::Process { program, arguments } => {
                let words: Vec<String> = std::iter::once(program)
                    .chain(arguments)
                    .map(|word| quoted(word))
                    .collect();
                format!("claude mcp add toolhost -- {}", words.join(" "))
            }
            Self::Http { url, token_file } => format!(
                "claude mcp add --transport http toolhost {url} --header \"Authorization: Bearer $(cat {})\"",
                quoted(token_file)
            ),
        }
    }

    fn entry(&self) -> Value {
        match self {
            Self::Process { program, arguments } => {
                json!({ "command": program, "args": arguments })
            }
            Self::Http { url, .. } => json!({
                "url": url,
                "headers": { "Authorization": "Bearer ${env:TOOLHOST_TOKEN}" },
            }),
        }
    }

    fn vscode(&self) -> Value {
        let mut entry = self.entry();
        let kind = if matches!(self, Self::Process { .. }) {
            "stdio"
        } else {
            "http"
        };
        if let Value::Object(entry) = &mut entry {
            entry.insert("type".into(), kind.into());
        }
        entry
    }

    fn codex(&self) -> String {
        match self {
            Self::Process { program, arguments } => format!(
                "[mcp_servers.toolhost]\ncommand = {}\nargs = {}",
                Value::from(program.as_str()),
                Value::from(arguments.clone())
            ),
            Self::Http { url, .. } => format!(
                "[mcp_servers.toolhost]\nurl = {}\nbearer_token_env_var = \"TOOLHOST_TOKEN\"",
                Value::from(url.as_str())
            ),
        }
    }
}

fn pretty(value: &Value) -> String {
    out::json_text(value).unwrap_or_default()
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("/a/b-c.toml"), "/a/b-c.toml");
        assert_eq!(quoted("it's here"), "'it'\\''s here'");
        assert_eq!(quoted(""), "''");
    }
}
