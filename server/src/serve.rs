//! `maliknode serve`: from the configuration to a server that answers, and
//! down again. What nothing works without ends the start with a sentence;
//! a machine that is not ready (Docker down, no nft) does not.

use crate::{
    accept::{self, Limits},
    config::Config,
    machine::Machine,
    stand_in,
    start_error::StartError,
    web::{WebParts, host::Site, web},
};
use control::KeptSpec;
use domain::Secret;
use provisioning::disk;
use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    time::Duration,
};
use store::{LOCAL_NODE, Sealer, Sessions, Store};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

/// How long requests under way may take once the server was told to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the start-up report waits for Docker.
const LOOK: Duration = Duration::from_secs(3);
/// How often expired sessions are removed.
const PRUNE: Duration = Duration::from_secs(3600);

/// Serves until SIGTERM or SIGINT. Tunnels, containers and rules stay.
///
/// # Errors
/// Why it did not start.
pub async fn serve(config: Config) -> Result<(), StartError> {
    let mut ends = Ends::new().map_err(StartError::Web)?;
    // First what fails most often, before anything is made.
    let address = config.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })?;
    accept::raise_file_limit();
    let _lock = lock(&config)?;
    let machine = Machine::new(&config)?;
    let store = match open_store(&config).await {
        Ok(store) => store,
        Err(away) => {
            let kept = stand_in::kept(&config, away)?;
            prepare_machine(&config);
            match stand_in::until_there(&config, &machine, kept, &listener, &mut ends).await {
                Some(store) => store,
                None => return Ok(()),
            }
        }
    };
    prepare_machine(&config);

    let wireguard = machine.wireguard.find().await;
    if let Err(e) = machine.lists.install_starter() {
        tracing::warn!(error = ?e, "the first block list cannot be written");
    }
    let kept = kept_spec(&config)?;
    let (node, control) = machine.core(&config, store.clone(), Some(kept));
    let operator = control.ensure_operator().await?;

    let (close, closing) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let node = tokio::spawn(node.run(closed(closing.clone())));
    let (watched, lists) = (control.clone(), machine.lists.clone());
    tasks.spawn(async move { watched.run().await });
    tasks.spawn(async move { lists.run().await });
    tasks.spawn(prune(Sessions::new(store.clone())));

    let web = web(WebParts {
        control,
        store: store.clone(),
        site: Site {
            base: config.base.clone(),
            scheme: config.scheme,
            trusted_proxies: config.trusted_proxies.clone(),
        },
        files: config.site.clone(),
        closing: closing.clone(),
    });
    if !config.site.join("pkg").is_dir() {
        tracing::warn!(folder = %config.site.display(), "the pages' scripts and styles are not there: build with ./dev build, or set --site");
    }
    let server = accept::run(
        listener,
        web.router,
        Limits::default(),
        closed(closing.clone()),
    );
    let mut server = tokio::spawn(server);

    announce(&config, &store, operator.as_ref());
    match &wireguard {
        Ok(found) => say(&format!("  WireGuard  {}: {}", found.chosen, found.why)),
        Err(e) => say(&format!("  WireGuard  none yet: {}", e.sentence)),
    }
    tasks.spawn(async move { tell_of_docker(&config, &machine).await });

    tokio::select! {
        ended = &mut server => {
            let cause = ended.err().map(io::Error::other);
            return Err(StartError::Web(cause.unwrap_or_else(|| io::Error::other("no reason given"))));
        }
        () = ends.told() => {}
    }
    let _ = close.send(true);
    if tokio::time::timeout(PATIENCE, &mut server).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
        server.abort();
    }
    tasks.abort_all();
    if tokio::time::timeout(PATIENCE, node).await.is_err() {
        tracing::warn!("the node did not end in time");
    }
    store.close().await;
    say("MalikNode has stopped. Tunnels and DNS filters stay up.");
    Ok(())
}

/// Opens the database with its key, making folder, key and file where they
/// are not there.
///
/// # Errors
/// With a sentence that says what to do.
pub async fn open_store(config: &Config) -> Result<Store, StartError> {
    let central = config.central();
    disk::private_dir(&config.root)?;
    disk::private_dir(&central)?;
    let sealer = Sealer::from_key_file(&central.join("seal.key"))?;
    Ok(Store::open(&config.database_url, sealer).await?)
}

/// The file with the last spec, beside the database and sealed with its key.
///
/// # Errors
/// The key file cannot be used.
pub fn kept_spec(config: &Config) -> Result<KeptSpec, StartError> {
    let central = config.central();
    let sealer = Sealer::from_key_file(&central.join("seal.key"))?;
    Ok(KeptSpec::new(central.join("last_spec"), sealer, LOCAL_NODE))
}

/// One server a root: two would each undo what the other does.
fn lock(config: &Config) -> Result<File, StartError> {
    disk::private_dir(&config.root)?;
    disk::private_dir(&config.central())?;
    let path = config.central().join("serve.lock");
    let file = File::create(&path).map_err(|source| StartError::Folder {
        what: path.display().to_string(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::Running(config.root.clone())),
        Err(TryLockError::Error(source)) => Err(StartError::Folder {
            what: path.display().to_string(),
            source,
        }),
    }
}

/// The kernel's switches, which hold until the next boot.
fn prepare_machine(config: &Config) {
    if let Err(e) = disk::private_dir(&config.runtime_dir) {
        tracing::warn!(error = ?e, "the runtime folder cannot be made");
    }
    if let Err(e) = firewall::enable_forwarding() {
        tracing::warn!(error = ?e, "IPv4 forwarding is off, so tunnels reach no internet");
    }
    if let Err(e) = wireguard::reserve_ports() {
        tracing::warn!(error = %e, "the tunnels' UDP ports cannot be reserved");
    }
    if let Some(found) = config.proxy_problem() {
        tracing::warn!("{found}");
    }
    for found in crate::doctor::network_clashes(&config.addresses) {
        tracing::warn!("{found}");
    }
}

async fn prune(sessions: Sessions) {
    let mut hours = tokio::time::interval(PRUNE);
    loop {
        hours.tick().await;
        match sessions.prune().await {
            Ok(0) => {}
            Ok(n) => tracing::debug!(n, "expired sessions removed"),
            Err(e) => tracing::warn!(error = ?e, "expired sessions could not be removed"),
        }
    }
}

/// Completes once the server is to end.
pub(crate) async fn closed(mut closing: watch::Receiver<bool>) {
    // An error is a sender that is gone, which is an end too.
    let _ = closing.wait_for(|c| *c).await;
}

/// The signals that tell us to end.
pub(crate) struct Ends {
    terminated: Signal,
    interrupted: Signal,
}

impl Ends {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminated: signal(SignalKind::terminate())?,
            interrupted: signal(SignalKind::interrupt())?,
        })
    }

    /// Completes once we are told to end.
    pub(crate) async fn told(&mut self) {
        tokio::select! {
            _ = self.terminated.recv() => tracing::info!("told to end by SIGTERM"),
            _ = self.interrupted.recv() => tracing::info!("told to end by SIGINT"),
        }
    }
}

/// What to open, and the first operator's password, the one time it is known.
fn announce(config: &Config, store: &Store, operator: Option<&(String, Secret)>) {
    say(&format!(
        "MalikNode {} is at {}",
        env!("CARGO_PKG_VERSION"),
        config.url("")
    ));
    if let Some((name, password)) = operator {
        say(&format!(
            "  Operator   {}   name {name}   password {}\n             (shown once; `maliknode operator reset {name}` makes a new one)",
            config.url("admin"),
            password.expose()
        ));
    } else {
        say(&format!("  Operator   {}", config.url("admin")));
    }
    say(&format!(
        "  Data       {} ({})",
        config.root.display(),
        store.kind()
    ));
}

async fn tell_of_docker(config: &Config, machine: &Machine) {
    use provisioning::Containers;
    let look = async {
        let version = machine.containers.ping().await?;
        Ok::<_, provisioning::PortError>((version, machine.containers.observe().await?.image))
    };
    say(&match tokio::time::timeout(LOOK, look).await {
        Ok(Ok((version, true))) => format!("  Docker     {version}, {} is there", config.dns.image),
        Ok(Ok((version, false))) => format!(
            "  Docker     {version}, waiting for {}: ./dev image, or docker pull {}",
            config.dns.image, config.dns.image
        ),
        Ok(Err(e)) => format!("  Docker     not there yet: {}", e.sentence),
        Err(_) => "  Docker     does not answer yet".to_owned(),
    });
}

/// A line for whoever started us. A closed pipe is no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
