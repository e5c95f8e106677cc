//! Requests, by the pattern of their route. The patterns are those of the program's routers,
//! so the number of label sets does not grow with what clients ask for.

use super::samples::Samples;
use axum::http::{Method, StatusCode};
use domain::Durations;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The most routes that are counted apart, as a bound whatever happens; there are some 150.
const MAX_ROUTES: usize = 1_000;
/// The route of a path that there is not, and of one too many.
pub(crate) const NO_ROUTE: &str = "none";

/// A route of one kind of host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    host: &'static str,
    method: &'static str,
    route: Arc<str>,
}

/// What was counted of a route.
#[derive(Debug, Default)]
struct Counted {
    durations: Durations,
    /// By the status' first digit, 1 to 5.
    classes: [AtomicU64; 5],
}

/// Requests since the process began.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<BTreeMap<Route, Arc<Counted>>>);

/// Returns the name of a method that the program's routes have, else `other`.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

impl Requests {
    fn routes(&self) -> MutexGuard<'_, BTreeMap<Route, Arc<Counted>>> {
        // Every change is one insertion.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self, host: &'static str, method: &'static str, route: &str) -> Arc<Counted> {
        let key = |route: &str| Route {
            host,
            method,
            route: route.into(),
        };
        let mut routes = self.routes();
        let is_full = routes.len() >= MAX_ROUTES;
        let wanted = key(route);
        if let Some(counted) = routes.get(&wanted) {
            return counted.clone();
        }
        let new = if is_full { key(NO_ROUTE) } else { wanted };
        routes.entry(new).or_default().clone()
    }

    /// Counts a request that was answered. `host` is the kind of host.
    pub fn record(
        &self,
        host: &'static str,
        method: &Method,
        route: &str,
        status: StatusCode,
        took: Duration,
    ) {
        let counted = self.counted(host, method_name(method), route);
        counted.durations.record(took);
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        counted.classes[class - 1].fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what was counted.
    pub(super) fn add_to(&self, samples: &mut Samples) {
        let routes: Vec<_> = self
            .routes()
            .iter()
            .map(|(route, counted)| (route.clone(), counted.clone()))
            .collect();
        let labels = |r: &Route| {
            vec![
                ("host", r.host.to_owned()),
                ("method", r.method.to_owned()),
                ("route", r.route.to_string()),
            ]
        };
        let classes = routes.iter().flat_map(|(route, counted)| {
            let counts = counted.classes.iter().zip(1..);
            let counts = counts.map(|(n, class)| (n.load(Ordering::Relaxed), class));
            let counts = counts.filter(|(n, _)| *n > 0);
            counts.map(move |(n, class)| {
                let mut labels = labels(route);
                labels.push(("status", format!("{class}xx")));
                (labels, n)
            })
        });
        samples.counters(
            (
                "maliknode_http_requests",
                "Requests that were answered, by the kind of host, the route's pattern and the status' class",
            ),
            classes,
        );
        let durations = routes
            .iter()
            .map(|(route, counted)| (labels(route), counted.durations.figures()));
        samples.durations(
            (
                "maliknode_http_request_duration",
                "Time until the head of the answer",
            ),
            durations,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_routes_is_bounded() {
        let requests = Requests::default();
        for n in 0..3 * MAX_ROUTES {
            let took = Duration::from_millis(1);
            requests.record("base", &Method::GET, &format!("/{n}"), StatusCode::OK, took);
        }
        assert!(requests.routes().len() <= MAX_ROUTES + 1);
        let unknown = Method::from_bytes(b"INVENTED").unwrap();
        assert_eq!(method_name(&unknown), "other");
    }
}
