//! A client in TypeScript: its types are generated from the description, and it goes from
//! sign-up to a device's configuration.

use super::{Served, checkout};
use crate::{api_client::API, stack::Services};
use domain::SystemClock;
use std::{path::Path, process::Stdio, sync::Arc};
use store::Store;
use tokio::process::Command;

/// Runs a program of end2end's packages in a folder, and returns what it printed.
async fn node(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let bin = checkout("end2end/node_modules/.bin").join(program);
    let mut command = Command::new(bin);
    command.args(arguments).current_dir(folder);
    output(command).await
}

async fn output(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().await;
    let output = output.expect("./dev setup --tests");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text} {errors}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_client_compiles_and_goes_from_sign_up_to_a_configuration() {
    let store = Store::memory().await.unwrap();
    let served = Served::start(store, Arc::new(SystemClock), Services::default()).await;
    // Beside the packages, where modules are looked for.
    let folder = tempfile::Builder::new()
        .prefix("api-client-")
        .tempdir_in(checkout("end2end/node_modules"))
        .unwrap();
    let folder = folder.path();
    let source = checkout("end2end/api-client");
    for name in ["client.ts", "tsconfig.json", "package.json"] {
        std::fs::copy(source.join(name), folder.join(name)).unwrap();
    }
    let description = folder.join("openapi.json");
    std::fs::write(description, api::openapi().to_string()).unwrap();
    node(
        folder,
        "openapi-typescript",
        &["openapi.json", "--output", "api.d.ts"],
    )
    .await;
    node(folder, "tsc", &["--project", "tsconfig.json"]).await;
    let mut command = Command::new("node");
    command
        .arg("client.js")
        .current_dir(folder)
        .env("API", format!("http://127.0.0.1:{}", served.port))
        .env("API_HOST", API);
    let config = output(command).await;
    assert!(config.starts_with("[Interface]\nPrivateKey = "), "{config}");
    assert!(config.contains("\n[Peer]\n") && config.contains("Endpoint = vpn.example:"));
    assert_eq!(served.stack.device_count("typed").await, 1);
}
