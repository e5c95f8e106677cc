//! iperf3 between a device and the internet, through the device's tunnel.

use crate::netns;
use serde_json::Value;
use std::{
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

/// A direction, as the tenant sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Down,
    Up,
}

/// A server of iperf3 for one measurement.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A measurement that runs.
pub struct Measurement(JoinHandle<Value>);

/// Starts a measurement of some seconds, of which the first does not count. `port` is
/// not used by another one at the same time.
pub fn measure(
    namespace: &str,
    port: u16,
    direction: Direction,
    flows: u8,
    seconds: u8,
) -> Measurement {
    let mut options = format!("-t {seconds} -P {flows}");
    if direction == Direction::Down {
        options.push_str(" -R");
    }
    start(namespace, port, &options)
}

/// Starts a measurement of UDP from the device: datagrams of so many bytes at a speed in
/// Mb/s. `port` is not used by another one at the same time.
pub fn measure_udp(namespace: &str, port: u16, mbps: f64, bytes: u16, seconds: u8) -> Measurement {
    let options = format!("-u -b {mbps}M -l {bytes} -t {seconds}");
    start(namespace, port, &options)
}

fn start(namespace: &str, port: u16, options: &str) -> Measurement {
    let to = netns::var("MALIKNODE_BED_INTERNET");
    let wan = netns::var("MALIKNODE_BED_WAN");
    let line = format!("iperf3 -c {to} -p {port} -J -O 1 {options}");
    let server = Command::new("nsenter")
        .arg(format!("--net=/run/netns/{wan}"))
        // By UDP it would answer from the interface's address.
        .args(["iperf3", "-s", "-1", "-B", &to, "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("iperf3 is installed by ./dev setup --tests");
    let server = Server(server);
    let namespace = namespace.to_owned();
    Measurement(thread::spawn(move || {
        let _server = server;
        // The server needs a moment until it listens.
        for _ in 0..100 {
            let output = Command::new("nsenter")
                .arg(format!("--net=/run/netns/{namespace}"))
                .args(line.split(' '))
                .output()
                .expect("iperf3 runs");
            let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
            match report["error"].as_str() {
                Some(e) if e.contains("refused") => thread::sleep(Duration::from_millis(50)),
                // A flow that is cut off ends with an error and its last interval.
                _ => return report,
            }
        }
        panic!("{line}: no server");
    }))
}

impl Measurement {
    fn report(self) -> Value {
        self.0.join().expect("the measurement ends")
    }

    /// Waits for the end and returns the Mb/s that were received.
    pub fn mbps(self) -> f64 {
        let report = self.report();
        // For UDP there is one sum: what was sent, and how much of it was lost.
        let (received, udp) = (&report["end"]["sum_received"], &report["end"]["sum"]);
        let share = |lost: f64| 1.0 - lost / 100.0;
        let of_udp = udp["lost_percent"].as_f64().map(share);
        let speed = match of_udp {
            Some(share) => udp["bits_per_second"].as_f64().map(|sent| sent * share),
            None => received["bits_per_second"].as_f64(),
        };
        speed.unwrap_or_else(|| panic!("no complete measurement: {}", report["error"])) / 1e6
    }

    /// Waits for the end and returns the Mb/s of each second.
    pub fn seconds(self) -> Vec<f64> {
        let report = self.report();
        let intervals = report["intervals"].as_array().expect("intervals").iter();
        intervals
            .filter_map(|i| Some(i["sum"]["bits_per_second"].as_f64()? / 1e6))
            .collect()
    }
}
