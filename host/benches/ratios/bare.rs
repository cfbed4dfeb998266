//! The reference server: rmcp with a native echo, as bare as it gets: no sessions, JSON replies,
//! no delay.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use tokio::net::{TcpListener, UnixListener};

#[derive(Clone)]
struct Echo;

impl ServerHandler for Echo {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.as_ref();
        let text = arguments
            .and_then(|arguments| arguments.get("text")?.as_str())
            .unwrap_or_default();
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

/// `bare compile` (see `large`), `bare stdio`, or `bare listen <socket>`, which prints its HTTP address.
pub(crate) fn serve(words: &[String]) {
    if words[0] == "compile" {
        return crate::large::bare(&words[1..]);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        match words[0].as_str() {
            "stdio" => drop(
                Echo.serve(rmcp::transport::stdio_pipes())
                    .await
                    .unwrap()
                    .waiting()
                    .await,
            ),
            _ => listen(&words[1]).await,
        }
    });
    runtime.shutdown_background();
}

async fn listen(socket: &str) {
    let _ = std::fs::remove_file(socket);
    let unix = UnixListener::bind(socket).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", tcp.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = unix.accept().await.unwrap();
            tokio::spawn(async move {
                if let Ok(served) = Echo.serve(stream.into_split()).await {
                    let _ = served.waiting().await;
                }
            });
        }
    });
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let service = StreamableHttpService::new(
        || Ok(Echo),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    loop {
        let (stream, _) = tcp.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let service = hyper_util::service::TowerToHyperService::new(service.clone());
        let stream = hyper_util::rt::TokioIo::new(stream);
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, service));
    }
}
