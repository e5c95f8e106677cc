//! A long audit log whose filters are frequent each by itself and rare together: half of the
//! entries are of one actor, half of one action, a quarter about one tenant, and only the three
//! oldest are all of these. `examples/audit_log.rs` uses this file too.

use domain::{TenantId, Timestamp};
use store::AuditFilter;

pub const ACTOR: &str = "operator:ada";
pub const ACTION: &str = "device.add";
pub const TENANT: TenantId = TenantId(7);
/// The entries that match all three.
pub const RARE: usize = 3;

/// Returns the statement that writes that many entries, a second apart.
pub fn insert(rows: u32) -> String {
    format!(
        "INSERT INTO audit_log (at, actor, action, object, detail, user_id, origin) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
         SELECT CAST(i AS BIGINT) * 1000, \
         CASE WHEN i <= {RARE} OR i % 2 = 0 THEN '{ACTOR}' ELSE 'tenant' || (i % 1000) END, \
         CASE WHEN i <= {RARE} OR i % 2 = 1 THEN '{ACTION}' ELSE 'action.' || (i % 60) END, \
         'lina/My phone', 'plan home, slot 7', \
         CASE WHEN i <= {RARE} OR i % 4 = 1 THEN {TENANT} ELSE i % 1000 + 1000 END, \
         '192.0.2.7' FROM n"
    )
}

/// Returns every filter, and the index that answers it; without times, and with.
pub fn filters(times: Option<(Timestamp, Timestamp)>) -> Vec<(String, AuditFilter)> {
    let filter = |given: u8| {
        let is = |bit: u8| given & bit != 0;
        let filter = AuditFilter {
            tenant: is(1).then_some(TENANT),
            actor: is(2).then(|| ACTOR.to_owned()),
            action: is(4).then(|| ACTION.to_owned()),
            since: times.map(|t| t.0),
            until: times.map(|t| t.1),
        };
        let names = [(1, "_user"), (2, "_actor"), (4, "_action")];
        let names = names.into_iter().filter(|(bit, _)| is(*bit));
        let names: String = names.map(|(_, name)| name).collect();
        let index = match names.as_str() {
            "" => "audit_log_pkey".to_owned(),
            names => format!("audit_log{names}"),
        };
        (index, filter)
    };
    (0..8).map(filter).collect()
}
