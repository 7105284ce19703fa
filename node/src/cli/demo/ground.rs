//! Where the nodes of a demo live: folders, ports, the key of their cluster.
//!
//! It starts nothing. What it makes in the system's folder for temporary files it removes again, if it is told to.

use crate::cli::failure::Failure;
use crate::cli::keys::write_cluster_key;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// From the ports of one node to those of the next, where they are not left to the system.
const PORTS_APART: u16 = 10;
/// How many ports a node has: clients, admin, RPC, gossip.
const PORTS: u16 = 4;
/// Free ports are looked for from here,
const FREE_FROM: u16 = 20_000;
/// to here: below what Linux hands out to whoever asks for any port.
const FREE_TO: u16 = 32_000;
/// How often they are looked for.
const TRIES_MAX: u32 = 64;

/// Where one node lives.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its number, from 1.
    pub number: usize,
    /// Where it keeps its data.
    pub data_dir: PathBuf,
    /// Where it says what it has to say.
    pub log: PathBuf,
    /// For clients.
    pub client: SocketAddr,
    /// For operators.
    pub admin: SocketAddr,
    rpc: SocketAddr,
    gossip: SocketAddr,
}

impl Place {
    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.client)
    }

    /// The URL for operators.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Where it says what it has to say, as a path to show.
    pub(super) fn said_in(&self) -> String {
        self.log.display().to_string()
    }
}

/// Where all of them live.
#[derive(Debug)]
pub struct Ground {
    folder: PathBuf,
    is_temporary: bool,
    places: Vec<Place>,
    cluster_key: PathBuf,
}

impl Ground {
    /// Prepares places for `nodes` nodes below `folder`, or below a new temporary folder. The ports are free ones, or
    /// those from `base_port` on, ten for a node.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] if the folder holds something already or the ports go beyond 65,535, [`Failure::Failed`] if
    /// the system gives no folder, no port or no randomness.
    pub fn prepare(folder: Option<&Path>, base_port: Option<u16>, nodes: usize) -> Result<Self, Failure> {
        let ports = match base_port {
            Some(base) => ports_from(base, nodes)
                .ok_or_else(|| Failure::Usage(format!("there are no {nodes} nodes' ports from {base} on")))?,
            None => free_ports(nodes).map_err(|error| Failure::of("the system gives no ports", &error))?,
        };
        let temporary = std::env::temp_dir().join(format!("stemedb-demo-{}", std::process::id()));
        let path = folder.unwrap_or(&temporary);
        claim_folder(path)?;
        let cluster_key = path.join("cluster.key");
        write_cluster_key(&cluster_key)?;
        let places = ports.into_iter().zip(1..).map(|([client, admin, rpc, gossip], number)| Place {
            number,
            data_dir: path.join(format!("node-{number}")),
            log: path.join(format!("node-{number}.log")),
            client,
            admin,
            rpc,
            gossip,
        });
        let places = places.collect();
        Ok(Self { folder: path.to_owned(), is_temporary: folder.is_none(), places, cluster_key })
    }

    /// The places, by number.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The folder of all of it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The settings of the node at `place`, as variables. One node founds alone; several found together.
    pub fn variables(&self, place: &Place) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("STEMEDB_DATA_DIR", place.data_dir.display().to_string()),
            ("STEMEDB_BIND_ADDR", place.client.to_string()),
            ("STEMEDB_ADMIN_ADDR", place.admin.to_string()),
        ];
        if self.places.len() > 1 {
            let others = self.places.iter().filter(|other| other.number != place.number);
            let seeds: Vec<_> = others.map(|other| other.gossip.to_string()).collect();
            variables.extend([
                ("STEMEDB_RPC_ADDR", place.rpc.to_string()),
                ("STEMEDB_GOSSIP_ADDR", place.gossip.to_string()),
                ("STEMEDB_SEEDS", seeds.join(",")),
                ("STEMEDB_BOOTSTRAP_EXPECT", self.places.len().to_string()),
                ("STEMEDB_CLUSTER_KEY_FILE", self.cluster_key.display().to_string()),
            ]);
        }
        variables
    }

    /// Removes the folder if it is a temporary one.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if it cannot be removed.
    pub fn remove(self) -> Result<(), Failure> {
        if !self.is_temporary {
            return Ok(());
        }
        let failed = |error| Failure::of(format!("cannot remove {}", self.folder.display()), &error);
        fs::remove_dir_all(&self.folder).map_err(failed)
    }
}

/// Makes the folder, or takes an empty one.
fn claim_folder(path: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| fs::read_dir(path)?.next().transpose());
    match made {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(Failure::Usage(format!(
            "{} is not empty: a demo begins with nothing; name another folder, or start the nodes in it with `stemedb serve`",
            path.display()
        ))),
        Err(error) => Err(Failure::of(format!("cannot make {}", path.display()), &error)),
    }
}

/// The ports of each node: clients, admin, RPC, gossip.
type Ports = [SocketAddr; PORTS as usize];

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn ports_from(base: u16, nodes: usize) -> Option<Vec<Ports>> {
    let first = |node| base.checked_add(u16::try_from(node).ok()?.checked_mul(PORTS_APART)?);
    let ports = |node| {
        let first: u16 = first(node)?;
        first.checked_add(PORTS - 1)?;
        Some([0, 1, 2, 3].map(|offset| local(first + offset)))
    };
    (base > 0).then(|| (0..nodes).map(ports).collect())?
}

/// Ports that nobody uses now, of those that the system does not hand out by itself: so that nobody is given one while
/// its node is away.
fn free_ports(nodes: usize) -> io::Result<Vec<Ports>> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES_MAX {
        let mut draw = [0; 2];
        getrandom::fill(&mut draw).map_err(io::Error::other)?;
        let base = FREE_FROM + u16::from_le_bytes(draw) % (FREE_TO - FREE_FROM);
        let ports = ports_from(base, nodes).unwrap_or_default();
        match ports.iter().try_for_each(are_free) {
            Ok(()) => return Ok(ports),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn are_free([client, admin, rpc, gossip]: &Ports) -> io::Result<()> {
    for stream in [client, admin, rpc] {
        TcpListener::bind(stream)?;
    }
    UdpSocket::bind(gossip).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn three_nodes_know_each_other_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let ground = Ground::prepare(Some(&folder.path().join("new")), Some(18180), 3).unwrap();
        let told = |number: usize| {
            let variables = ground.variables(&ground.places()[number - 1]);
            let lines = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>();
            lines.replace(folder.path().to_str().unwrap(), "FOLDER")
        };
        expect_test::expect![[r#"
            STEMEDB_DATA_DIR=FOLDER/new/node-2
            STEMEDB_BIND_ADDR=127.0.0.1:18190
            STEMEDB_ADMIN_ADDR=127.0.0.1:18191
            STEMEDB_RPC_ADDR=127.0.0.1:18192
            STEMEDB_GOSSIP_ADDR=127.0.0.1:18193
            STEMEDB_SEEDS=127.0.0.1:18183,127.0.0.1:18203
            STEMEDB_BOOTSTRAP_EXPECT=3
            STEMEDB_CLUSTER_KEY_FILE=FOLDER/new/cluster.key
        "#]]
        .assert_eq(&told(2));
        let key = folder.path().join("new/cluster.key");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        crate::cluster_key::KeyFile::read(&storage::disk::StdDisk, &key).unwrap();
    }

    #[test]
    fn a_node_alone_has_no_cluster_settings() {
        let folder = tempfile::tempdir().unwrap();
        let ground = Ground::prepare(Some(folder.path()), None, 1).unwrap();
        let names: Vec<_> = ground.variables(&ground.places()[0]).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["STEMEDB_DATA_DIR", "STEMEDB_BIND_ADDR", "STEMEDB_ADMIN_ADDR"]);
    }

    #[test]
    fn free_ports_are_such_that_nobody_is_given_by_the_system() {
        let ports = free_ports(3).unwrap();
        assert_eq!(ports.len(), 3);
        assert!(ports.iter().flatten().all(|address| (FREE_FROM..32_768).contains(&address.port())));
        let taken = TcpListener::bind(ports[1][2]).unwrap();
        assert!(are_free(&ports[1]).is_err());
        drop(taken);
    }

    #[test]
    fn a_folder_that_holds_something_and_ports_that_do_not_exist_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "x").unwrap();
        assert!(matches!(Ground::prepare(Some(folder.path()), None, 3), Err(Failure::Usage(_))));
        assert!(matches!(Ground::prepare(None, Some(65_530), 3), Err(Failure::Usage(_))));
        assert_eq!(ports_from(0, 1), None);
        assert!(ports_from(65_532, 1).is_some() && ports_from(65_533, 1).is_none());
    }

    #[test]
    fn a_temporary_folder_is_removed_and_a_named_one_is_kept() {
        let ground = Ground::prepare(None, None, 1).unwrap();
        let path = ground.folder().to_owned();
        assert!(path.is_dir());
        ground.remove().unwrap();
        assert!(!path.exists());
        let named = tempfile::tempdir().unwrap();
        Ground::prepare(Some(named.path()), None, 1).unwrap().remove().unwrap();
        assert!(named.path().is_dir());
    }
}
