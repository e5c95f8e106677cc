//! What an operator sees of the names of endpoints.

use super::{EndpointRecord, RECORDS_AT_ONCE};
use crate::{failures::store_failure, nodes::NodesHandle};
use domain::{ErrorCode, Failure, Message, OperatorScope};

/// How many records a check reads back at most.
const MAX_COMPARED: usize = 400;

/// How the name server and the names of endpoints are.
#[derive(Clone, Debug)]
pub struct NamesView {
    /// What follows a tenant's `<name>-vpn.`.
    pub domain: String,
    /// The name server, as the setting has it.
    pub server: String,
    /// How many names there are.
    pub names: u64,
    /// Of how many the server has not acknowledged the newest record.
    pub pending: u64,
    /// How many records were read back.
    pub compared: u64,
    /// Those of them that differ. They are told again.
    pub differing: Vec<NameDifference>,
    /// Why the server takes no changes.
    pub problem: Option<Message>,
}

/// A record that is another one at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameDifference {
    pub name: String,
    /// The host that it should stand for.
    pub expected: String,
    /// What the server has; `None` for nothing.
    pub found: Option<String>,
}

impl NodesHandle<'_> {
    /// Asks the name server whether it accepts changes, and compares the records of at most
    /// 400 endpoints with what it has. Those that differ are told it again.
    ///
    /// # Errors
    /// `NotFound` where no name server is set, `DatabaseUnavailable`.
    pub async fn check_names(self, _operator: &OperatorScope) -> Result<NamesView, Failure> {
        let inner = self.0;
        let Some(names) = &inner.names else {
            let message = Message::EndpointNamesOff;
            return Err(Failure::new(ErrorCode::NotFound, message));
        };
        let counts = inner.store.name_counts().await.map_err(store_failure)?;
        let mut view = NamesView {
            domain: names.domain.clone(),
            server: names.server.address().to_owned(),
            names: counts.all,
            pending: counts.pending,
            compared: 0,
            differing: Vec::new(),
            problem: names.server.set(&[]).await.err(),
        };
        let (mut after, mut compared) = (String::new(), 0);
        while view.problem.is_none() && compared < MAX_COMPARED {
            let told = inner.store.acknowledged_names(&after, RECORDS_AT_ONCE);
            let told = told.await.map_err(store_failure)?;
            let Some((last, _)) = told.last() else {
                break;
            };
            after.clone_from(last);
            compared += told.len();
            let record = |(name, host): &(String, String)| EndpointRecord {
                name: name.clone(),
                host: Some(host.clone()),
            };
            let expected: Vec<_> = told.iter().map(record).collect();
            match names.server.compare(&expected).await {
                Ok(differing) => {
                    for EndpointRecord { name, host } in differing {
                        let doubted = inner.store.doubt_name(&name).await;
                        doubted.map_err(store_failure)?;
                        let expected = told.iter().find(|(told, _)| *told == name);
                        view.differing.push(NameDifference {
                            expected: expected.map(|(_, host)| host.clone()).unwrap_or_default(),
                            name,
                            found: host,
                        });
                    }
                }
                Err(problem) => view.problem = Some(problem),
            }
        }
        view.compared = compared as u64;
        Ok(view)
    }
}
