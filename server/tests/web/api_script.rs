//! The script of docs/API.md, run with curl and jq against the router on a real socket.

use crate::stack::{PASSWORD, Stack};
use std::{net::SocketAddr, path::Path, process::Stdio};
use tokio::{net::TcpListener, process::Command};

/// Returns the document's script.
fn script() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/API.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once("```sh\n").unwrap();
    rest.split_once("\n```").unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_script_signs_in_and_adds_a_device() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = s.web.router.clone();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new("sh")
        .arg("-c")
        .arg(script())
        .current_dir(folder.path())
        .env("API", format!("http://api.localhost:{port}"))
        .env("NAME", "alice")
        .env("PASSWORD", PASSWORD)
        .env_remove("TOKEN")
        .env("no_proxy", "*")
        .stdin(Stdio::null())
        .output();
    let output = run.await.unwrap();
    server.abort();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "curl and jq are needed: {text} {errors}"
    );
    let config = std::fs::read_to_string(folder.path().join("my-phone.conf")).unwrap();
    assert!(config.starts_with("[Interface]\nPrivateKey = "), "{config}");
    assert!(config.contains("\n[Peer]\n") && config.contains("Endpoint = vpn.example:"));
    assert!(text.contains('█'), "a QR code: {text}");
    assert!(text.contains("\tMy phone\t10.88.1.2\t"), "{text}");
    assert!(text.lines().any(|l| l.starts_with("mnt_")), "{text}");
    assert_eq!(s.device_count("alice").await, 1);
}
