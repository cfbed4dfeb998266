//! What an agent throws at a door to make the host hold more than it should: lines without an end,
//! batches, numbers that stand twice, storms of cancellations.

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::house;
use crate::harness::{Program, Serving, speak};

const TOOLS: &str = r#"
[host]
agents = ["unix:a/agent.sock"]
[tool.everything]
component = "everything.wasm"
"#;

/// A host of its own process that has served already, so that what it holds is what it always holds.
async fn warm() -> (Program, Serving) {
    let program = Program::new(TOOLS);
    let host = program.serve().await;
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    for n in 0..100 {
        let answer = lines
            .call(json!(n), "everything_add", json!({ "a": n, "b": 1 }))
            .await;
        assert_eq!(
            answer["result"]["structuredContent"],
            json!({ "sum": n + 1 })
        );
    }
    (program, host)
}

/// An honest call on a connection of its own.
async fn still_serves(program: &Program) {
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    let answer = lines
        .call(json!("honest"), "everything_add", json!({ "a": 1, "b": 2 }))
        .await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "sum": 3 }));
}

/// Sends 64 MiB of a line that does not end, and then nothing. The door says why it refuses, reads
/// on for a while so that this is heard, and closes by itself.
async fn endless_line<R, W>(mut reader: R, mut writer: W) -> String
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let send = async {
        let mebibyte = vec![b'x'; 1 << 20];
        for _ in 0..64 {
            if writer.write_all(&mebibyte).await.is_err() {
                break;
            }
        }
    };
    let hear = async {
        let mut said = Vec::new();
        // It ends with the connection, whichever way that ends.
        let _ = reader.read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).into_owned()
    };
    let ((), said) = tokio::join!(send, hear);
    drop(writer);
    said
}

#[tokio::test]
async fn x04_a_line_without_an_end_is_refused_and_not_held() {
    let (program, host) = warm().await;
    let rest = host.memory("VmRSS");
    let one = async || {
        let socket = program.site.path("a/agent.sock");
        let stream = UnixStream::connect(socket).await.expect("a connection");
        let (reader, writer) = stream.into_split();
        endless_line(reader, writer).await
    };
    let four = tokio::join!(one(), one(), one(), one());
    for said in [four.0, four.1, four.2, four.3] {
        assert!(said.contains("longer than 4194304 bytes"), "{said:?}");
    }
    still_serves(&program).await;
    let peak = host.memory("VmHWM");
    assert!(
        peak < rest + (64 << 20),
        "{rest} bytes at rest, {peak} at the peak"
    );
}

#[tokio::test]
async fn x04_a_line_without_an_end_on_standard_input_ends_the_program_with_a_word() {
    let program = Program::new("[tool.hello]\ncomponent = \"hello.wasm\"\n");
    let mut host = program.start(&["serve", "--stdio"]);
    let input = host.child.stdin.take().expect("its input");
    let output = host.child.stdout.take().expect("its output");
    let said = endless_line(output, input).await;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("longer than 4194304 bytes"), "{said}");
    assert!(host.child.wait().await.expect("an end").success());
}

#[tokio::test]
async fn x04_a_batch_of_any_size_is_refused_once_and_a_field_stands_once() {
    let house = house();
    let door = house.open().await;
    let mut lines = speak(&door.socket).await;
    lines.initialize().await;
    let batch = format!("[{}{{}}]\n", "{},".repeat(100_000));
    for line in [
        batch.as_str(),
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"method\":\"tools/list\"}\n",
    ] {
        lines.write(line.as_bytes()).await;
        let refusal = lines.hear().await.expect("a refusal");
        assert_eq!(refusal["error"]["code"], -32600, "{refusal}");
    }
    // The next thing heard answers the next thing asked.
    let answer = {
        lines
            .begin(
                &json!("after"),
                "everything_add",
                &json!({ "a": 1, "b": 2 }),
            )
            .await;
        lines.hear().await.expect("an answer")
    };
    assert_eq!(answer["id"], "after", "{answer}");
}

fn cancelled(id: &Value) -> String {
    let cancel = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id },
    });
    format!("{cancel}\n")
}

#[tokio::test]
async fn x05_a_storm_of_cancellations_leaves_nothing_behind() {
    let (program, host) = warm().await;
    let (memory, descriptors) = (host.memory("VmRSS"), host.descriptors());
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    for wave in 0..5 {
        // Of calls that never were, of one that is over, and of one that is on its way.
        let storm: String = (0..10_000)
            .map(|n| cancelled(&json!(format!("never-{wave}-{n}"))))
            .collect();
        lines.write(storm.as_bytes()).await;
        let id = json!(format!("done-{wave}"));
        let sum = json!({ "a": wave, "b": 1 });
        let answer = lines.call(id.clone(), "everything_add", sum).await;
        assert_eq!(answer["result"]["structuredContent"]["sum"], wave + 1);
        lines.write(cancelled(&id).repeat(1_000).as_bytes()).await;
        let id = json!(format!("running-{wave}"));
        lines
            .begin(&id, "everything_tool_with_progress", &json!({}))
            .await;
        lines.write(cancelled(&id).repeat(1_000).as_bytes()).await;
    }
    drop(lines);
    still_serves(&program).await;
    let now = host.memory("VmRSS");
    assert!(now < memory + (16 << 20), "{memory} bytes became {now}");
    // The connection itself may still be on its way out.
    assert!(
        host.descriptors() <= descriptors + 2,
        "{descriptors} became {}",
        host.descriptors()
    );
}
