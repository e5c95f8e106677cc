use super::*;

fn at(name: &str) -> ControlPlane {
    format!("https://{name}:1").parse().unwrap()
}

fn list(names: &[&str]) -> ControlPlaneList {
    let addresses: Vec<_> = names.iter().map(|n| format!("https://{n}:1")).collect();
    ControlPlaneList::new(addresses.iter().map(String::as_str))
}

fn planes(listed: &[&str]) -> Arc<ControlPlanes> {
    let listed = listed.iter().map(|n| at(n)).collect();
    Arc::new(ControlPlanes::new(at("a"), vec![at("b")], listed))
}

#[tokio::test(start_paused = true)]
async fn one_that_is_no_longer_listed_calls_for_a_minute() {
    let all = planes(&[]);
    assert_eq!(all.callers(), (vec![at("a")], None));
    all.set_asked(&at("b"));
    assert_eq!(all.callers().0, [at("b")]);
    all.learn(&list(&["b", "c"]));
    assert_eq!(all.callers(), (vec![at("b"), at("c")], None));
    all.learn(&list(&["b"]));
    let (callers, due) = all.callers();
    assert_eq!(callers, [at("b"), at("c")]);
    assert_eq!(due, Some(Instant::now() + LEAVING_TIME));
    // It comes back, and leaves for good.
    all.learn(&list(&["b", "c"]));
    assert_eq!(all.callers().1, None);
    all.learn(&list(&["b"]));
    tokio::time::advance(LEAVING_TIME).await;
    assert_eq!(all.callers(), (vec![at("b")], None));
}

#[test]
fn a_list_that_says_nothing_changes_nothing() {
    let all = planes(&["c"]);
    let mut changes = all.subscribe();
    all.learn(&ControlPlaneList::default());
    // It is an address for the wire, and none that can be dialled.
    all.learn(&ControlPlaneList::new(["https://no-port"]));
    all.learn(&list(&["c"]));
    assert!(!changes.has_changed().unwrap());
    all.learn(&list(&["d"]));
    assert_eq!(changes.borrow_and_update().listed, [at("d")]);
}

#[test]
fn after_a_failure_one_that_calls_is_tried_first_and_each_is_tried() {
    let all = planes(&["c", "d"]);
    let mut cursor = Cursor::new(all.clone());
    assert_eq!(*cursor.current(), at("a"));
    assert!(!cursor.has_other());
    let _calling = all.note_call(&at("d"));
    assert!(cursor.has_other());
    cursor.next();
    assert_eq!(*cursor.current(), at("d"));
    let mut tried = BTreeSet::new();
    for _ in 0..20 {
        cursor.next();
        tried.insert(cursor.current().clone());
    }
    assert_eq!(tried.len(), 4, "{tried:?}");
    cursor.note_success();
    cursor.go_to(at("b"));
    cursor.next();
    assert_eq!(*cursor.current(), at("d"));
}

#[test]
fn one_that_is_listed_no_more_leads_to_the_first() {
    let all = planes(&["c"]);
    let mut cursor = Cursor::new(all.clone());
    (0..2).for_each(|_| cursor.next());
    assert_eq!(*cursor.current(), at("c"));
    all.learn(&list(&["d"]));
    cursor.next();
    assert_eq!(*cursor.current(), at("a"));
}

#[test]
fn a_detour_leads_where_no_other_call_comes_from() {
    let all = planes(&["c"]);
    assert_eq!(all.detour(), Some(at("a")));
    let calling = all.note_call(&at("a"));
    assert_eq!(all.detour(), None);
    drop(calling);
    all.set_asked(&at("c"));
    assert_eq!(all.detour(), None);
}
