//! What the table of commands does not do to success: one's own account in all its parts, mail,
//! and workers.

use crate::{
    account::{file, operator_token, run_with},
    follow::Following,
    server::{Installation, PASSWORD, Run, Server},
    services::{DEFERRED, Mails},
};
use serde_json::Value;

const NEW_PASSWORD: &str = "another good long pass phrase";

/// Does what [`Run::output`] does; what is saved and not yet in force is done, too.
fn done(ended: Run) -> String {
    assert!(matches!(ended.code, Some(0 | 6)), "{ended:?}");
    ended.out
}

/// A tenant whose holder signs in by command.
struct Tenant<'a> {
    installation: &'a Installation,
    name: &'static str,
    token: String,
}

impl<'a> Tenant<'a> {
    fn create(installation: &'a Installation, name: &'static str) -> Self {
        let password = file(installation, "password", PASSWORD);
        let create = ["tenant", "create", name, "--plan", "home"];
        let create = [&create[..], &["--password-file", &password]].concat();
        installation.run(&create).output();
        let mut tenant = Self {
            installation,
            name,
            token: String::new(),
        };
        tenant.sign_in(PASSWORD);
        tenant
    }

    fn sign_in(&mut self, password: &str) {
        let password = file(self.installation, "password", password);
        let args = [
            "account",
            "sign-in",
            self.name,
            "--password-file",
            &password,
        ];
        let token = self.installation.run(&args).output();
        token.trim().clone_into(&mut self.token);
    }

    fn run(&self, args: &[&str]) -> String {
        done(run_with(self.installation, &self.token, args))
    }

    fn json(&self, args: &[&str]) -> Value {
        let out = self.run(&[args, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }
}

/// Proves to be there, and changes the password, in both of its ways.
fn passwords(tenant: &mut Tenant<'_>) {
    let installation = tenant.installation;
    let old = file(installation, "old", PASSWORD);
    let new = file(installation, "new", NEW_PASSWORD);
    let proved = tenant.run(&["account", "prove", "--password-file", &old]);
    assert!(proved.contains("This holds until "), "{proved}");
    let change = ["account", "password", "--password-file", &old];
    let changed = tenant.run(&[&change[..], &["--new-password-file", &new]].concat());
    assert!(changed.contains("The password is changed."), "{changed}");
    tenant.sign_in(NEW_PASSWORD);

    let codes = tenant.run(&["account", "recovery-codes"]);
    let code = file(installation, "code", codes.lines().next().unwrap());
    let recover = ["account", "recover", tenant.name, "--code-file", &code];
    let recover = [&recover[..], &["--new-password-file", &old]].concat();
    installation.run(&recover).output();
    tenant.sign_in(PASSWORD);
}

fn sessions(tenant: &mut Tenant<'_>) {
    tenant.sign_in(PASSWORD);
    let sessions = tenant.json(&["account", "session", "list"]);
    let mut other = sessions.as_array().unwrap().iter();
    let other = other.find(|s| s["current"] == false).unwrap();
    tenant.run(&["account", "session", "end", other["id"].as_str().unwrap()]);
    let left = tenant.json(&["account", "session", "list"]);
    assert!(!left.as_array().unwrap().contains(other), "{left}");
    tenant.run(&["account", "session", "end-others"]);
    tenant.run(&["account", "show"]);
    tenant.run(&["account", "activity"]);
}

fn factors(tenant: &Tenant<'_>, server: &Server) {
    let begun = tenant.json(&["account", "totp", "begin"]);
    let secret = begun["secret"].as_str().unwrap();
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let app = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let step = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / 30;
    let code = app.generate(step * 30).to_string();
    tenant.run(&["account", "totp", "confirm", &code]);
    // With an authenticator app, a proof needs its code; one step ahead of time is accepted.
    let password = file(tenant.installation, "password", PASSWORD);
    let prove = ["account", "prove", "--password-file", &password];
    run_with(tenant.installation, &tenant.token, &prove).refusal(4);
    let code = app.generate((step + 1) * 30).to_string();
    tenant.run(&[&prove[..], &["--code", &code]].concat());
    tenant.run(&["account", "totp", "remove"]);

    server.give_passkey(tenant.name, "00ff00ff");
    tenant.run(&["account", "passkey", "rename", "00ff00ff", "Blue key"]);
    let listed = tenant.run(&["account", "passkey", "list"]);
    assert!(listed.contains("Blue key"), "{listed}");
    tenant.run(&["account", "passkey", "remove", "00ff00ff"]);
}

fn mail(tenant: &mut Tenant<'_>, mails: &Mails) {
    let installation = tenant.installation;
    let run = |args: &[&str]| done(installation.run(args));
    tenant.run(&["account", "mail", "set", "mira@example.org"]);
    let link = file(installation, "link", &mails.take_link());
    run(&["account", "mail", "confirm", "--link-file", &link]);
    let shown = tenant.run(&["account", "mail", "show"]);
    assert!(shown.contains("mira@example.org"), "{shown}");
    tenant.run(&["account", "mail", "warnings", "false"]);
    run(&["account", "forgot", tenant.name]);
    let link = file(installation, "link", &mails.take_link());
    let new = file(installation, "new", PASSWORD);
    let reset = ["account", "reset", "--link-file", &link];
    run(&[&reset[..], &["--new-password-file", &new]].concat());
    tenant.sign_in(PASSWORD);
    tenant.run(&["account", "mail", "remove"]);

    let said = run(&["mail", "test", "ada@example.org"]);
    assert!(said.contains("250 kept"), "{said}");
    tenant.run(&["account", "mail", "set", DEFERRED]);
    let waiting = installation.run(&["mail", "list", "--json"]).json();
    let mut waiting = waiting.as_array().unwrap().iter();
    let waiting = waiting.find(|mail| mail["recipient"] == DEFERRED).unwrap();
    let id = waiting["id"].to_string();
    run(&["mail", "retry", &id]);
    run(&["mail", "discard", &id]);
}

fn logs(tenant: &Tenant<'_>) {
    let listed = tenant.run(&["audit", "--own", "--action", "session.begin"]);
    assert!(listed.contains("session.begin"), "{listed}");
    let written = tenant.run(&["audit", "--own", "--export", "jsonl"]);
    assert!(
        written.contains("\"action\":\"session.begin\""),
        "{written}"
    );
    let mut command = tenant.installation.command(&["audit", "--follow"]);
    command.args(["--limit", "1"]);
    let mut following = Following::start(command);
    following.wait_for(|_| true);
    following.interrupt();
}

fn operators(installation: &Installation) {
    let run = |args: &[&str]| installation.run(args).output();
    let link = run(&["operator", "add", "ada", "--role", "support"]);
    let link = file(installation, "link", link.trim());
    let password = file(installation, "password", PASSWORD);
    let accept = ["operator", "accept", "--link-file", &link];
    run(&[&accept[..], &["--new-password-file", &password]].concat());
    let said = run(&["operator", "role", "ada", "read-only"]);
    assert!(said.contains("ada is read-only"), "{said}");
    let ada = operator_token(installation, "ada", None);
    run_with(installation, &ada, &["tenant", "list"]).output();
    run(&["operator", "remove", "ada"]);
}

fn workers(installation: &Installation, server: &Server, tenant: &str) {
    let run = |args: &[&str]| done(installation.run(args));
    for name in ["worker-1", "worker-2", "worker-3"] {
        server.join_worker(name);
    }
    run(&["worker", "token"]);
    run(&["node", "host", "worker-1", "vpn.example.org"]);
    run(&["node", "dns", "check"]);
    run(&["tenant", "move", tenant, "--to", "worker-1", "--no-wait"]);
    run(&["tenant", "move", tenant, "--cancel"]);
    run(&["node", "revoke", "worker-2"]);
    run(&["node", "lose", "worker-2", "--no-wait"]);
    run(&["node", "remove", "worker-3"]);
}

/// Runs the commands.
pub fn walk(installation: &Installation, server: &Server, mails: &Mails) {
    let mut mira = Tenant::create(installation, "mira");
    passwords(&mut mira);
    sessions(&mut mira);
    factors(&mira, server);
    mail(&mut mira, mails);
    logs(&mira);
    operators(installation);
    workers(installation, server, mira.name);
    let made = ["token", "create", "page", "--tenant", "mira"];
    let made = installation.run(&[&made[..], &["--json"]].concat()).json();
    let id = made["id"].as_str().unwrap();
    let revoke = ["token", "revoke", id, "--tenant", "mira"];
    installation.run(&revoke).output();
    mira.run(&["account", "delete", "mira"]);
}

#[test]
fn an_account_is_managed_by_command() {
    let installation = Installation::new();
    let (server, mails) = installation.serve_all();
    walk(&installation, &server, &mails);
}
