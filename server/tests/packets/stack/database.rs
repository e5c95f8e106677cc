//! The database as another program sees it: what the server stored, and rows that a
//! test arranges.

use super::Stack;
use std::process::Command;

impl Stack {
    /// Returns the rows of a query, a text a column. A program other than the one
    /// under test reads the file.
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        const READ: &str = "import sqlite3, sys
c = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True, timeout=10)
for r in c.execute(sys.argv[2]): print('\\t'.join(str(v) for v in r))";
        let text = self.python(READ, sql);
        let line = |l: &str| l.split('\t').map(str::to_owned).collect();
        text.lines().map(line).collect()
    }

    /// Changes rows beside the running server.
    pub fn execute(&self, sql: &str) {
        const WRITE: &str = "import sqlite3, sys
c = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
c.execute(sys.argv[2])";
        self.python(WRITE, sql);
    }

    fn python(&self, script: &str, sql: &str) -> String {
        let file = self.root().join("central_api/database.sqlite");
        let out = Command::new("python3")
            .args(["-c", script])
            .arg(file)
            .arg(sql)
            .output()
            .expect("python3 runs");
        let err = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{sql}: {err}");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Returns the id and the slot of a tenant.
    pub fn id_and_slot(&self, tenant: &str) -> (String, u16) {
        let sql = format!("select id, slot from users where username = '{tenant}'");
        let rows = self.query(&sql);
        let row = rows
            .first()
            .unwrap_or_else(|| panic!("{tenant} has an account"));
        (row[0].clone(), row[1].parse().expect("a slot"))
    }
}
