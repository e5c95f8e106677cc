//! Lists against a small web server on loopback.

use super::*;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Serves what `answer` makes of each request's head.
async fn server(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/list.txt", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let n = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..n]).to_ascii_lowercase();
                let _ = stream.write_all(&answer(&head)).await;
            });
        }
    });
    url
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

fn lists(dir: &Path, source: Source) -> Lists {
    let list = List {
        id: 1,
        name: "Test list".into(),
        source,
    };
    Lists::new(dir, vec![list]).unwrap()
}

fn in_force(lists: &Lists) -> String {
    fs::read_to_string(lists.path(&lists.lists()[0])).unwrap()
}

const NOW: Duration = Duration::ZERO;

#[test]
fn the_starter_is_a_good_list_of_names_each_once() {
    let mut checker = check::Checker::new(MAX_BYTES);
    checker.feed(STARTER.as_bytes()).unwrap();
    let rules = checker.finish().unwrap().rules;
    assert!((90..200).contains(&rules), "{rules}");
    let names: Vec<_> = STARTER.lines().filter(|l| l.starts_with("||")).collect();
    assert!(names.iter().all(|l| l.ends_with('^')));
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    assert_eq!(names.len() as u64, rules);
}

#[tokio::test]
async fn a_list_is_fetched_once_and_asked_for_by_its_version_after() {
    let dir = tempfile::tempdir().unwrap();
    let url = server(|head| {
        if head.contains("if-none-match: \"v1\"") {
            answer("304 Not Modified", "", "")
        } else {
            answer(
                "200 OK",
                "ETag: \"v1\"\r\n",
                "||ads.example^\n||more.example^\n",
            )
        }
    })
    .await;
    let lists = lists(dir.path(), Source::Url(url));
    lists.install_starter().unwrap();
    assert!(in_force(&lists).contains("doubleclick"));
    assert_eq!(lists.status()[0].fetched_at, None);

    assert!(lists.refresh(NOW).await);
    assert_eq!(in_force(&lists), "||ads.example^\n||more.example^\n");
    assert_eq!(lists.generation(), 1);
    let first = lists.status()[0].clone();
    assert_eq!((first.rules, first.problem), (Some(2), None));

    assert!(lists.refresh(NOW).await);
    assert_eq!(lists.generation(), 1, "unchanged");
    assert!(lists.status()[0].fetched_at >= first.fetched_at);
    // Not due: nobody is asked, so it does not matter that nobody answers.
    lists.install_starter().unwrap();
    assert!(lists.refresh(EVERY).await);
    assert!(lists.until_due() > EVERY - Duration::from_secs(60));
}

#[tokio::test]
async fn what_is_no_list_leaves_the_last_good_copy_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let bodies = [
        (
            "200 OK",
            "<html>sign in to the hotel</html>",
            "it is a web page",
        ),
        ("200 OK", "", "it holds no rule"),
        ("404 Not Found", "||never.example^", "answered 404"),
        ("503 Service Unavailable", "", "answered 503"),
    ];
    for (status, body, why) in bodies {
        let url = server(move |_| answer(status, "", body)).await;
        let lists = lists(dir.path(), Source::Url(url));
        fs::write(lists.path(&lists.lists()[0]), "||good.example^\n").unwrap();
        assert!(!lists.refresh(NOW).await);
        assert_eq!(in_force(&lists), "||good.example^\n");
        let problem = lists.status()[0].problem.clone().unwrap();
        assert!(problem.contains(why), "{problem}");
        assert_eq!(lists.generation(), 0);
    }
    let files = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, 1, "no part of a list stays");
}

#[tokio::test]
async fn a_list_that_breaks_off_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let url =
        server(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n||ads.example^\n".to_vec())
            .await;
    let lists = lists(dir.path(), Source::Url(url));
    lists.install_starter().unwrap();
    assert!(!lists.refresh(NOW).await);
    assert!(in_force(&lists).contains("doubleclick"));
}

#[tokio::test]
async fn an_endless_list_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let url = server(|_| {
        let mut all = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
        all.extend(b"||ads.example^\n".repeat(100_000));
        all
    })
    .await;
    let mut lists = lists(dir.path(), Source::Url(url));
    lists.max_bytes = 1_000_000;
    assert!(!lists.refresh(NOW).await);
    assert!(
        lists.status()[0]
            .problem
            .clone()
            .unwrap()
            .contains("too large")
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    // Bound and let go: nobody listens there.
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let lists = lists(dir.path(), Source::Url(format!("http://{gone}/x")));
    assert!(!lists.refresh(NOW).await);
    let problem = lists.status()[0].problem.clone().unwrap();
    assert!(problem.contains("127.0.0.1 does not answer"), "{problem}");
}

#[tokio::test]
async fn a_file_of_this_machine_serves_as_a_source() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("mine.hosts");
    fs::write(&source, "0.0.0.0 ads.example\n").unwrap();
    let lists = lists(&dir.path().join("lists"), Source::Path(source.clone()));
    assert!(lists.refresh(EVERY).await);
    assert_eq!(
        (in_force(&lists).as_str(), lists.generation()),
        ("0.0.0.0 ads.example\n", 1)
    );
    // Looked at every time, and only a change counts.
    assert!(lists.refresh(EVERY).await);
    assert_eq!(lists.generation(), 1);
    fs::write(&source, "0.0.0.0 other.example\n").unwrap();
    assert!(lists.refresh(EVERY).await);
    assert_eq!(lists.generation(), 2);
    fs::remove_file(&source).unwrap();
    assert!(!lists.refresh(EVERY).await);
    assert_eq!(in_force(&lists), "0.0.0.0 other.example\n");
}
