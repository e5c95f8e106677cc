//! Every command of the program, and what it does on an installation of one node: by the socket,
//! by HTTP with an operator's token, and straight on the database.
//!
//! The rows are run in this order, each time on a new installation, so that a row can use what
//! the ones before it have made.

/// The three ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Socket,
    Http,
    Database,
}

/// A row: a command, its exit code each way, and what it says.
pub struct Row {
    pub command: &'static str,
    /// By the socket, by HTTP, on the database.
    pub codes: [i32; 3],
    /// What stands in its output, of both kinds.
    pub says: &'static str,
}

const fn row(command: &'static str, says: &'static str) -> Row {
    rows(command, [0; 3], says)
}

const fn refused(command: &'static str, code: i32, says: &'static str) -> Row {
    rows(command, [code; 3], says)
}

const fn rows(command: &'static str, codes: [i32; 3], says: &'static str) -> Row {
    Row {
        command,
        codes,
        says,
    }
}

/// The commands that are calls of the API. Words are parted by spaces; `_` in a word is one.
pub const CALLS: &[Row] = &[
    row("status", "tenants"),
    row("status --numbers", "problems"),
    row("plan list", "TENANTS"),
    row("plan show home", "month day"),
    row(
        "plan add tiny --devices 2 --data 5GB --visible false",
        "tiny",
    ),
    refused("plan add tiny --devices 2", 1, "a plan with that id"),
    refused("plan add tiny --devices lots", 2, "lots"),
    row("plan edit tiny --name Klein_ä --at-limit stop", "Klein ä"),
    row("plan impact home --devices 1", "too many devices"),
    refused("plan show absent", 3, "there is no plan absent"),
    row(
        "tenant create lina --plan tiny",
        "lina is created. Its password: ",
    ),
    refused("tenant create lina --plan tiny", 1, "lina"),
    refused("tenant create x --plan tiny", 1, "3"),
    row("tenant list", "lina"),
    row("tenant show lina", "adguard_"),
    row("tenant show LINA", "container"),
    refused("tenant show nobody", 3, "there is no tenant nobody"),
    refused("tenant show lünä", 3, "there is no tenant lünä"),
    row("tenant plan lina home", "lina has the plan home"),
    refused("tenant plan lina absent", 1, ""),
    row("device list --tenant lina", "There is no device."),
    row("device add Büro_電話 --tenant lina", "█"),
    refused("device add Büro_電話 --tenant lina", 1, ""),
    refused("device add Phone --tenant nobody", 3, "nobody"),
    refused("device add Phone", 4, ""),
    row("device list --tenant lina", "Büro 電話"),
    row("device show Büro_電話 --tenant lina", "public key"),
    row(
        "device policy Büro_電話 strict --tenant lina",
        "Büro 電話 is filtered so",
    ),
    row(
        "device mesh Büro_電話 true --tenant lina",
        "part of the mesh",
    ),
    row("device rename Büro_電話 Tablet --tenant lina", "Tablet"),
    row(
        "device set Tablet --route internet --small-packets true --ipv4-only true --tenant lina",
        "load its configuration again",
    ),
    row("device show Tablet --tenant lina", "internet"),
    row("device config Tablet --tenant lina", "MTU = 1280"),
    refused("device set Tablet --tenant lina", 2, "--route"),
    row("device config Tablet --tenant lina", "[Interface]"),
    row("device qr Tablet --tenant lina", "█"),
    row(
        "traffic --tenant lina --span hour",
        "Together 0 B down, 0 B up.",
    ),
    row("traffic --tenant lina --device 1", "Together 0 B down"),
    refused("traffic --tenant lina --device 999", 3, ""),
    row("device new-keys Tablet --tenant lina", "has new keys"),
    refused("device new-keys Phone --tenant lina", 3, "Phone"),
    row("device remove Tablet --tenant lina", "Tablet is removed"),
    refused(
        "device show Tablet --tenant lina",
        3,
        "no device is called Tablet",
    ),
    row("status --tenant lina", "DNS filter"),
    row("status --numbers --tenant lina", "online"),
    row("dns --tenant lina", "10.88.1.1"),
    refused("dns", 4, ""),
    row(
        "account time-zone Europe/Berlin --tenant lina",
        "Europe/Berlin",
    ),
    refused("account time-zone Mars/North --tenant lina", 1, ""),
    // The command line has no account: these are for the holders of tokens. This installation
    // sends no mail, and its operator has a second factor.
    rows("account show", [4, 0, 4], ""),
    rows("account activity", [4, 0, 4], ""),
    rows("account session list", [4, 0, 4], ""),
    rows("account session end ffff", [4, 3, 4], ""),
    rows("account passkey list", [4, 0, 4], ""),
    rows("account passkey rename ffff Key", [4, 3, 4], ""),
    rows("account passkey remove ffff", [4, 3, 4], ""),
    rows("account totp begin", [4, 1, 4], ""),
    rows("account totp confirm 000000", [4, 1, 4], ""),
    rows("account totp remove", [4, 1, 4], ""),
    rows("account recovery-codes", [4, 0, 4], ""),
    rows("account mail show", [4, 1, 4], ""),
    rows("account mail set ada@example.org", [4, 1, 4], ""),
    rows("account mail remove", [4, 1, 4], ""),
    rows("account mail warnings false", [4, 1, 4], ""),
    refused("account mail confirm --link-file /absent", 2, "/absent"),
    refused("account prove --password-file /absent", 2, "/absent"),
    refused(
        "account password --password-file /absent --new-password-file /absent",
        2,
        "/absent",
    ),
    refused("account sign-in lina --password-file /absent", 2, "/absent"),
    refused("account forgot lina", 1, "sends no mail"),
    refused(
        "account recover lina --code-file /absent --new-password-file /absent",
        2,
        "/absent",
    ),
    refused(
        "account reset --link-file /absent --new-password-file /absent",
        2,
        "/absent",
    ),
    refused("account delete lina", 4, ""),
    row("token create page --tenant lina --days 7", "mnt_"),
    row("token list --tenant lina", "page"),
    refused("token revoke ffff --tenant lina", 3, ""),
    // Without a tenant, they would be the operator's own.
    rows("token list", [1, 0, 1], "token"),
    row("events", ""),
    row("events --tenant lina --own", ""),
    refused("events --since yesterday", 2, "12h"),
    row("audit --limit 50", "tenant.create"),
    row("audit --export csv --tenant lina", "tenant.create"),
    row("audit --export jsonl", "\"action\":"),
    refused("audit --export pdf", 2, "pdf"),
    refused("audit --out /tmp/x", 2, "--export"),
    row("sign-up show", "Sign-ups: open"),
    row("sign-up set invite", "An operator has set it"),
    refused("sign-up set members", 2, "members"),
    row("sign-up set configured", "The configuration says so"),
    row(
        "invite create --plan tiny --note Messe_ä --count 2",
        "/sign-up?invitation=",
    ),
    refused("invite create --plan absent", 1, ""),
    refused(
        "invite create --uses 0",
        1,
        "An invitation can be used 1 to 10",
    ),
    row("invite list", "Messe ä"),
    row("invite revoke 1", "is revoked"),
    refused("invite revoke 999", 3, ""),
    row("reserved add intranet shop", "2 more"),
    refused("reserved add www", 1, "www"),
    refused("reserved add a", 1, ""),
    row("reserved list", "intranet"),
    row("reserved remove shop", "shop is not reserved"),
    refused("reserved remove shop", 3, ""),
    row("tenant reset lina", "/reset?token="),
    refused("tenant reset missing", 3, "missing"),
    row("tenant resources", "MEMORY"),
    row("tenant suspend lina", "lina is suspended"),
    row("tenant resume lina", "lina is not suspended"),
    row("node list", "NAME   STANDING"),
    row("node show local", "WireGuard"),
    rows("node checks", [0, 0, 5], ""),
    row("node close local", "local gets no new tenants"),
    row("node open local", "local gets new tenants"),
    refused("node host local vpn.example", 1, "public_host"),
    refused("node revoke local", 1, "own node"),
    refused("node remove local", 1, "own node"),
    refused("node close worker-9", 3, "No node is called worker-9"),
    refused("node lose local", 1, ""),
    refused("tenant move lina --to local --no-wait", 1, "local"),
    row(
        "node drain local --no-wait",
        "Tenants still to be moved from local: 1",
    ),
    row("node moves", "lina from local to any node (drain)"),
    row("node open local", "local gets new tenants"),
    row("node moves", "No tenant is to be moved."),
    refused("node dns check", 3, "names.server"),
    refused("tenant move lina --cancel", 1, "lina"),
    refused("worker token", 1, "PostgreSQL"),
    row("operator list", "admin"),
    row("operator add ada --role support", "/welcome?token="),
    refused("operator add ada --role king", 2, "king"),
    row("operator list", "ada"),
    row("operator remove ada", "ada is no operator any more."),
    refused("operator remove ada", 3, ""),
    refused("operator role admin support", 1, ""),
    row("operator reset admin", "/reset?token="),
    rows("operator link", [1, 2, 1], ""),
    refused(
        "operator accept --link-file /absent --new-password-file /absent",
        2,
        "/absent",
    ),
    row("mail list", "There is no mail."),
    row("mail list --unsent", "There is no mail."),
    refused("mail retry 1", 1, "This installation sends no mail."),
    refused("mail discard 1", 3, ""),
    refused(
        "mail test ada@example.org",
        1,
        "This installation sends no mail.",
    ),
    refused("mail retry one", 2, "one"),
    rows("account session end-others", [4, 0, 4], ""),
    refused("tenant delete lina", 2, "say --yes to do it"),
    row("tenant delete lina --yes", "lina is deleted"),
    row("plan remove tiny", "The plan tiny is deleted."),
    // The last one: the token is refused afterwards.
    row("account sign-out", "The session is over."),
];

/// The commands about this machine, with the test that runs each.
pub const HERE: &[(&str, &str)] = &[
    ("serve", "packets, nodes"),
    ("doctor", "cli, worker_cli"),
    ("config", "cli"),
    ("firewall", "packets"),
    ("worker join", "worker_cli"),
    ("worker run", "nodes"),
    ("database move", "database_move"),
    ("seal-key change", "cli"),
    ("seal-key create", "cli"),
    ("wg-userspace", "packets"),
    ("completions", "unit tests of server"),
    ("man", "unit tests of server"),
];
