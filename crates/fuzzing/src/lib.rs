//! The properties of every parser of untrusted input: a function of bytes for
//! each parser, which panics where a property does not hold.
//!
//! libFuzzer runs them (`fuzz/`, `./dev fuzz`), and so does a plain test
//! (`tests/seeds.rs`) with the seeds and some thousand mutations of them. Each
//! module lists its properties; docs/reliability/testing.md has a table.

mod adguard_clients;
mod adguard_config;
mod block_list;
mod bytes;
mod certificates;
mod configuration;
mod control_socket;
mod docker;
mod folders;
mod host;
mod names;
mod nft_listing;
mod proxy_answers;
mod proxy_bodies;
mod proxy_policy;
mod tc_listing;
mod wgconf;

/// A parser of untrusted input with its properties.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its libFuzzer program, seeds and dictionary below `fuzz/`.
    pub name: &'static str,
    /// Checks the properties for an input, and panics where one does not hold.
    pub body: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[
            $(Target { name: stringify!($name), body: $name::run },)*
        ];
    };
}

targets!(
    adguard_clients,
    adguard_config,
    block_list,
    certificates,
    configuration,
    control_socket,
    docker,
    folders,
    host,
    names,
    nft_listing,
    proxy_answers,
    proxy_bodies,
    proxy_policy,
    tc_listing,
    wgconf,
);

/// Returns the body of the target with this name.
///
/// # Panics
/// There is no such target: the program's name is wrong.
pub fn body(name: &str) -> fn(&[u8]) {
    TARGETS
        .iter()
        .find(|t| t.name == name)
        .unwrap_or_else(|| panic!("there is no target {name}"))
        .body
}

/// Runs the asynchronous part of a parser to its end.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime without I/O needs nothing");
    }
    RUNTIME.with(|r| r.block_on(work))
}
