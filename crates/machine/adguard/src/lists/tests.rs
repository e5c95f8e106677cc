//! Tests the lists with a small web server on loopback.

use super::*;
use std::{fs, path::Path, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Serves the response that `respond` returns for each request's head.
async fn server(respond: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/list.txt", listener.local_addr().unwrap());
    let respond = Arc::new(respond);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let respond = Arc::clone(&respond);
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let n = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..n]).to_ascii_lowercase();
                let _ = stream.write_all(&respond(&head)).await;
            });
        }
    });
    url
}

fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

fn lists(dir: &Path, source: ListSource) -> Lists {
    let list = List {
        id: 1,
        name: "Test list".into(),
        source,
    };
    Lists::new(dir, vec![list]).unwrap()
}

fn first_list_text(lists: &Lists) -> String {
    fs::read_to_string(lists.path(&lists.shared()[0])).unwrap()
}

const ANY_AGE: Duration = Duration::ZERO;

#[test]
fn the_starter_list_is_good_and_without_duplicates() {
    let mut checker = check::Checker::new(MAX_BYTES);
    checker.feed(STARTER_LIST.as_bytes()).unwrap();
    let rules = checker.finish().unwrap().rules;
    assert!((90..200).contains(&rules), "{rules}");
    let names: Vec<_> = STARTER_LIST
        .lines()
        .filter(|l| l.starts_with("||"))
        .collect();
    assert!(names.iter().all(|l| l.ends_with('^')));
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    assert_eq!(names.len() as u64, rules);
}

#[tokio::test]
async fn a_list_is_fetched_again_only_if_changed() {
    let dir = tempfile::tempdir().unwrap();
    let url = server(|head| {
        if head.contains("if-none-match: \"v1\"") {
            response("304 Not Modified", "", "")
        } else {
            response(
                "200 OK",
                "ETag: \"v1\"\r\n",
                "||ads.example^\n||more.example^\n",
            )
        }
    })
    .await;
    let lists = lists(dir.path(), ListSource::Url(url));
    lists.install_starter().unwrap();
    assert!(first_list_text(&lists).contains("doubleclick"));
    assert_eq!(lists.status()[0].fetched_at, None);

    assert!(lists.refresh(ANY_AGE).await);
    assert_eq!(first_list_text(&lists), "||ads.example^\n||more.example^\n");
    assert_eq!(lists.generation(), 1);
    let first = lists.status()[0].clone();
    assert_eq!((first.rules, first.problem), (Some(2), None));

    assert!(lists.refresh(ANY_AGE).await);
    assert_eq!(lists.generation(), 1, "unchanged");
    assert!(lists.status()[0].fetched_at >= first.fetched_at);
    // The list is not due, so no request is sent.
    lists.install_starter().unwrap();
    assert!(lists.refresh(FETCH_INTERVAL).await);
    assert!(lists.until_due() > FETCH_INTERVAL - Duration::from_secs(60));
}

#[tokio::test]
async fn other_texts_leave_the_last_good_copy() {
    let dir = tempfile::tempdir().unwrap();
    let bodies = [
        ("200 OK", "<html>sign in to the hotel</html>", "list-html"),
        ("200 OK", "", "list-empty"),
        ("404 Not Found", "||never.example^", "status=404"),
        ("503 Service Unavailable", "", "status=503"),
    ];
    for (status, body, why) in bodies {
        let url = server(move |_| response(status, "", body)).await;
        let lists = lists(dir.path(), ListSource::Url(url));
        fs::write(lists.path(&lists.shared()[0]), "||good.example^\n").unwrap();
        assert!(!lists.refresh(ANY_AGE).await);
        assert_eq!(first_list_text(&lists), "||good.example^\n");
        let problem = lists.status()[0].problem.clone().unwrap();
        assert!(problem.to_string().contains(why), "{problem}");
        assert_eq!(lists.generation(), 0);
    }
    let files = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, 1, "no partial file remains");
}

#[tokio::test]
async fn a_list_that_is_cut_short_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let url =
        server(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n||ads.example^\n".to_vec())
            .await;
    let lists = lists(dir.path(), ListSource::Url(url));
    lists.install_starter().unwrap();
    assert!(!lists.refresh(ANY_AGE).await);
    assert!(first_list_text(&lists).contains("doubleclick"));
}

#[tokio::test]
async fn an_endless_list_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let url = server(|_| {
        let mut endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
        endless.extend(b"||ads.example^\n".repeat(100_000));
        endless
    })
    .await;
    let mut lists = lists(dir.path(), ListSource::Url(url));
    lists.fetcher.max_bytes = 1_000_000;
    assert!(!lists.refresh(ANY_AGE).await);
    assert!(matches!(
        &lists.status()[0].problem,
        Some(Message::ListRejected { reason, .. }) if **reason == Message::ListTooLarge
    ));
}

#[tokio::test]
async fn an_unreachable_server_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    // Bound and dropped, so nothing listens at this address.
    let unused = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let lists = lists(dir.path(), ListSource::Url(format!("http://{unused}/x")));
    assert!(!lists.refresh(ANY_AGE).await);
    assert!(matches!(
        &lists.status()[0].problem,
        Some(Message::ListUnreachable { host, .. }) if host == "127.0.0.1"
    ));
}

#[tokio::test]
async fn a_local_file_can_be_a_source() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("mine.hosts");
    fs::write(&source, "0.0.0.0 ads.example\n").unwrap();
    let lists = lists(&dir.path().join("lists"), ListSource::Path(source.clone()));
    assert!(lists.refresh(FETCH_INTERVAL).await);
    assert_eq!(
        (first_list_text(&lists).as_str(), lists.generation()),
        ("0.0.0.0 ads.example\n", 1)
    );
    // The file is checked every time, and only a change counts.
    assert!(lists.refresh(FETCH_INTERVAL).await);
    assert_eq!(lists.generation(), 1);
    fs::write(&source, "0.0.0.0 other.example\n").unwrap();
    assert!(lists.refresh(FETCH_INTERVAL).await);
    assert_eq!(lists.generation(), 2);
    fs::remove_file(&source).unwrap();
    assert!(!lists.refresh(FETCH_INTERVAL).await);
    assert_eq!(first_list_text(&lists), "0.0.0.0 other.example\n");
}
