//! `maliknode plan list`, `… show ID`, `… add ID`, `… edit ID`, `… impact ID`, `… remove ID`.

use super::{
    api_command::ApiCommand,
    client::{Answer, CallError, Client},
    output::{Column, Output, bits, bytes, text},
    quantity::{self, Limit},
};
use clap::{ArgAction, Subcommand, ValueEnum};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum PlanCommand {
    /// Print all plans, with the number of their tenants
    List,
    /// Print a plan
    Show(Named),
    /// Add a plan
    ///
    /// What no option says is unlimited; used up data make slow, 1 Mb/s, and a month begins on
    /// the 1st.
    Add {
        #[command(flatten)]
        plan: Named,
        #[command(flatten)]
        terms: Terms,
    },
    /// Change a plan, at once for all its tenants
    Edit {
        #[command(flatten)]
        plan: Named,
        #[command(flatten)]
        terms: Terms,
    },
    /// Say whom a change of a plan would touch, and change nothing
    Impact {
        #[command(flatten)]
        plan: Named,
        #[command(flatten)]
        terms: Terms,
    },
    /// Delete a plan that no tenant has; `edit --visible false` hides one that is in use
    Remove(Named),
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The plan's id in `maliknode plan list`
    id: String,
}

/// What a plan is to be. What is not named stays.
#[derive(Debug, clap::Args)]
pub(super) struct Terms {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// The most devices, 1 to 253
    #[arg(long, value_name = "N")]
    devices: Option<u16>,
    /// Data per month, both directions together, e.g. 500GB, or none
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    data: Option<Limit>,
    /// Speed towards the devices, e.g. 100Mb/s, or none
    #[arg(long, value_name = "SPEED", value_parser = quantity::bits)]
    down: Option<Limit>,
    /// Speed from the devices, e.g. 20Mb/s, or none
    #[arg(long, value_name = "SPEED", value_parser = quantity::bits)]
    up: Option<Limit>,
    /// What happens once the data of the month are used up
    #[arg(long)]
    at_limit: Option<AtLimit>,
    /// The speed then, if that is slow, e.g. 1Mb/s
    #[arg(long, value_name = "SPEED", value_parser = quantity::bits_per_second)]
    slow: Option<u64>,
    /// The day on which a month begins, 1 to 31
    #[arg(long, value_name = "DAY")]
    month_day: Option<u8>,
    /// Whether it is the one that is recommended
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    recommended: Option<bool>,
    /// Whether a visitor may choose it
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    visible: Option<bool>,
    /// Its place in the list
    #[arg(long, value_name = "N")]
    position: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AtLimit {
    Slow,
    Stop,
}

impl Terms {
    /// Changes a plan of the API as the options say.
    fn apply(&self, plan: &mut Value) {
        let limit = |limit: Option<Limit>| limit.map(|l| json!(l.0));
        let at_limit = self.at_limit.map(|at_limit| match at_limit {
            AtLimit::Slow => "slow",
            AtLimit::Stop => "stop",
        });
        let changes = [
            ("name", self.name.as_ref().map(|v| json!(v))),
            ("devices", self.devices.map(|v| json!(v))),
            ("monthly_bytes", limit(self.data)),
            ("down_bps", limit(self.down)),
            ("up_bps", limit(self.up)),
            ("at_limit", at_limit.map(|v| json!(v))),
            ("slow_bps", self.slow.map(|v| json!(v))),
            ("month_day", self.month_day.map(|v| json!(v))),
            ("recommended", self.recommended.map(|v| json!(v))),
            ("visible", self.visible.map(|v| json!(v))),
            ("position", self.position.map(|v| json!(v))),
        ];
        for (member, value) in changes {
            if let Some(value) = value {
                plan[member] = value;
            }
        }
    }
}

impl ApiCommand for PlanCommand {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        match self {
            Self::List => list(client, out).await,
            Self::Show(plan) => {
                print_plan(&find(client, &plan.id).await?.object()?, out);
                Ok(())
            }
            Self::Add { plan, terms } => {
                let created = add(client, &plan.id, terms).await?;
                print_plan(&created, out);
                Ok(())
            }
            Self::Edit { plan, terms } => {
                let changed = edit(client, &plan.id, terms).await?;
                print_plan(&changed, out);
                Ok(())
            }
            Self::Impact { plan, terms } => impact(client, out, &plan.id, terms).await,
            Self::Remove(plan) => {
                let path = ["operator", "plans", &plan.id];
                let deleted = client.delete(&path).send().await;
                deleted.map_err(|e| unknown(e, &plan.id))?;
                out.done(&format!("The plan {} is deleted.", plan.id));
                Ok(())
            }
        }
    }
}

async fn find(client: &Client, id: &str) -> Result<Answer, CallError> {
    let found = client.get(&["operator", "plans", id]).send().await;
    found.map_err(|e| unknown(e, id))
}

fn unknown(e: CallError, id: &str) -> CallError {
    e.or_unknown(|| format!("there is no plan {id}; `maliknode plan list` shows all"))
}

async fn list(client: &Client, out: Output) -> Result<(), CallError> {
    let plans = client.get(&["operator", "plans"]).list().await?;
    let columns = [
        Column::of("ID", |item| text(&item["plan"]["id"])),
        Column::of("NAME", |item| text(&item["plan"]["name"])),
        Column::of("DEVICES", |item| text(&item["plan"]["devices"])).right(),
        Column::of("DATA", |item| bytes(&item["plan"]["monthly_bytes"])).right(),
        Column::of("DOWN", |item| bits(&item["plan"]["down_bps"])).right(),
        Column::of("UP", |item| bits(&item["plan"]["up_bps"])).right(),
        Column::of("VISIBLE", |item| text(&item["plan"]["visible"])),
        Column::number("TENANTS", "tenants"),
    ];
    out.table(&plans, &columns, "There is no plan.");
    Ok(())
}

fn print_plan(plan: &Value, out: Output) {
    let fields = [
        Column::text("id", "id"),
        Column::text("name", "name"),
        Column::text("devices", "devices"),
        Column::of("data", |plan| bytes(&plan["monthly_bytes"])),
        Column::of("down", |plan| bits(&plan["down_bps"])),
        Column::of("up", |plan| bits(&plan["up_bps"])),
        Column::text("at limit", "at_limit"),
        Column::of("slow", |plan| bits(&plan["slow_bps"])),
        Column::text("month day", "month_day"),
        Column::text("recommended", "recommended"),
        Column::text("visible", "visible"),
        Column::text("position", "position"),
    ];
    out.fields(plan, &fields);
}

async fn add(client: &Client, id: &str, terms: &Terms) -> Result<Value, CallError> {
    let mut plan = json!({
        "id": id,
        "name": id,
        "devices": 253,
        "monthly_bytes": null,
        "down_bps": null,
        "up_bps": null,
        "at_limit": "slow",
        "slow_bps": 1_000_000,
        "month_day": 1,
        "visible": true,
    });
    terms.apply(&mut plan);
    let call = client.post(&["operator", "plans"]);
    call.json(plan).object().await
}

async fn edit(client: &Client, id: &str, terms: &Terms) -> Result<Value, CallError> {
    let path = ["operator", "plans", id];
    let read = find(client, id).await?;
    let mut plan = read.object()?;
    terms.apply(&mut plan);
    let call = client.put(&path).if_match(read.etag().unwrap_or("*"));
    call.json(plan).object().await
}

async fn impact(client: &Client, out: Output, id: &str, terms: &Terms) -> Result<(), CallError> {
    let mut plan = find(client, id).await?.object()?;
    terms.apply(&mut plan);
    let call = client.post(&["operator", "plans", id, "preview"]);
    let impact = call.json(plan).object().await?;
    let some = |member: &'static str| {
        move |impact: &Value| {
            let first = impact[member]["first"].as_array();
            let names: Vec<String> = first.into_iter().flatten().map(text).collect();
            let count = text(&impact[member]["count"]);
            match names.is_empty() {
                true => count,
                false => format!("{count} ({})", names.join(", ")),
            }
        }
    };
    let fields = [
        Column::text("tenants", "tenants"),
        Column::of("too many devices", some("over_devices")),
        Column::of("slower or stopped", some("over_data")),
        Column::of("open again", some("reopened")),
    ];
    out.fields(&impact, &fields);
    Ok(())
}
