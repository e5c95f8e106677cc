//! `maliknode traffic [--tenant NAME] [--device ID] [--span SPAN]`.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    output::{Column, Output, bytes},
};
use clap::ValueEnum;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose traffic; needless with a tenant's own token
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Of this device alone; its id is in `maliknode device list`
    #[arg(long, value_name = "ID")]
    device: Option<i64>,
    /// How far back
    #[arg(long, default_value = "day")]
    span: Span,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Span {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl ApiCommand for Arguments {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let device = self.device.map(|id| id.to_string());
        let call = match &device {
            Some(id) => client.get(&["devices", id, "traffic"]),
            None => client.get(&["traffic"]),
        };
        let span = self.span.to_possible_value();
        let span = span.as_ref().map(clap::builder::PossibleValue::get_name);
        let call = call.tenant(self.tenant.as_deref()).query_if("span", span);
        let graph = call.object().await.map_err(|e| match self.device {
            Some(id) => e.or_unknown(|| format!("there is no device with the id {id}")),
            None => e,
        })?;
        let points = graph["points"].as_array().cloned().unwrap_or_default();
        if out.is_json() {
            out.say(&graph, "");
            return Ok(());
        }
        let sum = |member: &str| {
            points
                .iter()
                .filter_map(|p| p[member].as_u64())
                .sum::<u64>()
        };
        let (down, up) = (sum("down_bytes"), sum("up_bytes"));
        let columns = [
            Column::date("FROM", "at"),
            Column::of("DOWN", |p| bytes(&p["down_bytes"])).right(),
            Column::of("UP", |p| bytes(&p["up_bytes"])).right(),
        ];
        out.table(&points, &columns, "There was no traffic.");
        let total = |n: u64| bytes(&json!(n));
        out.done(&format!("Together {} down, {} up.", total(down), total(up)));
        Ok(())
    }
}
