//! `maliknode dns [--tenant NAME]`.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    output::{Column, Output, text},
};
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose DNS filter; needless with a tenant's own token
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

impl ApiCommand for Arguments {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let call = client.get(&["dns"]).tenant(self.tenant.as_deref());
        let dns = call.object().await?;
        let state = |dns: &Value| match dns["state"]["message"].as_str() {
            Some(message) => format!("{}: {message}", text(&dns["state"]["state"])),
            None => text(&dns["state"]["state"]),
        };
        let fields = [
            Column::of("DNS filter", state),
            Column::text("address", "address"),
            Column::of("queries of 24 hours", |dns| text(&dns["queries"]["total"])),
            Column::of("blocked", |dns| text(&dns["queries"]["blocked"])),
        ];
        out.fields(&dns, &fields);
        Ok(())
    }
}
