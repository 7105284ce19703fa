//! What certificates, TLS and sealed gossip cost: three nodes in this process that do without, as in a simulation, beside
//! three that do not, in turn.
//!
//! Both are the nodes that ship, with the machine's disk, clock and sockets; all that differs is whether their network says
//! that others have access to it.

use super::load::claims::{self, Signed};
use super::load::import::{Import, wait_until_ready};
use super::load::report::{Report, median};
use super::load::writers::{self, Writes};
use super::load::{process, rate};
use node::cli::demo::Ground;
use node::serve::Daemon;
use node::settings::{Seeds, Settings};
use node::world::{Datagrams, Listener, Network, Pending, Sockets, Stream, World};
use std::net::SocketAddr;
use std::sync::Arc;

const NODES: usize = 3;
/// Records that are imported in bulk.
const IMPORTED: u64 = 40_000;
/// Single writes by many clients, and by one.
const WRITTEN: u64 = 20_000;
const WRITTEN_BY_ONE: u64 = 3_000;
const CLIENTS: usize = 64;

/// The machine's sockets, said to be out of everybody's reach.
#[derive(Debug)]
struct Closed;

impl Network for Closed {
    fn is_open(&self) -> bool {
        false
    }

    fn listen(&self, address: SocketAddr) -> Pending<'_, Box<dyn Listener>> {
        Sockets.listen(address)
    }

    fn connect(&self, address: SocketAddr) -> Pending<'_, Stream> {
        Sockets.connect(address)
    }

    fn datagrams(&self, address: SocketAddr) -> Pending<'_, Arc<dyn Datagrams>> {
        Sockets.datagrams(address)
    }
}

/// What the rounds of one kind of network gave.
#[derive(Default)]
struct Rounds {
    import: Vec<f64>,
    import_us: Vec<f64>,
    writes: Vec<f64>,
    write_us: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    one_p50_ms: Vec<f64>,
    one_p99_ms: Vec<f64>,
}

struct Input {
    imported: Vec<Signed>,
    written: Vec<Signed>,
    by_one: Vec<Signed>,
}

pub fn compare(report: &mut Report, rounds: usize) {
    let (imported, written) = (claims::made(0..IMPORTED), claims::made(IMPORTED..IMPORTED + WRITTEN));
    let by_one = claims::made(IMPORTED + WRITTEN..IMPORTED + WRITTEN + WRITTEN_BY_ONE);
    let input = Input { imported, written, by_one };
    let (mut sealed, mut bare) = (Rounds::default(), Rounds::default());
    for _ in 0..rounds {
        sealed.measure(&input, Arc::new(Sockets));
        bare.measure(&input, Arc::new(Closed));
    }
    sealed.show(report, "three nodes in one process, sealed");
    bare.show(report, "three nodes in one process, bare");
    let mut ratio = |name: &str, of: fn(&Rounds) -> &Vec<f64>| {
        let ratios: Vec<_> = of(&sealed).iter().zip(of(&bare)).map(|(sealed, bare)| sealed / bare).collect();
        assert!(median(&ratios) > 0.0);
        report.add("sealed over bare", name, &ratios, "times");
    };
    ratio("bulk import, records/s", |own| &own.import);
    ratio("core time a record of it", |own| &own.import_us);
    ratio("64 clients, writes/s", |own| &own.writes);
    ratio("core time a write", |own| &own.write_us);
    ratio("64 clients, p99", |own| &own.p99_ms);
    ratio("one client, p50", |own| &own.one_p50_ms);
    ratio("one client, p99", |own| &own.one_p99_ms);
}

impl Rounds {
    /// One round on a new cluster, with every request to its first node.
    fn measure(&mut self, input: &Input, network: Arc<dyn Network>) {
        let folder = tempfile::tempdir().unwrap();
        let ground = Ground::prepare(Some(&folder.path().join("nodes")), None, NODES).unwrap();
        let nodes = start(&ground, &network);
        let url = ground.places()[0].url();
        wait_until_ready(&url);
        let core_us = |before: std::time::Duration, count: usize| {
            (process::core_time(None) - before).as_secs_f64() * 1e6 / count as f64
        };

        let before = process::core_time(None);
        self.import.push(rate(input.imported.len(), Import::of(&input.imported, &url).send(&url)));
        self.import_us.push(core_us(before, input.imported.len()));
        let before = process::core_time(None);
        let Writes { per_second, latency_us } = writers::write(&input.written, CLIENTS, &url);
        self.writes.push(per_second);
        self.write_us.push(core_us(before, input.written.len()));
        self.p50_ms.push(latency_us.value_at_quantile(0.5) as f64 / 1e3);
        self.p99_ms.push(latency_us.value_at_quantile(0.99) as f64 / 1e3);
        let Writes { latency_us, .. } = writers::write(&input.by_one, 1, &url);
        self.one_p50_ms.push(latency_us.value_at_quantile(0.5) as f64 / 1e3);
        self.one_p99_ms.push(latency_us.value_at_quantile(0.99) as f64 / 1e3);
        nodes.into_iter().for_each(|node| assert_eq!(node.stop(), None));
    }

    fn show(&self, report: &mut Report, section: &'static str) {
        report.add(section, "bulk import into one of them", &self.import, "records/s");
        report.add(section, "core time of all nodes and the client", &self.import_us, "us/record");
        report.add(section, "64 clients, POST /v1/assert", &self.writes, "writes/s");
        report.add(section, "core time of all nodes and the clients", &self.write_us, "us/write");
        report.add(section, "64 clients, p50", &self.p50_ms, "ms");
        report.add(section, "64 clients, p99", &self.p99_ms, "ms");
        report.add(section, "one client, p50", &self.one_p50_ms, "ms");
        report.add(section, "one client, p99", &self.one_p99_ms, "ms");
    }
}

fn start(ground: &Ground, network: &Arc<dyn Network>) -> Vec<Daemon> {
    let start = |place| {
        let variables = ground.variables(place);
        let told = |name: &str| variables.iter().find(|(known, _)| *known == name).unwrap().1.as_str();
        let settings = Settings {
            data_dir: told("STEMEDB_DATA_DIR").into(),
            bind_addr: told("STEMEDB_BIND_ADDR").parse().unwrap(),
            admin_addr: told("STEMEDB_ADMIN_ADDR").parse().unwrap(),
            rpc_addr: told("STEMEDB_RPC_ADDR").parse().unwrap(),
            gossip_addr: told("STEMEDB_GOSSIP_ADDR").parse().unwrap(),
            seeds: Seeds::at(told("STEMEDB_SEEDS").split(',').map(|seed| seed.parse().unwrap())),
            bootstrap_expect: Some(NODES as u64),
            cluster_key_file: Some(told("STEMEDB_CLUSTER_KEY_FILE").into()),
            ..Settings::default()
        };
        Daemon::start_in(&settings, World { network: Arc::clone(network), ..World::machine() }).unwrap()
    };
    ground.places().iter().map(start).collect()
}
