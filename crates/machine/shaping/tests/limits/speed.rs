//! What iperf3 and ping measure.

use crate::bed::{Bed, INTERNET, mbps};
use serde_json::Value;
use std::{
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};
use testkit::namespace::Namespace;

/// Measurements run one after another, so that they do not share the processor.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server of iperf3 for one measurement.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a measurement between a device and the internet for some seconds, of which
/// the first does not count. `port` is not used by another one at the same time.
fn iperf(bed: &Bed, device: &Namespace, port: u16, args: &str) -> JoinHandle<Value> {
    let server = Server(bed.internet.run(move || {
        let mut command = Command::new("iperf3");
        command.args(["-s", "-1", "-p", &port.to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("iperf3 is installed")
    }));
    let line = format!("iperf3 -c {INTERNET} -p {port} -J -O 1 {args}");
    let device = device.clone();
    thread::spawn(move || {
        let _server = server;
        // The server needs a moment until it listens.
        for _ in 0..100 {
            let output = device.output(&line).join().unwrap();
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            match report["error"].as_str() {
                None => return report,
                Some(e) if e.contains("refused") => thread::sleep(Duration::from_millis(50)),
                Some(e) => panic!("{line}: {e}"),
            }
        }
        panic!("{line}: no server");
    })
}

/// Returns the received Mb/s of a report.
fn received(report: &Value) -> f64 {
    let sum = &report["end"]["sum_received"]["bits_per_second"];
    sum.as_f64().expect("a report of a complete measurement") / 1e6
}

/// Returns whether a measured rate is within 10 % of the limit.
fn holds(measured: f64, limit: u64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let share = measured / limit as f64;
    (0.9..=1.1).contains(&share)
}

/// Pings the internet 40 times in 2 s and returns the summary.
fn ping(device: &Namespace) -> JoinHandle<String> {
    let ping = device.output(&format!("ping -q -i 0.05 -c 40 {INTERNET}"));
    thread::spawn(move || {
        let output = ping.join().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let of = |word| text.lines().find(|l| l.contains(word)).unwrap_or_default();
        let (times, loss) = (of("min/avg/max"), of("packet loss"));
        let times = times.split(" = ").last().unwrap_or_default();
        let loss = loss.split(", ").find(|p| p.contains("loss"));
        format!(
            "ping min/avg/max/mdev {times}, {}",
            loss.unwrap_or_default()
        )
    })
}

#[test]
fn limits_hold_for_one_and_eight_flows() {
    let _alone = alone();
    let bed = Bed::new();
    let mut failed = vec![];
    for rate in [5, 50, 200] {
        bed.apply(1, mbps(rate, rate));
        for direction in ["up", "down"] {
            for flows in [1, 8] {
                let reverse = if direction == "down" { "-R" } else { "" };
                let args = format!("-t 3 -P {flows} {reverse}");
                let measurement = iperf(&bed, &bed.alice, 5201, args.trim());
                thread::sleep(Duration::from_millis(1200));
                let latency = ping(&bed.alice).join().unwrap();
                let measured = received(&measurement.join().unwrap());
                let line = format!(
                    "{rate} Mb/s {direction}, {flows} flows: {measured:.1} Mb/s; {latency}"
                );
                println!("{line}");
                if !holds(measured, rate) {
                    failed.push(line);
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_slow_tenant_slows_no_other() {
    let _alone = alone();
    let bed = Bed::new();
    bed.apply(1, mbps(5, 5));
    bed.apply(2, mbps(50, 50));
    for (direction, reverse) in [("up", ""), ("down", " -R")] {
        let slow = iperf(&bed, &bed.alice, 5201, &format!("-t 4 -P 8{reverse}"));
        let fast = iperf(&bed, &bed.bob, 5202, &format!("-t 3 -P 1{reverse}"));
        let (slow, fast) = (slow.join().unwrap(), fast.join().unwrap());
        let (slow, fast) = (received(&slow), received(&fast));
        println!("{direction}: {slow:.1} of 5 Mb/s beside {fast:.1} of 50 Mb/s");
        assert!(holds(slow, 5) && holds(fast, 50), "{direction}");
    }
}

#[test]
fn a_changed_rate_keeps_connections() {
    let _alone = alone();
    let bed = Bed::new();
    for (direction, reverse) in [("up", ""), ("down", " -R")] {
        bed.apply(1, mbps(5, 5));
        let flow = iperf(&bed, &bed.alice, 5201, &format!("-t 9 -P 1{reverse}"));
        thread::sleep(Duration::from_millis(2500));
        bed.apply(1, mbps(200, 200));
        thread::sleep(Duration::from_millis(2500));
        // A packet that waits here is larger than the burst that follows.
        bed.apply(1, mbps(5, 5));
        let report = flow.join().unwrap();
        let seconds: Vec<f64> = report["intervals"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["sum"]["bits_per_second"].as_f64().unwrap() / 1e6)
            .collect();
        println!("{direction}, Mb/s by second: {seconds:.1?}");
        assert!(seconds.iter().any(|s| *s > 100.0), "the higher rate");
        // The connection goes on at the lower rate.
        let last = seconds[seconds.len() - 3..].iter().sum::<f64>() / 3.0;
        assert!((2.0..8.0).contains(&last), "{last}");
    }
}

#[test]
fn without_limits_nothing_is_slow() {
    let _alone = alone();
    let bed = Bed::new();
    bed.apply(1, mbps(5, 5));
    bed.apply(1, mbps(0, 5));
    let report = iperf(&bed, &bed.alice, 5201, "-t 2 -R").join().unwrap();
    assert!(received(&report) > 500.0);
    bed.apply(1, mbps(5, 0));
    let report = iperf(&bed, &bed.alice, 5201, "-t 2").join().unwrap();
    assert!(received(&report) > 500.0);
}
