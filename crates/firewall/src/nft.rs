//! The port's implementation: reads and writes the tables with `nft`.
//!
//! A look at an unchanged ruleset costs no process: the kernel's generation
//! number says whether anything changed since the last one. A change is one
//! `nft`, and where it was the only change since the last look, what stands
//! afterwards is known without reading it again.

use crate::{
    command::run,
    elements::{Difference, Elements},
    listing::Listing,
    netlink::{OwnChanges, changes, generation},
    passage::{Passage, is_legacy},
    rules::{Ruleset, TABLE},
    settings::FirewallSettings,
};
use async_trait::async_trait;
use domain::{ErrorCode, Failure};
use futures_util::stream::BoxStream;
use provisioning::{
    observed::{ObservedFirewall, ObservedFirewallTenant},
    ports::{Firewall, FirewallChange, PortError, PortResult},
};
use tokio::sync::{Mutex, OnceCell};

/// The firewall of this host, or of the network namespace we run in.
#[derive(Debug)]
pub struct Nft {
    rules: Ruleset,
    own: OwnChanges,
    /// Also the turn: one look or change at a time.
    last: Mutex<Option<Look>>,
    legacy: OnceCell<bool>,
}

/// What the last look found, at that generation of the ruleset.
#[derive(Debug)]
struct Look {
    generation: u32,
    stands: bool,
    open: bool,
    elements: Elements,
}

impl Look {
    fn observed(&self) -> ObservedFirewall {
        ObservedFirewall {
            complete: self.stands && self.open,
            tenants: self.elements.tenants(),
        }
    }
}

impl Nft {
    /// The firewall with these settings. Touches nothing yet.
    ///
    /// # Errors
    /// `BadConfiguration` for ranges or a bridge name that cannot be.
    pub fn new(settings: FirewallSettings) -> Result<Self, Failure> {
        settings.check()?;
        Ok(Self {
            rules: Ruleset::new(&settings),
            own: OwnChanges::default(),
            last: Mutex::default(),
            legacy: OnceCell::new(),
        })
    }

    /// Takes everything of ours away: both tables, and the rule in
    /// `DOCKER-USER` or FORWARD. For uninstalling.
    ///
    /// # Errors
    /// `FirewallUnavailable`; the tables may be gone already then.
    pub async fn remove_all(&self) -> PortResult<()> {
        let mut last = self.last.lock().await;
        *last = None;
        self.transaction(&Ruleset::removal()).await?;
        Passage::close(&self.own).await.map_err(|e| e.explain())
    }

    async fn transaction(&self, text: &str) -> PortResult<()> {
        run("nft", &["-f", "-"], text, &self.own)
            .await
            .map(drop)
            .map_err(|e| e.explain())
    }

    /// A table as it stands; an empty one where there is none.
    async fn list(&self, family: &str) -> PortResult<Listing> {
        let args = ["-j", "list", "table", family, TABLE];
        match run("nft", &args, "", &self.own).await {
            Ok(json) => Listing::parse(&json).map_err(|e| {
                PortError::because(
                    ErrorCode::FirewallUnavailable,
                    "nft answered with something that is not its JSON",
                    e,
                )
            }),
            Err(e) if e.is_absence() => Ok(Listing::default()),
            Err(e) => Err(e.explain()),
        }
    }

    async fn is_legacy(&self) -> bool {
        *self.legacy.get_or_init(|| is_legacy(&self.own)).await
    }

    /// Reads everything there is to read.
    async fn look(&self) -> PortResult<Look> {
        // Two lists in one nft would do, but 1.0.6 mixes families up then.
        let (inet, bridge, passage, _) = tokio::join!(
            self.list("inet"),
            self.list("bridge"),
            Passage::read(&self.own),
            // Once only; the looks that follow need to know.
            self.is_legacy(),
        );
        let (inet, bridge) = (inet?, bridge?);
        Ok(Look {
            generation: 0,
            stands: inet.stands_as(&self.rules.inet, &self.rules.version)
                && bridge.stands_as(&self.rules.bridge, &self.rules.version),
            open: passage.is_open(),
            elements: inet.elements,
        })
    }
}

#[async_trait]
impl Firewall for Nft {
    async fn observe(&self) -> PortResult<ObservedFirewall> {
        let mut last = self.last.lock().await;
        let before = generation();
        if let Some(look) = last.as_mut()
            && Some(look.generation) == before
        {
            if self.is_legacy().await {
                look.open = Passage::read(&self.own).await.is_open();
            }
            return Ok(look.observed());
        }
        *last = None;
        let mut look = self.look().await?;
        let observed = look.observed();
        // Kept only where nothing changed while we read.
        if let Some(generation) = before.filter(|&g| generation() == Some(g)) {
            look.generation = generation;
            *last = Some(look);
        }
        Ok(observed)
    }

    async fn apply(&self, change: &FirewallChange) -> PortResult<()> {
        if change.is_empty() {
            return Ok(());
        }
        let mut last = self.last.lock().await;
        let mut want = Elements::default();
        for (_, tenant) in &change.set {
            want.extend(tenant.slot, &ObservedFirewallTenant::of(tenant));
        }
        if change.rebuild {
            *last = None;
            self.transaction(&self.rules.rebuild(&want)).await?;
            return Passage::open(&self.own).await.map_err(|e| e.explain());
        }
        let mut have = Elements::of(&change.remove);
        for (stands, tenant) in &change.set {
            have.extend(tenant.slot, stands);
        }
        let difference = Difference::between(&have, &want);
        if difference.is_empty() {
            return Ok(());
        }
        let known = last.take();
        let before = generation();
        self.transaction(&difference.commands()).await?;
        // Ours was the only change since the last look: no need to look again.
        if let (Some(mut look), Some(now)) = (known, generation())
            && Some(look.generation) == before
            && look.generation.checked_add(1) == Some(now)
        {
            difference.apply(&mut look.elements);
            look.generation = now;
            *last = Some(look);
        }
        Ok(())
    }

    fn events(&self) -> BoxStream<'static, ()> {
        changes(self.own.clone())
    }
}
